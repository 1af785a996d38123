package winguest

import (
	"errors"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

func (c *cmdlets) serviceObject(s Service) *posh.Object {
	name := s.Name
	now := func() Service {
		if x, err := c.m.Service(name); err == nil {
			return x
		}
		return s
	}
	status := func() (any, error) {
		if now().Running {
			return "Running", nil
		}
		return "Stopped", nil
	}
	o := posh.NewObject("System.ServiceProcess.ServiceController")
	o.Live("Status", status, nil)
	o.Set("Name", s.Name).Set("DisplayName", s.Display).Set("ServiceName", s.Name).Set("MachineName", ".")
	o.Live("StartType", func() (any, error) { return startType(now().Start), nil }, nil)
	o.Live("CanStop", func() (any, error) { x := now(); return x.Running && !x.Critical, nil }, nil)
	var need []any
	for _, n := range s.Needs {
		need = append(need, n)
	}
	o.Set("RequiredServices", posh.NewArray(need...)).Set("ServicesDependedOn", posh.NewArray(need...))
	o.Show = []string{"Status", "Name", "DisplayName"}
	o.Text = func() string { return "System.ServiceProcess.ServiceController" }
	o.Method("Refresh", func([]any) (any, error) { return nil, nil })
	for method, f := range map[string]func() error{
		"Start": func() error { return c.m.StartService(name) },
		"Stop":  func() error { return c.m.StopService(name, true) },
	} {
		o.Method(method, func([]any) (any, error) {
			if err := errors.Join(c.p.Admin()); err != nil {
				return nil, err
			}
			return nil, f()
		})
	}
	o.Method("WaitForStatus", func(args []any) (any, error) {
		if len(args) == 0 {
			return nil, errors.New("WaitForStatus needs a status")
		}
		limit := time.Duration(1<<62 - 1)
		if len(args) > 1 {
			d, err := durationOf(args[1])
			if err != nil {
				return nil, err
			}
			limit = d
		}
		for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
			if at, _ := status(); strings.EqualFold(at.(string), textOf(args[0])) {
				return nil, nil
			}
			if time.Now().After(end) {
				return nil, errors.New("Time out has expired and the operation has not been completed.")
			}
			if err := c.p.alive(); err != nil {
				return nil, err
			}
		}
	})
	return o
}

func startType(s string) string {
	if s == DelayedStart {
		return AutoStart
	}
	return s
}

// chosen are the services that a cmdlet is for; orAll is what it is for where it
// names none.
func (c *cmdlets) chosen(k *posh.Call, orAll bool) ([]Service, error) {
	all := c.m.Services()
	if in := k.Value("InputObject"); in != nil {
		var list []Service
		for _, v := range elements(in) {
			name := propertyText(v, "Name")
			if name == "" {
				name = textOf(v)
			}
			s, err := c.m.Service(name)
			if err != nil {
				return nil, noService(name)
			}
			list = append(list, s)
		}
		return list, nil
	}
	names, field := k.Strs("Name"), func(s Service) string { return s.Name }
	if len(names) == 0 && k.Has("DisplayName") {
		names, field = k.Strs("DisplayName"), func(s Service) string { return s.Display }
	}
	if len(names) == 0 {
		if orAll {
			return all, nil
		}
		return nil, &posh.Error{ID: "MissingMandatoryParameter", Message: "Cannot process command because of one or more missing mandatory parameters: Name.", Exception: "System.Management.Automation.ParameterBindingException", Category: "InvalidArgument"}
	}
	var list []Service
	for _, n := range names {
		found := false
		for _, s := range all {
			if like(n, field(s)) {
				list, found = append(list, s), true
			}
		}
		if !found && !hasWild(n) {
			if err := k.Error(noService(n)); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func noService(name string) error {
	return &posh.Error{ID: "NoServiceFoundForGivenName", Message: "Cannot find any service with service name '" + name + "'.",
		Exception: "Microsoft.PowerShell.Commands.ServiceCommandException", Category: "ObjectNotFound", Target: name}
}

func (c *cmdlets) service() {
	const which = "Name:string[]:1:pipename:=ServiceName DisplayName:string[] InputObject:any:pipe "
	const change = which + "PassThru:switch "
	c.add("Get-Service", which+"ComputerName:string[]:=Cn", func(k *posh.Call) error {
		if err := local(k); err != nil {
			return err
		}
		list, err := c.chosen(k, true)
		if err != nil {
			return err
		}
		for _, s := range list {
			if err := k.Emit(c.serviceObject(s)); err != nil {
				return err
			}
		}
		return nil
	}, "gsv")
	each := func(f func(k *posh.Call, s Service) error, verb, id string) func(*posh.Call) error {
		return func(k *posh.Call) error {
			list, err := c.chosen(k, false)
			if err != nil {
				return err
			}
			for _, s := range list {
				if err := f(k, s); err != nil {
					err = &posh.Error{ID: id, Message: "Service '" + s.Display + " (" + s.Name + ")' cannot be " + verb + " due to the following error: " + err.Error(),
						Exception: "Microsoft.PowerShell.Commands.ServiceCommandException", Category: "CloseError", Target: s.Name}
					if err := k.Error(err); err != nil {
						return err
					}
					continue
				}
				if k.On("PassThru") {
					if err := k.Emit(c.serviceObject(s)); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	fine := func(err error, as Code) error {
		if err == as {
			return nil
		}
		return err
	}
	start := func(_ *posh.Call, s Service) error { return fine(c.m.StartService(s.Name), ServiceRunning) }
	stop := func(k *posh.Call, s Service) error {
		return fine(c.m.StopService(s.Name, k.On("Force")), ServiceNotActive)
	}
	c.change("Start-Service", change, each(start, "started", "CouldNotStartService"), "sasv")
	c.change("Stop-Service", change+"Force:switch NoWait:switch", each(stop, "stopped", "CouldNotStopService"), "spsv")
	c.change("Restart-Service", change+"Force:switch", each(func(k *posh.Call, s Service) error {
		if err := stop(k, s); err != nil {
			return err
		}
		return start(k, s)
	}, "restarted", "CouldNotRestartService"))
	c.change("Set-Service", "Name:string:1:pipename:=ServiceName:=SN StartupType:string:=StartMode:=SM:=ST Status:string DisplayName:string:=DN Description:string InputObject:any:pipe PassThru:switch", func(k *posh.Call) error {
		if k.Value("InputObject") == nil && k.Str("Name") == "" {
			return problem("ParameterArgumentValidationError", "InvalidArgument", "", "Set-Service needs -Name or an object of Get-Service.")
		}
		name := k.Str("Name")
		if in := k.Value("InputObject"); in != nil {
			name = propertyText(in, "Name")
		}
		s, err := c.m.Service(name)
		if err != nil {
			return k.Error(noService(name))
		}
		start := ""
		if k.Has("StartupType") {
			var ok bool
			if start, ok = map[string]string{"automatic": AutoStart, "manual": ManualStart, "disabled": NoStart}[strings.ToLower(k.Str("StartupType"))]; !ok {
				return outside("Set-Service -StartupType %s", k.Str("StartupType"))
			}
		}
		if err := c.m.ChangeService(s.Name, func(s *Service) {
			if start != "" {
				s.Start = start
			}
			if k.Has("DisplayName") {
				s.Display = k.Str("DisplayName")
			}
		}); err != nil {
			return err
		}
		switch strings.ToLower(k.Str("Status")) {
		case "":
		case "running":
			err = fine(c.m.StartService(s.Name), ServiceRunning)
		case "stopped":
			err = fine(c.m.StopService(s.Name, false), ServiceNotActive)
		default:
			return outside("Set-Service -Status %s", k.Str("Status"))
		}
		if err != nil {
			return k.Error(problem("CouldNotSetService", "CloseError", s.Name, "Service '%s (%s)' cannot be configured due to the following error: %v", s.Display, s.Name, err))
		}
		if k.On("PassThru") {
			return k.Emit(c.serviceObject(s))
		}
		return nil
	})
	c.change("New-Service", "Name:string:1:need:=ServiceName BinaryPathName:string:2:need DisplayName:string Description:string StartupType:string Credential:any DependsOn:string[]", func(k *posh.Call) error {
		s := Service{Name: k.Str("Name"), Display: k.Str("DisplayName"), Path: k.Str("BinaryPathName"), Account: "LocalSystem", Needs: k.Strs("DependsOn"), Start: AutoStart}
		if k.Has("Credential") {
			return outside("New-Service -Credential")
		}
		if s.Display == "" {
			s.Display = s.Name
		}
		if k.Has("StartupType") {
			start, ok := map[string]string{"automatic": AutoStart, "manual": ManualStart, "disabled": NoStart}[strings.ToLower(k.Str("StartupType"))]
			if !ok {
				return outside("New-Service -StartupType %s", k.Str("StartupType"))
			}
			s.Start = start
		}
		if err := c.m.AddService(s); err != nil {
			return problem("CouldNotNewService", "PermissionDenied", s.Name, "Service '%s (%s)' cannot be created due to the following error: %v", s.Display, s.Name, err)
		}
		return k.Emit(c.serviceObject(s))
	})
}
