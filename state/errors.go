package state

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
)

// BusyError says which process drives the run that was to be opened. The zero
// Owner stands for one that has not said so yet.
type BusyError struct {
	Run   string
	Epoch int64 // in which it is driven, where runs are shared; else 0
	Owner
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
		if e.Host != "" {
			who += " on " + e.Host
		}
		if e.Command != "" {
			who += " (" + e.Command + ")"
		}
	} else if e.Command != "" { // an engine
		who = e.Command
	}
	if !e.Since.IsZero() {
		who += " since " + e.Since.Local().Format(time.DateTime)
	}
	if e.PID == 0 && e.Command != "" {
		return fmt.Sprintf("cannot open run %s: %s is driving it; `%s` follows it, `%s` has it stop", e.Run, who, self.Command("logs -f", e.Run), self.Command("suspend", e.Run))
	}
	return fmt.Sprintf("cannot open run %s: %s is driving it; wait for it to end, or interrupt it", e.Run, who)
}

// ErrCode is the code of the failure.
func (e *BusyError) ErrCode() errcode.Code { return errcode.RunBusy }

// FencedError says that another process goes on with the run, or with a step of it: what
// this one would write was not written.
type FencedError struct {
	Run  string
	Step string // in short; "" is the whole run
}

func (e *FencedError) Error() string {
	if e.Step != "" {
		return fmt.Sprintf("cannot go on with step %s of run %s: another process does it now", e.Step, e.Run)
	}
	return fmt.Sprintf("cannot go on with run %s: another process has taken it over; `%s` says which", e.Run, self.Command("show", e.Run))
}

// ErrCode is the code of the failure.
func (e *FencedError) ErrCode() errcode.Code { return errcode.RunBusy }

// CorruptError says that a run's database cannot be believed.
type CorruptError struct {
	Path string
	Run  string
	Why  string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("cannot use %s: it is damaged: %s; what run %s made carries its tags and is found by `%s`", e.Path, e.Why, e.Run, self.Command("destroy", "--orphans"))
}

// ErrCode is the code of the failure.
func (e *CorruptError) ErrCode() errcode.Code { return errcode.StateDamaged }

// WriteError says that a run's file could not be written, such as on a full disk, or
// that its database was not reached, and what the run has made that exists outside.
type WriteError struct {
	Path  string
	Run   string
	Err   error
	Exist []string // labels of the things
	First string   // what is to be done first; "" is to make room
}

func (e *WriteError) Error() string {
	exist := "nothing of this run exists outside"
	if len(e.Exist) > 0 {
		exist = "still exist: " + strings.Join(e.Exist, ", ")
	}
	return fmt.Sprintf("cannot write %s: %v; %s; %s and `%s` or `%s`; `%s` finds by tags what exists, without these records", e.Path, e.Err, exist, cmp.Or(e.First, "make room"),
		self.Command("resume", e.Run), self.Command("destroy", e.Run), self.Command("destroy", "--orphans"))
}

// ErrCode is the code of the failure.
func (e *WriteError) ErrCode() errcode.Code { return errcode.StateUnwritable }

func (e *WriteError) Unwrap() error { return e.Err }
