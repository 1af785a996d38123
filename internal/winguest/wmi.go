package winguest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Instance is an object of WMI: its class, and its properties in order.
type Instance struct {
	Class string
	names []string
	vals  map[string]any
}

func instance(class string, pairs ...any) Instance {
	i := Instance{Class: class, vals: map[string]any{}}
	for n := 0; n < len(pairs); n += 2 {
		i.names = append(i.names, pairs[n].(string))
		i.vals[strings.ToLower(pairs[n].(string))] = pairs[n+1]
	}
	return i
}

// Names are the properties in order.
func (i Instance) Names() []string { return i.names }

// Get is a property by its name in any case. Its value is nil, a string, a bool,
// a number of Go, or a time.
func (i Instance) Get(name string) (any, bool) {
	v, ok := i.vals[strings.ToLower(name)]
	return v, ok
}

// ErrClass is the answer to a class of WMI that this machine has not.
var ErrClass = errors.New("the class is not one of those that this machine has")

// wmiClasses are the classes by name in lower case, with their real names.
var wmiClasses = map[string]struct {
	name string
	all  func(*Machine) []Instance
}{
	"win32_operatingsystem":             {"Win32_OperatingSystem", (*Machine).wmiSystem},
	"win32_computersystem":              {"Win32_ComputerSystem", (*Machine).wmiComputer},
	"win32_process":                     {"Win32_Process", (*Machine).wmiProcesses},
	"win32_useraccount":                 {"Win32_UserAccount", (*Machine).wmiAccounts},
	"win32_group":                       {"Win32_Group", (*Machine).wmiGroups},
	"win32_service":                     {"Win32_Service", (*Machine).wmiServices},
	"win32_logicaldisk":                 {"Win32_LogicalDisk", (*Machine).wmiDisks},
	"win32_bios":                        {"Win32_BIOS", (*Machine).wmiBIOS},
	"win32_processor":                   {"Win32_Processor", (*Machine).wmiProcessor},
	"win32_timezone":                    {"Win32_TimeZone", (*Machine).wmiZone},
	"win32_quickfixengineering":         {"Win32_QuickFixEngineering", nothing},
	"win32_product":                     {"Win32_Product", nothing},
	"win32_pagefilesetting":             {"Win32_PageFileSetting", nothing},
	"win32_computersystemproduct":       {"Win32_ComputerSystemProduct", (*Machine).wmiProduct},
	"win32_operatingsystemqfe":          {"Win32_OperatingSystemQFE", nothing},
	"win32_terminalservicesetting":      {"Win32_TerminalServiceSetting", nothing},
	"win32_networkadapterconfiguration": {"Win32_NetworkAdapterConfiguration", (*Machine).wmiNetwork},
}

func nothing(*Machine) []Instance { return nil }

// Instances are the objects of a class of WMI that a condition of its query
// language holds for; "" is all. The error is ErrClass, or tells what is wrong
// with the condition.
func (m *Machine) Instances(class, where string) ([]Instance, error) {
	c, ok := wmiClasses[strings.ToLower(class)]
	if !ok {
		return nil, fmt.Errorf("cannot ask for %s: %w", class, ErrClass)
	}
	holds, err := wqlCondition(where)
	if err != nil {
		return nil, err
	}
	var list []Instance
	for _, i := range c.all(m) {
		ok, err := holds(i.Get)
		if err != nil {
			return nil, fmt.Errorf("cannot use the condition %q on %s: %w", where, c.name, err)
		}
		if ok {
			list = append(list, i)
		}
	}
	return list, nil
}

// Memory is what the machine says it has, in KiB.
const memoryKB = 4 << 20

func (m *Machine) wmiSystem() []Instance {
	r, now := m.spec.Release, m.now().UTC()
	caption := "Microsoft " + r.Product
	return []Instance{instance("Win32_OperatingSystem",
		"Caption", caption, "Version", r.Version, "BuildNumber", r.build(), "BuildType", "Multiprocessor Free", "CSName", m.ComputerName(), "Name", caption+`|`+SystemRoot+`|\Device\Harddisk0\Partition1`,
		"LastBootUpTime", m.Booted().UTC(), "LocalDateTime", now, "CurrentTimeZone", int16(0), "InstallDate", m.installed().UTC(), "Manufacturer", "Microsoft Corporation",
		"OSArchitecture", "64-bit", "OSLanguage", uint32(1033), "Locale", "0409", "CodeSet", "1252", "CountryCode", "1", "ProductType", uint32(3), "OperatingSystemSKU", uint32(8),
		"SystemDirectory", System32, "SystemDrive", "C:", "WindowsDirectory", SystemRoot, "BootDevice", `\Device\HarddiskVolume1`, "SystemDevice", `\Device\HarddiskVolume1`,
		"NumberOfProcesses", uint32(len(m.Processes())), "NumberOfUsers", uint32(0), "ServicePackMajorVersion", uint16(0), "ServicePackMinorVersion", uint16(0),
		"TotalVisibleMemorySize", uint64(memoryKB), "FreePhysicalMemory", uint64(memoryKB*3/4), "TotalVirtualMemorySize", uint64(memoryKB), "FreeVirtualMemory", uint64(memoryKB*3/4),
		"MUILanguages", []string{"en-US"}, "Status", "OK", "Primary", true)}
}

// installed is when the machine was made, as far as its folder tells.
func (m *Machine) installed() time.Time {
	st, err := m.disk.stat(SystemRoot + `\win.ini`)
	if err != nil {
		return m.Booted()
	}
	return st.Modified
}

func (m *Machine) wmiComputer() []Instance {
	return []Instance{instance("Win32_ComputerSystem",
		"Name", m.ComputerName(), "DNSHostName", m.ComputerName(), "Domain", "WORKGROUP", "Workgroup", "WORKGROUP", "PartOfDomain", false, "DomainRole", uint16(2),
		"Manufacturer", "Amazon EC2", "Model", "t3.medium", "NumberOfProcessors", uint32(1), "NumberOfLogicalProcessors", uint32(2), "SystemType", "x64-based PC",
		"TotalPhysicalMemory", uint64(memoryKB)<<10, "UserName", nil, "HypervisorPresent", true, "AutomaticManagedPagefile", true, "PrimaryOwnerName", "EC2", "Status", "OK")}
}

func (m *Machine) wmiProcesses() (list []Instance) {
	for _, p := range m.Processes() {
		line, path := any(p.Line), any(p.Path)
		if p.Name == "System" {
			line, path = nil, nil
		}
		list = append(list, instance("Win32_Process",
			"Name", p.Name, "Caption", p.Name, "ProcessId", uint32(p.ID), "Handle", itoa(p.ID), "ParentProcessId", uint32(p.Parent), "CommandLine", line, "ExecutablePath", path,
			"CreationDate", p.Started.UTC(), "SessionId", uint32(0), "CSName", m.ComputerName(), "Priority", uint32(8), "ThreadCount", uint32(1), "HandleCount", uint32(100),
			"WorkingSetSize", uint64(20<<20), "VirtualSize", uint64(100<<20), "OSName", "Microsoft "+m.spec.Release.Product))
	}
	return list
}

func (m *Machine) wmiAccounts() (list []Instance) {
	name := m.ComputerName()
	for _, a := range m.Accounts() {
		status := "OK"
		if a.Disabled {
			status = "Degraded"
		}
		list = append(list, instance("Win32_UserAccount",
			"Name", a.Name, "FullName", a.FullName, "Caption", name+`\`+a.Name, "Domain", name, "Description", a.Comment, "SID", m.SID(a.Name), "SIDType", uint8(1),
			"Disabled", a.Disabled, "LocalAccount", true, "Lockout", false, "PasswordExpires", !a.NeverExpires, "PasswordChangeable", !a.CannotChange, "PasswordRequired", true,
			"AccountType", uint32(512), "Status", status))
	}
	return list
}

func (m *Machine) wmiGroups() (list []Instance) {
	name := m.ComputerName()
	for _, g := range m.Groups() {
		list = append(list, instance("Win32_Group", "Name", g.Name, "Caption", name+`\`+g.Name, "Domain", name, "Description", g.Comment, "SID", g.SID, "SIDType", uint8(4), "LocalAccount", true, "Status", "OK"))
	}
	return list
}

func (m *Machine) wmiServices() (list []Instance) {
	host := m.hostID("svchost.exe")
	for _, s := range m.Services() {
		state, pid, mode := "Stopped", 0, map[string]string{AutoStart: "Auto", DelayedStart: "Auto", ManualStart: "Manual", NoStart: "Disabled"}[s.Start]
		if s.Running {
			state, pid = "Running", host
		}
		list = append(list, instance("Win32_Service",
			"Name", s.Name, "DisplayName", s.Display, "Caption", s.Display, "State", state, "Started", s.Running, "StartMode", mode, "DelayedAutoStart", s.Start == DelayedStart,
			"StartName", s.Account, "PathName", s.Path, "ProcessId", uint32(pid), "AcceptStop", s.Running && !s.Critical, "ExitCode", uint32(0), "ServiceType", "Share Process",
			"SystemName", m.ComputerName(), "Status", "OK"))
	}
	return list
}

func (m *Machine) hostID(name string) int {
	m.pmu.Lock()
	defer m.pmu.Unlock()
	if m.run == nil {
		return 0
	}
	return m.run.hosts[name]
}

func (m *Machine) wmiDisks() []Instance {
	return []Instance{instance("Win32_LogicalDisk",
		"DeviceID", "C:", "Name", "C:", "Caption", "C:", "DriveType", uint32(3), "FileSystem", "NTFS", "Description", "Local Fixed Disk", "VolumeName", "", "Size", uint64(30<<30), "FreeSpace", uint64(15<<30),
		"SystemName", m.ComputerName())}
}

func (m *Machine) wmiBIOS() []Instance {
	return []Instance{instance("Win32_BIOS", "Name", "1.0", "Manufacturer", "Amazon EC2", "SerialNumber", "ec2local", "SMBIOSBIOSVersion", "1.0", "Version", "AMAZON - 1", "Status", "OK")}
}

func (m *Machine) wmiProduct() []Instance {
	return []Instance{instance("Win32_ComputerSystemProduct", "Name", "t3.medium", "Vendor", "Amazon EC2", "IdentifyingNumber", "ec2local", "UUID", "EC200000-0000-0000-0000-000000000000", "Version", "")}
}

func (m *Machine) wmiProcessor() []Instance {
	return []Instance{instance("Win32_Processor", "DeviceID", "CPU0", "Name", "Intel(R) Xeon(R) CPU", "Architecture", uint16(9), "AddressWidth", uint16(64), "DataWidth", uint16(64),
		"NumberOfCores", uint32(1), "NumberOfLogicalProcessors", uint32(2), "Manufacturer", "GenuineIntel", "LoadPercentage", uint16(1), "MaxClockSpeed", uint32(2500), "Status", "OK")}
}

func (m *Machine) wmiZone() []Instance {
	return []Instance{instance("Win32_TimeZone", "StandardName", "Coordinated Universal Time", "Caption", "(UTC) Coordinated Universal Time", "Description", "(UTC) Coordinated Universal Time", "Bias", int32(0))}
}

func (m *Machine) wmiNetwork() []Instance {
	return []Instance{instance("Win32_NetworkAdapterConfiguration", "Index", uint32(0), "Description", "Amazon Elastic Network Adapter", "IPEnabled", true, "DHCPEnabled", true,
		"IPAddress", []string{m.spec.Addr}, "DNSHostName", m.ComputerName())}
}

// Set changes a property of an object, as far as WMI lets one be changed: of
// Win32_UserAccount PasswordExpires, PasswordChangeable, Disabled, FullName and
// Description.
func (m *Machine) Set(i Instance, name string, value any) error {
	old, ok := i.Get(name)
	if !ok {
		return fmt.Errorf("cannot set %s of %s: %w", name, i.Class, wqlUnknown(name))
	}
	text := fmt.Sprint(value)
	on := strings.EqualFold(text, "true") || text == "1" || strings.EqualFold(text, "-1")
	if _, is := old.(bool); is && !on && !strings.EqualFold(text, "false") && text != "0" {
		return fmt.Errorf("cannot set %s of %s to %q: it is TRUE or FALSE", name, i.Class, text)
	}
	set := map[string]func(*Account){
		"passwordexpires":    func(a *Account) { a.NeverExpires = !on },
		"passwordchangeable": func(a *Account) { a.CannotChange = !on },
		"disabled":           func(a *Account) { a.Disabled = on },
		"fullname":           func(a *Account) { a.FullName = text },
		"description":        func(a *Account) { a.Comment = text },
	}[strings.ToLower(name)]
	if i.Class != "Win32_UserAccount" || set == nil {
		return fmt.Errorf("cannot set %s of %s: it is read-only here", name, i.Class)
	}
	account, _ := i.Get("Name")
	return m.ChangeAccount(account.(string), set)
}

// The results of methods of WMI.
const (
	WMIDone      = 0
	WMIDenied    = 2
	WMIFailure   = 8
	WMINotFound  = 9
	WMIParameter = 21
)

// CreateProcess is the method Create of Win32_Process: a process with its own
// environment, outside of the job of the one that asks.
func (p *Proc) CreateProcess(line, dir string, env []string) (result uint32, id uint32) {
	if strings.TrimSpace(line) == "" {
		return WMIParameter, 0
	}
	if dir == "" {
		dir = System32
	}
	full, err := p.Abs(dir)
	if err != nil {
		return WMINotFound, 0
	}
	if env == nil {
		env = p.Machine.SessionEnv(p.Login)
	}
	c, err := p.Start(Launch{Line: line, Dir: full, Env: env, Detached: true})
	switch CodeOf(err) {
	case 0:
		return WMIDone, uint32(c.ID)
	case AccessDenied:
		return WMIDenied, 0
	case FileNotFound, PathNotFound, InvalidDirectory:
		return WMINotFound, 0
	case InvalidParameter:
		return WMIParameter, 0
	}
	return WMIFailure, 0
}

// Call calls a method of an object. What it returns is what WMI calls
// ReturnValue; the error is for a method that this machine has not.
func (p *Proc) Call(i Instance, method string, args []any) (uint32, error) {
	m := p.Machine
	text := func(n int) string {
		if n < len(args) && args[n] != nil {
			return fmt.Sprint(args[n])
		}
		return ""
	}
	result := func(err error) (uint32, error) {
		switch CodeOf(err) {
		case 0:
			return 0, nil
		case ServiceRunning:
			return 10, nil
		case ServiceNotActive:
			return 5, nil
		case Disabled:
			return 14, nil
		case AccessDenied:
			return WMIDenied, nil
		}
		return WMIFailure, nil
	}
	switch strings.ToLower(i.Class + "." + method) {
	case "win32_process.terminate":
		id, _ := i.Get("ProcessId")
		switch err := m.KillProcess(int(id.(uint32)), false); err {
		case nil:
			return 0, nil
		case NoSuchProcess:
			return WMINotFound, nil
		}
		return WMIDenied, nil
	case "win32_operatingsystem.reboot", "win32_operatingsystem.shutdown":
		if !p.Login.Elevated {
			return 1314, nil
		}
		return uint32(CodeOf(m.PowerOff(strings.EqualFold(method, "reboot"), 0, ""))), nil
	case "win32_operatingsystem.win32shutdown":
		var flags int
		if n, _ := fmt.Sscan(text(0), &flags); n != 1 || flags&^0xf != 0 || flags&0xb == 0 {
			return WMIParameter, nil
		}
		if !p.Login.Elevated {
			return 1314, nil
		}
		return uint32(CodeOf(m.PowerOff(flags&2 != 0, 0, ""))), nil
	case "win32_service.startservice":
		name, _ := i.Get("Name")
		return result(m.StartService(name.(string)))
	case "win32_service.stopservice":
		name, _ := i.Get("Name")
		return result(m.StopService(name.(string), false))
	case "win32_service.changestartmode":
		name, _ := i.Get("Name")
		start, ok := map[string]string{"automatic": AutoStart, "manual": ManualStart, "disabled": NoStart}[strings.ToLower(text(0))]
		if !ok {
			return WMIParameter, nil
		}
		return result(m.ChangeService(name.(string), func(s *Service) { s.Start = start }))
	case "win32_computersystem.rename":
		if err := m.Rename(text(0)); err != nil {
			return uint32(InvalidParameter), nil
		}
		return 0, nil
	}
	return math.MaxUint32, fmt.Errorf("cannot call %s of %s: this machine has no such method", method, i.Class)
}
