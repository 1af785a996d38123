package guest

import (
	"encoding/binary"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notice is struct seccomp_notif: a system call that waits for an answer.
type notice struct {
	ID         uint64
	Pid, Flags uint32
	Nr         int32
	Arch       uint32
	IP         uint64
	Args       [6]uint64
}

// verdict is struct seccomp_notif_resp.
type verdict struct {
	ID    uint64
	Val   int64
	Error int32 // negative, or 0
	Flags uint32
}

// serveBinds answers bind(2) of a guest in a user namespace until the last
// process of the guest has gone. The network is the host's, and there a port
// below net.ipv4.ip_unprivileged_port_start belongs to the host's root: so that a
// guest may have a server on port 80, such a call is done here in its place.
func serveBinds(fd, first int) {
	defer unix.Close(fd)
	userns := userNamespace(strconv.Itoa(first))
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		} else if err != nil || p[0].Revents&unix.POLLIN == 0 {
			return // nobody is left who could call
		}
		var n notice
		if e := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); e == unix.EINTR || e == unix.ENOENT {
			continue // whoever called has gone
		} else if e != 0 {
			return
		}
		v := verdict{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if done, err := n.bind(fd, userns); done {
			v.Flags = 0
			if e, ok := err.(unix.Errno); ok {
				v.Error = -int32(e)
			}
		}
		ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&v))
	}
}

func ioctl(fd int, call uint, arg unsafe.Pointer) unix.Errno {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(call), uintptr(arg))
	return e
}

func userNamespace(pid string) string {
	ns, _ := os.Readlink("/proc/" + pid + "/ns/user")
	return ns
}

// bind does the call, with the caller's socket and what the caller's memory held
// for an address when it was read, if it is for a low port and the caller may have
// those in the guest. Otherwise it is not done: the kernel decides, with what the
// memory holds then and without our rights.
func (n *notice) bind(fd int, userns string) (done bool, err error) {
	tid := strconv.FormatUint(uint64(n.Pid), 10)
	addr := make([]byte, min(n.Args[2], unix.SizeofSockaddrInet6))
	if len(addr) < unix.SizeofSockaddrInet4 {
		return false, nil
	}
	if got, err := unix.ProcessVMReadv(int(n.Pid), []unix.Iovec{{Base: &addr[0], Len: uint64(len(addr))}},
		[]unix.RemoteIovec{{Base: uintptr(n.Args[1]), Len: len(addr)}}, 0); err != nil || got != len(addr) {
		return false, nil
	}
	family, port := binary.NativeEndian.Uint16(addr), int(binary.BigEndian.Uint16(addr[2:]))
	least, err := strconv.Atoi(sysctl("net/ipv4/ip_unprivileged_port_start"))
	if family != unix.AF_INET && family != unix.AF_INET6 || port == 0 || err != nil || port >= least {
		return false, nil
	}
	if !hasCap(tid, unix.CAP_NET_BIND_SERVICE) || userNamespace(tid) != userns {
		return false, nil
	}
	tgid, err := strconv.Atoi(procStatus(tid, "Tgid"))
	if err != nil {
		return false, nil
	}
	pidfd, err := unix.PidfdOpen(tgid, 0)
	if err != nil {
		return false, nil
	}
	defer unix.Close(pidfd)
	socket, err := unix.PidfdGetfd(pidfd, int(int32(n.Args[0])), 0)
	if err != nil {
		return false, nil
	}
	defer unix.Close(socket)
	// All that was read is the caller's only if the caller still waits.
	if ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&n.ID)) != 0 {
		return false, nil
	}
	if _, _, e := unix.Syscall(unix.SYS_BIND, uintptr(socket), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr))); e != 0 {
		return true, e
	}
	return true, nil
}
