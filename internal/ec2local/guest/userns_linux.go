package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Guests of root have a user namespace where the kernel can give them one: root
// of the guest is nobody on the host. What lies on the disk keeps the ids that
// the guest sees, since the guest reaches it through idmapped mounts; so layers
// are the same with and without.

// The ids of a guest's processes on the host: above those of people, services and
// other containers, and below 2^31, which some programs take for the sign. They
// are in use only while the guest runs.
const (
	firstMapped  = 0x70000000
	mappedEach   = 1 << 20
	mappedRanges = 256
)

var lastRange atomic.Uint32

func mappedRange() []syscall.SysProcIDMap {
	n := int(lastRange.Add(1) % mappedRanges)
	return []syscall.SysProcIDMap{{HostID: firstMapped + n*mappedEach, Size: mappedEach}}
}

// storeAt is where a guest of mappedIDs finds the store while it puts its root
// together: the store's own path may lead through directories of root's alone.
const storeAt = "/tmp"

// idmap makes for the guest whose first process is pid the mounts that its root
// is put together from, and notes in b where they go: the store, the host's
// directories, and last this program.
func (b *bootMessage) idmap(pid int) (fds []int, err error) {
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the user namespace: %w", err)
	}
	defer unix.Close(ns)
	add := func(path string, flags uint64) {
		if err != nil {
			return
		}
		var fd int
		if fd, err = unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC); err == nil {
			fds = append(fds, fd)
			attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | flags, Userns_fd: uint64(ns)}
			err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr)
		}
		if err != nil {
			err = fmt.Errorf("idmapped mount of %s: %w", path, err)
		}
	}
	add(b.Store, 0)
	b.Store, b.Mounts = storeAt, []string{storeAt}
	for _, p := range b.Overlays {
		if p.Path != "/" && !p.Plain {
			add(p.Path, unix.MOUNT_ATTR_RDONLY)
			b.Mounts = append(b.Mounts, p.Path)
		}
	}
	add("/proc/self/exe", unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// tryMapped tries all that guests of mappedIDs need, and tells what is missing.
func (s *store) tryMapped(overlays []overlay) error {
	if closed[runtime.GOARCH] == nil {
		return errors.New("no system calls can be watched on this processor")
	}
	dir, err := os.MkdirTemp(s.dir, "probe")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	conn, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer conn.Close()
	var stderr strings.Builder
	cmd := &exec.Cmd{Args: []string{rolePrefix + "probe-mapped"}, Stderr: &stderr}
	done, err := mappedIDs.spawn(cmd, nsFlags, theirs)
	theirs.Close()
	if err != nil {
		return err
	}
	b := bootMessage{Store: dir, Overlays: overlays}
	fds, err := b.idmap(cmd.Process.Pid)
	if err == nil {
		err = send(conn, b, fds...)
		closeAll(fds)
	}
	if err != nil {
		cmd.Process.Kill()
	}
	<-done
	if err == nil && !cmd.ProcessState.Success() {
		err = errors.New(strings.TrimSpace(strings.TrimPrefix(stderr.String(), "probe-mapped: ")))
	}
	return err
}

// probeMapped is the child of tryMapped: an overlay over each directory of the
// host, in a directory of its own, and what else the boot of a guest does.
func probeMapped([]string) error {
	runtime.LockOSThread()
	conn, err := fdConn(3)
	if err != nil {
		return err
	}
	var b bootMessage
	fds, err := receive(conn, make([]byte, maxMessage), &b)
	if err != nil {
		return err
	}
	if err := b.enter(fds); err != nil {
		return err
	}
	if err := probeChild([]string{"."}); err != nil {
		return err
	}
	for _, p := range b.Mounts[1:] {
		if err := mountOverlay([]string{"l", p}, "u", "w2", "m"); err != nil {
			return err
		}
		if err := unix.Unmount("m", 0); err != nil {
			return err
		}
	}
	fd, err := confineCalls(true)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
