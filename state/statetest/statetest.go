// Package statetest holds the tests that every backend of package state must pass. Those
// that a backend of one process cannot pass are for the ones that are shared: see [Shared].
package statetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
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
