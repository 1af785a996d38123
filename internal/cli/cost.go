package cli

import (
	"errors"
	"io/fs"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/explain"
	"github.com/imgflow/imgflow/state"
)

// atHome is why a local run costs nothing.
const atHome = "it is made on this machine"

// elsewhere is why prices say nothing of what another endpoint asks for.
func elsewhere(endpoint string) string { return "the prices of AWS are not those of " + endpoint }

// billOf is what a run costs, by its records, or the error for which nobody can read them.
func billOf(s state.Summary, records []dag.Record, err error) cost.Bill {
	b := costOf(records, time.Now())
	busy := (*state.BusyError)(nil)
	switch {
	case s.Local:
		return cost.Bill{Free: atHome, Prices: b.Prices}
	case s.Endpoint != "":
		return cost.Bill{Unknown: elsewhere(s.Endpoint), Prices: b.Prices}
	case errors.As(err, &busy):
		return cost.Bill{Unknown: "it is told when the run is not being driven", Prices: b.Prices}
	case err != nil && !errors.Is(err, fs.ErrNotExist): // without a file nothing was made
		return cost.Bill{Unknown: "the records of the run cannot be read", Prices: b.Prices}
	}
	return b
}

// costOfSession is what the run of a session costs, which holds its records; "" where that
// is nothing, or another endpoint's.
func costOfSession(s *app.Session) string {
	records, err := s.Records()
	if b := billOf(s.Summary(), records, err); b.Free+b.Unknown == "" && !b.Empty() {
		return b.Text()
	}
	return ""
}

// bill is what a run of a home costs.
func bill(home *state.Home, s state.Summary) cost.Bill {
	if s.Local || s.Endpoint != "" {
		return billOf(s, nil, nil)
	}
	h, err := history(home, s.ID)
	return billOf(s, h.Records, err)
}

// forecast is what a session's plan will cost, by how long machines stood in past runs.
func forecast(s *app.Session, steps []explain.Step) cost.Forecast {
	req := s.Request()
	making := map[dag.Key]bool{}
	for _, x := range steps {
		making[x.Key] = x.Change != explain.Reuse
	}
	f := costAhead(s.Graph().Nodes, func(k dag.Key) bool { return making[k] }, pastOf(req))
	switch {
	case len(f.Machines) == 0:
	case req.Local:
		f.Free = atHome
	case req.Endpoint != "":
		f.Unknown = elsewhere(req.Endpoint)
	}
	return f
}

// expected is how long a session's plan will take, and whether some of its steps are not known yet.
func expected(s *app.Session, steps []explain.Step) (e explain.Expectation, more bool) {
	g := s.Graph()
	return explain.Expect(steps, pastOf(s.Request())), !g.Foreseen && len(g.Awaited)+len(g.Behind) > 0
}

// callsOf is roughly how often a plan will call AWS, by action; nil for a local run.
func callsOf(s *app.Session, p *dag.Plan, steps []explain.Step) map[string]int {
	if s.Request().Local {
		return nil
	}
	var done []dag.Node
	for _, x := range steps {
		if x.Change != explain.Reuse {
			done = append(done, x.Node)
		}
	}
	return callsAhead(done, p.Releases)
}

// pastOf is how long the steps of a template took in the runs of this user, if there are any.
func pastOf(req app.Request) func(kind, step string) (time.Duration, bool) {
	home, err := findHome()
	if err != nil {
		return func(string, string) (time.Duration, bool) { return 0, false }
	}
	past := app.DurationsOf(home, state.Summary{Template: req.Template, Local: req.Local})
	return func(kind, step string) (time.Duration, bool) {
		u := past.Of(kind, step)
		return (u.Lo + u.Hi) / 2, u.Known
	}
}
