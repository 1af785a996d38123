package dag

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

var errCrash = errors.New("crash")

// dying is a store that dies at its nth write, before or after the write lands. What
// was put off is lost with it, unless the write lands.
type dying struct {
	*MemStore
	mu   sync.Mutex
	n    int
	late bool
	dead bool
	off  []Record // put off
	lost int      // records that were put off and died
}

func (s *dying) Put(rs ...Record) error { return s.write(rs, false) }

func (s *dying) Later(rs ...Record) error { return s.write(rs, true) }

func (s *dying) write(rs []Record, later bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errCrash
	}
	s.n--
	if s.dead = s.n == 0; s.dead && !s.late {
		s.lost = len(s.off)
		return errCrash
	}
	s.off = append(s.off, rs...)
	if s.dead || !later {
		s.MemStore.Put(s.off...)
		s.off = nil
	}
	if s.dead {
		return errCrash
	}
	return nil
}

// TestCrashEverywhere lets the store die at every write of a build, on both
// sides of the write, and then resumes or destroys with a new engine.
func TestCrashEverywhere(t *testing.T) {
	points, lost := 0, 0
	for _, late := range []bool{false, true} {
		for n := 1; ; n++ {
			finished := false
			for _, then := range []string{"resume", "destroy", "resume after a failing resume"} {
				name := fmt.Sprintf("write %d, late %v, then %s", n, late, then)
				w, mem := newWorld(), &MemStore{}
				st := &dying{MemStore: mem, n: n, late: late}
				_, err := toyEngine(t, w, st, Options{}).Solve(context.Background(), toyGraph("a", "b"))
				if err == nil {
					finished = true
					break
				}
				if !errors.Is(err, errCrash) {
					t.Fatalf("%s: %v", name, err)
				}
				points++
				lost += st.lost
				want := "image"
				switch then {
				case "destroy":
					e := toyEngine(t, w, mem, Options{})
					if left, err := e.Destroy(context.Background(), Unkept); err != nil || len(left) > 0 {
						t.Errorf("%s: %v %v", name, left, err)
					}
					if r := keptImage(e); !r {
						want = ""
					}
				case "resume after a failing resume":
					w.mu.Lock()
					w.fail["sh b"], w.fail["image ready"] = errBoom, errBoom
					w.mu.Unlock()
					if _, err := toyEngine(t, w, mem, Options{}).Solve(context.Background(), toyGraph("a", "b")); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					if got := w.left(); got != "" && got != "image" {
						t.Errorf("%s: after the failure there is %q", name, got)
					}
					w.mu.Lock()
					clear(w.fail)
					w.mu.Unlock()
					fallthrough
				case "resume":
					launched := w.count("launch")
					alive := w.left()
					rep, err := toyEngine(t, w, mem, Options{}).Solve(context.Background(), toyGraph("a", "b"))
					if err != nil || len(rep.Failed)+len(rep.Left)+len(rep.Skipped) > 0 || rep.Suspended {
						t.Errorf("%s: %+v %v", name, rep, err)
					}
					if contains(alive, "instance") && w.count("launch") > launched {
						t.Errorf("%s: launched again though the instance was there: %q", name, w.log)
					}
				}
				if got := w.left(); got != want {
					t.Errorf("%s: the world holds %q, want %q; log %q", name, got, want, w.log)
				}
			}
			if finished {
				break
			}
		}
	}
	t.Logf("%d crash points, %d records lost", points, lost)
	if points < 100 || lost < 50 {
		t.Errorf("only %d crash points, and %d records lost: the test has lost its teeth", points, lost)
	}
}

func keptImage(e *Engine) bool {
	for _, r := range e.Records() {
		if r.Kept && r.Status == Done {
			return true
		}
	}
	return false
}

func contains(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i:i+len(sub)] == sub {
			return true
		}
	}
	return false
}

// TestCrashDuringDestroy kills a destroy at every write and repeats it.
func TestCrashDuringDestroy(t *testing.T) {
	for _, late := range []bool{false, true} {
		for n := 1; n < 40; n++ {
			w, mem := newWorld(), &MemStore{}
			w.fail["sh b"] = errBoom
			suspend := func(context.Context, Node, error) Decision { return Suspend }
			if _, err := toyEngine(t, w, mem, Options{OnFailure: suspend}).Solve(context.Background(), toyGraph("a", "b")); err != nil {
				t.Fatal(err)
			}
			if w.left() != "group instance" {
				t.Fatalf("suspended with %q", w.left())
			}
			toyEngine(t, w, &dying{MemStore: mem, n: n, late: late}, Options{}).Destroy(context.Background(), Unkept)
			if left, err := toyEngine(t, w, mem, Options{}).Destroy(context.Background(), Unkept); err != nil || len(left) > 0 || w.left() != "" {
				t.Errorf("write %d: %v %v, the world holds %q", n, left, err, w.left())
			}
		}
	}
}
