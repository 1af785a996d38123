package ec2local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/sessionmanager"
)

// lives are the instances being driven: for each one a goroutine that looks at
// what is stored, does the next thing, stores that, and looks again. What it
// does is the same after a crash as before: nothing is kept but what is stored.
type lives struct {
	s    *Server
	mu   sync.Mutex
	live map[string]*life

	departed atomic.Int64
}

// A life drives one instance. Its goroutine alone touches machine and up.
type life struct {
	s          *Server
	region, id string
	bell       bell
	again      bool // woken while it was about to end

	mu      sync.Mutex // for what other goroutines read or write
	machine guest.Machine
	exits   []guest.Exit
	halted  bool // the machine, since it was last booted

	up bool // booted, by this server
}

func (s *Server) hasGuest() bool { return s.guests != nil }

// wake has the life of an instance look at it, once the change is on disk.
func (c *call) wake(i *instance) {
	s, region, id := c.s, i.Region, i.ID
	c.after = append(c.after, func() { s.life.ring(region, id) }, s.tick.ring)
}

// resume gives every instance its life, and takes up what was pending.
func (s *Server) resume() error {
	var is []*instance
	err := s.view(func(t *txn) error {
		is = all[instance](t, "")
		return nil
	})
	if err != nil {
		return err
	}
	for _, i := range is {
		s.life.ring(i.Region, i.ID)
	}
	s.spawn(s.advances)
	if s.guests != nil {
		s.spawn(s.sweeps)
		s.sweep.ring()
	}
	return nil
}

func (l *lives) ring(region, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s.ctx.Err() != nil {
		return
	}
	x := l.live[region+"/"+id]
	if x == nil {
		x = &life{s: l.s, region: region, id: id, bell: newBell()}
		if l.live == nil {
			l.live = map[string]*life{}
		}
		l.live[region+"/"+id] = x
		l.s.work.Go(x.run)
	}
	x.again = true
	x.bell.ring()
}

// A bell wakes one goroutine, once, however often it was rung while that was busy.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// spawn runs f in the background unless the server is closing.
func (s *Server) spawn(f func()) {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if s.ctx.Err() == nil {
		s.work.Go(f)
	}
}

// over ends a life unless it was woken meanwhile.
func (l *lives) over(x *life) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.again && l.s.ctx.Err() == nil {
		return false
	}
	delete(l.live, x.region+"/"+x.id)
	return true
}

// guest is what stands behind an instance, nil while nothing does.
func (l *lives) guest(i *instance) guest.Machine {
	l.mu.Lock()
	x := l.live[i.Region+"/"+i.ID]
	l.mu.Unlock()
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.machine
}

// off reports whether the guest of an instance was shut down, and has not booted again.
func (l *lives) off(i *instance) bool {
	l.mu.Lock()
	x := l.live[i.Region+"/"+i.ID]
	l.mu.Unlock()
	if x == nil || i.State == pending || i.State == running {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.halted
}

// rest is how long a life that failed waits before it tries again.
const rest = 2 * time.Second

func (x *life) run() {
	for {
		x.s.life.mu.Lock()
		x.again = false
		x.s.life.mu.Unlock()
		wait, done, err := x.step(x.s.ctx)
		if x.s.ctx.Err() != nil {
			return
		}
		if err != nil {
			x.s.logf("%s %s: %v", x.region, x.id, err)
			wait, done = rest, false
		}
		if done && x.s.life.over(x) {
			return
		}
		var at <-chan time.Time
		if wait >= 0 {
			at = time.After(wait)
		}
		select {
		case <-x.bell:
		case <-at:
		case <-x.s.ctx.Done():
			return
		}
	}
}

const (
	now   = time.Duration(0)
	never = time.Duration(-1)
)

// step does one thing for the instance. It returns how long there is nothing
// to do, and whether there never will be.
func (x *life) step(ctx context.Context) (wait time.Duration, done bool, err error) {
	i, err := x.load()
	if err != nil {
		return 0, false, err
	}
	if i == nil {
		return 0, true, nil
	}
	if froze, err := x.freeze(ctx, i); froze || err != nil {
		return now, false, err
	}
	if i.State == running && !i.Reclaim.IsZero() && !x.s.now().Before(i.Reclaim) {
		return now, false, x.reclaim()
	}
	left := i.Due.Sub(x.s.now())
	switch i.State {
	case pending:
		if i.Trouble != "" {
			return now, false, x.refuse(i)
		}
		if err := x.boot(ctx, i); err != nil {
			return now, false, x.failed(i, err)
		}
		if left > 0 {
			return left, false, nil
		}
		return now, false, x.arrive(i, running)
	case running:
		return x.keepRunning(ctx, i)
	case stopping:
		if err := x.halt(ctx); err != nil {
			return 0, false, err
		}
		if left > 0 {
			return left, false, nil
		}
		return now, false, x.arrive(i, stopped)
	case stopped:
		if err := x.halt(ctx); err != nil || !x.s.hasGuest() {
			return never, false, err
		}
		_, err := x.open(i) // what it printed can still be asked for
		return never, false, err
	case shuttingDown:
		if err := x.halt(ctx); err != nil {
			return 0, false, err
		}
		if left > 0 {
			return left, false, nil
		}
		return now, false, x.end(ctx, i)
	case terminated:
		if left > 0 {
			return left, false, nil
		}
		return now, false, x.depart()
	}
	return never, false, nil
}

func (x *life) load() (i *instance, err error) {
	err = x.s.view(func(t *txn) error {
		i = get[instance](t, x.region, x.id)
		return nil
	})
	return i, err
}

// depart has the instance forgotten, and now and then what is older, too.
func (x *life) depart() error {
	prune := x.s.life.departed.Add(1)%pruneEvery == 0
	return x.s.update(func(t *txn) error {
		if i := get[instance](t, x.region, x.id); i != nil {
			t.depart(i)
		}
		if prune {
			t.prune()
		}
		return nil
	})
}

// change changes what is stored now, which may differ from what step saw.
func (x *life) change(f func(*txn, *instance)) error {
	return x.s.update(func(t *txn) error {
		i := get[instance](t, x.region, x.id)
		if i == nil {
			return nil
		}
		was := i.State
		f(t, i)
		put(t, i)
		if i.State != was {
			t.after = append(t.after, func() { x.s.logf("%s %s %s -> %s", x.region, x.id, was, i.State) })
		}
		return nil
	})
}

// arrive ends a passing state, unless a call has changed it meanwhile.
func (x *life) arrive(saw *instance, state string) error {
	return x.change(func(t *txn, i *instance) {
		if i.State == saw.State {
			i.State, i.Due = state, time.Time{}
		}
	})
}

// open returns the machine, which is made if it never was.
func (x *life) open(i *instance) (guest.Machine, error) {
	if x.machine != nil {
		return x.machine, nil
	}
	m, err := x.s.guests.Open(x.id)
	if errors.Is(err, fs.ErrNotExist) {
		pace := x.s.takes.ssh
		if i.Platform == "windows" {
			pace = x.s.takes.windows
		}
		m, err = x.s.guests.Create(x.id, guest.Spec{
			Platform: i.Platform,
			Hostname: i.hostname(), User: i.User, AuthorizedKey: i.AuthorizedKey, UserData: i.UserData,
			Layers: i.Layers, Addr: i.Addr, Release: i.Release, Pace: pace,
		})
	}
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.machine = m
	x.mu.Unlock()
	return m, nil
}

// hostname is what the machine calls itself: by its address, or by its id where it has none of IPv4.
func (i *instance) hostname() string {
	if i.IPv6 {
		return i.ID
	}
	return "ip-" + strings.ReplaceAll(i.Addr, ".", "-")
}

func (x *life) boot(ctx context.Context, i *instance) error {
	if !x.s.hasGuest() || x.up {
		return nil
	}
	m, err := x.open(i)
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.exits, x.halted = nil, false
	x.mu.Unlock()
	if err := m.Boot(ctx, x.exited); err != nil {
		return err
	}
	x.up = true
	return x.ports(m)
}

// ports tells clients where to reach a guest that could not have the ports of
// its services: by tags of the instance.
func (x *life) ports(m guest.Machine) error {
	ports := m.Ports()
	usual := map[string]int{"ssh": 22, "winrm": 5985, "winrms": 5986}
	return x.change(func(t *txn, i *instance) {
		if maps.Equal(i.Ports, ports) {
			return
		}
		i.Ports = ports
		var tags []tagRequest
		for _, name := range slices.Sorted(maps.Keys(ports)) {
			if ports[name] != usual[name] {
				tags = append(tags, tagRequest{"ec2local:" + name + "-port", strconv.Itoa(ports[name])})
				t.after = append(t.after, func() { x.s.logf("%s %s %s at %s port %d", x.region, x.id, name, i.Addr, ports[name]) })
			}
		}
		if err := t.setTags(x.region, x.id, tags); err != nil {
			x.s.logf("%s %s cannot tag its ports: %v", x.region, x.id, err)
		}
	})
}

// exited is called by the guest, from a goroutine of its own.
func (x *life) exited(e guest.Exit) {
	x.mu.Lock()
	x.exits = append(x.exits, e)
	x.mu.Unlock()
	x.s.life.ring(x.region, x.id)
}

func (x *life) keepRunning(ctx context.Context, i *instance) (time.Duration, bool, error) {
	wait := never
	if !i.Reclaim.IsZero() {
		wait = max(now, i.Reclaim.Sub(x.s.now()))
	}
	if !x.s.hasGuest() {
		if i.Reboot {
			return now, false, x.change(func(_ *txn, i *instance) { i.Reboot = false })
		}
		return wait, false, nil
	}
	x.mu.Lock()
	var exit guest.Exit
	if len(x.exits) > 0 {
		exit, x.exits = x.exits[0], nil
	}
	x.mu.Unlock()
	switch {
	case exit != "":
		x.down()
		x.s.logf("%s %s guest ended: %s", x.region, x.id, exit)
		switch exit {
		case guest.PowerOff:
			return now, false, x.change(func(t *txn, i *instance) {
				if i.State != running {
					return
				}
				i.State, i.Due = stopping, t.now.Add(x.s.takes.stop)
				if i.Shutdown == "terminate" {
					i.State, i.Due = shuttingDown, t.now.Add(x.s.takes.terminate)
				}
				i.Code, i.Message, i.Reason = "Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown", ""
			})
		case guest.Crash:
			return now, false, x.change(func(_ *txn, i *instance) { i.Impaired = true })
		}
		return now, false, nil
	case i.Reboot:
		if err := x.halt(ctx); err != nil {
			return 0, false, err
		}
		return now, false, x.change(func(_ *txn, i *instance) { i.Reboot = false })
	case i.Impaired || x.up:
		return wait, false, nil
	}
	if err := x.boot(ctx, i); err != nil {
		x.s.logf("%s %s cannot boot again: %v", x.region, x.id, err)
		return now, false, x.change(func(_ *txn, i *instance) { i.Impaired = true })
	}
	return now, false, nil
}

func (x *life) halt(ctx context.Context) error {
	if x.machine == nil || !x.up {
		return nil
	}
	if err := x.machine.Stop(ctx); err != nil {
		return err
	}
	x.down()
	return nil
}

// down says that the guest runs no more, nor what goes with it.
func (x *life) down() {
	x.up = false
	x.mu.Lock()
	x.halted = true
	x.mu.Unlock()
	x.s.agents.each(x.id, func(a *sessionmanager.Agent) { a.Close("the instance is down") })
}

// failed ends an instance whose guest would not boot at launch, as EC2 ends one
// that its host could not start.
func (x *life) failed(saw *instance, cause error) error {
	if x.s.ctx.Err() != nil {
		return nil // the server is closing: the next one tries again
	}
	x.s.logf("%s %s cannot boot: %v", x.region, x.id, cause)
	return x.change(func(t *txn, i *instance) {
		if i.State != saw.State {
			return
		}
		i.State, i.Due = shuttingDown, t.now
		i.Code, i.Message = "Server.InternalError", fmt.Sprintf("Server.InternalError: Internal error on launch: %v", cause)
		i.Reason = "Server.InternalError"
	})
}

// refuse ends an instance of which a volume cannot be read or written.
func (x *life) refuse(saw *instance) error {
	return x.change(func(t *txn, i *instance) {
		if i.State == saw.State {
			i.State, i.Due = shuttingDown, t.now
			i.Code, i.Message = "Client.InvalidKMSKey.InvalidState", "Client.InvalidKMSKey.InvalidState: "+i.Trouble
			i.Reason = "Client.InvalidKMSKey.InvalidState"
		}
	})
}

// reclaim takes a spot instance away.
func (x *life) reclaim() error {
	return x.change(func(t *txn, i *instance) {
		if i.State == running {
			i.State, i.Due = shuttingDown, t.now.Add(x.s.takes.terminate)
			i.Code, i.Message = "Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Instance terminated due to spot capacity"
			i.Reason = "Server.SpotInstanceTermination"
		}
	})
}

// end takes the guest away, and what goes with its instance. A root volume that
// stays keeps what the guest wrote.
func (x *life) end(ctx context.Context, saw *instance) error {
	layers := saw.Layers
	if x.s.hasGuest() {
		m, err := x.open(saw)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(saw.Devices, func(d device) bool { return d.Name == saw.RootDevice && !d.DeleteOnTermination && !saw.Rootless }) {
			if layers, err = m.Freeze(ctx); err != nil {
				return err
			}
			// On disk before the guest goes: a crash in between must not lose them.
			if err := x.change(func(t *txn, i *instance) { i.Layers = layers; t.keepLayers(layers) }); err != nil {
				return err
			}
		}
		if err := m.Remove(ctx); err != nil {
			return err
		}
		x.mu.Lock()
		x.machine = nil
		x.mu.Unlock()
	}
	err := x.change(func(t *txn, i *instance) {
		for _, d := range i.Devices {
			v := get[volume](t, i.Region, d.Volume)
			switch {
			case v == nil:
			case d.DeleteOnTermination:
				drop(t, v)
			default:
				if v.Attach != nil && v.Attach.Root && !i.Rootless {
					v.Layers, v.User, v.Release = layers, i.User, i.Release
				}
				v.State, v.Attach = "available", nil
				put(t, v)
			}
		}
		if e := get[netInterface](t, i.Region, i.Interface); e != nil {
			drop(t, e)
		}
		i.State, i.Due, i.Devices, i.Layers = terminated, t.now.Add(x.s.takes.forget), nil, nil
		i.UserData = nil
	})
	x.s.sweep.ring()
	return err
}
