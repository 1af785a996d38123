package windows

import (
	"context"

	"github.com/imgflow/imgflow/steps/aws/ec2local/windows/batch"
	"github.com/imgflow/imgflow/steps/aws/ec2local/windows/posh"
)

// programs are the native programs of the machine by the name of their .exe.
func programs() map[string]Program {
	return map[string]Program{"cmd": cmd}
}

// cmd is cmd.exe: the subset of package batch on this machine.
func cmd(ctx context.Context, p *Proc) int {
	_, rest := firstWord(p.Line)
	return batch.Run(ctx, batch.Options{Machine: p.Host(), Line: rest, Env: posh.NewEnv(p.Env...), Dir: p.Dir, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr})
}
