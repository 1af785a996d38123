package guest

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// power turns the lines that shutdown and its kin write into the end of a
// guest: "poweroff 0", "reboot 60" (seconds), "cancel".
type power struct {
	down func(Exit)

	mu    sync.Mutex
	timer *time.Timer
}

// grace lets the command that asked return to who ran it, as a real machine
// does.
const grace = 300 * time.Millisecond

// serve reads r until it ends.
func (p *power) serve(r io.Reader) {
	// One write of a line to a FIFO is one read, unless several came together.
	b := make([]byte, 4096)
	for {
		n, err := r.Read(b)
		if err != nil {
			return
		}
		for _, l := range strings.Split(string(b[:n]), "\n") {
			p.line(l)
		}
	}
}

func (p *power) line(l string) {
	var what string
	var seconds int
	if n, _ := fmt.Sscan(l, &what, &seconds); n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	switch e := Exit(what); e {
	case PowerOff, Reboot:
		p.timer = time.AfterFunc(max(grace, time.Duration(seconds)*time.Second), func() { p.down(e) })
	}
}
