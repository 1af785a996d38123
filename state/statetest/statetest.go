// Package statetest holds the tests that every backend of package state must pass. Those
// that a backend of one process cannot pass are for the ones that are shared: see [Shared].
package statetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/dag/dagtest"
	"github.com/imgflow/imgflow/state"
)

// Backend is what is tested.
type Backend struct {
	// New returns where a home of no runs is, in words that Open understands.
	New func(t testing.TB) string
	// Open opens that home, as another process would, with a directory of this machine.
	Open func(place, dir string) (*state.Home, error)
}

// place is one home, which may be opened many times.
type place struct {
	b       Backend
	at, dir string
}

func (b Backend) place(t testing.TB) *place { return &place{b, b.New(t), t.TempDir()} }

func (p *place) home(t testing.TB) *state.Home {
	t.Helper()
	h, err := p.b.Open(p.at, p.dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// test is a case of the suite.
type test struct {
	name string
	run  func(t *testing.T, p *place)
	of   string // the methods of a backend that it is there for, with spaces between
}

func play(t *testing.T, b Backend, cases []test) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, b.place(t)) })
	}
}

// forAll are the cases that every backend must pass.
var forAll = []test{
	{"Store", store, "Backend.Create Backend.Open Journal.Write Journal.Later Journal.Each Journal.Close"},
	{"DocsGraphSalt", docsGraphSalt, "Backend.Drawn Journal.SetDrawn Journal.Get"},
	{"Busy", busy, "Backend.Driven"},
	{"ProcessDies", processDies, "Backend.Open Journal.Offset"},
	{"Runs", runs, "Backend.Place Backend.IDs Backend.Summaries Backend.Size"},
	{"Summary", summaries, "Backend.Summary Journal.Summarize"},
	{"Events", events, "Backend.Events Events.Each Events.End Events.Close Journal.Emit Journal.Sync Journal.Offset"},
	{"LaterIsSeen", laterIsSeen, "Journal.Later Journal.Get"},
	{"LaterKeepsTheOrder", laterKeepsTheOrder, "Journal.Later"},
	{"Follow", follow, "Backend.Events"},
	{"FollowWhileEmitting", followWhileEmitting, "Journal.Emit"},
	{"Secrets", secrets, "Journal.Write Journal.Get"},
	{"Recipients", recipients, "Journal.Get"},
	{"Prune", prune, "Journal.Prune Backend.Sweep"},
	{"Blobs", blobs, "Journal.PutBlob Journal.Blob"},
	{"DueRun", dueRun, "Backend.Create"},
	{"DueRunByChance", byChance, "Backend.Create"},
}

// Run tests a backend. The test program's TestMain calls Main.
func Run(t *testing.T, b Backend) { play(t, b, forAll) }

// The variables that make a test program the process that dies.
const placeVar, dirVar = "STATETEST_PLACE", "STATETEST_DIR"

// Main runs the tests of a package, or is the process that one of them kills.
func Main(m *testing.M, b Backend) {
	at := os.Getenv(placeVar)
	if at == "" {
		os.Exit(m.Run())
	}
	h, err := b.Open(at, os.Getenv(dirVar))
	if err == nil {
		err = drive(h)
	}
	os.Stderr.WriteString(err.Error() + "\n")
	os.Exit(1)
}

// drive creates a run, and writes to it until it is killed. It says, a line each, the id and
// how many steps it was told are kept.
func drive(h *state.Home) error {
	r, err := h.Create(state.Summary{Template: "web.json"})
	if err != nil {
		return err
	}
	runtime.GC() // what nobody has, the collector closes
	os.Stdout.WriteString(r.ID() + "\n")
	for i := 1; ; i++ {
		line := printed("tok", "stdout", int64(i), fmt.Sprint("line ", i))
		if err := errors.Join(r.Emit(line), r.Later(Record(i)), r.SetDocLater("n", i), r.Put(doing(Record(i)))); err != nil {
			return err
		}
		os.Stdout.WriteString(fmt.Sprint(i, "\n"))
	}
}

// Record is that of the nth thing of a run.
func Record(n int) dag.Record {
	r := dag.Record{Node: dag.Node{Name: fmt.Sprint("step-", n), Kind: "aws.launch", Spec: json.RawMessage(`{"subnet":"subnet-1"}`), Canon: strings.Repeat("canon ", 100), Thing: true}, Gen: 1, Status: dag.Done, Label: fmt.Sprint("i-", n)}
	r.Key[0], r.Key[1], r.Key[2] = byte(n), byte(n>>8), 1
	return r
}

func doing(r dag.Record) dag.Record {
	r.Status = dag.Doing
	return r
}

func said(text string) dag.Event {
	return dag.Event{V: dag.EventVersion, Time: time.Now(), Type: dag.Said, Text: text}
}

func printed(token, stream string, offset int64, text string) dag.Event {
	e := said(text)
	e.Type, e.Token, e.Stream, e.Offset = dag.Printed, token, stream, offset
	return e
}

func emit(t testing.TB, r dag.Sink, events ...dag.Event) {
	t.Helper()
	for _, e := range events {
		if err := r.Emit(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
}

// texts are those of all events of a run.
func texts(t testing.TB, h *state.Home, id string) string {
	t.Helper()
	events, _, err := h.Events(id, 0)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range events {
		s = append(s, e.Text)
	}
	return strings.Join(s, "|")
}

func create(t testing.TB, h *state.Home) *state.Run {
	t.Helper()
	r, err := h.Create(state.Summary{Template: "web.json"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func open(t testing.TB, h *state.Home, id string) *state.Run {
	t.Helper()
	r, err := h.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func store(t *testing.T, p *place) {
	dagtest.Store(t, func(t *testing.T) (dag.Store, func() dag.Store) {
		r := create(t, p.home(t))
		return r, func() dag.Store {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = open(t, p.home(t), r.ID())
			return r
		}
	})
}

func docsGraphSalt(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	type meta struct {
		Vars map[string]string
		N    int
	}
	var m meta
	if err := r.Doc("meta", &m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a document that was never stored: %v", err)
	}
	if _, err := r.Graph(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a graph that was never stored: %v", err)
	}
	if _, err := h.Drawn(r.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a drawn graph that was never stored: %v", err)
	}
	one := Record(1)
	g := dag.NewGraph(nil)
	g.Nodes, g.Goals = []dag.Node{one.Node}, []dag.Key{one.Key}
	salt, err := r.Salt()
	if err := errors.Join(err, r.SetGraph(g), r.SetDoc("meta", meta{map[string]string{"a": "1"}, 2})); err != nil {
		t.Fatal(err)
	}
	// Whoever drives the run, its graph can be drawn; without what its steps are set to.
	drawn, err := p.home(t).Drawn(r.ID()[:10])
	if err != nil || len(drawn.Nodes) != 1 || drawn.Nodes[0].Key != one.Key || drawn.Goals[0] != one.Key || drawn.Nodes[0].Canon != "" || string(drawn.Nodes[0].Spec) != "null" {
		t.Errorf("the graph to be drawn is %+v, %v", drawn, err)
	}
	r.Close()
	if err := r.SetDoc("meta", m); err == nil {
		t.Error("a run that is closed was written to")
	}
	r = open(t, h, r.ID()[:10])
	if err := r.Doc("meta", &m); err != nil || m.N != 2 || m.Vars["a"] != "1" {
		t.Errorf("meta is %+v, %v", m, err)
	}
	if g, err := r.Graph(); err != nil || len(g.Nodes) != 1 || g.Nodes[0].Canon != one.Canon || g.Goals[0] != one.Key {
		t.Errorf("graph is %+v, %v", g, err)
	}
	if again, err := r.Salt(); err != nil || !bytes.Equal(again, salt) || len(salt) < 16 {
		t.Errorf("salt %x, then %x, %v", salt, again, err)
	}
	if other, _ := create(t, h).Salt(); bytes.Equal(other, salt) {
		t.Error("two runs have one salt")
	}
}

func busy(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	if !p.home(t).Driven(r.ID()) {
		t.Error("a created run is not driven")
	}
	for _, take := range []func(string) (*state.Run, error){p.home(t).Open, p.home(t).Look} {
		_, err := take(r.ID())
		var busy *state.BusyError
		if !errors.As(err, &busy) || busy.PID != os.Getpid() || busy.Command == "" || busy.Since.IsZero() {
			t.Fatalf("the second opener got %v", err)
		}
	}
	if err := r.Put(Record(1)); err != nil {
		t.Errorf("the first can write no more: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if h.Driven(r.ID()) {
		t.Error("a closed run is driven")
	}
	before, err := h.Summary(r.ID())
	if err != nil {
		t.Fatal(err)
	}
	look, err := h.Look(r.ID())
	if err != nil {
		t.Fatal(err)
	}
	if after, err := h.Summary(r.ID()); err != nil || !after.Updated.Equal(before.Updated) {
		t.Errorf("a look has changed the summary: %v", err)
	}
	look.Close()
	open(t, p.home(t), r.ID())
}

// processDies kills a process that drives a run: what it was told is kept is kept, and
// what it had put off before that, too.
func processDies(t *testing.T, p *place) {
	h := p.home(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), placeVar+"="+p.at, dirVar+"="+p.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	next := func() string {
		if !lines.Scan() {
			t.Fatalf("the process ends: %v", lines.Err())
		}
		return lines.Text()
	}
	id := next()
	for next() != "25" {
	}
	if s, err := h.Summary(id); err != nil || s.Status != state.Running || s.PID != cmd.Process.Pid {
		t.Errorf("while driven: %+v, %v", s, err)
	}
	var busy *state.BusyError
	if _, err := h.Open(id); !errors.As(err, &busy) || busy.PID != cmd.Process.Pid {
		t.Errorf("open while driven: %v", err)
	}
	cmd.Process.Kill()
	told := 25
	for lines.Scan() {
		fmt.Sscan(lines.Text(), &told)
	}
	cmd.Wait()
	r := open(t, h, id) // at once, though it may take a while
	if r.Close(); r.Summary().Status != state.Running {
		t.Errorf("it is %s", r.Summary().Status)
	}
	if s, err := h.Summary(id); err != nil || s.Status != state.Interrupted {
		t.Errorf("after its death: %+v, %v", s, err)
	}
	if runs, err := h.Runs(); err != nil || len(runs) != 1 || runs[0].Status != state.Interrupted {
		t.Errorf("Runs = %+v, %v", runs, err)
	}
	r = open(t, h, id)
	rs, err := r.All()
	if err != nil || len(rs) < told || len(rs) > told+1 {
		t.Errorf("%d records of %d after its death, %v", len(rs), told, err)
	}
	for _, rec := range rs {
		if rec.Status != dag.Doing && rec.Name != fmt.Sprint("step-", len(rs)) {
			t.Errorf("%s is %s", rec.Name, rec.Status)
		}
	}
	n := int(r.Offset("tok", "stdout"))
	if n < told || n > told+1 {
		t.Errorf("the output is kept up to line %d of %d", n, told)
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint("line ", i+1))
	}
	if got := texts(t, h, id); got != strings.Join(want, "|") {
		t.Errorf("events: %.300s", got)
	}
}

func runs(t *testing.T, p *place) {
	h := p.home(t)
	if runs, err := h.Runs(); err != nil || len(runs) > 0 {
		t.Fatalf("at first: %v, %v", runs, err)
	}
	a, b := create(t, h), create(t, h)
	if err := b.SetSummary(func(s *state.Summary) {
		s.Status = state.Done
		s.Builds = []state.BuildSummary{{Name: "web", Type: "amazon-ebs", Status: state.Done, Artifacts: []state.Artifact{{Region: "us-east-1", ID: "ami-1", Name: "web 1"}}}}
	}); err != nil {
		t.Fatal(err)
	}
	runs, err := p.home(t).Runs()
	if err != nil || len(runs) != 2 || runs[0].ID != b.ID() || runs[1].ID != a.ID() || runs[1].Status != state.Running || runs[0].Builds[0].Artifacts[0].ID != "ami-1" {
		t.Fatalf("Runs = %+v, %v", runs, err)
	}
	if _, err := h.Open("nosuch"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nosuch") || !strings.Contains(err.Error(), h.Place()) {
		t.Errorf("unknown run: %v", err)
	}
	if _, err := h.Summary(a.ID()[:1]); err == nil || !strings.Contains(err.Error(), a.ID()) {
		t.Errorf("ambiguous prefix: %v", err)
	}
	for _, id := range []string{"", "..", "../runs", "%", a.ID() + "/."} {
		if _, err := h.Summary(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Summary(%q): %v", id, err)
		}
	}
	if err := a.Put(Record(1)); err != nil || h.Size(a.ID()) <= 0 {
		t.Error("a run takes no room")
	}
}

func summaries(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	r.Redact().Add("hunter2hunter2")
	set := func(s *state.Summary) {
		s.Err, s.Builds = "login with hunter2hunter2 failed", []state.BuildSummary{{Name: "web", Err: "hunter2hunter2"}}
	}
	if err := r.SetSummary(set); err != nil {
		t.Fatal(err)
	}
	s, err := h.Summary(r.ID())
	if err != nil || s.Err != "login with "+state.Redacted+" failed" || s.Builds[0].Err != state.Redacted {
		t.Errorf("%+v, %v", s, err)
	}
	if again := r.SetSummary(set); again != nil {
		t.Error(again)
	}
	if same, _ := h.Summary(r.ID()); !same.Updated.Equal(s.Updated) {
		t.Error("what was no news was written")
	}
	r.SetSummary(func(s *state.Summary) { s.Builds[0].Status = state.Failed })
	if s, err := h.Summary(r.ID()); err != nil || s.Builds[0].Status != state.Failed || r.Summary().Builds[0].Status != state.Failed {
		t.Errorf("a build that has failed is %+v, %v", s, err)
	}
}

func events(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	nasty := "quote \" <b> & \\ \"offset\":99,\"token\":\"evil\"\u2028 \x01\x00"
	emit(t, r, said("a"), printed("tok-1", "stdout", 10, nasty), printed("tok-1", "stderr", 4, "e"), printed("tok-1", "stdout", 25, strings.Repeat("long ", 1<<19)))
	events, next, err := h.Events(r.ID(), 0)
	if err != nil || len(events) != 4 || events[1].Text != nasty || len(events[3].Text) != 5<<19 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if again, same, err := h.Events(r.ID(), next); err != nil || len(again) > 0 || same != next {
		t.Errorf("behind the last one: %v, %d, %v", again, same, err)
	}
	emit(t, r, said("b"))
	if events, _, err = h.Events(r.ID(), next); err != nil || len(events) != 1 || events[0].Text != "b" {
		t.Errorf("from %d: %v, %v", next, events, err)
	}
	enough, n := errors.New("enough"), 0
	if _, err := h.EachEvent(r.ID(), 0, func(dag.Event) error { n++; return enough }); err != enough || n != 1 {
		t.Errorf("one at a time: %d, %v", n, err)
	}
	emitted := 0
	if _, err := h.EachEvent(r.ID(), next, func(dag.Event) error {
		if emitted++; emitted < 100 {
			emit(t, r, said("more"))
		}
		return nil
	}); err != nil || emitted != 1 {
		t.Errorf("of a run that emits as fast as it is read: %d, %v", emitted, err)
	}
	for i := range 2500 { // more than are read at once
		if err := r.Emit(said(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	check := func(r *state.Run) {
		t.Helper()
		for _, s := range []struct {
			token, stream string
			want          int64
		}{{"tok-1", "stdout", 25}, {"tok-1", "stderr", 4}, {"tok-2", "stdout", 0}, {"evil", "", 0}} {
			if got := r.Offset(s.token, s.stream); got != s.want {
				t.Errorf("offset of %v is %d", s, got)
			}
		}
	}
	check(r)
	r.Close()
	check(open(t, h, r.ID()))
	if got := texts(t, h, r.ID()); strings.Count(got, "|") != 2500+6-1 || !strings.HasSuffix(got, "|2498|2499") {
		t.Errorf("%d events, the last of which are %s", strings.Count(got, "|")+1, got[len(got)-40:])
	}
}

func laterIsSeen(t *testing.T, p *place) {
	r := create(t, p.home(t))
	var n int
	if err := errors.Join(r.SetDocLater("n", 1), r.SetDocLater("n", 2), r.Doc("n", &n)); err != nil || n != 2 {
		t.Errorf("the document is %d, %v", n, err)
	}
	if err := errors.Join(r.Vault().Later("key", []byte("hunter22")), r.Later(Record(1), Record(2))); err != nil {
		t.Error(err)
	}
	if v, err := r.Vault().Get("key"); err != nil || string(v) != "hunter22" {
		t.Errorf("the secret is %q, %v", v, err)
	}
	if rs, err := r.All(); err != nil || len(rs) != 2 {
		t.Errorf("%d records, %v", len(rs), err)
	}
}

// laterKeepsTheOrder: of many values that are put off by turns, the last counts.
func laterKeepsTheOrder(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	for i := range 500 {
		rec := Record(1)
		rec.Gen = i
		if err := r.Later(rec); err != nil {
			t.Fatal(err)
		}
		if i%97 == 0 {
			if err := r.Put(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if rs, err := open(t, h, r.ID()).All(); err != nil || len(rs) != 1 || rs[0].Gen != 499 {
		t.Errorf("%+v, %v", rs, err)
	}
}

func follow(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	emit(t, r, said("past"), dag.Event{Type: dag.RunEnded, Text: "suspended"})
	got, done := make(chan string, 100), make(chan error, 1)
	start := func() {
		done <- p.home(t).Follow(t.Context(), r.ID()[:11], func(e dag.Event) error { got <- e.Text; return nil })
	}
	next := func(want string) {
		t.Helper()
		s := ""
		select {
		case s = <-got:
		case err := <-done: // what it has shown came before
			if len(got) == 0 {
				t.Fatalf("Follow ended before %q: %v", want, err)
			}
			s = <-got
			done <- err
		case <-time.After(30 * time.Second):
			t.Fatalf("%q never came", want)
		}
		if s != want {
			t.Fatalf("followed %q, want %q", s, want)
		}
	}
	end := func() {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("Follow does not end")
		}
	}
	go start()
	next("past")
	next("suspended") // of the past: the run is driven on
	if err := r.Emit(said("one")); err != nil {
		t.Error(err)
	}
	next("one") // though nobody waits for it
	emit(t, r, dag.Event{Type: dag.RunEnded, Text: "done"})
	next("done")
	end()
	go start()
	for _, s := range []string{"past", "suspended", "one", "done"} {
		next(s)
	}
	r.Close() // as when its process dies: no event tells
	end()
	ctx, cancel := context.WithCancel(t.Context())
	r = open(t, h, r.ID())
	if err := h.Follow(ctx, r.ID(), func(dag.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	stop := errors.New("enough")
	if err := h.Follow(t.Context(), r.ID(), func(dag.Event) error { return stop }); err != stop {
		t.Errorf("the error of fn: %v", err)
	}
}

// followWhileEmitting follows a run that many goroutines emit to.
func followWhileEmitting(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	const writers, each = 8, 200
	done := make(chan error, 1)
	last := map[string]int64{}
	n := 0
	go func() {
		done <- p.home(t).Follow(t.Context(), r.ID(), func(e dag.Event) error {
			if e.Offset <= last[e.Token] {
				return fmt.Errorf("%s: %d after %d", e.Token, e.Offset, last[e.Token])
			}
			last[e.Token] = e.Offset
			n++
			return nil
		})
	}()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := r.Emit(printed(fmt.Sprint("tok-", w), "stdout", int64(i+1), "line")); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					if err := r.Sync(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	r.Close()
	if err := <-done; err != nil || n != writers*each {
		t.Errorf("%d of %d events, %v", n, writers*each, err)
	}
}

func secrets(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	if err := errors.Join(r.Vault().Put("ssh-key", []byte("hunter2 hunter2")), r.Vault().Put("empty", nil)); err != nil {
		t.Fatal(err)
	}
	failed := Record(1)
	failed.Err = "bad key hunter2 hunter2"
	if err := r.Put(failed); err != nil {
		t.Fatal(err)
	}
	emit(t, r, said("the key is hunter2 hunter2"), dag.Event{Type: dag.Failed, Err: "bad key hunter2 hunter2"})
	if rs, err := r.All(); err != nil || rs[0].Err != "bad key "+state.Redacted {
		t.Errorf("%q, %v", rs[0].Err, err)
	}
	r.Close()
	r = open(t, p.home(t), r.ID())
	if got, err := r.Vault().Get("ssh-key"); err != nil || string(got) != "hunter2 hunter2" {
		t.Errorf("the key came back as %q, %v", got, err)
	}
	if got, err := r.Vault().Get("empty"); err != nil || len(got) != 0 {
		t.Errorf("an empty secret: %q, %v", got, err)
	}
	if _, err := r.Vault().Get("nosuch"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a secret that was never put: %v", err)
	}
	emit(t, r, said("again hunter2 hunter2"))
	if all := texts(t, h, r.ID()); all != "the key is "+state.Redacted+"||again "+state.Redacted {
		t.Errorf("shown: %s", all)
	}
	r.Close()
	// Whoever has another identity opens nothing, and is told what is missing.
	other, err := p.b.Open(p.at, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, other.WithIdentity(identity(t)), r.ID()).Vault().Get("ssh-key"); err == nil || !strings.Contains(err.Error(), "IMGFLOW_IDENTITY") {
		t.Errorf("with another identity: %v", err)
	}
}

// identity makes an identity file.
func identity(t testing.TB) string {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(path, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// recipients: who seals to others reads what it has sealed itself, as long as it lives, and
// the others read it always.
func recipients(t *testing.T, p *place) {
	file := identity(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "recipients")
	if err := os.WriteFile(list, []byte("# the fleet\n"+id.Recipient().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	another, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{id.Recipient().String(), another.Recipient().String() + ", " + id.Recipient().String(), list} {
		h, err := p.home(t).WithRecipients(to)
		if err != nil {
			t.Fatal(err)
		}
		r := create(t, h)
		salt, err := r.Salt()
		if err != nil || len(salt) == 0 {
			t.Fatalf("who seals has no salt: %v", err)
		}
		if err := r.Vault().Put("key", []byte("hunter22")); err != nil {
			t.Fatal(err)
		}
		if v, err := r.Vault().Get("key"); err != nil || string(v) != "hunter22" {
			t.Errorf("who has sealed it reads %q, %v", v, err)
		}
		r.Close()
		r = open(t, h, r.ID())
		if _, err := r.Vault().Get("key"); err == nil {
			t.Error("who has no identity of theirs opens it")
		}
		r.Close()
		worker := open(t, p.home(t).WithIdentity(file), r.ID())
		if v, err := worker.Vault().Get("key"); err != nil || string(v) != "hunter22" {
			t.Errorf("the recipient reads %q, %v", v, err)
		}
		if same, err := worker.Salt(); err != nil || !bytes.Equal(same, salt) {
			t.Errorf("the recipient has another salt, %v", err)
		}
	}
	for _, bad := range []string{"age1nobody", filepath.Join(p.dir, "nosuch"), ""} {
		if _, err := p.home(t).WithRecipients(bad); err == nil || !strings.Contains(err.Error(), "IMGFLOW_RECIPIENTS") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func prune(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	machine := Record(2)
	if err := r.Put(machine); err != nil {
		t.Fatal(err)
	}
	if err := h.Prune(r.ID()); !errors.As(err, new(*state.BusyError)) {
		t.Errorf("a run that is driven: %v", err)
	}
	r.Close()
	for _, prune := range []func(string) error{h.Prunable, h.Prune} {
		var exist *state.ThingsExistError
		if err := prune(r.ID()); !errors.As(err, &exist) || len(exist.Things) != 1 || exist.Things[0] != "i-2" {
			t.Errorf("with a machine: %v", err)
		}
	}
	r = open(t, h, r.ID())
	machine.Status = dag.Gone
	emit(t, r, printed("tok", "stdout", 1, "x"))
	_, err := r.PutBlob(strings.NewReader("content"))
	if err := errors.Join(err, r.Put(machine), r.Close()); err != nil {
		t.Fatal(err)
	}
	other := create(t, h)
	sum, err := other.PutBlob(strings.NewReader("content"))
	if err := errors.Join(err, other.Close()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Prunable(r.ID()), h.Prune(r.ID()), h.Sweep()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Summary(r.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after that: %v", err)
	}
	if runs, err := h.Runs(); err != nil || len(runs) != 1 || runs[0].ID != other.ID() {
		t.Errorf("%v, %v", runs, err)
	}
	if p, err := open(t, h, other.ID()).Blob(sum); err != nil || string(p) != "content" {
		t.Errorf("the content of another run is %q, %v", p, err)
	}
}

// long is as much as a blob holds, and n more.
func long(n int) *bytes.Reader { return bytes.NewReader(make([]byte, state.MaxBlob+n)) }

func blobs(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	sums := map[string]string{}
	for _, content := range []string{"", "echo hello", "\x00\xff binary"} {
		for range 2 {
			sum, err := r.PutBlob(strings.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			sums[sum] = content
		}
	}
	whole, err := r.PutBlob(long(0))
	if err != nil || len(sums) != 3 {
		t.Fatalf("%d sums, %v", len(sums), err)
	}
	if _, err := r.PutBlob(long(1)); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("too much: %v", err)
	}
	r.Close()
	r = open(t, p.home(t), r.ID())
	for sum, content := range sums {
		if got, err := r.Blob(sum); err != nil || string(got) != content {
			t.Errorf("%q came back as %q, %v", content, got, err)
		}
	}
	if got, err := r.Blob(whole); err != nil || len(got) != state.MaxBlob {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	nosuch := strings.Repeat("0", 64)
	for _, sum := range []string{nosuch, "", "../run.json", whole[:63]} {
		if _, err := r.Blob(sum); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", sum, err)
		}
	}
}
