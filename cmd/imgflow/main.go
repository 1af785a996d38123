// Command imgflow builds machine images from templates, and loses nothing on the way:
// what was interrupted goes on with `imgflow resume`, what was made is removed
// with `imgflow destroy`. `imgflow help` shows its commands.
//
// Each command is one file here, named as the command. Only wire.go knows which
// kinds of step there are. What the commands share lies in internal: render
// shows, drive takes a run from its graph to its end, local finds the embedded
// EC2 server of this machine.
package main

import "os"

func main() { os.Exit(run(os.Args)) }
