// Command imgflow builds machine images from templates, and loses nothing on the way:
// what was interrupted goes on with `imgflow resume`, what was made is removed
// with `imgflow destroy`. `imgflow help` shows its commands, which package
// internal/cli has.
package main

import (
	"os"

	"github.com/imgflow/imgflow/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args)) }
