package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// WindowsRestart restarts a Windows machine and waits until it is back.
//
// That it has restarted is told by how long it is up: less than the time that has
// passed since it was looked at before the restart. That look is saved, and
// the command is a run like that of any script, so neither happens twice when an
// interrupted step goes on.
type WindowsRestart struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`

	// The command, for cmd.exe, that restarts the machine. Default: shutdown /r /f /t 0, with a word of why.
	RestartCommand dag.Text `json:"restart_command,omitempty" option:"late=build"`
	// A command, for cmd.exe, that ends with 0 when the machine is back. Default: the time since its start is enough.
	RestartCheckCommand dag.Text `json:"restart_check_command,omitempty" option:"late=build"`
	// How long all of it may take. Default: `5m`.
	RestartTimeout time.Duration `json:"restart_timeout,omitempty" key:"-"`
	// Waits until no registry key asks for a restart, too. Default: `false`.
	CheckRegistry bool `json:"check_registry,omitempty"`
	// The registry keys that ask for a restart. Default: the usual ones.
	RegistryKeys []string `json:"registry_keys,omitempty"`
}

func (WindowsRestart) Kind() string { return "provision.windows-restart" }

// Title says what is done.
func (WindowsRestart) Title() string { return "restart the machine" }

const (
	restartCommand = `shutdown /r /f /t 0 /c "imgflow restarts the machine"`
	restartTimeout = 5 * time.Minute
	pollRestart    = time.Second
)

// pendingKeys are there while Windows still has to finish an installation.
var pendingKeys = []string{
	`HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending`,
	`HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending`,
	`HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress`,
}

// Check says what is wrong with the options.
func (s *WindowsRestart) Check() []steps.OptionError {
	var f steps.OptionErrors
	notNegative(&f, "restart_timeout", s.RestartTimeout)
	if len(s.RegistryKeys) > 0 && !s.CheckRegistry {
		f.Idle("registry_keys", "there is no check_registry")
	}
	return f
}

// Communicators is the one of Windows.
func (*WindowsRestart) Communicators() []string { return []string{"winrm"} }

// Add adds the step to the graph.
func (s *WindowsRestart) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do restarts the machine.
func (s WindowsRestart) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return onWindows(ctx, e, t, s.On.Value(), s.Common, s.run)
}

var errRestartTimeout = errors.New("restart_timeout was reached")

func (s WindowsRestart) run(ctx context.Context, r comm.Windows, v values, try int) error {
	return s.once(ctx, r, v, fmt.Sprintf("%d-%d", v.t.Attempt, try))
}

// once is one restart; its name is the same after an interruption, and no other's.
func (s WindowsRestart) once(ctx context.Context, r comm.Windows, v values, name string) error {
	timeout := s.RestartTimeout
	if timeout == 0 {
		timeout = restartTimeout
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errRestartTimeout)
	defer cancel()
	what := "restart"
	err := s.restart(limited, r, v, name, &what)
	if err != nil && ctx.Err() == nil && context.Cause(limited) == errRestartTimeout {
		return fmt.Errorf("cannot restart the machine: it did not %s in %s; give it a longer \"restart_timeout\" if it needs more time", what, timeout)
	}
	return err
}

// restart does it; what says what it waits for.
func (s WindowsRestart) restart(ctx context.Context, r comm.Windows, v values, name string, what *string) error {
	command, err := v.render("restart_command", s.RestartCommand, nil)
	if err != nil {
		return err
	}
	if command == "" {
		command = restartCommand
	}
	check, err := v.render("restart_check_command", s.RestartCheckCommand, nil)
	if err != nil {
		return err
	}
	before, err := s.look(ctx, r, v.t, name)
	if err != nil {
		return err
	}
	if before.known {
		v.t.Say("waiting until the machine has restarted")
	} else {
		v.t.Say("restarting the machine")
	}
	begun := time.Now()
	x, err := r.Run(ctx, comm.Job{Token: v.t.Token + "-" + name, Command: command})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, new(*comm.LostError)): // how long it is up will tell
	case err != nil:
		return err
	case !x.Rebooted && !slices.Contains([]int{0, shutdownInProgress, shutdownScheduled}, x.Code):
		return errcode.With(errcode.ScriptFailed, fmt.Errorf("cannot restart the machine: restart_command exited with status %s", status(x.Code)))
	}
	if err := until(ctx, func() (bool, error) { return before.over(ctx, r) }); err != nil {
		return err
	}
	if check != "" {
		*what = "let restart_check_command succeed"
		if err := until(ctx, func() (bool, error) {
			_, x, err := r.Exec(ctx, check, nil)
			return x.Code == 0, err
		}); err != nil {
			return err
		}
	}
	if before.known {
		v.t.Say("the machine is back")
	} else {
		v.t.Say("the machine is back after %s", time.Since(begun).Round(time.Second))
	}
	if s.CheckRegistry {
		return s.awaitRegistry(ctx, r, v.t, what)
	}
	return nil
}

// Windows says these when it is going down already.
const (
	shutdownInProgress = 1115
	shutdownScheduled  = 1190
)

// uptime is a look at how long a machine is up, and between which times that was.
type uptime struct {
	from, to time.Time
	up       time.Duration
	known    bool // to an earlier process
}

// seen is what the step saves of the look before a restart.
type seen struct {
	At time.Time     `json:"at"`
	Up time.Duration `json:"up"` // nanoseconds
}

// look looks at the machine, or gives back what an earlier process has seen.
func (s WindowsRestart) look(ctx context.Context, r comm.Windows, t *dag.Task, name string) (uptime, error) {
	saved := "look/" + name
	var old seen
	found, err := t.Load(saved, &old)
	if err != nil {
		return uptime{}, err
	}
	if !found {
		old, found = printedLook(t, name)
	}
	if found {
		return uptime{to: old.At, up: old.Up, known: true}, nil
	}
	u, err := see(ctx, r)
	if err != nil {
		return u, err
	}
	return u, t.Save(saved, seen{u.to, u.up})
}

// printedLook is what an imgflow has seen that printed it, to streams that no
// reader shows: numbers in the place of offsets.
func printedLook(t *dag.Task, name string) (seen, bool) {
	at, up := t.Printed("exit-look/"+name), t.Printed("exit-up/"+name)
	return seen{time.UnixMilli(at), time.Duration(up) * time.Millisecond}, at > 0
}

// see asks the machine how long it is up.
func see(ctx context.Context, r comm.Windows) (uptime, error) {
	var ms int64
	from := time.Now()
	err := r.PowerShell(ctx, psUptime, nil, &ms)
	return uptime{from: from, to: time.Now(), up: time.Duration(ms) * time.Millisecond}, err
}

// over reports whether the machine has restarted since the look.
func (u uptime) over(ctx context.Context, r comm.Windows) (bool, error) {
	now, err := see(ctx, r)
	if err != nil {
		return false, err
	}
	// One that goes on is up for all the time that has passed at least, and for what
	// it was up before: the half of that is for clocks that run differently.
	const coarse = 100 * time.Millisecond
	return now.up < now.from.Sub(u.to)+u.up/2-coarse, nil
}

// awaitRegistry waits until no registry key asks for a restart.
func (s WindowsRestart) awaitRegistry(ctx context.Context, r comm.Windows, t *dag.Task, what *string) error {
	keys := s.RegistryKeys
	if len(keys) == 0 {
		keys = pendingKeys
	}
	told := ""
	return until(ctx, func() (bool, error) {
		var found []string
		if err := r.PowerShell(ctx, psPending, map[string]any{"keys": keys}, &found); err != nil {
			return false, err
		}
		now := strings.Join(found, " and ")
		if now != "" && now != told {
			t.Say("waiting until the registry is without %s", now)
		}
		told, *what = now, "lose "+now+", which asks for one more restart,"
		return now == "", nil
	})
}

// until asks again and again until the answer is yes.
func until(ctx context.Context, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if err := sleep.For(ctx, pollRestart); err != nil {
			return err
		}
	}
}
