package windows

import "github.com/imgflow/imgflow/steps/aws/ec2local/windows/posh"

// commands are the cmdlets that reach the machine, for a process of it.
func commands(p *Proc) []posh.Command { return nil }

// drives are the drives that are not the file system.
func drives(p *Proc) map[string]posh.Provider { return nil }
