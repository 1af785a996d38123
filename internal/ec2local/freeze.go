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
		for _, s := range having[snapshot](t, x.region, mark{"freeze", x.id}) {
			if asked == nil || s.Created.Before(asked.Created) {
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
	failure := err
	err = x.s.update(func(t *txn) error {
		if i := get[instance](t, x.region, x.id); i != nil && failure == nil {
			i.Layers = layers
			put(t, i)
		}
		t.keepLayers(layers)
		if s := get[snapshot](t, x.region, asked.ID); s != nil {
			s.Frozen, s.Freeze, s.Layers = true, "", layers
			if failure != nil {
				s.State, s.Message = "error", failure.Error()
				for _, m := range having[image](t, x.region, mark{"snapshot", s.ID}) {
					m.Due = t.now // it fails at once
					put(t, m)
				}
			}
			put(t, s)
		}
		return nil
	})
	x.s.tick.ring()
	x.s.sweep.ring()
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

// advances brings snapshots, images and volumes to the state that is due, as long
// as the server lives.
func (s *Server) advances() {
	for {
		next, err := s.advance()
		if err != nil && s.ctx.Err() == nil {
			s.logf("cannot go on: %v", err)
		}
		var at <-chan time.Time
		if !next.IsZero() {
			at = time.After(max(time.Millisecond, next.Sub(s.now())))
		}
		select {
		case <-s.tick:
		case <-at:
		case <-s.ctx.Done():
			return
		}
	}
}

// advance does what is due, and returns when something will be; zero is never.
func (s *Server) advance() (next time.Time, err error) {
	busy := false
	err = s.view(func(t *txn) error {
		busy, next = t.overdue()
		return nil
	})
	if err != nil || !busy {
		return next, err
	}
	var done time.Time // until when all is done: what is due since then is next
	if err := s.update(func(t *txn) error { t.advance(); done = t.now; return nil }); err != nil {
		return next, err
	}
	err = s.view(func(t *txn) error {
		t.now = done
		_, next = t.overdue()
		return nil
	})
	return next, err
}

// overdue tells whether the time of something has come, and when that of the next
// comes.
func (t *txn) overdue() (now bool, next time.Time) {
	add := func(n int, at time.Time) {
		now = now || n > 0
		if next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	ss, at := due[snapshot](t)
	add(len(ss), at)
	ms, at := due[image](t)
	add(len(ms), at)
	vs, at := due[volume](t)
	add(len(vs), at)
	is, at := due[importTask](t)
	add(len(is), at)
	return now, next
}

func (t *txn) advance() {
	ss, _ := due[snapshot](t)
	for _, s := range ss {
		if s.State, s.Done = "completed", t.now.UTC(); s.Trouble != "" {
			s.State, s.Done, s.Message = "error", time.Time{}, s.Trouble
		}
		put(t, s)
	}
	ms, _ := due[image](t)
	for _, m := range ms {
		m.State = "available"
		for _, d := range m.Mappings {
			s := get[snapshot](t, m.Region, d.Snapshot)
			switch {
			case d.Snapshot == "": // no content: instance storage, or an empty volume
			case s == nil || s.State == "error":
				m.State, m.Reason = "failed", "Client.InternalError: Client error on launch"
				if s != nil {
					m.Reason = "Client.InternalError: " + s.Message
				}
			case s.State != "completed" && m.State == "available":
				m.State = "pending"
			}
		}
		if m.State == "pending" {
			continue
		}
		put(t, m)
		t.after = append(t.after, func() { t.s.logf("%s %s pending -> %s", m.Region, m.ID, m.State) })
	}
	vs, _ := due[volume](t)
	for _, v := range vs {
		if v.State = "available"; v.Trouble != "" {
			v.State = "error"
		}
		put(t, v)
	}
	is, _ := due[importTask](t)
	for _, i := range is {
		t.finishImport(i)
	}
}

// sweeps removes the layers that nothing stands on any more, whenever there may be
// some.
func (s *Server) sweeps() {
	for {
		select {
		case <-s.sweep:
		case <-s.ctx.Done():
			return
		}
		var idle []string
		err := s.view(func(t *txn) error {
			idle = t.idleLayers()
			return nil
		})
		if err != nil {
			continue
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
				break
			}
		}
	}
}

func (t *txn) idleLayers() (idle []string) {
	c := t.Bucket([]byte("layer")).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		m := mark{"layer", string(k)}
		if !t.has("snapshot", m) && !t.has("volume", m) && !t.has("instance", m) {
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
