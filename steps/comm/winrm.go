package comm

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps/comm/wsman"
)

var (
	//go:embed ps/bootstrap.ps1
	psBootstrap string
	//go:embed ps/lib.ps1
	psLib string
	//go:embed ps/call.ps1
	psCall string
	//go:embed ps/stat.ps1
	psStat string
	//go:embed ps/launch.ps1
	psLaunch string
	//go:embed ps/run.ps1
	psRun string
	//go:embed ps/put.ps1
	psPut string
	//go:embed ps/get.ps1
	psGet string
)

// psRunner is how a runner is started in its starter's directory. The policy
// for script files does not concern it, and no value is part of its text.
const psRunner = `. ([ScriptBlock]::Create([IO.File]::ReadAllText([Environment]::CurrentDirectory + '\run.ps1')))`

// powershell is the command line behind powershell.exe for a constant script.
func powershell(text string) string {
	b := []byte{}
	for _, u := range utf16.Encode([]rune(lean(text))) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return "-NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand " + base64.StdEncoding.EncodeToString(b)
}

var (
	bootCommand = "powershell.exe " + powershell(psBootstrap)
	runnerWords = `/d /s /c "powershell.exe ` + powershell(psRunner) + ` <in >out 2>err"`
)

// code is text as the scripts take it.
func code(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// header is a value as the scripts take it.
func header(v any) (string, error) {
	b, err := json.Marshal(v)
	return code(string(b)), err
}

// winremote is a way into a machine over WinRM.
type winremote struct {
	env *Env
	t   *dag.Task
	m   Machine
}

var _ Windows = (*winremote)(nil)

// winrmSlot is the place of one Windows machine in the pool: the clients that nobody
// uses now, each with a shell of its own.
type winrmSlot struct {
	mu   sync.Mutex
	idle []*wsman.Client
}

func (w *winrmSlot) take() *wsman.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.idle)
	if n == 0 {
		return nil
	}
	c := w.idle[n-1]
	w.idle = w.idle[:n-1]
	return c
}

func (w *winrmSlot) give(c *wsman.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = append(w.idle, c)
}

// hangUp takes the shell away from the machine, if it can be reached at once.
func hangUp(c *wsman.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c.Close(ctx)
}

func (w *winrmSlot) shut() {
	for c := w.take(); c != nil; c = w.take() {
		hangUp(c)
	}
}

// winrmSlot finds a machine's place by all that tells it from others.
func (e *Env) winrmSlot(m Machine) (*winrmSlot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the connections have been closed")
	}
	id := strings.Join([]string{m.WinRM.Username, string(m.WinRM.Password), m.address(), m.Thing, fmt.Sprint(m.WinRM.UseSSL, m.WinRM.UseNTLM), strings.Join(m.HostKeys, " ")}, "\x00")
	w := e.winrmSlots[id]
	if w == nil {
		w = &winrmSlot{}
		e.winrmSlots[id] = w
	}
	return w, nil
}

// client makes a client with a shell of its own.
func (r *winremote) client() (*wsman.Client, error) {
	s := r.m.WinRM
	o := wsman.Options{
		Host: r.m.Host, Port: r.m.Port, TLS: s.UseSSL, NTLM: s.UseNTLM, User: s.Username,
	}
	switch {
	case r.m.Tunnel.Name != "":
		o.Dial = func(ctx context.Context) (net.Conn, error) { return r.env.Tunnel(ctx, r.m.Endpoint) }
	case !s.NoProxy:
		o.Proxy = r.env.Proxy()
	}
	if s.Timeout > 0 {
		o.Timeout = min(s.Timeout, winrmRequest)
	}
	var err error
	if o.Password, err = r.t.Reveal(s.Password); err != nil {
		return nil, permanent{err}
	}
	if o.Password == "" {
		return nil, permanent{errors.New("there is no password for " + s.Username + ": set winrm_password")}
	}
	if s.CAFile != "" {
		if o.CAs, err = localfile.Read(r.env.home(s.CAFile), maxKeyFile); err != nil {
			return nil, permanent{fmt.Errorf("winrm_ca_file cannot be read: %w", err)}
		}
	}
	for _, k := range r.m.HostKeys {
		if strings.HasPrefix(k, "sha256:") {
			o.Pins = append(o.Pins, k)
		}
	}
	o.Insecure = s.Insecure && len(o.Pins) == 0
	c, err := wsman.New(o)
	if err != nil {
		return nil, permanent{err}
	}
	return c, nil
}

// attempt calls f with a client, again when the connection breaks, until f has
// an answer or the machine stays away. F tells by calling heard that it got on.
func (r *winremote) attempt(ctx context.Context, f func(ctx context.Context, c *wsman.Client, heard func()) error) error {
	p := r.redialer(false)
	for {
		w, err := r.env.winrmSlot(r.m)
		if err != nil {
			return err
		}
		c := w.take()
		if c == nil {
			if c, err = r.client(); err != nil {
				return err
			}
		}
		err = f(ctx, c, p.heard)
		var ee *exitError
		if err == nil || errors.As(err, &ee) || errors.As(err, new(permanent)) {
			w.give(c)
			if r.env.shutting() {
				w.shut()
			}
			return err
		}
		go hangUp(c)
		if err := p.again(ctx, err); err != nil {
			return err
		}
	}
}

// scriptSession is one of our scripts on the machine: lines in, lines out.
type scriptSession struct {
	cmd   *wsman.Command
	buf   []byte
	noise tail // what others print
	ended bool
}

// startScript starts a script and hands it its first lines.
func startScript(ctx context.Context, c *wsman.Client, script string, lines ...string) (*scriptSession, error) {
	cmd, err := c.Start(ctx, bootCommand)
	if err != nil {
		return nil, err
	}
	k := &scriptSession{cmd: cmd}
	// One that has ended reads no more; what it said is why.
	if err := k.send(ctx, append([]string{code(lean(psLib + script))}, lines...)...); err != nil && !errors.Is(err, wsman.ErrInputClosed) {
		k.close()
		return nil, err
	}
	for heard := 0; ; {
		l, err := k.line(ctx)
		if err != nil {
			k.close()
			return nil, err
		}
		if strings.HasSuffix(l, "IMGF1") {
			return k, nil
		}
		k.noise.Write([]byte(l + "\n"))
		if heard += len(l) + 1; heard > maxNoise {
			k.close()
			return nil, tooMuchNoise(k.noise.String())
		}
	}
}

func (k *scriptSession) send(ctx context.Context, lines ...string) error {
	return k.cmd.Send(ctx, []byte(strings.Join(lines, "\n")+"\n"), false)
}

// line is the next line that the script prints. The failure of a script is for
// good: it would fail again.
func (k *scriptSession) line(ctx context.Context) (string, error) {
	for {
		if i := bytes.IndexByte(k.buf, '\n'); i >= 0 {
			l := strings.TrimRight(string(k.buf[:i]), "\r")
			k.buf = k.buf[i+1:]
			if why, ok := strings.CutPrefix(l, "X "); ok {
				b, err := base64.StdEncoding.DecodeString(why)
				if err == nil {
					return "", permanent{&psError{strings.TrimSpace(string(b))}}
				}
			}
			return l, nil
		}
		if k.ended {
			return "", &silentError{strings.TrimSpace(string(k.buf) + "\n" + k.noise.String())}
		}
		o, err := k.cmd.Receive(ctx)
		if err != nil {
			return "", err
		}
		if err := k.hear(o.Stdout); err != nil {
			return "", err
		}
		k.noise.Write(o.Stderr)
		k.ended = o.Done
	}
}

// hear keeps what a script printed, but no line without an end: the longest line of
// our scripts is what a caller's script printed.
func (k *scriptSession) hear(b []byte) error {
	if len(k.buf) > maxOutput {
		return permanent{fmt.Errorf("the machine answers %.200q, and without an end", k.buf)}
	}
	k.buf = append(k.buf, b...)
	return nil
}

// close ends what runs on the machine, if it can be reached at once.
func (k *scriptSession) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	k.cmd.Close(ctx)
}

// psError is an exception of a script.
type psError struct{ text string }

func (e *psError) Error() string { return oneLine(e.text) }

func oneLine(s string) string { return strings.TrimPrefix(said(s), ": ") }

// silentError is a script that ended too early.
type silentError struct{ text string }

func (e *silentError) Error() string {
	if e.text == "" {
		return "PowerShell ended without an answer"
	}
	return "PowerShell does not run our commands; the machine answers" + said(e.text)
}

// PowerShell implements Windows.
func (r *winremote) PowerShell(ctx context.Context, script string, args, result any) error {
	if args == nil {
		args = struct{}{}
	}
	in, err := header(args)
	if err != nil {
		return fmt.Errorf("cannot run PowerShell on %s: %w", r.m.label(), err)
	}
	var out []byte
	err = r.attempt(ctx, func(ctx context.Context, c *wsman.Client, _ func()) (err error) {
		out, err = call(ctx, c, script, in)
		return err
	})
	if err == nil && result != nil {
		if err = json.Unmarshal(out, result); err != nil {
			err = fmt.Errorf("the machine answers %.200q: %w", out, err)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot run PowerShell on %s: %w", r.m.label(), err)
	}
	return nil
}

// call runs a script of a caller once.
func call(ctx context.Context, c *wsman.Client, script, args string) ([]byte, error) {
	k, err := startScript(ctx, c, psCall, code(script), args)
	if err != nil {
		return nil, err
	}
	defer k.close()
	l, err := k.line(ctx)
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(l, "R ")
	if !ok {
		return nil, permanent{fmt.Errorf("the machine answers %.200q", l)}
	}
	out, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, permanent{fmt.Errorf("the machine answers %.200q", l)}
	}
	return out, nil
}

// Exec implements Remote: the command is cmd.exe's.
func (r *winremote) Exec(ctx context.Context, command string, stdin io.Reader) ([]byte, Exit, error) {
	var out []byte
	var exit Exit
	again := rewinder(stdin)
	err := r.attempt(ctx, func(ctx context.Context, c *wsman.Client, _ func()) error {
		out = nil
		if err := again(); err != nil {
			return err
		}
		cmd, err := c.Start(ctx, command)
		if err != nil {
			return err
		}
		k := &scriptSession{cmd: cmd}
		defer k.close()
		// A command that has ended takes no input; how it ended is what matters.
		if err := feed(ctx, cmd, stdin); err != nil && !errors.As(err, new(*wsman.FaultError)) {
			return err
		}
		for {
			o, err := cmd.Receive(ctx)
			if err != nil {
				return err
			}
			if out = append(out, o.Stdout...); len(out) > maxOutput {
				return tooMuchOutput()
			}
			if o.Done {
				exit = Exit{Code: o.Code}
				return nil
			}
		}
	})
	if err != nil {
		return nil, Exit{}, fmt.Errorf("cannot run a command on %s: %w", r.m.label(), err)
	}
	return out, exit, nil
}

// feed sends all of r, and the end of the input.
func feed(ctx context.Context, cmd *wsman.Command, r io.Reader) error {
	if r == nil {
		return cmd.Send(ctx, nil, true)
	}
	b := make([]byte, partSize)
	for {
		n, err := io.ReadFull(r, b)
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return cmd.Send(ctx, b[:n], true)
		case err != nil:
			return permanent{err}
		}
		if err := cmd.Send(ctx, b[:n], false); err != nil {
			return err
		}
	}
}

// Stat implements Remote.
func (r *winremote) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	var a struct {
		Dir, File, ReadOnly bool
		Size, Ticks         int64
	}
	args, err := header(map[string]string{"path": name})
	if err == nil {
		err = r.attempt(ctx, func(ctx context.Context, c *wsman.Client, _ func()) error {
			out, err := call(ctx, c, psStat, args)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(out, &a); err != nil {
				return permanent{fmt.Errorf("the machine answers %.200q", out)}
			}
			return nil
		})
	}
	base := strings.TrimRight(name, `\/`)
	base = base[strings.LastIndexAny(base, `\/`)+1:]
	switch {
	case err != nil:
	case a.Dir:
		return statInfo{name: base, mode: fs.ModeDir | 0o755}, nil
	case a.File && a.ReadOnly:
		return statInfo{name: base, mode: 0o444, size: a.Size, time: ticksTime(a.Ticks)}, nil
	case a.File:
		return statInfo{name: base, mode: 0o644, size: a.Size, time: ticksTime(a.Ticks)}, nil
	default:
		err = reason{"no such file or directory", fs.ErrNotExist}
	}
	return nil, fmt.Errorf("cannot look at %s on %s: %w", name, r.m.label(), err)
}

// ticksTime is a time of .NET, counted in 100 ns since the year 1.
func ticksTime(n int64) time.Time {
	const unix = 621355968000000000
	return time.Unix((n-unix)/1e7, (n-unix)%1e7*100)
}

// place16 names a directory on the machine by what it is for.
func place16(kind, what string) string {
	h := sha256.Sum256([]byte(what))
	return "imgf-" + kind + "-" + hex.EncodeToString(h[:8])
}
