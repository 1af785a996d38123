package wsman

import (
	"context"
	"io"
	"time"
)

// Backend is the machine behind a server. Its methods are called at once by
// many connections.
type Backend interface {
	// Password is that of an enabled local account, by its name alone, in any
	// case.
	Password(user string) (password string, ok bool)

	// Service is what the machine allows now. It is asked for each request.
	Service() Service

	// Start starts a process of a shell and returns at once. The context ends
	// with the shell: then every process of the shell's job has to end, also
	// those that were left behind by commands which are over. Errors that are
	// fs.ErrNotExist or fs.ErrPermission are told as Windows tells that it finds
	// no such program or may not run it; of others the text is told.
	Start(ctx context.Context, p Program) (Process, error)
}

// Service is the configuration of WinRM. A zero in a number is the default of
// Windows, see [Defaults].
type Service struct {
	Host    string // the computer's name
	Version string // of the operating system, as "10.0.17763"

	AllowUnencrypted bool // messages that neither TLS nor sealing protects
	Basic            bool // Auth\Basic
	Negotiate        bool // Auth\Negotiate
	CbtHardening     string

	MaxEnvelopeSizeKB              int
	MaxTimeout                     time.Duration
	MaxConcurrentOperationsPerUser int

	AllowRemoteShellAccess bool
	IdleTimeout            time.Duration // of a shell that does not name its own
	MaxShellsPerUser       int
	MaxProcessesPerShell   int
}

// Guard is a Backend that does not let every account in: who may not use WinRM
// is known by name and password, and told that access is denied.
type Guard interface {
	MayUse(user string) bool
}

// The values of Service.CbtHardening: channel binding tokens, by which a client
// tells that the TLS it sees is ours, are not looked at, are refused when they
// are wrong, must be there.
const (
	CbtNone    = "None"
	CbtRelaxed = "Relaxed"
	CbtStrict  = "Strict"
)

// Defaults is the service as Windows Server sets it up: Negotiate alone, nothing
// unencrypted.
func Defaults() Service {
	return Service{
		Host: "WIN-SERVER", Version: "10.0.17763",
		Negotiate: true, CbtHardening: CbtRelaxed,
		MaxEnvelopeSizeKB: 500, MaxTimeout: time.Minute, MaxConcurrentOperationsPerUser: 1500,
		AllowRemoteShellAccess: true, IdleTimeout: 2 * time.Hour, MaxShellsPerUser: 30, MaxProcessesPerShell: 25,
	}
}

// Program is a process to be made for a command of a shell.
type Program struct {
	User string // the account's name as the client wrote it, without its domain
	Job  string // all processes of one shell have the same; unique to the shell

	// Line is what the client sent as its command, with its arguments behind it,
	// each after a space. If SkipCmd is not set, it is for cmd.exe /c.
	Line    string
	SkipCmd bool
	Command string   // the command alone
	Args    []string // the arguments as they were sent

	Env       map[string]string // besides the user's own
	NoProfile bool              // the user's own environment is not wanted
	Dir       string            // "" for the user's own directory
	Codepage  int               // of the console, 0 for the machine's own

	Stdin          io.Reader // ends when the client ends it or the command is over
	ConsoleStdin   bool      // a console, not a pipe
	Stdout, Stderr io.Writer // wait while a client does not fetch what was written
}

// Process is one that runs. Wait returns its exit code, of which 32 bits count,
// when nobody writes to its streams any more. Kill ends it and all that it
// started in its job. Kill does not wait and may come after the end, but Wait
// must return soon after it.
type Process interface {
	Wait() (code int)
	Kill()
}
