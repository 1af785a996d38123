package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unitState is what a supervisor tells about its unit.
type unitState struct {
	Supervisor string `json:"supervisor"` // pid and start time
	Main       int    `json:"main"`
	Active     string `json:"active"` // activating, active, inactive, failed
	Sub        string `json:"sub"`    // running, exited, dead, failed ...
	Why        string `json:"why,omitempty"`
	Since      string `json:"since"`
}

func unitRun(name string, p ...string) string {
	return filepath.Join(append([]string{"/run/.guest/units", name}, p...)...)
}

func unitLog(name string) string {
	return filepath.Join("/var/log/units", strings.TrimSuffix(name, ".service")+".log")
}

// readState is the state of a unit; one whose supervisor died is inactive.
func readState(name string) unitState {
	s := unitState{Active: "inactive", Sub: "dead"}
	b, err := os.ReadFile(unitRun(name, "state"))
	if err != nil || json.Unmarshal(b, &s) != nil {
		return unitState{Active: "inactive", Sub: "dead"}
	}
	if alive := s.alive(); !alive && (s.Sub == "running" || s.Active == "activating") {
		s.Active, s.Sub, s.Why, s.Main = "failed", "failed", "its supervisor was killed", 0
	}
	return s
}

func (s unitState) alive() bool {
	pid := s.pid()
	return pid > 0 && startTime(pid) == s.Supervisor
}

func (s unitState) pid() (pid int) { fmt.Sscan(s.Supervisor, &pid); return }

// supervisor keeps one unit: it starts it, is the parent of all its orphans,
// restarts it, and ends it.
type supervisor struct {
	u     *unit
	acc   account
	env   map[string]string
	state unitState
	log   *os.File
	stop  chan os.Signal
	ready chan struct{} // READY=1 came
	moved chan int      // MAINPID= came
	main  int

	mu      sync.Mutex // held over fork and over reap
	waiting map[int]chan unix.WaitStatus
	forked  chan struct{} // there may be a child again
	kids    chan kid      // the others that ended
}

type kid struct {
	pid int
	ws  unix.WaitStatus
}

// superviseUnit is the role of a supervisor. Descriptor 3 takes "ok" or why the
// unit did not start.
func superviseUnit(args []string) error {
	if len(args) != 1 {
		return errors.New("expected a unit")
	}
	answer := os.NewFile(3, "answer")
	unix.CloseOnExec(3)
	s := &supervisor{stop: make(chan os.Signal, 4), ready: make(chan struct{}, 1), moved: make(chan int, 16), waiting: map[int]chan unix.WaitStatus{},
		forked: make(chan struct{}, 1), kids: make(chan kid, 256)}
	go s.reap()
	err := s.open(args[0])
	if err == nil {
		err = s.begin()
	}
	if err != nil {
		s.set("failed", "failed", err.Error())
		s.endAll()
		answer.WriteString(err.Error())
		return err
	}
	answer.WriteString("ok")
	answer.Close()
	if s.state.Sub != "running" { // a oneshot, done
		return nil
	}
	return s.watch()
}

func (s *supervisor) open(name string) (err error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	freshSignals()
	signal.Notify(s.stop, unix.SIGTERM)
	if s.u, err = loadUnit(name); err != nil {
		return err
	}
	user := s.u.get("Service.User", "root")
	if s.acc, err = lookup(user); err != nil {
		if s.u.is("Service.DynamicUser") {
			return errors.New("DynamicUser= is not supported by the embedded EC2")
		}
		return err
	}
	if g := s.u.get("Service.Group", ""); g != "" {
		id, ok := groupID(g)
		if n, err := strconv.Atoi(g); !ok && err == nil {
			id, ok = n, true
		}
		if !ok {
			return fmt.Errorf("there is no group %q in the guest", g)
		}
		s.acc.gid = uint32(id)
	}
	if s.env, err = s.u.environ(s.acc); err != nil {
		return err
	}
	if s.u.script {
		s.env["_SYSTEMCTL_SKIP_REDIRECT"] = "1" // LSB functions would call systemctl again
	}
	if err := os.MkdirAll(unitRun(s.u.name), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(unitLog(s.u.name)), 0o755); err != nil {
		return err
	}
	s.log, err = openLog(unitLog(s.u.name))
	return err
}

func (s *supervisor) set(active, sub, why string) {
	if s.u == nil {
		return
	}
	s.state = unitState{Supervisor: startTime(os.Getpid()), Main: s.main, Active: active, Sub: sub, Why: why, Since: time.Now().Format(time.RFC3339)}
	b, _ := json.Marshal(s.state)
	writeFileAtomic(unitRun(s.u.name, "state"), b)
	os.Chmod(unitRun(s.u.name, "state"), 0o644)
}

// begin starts the unit and waits until it is up.
func (s *supervisor) begin() error {
	s.main = 0
	s.set("activating", "start", "")
	for what, base := range runDirs {
		for _, d := range s.u.words("Service." + what + "Directory") {
			d, _, _ = strings.Cut(d, ":")
			p := filepath.Join(base, d)
			if err := os.MkdirAll(p, 0o755); err != nil {
				return err
			}
			if m, err := strconv.ParseUint(s.u.get("Service."+what+"DirectoryMode", ""), 8, 12); err == nil {
				unix.Chmod(p, uint32(m))
			}
			if what != "Configuration" {
				chown(p, int(s.acc.uid), int(s.acc.gid))
			}
		}
	}
	for _, l := range s.u.all("Service.ExecStartPre") {
		if err := s.run(l, "TimeoutStartSec"); err != nil {
			return err
		}
	}
	kind, starts := s.u.get("Service.Type", ""), s.u.all("Service.ExecStart")
	if s.u.script {
		kind, starts = "forking", []string{s.u.path + " start"}
	}
	if kind == "" {
		kind = "simple"
		if len(starts) == 0 || s.u.get("Service.BusName", "") != "" {
			kind = "oneshot"
		}
	}
	var err error
	sub := "running"
	switch kind {
	case "oneshot":
		for _, l := range starts {
			if err == nil {
				err = s.run(l, "TimeoutStartSec")
			}
		}
		sub = "exited"
	case "forking":
		if len(starts) != 1 {
			return fmt.Errorf("Type=forking needs one ExecStart, not %d", len(starts))
		}
		if err = s.run(starts[0], "TimeoutStartSec"); err == nil {
			err = s.findMain()
		}
		if s.main == 0 && s.u.script {
			sub = "exited"
		}
	case "simple", "exec", "idle", "notify", "notify-reload":
		if len(starts) != 1 {
			return fmt.Errorf("Type=%s needs one ExecStart, not %d", kind, len(starts))
		}
		err = s.startMain(starts[0], strings.HasPrefix(kind, "notify"))
	default:
		return fmt.Errorf("Type=%s is not supported by the embedded EC2", kind)
	}
	if err != nil {
		return err
	}
	for _, l := range s.u.all("Service.ExecStartPost") {
		if err := s.run(l, "TimeoutStartSec"); err != nil {
			return err
		}
	}
	active := "active"
	if kind == "oneshot" && !s.u.is("Service.RemainAfterExit") {
		active, sub = "inactive", "dead"
	}
	s.set(active, sub, "")
	return nil
}

// fork starts one Exec line.
func (s *supervisor) fork(line string, wait chan unix.WaitStatus) (execLine, int, error) {
	e, err := parseExec(line)
	if err != nil {
		return e, 0, err
	}
	path := e.path
	if !strings.HasPrefix(path, "/") {
		for _, d := range strings.Split(defaultPath, ":") {
			if p := filepath.Join(d, path); unix.Access(p, unix.X_OK) == nil {
				path = p
				break
			}
		}
	}
	if s.main > 0 {
		s.env["MAINPID"] = strconv.Itoa(s.main)
	}
	var env []string
	for k, v := range s.env {
		env = append(env, k+"="+v)
	}
	dir, may := strings.CutPrefix(s.u.get("Service.WorkingDirectory", "/"), "-")
	if dir == "~" {
		dir = s.acc.home
	}
	if may && !isDir(dir) {
		dir = "/"
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return e, 0, err
	}
	defer null.Close()
	sys := &syscall.SysProcAttr{Setsid: true}
	if !e.privileged && !(s.u.is("Service.PermissionsStartOnly") && s.main == 0) && !oneUser() {
		sys.Credential = &syscall.Credential{Uid: s.acc.uid, Gid: s.acc.gid, Groups: s.acc.groups}
	}
	if m, err := strconv.ParseUint(s.u.get("Service.UMask", "0022"), 8, 12); err == nil {
		unix.Umask(int(m))
	}
	s.mu.Lock()
	pid, err := syscall.ForkExec(path, e.args(s.env), &syscall.ProcAttr{Dir: dir, Env: env, Sys: sys,
		Files: []uintptr{null.Fd(), s.log.Fd(), s.log.Fd()}})
	unix.Umask(0o022)
	if err == nil && wait != nil {
		s.waiting[pid] = wait
	}
	s.mu.Unlock()
	if err != nil {
		return e, 0, fmt.Errorf("cannot run %s: %w", path, err)
	}
	select {
	case s.forked <- struct{}{}:
	default:
	}
	return e, pid, nil
}

// run waits for an Exec line, but no longer than the timeout that key names.
func (s *supervisor) run(line, key string) error {
	wait := make(chan unix.WaitStatus, 1)
	e, pid, err := s.fork(line, wait)
	if err == nil {
		limit := s.u.duration("Service."+key, 90*time.Second)
		if s.u.get("Service.Type", "") == "oneshot" && key == "TimeoutStartSec" {
			limit = s.u.duration("Service."+key, 24*time.Hour)
		}
		select {
		case ws := <-wait:
			if ws != 0 {
				err = fmt.Errorf("%s: %s; see %s", e.path, describe(ws), unitLog(s.u.name))
			}
		case <-time.After(limit):
			unix.Kill(-pid, unix.SIGKILL)
			err = fmt.Errorf("%s did not end in %v", e.path, limit)
		}
	}
	if e.mayFail {
		return nil
	}
	return err
}

func describe(ws unix.WaitStatus) string {
	if ws.Signaled() {
		return "killed by signal " + unix.SignalName(ws.Signal())
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}

// startMain starts the long process. Without a readiness protocol it counts as
// up when it has lived a moment: longer than systemd waits, so that a start that
// fails is told.
func (s *supervisor) startMain(line string, notify bool) error {
	if notify {
		path := unitRun(s.u.name, "notify")
		os.Remove(path)
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			return err
		}
		os.Chmod(path, 0o666)
		s.env["NOTIFY_SOCKET"] = path
		go s.notified(c)
	}
	_, pid, err := s.fork(line, nil)
	if err != nil {
		return err
	}
	s.main = pid
	wait := 50 * time.Millisecond
	if notify {
		wait = s.u.duration("Service.TimeoutStartSec", 90*time.Second)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case k := <-s.kids:
			if k.pid != s.main {
				continue
			}
			if s.main = 0; k.ws == 0 && !notify { // simple and already done
				return nil
			}
			return fmt.Errorf("%s ended before it was up: %s; see %s", line, describe(k.ws), unitLog(s.u.name))
		case <-s.ready:
			return nil
		case pid := <-s.moved:
			s.follow(pid)
		case <-s.stop:
			return errors.New("it was stopped before it was up")
		case <-timer.C:
			if notify {
				return fmt.Errorf("it did not say that it is ready in %v; see %s", wait, unitLog(s.u.name))
			}
			return nil
		}
	}
}

func (s *supervisor) notified(c *net.UnixConn) {
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		for _, l := range strings.Split(string(b[:n]), "\n") {
			if l == "READY=1" {
				select {
				case s.ready <- struct{}{}:
				default:
				}
			}
			if v, ok := strings.CutPrefix(l, "MAINPID="); ok {
				if pid, err := strconv.Atoi(v); err == nil {
					select {
					case s.moved <- pid:
					default: // it says so again and again
					}
				}
			}
		}
	}
}

// follow makes another process of the unit the main one.
func (s *supervisor) follow(pid int) bool {
	if pid == s.main || !slices.Contains(descendants(), pid) {
		return false
	}
	s.main = pid
	return true
}

// succeeded says whether the main process has ended and left its place to another,
// as nginx does when its program is upgraded: by the PID file, or by a message that
// may still be on its way.
func (s *supervisor) succeeded() bool {
	if s.followFile() {
		return true
	}
	if s.env["NOTIFY_SOCKET"] == "" {
		return false
	}
	for late := time.After(50 * time.Millisecond); ; {
		select {
		case pid := <-s.moved:
			if s.follow(pid) {
				return true
			}
		case <-late:
			return false
		}
	}
}

// pidFile is where the unit writes which process is the main one; "" if nowhere.
func (s *supervisor) pidFile() string {
	file := s.u.get("Service.PIDFile", "")
	if file != "" && !strings.HasPrefix(file, "/") {
		file = filepath.Join("/run", file)
	}
	return file
}

// followFile makes that process the main one which the PID file names. A number
// that is left from before may be that of anything, so it must be one of the unit's.
func (s *supervisor) followFile() bool {
	b, err := os.ReadFile(s.pidFile())
	if err != nil {
		return false
	}
	line, _, _ := strings.Cut(string(b), "\n") // PostgreSQL writes more
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	return err == nil && s.follow(pid)
}

// findMain is for Type=forking: PIDFile, or the one orphan that is left.
func (s *supervisor) findMain() error {
	file := s.pidFile()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if file == "" {
			if left := descendants(); len(left) > 0 {
				s.main = left[0]
			}
			break
		}
		if s.followFile() {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("PID file %s did not name a process of the unit", file)
		}
	}
	if s.main == 0 && !s.u.script {
		return errors.New("it left no process behind")
	}
	return nil
}

func (s *supervisor) reap() {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch err {
		case unix.ECHILD:
			<-s.forked
		case nil:
			s.mu.Lock()
			c := s.waiting[pid]
			delete(s.waiting, pid)
			s.mu.Unlock()
			if c != nil {
				c <- ws
				continue
			}
			select {
			case s.kids <- kid{pid, ws}:
			default: // many orphans, and nobody asks yet
			}
		}
	}
}
