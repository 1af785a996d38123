package comm

import "github.com/imgflow/imgflow/dag"

// Before tasks could save anything, the state of a run was printed, to streams that
// no reader shows: numbers in the place of offsets. Runs that were begun then go on
// from there.
const (
	exitStream = "exit"
	bootStream = "exit-boot" // the number that is runState.Boot now
)

// An exit was the number 1 + code + signal<<16 + flags<<32. A code that does not
// fit, as those of Windows may, fills all the 32 bits.
const (
	flagOOM = 1 << (32 + iota)
	flagTruncated
	flagRebooted
	flagWide
	flagUnread
)

// printedState is what an older imgflow has printed of the run.
func printedState(t *dag.Task, tail string) runState {
	s := runState{Boot: t.Printed(bootStream + tail)}
	n := t.Printed(exitStream + tail)
	if n == 0 {
		return s
	}
	s.Exit = &Exit{
		Code:      int(n&0xffff) - 1,
		Signal:    int(n >> 16 & 0xffff),
		OOM:       n&flagOOM != 0,
		Truncated: n&flagTruncated != 0,
		Rebooted:  n&flagRebooted != 0,
		Unread:    n&flagUnread != 0,
	}
	if n&flagWide != 0 {
		s.Exit.Code, s.Exit.Signal = int(int32(uint32(n))), 0
	}
	return s
}
