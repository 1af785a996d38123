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

// journal is the event file as its writer sees it: whole lines only.
type journal struct {
	path string

	mu      sync.Mutex
	f       *os.File
	size    int64
	offsets map[streamOf]int64

	syncing sync.Mutex
	synced  int64
}

type streamOf struct{ token, stream string }

// openJournal opens the event file to append to it. A last line that a crash
// has cut short is cut off, and the offsets of all streams are read back.
func openJournal(path string) (*journal, error) {
	f, err := openFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("cannot open the events of the run: %w", err)
	}
	j := &journal{path: path, f: f, offsets: map[streamOf]int64{}}
	if err := j.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return j, nil
}

func (j *journal) load() error {
	r := bufio.NewReaderSize(j.f, 1<<20)
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
			return j.f.Truncate(j.size)
		case err != nil:
			return err
		}
		j.size += n + int64(len(line))
		if n <= maxRecord {
			j.learn(append(long, line...))
		}
		long, n = long[:0], 0
	}
}

var printedMark = []byte(`"type":"` + string(dag.Printed) + `"`)

// learn takes the offset of a printed line. It looks for the fields itself,
// since a long log would take seconds to decode: inside a JSON string a quote
// is always escaped, so these texts stand nowhere but at a field.
func (j *journal) learn(line []byte) {
	if !bytes.Contains(line, printedMark) {
		return
	}
	offset, err := strconv.ParseInt(string(field(line, `"offset":`, `,}`)), 10, 64)
	if err != nil {
		return
	}
	s := streamOf{string(field(line, `"token":"`, `"`)), string(field(line, `"stream":"`, `"`))}
	if s.token != "" {
		j.offsets[s] = offset
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

func (j *journal) emit(e dag.Event) error {
	b := encoders.Get().(*bytes.Buffer)
	defer encoders.Put(b)
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.f.Write(b.Bytes()); err != nil {
		// Half a line must not stand before the next one. Shrinking a file needs
		// no room.
		return errors.Join(err, j.f.Truncate(j.size))
	}
	j.size += int64(b.Len())
	if e.Type == dag.Printed {
		j.offsets[streamOf{e.Token, e.Stream}] = e.Offset
	}
	return nil
}

// sync makes what has been written so far durable; many at once share an fsync.
func (j *journal) sync() error {
	j.mu.Lock()
	want := j.size
	j.mu.Unlock()
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= want {
		return nil
	}
	j.mu.Lock()
	size := j.size
	j.mu.Unlock()
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.synced = size
	return nil
}

func (j *journal) offset(token, stream string) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.offsets[streamOf{token, stream}]
}

func (j *journal) close() error { return errors.Join(j.sync(), j.f.Close()) }
