package winguest

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Task is a scheduled task.
type Task struct {
	Path        string `json:"path"` // of its folder: \ or \Folder\
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Author      string `json:"author,omitempty"`

	Actions  []TaskAction  `json:"actions"`
	User     string        `json:"user"`
	Logon    string        `json:"logon"` // one of the Logon constants
	Password string        `json:"password,omitempty"`
	Highest  bool          `json:"highest,omitempty"`
	Triggers []TaskTrigger `json:"triggers,omitempty"`
	Disabled bool          `json:"disabled,omitempty"`
	Hidden   bool          `json:"hidden,omitempty"`
	Parallel bool          `json:"parallel,omitempty"` // else a second instance is not started
	Limit    time.Duration `json:"limit"`              // of one run, 0 for none

	LastRun    time.Time `json:"last_run,omitzero"`
	LastResult Code      `json:"last_result"`
}

// TaskAction is a program that a task runs.
type TaskAction struct {
	Execute   string `json:"execute"`
	Arguments string `json:"arguments,omitempty"`
	Dir       string `json:"dir,omitempty"`
}

// TaskTrigger is what starts a task.
type TaskTrigger struct {
	Kind  string        `json:"kind"` // Startup, Logon (which never happens: nobody sits there), Once or Daily
	At    time.Time     `json:"at,omitzero"`
	Delay time.Duration `json:"delay,omitempty"`
}

// How a task's user logs on.
const (
	LogonPassword    = "Password"
	LogonS4U         = "S4U"
	LogonInteractive = "Interactive"
	LogonService     = "ServiceAccount"
)

// TaskLimit is how long a task may run that does not say.
const TaskLimit = 72 * time.Hour

// refused is the result of a task that waits for a user to log on.
const refused Code = 0x800710e0

func (t *Task) is(path, name string) bool {
	return strings.EqualFold(t.Name, name) && (path == "" || strings.EqualFold(strings.Trim(t.Path, `\`), strings.Trim(path, `\`)))
}

func (st *state) task(path, name string) *Task {
	for _, t := range st.Tasks {
		if t.is(path, name) {
			return t
		}
	}
	return nil
}

// Tasks are the scheduled tasks.
func (m *Machine) Tasks() (list []Task) {
	m.read(func(st *state) {
		for _, t := range st.Tasks {
			list = append(list, *t)
		}
	})
	return list
}

// AddTask registers a task; one that is there is AlreadyExists unless replace
// says otherwise. The password of a task that logs on with one is checked:
// BadLogon.
func (m *Machine) AddTask(t Task, replace bool) error {
	name, ok := m.LocalName(t.User)
	if !ok {
		return NoSuchUser
	}
	t.User = name
	if service(name) {
		t.Logon = LogonService
	} else {
		a, ok := m.Account(name)
		if !ok {
			return NoSuchUser
		}
		t.User = a.Name
		if t.Logon == "" || t.Logon == LogonService {
			t.Logon = LogonInteractive
		}
		if t.Logon == LogonPassword && m.CheckPassword(t.User, t.Password) != nil {
			return BadLogon
		}
	}
	if t.Logon != LogonPassword {
		t.Password = ""
	}
	if len(t.Actions) == 0 || t.Name == "" {
		return InvalidParameter
	}
	if t.Path = `\` + strings.Trim(t.Path, `\`) + `\`; t.Path == `\\` {
		t.Path = `\`
	}
	t.LastResult = TaskNeverRun
	err := m.change(func(st *state) error {
		if old := st.task(t.Path, t.Name); old != nil {
			if !replace {
				return AlreadyExists
			}
			*old = t
			return nil
		}
		st.Tasks = append(st.Tasks, &t)
		return nil
	})
	m.reschedule()
	return err
}

// ChangeTask changes a task by what f does to it. The error is TaskNotFound.
func (m *Machine) ChangeTask(path, name string, f func(*Task)) error {
	err := m.change(func(st *state) error {
		t := st.task(path, name)
		if t == nil {
			return TaskNotFound
		}
		f(t)
		return nil
	})
	m.reschedule()
	return err
}

// RemoveTask deletes a task; what it runs goes on.
func (m *Machine) RemoveTask(path, name string) error {
	err := m.change(func(st *state) error {
		t := st.task(path, name)
		if t == nil {
			return TaskNotFound
		}
		st.Tasks = slices.DeleteFunc(st.Tasks, func(o *Task) bool { return o == t })
		return nil
	})
	m.reschedule()
	return err
}

func taskJob(t Task) string { return "task:" + strings.ToLower(t.Path+t.Name) }

// TaskState is Disabled, Running or Ready.
func (m *Machine) TaskState(t Task) string {
	job := taskJob(t)
	switch {
	case len(m.processes(func(p *Process) bool { return p.job == job })) > 0:
		return "Running"
	case t.Disabled:
		return "Disabled"
	}
	return "Ready"
}

// RunTask starts a task. That it cannot run shows in its last result, as the
// scheduler works; the error is TaskNotFound or Disabled.
func (m *Machine) RunTask(path, name string) error {
	var t Task
	err := TaskNotFound
	m.read(func(st *state) {
		if p := st.task(path, name); p != nil {
			t, err = *p, 0
		}
	})
	if err != 0 {
		return err
	}
	if t.Disabled {
		return Disabled
	}
	if !t.Parallel && m.TaskState(t) == "Running" {
		return nil
	}
	result := func(c Code) {
		m.change(func(st *state) error {
			if p := st.task(t.Path, t.Name); p != nil {
				p.LastResult = c
			}
			return nil
		})
	}
	if err := m.change(func(st *state) error {
		if p := st.task(t.Path, t.Name); p != nil {
			p.LastRun, p.LastResult = m.now(), TaskRunning
		}
		return nil
	}); err != nil {
		return err
	}
	switch {
	case t.Logon == LogonInteractive:
		result(refused)
		return nil
	case t.Logon == LogonPassword:
		if err := m.CheckPassword(t.User, t.Password); err != nil {
			result(BadLogon)
			return nil
		}
	}
	first, err2 := m.startAction(t, t.Actions[0])
	if err2 != nil {
		result(0x80070000 | CodeOf(err2))
		return nil
	}
	m.background(func(ctx context.Context) { result(m.runActions(ctx, t, first)) })
	return nil
}

func (m *Machine) startAction(t Task, a TaskAction) (*Process, error) {
	l := m.login(t.User, t.Highest)
	if !service(l.User) {
		if err := m.profile(l.User); err != nil {
			return nil, err
		}
	}
	env := m.SessionEnv(l)
	expand := func(s string) string {
		return expandVars(s, func(n string) (string, bool) { v := getenv(env, n); return v, v != "" })
	}
	dir := strings.Trim(expand(a.Dir), `"`)
	if dir == "" {
		dir = System32
	}
	program := strings.Trim(expand(a.Execute), `"`)
	line := `"` + program + `"`
	if a.Arguments != "" {
		line += " " + expand(a.Arguments)
	}
	return m.Start(Launch{Line: line, Env: env, Dir: dir, Login: l, Job: taskJob(t)})
}

// runActions waits for the actions of a task, one after the other.
func (m *Machine) runActions(ctx context.Context, t Task, p *Process) Code {
	var limit <-chan time.Time
	if t.Limit > 0 {
		timer := time.NewTimer(t.Limit)
		defer timer.Stop()
		limit = timer.C
	}
	for n := 1; ; n++ {
		select {
		case <-p.Done():
		case <-limit:
			m.EndJob(taskJob(t))
			return TaskTerminated
		case <-ctx.Done():
			return TaskTerminated
		}
		if n == len(t.Actions) {
			return Code(uint32(p.Wait()))
		}
		next, err := m.startAction(t, t.Actions[n])
		if err != nil {
			return 0x80070000 | CodeOf(err)
		}
		p = next
	}
}

// EndTask ends what a task runs.
func (m *Machine) EndTask(path, name string) error {
	var t Task
	err := TaskNotFound
	m.read(func(st *state) {
		if p := st.task(path, name); p != nil {
			t, err = *p, 0
		}
	})
	if err != 0 {
		return err
	}
	m.EndJob(taskJob(t))
	return nil
}

// next is when a trigger fires after a time, zero for never.
func (t TaskTrigger) next(after time.Time) time.Time {
	at := t.At.Add(t.Delay)
	switch {
	case t.Kind == "Once" && at.After(after):
		return at
	case t.Kind == "Daily" && at.After(after):
		return at
	case t.Kind == "Daily":
		days := after.Sub(at)/(24*time.Hour) + 1
		return at.Add(days * 24 * time.Hour)
	}
	return time.Time{}
}

// NextRun is when a task will start by itself, zero for never.
func (t Task) NextRun(after time.Time) (at time.Time) {
	for _, g := range t.Triggers {
		if n := g.next(after); !t.Disabled && !n.IsZero() && (at.IsZero() || n.Before(at)) {
			at = n
		}
	}
	return at
}

func (m *Machine) reschedule() {
	select {
	case m.tasksBell <- struct{}{}:
	default:
	}
}

// schedule starts tasks when it is time, as long as the machine is up.
func (m *Machine) schedule(ctx context.Context) {
	for _, t := range m.Tasks() {
		for _, g := range t.Triggers {
			if g.Kind == "Startup" && !t.Disabled {
				m.background(func(ctx context.Context) {
					select {
					case <-time.After(g.Delay):
						m.RunTask(t.Path, t.Name)
					case <-ctx.Done():
					}
				})
			}
		}
	}
	for since := m.now(); ; {
		wait := time.Hour
		for _, t := range m.Tasks() {
			if at := t.NextRun(since); !at.IsZero() {
				wait = min(wait, max(0, at.Sub(m.now())))
			}
		}
		select {
		case <-time.After(wait):
		case <-m.tasksBell:
		case <-ctx.Done():
			return
		}
		until := m.now()
		for _, t := range m.Tasks() {
			if at := t.NextRun(since); !at.IsZero() && !at.After(until) {
				m.RunTask(t.Path, t.Name)
			}
		}
		since = until
	}
}
