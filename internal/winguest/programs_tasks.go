package winguest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// schtasksExe is schtasks.exe: /create, /run, /end, /query, /change, /delete.
func schtasksExe(_ context.Context, p *Proc) int {
	if len(p.Args) == 0 {
		return schtasksQuery(p, nil)
	}
	verb := strings.ToLower(strings.TrimLeft(p.Args[0], "/-"))
	flags := map[string]string{"create": "f it z np", "run": "i", "end": "", "query": "v nh", "change": "enable disable", "delete": "f"}
	f, ok := flags[verb]
	if !ok {
		return p.unsupported(p.Args[0], "are /create /run /end /query /change /delete")
	}
	opts, rest, err := valued(p.Args[1:], f)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q stands alone", rest[0])
	}
	if err != nil {
		return p.refuse("schtasks /%s: %v", verb, err)
	}
	if verb == "query" {
		return schtasksQuery(p, opts)
	}
	name := opts["tn"]
	delete(opts, "tn")
	if name == "" {
		return p.refuse("schtasks /%s needs /tn", verb)
	}
	folder, base := taskName(name)
	if err := p.Admin(); err != nil {
		p.complain("ERROR: %v", err)
		return 1
	}
	switch verb {
	case "create":
		return schtasksCreate(p, folder, base, name, opts)
	case "run":
		delete(opts, "i")
		err = p.Machine.RunTask(folder, base)
	case "end":
		err = p.Machine.EndTask(folder, base)
	case "delete":
		if !has(opts, "f") && !p.sure(`WARNING: Are you sure you want to remove the task "`+name+`"`) {
			return 1
		}
		err = p.Machine.RemoveTask(folder, base)
	case "change":
		on, off := has(opts, "enable"), has(opts, "disable")
		if on == off {
			return p.refuse("schtasks /change knows /enable and /disable here")
		}
		err = p.Machine.ChangeTask(folder, base, func(t *Task) { t.Disabled = off })
	}
	if o := anyOf(opts); o != "" {
		return p.unsupported(o, "are those of schtasks /"+verb+": /tn, /i of /run, /f of /delete, /enable and /disable of /change")
	}
	if err != nil {
		p.complain("ERROR: %v", CodeOf(err))
		return 1
	}
	done := map[string]string{"run": "Attempted to run the scheduled task %q.", "end": "The scheduled task %q has been terminated successfully.", "delete": "The scheduled task %q was successfully deleted.", "change": "The parameters of scheduled task %q have been changed."}[verb]
	p.say("SUCCESS: "+done+"\n", name)
	return 0
}

func taskName(name string) (folder, base string) {
	name = strings.Trim(name, `\`)
	k := strings.LastIndexByte(name, '\\')
	return `\` + name[:k+1], name[k+1:]
}

func schtasksCreate(p *Proc, folder, base, name string, opts map[string]string) int {
	t := Task{Path: folder, Name: base, User: p.Login.User, Logon: LogonInteractive, Limit: TaskLimit, Author: p.Login.User}
	force := has(opts, "f")
	var schedule, at, day, delay string
	every := "1"
	for o, v := range opts {
		switch o {
		case "tr":
			program, rest := firstWord(v)
			t.Actions = []TaskAction{{Execute: program, Arguments: rest}}
		case "sc":
			schedule = strings.ToLower(v)
		case "st":
			at = v
		case "sd":
			day = v
		case "mo":
			every = v
		case "delay":
			delay = v
		case "ru":
			t.User = v
		case "rp":
			t.Password, t.Logon = v, LogonPassword
		case "np":
			t.Logon = LogonS4U
		case "rl":
			switch strings.ToLower(v) {
			case "highest":
				t.Highest = true
			case "limited":
			default:
				return p.unsupported("/rl "+v, "are highest and limited")
			}
		case "it":
		default:
			return p.unsupported("/"+o, "are /tn /tr /sc /st /sd /mo /delay /ru /rp /rl /np /it /f")
		}
	}
	if len(t.Actions) == 0 || schedule == "" {
		return p.refuse("schtasks /create needs /tr and /sc")
	}
	if every != "1" {
		return p.unsupported("/mo "+every, "is 1")
	}
	g := TaskTrigger{}
	switch schedule {
	case "onstart":
		g.Kind = "Startup"
	case "onlogon":
		g.Kind = "Logon"
	case "once", "daily":
		g.Kind = strings.ToUpper(schedule[:1]) + schedule[1:]
		var err error
		if g.At, err = startOf(p.Machine.Now(), day, at); err != nil {
			return p.refuse("schtasks /create: %v", err)
		}
		if schedule == "once" && g.At.Before(p.Machine.Now()) {
			p.say("WARNING: The task may not run because /ST is earlier than current time.\n")
		}
	default:
		return p.unsupported("/sc "+schedule, "are once, daily, onstart and onlogon")
	}
	if delay != "" {
		m, s, ok := strings.Cut(delay, ":")
		a, err1 := strconv.Atoi(m)
		b, err2 := strconv.Atoi(s)
		if !ok || err1 != nil || err2 != nil || b > 59 {
			return p.refuse("/delay is minutes and seconds as mmmm:ss, not %q", delay)
		}
		g.Delay = time.Duration(a)*time.Minute + time.Duration(b)*time.Second
	}
	t.Triggers = []TaskTrigger{g}
	if !force {
		for _, o := range p.Machine.Tasks() {
			if o.is(folder, base) && !p.sure(`WARNING: The task name "`+name+`" already exists. Do you want to replace it`) {
				return 1
			}
		}
	}
	err := p.Machine.AddTask(t, true)
	switch CodeOf(err) {
	case 0:
	case NoSuchUser:
		p.complain("ERROR: No mapping between account names and security IDs was done.")
		return 1
	default:
		p.complain("ERROR: %v", CodeOf(err))
		return 1
	}
	p.say("SUCCESS: The scheduled task %q has successfully been created.\n", name)
	return 0
}

// startOf reads /sd and /st.
func startOf(now time.Time, day, at string) (time.Time, error) {
	d := now.UTC()
	if day != "" {
		var err error
		if d, err = time.Parse("01/02/2006", day); err != nil {
			return d, fmt.Errorf("/sd is a day as mm/dd/yyyy, not %q", day)
		}
	}
	c, err := time.Parse("15:04", at)
	if err != nil {
		if c, err = time.Parse("15:04:05", at); err != nil {
			return d, fmt.Errorf("/st is a time as HH:mm, not %q", at)
		}
	}
	return time.Date(d.Year(), d.Month(), d.Day(), c.Hour(), c.Minute(), c.Second(), 0, time.UTC), nil
}

func schtasksQuery(p *Proc, opts map[string]string) int {
	form, name := "table", ""
	verbose, headless := has(opts, "v"), has(opts, "nh")
	for o, v := range opts {
		switch o {
		case "fo":
			if form = strings.ToLower(v); form != "table" && form != "list" && form != "csv" {
				return p.unsupported("/fo "+v, "are table, list and csv")
			}
		case "tn":
			name = v
		default:
			return p.unsupported("/"+o, "are /tn /fo /v /nh")
		}
	}
	folder, base := taskName(name)
	now, found := p.Machine.Now(), false
	when := func(t time.Time) string {
		if t.IsZero() {
			return "N/A"
		}
		return t.UTC().Format("1/2/2006 3:04:05 PM")
	}
	for n, t := range p.Machine.Tasks() {
		if name != "" && !t.is(folder, base) {
			continue
		}
		found = true
		cells := [][2]string{{"TaskName", t.Path + t.Name}, {"Next Run Time", when(t.NextRun(now))}, {"Status", p.Machine.TaskState(t)}}
		if form != "table" || verbose {
			cells = append([][2]string{{"HostName", p.Machine.ComputerName()}}, cells...)
			cells = append(cells, [2]string{"Logon Mode", t.Logon})
		}
		if verbose {
			a := t.Actions[0]
			cells = append(cells, [][2]string{{"Last Run Time", when(t.LastRun)}, {"Last Result", strconv.Itoa(int(int32(t.LastResult)))}, {"Author", t.Author},
				{"Task To Run", strings.TrimSpace(a.Execute + " " + a.Arguments)}, {"Start In", a.Dir}, {"Comment", t.Description}, {"Run As User", t.User}}...)
		}
		switch form {
		case "list":
			p.say("\n")
			for _, c := range cells {
				p.say("%-22s%s\n", c[0]+":", c[1])
			}
		case "csv":
			var names, values []string
			for _, c := range cells {
				names, values = append(names, `"`+c[0]+`"`), append(values, `"`+strings.ReplaceAll(c[1], `"`, `""`)+`"`)
			}
			if n == 0 && !headless {
				p.say("%s\n", strings.Join(names, ","))
			}
			p.say("%s\n", strings.Join(values, ","))
		default:
			if n == 0 && !headless {
				p.say("\nFolder: \\\n")
				for _, c := range cells {
					p.say("%-30s ", c[0])
				}
				p.say("\n")
				for range cells {
					p.say("%s ", strings.Repeat("=", 30))
				}
				p.say("\n")
			}
			for _, c := range cells {
				p.say("%-30s ", c[1])
			}
			p.say("\n")
		}
	}
	if !found && name != "" {
		p.complain("ERROR: %v", FileNotFound)
		return 1
	}
	if !found {
		p.say("INFO: There are no scheduled tasks presently available at your access level.\n")
	}
	return 0
}
