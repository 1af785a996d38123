package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
)

// file writes a file beside the templates.
func (b *bench) file(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, "checkout", name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return path
}

// onBase is a template that begins from the newest image called base-*, with what its
// machine does.
func (b *bench) onBase(name, script string) string {
	b.t.Helper()
	b.file("greet.sh", script)
	return b.file(name, `{"variables": {"word": null, "place": "{{env `+"`PLACE`"+`}}"}, "sensitive-variables": ["word"], "builders": [{"type": "amazon-ebs", "region": "us-east-1",
 "source_ami_filter": {"owners": ["self"], "most_recent": true, "filters": {"name": "base-*"}},
 "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "app-{{timestamp}}-{{uuid}}"}],
 "provisioners": [{"type": "shell", "environment_vars": ["GREETING={{user `+"`word`"+`}} of {{user `+"`place`"+`}}"], "script": "greet.sh"}]}`)
}

// base makes a new base.
func (b *bench) base() {
	b.t.Helper()
	b.output(0, b.machine("me", "run", b.file("base.json", `{"builders": [{"type": "amazon-ebs", "region": "us-east-1",
 "source_ami_filter": {"owners": ["099720109477"], "most_recent": true, "filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}},
 "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "base-{{uuid}}"}]}`)))
}

// scheduled is a schedule as it is listed.
type scheduled struct {
	Name, Cron, Zone, Template, Team string
	Paused, Gone                     bool
	Next                             time.Time
	Base                             map[string]string
	Look                             *struct {
		At      time.Time
		Nothing bool
		Problem string
	}
	Last *listed
}

type listed struct {
	ID, Status, Schedule string
	Due                  time.Time
	Builds               []struct{ Artifacts []struct{ ID, Name string } }
}

func (b *bench) schedules() (all []scheduled) {
	b.t.Helper()
	if out := b.output(0, b.machine("other", "schedules", "--json")); json.Unmarshal([]byte(out), &all) != nil {
		b.t.Fatalf("schedules prints %s", out)
	}
	return all
}

// runsOf are those of a schedule, the newest first.
func (b *bench) runsOf(schedule string) (runs []listed) {
	b.t.Helper()
	if out := b.output(0, b.machine("other", "list", "--json", "--schedule", schedule)); json.Unmarshal([]byte(out), &runs) != nil {
		b.t.Fatalf("list prints %s", out)
	}
	return runs
}

// until waits for something that takes a while.
func (b *bench) until(what string, is func() bool) {
	b.t.Helper()
	for end := time.Now().Add(commandTime); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%s: not within %s; schedules are %+v, runs %+v", what, commandTime, b.schedules(), b.runsOf("app"))
		}
	}
}

// allEnded tells whether there are so many runs of a schedule, and all have ended like that.
func (b *bench) allEnded(n int, status string) bool {
	runs := b.runsOf("app")
	return len(runs) == n && !slices.ContainsFunc(runs, func(r listed) bool { return r.Status != status })
}

// schedule schedules the template app.json.
func (b *bench) schedule(template string, flags ...string) string {
	b.t.Helper()
	cmd := b.machine("me", append([]string{"schedule", "--on", b.engine, "-var", "word=hunTer2", template}, flags...)...)
	cmd.Env = append(cmd.Env, "PLACE=the scheduler")
	return b.output(0, cmd)
}

// What is scheduled is built again and again, by workers that have neither the template nor its environment; each run is one
// of its own; and the schedule is replaced, paused, started and removed from any machine.
func TestAScheduleMakesRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.base()
	b.worker("one")
	template := b.onBase("app.json", "echo \"$GREETING, says a script\"\n")
	if out := b.schedule(template, "--cron", "@every 5s", "--team", "web", "--priority", "2"); !strings.Contains(out, "Schedule app is made") || !strings.Contains(out, "Its next time is") {
		t.Errorf("schedule says %s", out)
	}
	for _, gone := range []string{template, filepath.Join(b.dir, "checkout", "greet.sh")} {
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
	}
	b.until("two runs are done", func() bool {
		runs := b.runsOf("app")
		return len(runs) >= 2 && runs[len(runs)-2].Status == "done"
	})
	if out := b.output(0, b.machine("other", "schedules", "pause", "app")); !strings.Contains(out, "Schedule app is paused") {
		t.Error(out)
	}
	b.until("what was begun has ended", func() bool { return b.allEnded(len(b.runsOf("app")), "done") })
	time.Sleep(time.Second)
	runs := b.runsOf("app")
	images := map[string]bool{}
	for _, r := range runs {
		if r.Schedule != "app" || r.Due.Unix()%5 != 0 || len(r.Builds) != 1 || len(r.Builds[0].Artifacts) != 1 {
			t.Errorf("%+v", r)
			continue
		}
		images[r.Builds[0].Artifacts[0].Name] = true // each has a time and uuid of its own
		if logs := b.output(0, b.machine("other", "logs", r.ID)); strings.Count(logs, "<sensitive> of the scheduler, says a script") != 1 {
			t.Errorf("run %s said\n%s", r.ID, logs)
		}
	}
	if len(images) != len(runs) {
		t.Errorf("%d runs have made %v", len(runs), images)
	}
	if out := b.output(0, b.machine("other", "show", runs[0].ID)); !strings.Contains(out, "app, of ") {
		t.Errorf("show says %s", out)
	}
	list := b.output(0, b.machine("other", "schedules"))
	if s := b.schedules(); len(s) != 1 || !s[0].Paused || s[0].Team != "web" || s[0].Cron != "@every 5s" || s[0].Template != template || s[0].Last == nil || s[0].Last.ID != runs[0].ID || s[0].Last.Status != "done" {
		t.Errorf("%+v", s)
	}
	for _, want := range []string{"app", "@every 5s (UTC)", "paused", runs[0].ID + " done", "web", template} {
		if !strings.Contains(list, want) {
			t.Errorf("schedules says %s", list)
		}
	}

	// It is replaced, by one that comes but once a year, and started.
	out := b.schedule(b.onBase("app.json", "echo \"another script of $GREETING\"\n"), "--cron", "0 3 1 1 *", "--zone", "Europe/Berlin")
	if !strings.Contains(out, "Schedule app is replaced") || !strings.Contains(out, "schedules resume app") {
		t.Error(out)
	}
	b.output(0, b.machine("other", "schedules", "resume", "app"))
	if s := b.schedules(); len(s) != 1 || s[0].Paused || s[0].Zone != "Europe/Berlin" || s[0].Next.UTC().Hour() != 2 || s[0].Next.Before(time.Now()) || s[0].Team != "" {
		t.Errorf("%+v", s)
	}
	b.output(0, b.machine("other", "schedules", "start", "app"))
	b.until("the run that was started is done", func() bool { return b.allEnded(len(runs)+1, "done") })
	if logs := b.output(0, b.machine("other", "logs", b.runsOf("app")[0].ID)); !strings.Contains(logs, "another script of <sensitive>") {
		t.Errorf("it said\n%s", logs)
	}
	if out := b.output(0, b.machine("other", "destroy", "--yes", "--artifacts", runs[0].ID)); !strings.Contains(out, "all of it is removed") {
		t.Errorf("destroy says %s", out)
	}
	b.output(0, b.machine("other", "schedules", "remove", "app"))
	if out := b.output(0, b.machine("other", "schedules")); !strings.Contains(out, "no schedules") || len(b.runsOf("app")) != len(runs)+1 {
		t.Errorf("removed, it says %s", out)
	}
	if out := b.output(1, b.machine("other", "schedules", "remove", "app")); !strings.Contains(out, `cannot find the schedule "app"`) {
		t.Error(out)
	}
}

// With --on-new-base a time makes a run only when there is another image to begin from.
func TestANewBaseIsBuiltUpon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.base()
	b.worker("one")
	b.schedule(b.onBase("app.json", "exit 3\n"), "--cron", "0 3 1 1 *", "--on-new-base")
	start := func() { b.t.Helper(); b.output(0, b.machine("other", "schedules", "start", "app")) }
	// looked returns when it has looked once more, with what is known then.
	looked := func(since time.Time) scheduled {
		b.t.Helper()
		b.until("it has looked", func() bool { l := b.schedules()[0].Look; return l != nil && l.At.After(since) })
		return b.schedules()[0]
	}
	var last time.Time
	for n := range 2 { // what has failed is tried again
		start()
		last = looked(last).Look.At
		b.until("it has failed", func() bool { return b.allEnded(n+1, "failed") })
		time.Sleep(1100 * time.Millisecond) // another second is another time
	}
	if s := b.schedules()[0]; s.Base != nil || s.Look.Nothing {
		t.Errorf("after a failure: %+v", s)
	}
	b.schedule(b.onBase("app.json", "true\n"), "--cron", "0 3 1 1 *", "--on-new-base")
	done := func() (n int) {
		for _, r := range b.runsOf("app") {
			if r.Status == "done" {
				n++
			}
		}
		return n
	}
	base := ""
	for n := range 2 {
		start()
		last = looked(last).Look.At
		b.until("it is done", func() bool { return done() == n+1 })
		b.until("it is known what it was made from", func() bool {
			now := b.schedules()[0].Base["amazon-ebs: source"]
			return strings.HasPrefix(now, "ami-") && now != base
		})
		s := b.schedules()[0]
		base = s.Base["amazon-ebs: source"]
		time.Sleep(1100 * time.Millisecond)
		start()
		if s := looked(last); !s.Look.Nothing || done() != n+1 || len(b.runsOf("app")) != n+3 {
			t.Errorf("with nothing new: %+v, and %d runs", s, len(b.runsOf("app")))
		} else {
			last = s.Look.At
		}
		if out := b.output(0, b.machine("other", "schedules")); !strings.Contains(out, "nothing new; the last good run was made from "+base) {
			t.Errorf("schedules says %s", out)
		}
		b.base()
	}
	if left, err := os.ReadDir(filepath.Join(b.dir, "one", "files")); err != nil || len(left) > 0 {
		t.Errorf("the worker has %v, %v", left, err)
	}
}

// A worker that is killed while it makes a run, or drives one, is replaced: there is
// one run of each time.
func TestAFiringSurvives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.base()
	template := b.onBase("app.json", "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 1; done\n")
	b.schedule(template, "--cron", "0 3 1 1 *")
	b.output(0, b.machine("other", "schedules", "start", "app"))
	// Each is killed a little later than the one before: before it has the time, while it makes the run, and after that.
	for i := range 5 {
		w := b.worker(fmt.Sprint("killed-", i))
		time.Sleep(time.Duration(100+150*i) * time.Millisecond)
		w.Process.Kill()
	}
	w := b.worker("longer")
	b.until("the script runs", func() bool {
		runs := b.runsOf("app")
		return len(runs) == 1 && strings.Contains(b.output(0, b.machine("other", "logs", runs[0].ID)), "line 2")
	})
	b.worker("last")
	w.Process.Kill()
	b.until("it is done", func() bool { return b.allEnded(1, "done") })
	logs := b.output(0, b.machine("other", "logs", b.runsOf("app")[0].ID))
	for i := range 8 {
		if line := fmt.Sprintf("line %d\n", i+1); strings.Count(logs, line) != 1 {
			t.Errorf("%q was told %d times", line, strings.Count(logs, line))
		}
	}
	time.Sleep(2 * time.Second)
	if runs := b.runsOf("app"); len(runs) != 1 {
		t.Errorf("there are %+v", runs)
	}
}

// A schedule fires though the database is away just then, or the Temporal server begins anew: there is one run of that time.
func TestAFiringOutlivesItsServers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	database := pgtest.New(t)
	var err error
	if b.database, err = database.Create(); err != nil {
		t.Fatal(err)
	}
	b.base()
	b.worker("one")
	b.schedule(b.onBase("app.json", "true\n"), "--cron", "@every 20s")
	for _, x := range []struct {
		what       string
		end, begin func() error
	}{
		{"the database is away", database.Kill, database.Start},
		{"the Temporal server begins anew", func() error { b.server.Kill(); return nil }, b.server.Start},
	} {
		// A time that comes while the run before it is under way is left out.
		var due time.Time
		b.until("nothing is under way, and nothing is due just now", func() bool {
			due = b.schedules()[0].Next
			return b.allEnded(len(b.runsOf("app")), "done") && time.Until(due) > 2*time.Second
		})
		time.Sleep(time.Until(due) - 500*time.Millisecond)
		if err := x.end(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(due) + time.Second)
		if err := x.begin(); err != nil {
			t.Fatal(err)
		}
		b.until(x.what+", and the run is done", func() bool {
			return slices.ContainsFunc(b.runsOf("app"), func(r listed) bool { return r.Due.Equal(due) && r.Status == "done" })
		})
	}
	due := map[time.Time]bool{}
	for _, r := range b.runsOf("app") {
		if due[r.Due] {
			t.Errorf("of %s there are two runs: %+v", r.Due, b.runsOf("app"))
		}
		due[r.Due] = true
	}
}

// A run of a schedule whose workflow somebody has ended is resumed by hand, and its script has run once; the schedule's next
// time makes another one beside it.
func TestARunOfAScheduleIsResumedByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.base()
	b.worker("one")
	b.schedule(b.onBase("app.json", "echo step began; sleep 8; echo step ended\n"), "--cron", "0 3 1 1 *")
	start := func() string {
		t.Helper()
		n := len(b.runsOf("app"))
		b.output(0, b.machine("other", "schedules", "start", "app"))
		b.until("the script runs", func() bool {
			runs := b.runsOf("app")
			return len(runs) > n && strings.Contains(b.output(0, b.machine("other", "logs", runs[0].ID)), "step began")
		})
		return b.runsOf("app")[0].ID
	}
	first := start()
	if err := b.dial().TerminateWorkflow(t.Context(), first, "", "a test"); err != nil {
		t.Fatal(err)
	}
	resumed, out := b.machine("other", "resume", "--frozen", first), new(lockedBuffer)
	resumed.Stdout, resumed.Stderr = out, out
	if err := resumed.Start(); err != nil {
		t.Fatal(err)
	}
	second := start()
	if err := resumed.Wait(); err != nil {
		t.Errorf("resume: %v\n%s", err, out.String())
	}
	b.until("both are done", func() bool { return b.allEnded(2, "done") })
	for _, run := range []string{first, second} {
		if logs := b.output(0, b.machine("other", "logs", run)); strings.Count(logs, "step began\n") != 1 || strings.Count(logs, "step ended\n") != 1 {
			t.Errorf("run %s said\n%s", run, logs)
		}
	}
}

// Two schedules of one template fire at the same time: each makes its run.
func TestTwoSchedulesAtOneTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.base()
	b.worker("one")
	b.worker("two")
	template := b.onBase("app.json", "true\n")
	for _, name := range []string{"app", "web"} {
		b.schedule(template, "--cron", "@every 5s", "--name", name)
	}
	b.until("each has a run of the same time, and both are done", func() bool {
		for _, r := range b.runsOf("app") {
			if r.Status == "done" && slices.ContainsFunc(b.runsOf("web"), func(o listed) bool { return o.Due.Equal(r.Due) && o.Status == "done" }) {
				return true
			}
		}
		return false
	})
	images := map[string]string{}
	for _, name := range []string{"app", "web"} {
		for _, r := range b.runsOf(name) {
			if r.Schedule != name {
				t.Errorf("%s has %+v", name, r)
			}
			for _, build := range r.Builds {
				for _, a := range build.Artifacts {
					if of, twice := images[a.ID]; twice {
						t.Errorf("image %s is of the runs %s and %s", a.ID, of, r.ID)
					}
					images[a.ID] = r.ID
				}
			}
		}
	}
	if len(images) < 2 {
		t.Errorf("the images are %v", images)
	}
}

// What cannot be scheduled is refused before anything is, with the reason.
func TestWhatCannotBeScheduled(t *testing.T) {
	t.Parallel()
	b := &bench{t: t, dir: t.TempDir(), database: pgtest.Database(t)}
	var err error
	if b.program, err = built(); err != nil {
		t.Fatal(err)
	}
	const engine = "temporal://127.0.0.1:1/default"
	fixed := b.file("fixed.json", `{"builders": [{"type": "amazon-ebs", "region": "us-east-1", "source_ami": "ami-0123456789abcdef0", "instance_type": "t3.micro", "ssh_username": "u", "ami_name": "fixed"}]}`)
	wrong := b.file("wrong.json", `{"builders": [{"type": "amazon-ebs", "regoin": "us-east-1"}]}`)
	for _, x := range []struct {
		args []string
		why  string
	}{
		{[]string{"--on", engine, "--cron", "@daily", "--on-new-base", fixed}, "no build looks for what it begins from"},
		{[]string{"--on", engine, "--cron", "@daily", wrong}, "regoin"},
		{[]string{"--on", engine, "--cron", "@daily", "--name", "a b", fixed}, `cannot call a schedule "a b"`},
		{[]string{"--on", engine, "--cron", "@daily", "--on-error", "ask", fixed}, "cannot ask"},
		{[]string{"--on", engine, "--cron", "@daily", "-"}, "give its --name"},
		{[]string{"--on", engine, fixed}, "cannot schedule without --cron"},
		{[]string{"--cron", "@daily", fixed}, "cannot schedule without --on"},
	} {
		if out := b.output(2, b.machine("me", append([]string{"schedule"}, x.args...)...)); !strings.Contains(out, x.why) {
			t.Errorf("%q: %s", x.args, out)
		}
	}
	for _, x := range []struct{ args, why string }{{"frobnicate x", "say pause, resume, start or remove"}, {"pause", "without the name"}} {
		if out := b.output(2, b.machine("me", append([]string{"schedules"}, strings.Fields(x.args)...)...)); !strings.Contains(out, x.why) {
			t.Errorf("%s: %s", x.args, out)
		}
	}
	if out := b.output(0, b.machine("me", "schedules")); !strings.Contains(out, "no schedules") {
		t.Error(out)
	}
	b.database = ""
	if out := b.output(2, b.machine("me", "schedules")); !strings.Contains(out, "set IMGFLOW_STATE to the database") {
		t.Error(out)
	}
}
