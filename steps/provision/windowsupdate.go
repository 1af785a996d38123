package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// WindowsUpdate installs updates of Windows and restarts the machine, until there are none left.
//
// Each look for updates is a run of its own, and each restart one as of windows-restart, so
// an interrupted step goes on where it was.
type WindowsUpdate struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`

	// Which updates to look for, as the Windows Update Agent reads it. Default: `BrowseOnly=0 and IsInstalled=0`.
	SearchCriteria dag.Text `json:"search_criteria,omitempty" option:"late=build"`
	// Which of them to install: each is `include:` or `exclude:` and a PowerShell expression about the update, $_; the
	// first that is true counts. Default: `include:$true`.
	Filters []dag.Text `json:"filters,omitempty" option:"late=build"`
	// How many updates to install before a restart. Default: `1000`.
	UpdateLimit int `json:"update_limit,omitempty"`
	// How long a restart may take. Default: `4h`.
	RestartTimeout time.Duration `json:"restart_timeout,omitempty" key:"-"`
	// Who installs the updates. Default: `SYSTEM`.
	Username dag.Text `json:"username,omitempty" option:"late=build"`
	// The password of `username`. Default: none.
	Password dag.Secret `json:"password,omitempty" option:"late=build"`
}

func (WindowsUpdate) Kind() string { return "provision.windows-update" }

// Title says what is done.
func (WindowsUpdate) Title() string { return "update Windows" }

// Check says what is wrong with the options.
func (s *WindowsUpdate) Check() []steps.OptionError {
	var f steps.OptionErrors
	for i, filter := range s.Filters {
		if !filter.Known() {
			continue
		}
		if _, err := updateFilter(string(filter)); err != nil {
			f.Add(fmt.Sprintf("filters[%d]", i), "%v", err)
		}
	}
	if s.UpdateLimit < 0 {
		f.Add("update_limit", "it must not be negative")
	}
	notNegative(&f, "restart_timeout", s.RestartTimeout)
	if s.Password != "" && s.Username == "" {
		f.Add("username", "it must be given when password is")
	}
	return f
}

// Communicators is the one of Windows.
func (*WindowsUpdate) Communicators() []string { return []string{"winrm"} }

// Add adds the step to the graph.
func (s *WindowsUpdate) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do updates the machine.
func (s WindowsUpdate) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return onWindows(ctx, e, t, s.On.Value(), s.Common, s.run)
}

// filter is one filter as the script on the machine reads it.
type filter struct {
	Take bool   `json:"take"`
	Test string `json:"test"`
}

func updateFilter(text string) (filter, error) {
	action, test, ok := strings.Cut(text, ":")
	if !ok || action != "include" && action != "exclude" || strings.TrimSpace(test) == "" {
		return filter{}, errors.New(`it must be include: or exclude: and a PowerShell expression, such as exclude:$_.Title -like '*Preview*'`)
	}
	return filter{action == "include", test}, nil
}

const (
	// updateAgain is how update.ps1 asks for a restart and another look.
	updateAgain = 101
	// maxUpdates is how often one looks: updates that come again and again are none.
	maxUpdates = 30
)

func (s WindowsUpdate) run(ctx context.Context, r comm.Windows, v values, try int) error {
	ask := struct {
		Criteria string   `json:"criteria"`
		Filters  []filter `json:"filters"`
		Limit    int      `json:"limit"`
	}{Limit: s.UpdateLimit}
	var err error
	if ask.Criteria, err = v.render("search_criteria", s.SearchCriteria, nil); err != nil {
		return err
	}
	if ask.Criteria == "" {
		ask.Criteria = "BrowseOnly=0 and IsInstalled=0"
	}
	if ask.Limit == 0 {
		ask.Limit = 1000
	}
	for i, text := range s.Filters {
		option := fmt.Sprintf("filters[%d]", i)
		rendered, err := v.render(option, text, nil)
		if err != nil {
			return err
		}
		f, err := updateFilter(rendered)
		if err != nil {
			return fmt.Errorf("cannot use %s: %w", option, err)
		}
		ask.Filters = append(ask.Filters, f)
	}
	if len(s.Filters) == 0 {
		ask.Filters = []filter{{true, "$true"}}
	}
	data, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	// Windows lets nobody update it who comes by the network.
	as := s.Username
	if as == "" {
		as = "SYSTEM"
	}
	w := &tool{r: r, v: v, try: try}
	if w.elevate, err = elevate(v, as, s.Password); err != nil {
		return err
	}
	restart := WindowsRestart{RestartTimeout: s.RestartTimeout}
	if s.RestartTimeout == 0 {
		restart.RestartTimeout = 4 * time.Hour
	}
	for round := range maxUpdates {
		v.t.Say("looking for updates of Windows")
		const what = "the update of Windows"
		code, err := w.runPS(ctx, what, psUpdate, map[string]string{"IMGFLOW_UPDATE": string(data)})
		if code != updateAgain || err != nil {
			return well(what, code, err)
		}
		if err := restart.once(ctx, r, v, fmt.Sprintf("%d-%d-r%d", v.t.Attempt, try, round)); err != nil {
			return err
		}
	}
	return fmt.Errorf("cannot update Windows: after %d restarts there are still updates; leave out those that come again by an exclude: among filters", maxUpdates)
}
