package comm

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

// Remote is a live way into a machine. Every method redials when the connection
// drops, for as long as the machine's ssh_timeout allows, and may be called
// from many goroutines.
type Remote interface {
	// Run runs a job so that it survives the connection and this process, and
	// prints its output to the task, every line once. Called again with the
	// same Token, by whatever process, it re-attaches to the run, or returns its
	// exit; a job that was never started is started. An error other than
	// context's means that the job's end is not known: *LostError says why.
	Run(ctx context.Context, j Job) (Exit, error)
	// Cancel ends the job and everything that it started. What it had printed
	// until then is printed, and its exit is known.
	Cancel(ctx context.Context, j Job) error
	// Exec runs a short command on one channel and returns what it printed; it
	// does not survive the connection and so must be safe to repeat.
	Exec(ctx context.Context, command string, stdin io.Reader) (stdout []byte, exit Exit, err error)
	// Upload writes r to the remote path, replacing the file there at once when
	// it is complete. Size is -1 when it is not known. Windows makes directories
	// that are missing above the path; elsewhere the error is fs.ErrNotExist.
	Upload(ctx context.Context, path string, r io.Reader, size int64, mode fs.FileMode) error
	// UploadDir copies what the local directory src holds into the remote
	// directory dst, which is made if its parent exists (on Windows in any case),
	// as one stream.
	UploadDir(ctx context.Context, dst, src string) error
	// Download copies the remote file to w.
	Download(ctx context.Context, path string, w io.Writer) error
	// DownloadDir copies what the remote directory holds into a directory below
	// the root ("." for the root itself), which is made. Nothing is written
	// outside of the root, and no link is made there that leads out.
	DownloadDir(ctx context.Context, src string, to *os.Root, dir string) error
	// Stat describes a remote path; the error is fs.ErrNotExist when there is
	// nothing.
	Stat(ctx context.Context, path string) (fs.FileInfo, error)
}

// Job is one remote run.
type Job struct {
	Token   string // names the run; its letters, digits and hyphens
	Command string // for /bin/sh; may hold {{.Path}}, replaced by the script's remote path
	Script  []byte // the script, written to Path with mode 0755 before Command runs; nil for none
	Path    string // where the script lies; "" lets the run directory hold it
	Keep    bool   // leave the script at Path when the run has ended
	Pty     bool   // run under a terminal
	Become  string // command prefix that signals what the job started as another user

	base string // where the run lives, for tests

	// On Windows only. The command is for cmd.exe, and no value of these ever
	// becomes part of a program's text or of a command line.
	Ext     string            // of the script's name in the run directory, such as ".ps1"
	Env     map[string]string // what the command finds in its environment, byte for byte
	Files   map[string][]byte // more files in the run directory, which {{.Dir}} in Command stands for
	Elevate *Elevate          // run as this user with all rights, by a scheduled task; nil: in the session's name
}

// Elevate names the user that a scheduled task runs as.
type Elevate struct {
	User     string
	Password string // "": a service account such as SYSTEM
}

// Windows is a way into a Windows machine. Commands of jobs and of Exec are for
// cmd.exe; paths may have slashes of either kind.
type Windows interface {
	Remote
	// PowerShell runs a script once on the machine. Args are encoded as JSON and
	// are the object $a there; what the script prints as JSON is decoded into
	// result, which may be nil. The script must be constant, and safe to repeat:
	// it is run again when the connection breaks. It may call the functions of
	// ps/lib.ps1.
	PowerShell(ctx context.Context, script string, args, result any) error
}

// Exit is how a job ended.
type Exit struct {
	Code      int  `json:"code"`                // exit status; 128+n for a signal; of Windows a signed number of 32 bits, as $LASTEXITCODE
	Signal    int  `json:"signal,omitempty"`    // the signal that ended it, 0 for none
	OOM       bool `json:"oom,omitempty"`       // the kernel killed something for want of memory meanwhile
	Truncated bool `json:"truncated,omitempty"` // the machine's disk was full and output was lost
	Unread    bool `json:"unread,omitempty"`    // the command ended well without having read the script, where the machine's file system tells
	Rebooted  bool `json:"rebooted,omitempty"`  // the machine rebooted while it ran; Code means nothing
}

// LostError says why the end of a job cannot be known.
type LostError struct{ Why string }

func (e *LostError) Error() string { return "the run was lost: " + e.Why }

// ErrCode is the code of the failure.
func (e *LostError) ErrCode() errcode.Code { return errcode.JobLost }

// JobToken names the nth job of a task. It is the same after a crash, and
// another one after a failed attempt, so that a script that failed runs again.
func JobToken(t *dag.Task, n int) string {
	if t.Attempt == 0 {
		return fmt.Sprintf("%s-%d", t.Token, n)
	}
	return fmt.Sprintf("%s-%d-%d", t.Token, n, t.Attempt)
}
