package provision

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// updated is a computer that has so many rounds of updates, and installs one each look.
type updated struct {
	*computer
	rounds int
	looks  []comm.Job
	ends   map[string]comm.Exit // of looks, by token
	failed bool                 // none can be installed
}

func newUpdated(rounds int) *updated {
	u := &updated{computer: newComputer(time.Hour), rounds: rounds, ends: map[string]comm.Exit{}}
	restart := u.computer.run
	u.computer.run = func(ctx context.Context, j comm.Job) (comm.Exit, error) {
		if j.Script == nil {
			return restart(ctx, j)
		}
		u.looks = append(u.looks, j)
		switch {
		case u.failed:
			return comm.Exit{Code: 1}, nil
		case u.rounds > 0:
			u.rounds--
			return comm.Exit{Code: updateAgain}, nil
		}
		return comm.Exit{}, nil
	}
	return u
}

// Run implements comm.Remote: what has ended is known by its token.
func (u *updated) Run(ctx context.Context, j comm.Job) (comm.Exit, error) {
	if j.Script == nil {
		return u.computer.Run(ctx, j)
	}
	x, ok := u.ends[j.Token]
	if !ok {
		x, _ = u.computer.run(ctx, j)
		u.ends[j.Token] = x
	}
	return x, nil
}

// It looks, installs and restarts until nothing is left.
func TestWindowsUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpdated(2)
		s := WindowsUpdate{SearchCriteria: "IsInstalled=0", UpdateLimit: 25, Filters: []dag.Text{"exclude:$_.Title -like '*: Preview*'", parsed("include:'{{ build `ID` }}'")}}
		if err := s.run(t.Context(), u, values{task(&memSink{}), winMachine(), ""}, 0); err != nil {
			t.Fatal(err)
		}
		if u.restarts != 2 || len(u.looks) != 3 {
			t.Errorf("%d restarts, %d looks", u.restarts, len(u.looks))
		}
		const ask = `{"criteria":"IsInstalled=0","filters":[{"take":false,"test":"$_.Title -like '*: Preview*'"},{"take":true,"test":"'i-0abc'"}],"limit":25}`
		if j := u.looks[0]; j.Env["IMGFLOW_UPDATE"] != ask || string(j.Script) != psUpdate || j.Elevate == nil || j.Elevate.User != "SYSTEM" {
			t.Errorf("%+v", j)
		}
		time.Sleep(time.Hour)
	})
}

func TestWindowsUpdateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpdated(0)
		u.failed = true
		s := WindowsUpdate{Username: "admin", Password: "pw"}
		err := s.run(t.Context(), u, values{task(&memSink{}), winMachine(), ""}, 0)
		wantError(t, err, "the update of Windows exited with status 1")
		const ask = `{"criteria":"BrowseOnly=0 and IsInstalled=0","filters":[{"take":true,"test":"$true"}],"limit":1000}`
		if j := u.looks[0]; j.Env["IMGFLOW_UPDATE"] != ask || *j.Elevate != (comm.Elevate{User: "admin", Password: "pw"}) {
			t.Errorf("%+v", j)
		}
		u = newUpdated(1000)
		err = s.run(t.Context(), u, values{task(&memSink{}), winMachine(), ""}, 0)
		if wantError(t, err, "after 30 restarts there are still updates"); u.restarts != 30 {
			t.Errorf("%d restarts", u.restarts)
		}
		u = newUpdated(1)
		u.downtime = 3 * time.Hour
		if err = s.run(t.Context(), u, values{task(&memSink{}), winMachine(), ""}, 0); err != nil {
			t.Errorf("a restart that installs for hours: %v", err)
		}
		u = newUpdated(1)
		u.downtime = 0
		s.RestartTimeout = time.Minute
		err = s.run(t.Context(), u, values{task(&memSink{}), winMachine(), ""}, 0)
		wantError(t, err, "it did not restart in 1m0s")
		time.Sleep(time.Hour)
	})
}

// TestWindowsUpdateResumed: who goes on neither looks nor restarts once more than needed,
// wherever the step was interrupted.
func TestWindowsUpdateResumed(t *testing.T) {
	for after := 5 * time.Second; after < 100*time.Second; after += 7 * time.Second {
		synctest.Test(t, func(t *testing.T) {
			u := newUpdated(2)
			s, sink := WindowsUpdate{}, &memSink{}
			first := task(sink)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			if err := s.run(ctx, u, values{first, winMachine(), ""}, 0); err == nil && after < 80*time.Second {
				t.Fatal("it was not interrupted")
			}
			time.Sleep(10 * time.Second)
			if err := s.run(t.Context(), u, values{again(first, sink), winMachine(), ""}, 0); err != nil {
				t.Fatal(err)
			}
			if u.restarts != 2 || len(u.looks) != 3 || u.rounds != 0 {
				t.Errorf("interrupted after %s: %d restarts, %d looks, %d left", after, u.restarts, len(u.looks), u.rounds)
			}
			time.Sleep(time.Hour)
		})
	}
}

func TestWindowsUpdateCheck(t *testing.T) {
	for want, s := range map[string]*WindowsUpdate{
		"":                {Filters: []dag.Text{"include:$true", parsed("{{ build `ID` }}")}, UpdateLimit: 1},
		"filters[0]":      {Filters: []dag.Text{"$true"}},
		"filters[1]":      {Filters: []dag.Text{"exclude:$_.IsHidden", "include: "}},
		"update_limit":    {UpdateLimit: -1},
		"restart_timeout": {RestartTimeout: -1},
		"username":        {Password: "x"},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	s := WindowsUpdate{Filters: []dag.Text{parsed("{{ build `ID` }}")}}
	err := s.run(t.Context(), newUpdated(0), values{task(nil), winMachine(), ""}, 0)
	if wantError(t, err, "cannot use filters[0]"); strings.Contains(err.Error(), "i-0abc") {
		t.Errorf("it shows what may be secret: %v", err)
	}
}
