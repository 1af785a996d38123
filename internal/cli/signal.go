package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// interrupts turns signals into the end of a context.
type interrupts struct {
	ctx    context.Context
	cancel context.CancelFunc
	ch     chan os.Signal
	quiet  chan struct{}
	calm   sync.Once // closes quiet
	done   chan struct{}
}

// grace is how long calls in flight may take to reach their checkpoint after an
// interrupt. What has not by then is found again by its token.
const grace = 10 * time.Second

// catchInterrupts makes the first interrupt, SIGTERM or hangup end the context,
// after calling first; a second one, or the end of the grace, calls exit, which
// must not return. From then on a reader of our output that goes away does not
// end the program.
func catchInterrupts(parent context.Context, first func(os.Signal), exit func()) *interrupts {
	ctx, cancel := context.WithCancel(parent)
	in := &interrupts{ctx: ctx, cancel: cancel, ch: make(chan os.Signal, 2), quiet: make(chan struct{}), done: make(chan struct{})}
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
		late, quiet := time.After(grace), in.quiet
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

// context ends with the first interrupt.
func (in *interrupts) context() context.Context { return in.ctx }

// suspend does as an interrupt does, and never as a second one. What asked for it is
// named as a signal would be.
func (in *interrupts) suspend(by os.Signal) {
	if in.ctx.Err() == nil {
		select {
		case in.ch <- by:
		default: // there is one already
		}
	}
}

// typed is a key that asks for what a signal asks for.
type typed string

func (k typed) String() string { return "key " + string(k) }
func (typed) Signal()          {}

// noHurry tells that everything has reached its checkpoint: what follows an
// interrupt, such as a cleanup, may take longer than the grace.
func (in *interrupts) noHurry() { in.calm.Do(func() { close(in.quiet) }) }

// stop gives signals their usual meaning back.
func (in *interrupts) stop() {
	signal.Stop(in.ch)
	close(in.done)
	in.cancel()
}
