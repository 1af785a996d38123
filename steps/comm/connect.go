package comm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
)

// Connect waits until a machine lets us in.
type Connect struct {
	To    dag.Take[Endpoint] `json:"to"`
	SSH   SSH                `json:"ssh"`
	Key   dag.Out[Key]       `json:"key"` // generated key to log in with, if any
	WinRM WinRM              `json:"winrm,omitzero"`
	Login dag.Out[Login]     `json:"login"`                   // password that the machine made, unless WinRM has one
	Via   dag.Out[Tunnel]    `json:"via,omitzero"`            // the tunnel to go through, if any
	Pause time.Duration      `json:"pause,omitempty" key:"-"` // after the first success hang up, wait this long, connect again

	Tested bool `json:"tested,omitempty" key:"-"` // the machine is there to test the image that it was made from
}

func (Connect) Kind() string  { return "comm.connect" }
func (Connect) Title() string { return "connect" }

// Do connects and returns how to do it again, with the key that the machine
// must show every time from now on. A machine without a communicator is given
// back as it is.
func (s Connect) Do(ctx context.Context, e *Env, t *dag.Task) (Machine, error) {
	m, err := s.connect(ctx, e, t)
	if err != nil && s.Tested && ctx.Err() == nil {
		return m, fmt.Errorf("cannot test %s: a machine of it does not boot, or does not answer: %w", s.To.Value().Vars["SourceAMI"], err)
	}
	return m, err
}

func (s Connect) connect(ctx context.Context, e *Env, t *dag.Task) (Machine, error) {
	m := Machine{Endpoint: s.To.Value(), SSH: s.SSH}
	if s.Via.Set() {
		m.Tunnel = s.Via.Value()
	}
	if s.Key.Set() {
		m.SSH.KeyName = s.Key.Value().Secret
	}
	switch m.Protocol {
	case "ssh", "":
	case "winrm":
		return s.winrm(ctx, e, t, m)
	case "none":
		return m, nil
	default:
		return Machine{}, fmt.Errorf("cannot connect to %s: the communicator %s is not known; use ssh or winrm", m.Host, m.Protocol)
	}
	if m.SSH.Host != "" {
		m.Host = m.SSH.Host
	}
	if m.SSH.Port != 0 {
		m.Port = m.SSH.Port
	}
	if m.Port == 0 {
		m.Port = 22
	}
	t.Say("waiting for SSH at %s:%d", m.Host, m.Port)
	p, begun := m.SSH.firstPatience(), time.Now()
	for first := true; ; first = false {
		l, err := e.conn(ctx, t, m, p)
		if err != nil {
			return Machine{}, e.withConsole(ctx, m, firstKey(err, m))
		}
		if first && !t.Resumed {
			e.Times.Note(m.boots(), time.Since(begun))
		}
		if len(m.HostKeys) == 0 {
			m.HostKeys = []string{l.hostKey}
		}
		if s.Pause <= 0 {
			break
		}
		e.drop(m)
		t.Say("waiting %s before connecting", s.Pause)
		if err := sleep.For(ctx, s.Pause); err != nil {
			return Machine{}, err
		}
		s.Pause = 0
	}
	if m.SSH.BastionHost != "" && len(m.SSH.BastionHostKeys) == 0 {
		slot, err := e.slot(m.SSH.bastion())
		if err != nil {
			return Machine{}, err
		}
		m.SSH.BastionHostKeys = slot.pinned()
	}
	t.Say("connected")
	return m, nil
}

// firstKey says what to do about a machine that never showed the key that it was
// given: images exist that keep, or make, their own whatever user data says.
func firstKey(err error, m Machine) error {
	if !errors.As(err, new(*HostKeyError)) || len(m.Endpoint.HostKeys) == 0 {
		return err
	}
	return fmt.Errorf("%w; if its image does not take the key that user data gives it, set \"ssh_host_key\": \"console\" (the keys that it prints while it boots count) "+
		"or \"first-use\" (the first that it shows counts), or give it user_data of your own", err)
}

// withConsole adds what the machine says itself: its user data may have failed.
func (e *Env) withConsole(ctx context.Context, m Machine, err error) error {
	if e.Console == nil || m.Thing == "" || ctx.Err() != nil || errors.As(err, new(permanent)) {
		return err
	}
	if tail := e.Console(ctx, m.Endpoint); tail != "" {
		return fmt.Errorf("%w; its console ends with:\n%s", err, tail)
	}
	return err
}
