package guest

import "sync"

// A shelf holds the machines of a host that were asked for, so that there is one
// value, with one state, for each.
type shelf[M Machine] struct {
	s    *store
	make func(id string, r *record) M

	mu       sync.Mutex
	machines map[string]M
}

func newShelf[M Machine](s *store, make func(id string, r *record) M) *shelf[M] {
	return &shelf[M]{s: s, make: make, machines: map[string]M{}}
}

// Create implements Host.
func (f *shelf[M]) Create(id string, spec Spec) (Machine, error) {
	r, err := f.s.create(id, spec)
	if err != nil {
		return nil, err
	}
	return f.of(id, r), nil
}

// Open implements Host.
func (f *shelf[M]) Open(id string) (Machine, error) {
	if m, ok := f.has(id); ok {
		return m, nil
	}
	r, err := f.s.open(id)
	if err != nil {
		return nil, err
	}
	return f.of(id, r), nil
}

func (f *shelf[M]) has(id string) (M, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.machines[id]
	return m, ok
}

func (f *shelf[M]) of(id string, r *record) M {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.machines[id]
	if !ok {
		m = f.make(id, r)
		f.machines[id] = m
	}
	return m
}

func (f *shelf[M]) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.machines, id)
}

// each calls do for all machines at once, and returns when all are done.
func (f *shelf[M]) each(do func(M)) {
	f.mu.Lock()
	var all sync.WaitGroup
	for _, m := range f.machines {
		all.Go(func() { do(m) })
	}
	f.mu.Unlock()
	all.Wait()
}
