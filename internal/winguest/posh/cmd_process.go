package posh

import (
	"strings"
	"time"
)

func processCommands() []Command {
	return []Command{
		{Name: "Start-Process", Params: []Param{needed(byName(param("FilePath", "string", 1, "PSPath"))), param("ArgumentList", "string[]", 2, "Args"), param("WorkingDirectory", "string", 0), param("Wait", "switch", 0), param("PassThru", "switch", 0),
			param("NoNewWindow", "switch", 0, "nnw"), param("WindowStyle", "string", 0), param("RedirectStandardOutput", "string", 0, "RSO"), param("RedirectStandardError", "string", 0, "RSE"), param("RedirectStandardInput", "string", 0, "RSI"),
			param("Credential", "pscredential", 0, "RunAs"), param("Verb", "string", 0), param("LoadUserProfile", "switch", 0, "Lup"), refused("UseNewEnvironment")}, Run: startProcess},
		{Name: "Get-Process", Params: []Param{byName(param("Name", "string[]", 1, "ProcessName")), byName(param("Id", "int[]", 0, "PID")), refused("ComputerName"), refused("Module"), refused("FileVersionInfo"), refused("IncludeUserName"), refused("InputObject")}, Run: getProcess},
		{Name: "Stop-Process", Params: []Param{byName(param("Id", "int[]", 1)), byName(param("Name", "string[]", 0, "ProcessName")), piped(param("InputObject", "", 0)), param("Force", "switch", 0), param("PassThru", "switch", 0)}, Run: stopProcess},
		{Name: "Wait-Process", Params: []Param{byName(param("Id", "int[]", 0, "PID", "ProcessId")), byName(param("Name", "string[]", 1, "ProcessName")), piped(param("InputObject", "", 0)), param("Timeout", "int", 2, "TimeoutSec")}, Run: waitProcess},
	}
}

// startFile opens a file that a process writes to or reads from.
func (c *Call) startFile(name string, how Open) (File, error) {
	if !c.Has(name) {
		return nil, nil
	}
	p, err := c.sh.filePath(c.Str(name))
	if err != nil {
		return nil, err
	}
	f, err := c.sh.m.Open(p, how)
	if err != nil {
		e := asError(c.sh.fileFault(err, p))
		return nil, &Error{ID: "InvalidStartProcess", Category: "InvalidOperation", Message: e.Message, Exception: e.Exception}
	}
	return f, nil
}

func startProcess(c *Call) error {
	s := c.sh
	if c.Has("Verb") && !strings.EqualFold(c.Str("Verb"), "RunAs") && !strings.EqualFold(c.Str("Verb"), "Open") {
		return s.refuse("Start-Process -Verb %s", c.Str("Verb"))
	}
	prog := Program{Name: c.Str("FilePath"), Env: s.env.Clone(), Dir: s.dir, Args: strings.Join(c.Strs("ArgumentList"), " ")}
	fail := func(msg string) error {
		return &Error{ID: "InvalidOperationException", Category: "InvalidOperation", Exception: "System.InvalidOperationException", Message: "This command cannot be run due to the error: " + msg}
	}
	if c.Has("WorkingDirectory") {
		d, err := s.filePath(c.Str("WorkingDirectory"))
		if err != nil {
			return err
		}
		if i, err := s.m.Stat(d); err != nil || !i.IsDir() {
			return fail("The directory name is invalid.")
		}
		prog.Dir = d
	}
	path, ok := s.m.Find(prog.Name, s.dir, s.env)
	if !ok {
		return fail("The system cannot find the file specified.")
	}
	prog.Path = path
	if v, ok := c.Value("Credential").(*credential); ok {
		prog.User, prog.Secret = v.user, v.pass.text
	}
	p := &process{s: s, start: &startInfo{file: prog.Name, args: prog.Args}}
	var files []File
	closeAll := func() {
		for _, f := range files {
			_ = f.Close() // what could not be written was told to the program
		}
	}
	for _, r := range []struct {
		name string
		how  Open
		set  func(File)
	}{
		{"RedirectStandardOutput", Open{Create, Write, ShareReadWrite}, func(f File) { prog.Stdout = f }},
		{"RedirectStandardError", Open{Create, Write, ShareReadWrite}, func(f File) { prog.Stderr = f }},
		{"RedirectStandardInput", Open{OpenExisting, Read, ShareReadWrite}, func(f File) { prog.Stdin = f }},
	} {
		f, err := c.startFile(r.name, r.how)
		if err != nil {
			closeAll()
			return err
		}
		if f != nil {
			files = append(files, f)
			r.set(f)
		}
	}
	if c.On("NoNewWindow") || len(files) > 0 { // a window of its own has nobody who looks
		if prog.Stdout == nil {
			prog.Stdout = s.host.out
		}
		if prog.Stderr == nil {
			prog.Stderr = s.host.err
		}
	}
	p.done = append(p.done, closeAll)
	if err := s.start(p, prog); err != nil {
		closeAll()
		if s.passes(err) {
			return err
		}
		return fail(err.Error())
	}
	if c.On("Wait") {
		if _, err := p.wait(-1); err != nil {
			return err
		}
	}
	if c.On("PassThru") {
		return c.out.put(p)
	}
	return nil
}

// pick finds the processes that the parameters name.
func (c *Call) pick() ([]*process, error) {
	s := c.sh
	var out []*process
	if in, ok := c.Value("InputObject").(*process); ok {
		return []*process{in}, nil
	}
	all := s.m.Processes()
	missing := func(kind, what string) error {
		return c.Error(&Error{ID: "NoProcessFoundForGiven" + kind, Category: "ObjectNotFound", Target: what, Exception: "Microsoft.PowerShell.Commands.ProcessCommandException",
			Message: "Cannot find a process with the " + strings.ToLower(kind) + " \"" + what + "\"."})
	}
	for _, v := range c.Values("Id") {
		hit := false
		for _, i := range all {
			if int32(i.PID) == v {
				out = append(out, s.processObject(i))
				hit = true
			}
		}
		if !hit {
			if err := missing("Id", s.text(v)); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range c.Strs("Name") {
		hit := false
		for _, i := range all {
			if s.like(i.Name, n, false) {
				out = append(out, s.processObject(i))
				hit = true
			}
		}
		if !hit && !hasWildcard(n) {
			if err := missing("Name", n); err != nil {
				return nil, err
			}
		}
	}
	if !c.Has("Id") && !c.Has("Name") && !c.Has("InputObject") {
		for _, i := range all {
			out = append(out, s.processObject(i))
		}
	}
	return out, nil
}

func getProcess(c *Call) error {
	all, err := c.pick()
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := c.out.put(p); err != nil {
			return err
		}
	}
	return nil
}

func stopProcess(c *Call) error {
	s := c.sh
	if !c.Has("Id") && !c.Has("Name") && !c.Has("InputObject") {
		return &Error{ID: "MissingMandatoryParameter", Category: "InvalidArgument", Message: "Cannot process command because of one or more missing mandatory parameters: Id.", Exception: "System.Management.Automation.ParameterBindingException"}
	}
	all, err := c.pick()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.info.PID == s.o.PID {
			return &exitErr{-1}
		}
		if p.ended() {
			continue
		}
		if p.p != nil {
			err = p.p.Kill()
		} else {
			err = s.m.Kill(p.info.PID)
		}
		if err != nil {
			if err := c.Error(&Error{ID: "CouldNotStopProcess", Category: "CloseError", Message: "Cannot stop process \"" + p.info.Name + " (" + toText(wrap(p.info.PID)) + ")\": " + err.Error(), Exception: "Microsoft.PowerShell.Commands.ProcessCommandException"}); err != nil {
				return err
			}
			continue
		}
		if c.On("PassThru") {
			if err := c.out.put(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func waitProcess(c *Call) error {
	all, err := c.pick()
	if err != nil {
		return err
	}
	d := time.Duration(-1)
	if c.Has("Timeout") {
		d = time.Duration(c.Int("Timeout")) * time.Second
	}
	for _, p := range all {
		ok, err := p.wait(d)
		if err != nil {
			return err
		}
		if !ok {
			if err := c.Error(&Error{ID: "ProcessNotTerminated", Category: "CloseError", Exception: "System.TimeoutException", Message: "This command stopped operation because process \"" + p.info.Name + "\" is not stopped in the specified time-out."}); err != nil {
				return err
			}
		}
	}
	return nil
}
