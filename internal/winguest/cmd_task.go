package winguest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

const taskTypes = "Microsoft.Management.Infrastructure.CimInstance#Root/Microsoft/Windows/TaskScheduler/"

func taskObject(class string) *posh.Object {
	o := posh.NewObject(cimType)
	o.Types = append(o.Types, taskTypes+class)
	o.Set("CimClass", posh.NewObject("Microsoft.Management.Infrastructure.CimClass").Set("CimClassName", class))
	return o
}

func (c *cmdlets) task() {
	c.add("New-ScheduledTaskAction", "Execute:string:1:need Argument:string:2 WorkingDirectory:string:3 Id:string", func(k *posh.Call) error {
		return k.Emit(actionObject(TaskAction{k.Str("Execute"), k.Str("Argument"), k.Str("WorkingDirectory")}))
	})
	c.add("New-ScheduledTaskTrigger", "AtStartup:switch AtLogOn:switch Once:switch Daily:switch Weekly:switch At:any RandomDelay:any RepetitionInterval:any RepetitionDuration:any DaysInterval:int DaysOfWeek:any WeeksInterval:int User:string", newTrigger)
	c.add("New-ScheduledTaskPrincipal", "UserId:string:1 LogonType:string:2 RunLevel:string:3 Id:string ProcessTokenSidType:string", func(k *posh.Call) error {
		o, err := principalObject(k.Str("UserId"), k.Str("LogonType"), k.Str("RunLevel"))
		if err != nil {
			return err
		}
		return k.Emit(o)
	})
	c.add("New-ScheduledTaskSettingsSet", "AllowStartIfOnBatteries:switch DontStopIfGoingOnBatteries:switch ExecutionTimeLimit:any Hidden:switch MultipleInstances:string StartWhenAvailable:switch "+
		"Priority:int Compatibility:string DontStopOnIdleEnd:switch DisallowStartOnRemoteAppSession:switch RunOnlyIfNetworkAvailable:switch RunOnlyIfIdle:switch WakeToRun:switch "+
		"DisallowDemandStart:switch DisallowHardTerminate:switch Disable:switch RestartCount:int RestartInterval:any DeleteExpiredTaskAfter:any IdleDuration:any IdleWaitTimeout:any RestartOnIdle:switch NetworkId:string NetworkName:string", newSettings)
	c.add("New-ScheduledTask", "Action:any[]:1 Trigger:any[]:2 Principal:any:3 Settings:any:4 Description:string:5", func(k *posh.Call) error {
		o := taskObject("MSFT_ScheduledTask").Set("TaskName", nil).Set("TaskPath", nil).Set("Description", k.Str("Description"))
		o.Set("Actions", posh.NewArray(k.Values("Action")...)).Set("Triggers", posh.NewArray(k.Values("Trigger")...))
		return k.Emit(o.Set("Principal", k.Value("Principal")).Set("Settings", k.Value("Settings")))
	})
	c.change("Register-ScheduledTask", "TaskName:string:1 TaskPath:string:2 Action:any[]:3 Trigger:any[]:4 Settings:any:5 Principal:any User:string:6 Password:string:7 RunLevel:string:8 Description:string Xml:string Force:switch InputObject:any:pipe AsJob:switch", c.register)
	const which = "TaskName:string[]:1:pipename TaskPath:string[]:2:pipename InputObject:any:pipe "
	c.add("Get-ScheduledTask", "TaskName:string[]:1 TaskPath:string[]:2", func(k *posh.Call) error {
		return c.eachTask(k, false, func(t Task) error { return k.Emit(c.taskOf(t)) })
	})
	c.add("Get-ScheduledTaskInfo", which, func(k *posh.Call) error {
		return c.eachTask(k, true, func(t Task) error {
			o := taskObject("MSFT_TaskDynamicInfo").Set("LastRunTime", machineTime(t.LastRun)).Set("LastTaskResult", uint32(t.LastResult))
			o.Set("NextRunTime", machineTime(t.NextRun(c.m.now()))).Set("NumberOfMissedRuns", uint32(0)).Set("TaskName", t.Name).Set("TaskPath", t.Path)
			return k.Emit(o.Set("PSComputerName", nil))
		})
	})
	each := func(f func(Task) error) func(*posh.Call) error {
		return func(k *posh.Call) error {
			return c.eachTask(k, true, func(t Task) error {
				if err := f(t); err != nil {
					return k.Error(cmError(k.Name, t.Name, err))
				}
				if k.On("PassThru") {
					return k.Emit(c.taskOf(t))
				}
				return nil
			})
		}
	}
	c.change("Start-ScheduledTask", which+"AsJob:switch", each(func(t Task) error { return c.m.RunTask(t.Path, t.Name) }))
	c.change("Stop-ScheduledTask", which+"AsJob:switch", each(func(t Task) error { return c.m.EndTask(t.Path, t.Name) }))
	c.change("Unregister-ScheduledTask", which+"PassThru:switch AsJob:switch", each(func(t Task) error { return c.m.RemoveTask(t.Path, t.Name) }))
	c.change("Enable-ScheduledTask", which, each(func(t Task) error {
		return c.m.ChangeTask(t.Path, t.Name, func(t *Task) { t.Disabled = false })
	}))
	c.change("Disable-ScheduledTask", which, each(func(t Task) error {
		return c.m.ChangeTask(t.Path, t.Name, func(t *Task) { t.Disabled = true })
	}))
}

func actionObject(a TaskAction) *posh.Object {
	return taskObject("MSFT_TaskExecAction").Set("Id", nil).Set("Arguments", null(a.Arguments)).Set("Execute", a.Execute).Set("WorkingDirectory", null(a.Dir)).Set("PSComputerName", nil)
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func principalObject(user, logon, level string) (*posh.Object, error) {
	if logon == "" {
		logon = "S4U" // what New-ScheduledTaskPrincipal takes for a user alone
		if name := strings.ToUpper(user); service(name) || strings.HasPrefix(name, `NT AUTHORITY\`) || strings.HasPrefix(name, "S-1-5-") || name == "LOCALSERVICE" || name == "NETWORKSERVICE" {
			logon = LogonService
		}
	}
	found := false
	for _, l := range []string{LogonPassword, LogonS4U, LogonInteractive, LogonService} {
		if strings.EqualFold(l, logon) {
			logon, found = l, true
		}
	}
	if !found {
		return nil, outside("a scheduled task with the logon type %s", logon)
	}
	switch strings.ToLower(level) {
	case "", "limited":
		level = "Limited"
	case "highest":
		level = "Highest"
	default:
		return nil, problem("CannotConvertArgument", "InvalidArgument", level, "The run level is Limited or Highest, not %s.", level)
	}
	return taskObject("MSFT_TaskPrincipal2").Set("DisplayName", nil).Set("GroupId", nil).Set("Id", "Author").Set("LogonType", logon).Set("RunLevel", level).Set("UserId", user), nil
}

func newTrigger(k *posh.Call) error {
	for _, n := range []string{"Weekly", "RandomDelay", "RepetitionInterval", "RepetitionDuration", "DaysInterval", "DaysOfWeek", "WeeksInterval"} {
		if k.Has(n) && textOf(k.Value(n)) != "1" {
			return outside("New-ScheduledTaskTrigger -%s", n)
		}
	}
	t := TaskTrigger{}
	for _, kind := range []string{"AtStartup", "AtLogOn", "Once", "Daily"} {
		if k.On(kind) {
			t.Kind = map[string]string{"AtStartup": "Startup", "AtLogOn": "Logon"}[kind]
			if t.Kind == "" {
				t.Kind = kind
			}
		}
	}
	if t.Kind == "" {
		return problem("AmbiguousParameterSet", "InvalidArgument", "", "A trigger is -AtStartup, -AtLogOn, -Once or -Daily.")
	}
	if t.Kind == "Once" || t.Kind == "Daily" {
		at, err := timeOf(k.Value("At"))
		if err != nil {
			return problem("CannotConvertArgument", "InvalidArgument", textOf(k.Value("At")), "-At: %v", err)
		}
		t.At = at
	}
	return k.Emit(triggerObject(t))
}

// timeOf reads a [datetime], or a time of today such as 3am or 15:04.
func timeOf(v any) (time.Time, error) {
	if t, ok := v.(time.Time); ok {
		return t, nil
	}
	s := strings.ToLower(strings.ReplaceAll(textOf(v), " ", ""))
	for _, layout := range []string{"15:04", "15:04:05", "3pm", "3:04pm"} {
		if t, err := time.Parse(layout, s); err == nil {
			y, m, d := time.Now().UTC().Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC), nil
		}
	}
	for _, layout := range []string{"2006-01-02t15:04:05", "2006-01-02t15:04:05z07:00"} {
		if t, err := time.Parse(strings.ToUpper(layout), strings.ToUpper(s)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("cannot read the time %q: give a [datetime], or a time such as 15:04", textOf(v))
}

func triggerObject(t TaskTrigger) *posh.Object {
	class := map[string]string{"Startup": "MSFT_TaskBootTrigger", "Logon": "MSFT_TaskLogonTrigger", "Once": "MSFT_TaskTimeTrigger", "Daily": "MSFT_TaskDailyTrigger"}[t.Kind]
	o := taskObject(class).Set("Enabled", true).Set("StartBoundary", nil).Set("Delay", nil)
	if !t.At.IsZero() {
		o.Set("StartBoundary", t.At.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if t.Delay > 0 {
		o.Set("Delay", isoDuration(t.Delay))
	}
	return o
}

func newSettings(k *posh.Call) error {
	for _, n := range []string{"RunOnlyIfIdle", "DeleteExpiredTaskAfter", "RestartCount", "RestartInterval", "DisallowDemandStart", "DisallowHardTerminate"} {
		if k.Has(n) && textOf(k.Value(n)) != "0" {
			return outside("New-ScheduledTaskSettingsSet -%s", n)
		}
	}
	limit := isoDuration(TaskLimit)
	if k.Has("ExecutionTimeLimit") {
		d, err := durationOf(k.Value("ExecutionTimeLimit"))
		if err != nil {
			return problem("CannotConvertArgument", "InvalidArgument", k.Str("ExecutionTimeLimit"), "-ExecutionTimeLimit: %v", err)
		}
		limit = isoDuration(d)
	}
	instances := "IgnoreNew"
	if k.Has("MultipleInstances") {
		switch strings.ToLower(k.Str("MultipleInstances")) {
		case "ignorenew":
		case "parallel":
			instances = "Parallel"
		default:
			return outside("New-ScheduledTaskSettingsSet -MultipleInstances %s", k.Str("MultipleInstances"))
		}
	}
	priority := 7
	if k.Has("Priority") {
		priority = k.Int("Priority")
	}
	o := taskObject("MSFT_TaskSettings3").Set("Enabled", !k.On("Disable")).Set("ExecutionTimeLimit", limit).Set("Hidden", k.On("Hidden")).Set("MultipleInstances", instances)
	o.Set("Priority", priority).Set("StartWhenAvailable", k.On("StartWhenAvailable")).Set("AllowDemandStart", true).Set("AllowHardTerminate", true)
	o.Set("DisallowStartIfOnBatteries", !k.On("AllowStartIfOnBatteries")).Set("StopIfGoingOnBatteries", !k.On("DontStopIfGoingOnBatteries"))
	return k.Emit(o.Set("RunOnlyIfNetworkAvailable", k.On("RunOnlyIfNetworkAvailable")).Set("WakeToRun", k.On("WakeToRun")))
}

func (c *cmdlets) taskOf(t Task) *posh.Object {
	o := taskObject("MSFT_ScheduledTask").Set("TaskPath", t.Path).Set("TaskName", t.Name)
	o.Live("State", func() (any, error) {
		for _, now := range c.m.Tasks() {
			if now.is(t.Path, t.Name) {
				return c.m.TaskState(now), nil
			}
		}
		return c.m.TaskState(t), nil
	}, nil)
	o.Show = []string{"TaskPath", "TaskName", "State"}
	var actions, triggers []any
	for _, a := range t.Actions {
		actions = append(actions, actionObject(a))
	}
	for _, g := range t.Triggers {
		triggers = append(triggers, triggerObject(g))
	}
	level := "Limited"
	if t.Highest {
		level = "Highest"
	}
	principal, _ := principalObject(t.User, t.Logon, level)
	instances := "IgnoreNew"
	if t.Parallel {
		instances = "Parallel"
	}
	settings := taskObject("MSFT_TaskSettings3").Set("Enabled", !t.Disabled).Set("ExecutionTimeLimit", isoDuration(t.Limit)).Set("Hidden", t.Hidden).Set("MultipleInstances", instances)
	o.Set("Actions", posh.NewArray(actions...)).Set("Triggers", posh.NewArray(triggers...)).Set("Principal", principal).Set("Settings", settings)
	return o.Set("Description", null(t.Description)).Set("Author", null(t.Author)).Set("URI", t.Path+t.Name)
}

func noTask(name string) error {
	return &posh.Error{ID: "CmdletizationQuery_NotFound_TaskName", Message: "No MSFT_ScheduledTask objects found with property 'TaskName' equal to '" + name + "'. Verify the value of the property and retry.",
		Exception: "Microsoft.PowerShell.Cmdletization.Cim.CimJobException", Category: "ObjectNotFound", Target: name}
}

// eachTask calls f for the tasks that a cmdlet is for.
func (c *cmdlets) eachTask(k *posh.Call, one bool, f func(Task) error) error {
	all := c.m.Tasks()
	if in := k.Value("InputObject"); in != nil {
		name, path := propertyText(in, "TaskName"), propertyText(in, "TaskPath")
		for _, t := range all {
			if t.is(path, name) {
				return f(t)
			}
		}
		return k.Error(noTask(name))
	}
	names, paths := k.Strs("TaskName"), k.Strs("TaskPath")
	if len(names) == 0 && one {
		return problem("ParameterArgumentValidationError", "InvalidArgument", "", "%s needs -TaskName or an object of Get-ScheduledTask.", k.Name)
	}
	if len(names) == 0 {
		names = []string{"*"}
	}
	for _, n := range names {
		found := false
		for _, t := range all {
			in := len(paths) == 0
			for _, p := range paths {
				in = in || like(strings.Trim(p, `\`), strings.Trim(t.Path, `\`))
			}
			if in && like(n, t.Name) {
				found = true
				if err := f(t); err != nil {
					return err
				}
			}
		}
		if !found && !hasWild(n) {
			if err := k.Error(noTask(n)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cmdlets) register(k *posh.Call) error {
	if k.Has("Xml") || k.On("AsJob") {
		return outside("Register-ScheduledTask -Xml or -AsJob")
	}
	in := k.Value("InputObject")
	part := func(param, prop string) any {
		if k.Has(param) {
			return k.Value(param)
		}
		return property(in, prop)
	}
	t := Task{Name: k.Str("TaskName"), Path: k.Str("TaskPath"), Description: textOf(part("Description", "Description")), Author: c.p.Login.User, Limit: TaskLimit}
	if t.Name == "" {
		t.Name, t.Path = propertyText(in, "TaskName"), propertyText(in, "TaskPath")
	}
	for _, a := range elements(part("Action", "Actions")) {
		t.Actions = append(t.Actions, TaskAction{propertyText(a, "Execute"), propertyText(a, "Arguments"), propertyText(a, "WorkingDirectory")})
	}
	for _, v := range elements(part("Trigger", "Triggers")) {
		g, err := triggerOf(v)
		if err != nil {
			return err
		}
		t.Triggers = append(t.Triggers, g)
	}
	if s := part("Settings", "Settings"); s != nil {
		d, err := durationOf(property(s, "ExecutionTimeLimit"))
		if err != nil {
			return cmError(k.Name, t.Name, fmt.Errorf("the settings' ExecutionTimeLimit: %w", err))
		}
		t.Limit, t.Disabled, t.Hidden = d, !truthOf(property(s, "Enabled")), truthOf(property(s, "Hidden"))
		t.Parallel = propertyText(s, "MultipleInstances") == "Parallel"
	}
	p := part("Principal", "Principal")
	t.User, t.Logon, t.Highest = propertyText(p, "UserId"), propertyText(p, "LogonType"), strings.EqualFold(propertyText(p, "RunLevel"), "Highest")
	if k.Has("User") {
		t.User, t.Logon = k.Str("User"), LogonInteractive
	}
	if k.Has("Password") {
		t.Password, t.Logon = k.Str("Password"), LogonPassword
	}
	if t.User == "" {
		t.User, t.Logon = c.p.Login.User, LogonInteractive
	}
	switch strings.ToLower(k.Str("RunLevel")) {
	case "":
	case "highest":
		t.Highest = true
	case "limited":
		t.Highest = false
	default:
		return problem("CannotConvertArgument", "InvalidArgument", k.Str("RunLevel"), "The run level is Limited or Highest, not %s.", k.Str("RunLevel"))
	}
	if err := c.m.AddTask(t, k.On("Force")); err != nil {
		if errors.Is(err, BadLogon) {
			err = fmt.Errorf("%w", BadLogon)
		}
		return cmError(k.Name, t.Name, err)
	}
	for _, now := range c.m.Tasks() {
		if now.is(t.Path, t.Name) {
			return k.Emit(c.taskOf(now))
		}
	}
	return nil
}

func triggerOf(v any) (t TaskTrigger, err error) {
	class := propertyText(property(v, "CimClass"), "CimClassName")
	t.Kind = map[string]string{"MSFT_TaskBootTrigger": "Startup", "MSFT_TaskLogonTrigger": "Logon", "MSFT_TaskTimeTrigger": "Once", "MSFT_TaskDailyTrigger": "Daily"}[class]
	if t.Kind == "" {
		return t, outside("a scheduled task with the trigger %s", class)
	}
	if s := propertyText(v, "StartBoundary"); s != "" {
		if t.At, err = timeOf(s); err != nil {
			return t, err
		}
	}
	t.Delay, err = durationOf(property(v, "Delay"))
	return t, err
}
