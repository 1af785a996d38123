package usual

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Bounds of what is kept, and believed.
const (
	maxThings = 128
	maxTimes  = 9
	maxBytes  = 512 // of the file, for each thing
	maxName   = 200 // bytes
	maxTime   = 48 * time.Hour
)

// Times are how long things took. Its methods may be called from many goroutines;
// nil knows nothing and learns nothing.
type Times struct {
	path string
	most int // things

	mu     sync.Mutex
	things []thing // the last noted first
	news   []thing // with the times that are not saved yet
}

// thing is one kind of wait, with its last times, the latest first.
type thing struct {
	What    string    `json:"what"`
	Seconds []float64 `json:"seconds"`
}

// Open reads the times that earlier processes have saved. It never fails: a file
// that cannot be read is as good as none. Without a path it returns nil.
func Open(path string) *Times { return OpenFor(path, maxThings) }

// OpenFor is Open for a file that remembers so many things.
func OpenFor(path string, most int) *Times {
	if path == "" {
		return nil
	}
	return &Times{path: path, most: most, things: read(path, most)}
}

// read returns what of the file makes sense.
func read(path string, most int) (things []thing) {
	maxFile := int64(most) * maxBytes
	if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []thing
	if b, err := io.ReadAll(io.LimitReader(f, maxFile)); err != nil || json.Unmarshal(b, &all) != nil {
		return nil
	}
	for _, t := range all[:min(len(all), most)] {
		t.Seconds = slices.DeleteFunc(t.Seconds, func(s float64) bool { return !(s >= 0 && s <= maxTime.Seconds()) })
		t.Seconds = t.Seconds[:min(len(t.Seconds), maxTimes)]
		if len(t.Seconds) > 0 && len(t.What) <= maxName {
			things = append(things, t)
		}
	}
	return things
}

// Of is when a thing usually ends: by what was noted under the first of its names
// that is known, else as published. The names go from the closest to the widest.
func (t *Times) Of(names []string, published Span) Span {
	if t == nil {
		return published
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, i := 0, -1
	for ; at < len(names) && i < 0; at++ {
		i = slices.IndexFunc(t.things, func(o thing) bool { return o.What == names[at] })
	}
	if i < 0 {
		return published
	}
	seen := slices.Sorted(slices.Values(t.things[i].Seconds))
	room := 0.1 // how far others may be from those that were seen, as a share
	switch {
	case len(seen) >= 5: // one that was odd does not count
		seen, room = seen[1:len(seen)-1], 0.05
	case len(seen) >= 3:
		room = 0.05
	}
	room *= float64(at) // wider, where it was something alike
	lo, hi := seen[0], seen[len(seen)-1]
	return Span{Lo: seconds(max(0, lo-max(0.2, room*lo))), Hi: seconds(hi + max(0.2, room*hi)), Known: true}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Note remembers how long a thing took, until it was seen to have ended, under each
// of its names.
func (t *Times) Note(names []string, took time.Duration) {
	if t == nil || took < 0 || took > maxTime {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := took.Round(10 * time.Millisecond).Seconds()
	for _, what := range slices.Backward(names) {
		if len(what) <= maxName {
			t.things = noted(t.things, thing{what, []float64{s}}, t.most)
			t.news = noted(t.news, thing{what, []float64{s}}, t.most)
		}
	}
}

// noted puts the times of one thing before its older ones, and it before the others.
func noted(things []thing, of thing, most int) []thing {
	if i := slices.IndexFunc(things, func(o thing) bool { return o.What == of.What }); i >= 0 {
		of.Seconds = slices.Concat(of.Seconds, things[i].Seconds)
		things = slices.Delete(slices.Clone(things), i, i+1)
	}
	of.Seconds = of.Seconds[:min(len(of.Seconds), maxTimes)]
	things = slices.Insert(slices.Clone(things), 0, of)
	return things[:min(len(things), most)]
}

// Save adds what was noted to what the file holds by now, which other processes
// may have saved. Of two that save at the same moment, one may be lost.
func (t *Times) Save() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.news) == 0 {
		return nil
	}
	all := read(t.path, t.most)
	for _, n := range slices.Backward(t.news) {
		all = noted(all, n, t.most)
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(t.path), ".times-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), t.path)
	}
	if err == nil {
		t.news = nil
	}
	return err
}
