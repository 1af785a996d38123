package fleet

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/drive"
	"github.com/imgflow/imgflow/state"
)

// idle is how long a worker keeps the session of a run of which it does nothing.
const idle = 5 * time.Minute

// sessions are the runs that a worker does steps of, each joined once.
type sessions struct {
	app  *app.App
	home *state.Home
	dir  string                        // where the files of runs are laid out
	warn func(format string, a ...any) // may be nil
	// aside has this worker begin nothing for a while.
	aside func()
	told  string // what it was told last; guarded by mu

	waits *waits

	keying sync.Mutex // held by who reads the key, or makes it
	key    []byte     // by which runs compare what they were given

	open sync.WaitGroup // of sessions

	mu   sync.Mutex
	runs map[string]*joined
}

func newSessions(a *app.App, home *state.Home, dir string) *sessions {
	return &sessions{app: a, home: home, dir: dir, waits: newWaits(home), aside: func() {}, runs: map[string]*joined{}}
}

// has reports whether this worker has a session of a run.
func (w *sessions) has(run string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs[run] != nil
}

// joined is a run that a worker has joined.
type joined struct {
	epoch int64
	ready chan struct{} // closed when the rest is there, or err
	err   error

	s    *app.Session
	o    drive.Options
	e    *dag.Engine
	stop context.CancelFunc // ends the renewal of the run's lease

	owner sync.Mutex // held by who verifies whose things the run's are

	graph sync.Mutex // held by who looks at g, or makes it anew
	g     *dag.Graph

	// Guarded by the mutex of the sessions.
	users int
	since time.Time // when there was none left
	left  bool      // the last user closes it
}

// take returns the session of a run, until done is called.
func (w *sessions) take(ctx context.Context, run string, epoch int64) (j *joined, done func(), err error) {
	w.mu.Lock()
	j = w.runs[run]
	if j == nil || j.epoch != epoch { // it was assigned anew: nothing of the old one counts
		if j != nil {
			w.leave(run, j)
		}
		j = &joined{epoch: epoch, ready: make(chan struct{})}
		w.runs[run] = j
		w.open.Add(1)
		go w.join(j, run)
	}
	j.users++
	w.mu.Unlock()
	done = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		j.since = time.Now()
		if j.users--; j.users == 0 && j.left {
			go w.close(run, j)
		}
	}
	select {
	case <-j.ready:
		if err = j.err; err != nil && !errors.As(err, new(*state.FencedError)) {
			w.aside() // another worker may be able to
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		w.mu.Lock()
		w.leave(run, j) // the next one tries again
		w.mu.Unlock()
		done()
		return nil, nil, err
	}
	return j, done, nil
}

// join joins a run.
func (w *sessions) join(j *joined, run string) {
	defer close(j.ready)
	ctx, cancel := context.WithCancel(context.Background())
	j.stop = cancel
	if j.s, j.err = w.app.Join(ctx, w.home, run, j.epoch, w.dir); j.err != nil {
		return
	}
	if j.err = j.s.LearnPlaces(); j.err == nil {
		j.o = j.s.Driving()
		j.o.Makers, j.err = w.makers(j, run)
	}
	if j.err == nil {
		j.e, j.err = drive.Engine(j.o)
	}
	if j.err != nil {
		j.s.Close()
		return
	}
	j.g = j.s.Graph()
	go j.o.KeepAlive(ctx)
}

// makers are the runs of the database as a run sees them.
func (w *sessions) makers(j *joined, run string) (dag.Makers, error) {
	key, err := w.sharedKey()
	if err != nil {
		return nil, err
	}
	means, err := j.s.Means(key)
	if err != nil {
		return nil, err
	}
	return &makers{home: w.home, own: state.Claimant{Run: run, Epoch: j.epoch, Means: means}, waits: w.waits}, nil
}

// sharedKey is the key by which runs compare what they were given.
func (w *sessions) sharedKey() ([]byte, error) {
	w.keying.Lock()
	defer w.keying.Unlock()
	if w.key != nil {
		return w.key, nil
	}
	key, err := w.home.SharedKey()
	if err == nil {
		w.key = key
	}
	return key, err
}

// leave has a session closed when its last user is done. Whoever calls it holds the
// mutex.
func (w *sessions) leave(run string, j *joined) {
	if w.runs[run] == j {
		delete(w.runs, run)
	}
	if !j.left && j.users == 0 {
		go w.close(run, j)
	}
	j.left = true
}

// close closes a session that nobody has.
func (w *sessions) close(run string, j *joined) {
	defer w.open.Done()
	<-j.ready
	j.stop()
	if j.err == nil {
		j.s.Close()
		w.tidy(run)
	}
}

// tidy removes the files of a run that nobody drives. What cannot be removed now is when a
// worker begins.
func (w *sessions) tidy(run string) {
	if !w.home.Driven(run) {
		if err := app.Unroll(context.Background(), w.dir, run); err != nil && w.warn != nil {
			w.warn("the files of run %s stay in %s: %v", run, w.dir, err)
		}
	}
}

// tidyAll is tidy for all runs whose files are there, such as a worker has left that was
// killed.
func (w *sessions) tidyAll() {
	folders, err := os.ReadDir(w.dir)
	if err != nil {
		return // there are none
	}
	for _, f := range folders {
		run, _, _ := strings.Cut(f.Name(), "-")
		w.tidy(run)
	}
	if err := app.UnrollFirings(context.Background(), w.dir); err != nil && w.warn != nil {
		w.warn("files of schedules stay in %s: %v", w.dir, err)
	}
}

// sweep leaves what is idle for long until ctx ends, and then all, and waits for that.
func (w *sessions) sweep(ctx context.Context) {
	tick := time.NewTicker(idle / 10)
	defer tick.Stop()
	for ctx.Err() == nil {
		w.leaveAll(func(j *joined) bool { return j.users == 0 && time.Since(j.since) > idle })
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	w.leaveAll(func(*joined) bool { return true })
	w.open.Wait()
}

// leaveAll leaves those sessions.
func (w *sessions) leaveAll(which func(*joined) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for run, j := range w.runs {
		if which(j) {
			w.leave(run, j)
		}
	}
}

// verify makes sure that what the run makes is of the same owner as before. It asks, so it is
// for who calls anyway.
func (j *joined) verify(ctx context.Context) error {
	j.owner.Lock()
	defer j.owner.Unlock()
	return j.s.Verify(ctx)
}

// of is the graph of the run that has a step: another worker may have made it anew since
// this one looked.
func (j *joined) of(k dag.Key) (*dag.Graph, error) {
	j.graph.Lock()
	defer j.graph.Unlock()
	if _, ok := j.g.Node(k); ok {
		return j.g, nil
	}
	return j.renewed()
}

// renewed reads the graph again.
func (j *joined) renewed() (*dag.Graph, error) {
	g, err := j.s.Renewed()
	if err == nil {
		j.g = g
	}
	return g, err
}
