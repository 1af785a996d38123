package windows

import (
	"context"

	"github.com/imgflow/imgflow/steps/aws/ec2local/windows/posh"
)

// powershell is powershell.exe: the evaluator of package posh on this machine.
func powershell(ctx context.Context, p *Proc) int {
	return posh.Main(ctx, posh.Options{
		Machine: p.Host(), Env: posh.NewEnv(p.Env...), Dir: p.Dir, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr,
		PID: p.ID, Codepage: p.Codepage, Commands: commands(p), Drives: drives(p),
	}, p.Args)
}
