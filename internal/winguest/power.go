package winguest

import "time"

// grace lets the command that asked for the end return to who ran it.
const grace = 300 * time.Millisecond

// dark is how long nothing answers between an end and the next boot.
const dark = 700 * time.Millisecond

// ending is a shutdown that was asked for.
type ending struct {
	reboot  bool
	at      time.Time
	comment string
	going   bool // too late to call it off
	timer   *time.Timer
}

// PowerOff ends the machine after a time, or boots it again. The error is
// ShutdownScheduled while one waits, ShutdownInProgress while one goes on.
func (m *Machine) PowerOff(reboot bool, after time.Duration, comment string) error {
	m.pmu.Lock()
	defer m.pmu.Unlock()
	switch {
	case m.run == nil || m.end != nil && m.end.going:
		return ShutdownInProgress
	case m.end != nil:
		return ShutdownScheduled
	}
	run := m.run
	e := &ending{reboot: reboot, at: m.now().Add(after), comment: comment}
	m.end = e
	begin := func() {
		m.pmu.Lock()
		defer m.pmu.Unlock()
		if m.end != e || m.run != run {
			return
		}
		e.going = true
		e.timer = time.AfterFunc(grace, func() { m.halt(run, e) })
	}
	if after <= 0 {
		e.going = true
		e.timer = time.AfterFunc(grace, func() { m.halt(run, e) })
	} else {
		e.timer = time.AfterFunc(after, begin)
	}
	return nil
}

// CallOff calls a shutdown off that still waits: NoShutdown, or
// ShutdownInProgress.
func (m *Machine) CallOff() error {
	m.pmu.Lock()
	defer m.pmu.Unlock()
	switch {
	case m.end == nil:
		return NoShutdown
	case m.end.going:
		return ShutdownInProgress
	}
	m.end.timer.Stop()
	m.end = nil
	return nil
}

// halt is the machine's own end.
func (m *Machine) halt(run *running, e *ending) {
	m.op.Lock()
	defer m.op.Unlock()
	m.pmu.Lock()
	mine := m.run == run && m.end == e
	m.pmu.Unlock()
	if !mine {
		return
	}
	m.stop()
	if run.exited != nil {
		run.exited(e.reboot)
	}
}
