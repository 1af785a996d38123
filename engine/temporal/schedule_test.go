package temporal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"github.com/imgflow/imgflow/internal/temporaltest"
)

// A time of a schedule makes a run, and waits for it; or there is none to be made; or none can be, and no other
// worker is asked.
func TestFirings(t *testing.T) {
	for _, c := range []struct {
		schedule, left, wrong string
		fires                 int
		set                   func(*world)
	}{
		{schedule: "web", left: "image image", fires: 1},
		{schedule: "web", left: "image image", fires: 2, set: func(w *world) { w.Fail["fire web"], w.Twice["fire web"] = errors.New("no database"), true }},
		{schedule: "web", left: "", wrong: "run run-", fires: 1, set: func(w *world) { w.Fail["make pair b0"] = errors.New("boom") }},
		{schedule: "nothing", fires: 1},
		{schedule: "wrong", wrong: "schedule wrong has made no run: no image fits", fires: 1},
	} {
		w := newWorld(t, 2)
		if c.set != nil {
			c.set(w)
		}
		env := environment(&work{world: w})
		env.ExecuteWorkflow(fireWorkflow, c.schedule)
		err := env.GetWorkflowError()
		if !env.IsWorkflowCompleted() || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s has ended: %v, with %v", c.schedule, env.IsWorkflowCompleted(), err)
		}
		if log := w.log(); w.left() != c.left || log["fire "+c.schedule] != c.fires || log["end"] != map[bool]int{true: 1}[c.schedule == "web"] {
			t.Errorf("%s: %q is left after %v", c.schedule, w.left(), log)
		}
	}
}

// The server keeps the times of schedules: they are replaced, pass unused, are made up, and end.
func TestScheduledOnAServer(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	w := newWorld(t, 2)
	working(t, c, w)
	fired := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " times have come"), func() bool { return w.log()["fire web"] >= n })
	}
	ctx := t.Context()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sub := Submission{Template: "toy.json", Team: "toys"}
	for cron, zone := range map[string]string{"61 * * * *": "", "0 3 * * 1 x y z": "", "0 3 * * 1": "Europe/Nowhere", "": ""} {
		if err := c.Schedule(ctx, "bad", cron, zone, sub); err == nil {
			t.Errorf("the server takes %q in %q", cron, zone)
		}
	}
	if _, _, known, err := c.Times(ctx, "web"); err != nil || known {
		t.Errorf("one that there is not: %v, %v", known, err)
	}
	for what, err := range map[string]error{"pause": c.Pause(ctx, "web", true), "resume": c.Pause(ctx, "web", false), "start": c.Trigger(ctx, "web")} {
		if err == nil || !strings.Contains(err.Error(), "cannot "+what+" the schedule web: Temporal has none of that name") {
			t.Errorf("%s: %v", what, err)
		}
	}
	do(c.Schedule(ctx, "web", "0 3 1 1 *", "Europe/Berlin", sub))
	next, paused, known, err := c.Times(ctx, "web")
	if berlin := next.UTC(); err != nil || !known || paused || berlin.Hour() != 2 || berlin.Month() != time.January || !next.After(time.Now()) {
		t.Errorf("its next time is %s, %v, %v, %v", next, paused, known, err)
	}
	do(c.Trigger(ctx, "web"))
	fired(1)
	eventually(t, "its run has ended", func() bool { return w.log()["end"] == 1 })

	do(c.Schedule(ctx, "web", "@every 1s", "", sub))
	fired(3)
	do(c.Pause(ctx, "web", true))
	do(c.Schedule(ctx, "web", "@every 1s", "", sub)) // it stays paused
	if _, paused, _, err := c.Times(ctx, "web"); err != nil || !paused {
		t.Errorf("paused: %v, %v", paused, err)
	}
	time.Sleep(time.Second) // what was begun
	n := w.log()["fire web"]
	time.Sleep(3 * time.Second)
	if now := w.log()["fire web"]; now != n {
		t.Errorf("paused it has fired %d times", now-n)
	}
	do(c.Pause(ctx, "web", false))
	fired(n + 1)
	s.Kill() // the times that come meanwhile are made up
	do(s.Start())
	eventually(t, "it goes on after the server has died", func() bool { return w.log()["fire web"] > n+2 })
	do(c.Unschedule(ctx, "web"))
	do(c.Unschedule(ctx, "web"))
	time.Sleep(time.Second)
	n = w.log()["fire web"]
	time.Sleep(3 * time.Second)
	if now := w.log()["fire web"]; now != n {
		t.Errorf("removed it has fired %d times", now-n)
	}
	query := fmt.Sprintf("WorkflowType='%s' AND ImgflowTemplate='toy.json' AND ImgflowStatus='done'", runWorkflow)
	eventually(t, "its runs can be found by "+query, func() bool {
		n, err := c.c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: c.namespace, Query: query})
		do(err)
		return n.GetCount() > 2
	})
	list, err := c.c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: c.namespace, Query: "WorkflowType='" + fireWorkflow + "'"})
	do(err)
	if len(list.Executions) < 3 {
		t.Fatalf("there are %d", len(list.Executions))
	}
	for _, x := range list.Executions {
		h := historyOf(t, c, x.Execution.WorkflowId)
		bytes := size(t, h)
		if x == list.Executions[len(list.Executions)-1] {
			t.Logf("of one time: %d events, %d bytes", len(h.Events), bytes)
			keep(t, "fire", h)
		}
	}
}

// While the run of one time is under way, no other is made.
func TestTimesDoNotOverlap(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	w := newWorld(t, 1)
	w.Wait = 5 * time.Second
	working(t, c, w)
	if err := c.Schedule(t.Context(), "web", "@every 1s", "", Submission{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script is at work", func() bool { return w.log()["script b0"] == 1 })
	time.Sleep(3 * time.Second)
	if n := w.log()["fire web"]; n != 1 {
		t.Errorf("meanwhile it has fired %d times", n)
	}
	eventually(t, "the next time has come", func() bool { return w.log()["fire web"] > 1 })
}
