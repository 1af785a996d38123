package ec2local

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// freeze makes the oldest snapshot that waits for the instance's guest. It is
// done before any change of the instance's state, so that a snapshot holds
// what was there when it was asked for. A crash between the guest's freezing
// and the storing of its layers costs nothing: freezing again yields the same
// content with one empty layer more.
func (x *life) freeze(ctx context.Context, i *instance) (bool, error) {
	var asked *snapshot
	err := x.s.view(func(t *txn) error {
		for _, s := range all[snapshot](t, x.region) {
			if s.Freeze == x.id && !s.Frozen && s.State == "pending" && (asked == nil || s.Created.Before(asked.Created)) {
				asked = s
			}
		}
		return nil
	})
	if err != nil || asked == nil {
		return false, err
	}
	layers, err := x.layers(ctx, i, asked.Quiet)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		x.s.logf("%s %s cannot freeze %s: %v", x.region, asked.ID, x.id, err)
	}
	err = x.s.update(func(t *txn) error {
		if i := get[instance](t, x.region, x.id); i != nil && err == nil {
			i.Layers = layers
			put(t, i)
		}
		t.keepLayers(layers)
		if s := get[snapshot](t, x.region, asked.ID); s != nil {
			s.Frozen, s.Freeze, s.Layers = true, "", layers
			if err != nil {
				s.State, s.Message = "error", err.Error()
			}
			put(t, s)
		}
		return nil
	})
	x.s.tick()
	x.s.sweep()
	return true, err
}

func (x *life) layers(ctx context.Context, i *instance, quiet bool) ([]string, error) {
	m, err := x.open(i)
	if err != nil {
		return nil, err
	}
	if quiet && i.State == running || i.State == stopping {
		// Whoever waits for the instance finds it as it was: keepRunning boots it.
		if err := x.halt(ctx); err != nil {
			return nil, err
		}
	}
	return m.Freeze(ctx)
}

// keepLayers notes layers that exist, so that the sweep knows of them.
func (t *txn) keepLayers(layers []string) {
	for _, l := range layers {
		t.write("layer", []byte(l), true)
	}
}

// tick brings snapshots, images and volumes to the state that is due, and sets
// the clock for the next that will be.
func (s *Server) tick() {
	if s.ctx.Err() != nil {
		return
	}
	// One at a time: one that looked earlier must not take the timer from one that
	// has seen more.
	s.life.ticking.Lock()
	defer s.life.ticking.Unlock()
	next := time.Time{}
	later := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	busy := false
	err := s.view(func(t *txn) error {
		busy = t.unfinished()
		return nil
	})
	if err == nil && busy {
		err = s.update(func(t *txn) error {
			t.advance(later)
			return nil
		})
	}
	if err != nil {
		if s.ctx.Err() == nil {
			s.logf("cannot go on: %v", err)
		}
		return
	}
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if s.life.tick != nil {
		s.life.tick.Stop()
		s.life.tick = nil
	}
	if !next.IsZero() && s.ctx.Err() == nil {
		s.life.tick = time.AfterFunc(max(time.Millisecond, next.Sub(s.now())), func() {
			s.spawn(s.tick)
		})
	}
}

func (t *txn) unfinished() bool {
	return slices.ContainsFunc(all[snapshot](t, ""), func(s *snapshot) bool { return s.State == "pending" }) ||
		slices.ContainsFunc(all[image](t, ""), func(m *image) bool { return m.State == "pending" }) ||
		slices.ContainsFunc(all[volume](t, ""), func(v *volume) bool { return v.State == "creating" })
}

func (t *txn) advance(later func(time.Time)) {
	for _, s := range all[snapshot](t, "") {
		switch {
		case s.State != "pending" || !s.Frozen:
		case t.now.Before(s.Due):
			later(s.Due)
		default:
			s.State, s.Done = "completed", t.now.UTC()
			put(t, s)
		}
	}
	for _, m := range all[image](t, "") {
		if m.State != "pending" {
			continue
		}
		ready := true
		for _, d := range m.Mappings {
			s := get[snapshot](t, m.Region, d.Snapshot)
			switch {
			case d.Snapshot == "": // no content: instance storage, or an empty volume
			case s == nil || s.State == "error":
				ready = false
				m.State, m.Reason = "failed", "Client.InternalError: Client error on launch"
				if s != nil {
					m.Reason = "Client.InternalError: " + s.Message
				}
			case s.State != "completed":
				ready = false
			}
		}
		switch {
		case m.State == "failed":
		case !ready:
			continue
		case t.now.Before(m.Due):
			later(m.Due)
			continue
		default:
			m.State = "available"
		}
		put(t, m)
		t.s.logf("%s %s pending -> %s", m.Region, m.ID, m.State)
	}
	for _, v := range all[volume](t, "") {
		switch {
		case v.State != "creating":
		case t.now.Before(v.Due):
			later(v.Due)
		default:
			v.State = "available"
			put(t, v)
		}
	}
}

// sweep removes the layers that nothing stands on any more.
func (s *Server) sweep() {
	if s.guests == nil {
		return
	}
	s.spawn(func() {
		s.sweepMu.Lock()
		defer s.sweepMu.Unlock()
		var idle []string
		err := s.view(func(t *txn) error {
			idle = t.idleLayers()
			return nil
		})
		if err != nil {
			return
		}
		for _, l := range idle {
			if s.ctx.Err() != nil {
				return
			}
			if err := s.guests.RemoveLayer(s.ctx, l); err != nil {
				s.logf("cannot remove layer %s: %v", l, err)
				continue
			}
			if err := s.update(func(t *txn) error { t.remove("layer", []byte(l)); return nil }); err != nil {
				return
			}
		}
	})
}

func (t *txn) idleLayers() []string {
	used := map[string]bool{}
	use := func(layers []string) {
		for _, l := range layers {
			used[l] = true
		}
	}
	for _, s := range all[snapshot](t, "") {
		use(s.Layers)
	}
	for _, v := range all[volume](t, "") {
		use(v.Layers)
	}
	for _, i := range all[instance](t, "") {
		use(i.Layers)
	}
	var idle []string
	c := t.Bucket([]byte("layer")).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if !used[string(k)] {
			idle = append(idle, string(k))
		}
	}
	return idle
}

// Export writes what an image holds as a tar stream. The image is one that was
// made here; a public one has nothing of its own.
func (s *Server) Export(w io.Writer, imageID string) error {
	var found *image
	var layers []string
	err := s.view(func(t *txn) error {
		for _, m := range all[image](t, "") {
			if m.ID != imageID {
				continue
			}
			found = m
			if r := m.root(); r != nil {
				if sn := get[snapshot](t, m.Region, r.Snapshot); sn != nil {
					layers = sn.Layers
				}
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case found == nil && slices.ContainsFunc(regions, func(r string) bool {
		return slices.ContainsFunc(catalogue(r), func(m *image) bool { return m.ID == imageID })
	}):
		return fmt.Errorf("cannot export %s: it is a public image, which holds nothing of its own here", imageID)
	case found == nil:
		return fmt.Errorf("cannot export %s: there is no such image", imageID)
	case found.State != "available":
		return fmt.Errorf("cannot export %s: it is %s", imageID, found.State)
	case s.guests == nil || len(layers) == 0:
		return fmt.Errorf("cannot export %s: no guest stood behind it", imageID)
	}
	if err := s.guests.Export(s.ctx, w, layers); err != nil {
		return fmt.Errorf("cannot export %s: %w", imageID, err)
	}
	return nil
}
