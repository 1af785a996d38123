// Command imgflow builds machine images from templates, and loses nothing on the way:
// what was interrupted goes on with `imgflow resume`, what was made is removed
// with `imgflow destroy`. `imgflow help` shows its commands.
//
// Each command is one file here, named as the command. Only wire.go knows which
// kinds of step there are. What is shown, and how, lies in internal/render.
package main

import "os"

func main() {
	if asWorker() {
		return
	}
	os.Exit(run(os.Args))
}
