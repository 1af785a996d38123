package guest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watch keeps a unit that is up, until it ends or is told to.
func (s *supervisor) watch() error {
	restarts := []time.Time{}
	for {
		select {
		case <-s.stop:
			s.set("deactivating", "stop", "")
			s.end(true)
			s.set("inactive", "dead", "")
			return nil
		case pid := <-s.moved:
			if s.follow(pid) {
				s.set("active", "running", "")
			}
		case k := <-s.kids:
			if k.pid != s.main {
				continue
			}
			if s.succeeded() {
				s.set("active", "running", "")
				continue
			}
			clean := k.ws == 0 || k.ws.Signaled() && slices.Contains([]unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE}, k.ws.Signal())
			s.main = 0
			s.end(false)
			again := false
			switch s.u.get("Service.Restart", "no") {
			case "always":
				again = true
			case "on-success":
				again = clean
			case "on-failure", "on-abnormal", "on-abort", "on-watchdog":
				again = !clean
			}
			again = again && !slices.Contains(s.u.words("Service.RestartPreventExitStatus"), strconv.Itoa(k.ws.ExitStatus()))
			restarts = slices.DeleteFunc(append(restarts, time.Now()), func(t time.Time) bool { return time.Since(t) > 10*time.Second })
			if !again || len(restarts) > 5 {
				return s.over(clean, describe(k.ws))
			}
			s.set("activating", "auto-restart", describe(k.ws))
			select {
			case <-s.stop:
				s.set("inactive", "dead", "")
				return nil
			case <-time.After(s.u.duration("Service.RestartSec", 100*time.Millisecond)):
			}
			if err := s.begin(); err != nil {
				s.endAll()
				return s.over(false, err.Error())
			}
		}
	}
}

func (s *supervisor) over(clean bool, why string) error {
	if clean {
		s.set("inactive", "dead", why)
		return nil
	}
	s.set("failed", "failed", why)
	return fmt.Errorf("%s: %s", s.u.name, why)
}

// end stops what is left of the unit.
func (s *supervisor) end(stop bool) {
	if stop {
		for _, l := range s.u.all("Service.ExecStop") {
			s.run(l, "TimeoutStopSec")
		}
		if s.u.script {
			s.run(s.u.path+" stop", "TimeoutStopSec")
		}
	}
	s.endAll()
	if file := s.pidFile(); file != "" {
		os.Remove(file) // of a process that is no more
	}
	for _, l := range s.u.all("Service.ExecStopPost") {
		s.run(l, "TimeoutStopSec")
	}
	for _, d := range s.u.words("Service.RuntimeDirectory") {
		if s.u.get("Service.RuntimeDirectoryPreserve", "no") == "no" {
			os.RemoveAll("/run/" + d)
		}
	}
}

// endAll asks every process of the unit to end, and kills the patient ones.
func (s *supervisor) endAll() {
	if s.u == nil {
		return
	}
	sig := unix.SIGTERM
	if n := unix.SignalNum(s.u.get("Service.KillSignal", "")); n != 0 {
		sig = n
	}
	only := map[int]bool{}
	if mode := s.u.get("Service.KillMode", "control-group"); mode == "process" || mode == "mixed" {
		only[s.main] = true
	}
	if s.u.get("Service.KillMode", "") == "none" {
		return
	}
	limit := min(s.u.duration("Service.TimeoutStopSec", 90*time.Second), 90*time.Second)
	for t, next := time.Now(), time.Now(); ; time.Sleep(10 * time.Millisecond) {
		left := descendants()
		if s.u.get("Service.KillMode", "") == "process" {
			left = slices.DeleteFunc(left, func(p int) bool { return p != s.main })
		}
		if len(left) == 0 {
			return
		}
		if time.Since(t) > limit {
			sig, only = unix.SIGKILL, nil
		}
		if time.Now().After(next) {
			next = time.Now().Add(time.Second)
			for _, p := range left {
				if len(only) == 0 || only[p] {
					unix.Kill(p, sig)
					unix.Kill(p, unix.SIGCONT)
				}
			}
			if len(only) > 0 && !slices.Contains(left, s.main) { // mixed: the main one has gone, the rest is killed
				sig, only = unix.SIGKILL, nil
				next = time.Now()
			}
		}
	}
}

// descendants are the live processes below this one.
func descendants() []int {
	parent := map[int]int{}
	es, _ := os.ReadDir("/proc")
	for _, e := range es {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(f) > 1 && f[0] != "Z" {
			parent[pid], _ = strconv.Atoi(f[1])
		}
	}
	var out []int
	self := os.Getpid()
	for pid := range parent {
		for p := parent[pid]; p > 1; p = parent[p] {
			if p == self {
				out = append(out, pid)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}
