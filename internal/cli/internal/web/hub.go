package web

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
)

// How often a follower looks at the files of its run, and how long it stays when nobody
// looks at it: a page that was just loaded asks for its stream.
const (
	lookAgain = 200 * time.Millisecond
	idle      = 10 * time.Second
)

// hub has a follower for each run that somebody looks at.
type hub struct {
	home *state.Home

	mu   sync.Mutex
	runs map[string]*follower
}

// follower folds what happens in a run into a view.
type follower struct {
	id     string
	ready  chan struct{} // closed when all that there was is in the view
	cancel context.CancelFunc

	mu      sync.Mutex
	users   int
	left    time.Time
	view    *runview.View
	sum     state.Summary
	err     error // why the events cannot be read
	version int   // of what is shown; grows with each change
	changed chan struct{}
	made    map[string]rendered
}

// rendered is what was made of a version: all who look share it.
type rendered struct {
	version int
	html    []byte
	took    time.Duration
}

// follow is the follower of a run; release gives it back.
func (h *hub) follow(id string) *follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.runs[id]
	if f == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f = &follower{id: id, ready: make(chan struct{}), cancel: cancel, view: runview.New(), changed: make(chan struct{}), made: map[string]rendered{}}
		h.runs[id] = f
		go h.keepUp(ctx, f)
	}
	f.mu.Lock()
	f.users++
	f.mu.Unlock()
	return f
}

func (f *follower) release() {
	f.mu.Lock()
	f.users--
	f.left = time.Now()
	f.mu.Unlock()
}

// close ends all followers.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.runs {
		f.cancel()
	}
}

// keepUp reads the run until nobody looks at it.
func (h *hub) keepUp(ctx context.Context, f *follower) {
	defer f.cancel()
	var at int64
	var ticked time.Time
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var driven bool
	for first := true; ; first = false {
		held := h.home.Driven(f.id)
		news := held != driven // when its driver has left, its records can be read
		driven = held
		var err error
		at, err = h.home.EachEvent(f.id, at, func(e dag.Event) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.view.Apply(e)
			news = true
			return ctx.Err()
		})
		sum, sumErr := h.home.Summary(f.id)
		if sumErr != nil { // it may be forgotten by now
			sum = state.Summary{ID: f.id, Status: state.Unreadable, Problem: sumErr.Error()}
		}
		f.mu.Lock()
		if news || first || sum.Status != f.sum.Status || !sum.Updated.Equal(f.sum.Updated) || sum.Problem != f.sum.Problem || fmt.Sprint(err) != fmt.Sprint(f.err) ||
			sum.Status == state.Running && time.Since(ticked) >= time.Second {
			f.sum, f.err, ticked = sum, err, time.Now()
			f.change()
		}
		over := f.users == 0 && time.Since(f.left) > idle
		f.mu.Unlock()
		if first {
			close(f.ready)
		}
		if over && h.drop(f) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// change tells all who wait that there is something new. The lock is held.
func (f *follower) change() {
	f.version++
	close(f.changed)
	f.changed = make(chan struct{})
}

// touch is a change of what stands beside the run: a command that was begun or has ended.
func (h *hub) touch(id string) {
	h.mu.Lock()
	f := h.runs[id]
	h.mu.Unlock()
	if f != nil {
		f.mu.Lock()
		f.change()
		f.mu.Unlock()
	}
}

// drop forgets a follower unless somebody has come meanwhile.
func (h *hub) drop(f *follower) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users > 0 {
		return false
	}
	delete(h.runs, f.id)
	return true
}

// next is what there is after a version that was seen, made by make once for all who ask under a
// name. It waits for it as long as ctx lives.
func (f *follower) next(ctx context.Context, seen int, name string, make func(*runview.View, state.Summary) ([]byte, error)) (rendered, error) {
	select {
	case <-f.ready:
	case <-ctx.Done():
		return rendered{}, ctx.Err()
	}
	f.mu.Lock()
	for f.version == seen {
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return rendered{}, ctx.Err()
		}
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	if r, ok := f.made[name]; ok && r.version == f.version {
		return r, nil
	}
	if f.err != nil {
		return rendered{}, fmt.Errorf("cannot follow run %s: %w", f.id, f.err)
	}
	began := time.Now()
	html, err := make(f.view, f.sum)
	if err != nil {
		return rendered{}, err
	}
	if len(f.made) > maxMade {
		clear(f.made)
	}
	r := rendered{f.version, bytes.Clone(html), time.Since(began)}
	f.made[name] = r
	return r, nil
}

// maxMade bounds what a follower keeps of what it has made: one for each build that is looked at.
const maxMade = 64
