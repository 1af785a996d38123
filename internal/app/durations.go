package app

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/usual"
	"github.com/imgflow/imgflow/state"
)

// mostDurations bounds the steps whose durations a home remembers: those of some
// fifty templates.
const mostDurations = 1024

// Durations are how long the steps of one template usually take, by the runs of it
// that a home has seen. Its methods may be called from many goroutines; nil knows
// nothing.
type Durations struct {
	times *usual.Times
	of    string // the template and where it is built, as a prefix of names

	mu   sync.Mutex
	seen map[string][]time.Duration // by name, what this run took, the last few
}

// DurationsOf is what a home knows of the template of a run.
func DurationsOf(home *state.Home, sum state.Summary) *Durations {
	return durations(home, sum.Template, sum.Local)
}

// Durations is what the session's home knows of its template; nil without a home.
func (s *Session) Durations() *Durations {
	if s.home == nil {
		return nil
	}
	return durations(s.home, s.req.Template, s.req.Local)
}

func durations(home *state.Home, template string, local bool) *Durations {
	name := sha256.Sum256([]byte(template))
	where := "cloud "
	if local {
		where = "local "
	}
	return &Durations{times: usual.OpenFor(filepath.Join(home.Dir(), "durations.json"), mostDurations), of: where + hex.EncodeToString(name[:6]),
		seen: map[string][]time.Duration{}}
}

// Of is when a step usually ends, counted from its beginning; the zero Span if no
// run of the template has done it. Builds of one template share what is known.
func (d *Durations) Of(kind, step string) usual.Span {
	if d == nil {
		return usual.Span{}
	}
	return d.times.Of([]string{d.name(kind, step)}, usual.Span{})
}

// note learns from an event. What is known already was done by nobody, and took no
// time.
func (d *Durations) note(e dag.Event) {
	if d == nil || e.Type != dag.Finished || e.Took <= 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name := d.name(e.Kind, e.Step)
	took := append(d.seen[name], e.Took)
	d.seen[name] = took[max(0, len(took)-mostOfARun):]
}

// mostOfARun bounds what one run teaches of a step, which each of a thousand builds
// may have: runs before it say something, too.
const mostOfARun = 3

// save keeps what was learned. What cannot be kept is a hint less.
func (d *Durations) save() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.seen)) {
		for _, took := range d.seen[name] {
			d.times.Note([]string{name}, took)
		}
	}
	d.times.Save()
}

func (d *Durations) name(kind, step string) string { return d.of + " " + kind + " " + step }
