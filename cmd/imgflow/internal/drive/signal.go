package drive

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Interrupts turns signals into the end of a context.
type Interrupts struct {
	ctx    context.Context
	cancel context.CancelFunc
	ch     chan os.Signal
	quiet  chan struct{}
	done   chan struct{}
}

// Grace is how long calls in flight may take to reach their checkpoint after an
// interrupt. What has not by then is found again by its token.
const Grace = 10 * time.Second

// CatchInterrupts makes the first interrupt, SIGTERM or hangup end the context,
// after calling first; a second one, or the end of the grace, calls exit, which
// must not return. From then on a reader of our output that goes away does not
// end the program.
func CatchInterrupts(parent context.Context, first func(os.Signal), exit func()) *Interrupts {
	ctx, cancel := context.WithCancel(parent)
	in := &Interrupts{ctx: ctx, cancel: cancel, ch: make(chan os.Signal, 2), quiet: make(chan struct{}), done: make(chan struct{})}
	signal.Notify(in.ch, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		signal.Notify(in.ch, syscall.SIGHUP)
	}
	ignorePipe()
	go func() {
		select {
		case <-in.done:
			return
		case sig := <-in.ch:
			cancel()
			first(sig)
		}
		late, quiet := time.After(Grace), in.quiet
		for {
			select {
			case <-in.done:
				return
			case <-quiet:
				late, quiet = nil, nil
			case <-in.ch:
				exit()
			case <-late:
				exit()
			}
		}
	}()
	return in
}

// Context ends with the first interrupt.
func (in *Interrupts) Context() context.Context { return in.ctx }

// Settled tells that everything has reached its checkpoint: what follows an
// interrupt, such as a cleanup, may take longer than the grace.
func (in *Interrupts) Settled() { close(in.quiet) }

// Stop gives signals their usual meaning back.
func (in *Interrupts) Stop() {
	signal.Stop(in.ch)
	close(in.done)
	in.cancel()
}
