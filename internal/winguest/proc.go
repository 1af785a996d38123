package winguest

import (
	"context"
	"io"
	"strings"
	"time"
)

// A Program is what runs behind the name of an .exe: a function that returns the
// exit code. It returns soon after its context ends.
type Program func(ctx context.Context, p *Proc) int

// Proc is a process as its program sees it.
type Proc struct {
	ID, Parent int
	Name       string   // of the file: net.exe
	Path       string   // C:\Windows\System32\net.exe
	Line       string   // the whole command line, program included
	Args       []string // Line as C's runtime splits it, without the program
	Env        []string // NAME=value; use Getenv: the case of a name does not count
	Dir        string   // the directory it began in, absolute
	Login      Login
	Started    time.Time

	Stdin          io.Reader // never nil
	Stdout, Stderr io.Writer // never nil
	Console        bool      // Stdin is a console, not a pipe or a file
	Codepage       int       // of the console, 0 for the machine's own

	Machine *Machine
	process *Process
}

// Login is who a process runs as.
type Login struct {
	User     string // the account's name as it is stored; SYSTEM, LOCAL SERVICE or NETWORK SERVICE for those
	Elevated bool   // has the rights of an administrator, if the account has them
}

// Admin is AccessDenied unless the process has the rights of an administrator,
// which most changes of the machine need.
func (p *Proc) Admin() error {
	if !p.Login.Elevated {
		return AccessDenied
	}
	return nil
}

// Getenv returns the value of a variable, in any case, "" if there is none.
func (p *Proc) Getenv(name string) string { return getenv(p.Env, name) }

func getenv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		// A name may begin with =, as those of drives' directories do.
		if k := strings.IndexByte(env[i][min(1, len(env[i])):], '='); k >= 0 && strings.EqualFold(env[i][:k+1], name) {
			return env[i][k+2:]
		}
	}
	return ""
}

// Launch is what a process is made from.
type Launch struct {
	Line  string   // the command line; its first word names the program
	Path  string   // the program, where the first word of Line does not name it
	Env   []string // nil: that of the parent, or without one that of a new session
	Dir   string   // "": that of the parent, or the user's own directory
	Login Login    // without a parent, who; with one, zero for the same

	Parent   *Proc
	Detached bool   // outside of the parent's job: it lives on
	Job      string // of a process without a parent, or a new one

	Stdin          io.Reader // nil: at its end
	Stdout, Stderr io.Writer // nil: nowhere
	Console        bool
	Codepage       int // of a process without a parent; others have their parent's
}

// Start starts a child in the background. The error is a Code: FileNotFound when
// there is no such program, BadExe when there is, but it cannot run here.
func (p *Proc) Start(l Launch) (*Process, error) {
	l.Parent = p
	return p.Machine.Start(l)
}

// Run starts a child with the streams of p where the launch has none, and waits
// for it. When the context ends, the child is killed with all that it started.
func (p *Proc) Run(ctx context.Context, l Launch) (code int, err error) {
	l.Parent = p
	if l.Stdin == nil {
		l.Stdin, l.Console = p.Stdin, p.Console
	}
	if l.Stdout == nil {
		l.Stdout = p.Stdout
	}
	if l.Stderr == nil {
		l.Stderr = p.Stderr
	}
	c, err := p.Machine.Start(l)
	if err != nil {
		return 0, err
	}
	select {
	case <-c.Done():
	case <-ctx.Done():
		c.KillTree(1)
		<-c.Done()
	}
	return c.Wait(), nil
}
