package localfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Note says what was done to a local file, for whoever takes it elsewhere.
type Note struct {
	Path string      `json:"path"`           // absolute
	Gone bool        `json:"gone,omitempty"` // it was removed
	Add  *Addition   `json:"add,omitempty"`  // it is to get this; nil: what it holds counts
	Mode fs.FileMode `json:"mode,omitempty"` // of a new file that gets Add
}

// maxNotes bounds the notes in one file.
const maxNotes = 100_000

// maxNote bounds one note, in bytes.
const maxNote = 16 << 20

// AddNotes puts notes behind those in a file, which only this user can read.
func AddNotes(file string, ns ...Note) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for _, n := range ns {
		line, err := json.Marshal(n)
		if err != nil {
			return err
		}
		w.Write(append(line, '\n')) // Flush has its error
	}
	return w.Flush()
}

// Notes are those in a file, which need not be there.
func Notes(file string) (ns []Note, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxNote)
	for lines.Scan() {
		var n Note
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			return nil, err
		}
		if ns = append(ns, n); len(ns) > maxNotes {
			return nil, fmt.Errorf("more than %d files were written", maxNotes)
		}
	}
	return ns, lines.Err()
}
