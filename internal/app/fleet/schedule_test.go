package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/engine/temporal"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/state"
)

// scheduled schedules the template, and removes what of it is on the disk.
func (b *bench) scheduled(s app.Schedule) {
	b.t.Helper()
	a, home := b.machine()
	session := a.New(nil, app.Request{Template: filepath.Join(b.dir, "t.pkr.hcl"), Vars: map[string]string{"pw": "hunTer2"}})
	defer session.Close()
	err := session.Load(b.t.Context(), true)
	if err == nil {
		err = session.Schedule(b.t.Context(), home, s, func() error { return nil })
	}
	if err != nil {
		b.t.Fatal(err)
	}
	for _, file := range []string{"t.pkr.hcl", "x.sh"} {
		if err := os.Remove(filepath.Join(b.dir, file)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// runs are those of the database, the newest first.
func (b *bench) runs() []state.Summary {
	b.t.Helper()
	_, home := b.machine()
	runs, err := home.Runs()
	if err != nil {
		b.t.Fatal(err)
	}
	return runs
}

// known is what is known of the schedule.
func (b *bench) known() app.Scheduled {
	b.t.Helper()
	_, home := b.machine()
	s, err := app.ScheduleOf(home, "web")
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

var weekly = app.Schedule{Name: "web", Template: "t.pkr.hcl", Cron: "@weekly", Elsewhere: app.Elsewhere{Engine: "temporal://here", Team: "w", Priority: 2}}

// The run of one time is made once, by however many workers at once, and again when it has ended; it is as the template was
// when that was scheduled.
func TestOneTimeMakesOneRun(t *testing.T) {
	b := newBench(t)
	b.scheduled(weekly)
	due := time.Now().Truncate(time.Second)
	workers := []*sessions{b.worker(), b.worker(), b.worker()}
	var mu sync.Mutex
	var wg sync.WaitGroup
	made := map[temporal.Ref]int{}
	for _, w := range workers {
		wg.Go(func() {
			x, err := w.Fire(t.Context(), temporal.Firing{Schedule: "web", Due: due})
			mu.Lock()
			defer mu.Unlock()
			if err == nil { // who was not first is told that it is being made
				made[x.Ref]++
			}
		})
	}
	wg.Wait()
	x, err := workers[0].Fire(t.Context(), temporal.Firing{Schedule: "web", Due: due})
	if err != nil || len(made) != 1 || made[x.Ref] == 0 || x.Submission.Team != "w" || x.Submission.Priority != 2 || x.Submission.Template != "t.pkr.hcl" {
		t.Fatalf("%+v, %v, was made as %v", x, err, made)
	}
	if runs := b.runs(); len(runs) != 1 || runs[0].ID != x.Run || runs[0].Schedule != "web" || !runs[0].Due.Equal(due) {
		t.Errorf("there are %+v", runs)
	}
	if left, err := os.ReadDir(b.work); err != nil || len(left) > 0 {
		t.Errorf("files stay behind: %v %v", left, err)
	}
	(&engine{t, x.Ref, workers}).drive()
	want := "box.a: re-one " + b.dir + " hunTer2 SCRIPT\nbox.b: plain SCRIPT"
	if got := strings.Join(b.all(), "\n"); got != want {
		t.Errorf("there is %q", got)
	}
	late, err := workers[1].Fire(t.Context(), temporal.Firing{Schedule: "web", Due: due})
	if err != nil || late.Run != "" || b.runs()[0].Status != state.Done {
		t.Errorf("a late one makes %+v, %v", late, err)
	}
	next, err := workers[1].Fire(t.Context(), temporal.Firing{Schedule: "web", Due: due.Add(time.Second)})
	if err != nil || next.Run == "" || next.Run == x.Run {
		t.Errorf("the next time makes %+v, %v", next, err)
	}
	if gone, err := workers[1].Fire(t.Context(), temporal.Firing{Schedule: "none", Due: due}); err != nil || gone.Run != "" {
		t.Errorf("a schedule that was removed makes %+v, %v", gone, err)
	}
}

// Whoever was only paused while it made a run does not begin it once more when it wakes.
func TestWhoWakesBeginsNoRunTwice(t *testing.T) {
	b := newBench(t)
	b.scheduled(weekly)
	f := temporal.Firing{Schedule: "web", Due: time.Now()}
	slow, quick := b.worker(), b.worker()
	b.load = func() { // as if the first one was paused here
		x, err := quick.Fire(t.Context(), f)
		if err != nil {
			t.Error(err)
		}
		(&engine{t, x.Ref, []*sessions{quick}}).drive()
	}
	x, err := slow.Fire(t.Context(), f)
	if err == nil || !strings.Contains(err.Error(), "begun by another worker") {
		t.Errorf("it makes %+v, %v", x, err)
	}
	_, home := b.machine()
	if runs := b.runs(); len(runs) != 1 || runs[0].Status != state.Done || home.Driven(runs[0].ID) {
		t.Errorf("there are %+v", runs)
	}
	for text, n := range b.times {
		if n != 1 {
			t.Errorf("%s was made %d times", text, n)
		}
	}
}

// With on_new_base a run is made when what the template looks up is another than the last good run was made from.
func TestOnlyOnANewBase(t *testing.T) {
	b := newBench(t)
	s := weekly
	s.OnNewBase = true
	b.scheduled(s)
	w := b.worker()
	due := time.Now()
	fire := func() temporal.Fired {
		t.Helper()
		due = due.Add(time.Second)
		x, err := w.Fire(t.Context(), temporal.Firing{Schedule: "web", Due: due})
		if err != nil {
			t.Fatal(err)
		}
		return data(t, x)
	}
	drive := func(x temporal.Fired) {
		t.Helper()
		if x.Run == "" {
			t.Fatalf("there is no run: %+v", x)
		}
		(&engine{t, x.Ref, []*sessions{w}}).drive()
	}
	b.failing = "box.b"
	drive(fire())
	if k := b.known(); k.Base != nil || k.Look.Nothing || len(k.Look.Found) != 1 {
		t.Errorf("after a failure: %+v", k)
	}
	b.failing = ""
	drive(fire()) // once more
	first := b.known()
	if first.Base["data.ask.first"] == "" {
		t.Errorf("after that: %+v", first)
	}
	if x := fire(); x.Run != "" || x.Problem != "" || len(b.runs()) != 2 {
		t.Errorf("with nothing new: %+v", x)
	}
	if k := b.known(); !k.Look.Nothing || !k.Look.At.After(first.Look.At) {
		t.Errorf("with nothing new: %+v", k.Look)
	}
	b.answers = "new-"
	x := fire()
	if k := b.known(); k.Look.Nothing || k.Base["data.ask.first"] != first.Base["data.ask.first"] {
		t.Errorf("before the run has ended: %+v", k)
	}
	drive(x)
	if k := b.known(); k.Base["data.ask.first"] == first.Base["data.ask.first"] {
		t.Errorf("after it: %+v", k)
	}
	b.failing = "ask"
	if x := fire(); x.Run != "" || !strings.Contains(x.Problem, "nobody answers: <sensitive>") || b.known().Look.Problem != x.Problem || len(b.runs()) != 3 {
		t.Errorf("when nothing can be looked up: %+v, %+v", x, b.known().Look)
	}
	if left, err := os.ReadDir(b.work); err != nil || len(left) > 0 {
		t.Errorf("files stay behind: %v %v", left, err)
	}
}

// What somebody has left who died while he made a run is removed, and what others are at stays.
func TestFilesOfFiringsAreRemoved(t *testing.T) {
	b := newBench(t)
	for name, age := range map[string]time.Duration{"fire-old": 25 * time.Hour, "fire-young": time.Hour} {
		folder := filepath.Join(b.work, name)
		err := os.MkdirAll(folder, 0o700)
		if err == nil {
			err = os.Chtimes(folder, time.Now(), time.Now().Add(-age))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.worker().tidyAll()
	if left, _ := filepath.Glob(b.work + "/fire-*"); len(left) != 1 || filepath.Base(left[0]) != "fire-young" {
		t.Errorf("there is %q", left)
	}
}
