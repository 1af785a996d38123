// Package provision holds the provisioners of a template: the steps that change
// a machine before it becomes an image.
//
// Each is one struct. Its exported fields are the options, under the names that
// templates use; Check says what is wrong with them before anything is made, Add
// puts the struct itself into a graph, and Do does the work when the machine
// stands. A provisioner takes the machine and gives it back, so that the next one
// runs after it and nothing runs beside it.
//
//	shell          [Shell]       scripts on the machine
//	file           [FileCopy]    files to the machine and back
//	shell-local    [ShellLocal]  scripts on this computer
//	sleep          [Sleep]       nothing, for a while
//
// [PowerShell], [WindowsShell], [WindowsRestart] and [Breakpoint] know and check
// their options but cannot run; their Supported says so.
//
// # Interruptions
//
// Scripts on the machine outlive the connection and this process. A shell step
// that is resumed follows the script that still runs, shows what it has printed
// meanwhile, and does not run again what has ended. Copying is simply done again.
// A local script dies with this process and starts again from its beginning.
//
// # Values known late
//
// Options tagged late may use the values of the build: {{ build `ID` }} and the
// like. They are put in when the step runs. Sensitive values never enter a step's
// key or its stored form.
package provision
