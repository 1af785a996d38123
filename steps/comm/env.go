package comm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/imgflow/imgflow/dag"
)

// Env is what steps that reach machines are bound to: the run's vault and the
// live connections, one for each machine.
type Env struct {
	// Console returns the last lines of what a machine has printed on its console,
	// or "". It is for the errors of machines that cannot be reached; nil is no
	// console.
	Console func(context.Context, Endpoint) string
	// Fate tells what has become of a machine that cannot be reached. It is asked
	// every few seconds for as long as that lasts, and must be quick; nil knows
	// nothing.
	Fate func(context.Context, Endpoint) Fate

	vault Vault

	mu     sync.Mutex
	lines  map[string]*line
	wires  map[string]*wire
	runs   map[string]int // followers by token
	closed bool
}

// NewEnv returns an environment without connections. The vault may be nil if
// no step uses a generated key.
func NewEnv(v Vault) *Env {
	return &Env{vault: v, lines: map[string]*line{}, wires: map[string]*wire{}, runs: map[string]int{}}
}

// Kinds are the steps of this package.
func Kinds(e *Env) []dag.Kind {
	return []dag.Kind{
		dag.Bind[GenerateKey](e),
		dag.Bind[GenerateHostKey](e),
		dag.Bind[Connect](e),
		dag.Bind[ClearKeys](e),
	}
}

// Remote returns a way into the machine on behalf of a task, which gets the
// messages and reveals the secrets. It dials when it is first used.
func (e *Env) Remote(t *dag.Task, m Machine) (Remote, error) {
	switch m.Protocol {
	case "ssh", "":
		return &remote{env: e, t: t, m: m}, nil
	case "winrm":
		return &winremote{env: e, t: t, m: m}, nil
	case "none":
		return nil, fmt.Errorf("cannot reach a machine: the communicator is none; only steps that need no machine can run")
	}
	return nil, fmt.Errorf("cannot reach %s: the communicator %s is not known; use ssh or winrm", m.Host, m.Protocol)
}

// Windows returns a way into a Windows machine, as Remote does.
func (e *Env) Windows(t *dag.Task, m Machine) (Windows, error) {
	r, err := e.Remote(t, m)
	if err != nil {
		return nil, err
	}
	w, ok := r.(Windows)
	if !ok {
		return nil, fmt.Errorf("cannot use %s as a Windows machine: the communicator is %s; use winrm", m.label(), m.Protocol)
	}
	return w, nil
}

// Close ends all connections; every later use of the environment fails.
func (e *Env) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, ln := range e.lines {
		ln.shut()
	}
	for _, w := range e.wires {
		w.shut()
	}
	return nil
}

// line is the place of one machine in the pool: at most one live connection,
// dialed by one caller at a time.
type line struct {
	turn chan struct{} // held while dialing

	mu   sync.Mutex
	live *link
	pins []string // what a machine without known host keys showed first
}

func (ln *line) shut() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.live != nil {
		ln.live.close()
	}
}

// current is the live connection, if it leads to a machine with one of the keys.
func (ln *line) current(keys []string) *link {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	l := ln.live
	if l == nil || l.dead() {
		return nil
	}
	if len(keys) > 0 && !hasKey(keys, l.hostKey) {
		l.close()
		return nil
	}
	return l
}

func (ln *line) pinned() []string {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.pins
}

func (ln *line) pin(key string) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.pins = []string{key}
}

// line finds a machine's place by all that tells it from others; an address
// may serve another machine later.
func (e *Env) line(m Machine) (*line, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the connections have been closed")
	}
	id := strings.Join([]string{m.SSH.Username, m.address(), m.Thing, m.SSH.KeyName, m.SSH.PrivateKeyFile, m.SSH.BastionHost, m.SSH.ProxyHost}, "\x00")
	ln := e.lines[id]
	if ln == nil {
		ln = &line{turn: make(chan struct{}, 1)}
		e.lines[id] = ln
	}
	return ln, nil
}

// link returns the live connection to the machine, dialing for as long as the
// patience allows when there is none.
func (e *Env) link(ctx context.Context, t *dag.Task, m Machine, p patience) (*link, error) {
	ln, err := e.line(m)
	if err != nil {
		return nil, err
	}
	if l := ln.current(m.HostKeys); l != nil {
		return l, nil
	}
	select {
	case ln.turn <- struct{}{}:
		defer func() { <-ln.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l := ln.current(m.HostKeys); l != nil {
		return l, nil
	}
	if len(m.HostKeys) == 0 {
		m.HostKeys = ln.pinned()
	}
	l, err := e.dialUntil(ctx, t, m, p)
	if err != nil {
		return nil, err
	}
	if len(m.HostKeys) == 0 {
		t.Warn("the host key of %s is not known; trusting %s from now on", m.label(), fingerprint(l.hostKey))
	}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.live, ln.pins = l, []string{l.hostKey}
	if e.shutting() {
		l.close()
		return nil, errors.New("the connections have been closed")
	}
	return l, nil
}

func (e *Env) shutting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// follow counts a follower of the run until done is called.
func (e *Env) follow(token string) (done func()) {
	count := func(n int) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.runs[token] += n; e.runs[token] == 0 {
			delete(e.runs, token)
		}
	}
	count(1)
	return func() { count(-1) }
}

func (e *Env) followed(token string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runs[token] > 0
}

// drop ends the live connection to the machine, if any.
func (e *Env) drop(m Machine) {
	if ln, err := e.line(m); err == nil {
		ln.shut()
	}
}

// address is where the machine is dialed.
func (m Machine) address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

// label is what messages call the machine.
func (m Machine) label() string {
	if m.Thing != "" {
		return m.Thing + " at " + m.address()
	}
	return m.address()
}
