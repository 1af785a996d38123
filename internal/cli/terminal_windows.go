package cli

import "github.com/imgflow/imgflow/internal/cli/internal/live"

// eachKey leaves the console as it is: keys come with the enter behind them.
func eachKey() (restore func()) { return func() {} }

// inForeground is true: consoles have no jobs.
func inForeground() bool { return true }

// obeyShell has nothing to do: consoles stop no jobs.
func obeyShell(*live.Display) (stop func()) { return func() {} }
