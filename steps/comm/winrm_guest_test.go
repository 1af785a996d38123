package comm

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/winguest"
)

// guest is a Windows machine of the embedded EC2, on loopback.
type guest struct {
	*winguest.Machine
	t     testing.TB
	dir   string
	ports map[string]int
	m     Machine // how it is reached
}

const guestPassword = `p$a"s's` + "`" + `w0rd ä%TEMP%`

// newGuest boots a machine that restarts when it is told to.
func newGuest(t testing.TB) *guest {
	t.Helper()
	g := &guest{t: t, dir: t.TempDir()}
	var err error
	if g.Machine, err = winguest.Open(g.dir, winguest.Spec{Release: winguest.ReleaseOf("2019"), Name: "TESTER", Addr: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	if g.ports, err = g.TakePorts(map[string]int{"winrm": freePort(t), "winrms": freePort(t)}); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		g.ChangeAccount("Administrator", func(a *winguest.Account) { a.Password = guestPassword }),
		g.SetWinRM("service", map[string]string{"AllowUnencrypted": "true"}),
		g.SetWinRM("service/auth", map[string]string{"Basic": "true"}),
		g.SetFirewall("Public", false),
		g.boot(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	g.m = Machine{
		Endpoint: Endpoint{Protocol: "winrm", Host: "127.0.0.1", Port: g.ports["winrm"], Thing: "i-1"},
		WinRM:    WinRM{Username: "Administrator", Password: guestPassword, Timeout: time.Minute},
	}
	await(t, "WinRM", func() bool {
		c, err := net.Dial("tcp", g.m.address())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return g
}

func (g *guest) boot() error {
	return g.Boot(winguest.Boot{Exited: func(reboot bool) {
		if reboot {
			go g.boot()
		}
	}})
}

// restart reboots the machine and returns when it was down.
func (g *guest) restart() {
	was := g.Booted()
	if err := g.PowerOff(true, 0, ""); err != nil {
		g.t.Error(err)
	}
	for !g.Booted().After(was) && g.t.Context().Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// path is where a file of drive C: lies here.
func (g *guest) path(p string) string { return filepath.Join(g.dir, "c", filepath.FromSlash(p)) }

func (g *guest) read(p string) string {
	b, err := os.ReadFile(g.path(p))
	if err != nil {
		g.t.Error(err)
	}
	return string(b)
}

func (g *guest) write(p, text string) {
	if err := os.WriteFile(g.path(p), []byte(text), 0o644); err != nil {
		g.t.Error(err)
	}
}

// left is what our work has left on the machine.
func (g *guest) left() (names []string) {
	for _, p := range []string{"ProgramData/imgf-*", "Windows/Temp/imgf-*", "Users/Administrator/AppData/Local/Temp/*"} {
		found, _ := filepath.Glob(g.path(p))
		names = append(names, found...)
	}
	for _, t := range g.Tasks() {
		if strings.HasPrefix(t.Name, "imgf-") {
			names = append(names, "task "+t.Name)
		}
	}
	return names
}

func (g *guest) clean() {
	g.t.Helper()
	if l := g.left(); l != nil {
		g.t.Errorf("left on the machine: %v", l)
	}
}

// ps is a job of a PowerShell script.
func (w *win) ps(script string) Job {
	return Job{Token: w.task.Token, Ext: ".ps1", Script: []byte(script), Command: `powershell -NoProfile -ExecutionPolicy Bypass -File "{{.Path}}"`}
}

// cutter is a proxy that resets a connection after so many bytes.
type cutter struct {
	net.Listener
	limit atomic.Int64 // 0 for none; of each connection, both ways
	sent  atomic.Int64 // bytes to the server
	cuts  atomic.Int64
	conns atomic.Int64
	mu    sync.Mutex
	open  map[net.Conn]bool
}

func newCutter(t testing.TB, port int) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, open: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); c.cutAll() })
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(port)))
			if err != nil {
				a.Close()
				continue
			}
			c.conns.Add(1)
			c.mu.Lock()
			c.open[a], c.open[b] = true, true
			c.mu.Unlock()
			left := &atomic.Int64{}
			left.Store(c.limit.Load())
			go c.pipe(b, a, left, left.Load() > 0, &c.sent)
			go c.pipe(a, b, left, left.Load() > 0, nil)
		}
	}()
	return c
}

func (c *cutter) cutAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.open {
		reset(n)
		delete(c.open, n)
	}
}

func reset(n net.Conn) {
	n.(*net.TCPConn).SetLinger(0)
	n.Close()
}

func (c *cutter) pipe(to, from net.Conn, left *atomic.Int64, limited bool, count *atomic.Int64) {
	defer func() {
		from.Close()
		to.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, from)
	}()
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		if limited && left.Add(-int64(n)) < 0 {
			c.cuts.Add(1)
			reset(to)
			reset(from)
			return
		}
		if count != nil {
			count.Add(int64(n))
		}
		if _, werr := to.Write(b[:n]); werr != nil || err != nil {
			return
		}
	}
}

func (c *cutter) machine(m Machine) Machine {
	m.Port = c.Addr().(*net.TCPAddr).Port
	return m
}

// callUntilDone runs the job by processes that are killed, the nth after kill(n),
// until one ends by itself, and returns what that says.
func callUntilDone(t *testing.T, c callerConf, kill func(n int) <-chan time.Time) (out string, kills int) {
	t.Helper()
	conf, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p := exec.Command(os.Args[0])
		p.Env = append(os.Environ(), "COMM_TEST_CALLER="+string(conf))
		var b strings.Builder
		p.Stdout, p.Stderr = &b, &b
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { p.Wait(); close(done) }()
		select {
		case <-done:
			return b.String(), kills
		case <-kill(kills):
			p.Process.Kill()
			<-done
			kills++
		}
	}
}

func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for range 3000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// again is a task with the same journal, as a new process has it.
func (w *win) again(t testing.TB, m Machine) *win {
	t.Helper()
	sink, err := openSink(w.log)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, m)
	l.log, l.sink, l.task = w.log, sink, dagTask(w.task.Token, sink)
	if l.remote, err = l.env.Remote(l.task, m); err != nil {
		t.Fatal(err)
	}
	return &win{l, l.remote.(Windows)}
}
