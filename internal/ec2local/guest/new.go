package guest

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Kinds are the words that NewHost takes.
var Kinds = []string{"auto", "sandbox", "process", "none"}

// NewHost opens the guests of one server in dir, which is made if need be, with
// mode 0700, and is locked until Close: two servers cannot share it.
//
// kind is sandbox, process, none, or auto. Auto (also "") is the sandbox where
// Probe passes and an error otherwise: a guest that is not contained is never
// chosen in silence.
//
// windows is what Windows guests are, of any kind but none; nil: there are none.
func NewHost(kind, dir string, windows Windows) (Host, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s for guests: %w", dir, err)
	}
	switch kind {
	case "", "auto":
		if err := Probe(dir); err != nil {
			return nil, fmt.Errorf("%w; or choose --guest process (scripts run as you, not contained) or --guest none (the API alone)", err)
		}
		return newSandbox(dir, windows)
	case "sandbox":
		if err := Probe(dir); err != nil {
			return nil, err
		}
		return newSandbox(dir, windows)
	case "process":
		return newProcess(dir, windows)
	case "none":
		return newNone(dir)
	}
	return nil, fmt.Errorf("cannot make guests of kind %q: choose auto, sandbox, process or none", kind)
}

// Probe tries in dir all that a sandbox guest needs. A nil error means that one
// can run; any other says what is missing and what to do about it.
func Probe(dir string) error {
	s, err := openStore(dir)
	if err == nil {
		err = probe(s.dir)
		s.close()
	}
	if err != nil {
		return fmt.Errorf("cannot run sandbox guests: %w", err)
	}
	return nil
}

// Limits says in a line what the guests of h cannot do or do not protect from,
// for a server to print when it starts.
func Limits(h Host) string {
	if l, ok := h.(interface{ limits() string }); ok {
		return l.limits()
	}
	return ""
}

// errRunning is the answer to what needs a guest at rest.
var errRunning = errors.New("the guest is running")

// errStopped is the answer to what needs a guest that runs.
var errStopped = errors.New("the guest is not running")
