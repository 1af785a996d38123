package guest

import "sync"

// A machineCache holds the machines of a host that were asked for, so that there is one
// value, with one state, for each.
type machineCache[M Machine] struct {
	s    *store
	make func(id string, r *record) M

	mu       sync.Mutex
	machines map[string]M
}

func newMachineCache[M Machine](s *store, make func(id string, r *record) M) *machineCache[M] {
	return &machineCache[M]{s: s, make: make, machines: map[string]M{}}
}

// Create implements Host.
func (f *machineCache[M]) Create(id string, spec Spec) (Machine, error) {
	r, err := f.s.create(id, spec)
	if err != nil {
		return nil, err
	}
	return f.of(id, r), nil
}

// Open implements Host.
func (f *machineCache[M]) Open(id string) (Machine, error) {
	if m, ok := f.has(id); ok {
		return m, nil
	}
	r, err := f.s.open(id)
	if err != nil {
		return nil, err
	}
	return f.of(id, r), nil
}

func (f *machineCache[M]) has(id string) (M, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.machines[id]
	return m, ok
}

func (f *machineCache[M]) of(id string, r *record) M {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.machines[id]
	if !ok {
		m = f.make(id, r)
		f.machines[id] = m
	}
	return m
}

func (f *machineCache[M]) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.machines, id)
}

// each calls do for all machines at once, and returns when all are done.
func (f *machineCache[M]) each(do func(M)) {
	f.mu.Lock()
	var all sync.WaitGroup
	for _, m := range f.machines {
		all.Go(func() { do(m) })
	}
	f.mu.Unlock()
	all.Wait()
}
