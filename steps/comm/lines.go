package comm

import (
	"bytes"
	"context"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

var streamNames = [2]string{"stdout", "stderr"}

// journal prints a job's output to its task, every line once. What was printed
// and where to go on are the same record, so they cannot differ.
type journal struct {
	t     *dag.Task
	tail  string // of the stream names
	token string
	off   [2]int64  // up to which the streams have been printed
	part  [2][]byte // fetched behind that, not printed yet
	ended [2]bool   // the end mark has been seen
}

// streams that no reader shows: they hold numbers in place of an offset.
const (
	exitStream = "exit"
	bootStream = "exit-boot" // which boot of the machine the run began in: it has begun
)

func newJournal(t *dag.Task, token string) *journal {
	j := &journal{t: t, token: token}
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
	return j
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

// An exit is kept as the number 1 + code + signal<<16 + flags<<32. A code that
// does not fit, as those of Windows may, fills all the 32 bits.
const (
	flagOOM = 1 << (32 + iota)
	flagTruncated
	flagRebooted
	flagWide
	flagUnread
)

// finish keeps the job's end; when it returns, the machine may forget the run.
func (j *journal) finish(x Exit) error {
	n := int64(1+x.Code) + int64(x.Signal)<<16
	if x.Code < 0 || x.Code >= 0xffff {
		n = flagWide | int64(uint32(x.Code))
	}
	for _, f := range []struct {
		set bool
		bit int64
	}{{x.OOM, flagOOM}, {x.Truncated, flagTruncated}, {x.Rebooted, flagRebooted}, {x.Unread, flagUnread}} {
		if f.set {
			n |= f.bit
		}
	}
	if err := j.flush(); err != nil {
		return err
	}
	if err := j.t.Print(exitStream+j.tail, n, x.String()); err != nil {
		return err
	}
	return j.t.Sync()
}

// finished gives back what finish has kept.
func (j *journal) finished() (Exit, bool) {
	n := j.t.Printed(exitStream + j.tail)
	if n == 0 {
		return Exit{}, false
	}
	x := Exit{
		Code:      int(n&0xffff) - 1,
		Signal:    int(n >> 16 & 0xffff),
		OOM:       n&flagOOM != 0,
		Truncated: n&flagTruncated != 0,
		Rebooted:  n&flagRebooted != 0,
		Unread:    n&flagUnread != 0,
	}
	if n&flagWide != 0 {
		x.Code, x.Signal = int(int32(uint32(n))), 0
	}
	return x, true
}

// swept takes the outcome of removing a finished run's files: that they stay is
// told, and is no failure of the run.
func (j *journal) swept(ctx context.Context, m Machine, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	j.t.Warn("cannot remove the files of a finished run from %s: %v", m.label(), err)
	return nil
}

// begun keeps that the run exists, and in which boot of the machine.
func (j *journal) begun(boot string) error {
	if j.boot() == bootNumber(boot) {
		return nil
	}
	return j.t.Print(bootStream+j.tail, bootNumber(boot), "")
}

// boot is the number of the boot in which the run began, 0 for a run of which
// nothing is known.
func (j *journal) boot() int64 { return j.t.Printed(bootStream + j.tail) }
