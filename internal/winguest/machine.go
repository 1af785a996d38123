package winguest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Spec is what a machine is made of.
type Spec struct {
	Release Release
	Name    string // of the computer, for one that is made; at most 15 characters
	Addr    string // the loopback address that is the machine's own
}

// Release is which Windows the machine is.
type Release struct {
	Year       string // 2012 R2
	Product    string // Windows Server 2012 R2 Datacenter
	Version    string // 6.3.9600
	ReleaseID  string // 1809, "" before Windows 10
	PowerShell string // the version of powershell.exe
}

func (r Release) build() string {
	for i := len(r.Version) - 1; i >= 0; i-- {
		if r.Version[i] == '.' {
			return r.Version[i+1:]
		}
	}
	return r.Version
}

var releases = []Release{
	{"2012 R2", "Windows Server 2012 R2 Standard", "6.3.9600", "", "5.1.14409.1018"},
	{"2016", "Windows Server 2016 Datacenter", "10.0.14393", "1607", "5.1.14393.6343"},
	{"2019", "Windows Server 2019 Datacenter", "10.0.17763", "1809", "5.1.17763.6414"},
	{"2022", "Windows Server 2022 Datacenter", "10.0.20348", "2009", "5.1.20348.2849"},
	{"2025", "Windows Server 2025 Datacenter", "10.0.26100", "2009", "5.1.26100.2161"},
}

// ReleaseOf is the release of that year; an unknown one is that of 2019.
func ReleaseOf(year string) Release {
	for _, r := range releases {
		if r.Year == year {
			return r
		}
	}
	return releases[2]
}

// state is what machine.json keeps.
type state struct {
	Name         string            `json:"name"`
	NextName     string            `json:"next_name,omitempty"` // from the next boot on
	MachineSID   string            `json:"machine_sid"`
	TimeZone     string            `json:"time_zone"`
	Registry     *key              `json:"registry"`
	Accounts     []*Account        `json:"accounts"`
	Groups       []*Group          `json:"groups"`
	Services     []*Service        `json:"services"`
	Rules        []*Rule           `json:"rules"`
	FirewallOff  []string          `json:"firewall_off,omitempty"`
	Network      string            `json:"network,omitempty"`
	WinRM        map[string]string `json:"winrm,omitempty"` // what differs from a fresh machine, by path in lower case
	Listeners    []Listener        `json:"listeners"`
	Tasks        []*Task           `json:"tasks,omitempty"`
	Certificates []Certificate     `json:"certificates,omitempty"`
	Rights       map[string]acl    `json:"rights,omitempty"` // by path in lower case
	Launch       launchState       `json:"launch"`
}

// Machine is a Windows machine, running or not. Its methods may be called from
// many goroutines.
type Machine struct {
	dir      string
	spec     Spec
	disk     *disk
	programs map[string]Program
	now      func() time.Time

	op sync.Mutex // booting and stopping

	mu sync.Mutex
	st *state

	pmu       sync.Mutex
	run       *running // nil at rest
	end       *ending
	ended     time.Time
	tasksBell chan struct{}

	net netState
}

// running is one boot, from start to end.
type running struct {
	ctx    context.Context
	cancel context.CancelFunc
	at     time.Time
	exited func(reboot bool)
	work   sync.WaitGroup
	procs  map[int]*Process
	hosts  map[string]int // ids of the system's own processes
	lastID int
}

// newID gives out ids as Windows does: multiples of four. The caller holds pmu.
func (r *running) newID() int {
	r.lastID += 4
	if r.lastID%64 == 0 {
		r.lastID += 4 * (r.lastID / 64 % 7)
	}
	return r.lastID
}

// Open opens the machine that dir holds, or makes a fresh one there: c is its
// drive, machine.json is all else. The errors are the host's.
func Open(dir string, spec Spec) (*Machine, error) {
	m := &Machine{dir: dir, spec: spec, now: time.Now, tasksBell: make(chan struct{}, 1)}
	m.programs = m.builtin()
	if err := os.MkdirAll(filepath.Join(dir, "c"), 0o700); err != nil {
		return nil, err
	}
	var err error
	if m.disk, err = openDisk(filepath.Join(dir, "c"), spec.Release); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(m.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err = m.install(); err != nil {
			err = fmt.Errorf("cannot make the Windows machine: %w", err)
		}
	case err == nil:
		m.st = &state{}
		if err = json.Unmarshal(b, m.st); err != nil {
			err = fmt.Errorf("cannot read the Windows machine: %s is damaged: %w", m.file(), err)
		} else if m.st.Registry == nil {
			err = fmt.Errorf("cannot read the Windows machine: %s has no registry", m.file())
		}
	}
	if err != nil {
		m.disk.close()
		return nil, err
	}
	return m, nil
}

func (m *Machine) file() string { return filepath.Join(m.dir, "machine.json") }

// Close gives the machine's files free. It must be at rest.
func (m *Machine) Close() error {
	m.Stop()
	m.disk.close()
	return nil
}

// read looks at the state. What it finds may not be kept.
func (m *Machine) read(f func(*state)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.st)
}

// change changes the state and puts it on the host's disk. When f fails it must
// not have changed anything.
func (m *Machine) change(f func(*state) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := f(m.st); err != nil {
		return err
	}
	return m.save()
}

func (m *Machine) save() error {
	b, err := json.Marshal(m.st)
	if err == nil {
		err = replaceFile(m.file(), b)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the state of the Windows machine: %w", err)
	}
	return nil
}

// replaceFile writes a file of mode 0600 in one step.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".machine-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// ComputerName is the machine's name on its network.
func (m *Machine) ComputerName() (name string) {
	m.read(func(st *state) { name = st.Name })
	return name
}

// Rename gives the machine another name from the next boot on.
func (m *Machine) Rename(name string) error {
	if name == "" || len(name) > 15 || !plainName(name) {
		return InvalidParameter
	}
	return m.change(func(st *state) error {
		st.NextName = name
		return nil
	})
}

func plainName(name string) bool {
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	_, err := strconv.Atoi(name)
	return err != nil // digits alone are none
}

// Release is which Windows this is.
func (m *Machine) Release() Release { return m.spec.Release }

// Addr is the machine's address.
func (m *Machine) Addr() string { return m.spec.Addr }

// Booted is when the machine booted last, zero at rest.
func (m *Machine) Booted() time.Time {
	m.pmu.Lock()
	defer m.pmu.Unlock()
	if m.run == nil {
		return time.Time{}
	}
	return m.run.at
}

// Running tells whether the machine is up.
func (m *Machine) Running() bool { return !m.Booted().IsZero() }

// Now is the machine's clock.
func (m *Machine) Now() time.Time { return m.now() }

// login is who a user is on this machine.
func (m *Machine) login(user string, highest bool) Login {
	l := Login{User: user}
	m.read(func(st *state) {
		a := st.account(user)
		if a != nil {
			l.User = a.Name
		}
		// The built-in administrator has all rights in any case.
		l.Elevated = st.admin(user) && (highest || a == nil || a.RID == 500)
	})
	return l
}

// background runs f as a part of the current boot.
func (m *Machine) background(f func(context.Context)) {
	m.pmu.Lock()
	defer m.pmu.Unlock()
	if r := m.run; r != nil && r.ctx.Err() == nil {
		r.work.Go(func() { f(r.ctx) })
	}
}

// install makes a fresh machine.
func (m *Machine) install() error {
	var sid [12]byte
	rand.Read(sid[:])
	st := &state{
		Name: m.spec.Name, TimeZone: "UTC", Registry: newRegistry(m.spec.Release), Services: newServices(), Rules: newRules(),
		MachineSID: fmt.Sprintf("S-1-5-21-%d-%d-%d", binary.LittleEndian.Uint32(sid[:]), binary.LittleEndian.Uint32(sid[4:]), binary.LittleEndian.Uint32(sid[8:])),
		Accounts: []*Account{
			{Name: "Administrator", Comment: "Built-in account for administering the computer/domain", RID: 500},
			{Name: "Guest", Comment: "Built-in account for guest access to the computer/domain", Disabled: true, NeverExpires: true, CannotChange: true, RID: 501},
			{Name: "DefaultAccount", Comment: "A user account managed by the system.", Disabled: true, NeverExpires: true, RID: 503},
		},
		Groups: []*Group{
			{Name: Administrators, Comment: "Administrators have complete and unrestricted access to the computer/domain", Members: []string{"Administrator"}, SID: "S-1-5-32-544"},
			{Name: "Users", Comment: "Users can run most applications", SID: "S-1-5-32-545"},
			{Name: "Guests", Members: []string{"Guest"}, SID: "S-1-5-32-546"},
			{Name: "Remote Desktop Users", SID: "S-1-5-32-555"},
			{Name: "Event Log Readers", SID: "S-1-5-32-573"},
			{Name: "Performance Monitor Users", SID: "S-1-5-32-558"},
			{Name: RemoteUsers, SID: "S-1-5-32-580"},
		},
		Listeners: []Listener{{Address: "*", Transport: "HTTP", Port: 5985, URLPrefix: "wsman"}},
		Launch:    launchState{Due: true},
	}
	if st.Name == "" || len(st.Name) > 15 || !plainName(st.Name) {
		st.Name = "EC2AMAZ-" + rand.Text()[:7]
	}
	newHive(st.Registry, st.sid("Administrator"))
	m.st = st
	if err := m.seedDrive(); err != nil {
		return err
	}
	return m.save()
}

// seedDrive makes the folders and programs of a fresh drive.
func (m *Machine) seedDrive() error {
	for _, d := range []string{
		System32 + `\config\systemprofile\AppData\Local\Temp`, System32 + `\drivers\etc`, System32 + `\WindowsPowerShell\v1.0\Modules`, System32 + `\wbem`,
		SystemRoot + `\Temp`, SystemRoot + `\SysWOW64`, SystemRoot + `\ServiceProfiles\LocalService\AppData\Local\Temp`,
		SystemRoot + `\ServiceProfiles\NetworkService\AppData\Local\Temp`, `C:\PerfLogs`,
		`C:\Program Files\Common Files`, `C:\Program Files\WindowsPowerShell\Modules`, `C:\Program Files (x86)\Common Files`,
		`C:\ProgramData\Microsoft\Windows\Start Menu\Programs\Startup`, `C:\Users\Default\AppData\Local\Temp`, `C:\Users\Public\Documents`, `C:\Users\Public\Desktop`,
	} {
		if err := m.disk.mkdirAll(d); err != nil {
			return err
		}
	}
	if err := m.profile("Administrator"); err != nil {
		return err
	}
	files := map[string][]byte{
		System32 + `\drivers\etc\hosts`: []byte("# Addresses and names of hosts.\r\n"),
		SystemRoot + `\win.ini`:         []byte("; for 16-bit app support\r\n"),
	}
	for name := range m.programs {
		files[programPath(name)] = stub(name)
	}
	for path, b := range launchFiles {
		files[path] = b
	}
	for path, b := range files {
		if err := m.disk.mkdirAll(path[:len(path)-len(baseName(path))-1]); err != nil {
			return err
		}
		f, err := m.disk.openFile(path, ForWriting)
		if err != nil {
			return err
		}
		_, err = f.Write(b)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// programPath is where the file of a built-in program lies.
func programPath(name string) string {
	switch name {
	case "powershell":
		return System32 + `\WindowsPowerShell\v1.0\powershell.exe`
	case "wmic":
		return System32 + `\wbem\wmic.exe`
	case "sysprep":
		return System32 + `\Sysprep\sysprep.exe`
	case "ec2launch":
		return `C:\Program Files\Amazon\EC2Launch\EC2Launch.exe`
	}
	return System32 + `\` + name + ".exe"
}

// Boot starts the machine: its services, and in the background what EC2Launch
// does. It fails on a machine that runs.
func (m *Machine) Boot(b Boot) error {
	m.op.Lock()
	defer m.op.Unlock()
	m.pmu.Lock()
	on := m.run != nil
	m.pmu.Unlock()
	if on {
		return errors.New("it is running")
	}
	if err := m.change(func(st *state) error {
		if st.NextName != "" {
			st.Name, st.NextName = st.NextName, ""
		}
		st.startServices()
		return nil
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{ctx: ctx, cancel: cancel, at: m.now(), exited: b.Exited, procs: map[int]*Process{}, hosts: map[string]int{}}
	m.addHosts(run)
	m.pmu.Lock()
	m.run, m.end = run, nil
	wait := time.Until(m.ended.Add(dark))
	m.pmu.Unlock()
	m.background(func(ctx context.Context) { m.start(ctx, b, max(wait, b.Pace)) })
	m.background(m.schedule)
	return nil
}

// addHosts puts the system's own processes into the table.
func (m *Machine) addHosts(run *running) {
	for _, h := range []struct{ name, user string }{
		{"System", "SYSTEM"}, {"smss.exe", "SYSTEM"}, {"csrss.exe", "SYSTEM"}, {"wininit.exe", "SYSTEM"}, {"winlogon.exe", "SYSTEM"}, {"services.exe", "SYSTEM"},
		{"lsass.exe", "SYSTEM"}, {"svchost.exe", "SYSTEM"}, {"WmiPrvSE.exe", "SYSTEM"}, {"amazon-ssm-agent.exe", "SYSTEM"},
	} {
		if run.lastID == 4 {
			run.lastID = 300
		}
		id := run.newID()
		p := &Proc{ID: id, Parent: run.hosts["services.exe"], Name: h.name, Path: System32 + `\` + h.name, Line: System32 + `\` + h.name, Login: Login{User: h.user, Elevated: true}, Started: run.at}
		run.hosts[h.name] = id
		run.procs[id] = &Process{ID: id, m: m, run: run, proc: p, done: make(chan struct{})}
	}
	run.lastID = 1200
}

// start is what happens after the boot, up to the user's data.
func (m *Machine) start(ctx context.Context, b Boot, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return
	}
	m.openNet(b.printf(m))
	m.launch(ctx, b)
}

// Stop ends all processes and closes all ports. Stopping a machine at rest is no
// error.
func (m *Machine) Stop() error {
	m.op.Lock()
	defer m.op.Unlock()
	m.stop()
	return nil
}

// stop is Stop for who holds op.
func (m *Machine) stop() {
	m.pmu.Lock()
	run := m.run
	if run != nil {
		run.cancel()
	}
	if m.end != nil && m.end.timer != nil {
		m.end.timer.Stop()
	}
	m.pmu.Unlock()
	if run == nil {
		return
	}
	m.net.close()
	for _, p := range m.processes(func(p *Process) bool { return p.cancel != nil }) {
		p.Kill(1073807364) // as a process that the end of its session ends
	}
	for _, p := range m.processes(func(p *Process) bool { return p.cancel != nil }) {
		<-p.done
	}
	run.work.Wait()
	m.pmu.Lock()
	m.run, m.end, m.ended = nil, nil, time.Now()
	m.pmu.Unlock()
}

// builtin are the programs of the machine by the name of their .exe.
func (m *Machine) builtin() map[string]Program {
	t := programs()
	t["powershell"] = powershell
	t["ec2launch"] = m.ec2launch
	t["icacls"] = icacls
	return t
}

func itoa(n int) string { return strconv.Itoa(n) }

// freePort is a port of the machine's address that it can have.
func freePort(addr string, wanted ...int) (int, error) {
	var last error
	for _, p := range append(wanted, 0) {
		l, err := net.Listen("tcp", net.JoinHostPort(addr, itoa(p)))
		if err != nil {
			last = err
			continue
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	return 0, last
}
