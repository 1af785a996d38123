package localfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Addition is what somebody adds to a file that others add to, too: a line, or an entry of
// a manifest as Packer has it.
type Addition struct {
	Line  string          `json:"line,omitempty"`  // with its end
	Entry json.RawMessage `json:"entry,omitempty"` // in place of a line
	Run   string          `json:"run,omitempty"`   // whose entry it is
	Alone bool            `json:"alone,omitempty"` // entries of other runs go
}

// manifest is a file of entries.
type manifest struct {
	Builds  []json.RawMessage `json:"builds"`
	LastRun string            `json:"last_run_uuid"`
}

func readManifest(text []byte) (m manifest, err error) {
	if len(bytes.TrimSpace(text)) > 0 {
		if err = json.Unmarshal(text, &m); err != nil {
			err = fmt.Errorf("what it holds is no manifest (%w): move it away, or give another output", err)
		}
	}
	return m, err
}

// Count tells how often a text has it already.
func (a Addition) Count(text []byte) (n int, err error) {
	if a.Entry == nil {
		return strings.Count("\n"+string(text), "\n"+a.Line), nil
	}
	m, err := readManifest(text)
	if err != nil || a.Alone && m.LastRun != a.Run {
		return 0, err
	}
	for _, b := range m.Builds {
		var flat bytes.Buffer
		if err := json.Compact(&flat, b); err != nil {
			return 0, err
		}
		if bytes.Equal(flat.Bytes(), a.Entry) {
			n++
		}
	}
	return n, nil
}

// Add is a text with additions, which are all lines or all entries.
func Add(text []byte, as ...Addition) ([]byte, error) {
	text = bytes.Clone(text)
	if len(as) == 0 || as[0].Entry == nil {
		if len(as) > 0 && len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			text = append(text, '\n')
		}
		for _, a := range as {
			text = append(text, a.Line...)
		}
		return text, nil
	}
	m, err := readManifest(text)
	if err != nil {
		return nil, err
	}
	for _, a := range as {
		if a.Entry == nil {
			return nil, errors.New("a line cannot be added to a manifest")
		}
		if a.Alone && m.LastRun != a.Run {
			m.Builds = nil
		}
		m.Builds, m.LastRun = append(m.Builds, a.Entry), a.Run
	}
	return json.MarshalIndent(m, "", "  ")
}

// maxShared bounds a file that is added to, in bytes.
const maxShared = 64 << 20

// Amend changes a file that others change, too, each in turn: change is told what it
// holds, and returns what it shall hold, or nothing if that is as it is. A new file
// has the mode; one that is there keeps its own, but for others' if the mode has none.
func Amend(ctx context.Context, path string, mode fs.FileMode, change func(was []byte) ([]byte, error)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := Lock(ctx, filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	var was []byte
	switch fi, err := os.Stat(path); {
	case err == nil:
		if was, err = Read(path, maxShared); err != nil {
			return err
		}
		if keeps := fi.Mode().Perm(); mode&0o077 == 0 {
			mode = keeps &^ 0o077 // it will hold what others shall not read
		} else {
			mode = keeps
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	will, err := change(was)
	if err != nil || will == nil {
		return err
	}
	return Replace(path, will, mode, true)
}
