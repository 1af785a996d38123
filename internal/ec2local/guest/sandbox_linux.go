package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ids is how guests get user ids on this host.
type ids int

const (
	rootIDs   ids = iota // CAP_SYS_ADMIN: no user namespace, real ids
	subIDs               // user namespace with the ids of /etc/subuid
	oneID                // user namespace with uid 0 alone
	mappedIDs            // CAP_SYS_ADMIN: user namespace with ids of nobody's; those on the disk are as with rootIDs
)

// String is the word by which one process of ours tells another.
func (m ids) String() string { return [...]string{"root", "sub", "one", "mapped"}[m] }

const nsFlags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

type idRange struct{ start, count string }

func subRange(file string) (r idRange, ok bool) {
	u, err := user.Current()
	if err != nil {
		return
	}
	colons(file, func(f []string) {
		if len(f) == 3 && (f[0] == u.Username || f[0] == u.Uid) && !ok {
			r, ok = idRange{f[1], f[2]}, true
		}
	})
	return
}

// procStatus is the first word of a line of a process's status: of "self" or by number.
func procStatus(pid, line string) string {
	b, _ := os.ReadFile("/proc/" + pid + "/status")
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == line+":" {
			return f[1]
		}
	}
	return ""
}

func hasCap(pid string, c int) bool {
	v, _ := strconv.ParseUint(procStatus(pid, "CapEff"), 16, 64)
	return v&(1<<c) != 0
}

func detectIDs() ids {
	if os.Geteuid() == 0 && hasCap("self", unix.CAP_SYS_ADMIN) {
		return rootIDs
	}
	_, u := subRange("/etc/subuid")
	_, g := subRange("/etc/subgid")
	_, err1 := exec.LookPath("newuidmap")
	_, err2 := exec.LookPath("newgidmap")
	if u && g && err1 == nil && err2 == nil {
		return subIDs
	}
	return oneID
}

// spawn starts this program in a role, in new namespaces, with control as
// descriptor 3. The channel closes when the process has gone.
func (m ids) spawn(cmd *exec.Cmd, flags uintptr, control *os.File) (<-chan struct{}, error) {
	cmd.Path = "/proc/self/exe"
	cmd.ExtraFiles = []*os.File{control}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL, Setsid: true}
	var ready *os.File
	switch m {
	case mappedIDs:
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = mappedRange()
		cmd.SysProcAttr.GidMappings = cmd.SysProcAttr.UidMappings
		cmd.SysProcAttr.GidMappingsEnableSetgroups = true
		cmd.SysProcAttr.Credential = &syscall.Credential{}
	case oneID:
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	case subIDs:
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		defer w.Close()
		ready = w
		cmd.Args = append([]string{rolePrefix + "wait"}, cmd.Args...)
		cmd.ExtraFiles = append(cmd.ExtraFiles, r)
	}
	started, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // PDEATHSIG comes when this thread ends, not this process
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	if m == subIDs {
		for tool, file := range map[string]string{"newuidmap": "/etc/subuid", "newgidmap": "/etc/subgid"} {
			own := strconv.Itoa(os.Getuid())
			if tool == "newgidmap" {
				own = strconv.Itoa(os.Getgid())
			}
			r, _ := subRange(file)
			if out, err := exec.Command(tool, strconv.Itoa(cmd.Process.Pid), "0", own, "1", "1", r.start, r.count).CombinedOutput(); err != nil {
				cmd.Process.Kill()
				<-done
				return nil, fmt.Errorf("%s: %w: %s", tool, err, bytes.TrimSpace(out))
			}
		}
		ready.Write([]byte{1})
	}
	return done, nil
}

// helper runs a short role with the ids of a guest, so that it may read and
// remove what a guest owns.
func (m ids) helper(in io.Reader, out io.Writer, role string, args ...string) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	var stderr strings.Builder
	cmd := &exec.Cmd{Args: append([]string{rolePrefix + role}, args...), Stdin: in, Stdout: out, Stderr: &stderr}
	done, err := m.spawn(cmd, 0, null)
	if err != nil {
		return err
	}
	<-done
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("%s (%s)", strings.TrimSpace(strings.TrimPrefix(stderr.String(), role+": ")), cmd.ProcessState)
	}
	return nil
}

// sandbox is the host of guests in namespaces.
type sandbox struct {
	*machineCache[*sandboxMachine]
	ids      ids   // of what lies on the disk
	procs    ids   // of a guest's processes: those, or mappedIDs
	noMap    error // why root's guests have no user namespace
	overlays []overlay

	base    chan struct{} // closes when the base layer is there, or baseErr
	baseErr error
}

func newSandbox(dir string, windows Windows) (Host, error) {
	as := detectIDs()
	if as == rootIDs {
		as = mappedIDs
	}
	return newSandboxAs(dir, as, windows)
}

// newSandboxAs makes a host whose guests have the given ids; where the kernel has
// no mappedIDs for them, rootIDs.
func newSandboxAs(dir string, as ids, windows Windows) (Host, error) {
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	h := &sandbox{ids: as, procs: as, base: make(chan struct{})}
	if as == mappedIDs {
		h.ids = rootIDs
	}
	h.machineCache = newMachineCache(s, func(id string, r *record) *sandboxMachine {
		return &sandboxMachine{h: h, id: id, rec: r, console: &console{path: s.guest(id, "console.log")}}
	})
	h.overlays = hostOverlays(h.ids != rootIDs)
	if as == mappedIDs {
		if h.noMap = s.tryMapped(h.overlays); h.noMap != nil {
			h.procs = rootIDs
		}
	}
	go func() { // in a user namespace this takes seconds
		defer close(h.base)
		if err := h.buildBase(); err != nil {
			h.baseErr = fmt.Errorf("cannot prepare the host's directories for guests: %w", err)
		}
	}()
	return withWindows(h, s, windows), nil
}

func (h *sandbox) Name() string { return "sandbox" }

func (h *sandbox) limits() string {
	switch h.procs {
	case mappedIDs:
		return "guests share this host's kernel and network; root of a guest is nobody on this host"
	case rootIDs:
		return fmt.Sprintf("guests share this host's kernel, network and, as root, its user ids: no boundary against hostile code (no user namespace: %v)", h.noMap)
	case subIDs:
		return "guests run in a user namespace: packages that this host has cannot be upgraded in them; run imgflow as root for that"
	}
	return "guests have one user id: programs that change to another, as most servers and su do, fail in them; mend it with `" + moreIDs() + "`"
}

// moreIDs is the command that gives guests of an ordinary user more user ids.
func moreIDs() string {
	if _, err := exec.LookPath("newuidmap"); err != nil {
		return "sudo apt-get install uidmap"
	}
	name := "$USER"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + name
}

const baseLayer = "base"

// buildBase makes the lowest layer anew for each server, since the host may have
// changed; in a user namespace, where it takes long, only when it has.
func (h *sandbox) buildBase() error {
	shim := h.ids != rootIDs
	if st, err := os.Stat("/usr/bin/sudo"); err != nil || st.Mode()&os.ModeSetuid == 0 {
		shim = true
	}
	print, printPath := h.fingerprint(shim), filepath.Join(h.s.dir, "base.json")
	if b, err := os.ReadFile(printPath); err == nil && h.ids != rootIDs && bytes.Equal(b, print) && isDir(h.s.layer(baseLayer)) {
		return nil
	}
	made, old := h.s.layer(baseLayer+".new"), h.s.layer(baseLayer+".old")
	if err := h.ids.helper(nil, nil, "rm", made, old); err != nil {
		return err
	}
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		enc := json.NewEncoder(w)
		planBase(h.overlays, h.ids, shim, func(e entry) { enc.Encode(e) })
		w.Close()
	}()
	if err := h.ids.helper(r, nil, "base", made); err != nil {
		return err
	}
	if isDir(h.s.layer(baseLayer)) {
		if err := os.Rename(h.s.layer(baseLayer), old); err != nil {
			return err
		}
	}
	if err := os.Rename(made, h.s.layer(baseLayer)); err != nil {
		return err
	}
	if err := writeFileAtomic(printPath, print); err != nil {
		return err
	}
	return h.ids.helper(nil, nil, "rm", old)
}

// fingerprint changes when the host's packages, accounts or mounts do, or this
// program does.
func (h *sandbox) fingerprint(shim bool) []byte {
	times := map[string]string{}
	exe, _ := os.Executable()
	for _, p := range []string{exe, "/etc", "/etc/passwd", "/etc/group", "/usr/bin", "/usr/lib", "/var/lib/dpkg/status", "/var/lib/rpm", "/etc/resolv.conf"} {
		if st, err := os.Stat(p); err == nil {
			times[p] = fmt.Sprint(st.ModTime().UnixNano(), " ", st.Size())
		}
	}
	b, _ := json.Marshal(map[string]any{"format": 2, "ids": h.ids, "overlays": h.overlays, "sudo": shim, "times": times})
	return b
}

// Create lays the guest of a public image on the root file system that was
// imported for its release, if one was.
func (h *sandbox) Create(id string, spec Spec) (Machine, error) {
	unlock, err := h.s.lockImports(unix.LOCK_SH)
	if err != nil {
		return nil, fmt.Errorf("cannot make guest %s: %w", id, err)
	}
	defer unlock()
	if len(spec.Layers) == 0 {
		all, err := h.s.imports()
		if err != nil {
			return nil, fmt.Errorf("cannot make guest %s: %w", id, err)
		}
		if r := rootFor(all, spec.Release); r != nil {
			spec.Layers = []string{r.Layer}
		}
	}
	return h.machineCache.Create(id, spec)
}

func (h *sandbox) RemoveLayer(_ context.Context, layer string) error {
	if isImported(layer) {
		return nil
	}
	if err := h.s.free(layer); err != nil {
		return err
	}
	if err := h.ids.helper(nil, nil, "rm", h.s.layer(layer)); err != nil {
		return fmt.Errorf("cannot remove layer %s: %w", layer, err)
	}
	return nil
}

func (h *sandbox) Export(ctx context.Context, w io.Writer, layers []string) error {
	for _, l := range layers {
		if err := h.s.hasLayer(l); err != nil {
			return fmt.Errorf("cannot export: %w", err)
		}
	}
	err := h.ids.helper(nil, contextWriter{ctx, w}, "tar", append([]string{h.s.dir}, layers...)...)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot export: %w", err)
	}
	return nil
}

// contextWriter stops a copy when its context ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

func (h *sandbox) Close() error {
	<-h.base
	h.each(func(m *sandboxMachine) { m.Stop(context.Background()) })
	return h.s.close()
}
