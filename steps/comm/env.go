package comm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpproxy"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/usual"
)

// Env is what steps that reach machines are bound to: the run's vault and the
// live connections, one for each machine.
type Env struct {
	// Console returns the last lines of what a machine has printed on its console,
	// or "". It is for the errors of machines that cannot be reached; nil is no
	// console.
	Console func(context.Context, Endpoint) string
	// Status tells what has become of a machine that cannot be reached. It is asked
	// every few seconds for as long as that lasts, and must be quick; nil knows
	// nothing.
	Status func(context.Context, Endpoint) Status
	// Tunnel connects to the port of an endpoint that has a tunnel.
	Tunnel func(context.Context, Endpoint) (net.Conn, error)
	// Prompt puts a question of a bastion to the person at the terminal, and returns the answer, which
	// is not shown while it is typed unless echo is true; nil is nobody there.
	Prompt func(ctx context.Context, question string, echo bool) (string, error)
	// Times are how long machines took to let us in before; nil knows none.
	Times *usual.Times

	// Environ is the environment, as os.Environ returns one, in which an SSH agent and a
	// proxy are found and that local programs have; Dir is where they run and where relative
	// paths begin.
	Environ []string
	Dir     string
	Away    Away // the zero one: local files are those of this computer

	vault Vault

	mu         sync.Mutex
	slots      map[string]*connSlot
	winrmSlots map[string]*winrmSlot
	runs       map[string]int // followers by token
	answers    map[answerOf]string
	closed     bool
}

// NewEnv returns an environment without connections. The vault may be nil if
// no step uses a generated key.
func NewEnv(v Vault) *Env {
	return &Env{vault: v, slots: map[string]*connSlot{}, winrmSlots: map[string]*winrmSlot{}, runs: map[string]int{}, answers: map[answerOf]string{}}
}

// Getenv is the value of a variable of the environment, "" if there is none.
func (e *Env) Getenv(name string) string {
	for _, kv := range e.Environ {
		if n, value, _ := strings.Cut(kv, "="); n == name {
			return value
		}
	}
	return ""
}

// home expands a leading ~ to the home directory that the environment names.
func (e *Env) home(p string) string {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if dir := e.Getenv(name); dir != "" && (p == "~" || strings.HasPrefix(p, "~/")) {
		return filepath.Join(dir, p[1:])
	}
	return home(p)
}

// Vault keeps the secrets that steps make; nil if there is none.
func (e *Env) Vault() Vault { return e.vault }

// Proxy is the proxy that the environment names for an address.
func (e *Env) Proxy() func(*url.URL) (*url.URL, error) {
	either := func(name string) string { return cmp.Or(e.Getenv(name), e.Getenv(strings.ToLower(name))) }
	c := httpproxy.Config{HTTPProxy: either("HTTP_PROXY"), HTTPSProxy: either("HTTPS_PROXY"), NoProxy: either("NO_PROXY"), CGI: e.Getenv("REQUEST_METHOD") != ""}
	return c.ProxyFunc()
}

// TempDir is where the environment has files for a while.
func (e *Env) TempDir() string {
	if dir := e.Getenv("TMPDIR"); dir != "" && runtime.GOOS != "windows" {
		return dir
	}
	return os.TempDir()
}

// LookPath finds a program as a shell with the environment would.
func (e *Env) LookPath(name string) string {
	if runtime.GOOS == "windows" || strings.ContainsRune(name, '/') {
		return name
	}
	for _, dir := range filepath.SplitList(e.Getenv("PATH")) {
		if !filepath.IsAbs(dir) { // what lies in the directory of the template is not meant
			continue
		}
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path
		}
	}
	return name
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
	for _, slot := range e.slots {
		slot.shut()
	}
	for _, w := range e.winrmSlots {
		w.shut()
	}
	return nil
}

// connSlot is the place of one machine in the pool: at most one live connection,
// dialed by one caller at a time.
type connSlot struct {
	turn chan struct{} // held while dialing

	mu   sync.Mutex
	live *sshConn
	pins []string // what a machine without known host keys showed first
}

func (slot *connSlot) shut() {
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.live != nil {
		slot.live.close()
	}
}

// current is the live connection, if it leads to a machine with one of the keys.
func (slot *connSlot) current(keys []string) *sshConn {
	slot.mu.Lock()
	defer slot.mu.Unlock()
	l := slot.live
	if l == nil || l.dead() {
		return nil
	}
	if len(keys) > 0 && !hasKey(keys, l.hostKey) {
		l.close()
		return nil
	}
	return l
}

func (slot *connSlot) pinned() []string {
	slot.mu.Lock()
	defer slot.mu.Unlock()
	return slot.pins
}

func (slot *connSlot) pin(key string) {
	slot.mu.Lock()
	defer slot.mu.Unlock()
	slot.pins = []string{key}
}

// slot finds a machine's place by all that tells it from others; an address
// may serve another machine later.
func (e *Env) slot(m Machine) (*connSlot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the connections have been closed")
	}
	id := strings.Join([]string{m.SSH.Username, m.address(), m.Thing, m.SSH.KeyName, m.SSH.PrivateKeyFile, m.SSH.BastionHost, m.SSH.ProxyHost}, "\x00")
	slot := e.slots[id]
	if slot == nil {
		slot = &connSlot{turn: make(chan struct{}, 1)}
		e.slots[id] = slot
	}
	return slot, nil
}

// conn returns the live connection to the machine, dialing for as long as the
// patience allows when there is none.
func (e *Env) conn(ctx context.Context, t *dag.Task, m Machine, p patience) (*sshConn, error) {
	slot, err := e.slot(m)
	if err != nil {
		return nil, err
	}
	if l := slot.current(m.HostKeys); l != nil {
		return l, nil
	}
	select {
	case slot.turn <- struct{}{}:
		defer func() { <-slot.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l := slot.current(m.HostKeys); l != nil {
		return l, nil
	}
	if len(m.HostKeys) == 0 {
		m.HostKeys = slot.pinned()
	}
	l, err := e.dialUntil(ctx, t, m, p)
	if err != nil {
		return nil, err
	}
	if len(m.HostKeys) == 0 {
		t.Warn("the host key of %s is not known; trusting %s from now on", m.label(), fingerprint(l.hostKey))
	}
	slot.mu.Lock()
	defer slot.mu.Unlock()
	slot.live, slot.pins = l, []string{l.hostKey}
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
	if slot, err := e.slot(m); err == nil {
		slot.shut()
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
