package winguest

import (
	"context"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// Why it is not a real PowerShell.
//
// A pwsh of this host would be another PowerShell on another system: the cmdlets of
// Windows are not in it, .NET would take C:\x for the name of a file in the current
// directory, without an error, and its scripts would run on the host as whoever
// runs the server, outside of what contains other guests. So it is not used, even
// where there is one: what the evaluator cannot do, it says.

// powershell is powershell.exe: the evaluator of package posh on this machine.
func powershell(ctx context.Context, p *Proc) int {
	return posh.Main(ctx, posh.Options{
		Machine: p.Host(), Env: posh.NewEnv(p.Env...), Dir: p.Dir, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr,
		PID: p.ID, Codepage: p.Codepage, Commands: commands(p), Drives: drives(p),
	}, p.Args)
}
