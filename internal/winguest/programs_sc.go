package winguest

import (
	"context"
	"fmt"
	"strings"
)

// scExe is sc.exe: query, queryex, qc, config, start, stop, create, delete.
func scExe(_ context.Context, p *Proc) int {
	args := p.Args
	if len(args) > 0 && strings.HasPrefix(args[0], `\\`) {
		if name := strings.TrimLeft(args[0], `\`); !strings.EqualFold(name, p.Machine.ComputerName()) && name != "." && !strings.EqualFold(name, "localhost") {
			return p.refuse("%s: another machine than this cannot be reached", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return p.refuse("it needs one of: query, queryex, qc, config, start, stop, create, delete")
	}
	verb := strings.ToLower(args[0])
	args = args[1:]
	if verb == "query" || verb == "queryex" {
		return scQuery(p, args)
	}
	known := map[string]bool{"qc": true, "config": true, "start": true, "stop": true, "create": true, "delete": true}
	if !known[verb] {
		return p.refuse("sc %s is not supported here: known are query, queryex, qc, config, start, stop, create and delete", verb)
	}
	if len(args) == 0 {
		return p.refuse("sc %s needs the name of a service", verb)
	}
	name, rest := args[0], args[1:]
	if verb == "create" {
		return scCreate(p, name, rest)
	}
	s, err := p.Machine.Service(name)
	if err != nil || !strings.EqualFold(s.Name, name) { // no display names
		return scFailed(p, "OpenService", NoService)
	}
	if verb == "qc" {
		return scShow(p, s)
	}
	if err := p.Admin(); err != nil {
		return scFailed(p, "OpenService", err)
	}
	switch verb {
	case "config":
		changes, err := scWords(rest)
		if err == nil && len(changes) == 0 {
			err = fmt.Errorf("it needs start= and the like, with a blank behind the equals sign")
		}
		var change func(*Service)
		if err == nil {
			change, err = scChange(changes)
		}
		if err != nil {
			return p.refuse("sc config: %v", err)
		}
		if err := p.Machine.ChangeService(s.Name, change); err != nil {
			return scFailed(p, "ChangeServiceConfig", err)
		}
		p.say("[SC] ChangeServiceConfig SUCCESS\n")
		return 0
	case "start":
		if err := p.Machine.StartService(s.Name); err != nil {
			return scFailed(p, "StartService", err)
		}
	case "stop":
		if err := p.Machine.StopService(s.Name, false); err != nil {
			return scFailed(p, "ControlService", err)
		}
	case "delete":
		if err := p.Machine.RemoveService(s.Name); err != nil {
			return scFailed(p, "DeleteService", err)
		}
		p.say("[SC] DeleteService SUCCESS\n")
		return 0
	}
	if s, err = p.Machine.Service(s.Name); err == nil {
		scState(p, s, false)
	}
	return 0
}

func scFailed(p *Proc, call string, err error) int {
	c := CodeOf(err)
	p.say("[SC] %s FAILED %d:\n\n%v\n\n", call, c, c)
	return int(c)
}

// scWords reads start= auto, also start=auto.
func scWords(args []string) (map[string]string, error) {
	out := map[string]string{}
	for i := 0; i < len(args); i++ {
		name, value, ok := strings.Cut(args[i], "=")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form NAME= VALUE", args[i])
		}
		if value == "" {
			if i++; i == len(args) {
				return nil, fmt.Errorf("%s= needs a value", name)
			}
			value = args[i]
		}
		out[strings.ToLower(name)] = value
	}
	return out, nil
}

func scChange(words map[string]string) (func(*Service), error) {
	var changes []func(*Service)
	for name, v := range words {
		switch name {
		case "start":
			start, ok := map[string]string{"auto": AutoStart, "delayed-auto": DelayedStart, "demand": ManualStart, "disabled": NoStart}[strings.ToLower(v)]
			if !ok {
				return nil, fmt.Errorf("start= %s is not supported here: known are auto, delayed-auto, demand and disabled", v)
			}
			changes = append(changes, func(s *Service) { s.Start = start })
		case "displayname":
			changes = append(changes, func(s *Service) { s.Display = v })
		case "obj":
			changes = append(changes, func(s *Service) { s.Account = v })
		case "binpath":
			changes = append(changes, func(s *Service) { s.Path = v })
		case "depend":
			changes = append(changes, func(s *Service) { s.Needs = strings.FieldsFunc(v, func(r rune) bool { return r == '/' }) })
		case "type":
			if !strings.EqualFold(v, "own") && !strings.EqualFold(v, "share") {
				return nil, fmt.Errorf("type= %s is not supported here: known are own and share", v)
			}
		case "error":
			if !strings.EqualFold(v, "normal") {
				return nil, fmt.Errorf("error= %s is not supported here: known is normal", v)
			}
		default:
			return nil, fmt.Errorf("%s= is not supported here: known are start=, displayname=, obj=, binpath=, depend=, type= and error=", name)
		}
	}
	return func(s *Service) {
		for _, f := range changes {
			f(s)
		}
	}, nil
}

func scCreate(p *Proc, name string, args []string) int {
	words, err := scWords(args)
	var change func(*Service)
	if err == nil {
		change, err = scChange(words)
	}
	if err == nil && words["binpath"] == "" {
		err = fmt.Errorf("it needs binpath=")
	}
	if err != nil {
		return p.refuse("sc create: %v", err)
	}
	if err := p.Admin(); err != nil {
		return scFailed(p, "OpenSCManager", err)
	}
	s := Service{Name: name, Display: name, Start: ManualStart, Account: "LocalSystem"}
	change(&s)
	if err := p.Machine.AddService(s); err != nil {
		return scFailed(p, "CreateService", err)
	}
	p.say("[SC] CreateService SUCCESS\n")
	return 0
}

func scState(p *Proc, s Service, more bool) {
	state, controls := "1  STOPPED", "NOT_STOPPABLE, NOT_PAUSABLE, IGNORES_SHUTDOWN"
	if s.Running {
		state, controls = "4  RUNNING", "STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN"
		if s.Critical {
			controls = "NOT_STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN"
		}
	}
	p.say("\nSERVICE_NAME: %s\n", s.Name)
	if more {
		p.say("DISPLAY_NAME: %s\n", s.Display)
	}
	p.say("        TYPE               : 20  WIN32_SHARE_PROCESS  \n        STATE              : %s \n                                (%s)\n"+
		"        WIN32_EXIT_CODE    : 0  (0x0)\n        SERVICE_EXIT_CODE  : 0  (0x0)\n        CHECKPOINT         : 0x0\n        WAIT_HINT          : 0x0\n", state, controls)
}

func scQuery(p *Proc, args []string) int {
	if len(args) == 1 && !strings.Contains(args[0], "=") {
		s, err := p.Machine.Service(args[0])
		if err != nil || !strings.EqualFold(s.Name, args[0]) {
			return scFailed(p, "EnumQueryServicesStatus:OpenService", NoService)
		}
		scState(p, s, false)
		return 0
	}
	words, err := scWords(args)
	all := false
	for name, v := range words {
		switch {
		case name == "state" && strings.EqualFold(v, "all"):
			all = true
		case name == "state" && strings.EqualFold(v, "active"), name == "type" && (strings.EqualFold(v, "service") || strings.EqualFold(v, "all")), name == "bufsize":
		default:
			err = fmt.Errorf("%s= %s is not supported here: known are state= all, state= active and type= service", name, v)
		}
	}
	if err != nil {
		return p.refuse("sc query: %v", err)
	}
	for _, s := range p.Machine.Services() {
		if all || s.Running {
			scState(p, s, true)
		}
	}
	return 0
}

func scShow(p *Proc, s Service) int {
	start := map[string]string{AutoStart: "2   AUTO_START", DelayedStart: "2   AUTO_START  (DELAYED)", ManualStart: "3   DEMAND_START", NoStart: "4   DISABLED"}[s.Start]
	p.say("[SC] QueryServiceConfig SUCCESS\n\nSERVICE_NAME: %s\n        TYPE               : 20  WIN32_SHARE_PROCESS \n        START_TYPE         : %s\n        ERROR_CONTROL      : 1   NORMAL\n"+
		"        BINARY_PATH_NAME   : %s\n        LOAD_ORDER_GROUP   : \n        TAG                : 0\n        DISPLAY_NAME       : %s\n        DEPENDENCIES       : %s\n        SERVICE_START_NAME : %s\n",
		s.Name, start, s.Path, s.Display, strings.Join(s.Needs, "\n                           : "), s.Account)
	return 0
}
