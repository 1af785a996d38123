package cli

import (
	"os"

	"golang.org/x/sys/windows"

	"github.com/imgflow/imgflow/internal/cli/internal/live"
)

// eachKey leaves the console as it is: keys come with the enter behind them.
func eachKey() (restore func()) { return func() {} }

// hideTyping has the console show nothing of what is typed.
func hideTyping() (restore func()) {
	in := windows.Handle(os.Stdin.Fd())
	var before uint32
	if windows.GetConsoleMode(in, &before) != nil || windows.SetConsoleMode(in, before&^windows.ENABLE_ECHO_INPUT) != nil {
		return func() {}
	}
	return func() { windows.SetConsoleMode(in, before) }
}

// inForeground is true: consoles have no jobs.
func inForeground() bool { return true }

// obeyShell has nothing to do: consoles stop no jobs.
func obeyShell(*live.Display) (stop func()) { return func() {} }
