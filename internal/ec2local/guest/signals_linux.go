package guest

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's own: the handler comes first, and all zeros are the
// default action. os/signal cannot do this for every signal: the runtime leaves
// some to the C library, and then they stay as they were inherited.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const (
	maxSignal = 64
	sigIgnore = 1
)

func action(n int, set, old *sigaction) {
	// It fails for KILL and STOP, which nobody can ignore.
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(sigaction{}.mask), 0, 0)
}

// ignored are the signals that this process ignores now.
func ignored() (ns []int) {
	for n := 1; n <= maxSignal; n++ {
		var a sigaction
		if action(n, nil, &a); a.handler == sigIgnore {
			ns = append(ns, n)
		}
	}
	return ns
}

// unignore gives the signals that are still ignored their default action.
func unignore() {
	for _, n := range ignored() {
		action(n, new(sigaction), nil)
	}
}
