package statetest

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/state"
)

// dueRun: whoever makes the run of one time of a schedule makes the same one, and others have
// others.
func dueRun(t *testing.T, p *place) {
	h := p.home(t)
	due := time.Now().Truncate(time.Second)
	id, made, err := h.RunOf("web", due)
	if err != nil || made || len(id) != 12 {
		t.Fatalf("%q, %v, %v", id, made, err)
	}
	const n = 4
	var mu sync.Mutex
	var wg sync.WaitGroup
	held, busy := 0, 0
	for range n {
		wg.Go(func() {
			r, err := p.home(t).CreateDue(state.Summary{Schedule: "web", Due: due})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.As(err, new(*state.BusyError)):
				busy++
			case err != nil || r.ID() != id:
				t.Errorf("%v, want run %s", err, id)
			default:
				held++
				t.Cleanup(func() { r.Close() })
			}
		})
	}
	wg.Wait()
	if held != 1 || busy != n-1 {
		t.Errorf("%d have made it, and %d were told that it is driven", held, busy)
	}
	if again, made, err := h.RunOf("web", due.UTC()); err != nil || !made || again != id {
		t.Errorf("%q, %v, %v", again, made, err)
	}
	for name, at := range map[string]time.Time{"web": due.Add(time.Second), "db": due} {
		if other, made, err := h.RunOf(name, at); err != nil || made || other == id {
			t.Errorf("%s at %s: %q, %v, %v", name, at, other, made, err)
		}
	}
	if s, err := h.Summary(id); err != nil || s.Schedule != "web" || !s.Due.Equal(due) {
		t.Errorf("%+v, %v", s, err)
	}
}

// byChance: a run that has the id of another time by chance is not taken for it.
func byChance(t *testing.T, p *place) {
	h := p.home(t)
	due := time.Now()
	id, _, err := h.RunOf("web", due)
	if err != nil {
		t.Fatal(err)
	}
	var others []string
	for range 3 { // the same id, and another schedule
		r, err := h.CreateDue(state.Summary{Schedule: "web", Due: due})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetSummary(func(s *state.Summary) { s.Schedule = "db" }); err != nil {
			t.Fatal(err)
		}
		others = append(others, r.ID())
		r.Close()
	}
	if others[0] != id || others[1] == id || others[2] == others[1] || others[1][:8] != id[:8] {
		t.Errorf("the runs are %q, and the first was to be %s", others, id)
	}
}

// assignHeld: who holds a run assigns it, but not when somebody else has taken it meanwhile.
func assignHeld(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	if n, err := h.Assigned(r.ID()); err != nil || n != 0 {
		t.Errorf("epoch %d, %v", n, err)
	}
	if err := r.SetDocLater("meta", "x"); err != nil {
		t.Fatal(err)
	}
	epoch, err := r.Assign(engine)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.Assigned(r.ID()); err != nil || n != epoch {
		t.Errorf("epoch %d, want %d, %v", n, epoch, err)
	}
	fenced(t, "a record of who had it", r.Put(Record(1)))
	_, err = r.Assign(engine)
	fenced(t, "to assign it again", err)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	text := ""
	if err := join(t, h, r.ID(), epoch).Doc("meta", &text); err != nil || text != "x" {
		t.Errorf("%q, %v", text, err)
	}
}

func schedules(t *testing.T, p *place) {
	h := p.home(t)
	s, err := h.Schedules()
	if err != nil {
		t.Fatal(err)
	}
	if all, err := s.All(); err != nil || len(all) != 0 {
		t.Fatalf("%v, %v", all, err)
	}
	_, err = s.Get("web")
	for _, err := range []error{err, s.Remove("web")} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `cannot find the schedule "web"`) {
			t.Errorf("one that there is not: %v", err)
		}
	}
	if err := s.Note("web", []byte("1"), nil); err != nil {
		t.Errorf("what is noted of one that has gone: %v", err)
	}
	web := state.BlobsOf(s, "web")
	put := func(spec, pack string, contents ...string) (sums []string) {
		for _, c := range contents {
			sum, err := web.PutBlob(strings.NewReader(c))
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sum)
		}
		if err := s.Put(state.Schedule{Name: "web", Spec: []byte(spec), Files: []byte(`[]`), Pack: []byte(pack)}, sums); err != nil {
			t.Fatal(err)
		}
		return sums
	}
	first := put(`{"n":1}`, "\x00one", "old", "both")
	if err := errors.Join(s.Note("web", []byte(`"look"`), nil), s.Note("web", nil, []byte(`"base"`))); err != nil {
		t.Fatal(err)
	}
	r := create(t, h)
	if err := r.Adopt(first[:1]); err != nil {
		t.Fatal(err)
	}
	second := put(`{"n":2}`, "\x00two", "both", "new")
	got, err := s.Get("web")
	if err != nil || string(got.Spec) != `{"n":2}` || string(got.Pack) != "\x00two" || string(got.Files) != `[]` || string(got.Look) != `"look"` || string(got.Base) != `"base"` {
		t.Errorf("%q, %v", got, err)
	}
	for i, content := range []string{"both", "new"} {
		if p, err := web.Blob(second[i]); err != nil || string(p) != content {
			t.Errorf("%q, %v", p, err)
		}
	}
	if _, err := web.Blob(first[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a content that it had before: %v", err)
	}
	if all, err := s.All(); err != nil || len(all) != 1 || all[0].Name != "web" || string(all[0].Spec) != `{"n":2}` || string(all[0].Base) != `"base"` || all[0].Pack != nil {
		t.Errorf("%q, %v", all, err)
	}
	if err := r.Adopt(second[1:]); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove("web"); err != nil {
		t.Fatal(err)
	}
	for sum, content := range map[string]string{first[0]: "old", second[1]: "new"} { // a run has them still
		if p, err := r.Blob(sum); err != nil || string(p) != content {
			t.Errorf("%q, %v", p, err)
		}
	}
}
