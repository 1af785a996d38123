package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// How often a worker looks what the runs have come to that others wait for, all of them with one
// question; and how often whether these are still driven.
const (
	lookEvery = time.Second
	doubtFor  = 10 * time.Second
)

// makers are the runs of the database as one of them sees them.
type makers struct {
	home  *state.Home
	own   state.Claimant
	waits *waits
}

var _ dag.Makers = (*makers)(nil)

func (m *makers) Claim(steps []dag.Key, choose func(others map[dag.Key]string) []dag.Key) error {
	return m.home.Contend(m.own, steps, choose)
}

func (m *makers) Leave(steps ...dag.Key) error {
	return m.home.Yield(m.own.Run, m.own.Epoch, steps...)
}

// Await looks at what the other run has, and contends for the step when it makes it no more.
func (m *makers) Await(ctx context.Context, step dag.Key, steps []dag.Key, told func(run string)) (run string, recs []dag.Record, err error) {
	w := m.waits.begin(m.own.Run, step)
	defer m.waits.end(w)
	for {
		var now state.Making // of which there is none if nobody was known to make it
		select {
		case now = <-w.news:
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
		switch r := now.Record; {
		case now.Maker == m.own.Run && now.Epoch == m.own.Epoch:
			return "", nil, nil
		case r.Status == dag.Done && !r.Borrowed() && (r.Kept || !r.Thing && now.Epoch == 0):
			recs, err := m.home.Lent(now.Maker, steps)
			return now.Maker, recs, err
		case now.Epoch == 0:
			mine := false
			if err := m.Claim([]dag.Key{step}, func(others map[dag.Key]string) []dag.Key {
				if mine = others[step] == ""; mine {
					return []dag.Key{step}
				}
				return nil
			}); mine || err != nil {
				return "", nil, err
			}
			m.waits.look()
		case now.Maker != run:
			run = now.Maker
			told(run)
		}
	}
}

// waits are the steps that the runs of a worker wait for. One goroutine looks for all of them.
type waits struct {
	home *state.Home
	// going reports whether a run is still driven; nil: all that are said to be.
	going    func(ctx context.Context, run string) (bool, error)
	doubtFor time.Duration // that of the package; tests shorten it

	mu   sync.Mutex
	all  []*waiter
	busy bool          // the goroutine is there
	kick chan struct{} // has it look at once
}

// waiter is one of them.
type waiter struct {
	state.Wait
	last state.Making      // that was found
	news chan state.Making // that was found and not taken yet
}

func newWaits(home *state.Home) *waits {
	return &waits{home: home, doubtFor: doubtFor, kick: make(chan struct{}, 1)}
}

func (s *waits) begin(run string, step dag.Key) *waiter {
	w := &waiter{Wait: state.Wait{Run: run, Step: step}, news: make(chan state.Making, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, w)
	if !s.busy {
		s.busy = true
		go s.watch()
	}
	s.look()
	return w
}

func (s *waits) end(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(o *waiter) bool { return o == w })
}

// look has the goroutine look at once.
func (s *waits) look() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// watch looks for all that wait, until nobody does.
func (s *waits) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for doubted := time.Now(); ; {
		select {
		case <-tick.C:
		case <-s.kick:
		}
		s.mu.Lock()
		all := slices.Clone(s.all)
		s.busy = len(all) > 0
		s.mu.Unlock()
		if len(all) == 0 {
			return
		}
		makings, err := s.ask(all)
		if err != nil {
			continue // the database is away, and the next look finds out
		}
		for _, w := range all {
			w.tell(makings[state.Wait{Run: w.Run, Step: w.Step}])
		}
		if time.Since(doubted) > s.doubtFor {
			s.doubt(makings)
			doubted = time.Now()
		}
	}
}

// ask asks for all that wait.
func (s *waits) ask(all []*waiter) (map[state.Wait]state.Making, error) {
	var list []state.Wait
	for _, w := range all {
		list = append(list, state.Wait{Run: w.Run, Step: w.Step, Seen: w.last.Changed})
	}
	found, err := s.home.Makings(list)
	makings := map[state.Wait]state.Making{}
	for _, m := range found {
		makings[state.Wait{Run: m.Run, Step: m.Step}] = m
	}
	return makings, err
}

// tell tells what was found, in the place of what was found before.
func (w *waiter) tell(m state.Making) {
	switch {
	case m.Maker != w.last.Maker:
		w.last = m
		w.last.Changed = 0 // which counts for that run alone
	case m.Record.Status == "":
		m.Record = w.last.Record
		fallthrough
	default:
		w.last = m
	}
	select {
	case <-w.news:
	default:
	}
	w.news <- m
}

// doubt has no run waited for that nobody drives any more, though it was not given back.
func (s *waits) doubt(makings map[state.Wait]state.Making) {
	if s.going == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.doubtFor)
	defer cancel()
	asked := map[string]bool{}
	for _, m := range makings {
		if m.Epoch == 0 || m.Maker == m.Run || asked[m.Maker] {
			continue
		}
		asked[m.Maker] = true
		if going, err := s.going(ctx, m.Maker); err == nil && !going {
			_ = s.home.Yield(m.Maker, m.Epoch) // the next doubt tries again
		}
	}
}
