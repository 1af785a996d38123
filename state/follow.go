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
	"time"

	"github.com/imgflow/imgflow/dag"
)

// pollEvents is how soon a follower looks for new events again, and mostPoll how soon if
// there were none for a while: many may follow what one database has.
const (
	pollEvents = 50 * time.Millisecond
	mostPoll   = 4 * pollEvents
)

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
	id, err = h.Resolve(id)
	if err != nil {
		return from, err
	}
	events, err := h.backend.Events(id)
	if err != nil {
		return from, err
	}
	defer events.Close()
	end, err := events.End()
	if err != nil || from >= end {
		return from, err
	}
	next = from
	err = events.Each(from, func(e dag.Event, behind int64) error {
		next = behind
		if err := fn(e); err != nil {
			return err
		}
		if next >= end {
			return errThere
		}
		return nil
	})
	if errors.Is(err, errThere) {
		err = nil
	}
	return next, err
}

// errThere says that a reader is where it should go.
var errThere = errors.New("there")

// Follow calls fn with every event of a run, past and coming, until the run
// ends: its run-ended event arrives, or nobody drives it any more. It returns
// the error of fn or of ctx. The driver is never made to wait.
func (h *Home) Follow(ctx context.Context, id string, fn func(dag.Event) error) error {
	id, err := h.Resolve(id)
	if err != nil {
		return err
	}
	events, err := h.backend.Events(id)
	if err != nil {
		return err
	}
	defer events.Close()
	var at int64
	wait := pollEvents
	for past := true; ; past = false {
		driven := h.Driven(id) // asked before reading: what it wrote last is not missed
		var last dag.EventType
		if err := events.Each(at, func(e dag.Event, next int64) error {
			at, last = next, e.Type
			return fn(e)
		}); err != nil {
			return err
		}
		// A run-ended event of the past may be followed by a resumed run.
		if !driven || last == dag.RunEnded && !past {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		if wait = min(2*wait, mostPoll); last != "" {
			wait = pollEvents
		}
	}
}

// eventReader reads an event file that may be growing. It passes on whole lines only:
// a driver that takes over cuts a torn line off and writes another there.
type eventReader struct {
	id, path string
	f        *os.File
	at       int64
	buf      []byte
}

// open opens the file, if the run has emitted something.
func (r *eventReader) open() (err error) {
	if r.f, err = openFile(r.path, os.O_RDONLY); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the events of run %s: %w", r.id, err)
	}
	return nil
}

func (r *eventReader) Close() {
	if r.f != nil {
		r.f.Close()
	}
}

func (r *eventReader) End() (int64, error) {
	if r.f == nil {
		return 0, nil
	}
	st, err := r.f.Stat()
	if err != nil {
		return 0, fmt.Errorf("cannot read the events of run %s: %w", r.id, err)
	}
	return st.Size(), nil
}

func (r *eventReader) Each(from int64, fn func(e dag.Event, next int64) error) error {
	if r.f == nil {
		if err := r.open(); err != nil || r.f == nil {
			return err
		}
	}
	for r.at = from; ; {
		n, err := r.f.ReadAt(r.buf, r.at)
		if err != nil && err != io.EOF {
			return fmt.Errorf("cannot read the events of run %s: %w", r.id, err)
		}
		chunk := r.buf[:n]
		for {
			i := bytes.IndexByte(chunk, '\n')
			if i < 0 {
				break
			}
			e := r.event(chunk[:i])
			chunk, r.at = chunk[i+1:], r.at+int64(i)+1
			if err := fn(e, r.at); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case len(chunk) < len(r.buf):
		case len(chunk) < maxRecord: // one line fills the buffer
			r.buf = make([]byte, 2*len(r.buf))
		default:
			end, err := r.lineEnd()
			if err != nil || end == 0 {
				return err
			}
			e := r.damaged(end-r.at, errors.New("no event is that long"))
			r.at = end
			if err := fn(e, r.at); err != nil {
				return err
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
