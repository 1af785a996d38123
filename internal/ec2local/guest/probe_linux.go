package guest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// probe tries everything that a guest needs in dir.
func probe(dir string) error {
	fsys, _ := os.ReadFile("/proc/filesystems")
	if !bytes.Contains(fsys, []byte("\toverlay\n")) {
		exec.Command("modprobe", "overlay").Run()
		if fsys, _ = os.ReadFile("/proc/filesystems"); !bytes.Contains(fsys, []byte("\toverlay\n")) {
			return errors.New("this kernel has no overlayfs: run `modprobe overlay` as root, or use a kernel with CONFIG_OVERLAY_FS")
		}
	}
	tmp, err := os.MkdirTemp(dir, "probe")
	if err != nil {
		return fmt.Errorf("the directory of guests is not writable: %w", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	ids := detectIDs()
	var stderr strings.Builder
	cmd := &exec.Cmd{Args: []string{rolePrefix + "probe", tmp}, Stderr: &stderr}
	done, err := ids.spawn(cmd, nsFlags, null)
	if err != nil {
		os.RemoveAll(tmp)
		return adviseClone(err)
	}
	<-done
	ids.helper(nil, nil, "rm", tmp)
	if !cmd.ProcessState.Success() {
		return advise(strings.TrimSpace(strings.TrimPrefix(stderr.String(), "probe: ")), dir)
	}
	return nil
}

func sysctl(p string) string {
	b, _ := os.ReadFile("/proc/sys/" + p)
	return strings.TrimSpace(string(b))
}

func seccomp() bool {
	b, _ := os.ReadFile("/proc/self/status")
	return bytes.Contains(b, []byte("Seccomp:\t2"))
}

func adviseClone(err error) error {
	switch {
	case strings.HasPrefix(err.Error(), "new"): // newuidmap, newgidmap
		return fmt.Errorf("%w: are the tools setuid root, and do /etc/subuid and /etc/subgid give this user a range of their own?", err)
	case errors.Is(err, syscall.ENOSPC):
		return errors.New("no user namespaces are allowed (ENOSPC): raise sysctl user.max_user_namespaces, or run as root")
	case errors.Is(err, syscall.EPERM) && sysctl("kernel/unprivileged_userns_clone") == "0":
		return errors.New("user namespaces are off for ordinary users: `sysctl kernel.unprivileged_userns_clone=1`, or run as root")
	case errors.Is(err, syscall.EPERM) && seccomp():
		return errors.New("a seccomp filter forbids new namespaces (a container?): run with --privileged or --security-opt seccomp=unconfined --cap-add SYS_ADMIN")
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("new namespaces are forbidden (%w): run as root with CAP_SYS_ADMIN, or allow user namespaces", err)
	case errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS):
		return fmt.Errorf("this kernel lacks namespaces (%w): it needs CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_UTS_NS, CONFIG_IPC_NS", err)
	}
	return err
}

func advise(msg, dir string) error {
	var st unix.Statfs_t
	unix.Statfs(dir, &st)
	kind := map[int64]string{unix.OVERLAYFS_SUPER_MAGIC: "overlayfs (a container's own layer)", unix.TMPFS_MAGIC: "tmpfs",
		unix.NFS_SUPER_MAGIC: "NFS", unix.FUSE_SUPER_MAGIC: "FUSE"}[int64(st.Type)]
	switch {
	case strings.Contains(msg, "overlay") && kind != "":
		return fmt.Errorf("%s lies on %s, which cannot hold an overlay's upper directory: choose a directory on a volume with ext4, xfs or btrfs (%s)", dir, kind, msg)
	case strings.Contains(msg, "overlay") && sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return fmt.Errorf("AppArmor takes the capabilities of unprivileged user namespaces: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give this program a profile, or run as root (%s)", msg)
	case strings.Contains(msg, "overlay"):
		return fmt.Errorf("no overlay can be mounted in the state directory; in a user namespace that needs Linux 5.11 (%s)", msg)
	case strings.Contains(msg, "proc"):
		return fmt.Errorf("no /proc can be mounted: a container that masks /proc forbids it (Docker: --security-opt systempaths=unconfined) (%s)", msg)
	}
	return errors.New(msg)
}

// probeChild does in new namespaces what the boot of a guest does.
func probeChild(args []string) (err error) {
	if len(args) != 1 {
		return errors.New("expected a directory")
	}
	dir := args[0]
	step(&err, "private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	step(&err, "state directory", os.Chdir(dir))
	for _, d := range []string{"l/d", "u", "w", "m"} {
		step(&err, "state directory", os.MkdirAll(d, 0o755))
	}
	step(&err, "state directory", os.WriteFile("l/d/f", []byte("x"), 0o644))
	step(&err, "overlay whiteout", unix.Mknod("l/gone", unix.S_IFCHR, 0))
	if err == nil {
		step(&err, "probe", mountOverlay([]string{"l", "/usr"}, "u", "w", "m"))
	}
	step(&err, "overlay removal", os.RemoveAll("m/d"))
	step(&err, "overlay again", os.Mkdir("m/d", 0o755))
	if err == nil && !isOpaque(filepath.Join("u", "d")) {
		err = errors.New("overlay: user xattrs do not work on this file system")
	}
	step(&err, "proc", os.Mkdir("p", 0o755))
	step(&err, "proc", unix.Mount("proc", "p", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
	return err
}
