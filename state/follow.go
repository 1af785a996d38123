package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// pollEvents is how often a follower looks for new events. A look at the end of
// a file costs microseconds.
const pollEvents = 50 * time.Millisecond

// Events returns the events of a run that stand behind a position in its event
// file, and the position behind the last of them; 0 is the beginning. An event
// that is being written is left for the next call.
func (h *Home) Events(id string, from int64) (events []dag.Event, next int64, err error) {
	next, err = h.EachEvent(id, from, func(e dag.Event) error { events = append(events, e); return nil })
	return events, next, err
}

// EachEvent is Events for who needs one at a time, and not all of a long run. It ends
// with the first error of fn, and with what stands there when it begins: a run may
// emit as fast as fn takes.
func (h *Home) EachEvent(id string, from int64, fn func(dag.Event) error) (next int64, err error) {
	r, err := h.reader(id)
	if err != nil || r.f == nil {
		return from, err
	}
	defer r.close()
	st, err := r.f.Stat()
	if err != nil {
		return from, fmt.Errorf("cannot read the events of run %s: %w", r.id, err)
	}
	r.at = from
	_, err = r.read(func(e dag.Event) error {
		if err := fn(e); err != nil {
			return err
		}
		if r.at >= st.Size() {
			return errThere
		}
		return nil
	})
	if errors.Is(err, errThere) {
		err = nil
	}
	return r.at, err
}

// errThere says that a reader is where it should go.
var errThere = errors.New("there")

// Follow calls fn with every event of a run, past and coming, until the run
// ends: its run-ended event arrives, or nobody drives it any more. It returns
// the error of fn or of ctx. The driver is never made to wait.
func (h *Home) Follow(ctx context.Context, id string, fn func(dag.Event) error) error {
	r, err := h.reader(id)
	if err != nil {
		return err
	}
	defer r.close()
	tick := time.NewTicker(pollEvents)
	defer tick.Stop()
	for past := true; ; past = false {
		driven := h.Driven(r.id) // asked before reading: what it wrote last is not missed
		last, err := r.read(fn)
		if err != nil {
			return err
		}
		// A run-ended event of the past may be followed by a resumed run.
		if !driven || last == dag.RunEnded && !past {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// eventReader reads an event file that may be growing. It remembers where the
// first line begins that it has not seen whole: a driver that takes over cuts a
// torn line off and writes another there.
type eventReader struct {
	id, path string
	f        *os.File
	at       int64
	buf      []byte
}

func (h *Home) reader(id string) (*eventReader, error) {
	id, err := h.Resolve(id)
	if err != nil {
		return nil, err
	}
	r := &eventReader{id: id, path: filepath.Join(h.RunDir(id), eventsFile), buf: make([]byte, 64<<10)}
	if r.f, err = openFile(r.path, os.O_RDONLY); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the events of run %s: %w", id, err)
	}
	return r, nil
}

func (r *eventReader) close() {
	if r.f != nil {
		r.f.Close()
	}
}

// read passes on every whole line from r.at, and returns the type of the last.
func (r *eventReader) read(fn func(dag.Event) error) (last dag.EventType, err error) {
	if r.f == nil {
		if r.f, err = openFile(r.path, os.O_RDONLY); errors.Is(err, fs.ErrNotExist) {
			return "", nil // the run has emitted nothing so far
		} else if err != nil {
			return "", fmt.Errorf("cannot read the events of run %s: %w", r.id, err)
		}
	}
	for {
		n, err := r.f.ReadAt(r.buf, r.at)
		if err != nil && err != io.EOF {
			return last, fmt.Errorf("cannot read the events of run %s: %w", r.id, err)
		}
		chunk := r.buf[:n]
		for {
			i := bytes.IndexByte(chunk, '\n')
			if i < 0 {
				break
			}
			e := r.event(chunk[:i])
			chunk, r.at, last = chunk[i+1:], r.at+int64(i)+1, e.Type
			if err := fn(e); err != nil {
				return last, err
			}
		}
		switch {
		case err == io.EOF:
			return last, nil
		case len(chunk) < len(r.buf):
		case len(chunk) < maxRecord: // one line fills the buffer
			r.buf = make([]byte, 2*len(r.buf))
		default:
			end, err := r.lineEnd()
			if err != nil || end == 0 {
				return last, err
			}
			e := r.damaged(end-r.at, errors.New("no event is that long"))
			r.at, last = end, e.Type
			if err := fn(e); err != nil {
				return last, err
			}
		}
	}
}

// lineEnd is the position behind the line at r.at, 0 if it has no end yet.
func (r *eventReader) lineEnd() (int64, error) {
	for at := r.at; ; {
		n, err := r.f.ReadAt(r.buf, at)
		if i := bytes.IndexByte(r.buf[:n], '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
		if err == io.EOF {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("cannot read the events of run %s: %w", r.id, err)
		}
		at += int64(n)
	}
}

// event decodes a line. One that a crash of the whole machine has spoilt is told
// rather than passed over, and hides none of the others.
func (r *eventReader) event(line []byte) (e dag.Event) {
	if err := json.Unmarshal(line, &e); err != nil {
		return r.damaged(int64(len(line)), err)
	}
	return e
}

// damaged tells of bytes at r.at that are no event.
func (r *eventReader) damaged(n int64, why error) dag.Event {
	text := fmt.Sprintf("%d bytes at %d of %s cannot be read: %v", n, r.at, r.path, why)
	return dag.Event{V: dag.EventVersion, Type: dag.Warned, Text: text}
}
