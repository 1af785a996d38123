package ec2local

import (
	"errors"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// commits puts changes that come at the same time on disk together: a sync takes
// longer than all of them.
type commits struct {
	mu    sync.Mutex
	queue []*change

	writing sync.Mutex // held by whoever commits
}

// change is what one caller of update wants.
type change struct {
	f     func(*txn) error
	t     *txn // of its last attempt
	done  bool // under commits.writing
	err   error
	panic any
}

// update commits what f changed unless f fails. It may call f again when something
// else that was to be committed with it has failed, so f changes nothing but its
// transaction; what comes after that goes to txn.after.
func (s *Server) update(f func(*txn) error) error {
	c := &change{f: f}
	s.commits.mu.Lock()
	s.commits.queue = append(s.commits.queue, c)
	s.commits.mu.Unlock()
	s.commits.writing.Lock()
	if !c.done { // else whoever wrote before has done this, too
		s.commits.mu.Lock()
		all := s.commits.queue
		s.commits.queue = nil
		s.commits.mu.Unlock()
		s.commit(all)
	}
	s.commits.writing.Unlock()
	if c.panic != nil {
		panic(c.panic)
	}
	if c.err != nil {
		return c.err
	}
	s.bulletin.tell(c.t.changed)
	for _, f := range c.t.after {
		f()
	}
	return nil
}

// commit carries out changes, each of them or nothing of it. One that fails after it
// has written something is taken out and comes after the others, by itself.
func (s *Server) commit(all []*change) {
	for len(all) > 0 {
		var failed []*change
		for {
			bad := s.attempt(all)
			if bad < 0 {
				break
			}
			failed = append(failed, all[bad])
			all = slices.Delete(all, bad, bad+1)
		}
		for _, c := range all {
			c.done = true
		}
		all = nil
		for _, c := range failed {
			s.attempt([]*change{c})
			c.done = true
		}
	}
}

var errUnchanged = errors.New("nothing was changed")

// attempt carries out changes in one transaction. It returns the number of one that
// must not be in it; of one alone, never.
func (s *Server) attempt(all []*change) (bad int) {
	bad = -1
	err := s.db.Update(func(b *bolt.Tx) error {
		written := false
		for n, c := range all {
			c.t, c.err, c.panic = &txn{Tx: b, s: s, now: s.now()}, nil, nil
			func() {
				defer func() { c.panic = recover() }()
				c.err = guard(c.t, c.f)
			}()
			written = written || len(c.t.changed) > 0
			if (c.err != nil || c.panic != nil) && len(c.t.changed) > 0 {
				if len(all) > 1 {
					bad = n
				}
				return errUnchanged
			}
		}
		if !written {
			return errUnchanged
		}
		return nil
	})
	if err != nil && err != errUnchanged {
		for _, c := range all {
			c.err = err
		}
	}
	return bad
}
