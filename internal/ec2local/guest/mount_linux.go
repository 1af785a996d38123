package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

func step(err *error, what string, e error) {
	if *err == nil && e != nil {
		*err = fmt.Errorf("%s: %w", what, e)
	}
}

// guestInit builds the guest's file system and becomes pid1.
func guestInit([]string) error {
	runtime.LockOSThread() // capabilities and the bounding set are per thread
	conn, err := fdConn(3)
	if err != nil {
		return err
	}
	var b bootMessage
	fds, err := receive(conn, make([]byte, maxMessage), &b)
	if err != nil {
		return err // the server died before it had noted our pid: nothing is mounted yet
	}
	if err := mounts(&b, fds); err != nil {
		send(conn, reply{Op: "fail", Err: err.Error()})
		return err
	}
	for c := 0; c <= 63; c++ {
		if !keepCap[c] {
			unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		}
	}
	binds, err := confineCalls(len(b.Mounts) > 0)
	if err != nil {
		send(conn, reply{Op: "fail", Err: err.Error()})
		return err
	}
	if binds >= 0 {
		if err := send(conn, reply{Op: "binds"}, binds); err != nil {
			return err
		}
	}
	f, err := conn.File()
	if err != nil {
		return err
	}
	if err := unix.Dup3(int(f.Fd()), 9, 0); err != nil {
		return err
	}
	env := []string{"PATH=" + defaultPath, "GOMAXPROCS=1", "GOGC=50"}
	return unix.Exec(guestExe, []string{rolePrefix + "pid1"}, env)
}

// keepCap is what a container engine leaves by default, enough for apt, daemons
// that change user, and chown, but without CAP_NET_RAW: the network is the host's,
// and a raw socket would see its traffic.
var keepCap = map[int]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FOWNER: true, unix.CAP_FSETID: true,
	unix.CAP_KILL: true, unix.CAP_SETGID: true, unix.CAP_SETUID: true, unix.CAP_SETPCAP: true,
	unix.CAP_NET_BIND_SERVICE: true, unix.CAP_SYS_CHROOT: true,
	unix.CAP_AUDIT_WRITE: true, unix.CAP_SETFCAP: true,
}

func mountOverlay(lower []string, upper, work, at string) error {
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	opt := "userxattr,lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + upper + ",workdir=" + work
	if len(opt) >= os.Getpagesize() {
		return fmt.Errorf("overlay options of %d bytes do not fit in a page: too many layers", len(opt))
	}
	if err := unix.Mount("overlay", at, "overlay", 0, opt); err != nil {
		return fmt.Errorf("overlay on %s (%s): %w", at, opt, err)
	}
	return nil
}

// enter makes the mounts of this namespace its own, puts those in their places
// that came with the message, and goes to the store.
func (b *bootMessage) enter(fds []int) (err error) {
	step(&err, "private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	for i, at := range b.Mounts {
		step(&err, "mount "+at, unix.MoveMount(fds[i], "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH))
	}
	step(&err, "store", os.Chdir(b.Store))
	return err
}

// mounts puts the guest's root together and moves into it. With b came the mounts
// that idmap made, if any.
func mounts(b *bootMessage, fds []int) error {
	g := filepath.Join("guests", b.ID)
	root := filepath.Join(g, "root")
	err := b.enter(fds)
	step(&err, "root", os.MkdirAll(root, 0o755))
	for _, l := range b.Layers {
		if err == nil && !isDir(filepath.Join("layers", l)) {
			err = fmt.Errorf("layer %s is missing", l)
		}
	}
	for _, p := range b.Overlays {
		if err != nil {
			return err
		}
		var lower []string
		for _, l := range b.Layers {
			if d := filepath.Join("layers", l, p.key()); isDir(d) {
				lower = append(lower, d)
			}
		}
		if p.Path != "/" && !p.Plain {
			lower = append(lower, p.Path)
		}
		upper := filepath.Join(g, "upper", p.key())
		if len(lower) == 0 {
			return fmt.Errorf("no layer has %s: the directories of this host have changed", p.Path)
		}
		if _, e := os.Stat(upper); e != nil { // a new upper directory takes the attributes of the lower one
			step(&err, "upper", likeDir(upper, lower[0]))
		}
		step(&err, "overlay", mountOverlay(lower, upper, filepath.Join(g, "work", p.key()), filepath.Join(root, p.Path)))
	}
	at := func(p string) string { return filepath.Join(root, p) }
	mount := func(src, dst, fs string, flags uintptr, opt string) {
		if err == nil {
			step(&err, "mount "+fs+" on "+dst, unix.Mount(src, at(dst), fs, flags, opt))
		}
	}
	file := func(p string, b []byte, mode os.FileMode) {
		if err == nil {
			step(&err, "write "+p, os.MkdirAll(filepath.Dir(at(p)), 0o755))
			step(&err, "write "+p, os.WriteFile(at(p), b, mode))
		}
	}
	nsd := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
	mount("proc", "/proc", "proc", nsd|unix.MS_NOEXEC, "")
	if err == nil {
		err = confineProc(at("/proc"))
	}
	mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID, "mode=755,size=64k")
	for _, d := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		file("/dev/"+d, nil, 0o666)
		mount("/dev/"+d, "/dev/"+d, "", unix.MS_BIND, "")
	}
	for _, d := range []string{"pts", "shm"} {
		step(&err, "mkdir", os.Mkdir(at("/dev/"+d), 0o755))
	}
	pts := "newinstance,ptmxmode=0666,mode=0620"
	if !b.OneID {
		pts += ",gid=5" // EINVAL when gid 5 is not mapped
	}
	mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, pts)
	mount("tmpfs", "/dev/shm", "tmpfs", nsd, "mode=1777,size=25%")
	for l, t := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		step(&err, "link", os.Symlink(t, at("/dev/"+l)))
	}
	mount("tmpfs", "/tmp", "tmpfs", nsd, "mode=1777")
	mount("tmpfs", "/run", "tmpfs", nsd, "mode=755,size=10%")
	file(guestExe, nil, 0o555)
	if len(b.Mounts) > 0 {
		step(&err, "program", unix.MoveMount(fds[len(b.Mounts)], "", unix.AT_FDCWD, at(guestExe), unix.MOVE_MOUNT_F_EMPTY_PATH))
	} else {
		exe, e := os.Readlink("/proc/self/exe") // the link itself leads into the parent's mount namespace: EINVAL
		step(&err, "program", e)
		mount(exe, guestExe, "", unix.MS_BIND, "")
		mount("", guestExe, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|lockedFlags(at(guestExe)), "")
	}
	if b.ResolvAt != "" {
		file(b.ResolvAt, b.Resolv, 0o644)
	}
	if b.OneID {
		file(oneIDFile, nil, 0o444)
	}
	// A machine that boots anew is told by its boot id.
	file("/run/.guest/boot_id", []byte(b.BootID+"\n"), 0o444)
	mount(at("/run/.guest/boot_id"), "/proc/sys/kernel/random/boot_id", "", unix.MS_BIND, "")
	for p, mode := range map[string]uint32{"/dev/console": 0o622, powerFIFO: 0o600} {
		step(&err, "make "+p, unix.Mkfifo(at(p), mode))
		step(&err, "make "+p, unix.Chmod(at(p), mode))
	}
	step(&err, "mkdir", os.MkdirAll(at("/run/systemd/system"), 0o755)) // what packages ask for before they call systemctl
	step(&err, "mkdir", os.MkdirAll(at("/run/lock"), 0o1777))
	step(&err, "hostname", unix.Sethostname([]byte(b.Hostname)))
	step(&err, "chdir", os.Chdir(root))
	step(&err, "pivot_root", unix.PivotRoot(".", "."))
	step(&err, "umount old root", unix.Unmount(".", unix.MNT_DETACH))
	step(&err, "chdir /", os.Chdir("/"))
	return err
}

// lockedFlags are the mount flags that a user namespace may not clear.
func lockedFlags(p string) uintptr {
	var s unix.Statfs_t
	unix.Statfs(p, &s)
	return uintptr(s.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME)
}

func likeDir(dst, src string) error {
	var st unix.Stat_t
	if err := unix.Stat(src, &st); err != nil {
		return err
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	os.Lchown(dst, int(st.Uid), int(st.Gid)) // fails harmlessly for an owner that is not mapped
	return unix.Chmod(dst, st.Mode&0o7777)
}
