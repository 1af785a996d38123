package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/imgflow/imgflow/dag"
)

const eventsFile = "events.jsonl"

// eventWriter is the event file as its writer sees it: whole lines only.
type eventWriter struct {
	path string

	mu      sync.Mutex
	f       *os.File
	size    int64
	offsets map[streamOf]int64

	syncing sync.Mutex
	synced  int64
}

type streamOf struct{ token, stream string }

// openEventWriter opens the event file to append to it. A last line that a crash
// has cut short is cut off, and the offsets of all streams are read back.
func openEventWriter(path string) (*eventWriter, error) {
	f, err := openFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("cannot open the events of the run: %w", err)
	}
	w := &eventWriter{path: path, f: f, offsets: map[streamOf]int64{}}
	if err := w.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return w, nil
}

func (w *eventWriter) load() error {
	r := bufio.NewReaderSize(w.f, 1<<20)
	var long []byte // the beginning of a line that is longer than the buffer
	var n int64     // its length
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if n += int64(len(line)); n <= maxRecord { // a longer one is damage: only its length matters
				long = append(long, line...)
			}
			continue
		case errors.Is(err, io.EOF):
			if int64(len(line))+n == 0 {
				return nil
			}
			return w.f.Truncate(w.size)
		case err != nil:
			return err
		}
		w.size += n + int64(len(line))
		if n <= maxRecord {
			w.learn(append(long, line...))
		}
		long, n = long[:0], 0
	}
}

var printedMark = []byte(`"type":"` + string(dag.Printed) + `"`)

// learn takes the offset of a printed line. It looks for the fields itself,
// since a long log would take seconds to decode: inside a JSON string a quote
// is always escaped, so these texts stand nowhere but at a field.
func (w *eventWriter) learn(line []byte) {
	if !bytes.Contains(line, printedMark) {
		return
	}
	offset, err := strconv.ParseInt(string(field(line, `"offset":`, `,}`)), 10, 64)
	if err != nil {
		return
	}
	s := streamOf{string(field(line, `"token":"`, `"`)), string(field(line, `"stream":"`, `"`))}
	if s.token != "" {
		w.offsets[s] = offset
	}
}

func field(line []byte, name, end string) []byte {
	i := bytes.Index(line, []byte(name))
	if i < 0 {
		return nil
	}
	rest := line[i+len(name):]
	return rest[:max(0, bytes.IndexAny(rest, end))]
}

var encoders = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (w *eventWriter) emit(e dag.Event) error {
	b := encoders.Get().(*bytes.Buffer)
	defer encoders.Put(b)
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.f.Write(b.Bytes()); err != nil {
		// Half a line must not stand before the next one. Shrinking a file needs
		// no room.
		return errors.Join(err, w.f.Truncate(w.size))
	}
	w.size += int64(b.Len())
	if e.Type == dag.Printed {
		w.offsets[streamOf{e.Token, e.Stream}] = e.Offset
	}
	return nil
}

// sync makes what has been written so far durable; many at once share an fsync.
func (w *eventWriter) sync() error {
	w.mu.Lock()
	want := w.size
	w.mu.Unlock()
	w.syncing.Lock()
	defer w.syncing.Unlock()
	if w.synced >= want {
		return nil
	}
	w.mu.Lock()
	size := w.size
	w.mu.Unlock()
	if err := w.f.Sync(); err != nil {
		return err
	}
	w.synced = size
	return nil
}

func (w *eventWriter) offset(token, stream string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offsets[streamOf{token, stream}]
}

func (w *eventWriter) close() error { return errors.Join(w.sync(), w.f.Close()) }
