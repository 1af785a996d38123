package guest

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What of /proc is the host's and not the guest's: to write there changes the
// host, whatever the mount namespace. The lists are those of container engines
// (the OCI runtime specification's default masked and read-only paths).
var (
	procReadOnly = []string{"asound", "bus", "fs", "irq", "sys", "sysrq-trigger"}
	procHidden   = []string{"acpi", "kcore", "keys", "kmsg", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats", "kpagecount", "kpageflags"}
)

// confineProc takes what belongs to the host out of the guest's /proc, which is
// mounted at dir.
func confineProc(dir string) error {
	for _, name := range procReadOnly {
		p := dir + "/" + name
		if _, err := os.Lstat(p); err != nil {
			continue // this kernel has none
		}
		if err := unix.Mount(p, p, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", p, err)
		}
		if err := unix.Mount("", p, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|lockedFlags(p), ""); err != nil {
			return fmt.Errorf("make %s read-only: %w", p, err)
		}
	}
	for _, name := range procHidden {
		p := dir + "/" + name
		st, err := os.Lstat(p)
		if err != nil {
			continue
		}
		if st.IsDir() {
			err = unix.Mount("tmpfs", p, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0,mode=555")
		} else {
			err = unix.Mount("/dev/null", p, "", unix.MS_BIND, "")
		}
		if err != nil {
			return fmt.Errorf("hide %s: %w", p, err)
		}
	}
	return nil
}

// closed are the system calls, by their numbers on each architecture that a
// process may use, which reach what no namespace divides: the keyrings of a user
// id, add_key, request_key and keyctl, and the host's log, syslog. (From the
// kernel's tables of system calls; 32-bit programs have numbers of their own.)
var closed = map[string]map[uint32][]uint32{
	"amd64": {unix.AUDIT_ARCH_X86_64: {248, 249, 250, 103}, unix.AUDIT_ARCH_I386: {286, 287, 288, 103}},
	"arm64": {unix.AUDIT_ARCH_AARCH64: {217, 218, 219, 116}, unix.AUDIT_ARCH_ARM: {309, 310, 311, 103}},
}

// bindCalls are bind(2) on the same architectures.
var bindCalls = map[uint32]uint32{unix.AUDIT_ARCH_X86_64: 49, unix.AUDIT_ARCH_I386: 361, unix.AUDIT_ARCH_AARCH64: 200, unix.AUDIT_ARCH_ARM: 282}

// x32 marks calls with 32-bit pointers of a 64-bit processor.
const x32 = 0x40000000

// confineCalls makes the closed calls fail with EPERM in this thread and in all
// that it becomes. It needs CAP_SYS_ADMIN, since sudo must still work after it.
// On other architectures the calls stay open. With binds, bind(2) waits for what
// the holder of the descriptor answers: see serveBinds. Else that is -1.
func confineCalls(binds bool) (int, error) {
	arches := closed[runtime.GOARCH]
	if arches == nil {
		return -1, nil
	}
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	answer := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	same := func(k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: uint8(yes), Jf: uint8(no)}
	}
	bind := uint32(unix.SECCOMP_RET_ALLOW)
	if binds {
		bind = unix.SECCOMP_RET_USER_NOTIF
	}
	var prog []unix.SockFilter
	for arch, calls := range arches {
		// struct seccomp_data begins with the number, 4 bytes, and the architecture.
		prog = append(prog, load(4), same(arch, 0, 2+2+len(calls)+2), load(0),
			unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: ^uint32(x32)},
			same(bindCalls[arch], 0, 1), answer(bind))
		for i, nr := range calls {
			prog = append(prog, same(nr, len(calls)-i, 0))
		}
		prog = append(prog, answer(unix.SECCOMP_RET_ALLOW), answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	prog = append(prog, answer(unix.SECCOMP_RET_ALLOW))
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	fd := -1
	var err error
	if binds {
		// A signal must not end the wait for an answer: the call would come again
		// after it was done.
		n, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
			unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&fprog)))
		if fd = int(n); e != 0 {
			fd, err = -1, e
		}
	} else if err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&fprog)), 0, 0); err == unix.EINVAL {
		err = nil // a kernel without filters
	}
	runtime.KeepAlive(prog)
	if err != nil {
		return -1, fmt.Errorf("close system calls: %w", err)
	}
	return fd, nil
}
