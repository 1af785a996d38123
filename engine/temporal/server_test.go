package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/proto"

	"github.com/imgflow/imgflow/internal/temporaltest"
)

// A worker in a process of its own gets its world and its server in this variable.
const workerVariable = "IMGFLOW_TEST_TOY_WORKER"

type toyWorker struct {
	World  *world
	Server string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(workerVariable); text != "" {
		if err := toyWorkerMain(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func toyWorkerMain(text string) error {
	var tw toyWorker
	if err := json.Unmarshal([]byte(text), &tw); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // it ends with whoever has started it
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	c, err := Dial(ctx, tw.Server, os.Getenv)
	if err != nil {
		return err
	}
	defer c.Close()
	return NewWorker(c, &work{world: tw.World}, 100, Version{}).Run(ctx)
}

// process is a worker in a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func startWorker(t *testing.T, w *world, s *temporaltest.Server) *process {
	t.Helper()
	text, err := json.Marshal(toyWorker{w, s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, stdin}
	t.Cleanup(func() { p.kill() })
	return p
}

func (p *process) kill() { p.cmd.Process.Kill(); p.cmd.Wait() }

// stop lets the worker end.
func (p *process) stop() { p.stdin.Close(); p.cmd.Wait() }

func dial(t *testing.T, s *temporaltest.Server) *Client {
	t.Helper()
	c, err := Dial(t.Context(), s.URL(), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// working has a worker in this process until the test ends.
func working(t *testing.T, c *Client, w *world) {
	t.Helper()
	workingAs(t, c, w, Version{})
}

// workingAs is working by a worker of a version.
func workingAs(t *testing.T, c *Client, w *world, v Version) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() { over <- NewWorker(c, &work{world: w}, 0, v).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

// submitted is how a run has ended that is submitted now.
func submitted(t *testing.T, c *Client, w *world, ref Ref) ending {
	t.Helper()
	if err := c.Submit(t.Context(), ref, Submission{Template: "toy.json", Builds: []string{"b0", "b1"}, Team: "toys", Priority: 2}); err != nil {
		t.Fatal(err)
	}
	if err := c.Watch(t.Context(), ref.Run); err != nil {
		t.Fatal(err)
	}
	return w.ended(t)
}

func (x ending) well() bool {
	return x.Failed == "" && len(x.Report.Failed)+len(x.Report.Skipped)+len(x.Report.Left)+len(x.Left) == 0 && !x.Report.Suspended
}

// eventually waits for something, for a minute at most.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// historyOf is all that a server keeps of a workflow.
func historyOf(t *testing.T, c *Client, id string) *history.History {
	t.Helper()
	h := &history.History{}
	for it := c.c.GetWorkflowHistory(t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	return h
}

func size(t *testing.T, h *history.History) int {
	t.Helper()
	p, err := proto.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return len(p)
}

var record = flag.Bool("record", false, "record the histories in testdata that TestReplay replays")

// keep records a history.
func keep(t *testing.T, name string, h *history.History) {
	t.Helper()
	if !*record {
		return
	}
	p, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(h)
	if err == nil {
		err = os.WriteFile(filepath.Join("testdata", name+".json"), p, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A run and its removal come to their ends on a real server, whose histories hold
// neither settings nor outputs, and can be found.
func TestOnAServer(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	for _, x := range []struct {
		name   string
		builds int
		fail   bool
	}{{"run", 3, false}, {"many", many + 5, false}, {"failed", 2, true}} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, x.builds)
			if x.fail {
				w.Fail["script b1"], w.Suspnd = errors.New("boom"), true
			}
			working(t, c, w)
			begun := time.Now()
			end := submitted(t, c, w, Ref{x.name, 1})
			took := time.Since(begun)
			if end.well() == x.fail {
				t.Errorf("it has ended with %+v", end)
			}
			if log := w.log(); log["end"] != 1 || log["script b0"] != 1 || strings.Count(w.left(), "image") != x.builds-map[bool]int{true: 1}[x.fail] {
				t.Errorf("%q is left after %v", w.left(), log)
			}
			h := historyOf(t, c, x.name)
			t.Logf("%d builds: %s, %d events, %d bytes", x.builds, took.Round(time.Millisecond), len(h.Events), size(t, h))
			keep(t, x.name, h)
			if x.builds > many {
				one := historyOf(t, c, x.name+"/b7/1")
				t.Logf("of one build: %d events, %d bytes", len(one.Events), size(t, one))
				keep(t, "build", one)
			}
			if err := c.Undo(t.Context(), Ref{x.name, 2}, Submission{Template: "toy.json"}, json.RawMessage(`"all"`)); err != nil {
				t.Fatal(err)
			}
			if err := c.Watch(t.Context(), x.name); err != nil {
				t.Fatal(err)
			}
			if end := w.ended(t); !end.well() || w.left() != "" {
				t.Errorf("%q is left, %+v", w.left(), end)
			}
			query := fmt.Sprintf("WorkflowType='%s' AND ImgflowTemplate='toy.json' AND ImgflowTeam='toys' AND ImgflowBuilds='b1' AND ImgflowStatus='%s' AND WorkflowId='%s'",
				runWorkflow, map[bool]string{true: "failed", false: "done"}[x.fail], x.name)
			eventually(t, "the run can be found by "+query, func() bool {
				n, err := c.c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Namespace: c.namespace, Query: query})
				if err != nil {
					t.Fatal(err)
				}
				return n.GetCount() == 1
			})
			if x.builds == 3 {
				keep(t, "undo", historyOf(t, c, undoID(x.name)))
			}
		})
	}
}

// A run that is suspended ends soon and leaves all as it is; it goes on where it was.
func TestSuspended(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	for name, builds := range map[string]int{"one": 1, "several": many + 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, builds)
			w.Wait = time.Hour
			working(t, c, w)
			if err := c.Submit(t.Context(), Ref{name, 1}, Submission{}); err != nil {
				t.Fatal(err)
			}
			if err := c.Submit(t.Context(), Ref{name, 1}, Submission{}); err == nil || !strings.Contains(err.Error(), "at work on it already") {
				t.Errorf("submitted twice: %v", err)
			}
			eventually(t, "the scripts are at work", func() bool {
				n := 0
				for b := range builds {
					n += w.log()[fmt.Sprint("script b", b)]
				}
				return n == builds
			})
			if open, err := c.Open(t.Context(), name); err != nil || !open {
				t.Errorf("open: %v, %v", open, err)
			}
			if err := c.Suspend(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if err := c.Watch(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if open, err := c.Open(t.Context(), name); err != nil || open {
				t.Errorf("open: %v, %v", open, err)
			}
			if end := w.ended(t); !end.Report.Suspended || len(end.Report.Failed) > 0 || strings.Count(w.left(), "box") != builds {
				t.Errorf("%q is left, %+v", w.left(), end)
			}
			if builds == 1 {
				keep(t, "suspended", historyOf(t, c, name))
			}
			w.Wait = 0
			if end := submitted(t, c, w, Ref{name, 2}); !end.well() || w.log()["script b0"] != 1 {
				t.Errorf("%+v after %v", end, w.log())
			}
		})
	}
	if err := c.Suspend(t.Context(), "unheard-of"); err != nil {
		t.Errorf("what does not run is suspended: %v", err)
	}
}

// A worker that ends gives its calls to another one.
func TestAWorkerEnds(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	w := newWorld(t, 2)
	w.Wait = 3 * time.Second
	first := startWorker(t, w, s)
	if err := c.Submit(t.Context(), Ref{"run", 1}, Submission{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the scripts are at work", func() bool { return w.log()["script b0"]+w.log()["script b1"] == 2 })
	startWorker(t, w, s)
	first.stop()
	if err := c.Watch(t.Context(), "run"); err != nil {
		t.Fatal(err)
	}
	if log := w.log(); !w.ended(t).well() || w.left() != "image image" || log["script b0"]+log["script b1"] != 2 {
		t.Errorf("%q is left after %v, %+v", w.left(), log, w.ended(t))
	}
}

var kills = flag.Int("kills", 4, "how many workers TestKilled kills; one each two seconds")

// Workers are killed, and the server once: everything is made once, and nothing is left.
func TestKilled(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	w := newWorld(t, 12)
	w.Wait = 4 * time.Second
	workers := []*process{startWorker(t, w, s), startWorker(t, w, s), startWorker(t, w, s)}
	if err := c.Submit(t.Context(), Ref{"run", 1}, Submission{}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for i := range *kills {
		time.Sleep(2 * time.Second)
		at := rand.IntN(len(workers))
		workers[at].kill()
		workers[at] = startWorker(t, w, s)
		if i == *kills/2 {
			s.Kill()
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "the run has ended", func() bool { open, err := c.Open(t.Context(), "run"); return err == nil && !open })
	t.Logf("%s with %d kills of workers and one of the server", time.Since(begun).Round(time.Second), *kills)
	log := w.log()
	for what, n := range log {
		if strings.HasPrefix(what, "made twice") || strings.HasPrefix(what, "script") && n > 1 {
			t.Errorf("%s: %d times", what, n)
		}
	}
	if end := w.ended(t); !end.well() || strings.ReplaceAll(w.left(), "image", "") != strings.Repeat(" ", w.Builds-1) {
		t.Errorf("%q is left after %v, %+v", w.left(), log, end)
	}
}

// A run of which somebody has ended the workflow can still be removed.
func TestTerminatedItIsRemoved(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	w := newWorld(t, 2)
	w.Wait = time.Hour
	working(t, c, w)
	if err := c.Submit(t.Context(), Ref{"run", 1}, Submission{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the scripts are at work", func() bool { return w.log()["script b0"]+w.log()["script b1"] == 2 })
	if err := c.c.TerminateWorkflow(t.Context(), "run", "", "a person has clicked"); err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(t.Context(), Ref{"run", 2}, Submission{}, json.RawMessage(`"unkept"`)); err != nil {
		t.Fatal(err)
	}
	if err := c.Watch(t.Context(), "run"); err != nil {
		t.Fatal(err)
	}
	if w.left() != "" || !w.ended(t).well() {
		t.Errorf("%q is left, %+v", w.left(), w.ended(t))
	}
}

// The workflows of today decide what those have decided that were recorded.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d histories are recorded, %v", len(files), err)
	}
	for _, file := range files {
		r := worker.NewWorkflowReplayer()
		register(r)
		if err := r.ReplayWorkflowHistoryFromJSONFile(quiet, file); err != nil {
			t.Errorf("%s: a workflow that has begun so would not go on: it needs a version (workflow.GetVersion), or a name of its own beside the old one: %v", file, err)
		}
	}
}
