package comm

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
)

var streamNames = [2]string{"stdout", "stderr"}

// journal prints a job's output to its task, every line once, and saves how far
// the job is. What was printed and where to go on are the same record, so they
// cannot differ; the rest is small, and on disk before anything follows from it.
type journal struct {
	t     *dag.Task
	tail  string // of the names of the streams and of what is saved
	token string
	saved runState
	open  time.Time // when this process asked for the run
	off   [2]int64  // up to which the streams have been printed
	part  [2][]byte // fetched behind that, not printed yet
	ended [2]bool   // the end mark has been seen
}

// runState is what a task saves of a run.
type runState struct {
	// Boot tells that the run has begun, and by what its machine's reboot is known:
	// a number of the boot's id, or on Windows when the run was first heard of, in
	// ms by our clock.
	Boot int64 `json:"boot,omitempty"`
	Exit *Exit `json:"exit,omitempty"`
}

const runSaved = "run"

func newJournal(t *dag.Task, token string) (*journal, error) {
	j := &journal{t: t, token: token, open: time.Now()}
	switch rest, ok := strings.CutPrefix(token, t.Token); {
	case token == t.Token:
	case ok:
		j.tail = "/" + strings.TrimPrefix(rest, "-")
	default:
		j.tail = "/" + token
	}
	for i, name := range streamNames {
		j.off[i] = t.Printed(name + j.tail)
	}
	found, err := t.Load(runSaved+j.tail, &j.saved)
	if !found && err == nil {
		j.saved = printedState(t, j.tail)
	}
	return j, err
}

func (j *journal) save(s runState) error {
	if err := j.t.Save(runSaved+j.tail, s); err != nil {
		return err
	}
	j.saved = s
	return nil
}

// rewind forgets what was fetched and not printed; it will be fetched again.
func (j *journal) rewind() { j.part, j.ended = [2][]byte{}, [2]bool{} }

func (j *journal) print(i int, end int64, line []byte) error {
	j.off[i] = end
	line = bytes.TrimSuffix(line, []byte{'\r'})
	return j.t.Print(streamNames[i]+j.tail, end, strings.ToValidUTF8(string(line), "\uFFFD"))
}

// write takes what follows in stream i. The runner's mark "\x01\nEND<token>\n"
// is the end of the stream; what comes behind it is of leftover daemons.
func (j *journal) write(i int, b []byte) error {
	if j.ended[i] {
		return nil
	}
	p := append(j.part[i], b...)
	for !j.ended[i] {
		n := bytes.IndexByte(p, '\n')
		line := p
		if n >= 0 {
			line = p[:n]
		}
		if cut := j.t.Break(bytes.TrimSuffix(line, []byte{1})); cut > 0 { // what may be the mark stays whole
			if err := j.print(i, j.off[i]+int64(cut), p[:cut]); err != nil {
				return err
			}
			p = p[cut:]
			continue
		}
		if n < 0 {
			break
		}
		rest := p[n+1:]
		if n > 0 && p[n-1] == 1 {
			end := "END" + j.token + "\n"
			if len(rest) < len(end) && strings.HasPrefix(end, string(rest)) {
				break // cannot tell yet
			}
			if bytes.HasPrefix(rest, []byte(end)) {
				j.ended[i] = true
				if n > 1 {
					if err := j.print(i, j.off[i]+int64(n-1), line[:n-1]); err != nil {
						return err
					}
				}
				break
			}
		}
		if err := j.print(i, j.off[i]+int64(n)+1, line); err != nil {
			return err
		}
		p = rest
	}
	if j.ended[i] {
		p = nil
	}
	j.part[i] = append([]byte(nil), p...)
	return nil
}

// flush prints what a lost run has left behind its last line end.
func (j *journal) flush() error {
	for i, p := range j.part {
		if len(p) == 0 || j.ended[i] {
			continue
		}
		if err := j.print(i, j.off[i]+int64(len(p)), p); err != nil {
			return err
		}
	}
	j.rewind()
	return nil
}

// finish saves the job's end; when it returns, the machine may forget the run. The
// lines come first: whoever finds the end does not look for more of them.
func (j *journal) finish(x Exit) error {
	if err := j.flush(); err != nil {
		return err
	}
	if err := j.t.Sync(); err != nil {
		return err
	}
	return j.save(runState{Boot: j.saved.Boot, Exit: &x})
}

// finished gives back what finish has saved.
func (j *journal) finished() (Exit, bool) {
	if j.saved.Exit == nil {
		return Exit{}, false
	}
	return *j.saved.Exit, true
}

// warnNotRemoved takes the outcome of removing a finished run's files: that they stay is
// told, and is no failure of the run.
func (j *journal) warnNotRemoved(ctx context.Context, m Machine, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	j.t.Warn("cannot remove the files of a finished run from %s: %v", m.label(), err)
	return nil
}

// begun saves that the run exists, and in which boot of the machine.
func (j *journal) begun(boot string) error {
	n := bootNumber(boot)
	if j.saved.Boot == n {
		return nil
	}
	return j.save(runState{Boot: n})
}

// boot is 0 for a run of which nothing is known.
func (j *journal) boot() int64 { return j.saved.Boot }
