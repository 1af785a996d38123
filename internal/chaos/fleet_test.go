package main

import (
	"cmp"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/proto"

	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/secrettest"
	"github.com/imgflow/imgflow/internal/temporaltest"
)

// fleet is a stage whose runs go to workers, by a real Temporal server and PostgreSQL.
type fleet struct {
	*stage
	*crew
	database *pgtest.Server
}

// newFleet makes a fleet of so many workers; endpoint are flags of the embedded EC2.
func newFleet(t *testing.T, workers int, endpoint ...string) *fleet {
	t.Helper()
	server := temporaltest.New(t)
	database := pgtest.New(t)
	exe, err := fleetProgram()
	if err != nil {
		t.Fatal(err)
	}
	sandboxes(t, imgflow(t))
	s := stageOf(t, exe, append([]string{"--guest", "sandbox"}, endpoint...)...)
	state, err := database.Create()
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.newCrew(server, "crew", state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range c.machines {
				t.Logf("%s printed last:\n%s", filepath.Base(m.dir), indent(m.output()))
			}
		}
		for _, m := range c.machines {
			secrettest.Check(t, "what a worker prints", []byte(m.output()))
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	s.env = []string{"IMGFLOW_STATE=" + state, "IMGFLOW_RECIPIENTS=" + c.identity.Recipient().String()}
	f := &fleet{stage: s, crew: c, database: database}
	secrettest.Hide(t, c.secrets()...)
	for range workers {
		f.hire()
	}
	return f
}

// hire starts a worker on a machine of its own.
func (f *fleet) hire() {
	f.t.Helper()
	if _, err := f.crew.hire(); err != nil {
		f.t.Fatal(err)
	}
}

// replace starts another worker on a machine.
func (f *fleet) replace(m *machine) {
	f.t.Helper()
	if err := f.crew.replace(m); err != nil {
		f.t.Fatal(err)
	}
}

// submit starts a run on the fleet, and follows it.
func (f *fleet) submit(args ...string) *proc {
	f.t.Helper()
	return f.begin(nil, slices.Concat([]string{"run", "--on", f.server.URL()}, args)...)
}

var callLine = regexp.MustCompile(`(?m)^\S+ \S+ ([A-Z]\w+) (.*)$`)

// calls are how often each call was made.
func (s *stage) calls() map[string]int {
	s.t.Helper()
	log, err := os.ReadFile(filepath.Join(s.endpoint.dir, logName))
	if err != nil {
		s.t.Fatal(err)
	}
	n := map[string]int{}
	for _, m := range callLine.FindAllStringSubmatch(string(log), -1) {
		n[m[1]]++
	}
	return n
}

// more are the actions of which there are more calls than others, with both numbers, the largest difference first.
func more(calls, than map[string]int) string {
	ops := slices.DeleteFunc(slices.Collect(maps.Keys(calls)), func(op string) bool { return calls[op] <= than[op] })
	slices.SortFunc(ops, func(a, b string) int {
		return cmp.Or(cmp.Compare(calls[b]-than[b], calls[a]-than[a]), strings.Compare(a, b))
	})
	for i, op := range ops {
		ops[i] = fmt.Sprintf("%s %d for %d", op, calls[op], than[op])
	}
	return strings.Join(ops, ", ")
}

func total(calls map[string]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

// alone runs the same template by one process that keeps its run in files, in a world of its
// own, and returns the calls that it made and how long it took. The process is
// killed so many times, every two seconds, and resumed.
func (f *fleet) alone(kills int, endpoint ...string) (calls map[string]int, took time.Duration) {
	f.t.Helper()
	s := stageOf(f.t, imgflow(f.t), append([]string{"--guest", "sandbox"}, endpoint...)...)
	text, err := os.ReadFile(f.path("t.json"))
	if err != nil {
		f.t.Fatal(err)
	}
	s.file("t.json", string(text))
	begun := time.Now()
	p := s.begin(nil, "run", "t.json")
	for ; kills > 0; kills-- {
		select {
		case <-p.ended:
			kills = 1
		case <-time.After(2 * time.Second):
			p.signal(syscall.SIGKILL)
			<-p.ended
			if p.killed() {
				p = s.begin(nil, "resume", s.only())
			}
		}
	}
	s.ends(p, 0)
	return s.calls(), time.Since(begun)
}

// TestCampaignOfAFleet plays seeds, and kills at some writes, with workers that build.
func TestCampaignOfAFleet(t *testing.T) {
	t.Parallel()
	exe, err := fleetProgram()
	if err != nil {
		t.Fatal(err)
	}
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: worlds(t), database: pgtest.New(t), temporal: temporaltest.Program(t)}
	sandboxes(t, exe)
	kills := c.boundary(1)
	if !*long {
		kills = c.cuts(cut{12, "after", "resume"}, cut{90, "before", "worker"})
	}
	losing(t, both(c.few(142), kills))
}

// TestWindowsCampaignOfAFleet plays seeds whose workers build images of Windows.
func TestWindowsCampaignOfAFleet(t *testing.T) {
	t.Parallel()
	exe, err := fleetProgram()
	if err != nil {
		t.Fatal(err)
	}
	c := &campaign{imgflow: exe, guest: "process", kind: "windows", dir: worlds(t), database: pgtest.New(t), temporal: temporaltest.Program(t)}
	losing(t, c.few(7))
}

// drive is one drive of a run by workflows, as their histories tell it.
type drive struct {
	begun time.Time
	ended time.Time     // of the last build
	spare time.Duration // how long it took until then without the time in which calls of lost workers stood still
}

// drives are those of the fleet's runs with a workflow for each build, in the order in which they began.
// A call that another worker has ended stood still from when it was asked for until that one began; where several of a
// build did so at the same time, that counts once.
func (f *fleet) drives() (all []drive) {
	f.t.Helper()
	type span struct{ from, to time.Time }
	type told struct {
		begun, ended time.Time
		still        []span
	}
	runs, builds := map[string]told{}, map[string][]told{}
	for w, events := range f.workflows() {
		id := w.GetExecution().GetWorkflowId()
		t := told{begun: w.GetStartTime().AsTime(), ended: w.GetCloseTime().AsTime()}
		asked := map[int64]time.Time{}
		for _, e := range events {
			asked[e.GetEventId()] = e.GetEventTime().AsTime()
			if a := e.GetActivityTaskStartedEventAttributes(); a.GetAttempt() > 1 {
				t.still = append(t.still, span{asked[a.GetScheduledEventId()], e.GetEventTime().AsTime()})
			}
		}
		if run, _, child := strings.Cut(id, "/"); child {
			builds[run] = append(builds[run], t)
		} else {
			runs[id] = t
		}
	}
	for id, run := range runs {
		d := drive{begun: run.begun}
		for _, b := range builds[id] {
			still := slices.DeleteFunc(slices.Concat(run.still, b.still), func(s span) bool { return s.from.After(b.ended) })
			slices.SortFunc(still, func(a, b span) int { return a.from.Compare(b.from) })
			took, until := b.ended.Sub(run.begun), run.begun
			for _, s := range still {
				if s.from.Before(until) {
					s.from = until
				}
				if s.to.After(s.from) {
					took -= s.to.Sub(s.from)
					until = s.to
				}
			}
			d.spare = max(d.spare, took)
			if b.ended.After(d.ended) {
				d.ended = b.ended
			}
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b drive) int { return a.begun.Compare(b.begun) })
	return all
}

// TestFleetLosesWorkers: workers are killed at random while they build, and the Temporal
// server once. There is each image once and nothing else, each script ran once, each line
// stands once. All workers together have asked EC2 at most twice what one process asks, and a
// few times more for each kill.
func TestFleetLosesWorkers(t *testing.T) {
	t.Parallel()
	builds, ticks := scaled(6, 50), scaled(20, 40)
	slow := []string{"--latency", "running=2s,image=5s"}
	f := newFleet(t, 3, slow...)
	f.crowd(builds, onceEach(ticks)...)
	one, alone := f.alone(0, slow...)
	calm, calmly, images := map[string]int{}, time.Duration(0), builds
	if *long { // what it takes when nobody disturbs
		begun := time.Now()
		f.ends(f.submit("t.json"), 0)
		calm, calmly, images = f.calls(), time.Since(begun), 2*builds
	}

	begun := time.Now()
	p := f.submit("t.json")
	kills := 0
	for strike := time.NewTicker(2 * time.Second); p.alive(); {
		select {
		case <-strike.C:
		case <-p.ended:
			continue
		}
		if kills == 2 {
			f.server.Kill()
			if err := f.server.Start(); err != nil {
				t.Fatal(err)
			}
		}
		if kills < scaled(4, 1000) {
			m := f.machines[rand.IntN(len(f.machines))]
			m.signal(syscall.SIGKILL)
			<-m.ended
			f.replace(m)
			kills++
		}
	}
	took := time.Since(begun)
	f.ends(p, 0)
	f.leaves(images)
	f.linesOnce(builds, ticks)
	calls := f.calls()
	for op, n := range calm {
		calls[op] -= n
	}
	t.Logf("%d builds, %d workers killed: %s; undisturbed %s; one process %s", builds, kills, took.Round(100*time.Millisecond), calmly.Round(100*time.Millisecond), alone.Round(100*time.Millisecond))
	t.Logf("calls: %d, %v; undisturbed %d, %v; one process %d, %v", total(calls), calls, total(calm), calm, total(one), one)
	t.Logf("more than one process has made, undisturbed: %s", more(calm, one))
	if drives := f.drives(); len(drives) == 2 { // the builds of fewer have no workflows of their own
		for i, name := range []string{"undisturbed", "with kills"} {
			t.Logf("%s: the last image after %s, and after %s without the time in which calls of lost workers stood still",
				name, drives[i].ended.Sub(drives[i].begun).Round(100*time.Millisecond), drives[i].spare.Round(100*time.Millisecond))
		}
	}
	if *long {
		dying, took := f.alone(kills, slow...)
		t.Logf("one process that is killed and resumed as often: %s, %d calls, %v; of the fleet there are more of %s", took.Round(100*time.Millisecond), total(dying), dying, more(calls, dying))
	}
	if *long && total(calm) > 2*total(one) {
		t.Errorf("%d calls of a fleet that nobody disturbs, more than twice the %d of one process", total(calm), total(one))
	}
	if most := 2*total(one) + 8*kills; total(calls) > most {
		t.Errorf("%d calls, more than %d: twice the %d of one process, and 8 for each kill", total(calls), most, total(one))
	}
}

// TestFleetIsPaused: a worker that is stopped until others have taken its steps over, and
// then goes on, changes nothing.
func TestFleetIsPaused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	ticks := scaled(100, 400)
	f.crowd(1, onceEach(ticks)...)
	p := f.submit("t.json")
	f.hears(p, "tick <b000.5>")
	first := f.machines[0]
	first.signal(syscall.SIGSTOP)
	f.hire()
	f.hears(p, fmt.Sprintf("tick <b000.%d>", ticks/2+5)) // by the second
	first.signal(syscall.SIGCONT)
	f.ends(p, 0)
	f.leaves(1)
	f.linesOnce(1, ticks)
	if n := f.launched(); n != 1 {
		t.Errorf("%d machines were launched", n)
	}
}

// TestFleetLosesASpotMachine: EC2 takes a spot instance back while a script runs on it, and the worker dies that was
// told. The run goes on by itself on another machine, with all that was done on the first.
func TestFleetLosesASpotMachine(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, "--fault", "spot=3s,reclaims=1")
	const ticks = 30
	f.template(map[string]any{"name": "b000", "spot_price": "auto"}, onceEach(ticks)...)
	p := f.submit("t.json")
	f.hears(p, "tick <b000.1>")
	f.hears(p, "its machine was taken away, so another one is made")
	f.machines[0].kill()
	f.replace(f.machines[0])
	f.ends(p, 0)
	f.leaves(1)
	if n := f.launched(); n != 2 {
		t.Errorf("%d machines were launched", n)
	}
	log := f.must("logs")
	_, second, _ := strings.Cut(log, "its machine was taken away")
	for i := 1; i <= ticks; i++ {
		if n := strings.Count(second, fmt.Sprintf("tick <b000.%d>", i)); n != 1 {
			t.Errorf("line %d stands %d times in the log of the second machine", i, n)
		}
	}
}

// TestFleetLosesItsDatabase: PostgreSQL is stopped, and killed, under load.
func TestFleetLosesItsDatabase(t *testing.T) {
	t.Parallel()
	builds, ticks := scaled(3, 20), 22
	f := newFleet(t, 2)
	f.crowd(builds, stepEach(ticks)...)
	p := f.submit("t.json")
	for i, end := range []func() error{f.database.Kill, f.database.Stop} {
		f.hears(p, fmt.Sprintf("tick <b000.%d>", 5+15*i))
		if err := end(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := f.database.Start(); err != nil {
			t.Fatal(err)
		}
	}
	f.ends(p, 0)
	f.leaves(builds)
	f.linesOnce(builds, ticks)
}

// history is what the Temporal server keeps of all workflows.
type history struct {
	workflows, events int
	bytes             []byte
}

// history reads all histories.
func (f *fleet) history() (h history) {
	f.t.Helper()
	for _, events := range f.workflows() {
		h.workflows++
		for _, e := range events {
			p, err := proto.Marshal(e)
			if err != nil {
				f.t.Fatal(err)
			}
			h.events++
			h.bytes = append(h.bytes, p...)
		}
	}
	return h
}

// workflows are all that the server has, with their histories. It is asked for 100 at a time: with
// SQLite below, a page of 1,000 takes it more than the ten seconds after which a call ends.
func (f *fleet) workflows() iter.Seq2[*workflowpb.WorkflowExecutionInfo, []*historypb.HistoryEvent] {
	return func(yield func(*workflowpb.WorkflowExecutionInfo, []*historypb.HistoryEvent) bool) {
		f.t.Helper()
		c, err := client.Dial(client.Options{HostPort: f.server.Address, Namespace: temporaltest.Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
		if err != nil {
			f.t.Fatal(err)
		}
		defer c.Close()
		for page, more := []byte(nil), true; more; more = len(page) > 0 {
			list, err := c.ListWorkflow(f.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: temporaltest.Namespace, PageSize: 100, NextPageToken: page})
			if err != nil {
				f.t.Fatal(err)
			}
			page = list.GetNextPageToken()
			for _, w := range list.GetExecutions() {
				var all []*historypb.HistoryEvent
				events := c.GetWorkflowHistory(f.t.Context(), w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
				for events.HasNext() {
					e, err := events.Next()
					if err != nil {
						f.t.Fatal(err)
					}
					all = append(all, e)
				}
				if !yield(w, all) {
					return
				}
			}
		}
	}
}

// stored is all that is in the database.
func (f *fleet) stored() string {
	f.t.Helper()
	ctx := f.t.Context()
	db, err := pgx.Connect(ctx, f.state)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close(ctx)
	var all strings.Builder
	for _, table := range f.tables(db) {
		rows, err := db.Query(ctx, "SELECT * FROM "+table)
		if err != nil {
			f.t.Fatal(err)
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				f.t.Fatal(err)
			}
			for _, v := range values {
				if b, ok := v.([]byte); ok {
					v = string(b)
				}
				fmt.Fprintln(&all, v)
			}
		}
		if err := rows.Err(); err != nil {
			f.t.Fatal(err)
		}
	}
	return all.String()
}

// tables are those of imgflow, as SQL names them.
func (f *fleet) tables(db *pgx.Conn) []string {
	f.t.Helper()
	rows, err := db.Query(f.t.Context(), `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'imgflow'`)
	if err != nil {
		f.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		f.t.Fatal(err)
	}
	return tables
}

// rows are how many the database has, in all tables.
func (f *fleet) rows() (n int) {
	f.t.Helper()
	ctx := f.t.Context()
	db, err := pgx.Connect(ctx, f.state)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close(ctx)
	for _, table := range f.tables(db) {
		var has int
		if err := db.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&has); err != nil {
			f.t.Fatal(err)
		}
		n += has
	}
	return n
}

// TestFleetKeepsSecrets: what a run is given in secret, and what its machines print of it, is
// neither in the histories of the Temporal server nor in the database in clear text: both are
// looked through when a test of a fleet ends.
func TestFleetKeepsSecrets(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	const secret = "hunTer2-of-the-fleet"
	f.file("t.pkr.hcl", `
variable "password" {
  type      = string
  sensitive = true
}
source "amazon-ebs" "b" {
  region        = "us-east-1"
  instance_type = "t3.micro"
  ssh_username  = "ubuntu"
  ami_name      = "secret-{{timestamp}}"
  source_ami_filter {
    filters     = { name = "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*" }
    owners      = ["099720109477"]
    most_recent = true
  }
}
build {
  sources = ["source.amazon-ebs.b"]
  provisioner "shell" {
    environment_vars = ["PASSWORD=${var.password}-and-more"]
    inline           = ["echo it is $PASSWORD", "test $${#PASSWORD} = 29"]
  }
}
`)
	secrettest.Hide(t, secret)
	f.ends(f.begin([]string{"PKR_VAR_password=" + secret}, "run", "--on", f.server.URL(), "t.pkr.hcl"), 0)
	f.leaves(1)
	stored, h := f.stored(), f.history()
	if h.workflows == 0 || !strings.Contains(string(h.bytes), "shell") || !strings.Contains(stored, "shell") || !strings.Contains(stored, `it is \u003csensitive\u003e-and-more`) {
		t.Fatalf("%d workflows with %d events: the test looks for the wrong thing", h.workflows, h.events)
	}
}

// TestFleetOfMany makes many images of one run by one, two and three workers, and prints what
// each of them costs.
func TestFleetOfMany(t *testing.T) {
	builds := scaled(30, 1000)
	for _, workers := range scaled([]int{2}, []int{1, 2, 3}) {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			f := newFleet(t, workers, "--guest", "none")
			f.crowd(builds)
			begun := time.Now()
			p := f.submit("t.json")
			if err := p.wait(10 * time.Minute); err != nil || p.code() != 0 {
				t.Fatalf("exit status %d, %v:\n%s", p.code(), err, indent(p.output()))
			}
			took := time.Since(begun)
			f.leaves(builds)
			calls, h := f.calls(), f.history()
			per := func(n int) float64 { return float64(n) / float64(builds) }
			t.Logf("%d builds, %d workers: %s; a build: %.2f calls, %.1f events and %.0f bytes of histories, %.1f rows", builds, workers, took.Round(100*time.Millisecond),
				per(total(calls)), per(h.events), per(len(h.bytes)), per(f.rows()))
			t.Logf("%d workflows, %v", h.workflows, calls)
		})
	}
}

// TestFleetOfManyRuns makes as many images by one run and by many at once, and prints what each way costs.
func TestFleetOfManyRuns(t *testing.T) {
	t.Parallel()
	builds := scaled(6, 50)
	for _, runs := range scaled([]int{3}, []int{1, 10}) {
		t.Run(fmt.Sprint(runs), func(t *testing.T) {
			f := newFleet(t, 3, "--guest", "none")
			f.crowd(builds / runs)
			begun := time.Now()
			var ps []*proc
			for range runs {
				ps = append(ps, f.submit("t.json"))
			}
			for _, p := range ps {
				f.ends(p, 0)
			}
			took := time.Since(begun)
			f.leaves(builds)
			calls, h := f.calls(), f.history()
			t.Logf("%d runs of %d builds: %s, %d calls, %d rows, %d events and %d bytes of histories; %v", runs, builds/runs, took.Round(100*time.Millisecond),
				total(calls), f.rows(), h.events, len(h.bytes), calls)
		})
	}
}
