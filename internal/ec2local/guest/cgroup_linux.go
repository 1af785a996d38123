package guest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits of one guest, so that it cannot take the host down: not those of its
// instance type, which builds of other people's templates need not fit.
const maxProcesses = 4096

// maxMemory is three quarters of the host's, in bytes.
func maxMemory() uint64 {
	var s unix.Sysinfo_t
	unix.Sysinfo(&s)
	return s.Totalram * uint64(s.Unit) / 4 * 3
}

// cgroup is the control groups of one guest: one directory, or with version 1 one
// for each controller. None is where the server may make none.
type cgroup []string

// newCgroup makes the groups for one boot of the guest of a directory, where this
// host has them and the server may make them, with their limits. Their names are
// that boot's alone: the end of another, or of a guest of another server that has
// the same id, removes its own.
func newCgroup(guestDir string) (c cgroup) {
	prefix := cgroupPrefix(guestDir)
	limits := map[string]string{"memory.max": strconv.FormatUint(maxMemory(), 10), "pids.max": strconv.Itoa(maxProcesses),
		"memory.limit_in_bytes": strconv.FormatUint(maxMemory(), 10)}
	for _, parent := range cgroupParents() {
		old, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
		for _, dir := range old {
			os.Remove(dir) // of a server that was killed
		}
		dir, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			continue
		}
		held := false
		for file, limit := range limits {
			if os.WriteFile(filepath.Join(dir, file), []byte(limit), 0) == nil {
				held = true
			}
		}
		if !held {
			os.Remove(dir)
			continue
		}
		c = append(c, dir)
	}
	return c
}

func cgroupPrefix(guestDir string) string {
	of := sha256.Sum256([]byte(guestDir))
	return fmt.Sprintf("imgflow-%s-%x-", filepath.Base(guestDir), of[:6])
}

// cgroupParents are the groups in which those of guests may lie: the server's own
// of version 1; of version 2 the one above it, too, since a group with processes
// cannot have limited groups in it.
func cgroupParents() (dirs []string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil
	}
	own := map[string]string{} // controllers to path
	b, _ := os.ReadFile("/proc/self/cgroup")
	for _, l := range strings.Split(string(b), "\n") {
		if f := strings.SplitN(l, ":", 3); len(f) == 3 {
			own[f[1]] = f[2]
		}
	}
	at := func(mount, path string) string {
		if dir := filepath.Join(mount, path); isDir(dir) {
			return dir
		}
		return mount // a container shows its own group as the root
	}
	for _, l := range strings.Split(string(mounts), "\n") {
		f := strings.Fields(l)
		switch {
		case len(f) < 4:
		case f[2] == "cgroup2":
			dir := at(f[1], own[""])
			dirs = append(dirs, dir)
			if dir != f[1] {
				dirs = append(dirs, filepath.Dir(dir))
			}
		case f[2] == "cgroup":
			for controllers, path := range own {
				for _, c := range []string{"memory", "pids"} {
					if controllers == c && strings.Contains(","+f[3]+",", ","+c+",") {
						dirs = append(dirs, at(f[1], path))
					}
				}
			}
		}
	}
	return dirs
}

// add puts a process, and with it all that it starts, into the groups.
func (c cgroup) add(pid int) error {
	for _, dir := range c {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("cannot limit the guest: %w", err)
		}
	}
	return nil
}

// remove removes the groups; the guest has gone.
func (c cgroup) remove() {
	for _, dir := range c {
		os.Remove(dir)
	}
}
