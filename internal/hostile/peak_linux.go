package hostile

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// watchPeak follows the most memory that a process has had at once, by what the
// kernel tells of it every few milliseconds: the figure that its end leaves
// counts the memory of whoever started it, too. One that takes four times what it
// may is killed, before the computer suffers.
func watchPeak(p *os.Process) (peak func() int64) {
	var most int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if most = max(most, highWater(p.Pid)); most > 4*MaxMemory {
					p.Kill()
				}
			}
		}
	}()
	return func() int64 { close(stop); <-stopped; return most }
}

// highWater is VmHWM of proc(5), in bytes; 0 for a process that is gone.
func highWater(pid int) (n int64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for l := range bytes.Lines(b) {
		if k, ok := bytes.CutPrefix(l, []byte("VmHWM:")); ok {
			fmt.Sscan(string(k), &n)
		}
	}
	return n << 10
}
