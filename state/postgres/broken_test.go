package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/statetest"
)

// proxy is a way to a database that breaks.
type proxy struct {
	l       net.Listener
	to      string
	packets atomic.Int64 // in both directions
	cutAt   atomic.Int64 // the packet that does not arrive, with all of its connection; 0: none
	delay   atomic.Int64 // nanoseconds that each packet takes
}

// through returns a URL that leads to a database by a proxy.
func through(t *testing.T, database string) (string, *proxy) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{to: u.Host}
	if p.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.l.Close() })
	go func() {
		for {
			in, err := p.l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", p.to)
			if err != nil {
				in.Close()
				continue
			}
			go p.carry(in, out)
			go p.carry(out, in)
		}
	}()
	u.Host = p.l.Addr().String()
	return u.String(), p
}

func (p *proxy) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil || p.packets.Add(1) == p.cutAt.Load() {
			return
		}
		time.Sleep(time.Duration(p.delay.Load()))
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// What is written may be on its way for longer than a transaction may be idle.
func TestASlowLink(t *testing.T) {
	large := strings.Repeat("large ", 40<<16/6)
	for name, write := range map[string]func(h *state.Home, r *state.Run) error{
		"a file": func(_ *state.Home, r *state.Run) error {
			_, err := r.PutBlob(strings.NewReader(large))
			return err
		},
		"a document": func(_ *state.Home, r *state.Run) error { return r.SetDoc("pack", large) },
		"lines": func(_ *state.Home, r *state.Run) error {
			for n := range 40 {
				e := line(n)
				e.Text = large[:1<<16]
				if err := r.Emit(e); err != nil {
					return err
				}
			}
			return r.Sync()
		},
		"a summary": func(_ *state.Home, r *state.Run) error {
			return r.SetSummary(func(s *state.Summary) { s.Template = large })
		},
		"a schedule": func(h *state.Home, _ *state.Run) error {
			s, err := h.Schedules()
			if err != nil {
				return err
			}
			return s.Put(state.Schedule{Name: "web", Spec: []byte("{}"), Files: []byte("{}"), Pack: []byte(large)}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, p := through(t, pgtest.Database(t))
			h, err := Open(t.TempDir(), url)
			if err != nil {
				t.Fatal(err)
			}
			r, err := h.Create(state.Summary{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p.delay.Store(int64(idleTime / 20))
			begun := time.Now()
			err = write(h, r)
			p.delay.Store(0)
			if took := time.Since(begun); err != nil || took < idleTime {
				t.Errorf("after %s: %v", took, err)
			}
		})
	}
}

func line(n int) dag.Event {
	return dag.Event{V: dag.EventVersion, Type: dag.Printed, Token: "tok", Stream: "stdout", Offset: int64(n), Text: fmt.Sprint(n)}
}

// lines are the texts of n lines.
func lines(n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprint(i+1))
	}
	return strings.Join(s, "|")
}

// texts are those of a run's events.
func texts(h *state.Home, id string) (string, error) {
	events, _, err := h.Events(id, 0)
	var s []string
	for _, e := range events {
		s = append(s, e.Text)
	}
	return strings.Join(s, "|"), err
}

// life is all that one process does with a run.
func life(h *state.Home) (id string, err error) {
	r, err := h.Create(state.Summary{Template: "web.json"})
	if err != nil {
		return "", err
	}
	id = r.ID()
	_, blob := r.PutBlob(strings.NewReader("content of " + id))
	if err := errors.Join(blob, r.Emit(line(1)), r.Later(statetest.Record(1)), r.SetDocLater("doc", 1), r.Put(statetest.Record(2)),
		r.Emit(line(2)), r.Sync(), r.SetSummary(func(s *state.Summary) { s.Builds = append(s.Builds, state.BuildSummary{Name: "a"}) }), r.Emit(line(3)), r.Close()); err != nil {
		return id, err
	}
	epoch, err := h.Assign(id, state.Owner{})
	if err != nil {
		return id, err
	}
	if r, err = h.Join(id, epoch); err != nil {
		return id, err
	}
	c, err := r.Claim(statetest.Record(3).Key)
	if err != nil {
		return id, err
	}
	if err := errors.Join(c.Emit(line(4)), c.Put(statetest.Record(3)), c.Emit(line(5)), c.Sync(), r.Close(), h.Release(id, epoch)); err != nil {
		return id, err
	}
	if r, err = h.Open(id); err != nil {
		return id, err
	}
	return id, errors.Join(r.Emit(line(6)), r.Close())
}

// TestBrokenAtEachPacket breaks the connection at every packet of a run's life, on its way
// to the database and back, and expects a life as if nothing had been.
func TestBrokenAtEachPacket(t *testing.T) {
	direct := pgtest.Database(t)
	broken, p := through(t, direct)
	h, err := Open(t.TempDir(), broken)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := Open(t.TempDir(), direct)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(1)
	for ; ; at++ {
		p.packets.Store(0)
		p.cutAt.Store(at)
		id, err := life(h)
		if err != nil {
			t.Fatalf("broken at packet %d: %v", at, err)
		}
		got, err := texts(watch, id)
		if err != nil || got != lines(6) {
			t.Fatalf("broken at packet %d: lines %s, %v", at, got, err)
		}
		r, err := watch.Look(id)
		if err != nil {
			t.Fatalf("broken at packet %d: %v", at, err)
		}
		var doc int
		rs, err := r.All()
		if err := errors.Join(err, r.Doc("doc", &doc), r.Close()); err != nil || len(rs) != 3 || doc != 1 || len(r.Summary().Builds) != 1 {
			t.Fatalf("broken at packet %d: %d records, document %d, %+v, %v", at, len(rs), doc, r.Summary(), err)
		}
		if p.packets.Load() < at {
			break
		}
	}
	if runs, err := watch.Runs(); err != nil || len(runs) != int(at) {
		t.Errorf("%d lives have left %d runs, %v", at, len(runs), err)
	}
	t.Logf("%d packets", at-1)
	if at < 50 {
		t.Error("so few packets are no life: the test looks for the wrong thing")
	}
}

// TestRestartedUnderLoad restarts the database again and again while runs are driven.
func TestRestartedUnderLoad(t *testing.T) {
	s := pgtest.New(t, "fsync=on")
	u, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.TempDir(), u)
	if err != nil {
		t.Fatal(err)
	}
	const drivers = 8
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var runs [drivers]*state.Run
	var wrote [drivers]int
	var wg sync.WaitGroup
	for i := range drivers {
		if runs[i], err = h.Create(state.Summary{}); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				wrote[i]++
				if err := errors.Join(runs[i].Emit(line(wrote[i])), runs[i].Put(statetest.Record(wrote[i]))); err != nil {
					t.Errorf("write %d of run %d: %v", wrote[i], i, err)
					return
				}
			}
		})
	}
	for _, end := range []func() error{s.Stop, s.Kill, s.Kill} {
		time.Sleep(300 * time.Millisecond)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	stop()
	wg.Wait()
	for i, r := range runs {
		if err := r.Sync(); err != nil {
			t.Error(err)
		}
		rs, err := r.All()
		if err != nil || len(rs) != wrote[i] {
			t.Errorf("run %d: %d of %d records, %v", i, len(rs), wrote[i], err)
		}
		if got, err := texts(h, r.ID()); err != nil || got != lines(wrote[i]) {
			t.Errorf("run %d: not every line once: %v, %.200s", i, err, got)
		}
		r.Close()
	}
	t.Logf("%d writes", wrote)
}

// What is not reached for longer than a write waits fails it, says what exists outside,
// and is tried again by the next one, once.
func TestUnreachable(t *testing.T) {
	defer func(d time.Duration) { patience = d }(patience)
	s := pgtest.New(t)
	u, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.TempDir(), u)
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Create(state.Summary{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Put(statetest.Record(1)); err != nil {
		t.Fatal(err)
	}
	patience = 300 * time.Millisecond
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Emit(line(1)); err != nil {
		t.Error(err)
	}
	err = r.Put(statetest.Record(2))
	var w *state.WriteError
	if !errors.As(err, &w) || errcode.Of(err) != errcode.StateUnwritable || !strings.Contains(err.Error(), "i-1") || !strings.Contains(err.Error(), "make the database reachable") || !strings.Contains(err.Error(), h.Place()) {
		t.Errorf("a write: %v", err)
	}
	checkNoPassword(t, u, err)
	if _, err := h.Runs(); err == nil || !strings.Contains(err.Error(), h.Place()) {
		t.Errorf("a look: %v", err)
	} else {
		checkNoPassword(t, u, err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	patience = time.Minute
	if err := errors.Join(r.Emit(line(2)), r.Put(statetest.Record(3)), r.Close()); err != nil {
		t.Error(err)
	}
	if got, err := texts(h, r.ID()); err != nil || got != "1|2" {
		t.Errorf("lines %s, %v", got, err)
	}
}

func checkNoPassword(t *testing.T, u string, err error) {
	t.Helper()
	parsed, _ := url.Parse(u)
	if secret, _ := parsed.User.Password(); secret == "" || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
		t.Errorf("it shows the password: %v", err)
	}
}

// A URL that leads nowhere is told without its password.
func TestOpenFails(t *testing.T) {
	good := pgtest.Database(t)
	u, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	host, name := u.Host, u.Path
	for what, change := range map[string]func(){
		"no such database": func() { u.Path = "/nosuch" },
		"a port of nobody": func() { u.Host = "127.0.0.1:1" },
		"another password": func() { u.User = url.UserPassword("postgres", "hunter2hunter2") },
		"no such user":     func() { u.User = url.UserPassword("nobody", "hunter2hunter2") },
		"a bad port":       func() { u.User, u.Host = url.UserPassword("postgres", "hunter2hunter2"), "127.0.0.1:99999" },
		"a bad setting":    func() { u.RawQuery = "sslmode=maybe" },
	} {
		user, query := u.User, u.RawQuery
		change()
		_, err := Open(t.TempDir(), u.String())
		if err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", what, err)
		} else {
			checkNoPassword(t, u.String(), err)
		}
		u.Host, u.Path, u.User, u.RawQuery = host, name, user, query
	}
	if _, err := Open(t.TempDir(), "mysql://me:hunter2@db"); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "IMGFLOW_STATE") {
		t.Errorf("no database of PostgreSQL: %v", err)
	}
	if h, err := Open(t.TempDir(), good); err != nil || strings.Contains(h.Place(), "@") || !strings.HasPrefix(h.Place(), "postgres://127.0.0.1:") {
		t.Errorf("the place is %s, %v", h.Place(), err)
	}
}
