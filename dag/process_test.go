package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// The engine and its steps are two processes here, which write lines of JSON to
// each other. The toy cloud lies in a file, so that nothing of it is lost with
// the steps' process.

// process is a process that does toy steps.
type process struct {
	*Pipe
	cmd *exec.Cmd
}

// openProcess starts a process that does the steps of the toy cloud in a file; env
// is added to its environment.
func openProcess(ctx context.Context, file string, env ...string) (*process, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "DAG_TOY_WORLD="+file), env...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, err
	}
	pipe, err := OpenPipe(ctx, out, in, nil, nil)
	if err != nil {
		cmd.Process.Kill()
	}
	return &process{pipe, cmd}, err
}

func startProcess(t *testing.T, file string) *process {
	t.Helper()
	p, err := openProcess(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.Gone()
	p.cmd.Wait()
}

// stored is what the file of a toy cloud holds.
type stored struct {
	Log          []string
	Things, Uses map[string]string
}

// load gives a world what its file holds, and has every change written to it.
func (w *world) load(file string) error {
	p, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	s := stored{w.log, w.things, w.uses}
	if err == nil {
		err = json.Unmarshal(p, &s)
	}
	w.log, w.things, w.uses = s.Log, s.Things, s.Uses
	return err
}

func (w *world) store(file string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := json.Marshal(stored{w.log, w.things, w.uses})
	if err == nil {
		err = os.WriteFile(file+".new", p, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	return err
}

// storing stores the world before anybody hears of the end of a call. It ends its
// process at the nth call of its life, before it or when it has done it: n and when
// are told by DAG_TOY_END.
type storing struct {
	Runner
	w    *world
	file string
	n    atomic.Int64
}

func (s *storing) call(do func() Result) Result {
	at := fmt.Sprint(s.n.Add(1))
	end := func(when string) {
		if os.Getenv("DAG_TOY_END") == at+" "+when {
			if self, err := os.FindProcess(os.Getpid()); err == nil {
				self.Kill()
			}
			select {}
		}
	}
	end("before")
	r := do()
	if err := s.w.store(s.file); err != nil {
		return Result{Class: Fail, Err: err.Error()}
	}
	end("after")
	return r
}

func (s *storing) Do(ctx context.Context, c Call, h Host) Result {
	return s.call(func() Result { return s.Runner.Do(ctx, c, h) })
}
func (s *storing) Find(ctx context.Context, c Call, h Host) Result {
	return s.call(func() Result { return s.Runner.Find(ctx, c, h) })
}
func (s *storing) Undo(ctx context.Context, c Call, h Host) Result {
	return s.call(func() Result { return s.Runner.Undo(ctx, c, h) })
}

func TestMain(m *testing.M) {
	if file := os.Getenv("DAG_TOY_WORLD"); file != "" {
		w := newWorld()
		if err := w.load(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		kinds := map[string]Kind{}
		for _, k := range append(toyKinds(w), Bind[counting](w)) {
			kinds[k.Name] = k
		}
		ServePipe(os.Stdin, os.Stdout, func(json.RawMessage, Asked) (Runner, error) {
			return &storing{Runner: local(kinds), w: w, file: file}, nil
		})
		return
	}
	os.Exit(m.Run())
}

// TestCrashEverywhereBetweenProcesses lets the store die at every write, kills the
// steps' process with it, and goes on with a new engine and a new process.
func TestCrashEverywhereBetweenProcesses(t *testing.T) {
	points := 0
	for _, late := range []bool{false, true} {
		for n := 1; ; n++ {
			file, mem := filepath.Join(t.TempDir(), "world"), &MemStore{}
			solve := func(st Store) (*Report, error) {
				p := startProcess(t, file)
				defer p.kill()
				// The engine's own kinds have no world: who calls one of them panics.
				e, err := New(Options{Run: "run", Store: st, Kinds: toyKinds(nil), Runner: p})
				if err != nil {
					t.Fatal(err)
				}
				return e.Solve(context.Background(), toyGraph("a", "b"))
			}
			_, err := solve(&dying{MemStore: mem, n: n, late: late})
			if err == nil {
				break
			}
			points++
			if !errors.Is(err, errCrash) {
				t.Fatalf("write %d: %v", n, err)
			}
			r, err := solve(mem)
			if err != nil || len(r.Failed)+len(r.Left)+len(r.Skipped) > 0 || r.Suspended {
				t.Errorf("write %d, late %v: %+v %v", n, late, r, err)
			}
			w := newWorld()
			if err := w.load(file); err != nil || w.left() != "image" || w.count("launch") > 1 {
				t.Errorf("write %d, late %v: the world holds %q, %v; log %q", n, late, w.left(), err, w.log)
			}
		}
	}
	if points < 40 {
		t.Errorf("only %d crash points", points)
	}
}

// TestStepsOutliveTheirProcess has the steps' process killed at every call of its
// life, before and after it has done it: one engine goes on with another process.
func TestStepsOutliveTheirProcess(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for n := 1; ; n++ {
			file, opened := filepath.Join(t.TempDir(), "world"), 0
			var now *process
			pipes := NewPipes(func(ctx context.Context) (_ *Pipe, err error) {
				env := []string{fmt.Sprintf("DAG_TOY_END=%d %s", n, when)}
				if opened++; opened > 1 {
					env = nil
				}
				if now, err = openProcess(ctx, file, env...); err != nil {
					return nil, err
				}
				return now.Pipe, nil
			})
			e, err := New(Options{Run: "run", Store: &MemStore{}, Kinds: toyKinds(nil), Runner: pipes})
			if err != nil {
				t.Fatal(err)
			}
			r, err := e.Solve(t.Context(), toyGraph("a", "b"))
			now.kill()
			if err != nil || len(r.Failed)+len(r.Left)+len(r.Skipped) > 0 || r.Suspended {
				t.Errorf("call %d, %s: %+v %v", n, when, r, err)
			}
			w := newWorld()
			if err := w.load(file); err != nil || w.left() != "image" || w.count("launch") > 1 {
				t.Errorf("call %d, %s: the world holds %q, %v; log %q", n, when, w.left(), err, w.log)
			}
			if opened > 2 {
				t.Errorf("call %d, %s: %d processes", n, when, opened)
			}
			if opened == 1 {
				if n < 10 {
					t.Errorf("only %d calls", n)
				}
				break
			}
		}
	}
}

// counting fails until it has been tried three times in all.
type counting struct{ Name string }

func (counting) Kind() string { return "toy.counting" }
func (counting) Do(_ context.Context, _ *world, t *Task) (int, error) {
	var tried int
	if _, err := t.Load("tried", &tried); err != nil {
		return 0, err
	}
	if err := t.Save("tried", tried+1); err != nil {
		return 0, err
	}
	if tried < 2 {
		return 0, errors.New("not often enough")
	}
	return tried + 1, nil
}

// What a step saves is there for the attempt after it, in another process, and
// nowhere else.
func TestStateOfAStep(t *testing.T) {
	st := &MemStore{}
	g := NewGraph(nil)
	Goal(g, Add(g, Build{Name: "b"}, "one", counting{"one"}))
	Goal(g, Add(g, Build{Name: "b"}, "two", counting{"two"}))
	for try := 1; try <= 3; try++ {
		p := startProcess(t, filepath.Join(t.TempDir(), "world"))
		e, err := New(Options{Run: "run", Store: st, Kinds: []Kind{Bind[counting]((*world)(nil))}, Runner: p})
		if err != nil {
			t.Fatal(err)
		}
		r, err := e.Solve(context.Background(), g)
		p.kill()
		if want := 2; err != nil || try < 3 && len(r.Failed) != want || try == 3 && len(r.Failed) != 0 {
			t.Fatalf("try %d: %+v, %v", try, r, err)
		}
	}
	rs, _ := st.All()
	for _, r := range rs {
		if string(r.Out) != "3" || len(rs) != 2 {
			t.Errorf("%s made %s", r.Name, r.Out)
		}
	}
}
