package wsman

import (
	"context"
	"strings"
	"sync"
	"time"
)

// How shells live.
//
// A shell is idle when no request to it is under way, whatever runs in it. After
// its IdleTimeOut it ends, and with it, as with Delete, all processes of its
// [Program] job. A client that is gone ends nothing by that: it may come back and
// receive on, over any connection.
//
// What a program writes waits until it is received, up to 256 KiB a stream, and
// then the program waits. Receive returns as soon as there is anything, in the
// order in which it was written, as much as the request's MaxEnvelopeSize takes;
// if there is nothing until OperationTimeout, or MaxTimeout if that is less, it
// faults with w:TimedOut, 2150858793. When the program is over and all was
// received, each stream ends, and the state is Done with the exit code. That is
// repeated until the command is terminated. An answer that is lost under way is
// lost.
//
// Send keeps up to 1 MiB for the program and then waits in the same way. It takes
// all of a message's data or none. A program that is over, or whose input was ended,
// makes it fault with 232.
//
// A Receive takes the place of another that waits for the same command, which
// faults with 995, as it does when the command is terminated or the shell ends.
// Control-C and Control-Break end a command with exit code -1073741510.

// shell is what one client made, with the commands in it.
type shell struct {
	id, user  string
	ip        string
	env       map[string]string
	dir       string
	codepage  int
	noProfile bool
	inputs    map[string]bool
	outputs   map[string]bool
	streams   [2]string // in and out, as the client named them
	idle      time.Duration
	created   time.Time
	ctx       context.Context
	kill      context.CancelFunc
	end       func() // takes the shell off the server and kills it

	mu       sync.Mutex
	commands map[string]*command
	starting int // commands that are being started
	active   int // operations under way
	used     time.Time
	timer    *time.Timer
	lifetime *time.Timer
}

// enter begins an operation: a shell is not idle while one is under way, whatever
// its timer says.
func (sh *shell) enter() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.active++
}

func (sh *shell) leave() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.used = time.Now()
	if sh.active--; sh.active == 0 && sh.ctx.Err() == nil {
		sh.timer.Reset(sh.idle)
	}
}

// expire ends a shell that nobody used for its idle time.
func (sh *shell) expire() {
	sh.mu.Lock()
	idle := sh.active == 0 && time.Since(sh.used) >= sh.idle
	sh.mu.Unlock()
	if idle {
		sh.end()
	}
}

// close kills all that runs in the shell and does not wait for it.
func (sh *shell) close() {
	sh.kill()
	sh.mu.Lock()
	sh.timer.Stop()
	if sh.lifetime != nil {
		sh.lifetime.Stop()
	}
	commands := sh.commands
	sh.commands = map[string]*command{}
	sh.mu.Unlock()
	for _, c := range commands {
		c.terminate("the shell was closed")
	}
}

func (sh *shell) command(id string) (*command, *fault) {
	if id == "" {
		return nil, invalidParameter("The parameter is incorrect: CommandId is missing.")
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.commands[strings.ToUpper(id)]; c != nil {
		return c, nil
	}
	return nil, noCommand(id)
}

// describe is the shell as Create and Get show it.
func (sh *shell) describe() string {
	sh.mu.Lock()
	idle := time.Since(sh.used)
	if sh.active > 0 {
		idle = 0
	}
	sh.mu.Unlock()
	dir := ""
	if sh.dir != "" {
		dir = `<rsp:WorkingDirectory>` + esc(sh.dir) + `</rsp:WorkingDirectory>`
	}
	return `<rsp:Shell><rsp:ShellId>` + sh.id + `</rsp:ShellId><rsp:ResourceUri>` + cmdResource + `</rsp:ResourceUri>` +
		`<rsp:Owner>` + esc(sh.user) + `</rsp:Owner><rsp:ClientIP>` + esc(sh.ip) + `</rsp:ClientIP>` + dir +
		`<rsp:IdleTimeOut>` + formatSeconds(sh.idle) + `</rsp:IdleTimeOut>` +
		`<rsp:InputStreams>` + esc(sh.streams[0]) + `</rsp:InputStreams><rsp:OutputStreams>` + esc(sh.streams[1]) + `</rsp:OutputStreams>` +
		`<rsp:ShellRunTime>` + formatClock(time.Since(sh.created)) + `</rsp:ShellRunTime><rsp:ShellInactivity>` + formatClock(idle) + `</rsp:ShellInactivity></rsp:Shell>`
}

// command is one that was started in a shell. It stays until it is terminated,
// so that its end can be asked for again when an answer was lost.
type command struct {
	id      string
	sh      *shell
	process Process
	stdin   *input
	out     *output

	mu       sync.Mutex
	exit     *int32
	brk      bool          // ended by Control-C
	waiting  chan struct{} // of the latest Receive: closed when another takes its place
	gone     chan struct{} // closed by terminate
	why      string        // of gone
	finished sync.Once
}

// exitControlC is STATUS_CONTROL_C_EXIT.
const exitControlC = -1073741510

// watch takes the exit code. A process that is asked to end does so in its own time.
func (c *command) watch() {
	code := int32(c.process.Wait())
	c.mu.Lock()
	if c.brk {
		code = exitControlC
	}
	c.exit = &code
	c.mu.Unlock()
	c.stdin.close()
	c.out.close()
}

// interrupt is Control-C.
func (c *command) interrupt() {
	c.mu.Lock()
	over := c.exit != nil
	c.brk = c.brk || !over
	c.mu.Unlock()
	if !over {
		c.process.Kill()
	}
}

// terminate ends the command and everybody's waiting for it.
func (c *command) terminate(why string) {
	c.finished.Do(func() {
		c.mu.Lock()
		over := c.exit != nil
		c.why = why
		c.mu.Unlock()
		close(c.gone)
		c.stdin.close()
		c.out.close()
		if !over {
			c.process.Kill()
		}
	})
}

// listen makes a Receive the one that gets the output, instead of any before it:
// its client may have lost its connection without our knowing.
func (c *command) listen() (replaced <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != nil {
		close(c.waiting)
	}
	c.waiting = make(chan struct{})
	return c.waiting
}
