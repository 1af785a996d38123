package winguest

import (
	"slices"
	"strings"
)

// How a service starts.
const (
	AutoStart    = "Automatic"
	DelayedStart = "AutomaticDelayedStart"
	ManualStart  = "Manual"
	NoStart      = "Disabled"
)

// Service is an entry of the service table. Only what WinRM does has an effect;
// the others are records that start and stop.
type Service struct {
	Name     string   `json:"name"`
	Display  string   `json:"display"`
	Start    string   `json:"start"`
	Account  string   `json:"account"`
	Path     string   `json:"path"`
	Needs    []string `json:"needs,omitempty"`
	Foreign  bool     `json:"foreign,omitempty"`  // made here; its program is not of this machine
	Critical bool     `json:"critical,omitempty"` // does not take a stop
	Running  bool     `json:"-"`
}

func newServices() []*Service {
	list := []*Service{
		{Name: "AmazonSSMAgent", Display: "Amazon SSM Agent", Start: AutoStart, Path: `C:\Program Files\Amazon\SSM\amazon-ssm-agent.exe`},
		{Name: "BITS", Display: "Background Intelligent Transfer Service", Start: ManualStart},
		{Name: "CryptSvc", Display: "Cryptographic Services", Start: AutoStart, Account: `NT Authority\NetworkService`},
		{Name: "Dhcp", Display: "DHCP Client", Start: AutoStart, Account: `NT Authority\LocalService`},
		{Name: "Dnscache", Display: "DNS Client", Start: AutoStart, Account: `NT AUTHORITY\NetworkService`},
		{Name: "EventLog", Display: "Windows Event Log", Start: AutoStart, Account: `NT AUTHORITY\LocalService`},
		{Name: "gpsvc", Display: "Group Policy Client", Start: AutoStart, Critical: true},
		{Name: "HTTP", Display: "HTTP Service", Start: ManualStart},
		{Name: "LanmanServer", Display: "Server", Start: AutoStart},
		{Name: "LanmanWorkstation", Display: "Workstation", Start: AutoStart, Account: `NT AUTHORITY\NetworkService`},
		{Name: "MpsSvc", Display: "Windows Defender Firewall", Start: AutoStart, Account: `NT Authority\LocalService`, Critical: true},
		{Name: "msiserver", Display: "Windows Installer", Start: ManualStart},
		{Name: "ProfSvc", Display: "User Profile Service", Start: AutoStart},
		{Name: "RpcSs", Display: "Remote Procedure Call (RPC)", Start: AutoStart, Account: `NT AUTHORITY\NetworkService`, Critical: true},
		{Name: "SamSs", Display: "Security Accounts Manager", Start: AutoStart, Critical: true},
		{Name: "Schedule", Display: "Task Scheduler", Start: AutoStart, Critical: true},
		{Name: "seclogon", Display: "Secondary Logon", Start: ManualStart},
		{Name: "Spooler", Display: "Print Spooler", Start: AutoStart},
		{Name: "TermService", Display: "Remote Desktop Services", Start: ManualStart, Account: `NT Authority\NetworkService`},
		{Name: "TrustedInstaller", Display: "Windows Modules Installer", Start: ManualStart},
		{Name: "W32Time", Display: "Windows Time", Start: AutoStart, Account: `NT AUTHORITY\LocalService`},
		{Name: "WinDefend", Display: "Windows Defender Antivirus Service", Start: AutoStart},
		{Name: "Winmgmt", Display: "Windows Management Instrumentation", Start: AutoStart},
		{Name: "WinRM", Display: "Windows Remote Management (WS-Management)", Start: AutoStart, Account: `NT AUTHORITY\NetworkService`, Needs: []string{"RpcSs", "HTTP"}},
		{Name: "wuauserv", Display: "Windows Update", Start: ManualStart},
	}
	for _, s := range list {
		if s.Account == "" {
			s.Account = "LocalSystem"
		}
		if s.Path == "" {
			s.Path = System32 + `\svchost.exe -k netsvcs -p`
		}
	}
	return list
}

func (st *state) service(name string) *Service {
	for _, s := range st.Services {
		if strings.EqualFold(s.Name, name) {
			return s
		}
	}
	return nil
}

// Services are the machine's services by name.
func (m *Machine) Services() (list []Service) {
	m.read(func(st *state) {
		for _, s := range st.Services {
			list = append(list, *s)
		}
	})
	slices.SortFunc(list, func(a, b Service) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return list
}

// Service is the service of that name, or of that display name.
func (m *Machine) Service(name string) (s Service, err error) {
	err = NoService
	m.read(func(st *state) {
		p := st.service(name)
		if i := slices.IndexFunc(st.Services, func(s *Service) bool { return strings.EqualFold(s.Display, name) }); p == nil && i >= 0 {
			p = st.Services[i]
		}
		if p != nil {
			s, err = *p, nil
		}
	})
	return s, err
}

// StartService starts a service and those that it needs. The error is NoService,
// ServiceRunning or Disabled, or FileNotFound where a service made here has a
// program that this machine cannot run.
func (m *Machine) StartService(name string) error {
	err := m.change(func(st *state) error {
		s := st.service(name)
		switch {
		case s == nil:
			return NoService
		case s.Running:
			return ServiceRunning
		case s.Start == NoStart:
			return Disabled
		case s.Foreign:
			return BadExe
		}
		for _, n := range s.Needs {
			if d := st.service(n); d != nil {
				if d.Start == NoStart && !d.Running {
					return Disabled
				}
				d.Running = true
			}
		}
		s.Running = true
		return nil
	})
	m.listen()
	return err
}

// StopService stops a service. The error is NoService, ServiceNotActive,
// ServiceNoControl, or ServiceDependants where others that run need it and force
// does not stop them too.
func (m *Machine) StopService(name string, force bool) error {
	err := m.change(func(st *state) error {
		s := st.service(name)
		switch {
		case s == nil:
			return NoService
		case !s.Running:
			return ServiceNotActive
		case s.Critical:
			return ServiceNoControl
		}
		for _, d := range st.Services {
			if d.Running && slices.Contains(d.Needs, s.Name) {
				if !force {
					return ServiceDependants
				}
				d.Running = false
			}
		}
		s.Running = false
		return nil
	})
	m.listen()
	return err
}

// ChangeService changes how a service starts, its display name or its account,
// by what f does to it. The error is NoService.
func (m *Machine) ChangeService(name string, f func(*Service)) error {
	return m.change(func(st *state) error {
		s := st.service(name)
		if s == nil {
			return NoService
		}
		name, running := s.Name, s.Running
		f(s)
		s.Name, s.Running = name, running
		return nil
	})
}

// AddService makes a service. It stands in the table; it cannot be started, for
// this machine runs no program but its own. The error is ServiceExists.
func (m *Machine) AddService(s Service) error {
	return m.change(func(st *state) error {
		switch {
		case s.Name == "":
			return InvalidParameter
		case st.service(s.Name) != nil:
			return ServiceExists
		}
		s.Foreign, s.Running = true, false
		st.Services = append(st.Services, &s)
		return nil
	})
}

// RemoveService deletes a service that was made here; others stay.
func (m *Machine) RemoveService(name string) error {
	return m.change(func(st *state) error {
		s := st.service(name)
		switch {
		case s == nil:
			return NoService
		case !s.Foreign:
			return AccessDenied
		}
		st.Services = slices.DeleteFunc(st.Services, func(o *Service) bool { return o == s })
		return nil
	})
}

// startServices is what the service controller does at boot.
func (st *state) startServices() {
	for _, s := range st.Services {
		s.Running = (s.Start == AutoStart || s.Start == DelayedStart) && !s.Foreign
	}
	for _, s := range st.Services {
		for _, n := range s.Needs {
			if d := st.service(n); s.Running && d != nil {
				d.Running = true
			}
		}
	}
}
