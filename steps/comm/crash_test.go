package comm

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// campaign is how many times longer the tests of crashes go on.
var campaign = flag.Int("campaign", 1, "multiply the number of crashes")

// steady prints 20 000 fast lines, and slow ones in two halves; it counts its
// starts in a file.
const steady = `echo x >>%s; k=0; while [ $k -lt 40 ]; do seq $((k*500+1)) $((k*500+500)); k=$((k+1)); printf slow >&2; sleep 0.03; echo " $k" >&2; done; exit 7`

func checkSteady(t *testing.T, log, count string) {
	t.Helper()
	var o, e []string
	for i := range 20000 {
		o = append(o, fmt.Sprint(i+1))
	}
	for i := range 40 {
		e = append(e, fmt.Sprint("slow ", i+1))
	}
	for stream, want := range map[string][]string{"stdout": o, "stderr": e} {
		got := printed(t, log, stream)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %d lines, want %d, each once", stream, len(got), len(want))
		}
	}
	if b, _ := os.ReadFile(count); string(b) != "x\n" {
		t.Errorf("the script was started %d times", len(b)/2)
	}
}

// kill -9 of the caller at any moment, and another caller goes on.
func TestCallerKilled(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		kills := 0
		for kills < 12**campaign {
			dir := t.TempDir()
			count := filepath.Join(dir, "count")
			c := callerConf{Log: filepath.Join(dir, "log"), Machine: s.machine()}
			c.Job = Job{Token: newToken(), Script: []byte("#!/bin/sh\n" + fmt.Sprintf(steady, count)), Command: "chmod +x {{.Path}}; {{.Path}}"}
			conf, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			for spare := time.Duration(0); ; spare += 20 * time.Millisecond { // so that a slow machine gets on
				p := exec.Command(os.Args[0])
				p.Env = append(os.Environ(), "COMM_TEST_CALLER="+string(conf))
				var out strings.Builder
				p.Stdout, p.Stderr = &out, &out
				if err := p.Start(); err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() { p.Wait(); close(done) }()
				select {
				case <-done:
				case <-time.After(spare + time.Duration(rand.IntN(400))*time.Millisecond):
					p.Process.Kill()
					<-done
					kills++
					continue
				}
				if out.String() != "exit status 7" {
					t.Errorf("the caller ended with %q", out.String())
				}
				break
			}
			checkSteady(t, c.Log, count)
			if d := left(c.Job.Token); d != nil {
				t.Errorf("left on the machine: %v", d)
			}
			if t.Failed() {
				return
			}
		}
		t.Logf("%d kills", kills)
	})
}

// relay is a proxy that can cut and stop what goes through it.
type relay struct {
	net.Listener
	frozen atomic.Bool
	struck atomic.Bool // a connection has lost something to it
	conns  atomic.Int64
}

// newRelay forwards to the server; each is called with every connection.
func newRelay(t *testing.T, s *server, each func(n int64, c, s *net.TCPConn)) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(s.port)))
			if err != nil {
				c.Close()
				continue
			}
			n := r.conns.Add(1)
			frozen := &atomic.Bool{}
			go r.pipe(b, c, frozen)
			go r.pipe(c, b, frozen)
			if each != nil {
				each(n, c.(*net.TCPConn), b.(*net.TCPConn))
			}
		}
	}()
	return r
}

// pipe forwards until the relay is frozen; connections that were open then
// stay so for ever.
func (r *relay) pipe(to, from net.Conn, frozen *atomic.Bool) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if r.frozen.Load() {
			frozen.Store(true)
			r.struck.Store(true)
		}
		if frozen.Load() {
			io.Copy(io.Discard, from)
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) machine(s *server) Machine {
	m := s.machine()
	m.Port = r.Addr().(*net.TCPAddr).Port
	return m
}

// The connection is reset at any moment.
func TestReset(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		var cuts atomic.Int64
		for cuts.Load() < int64(10**campaign) {
			limit := int64(12)
			r := newRelay(t, s, func(n int64, c, b *net.TCPConn) {
				if n > limit {
					return
				}
				cuts.Add(1)
				time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond, func() {
					c.SetLinger(0)
					b.SetLinger(0)
					c.Close()
					b.Close()
				})
			})
			l := newLab(t, r.machine(s))
			count := filepath.Join(t.TempDir(), "count")
			if x := l.mustRun(t, l.job(fmt.Sprintf(steady, count))); x != (Exit{Code: 7}) {
				t.Error(x)
			}
			checkSteady(t, l.log, count)
			if d := left(l.task.Token); d != nil {
				t.Errorf("left on the machine: %v", d)
			}
			if t.Failed() {
				return
			}
		}
		t.Logf("%d resets", cuts.Load())
	})
}

// Several callers start the same run at once.
func TestStartedTwice(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		for range 6 * *campaign {
			token, count := newToken(), filepath.Join(t.TempDir(), "count")
			var wg sync.WaitGroup
			for range 3 {
				l := newLab(t, s.machine())
				wg.Go(func() {
					j := l.job("echo x >>" + count + "; exit 3")
					j.Token = token
					k, err := l.env.conn(t.Context(), l.task, s.machine(), patience{})
					if err != nil {
						t.Error(err)
						return
					}
					c, err := k.launch(t.Context(), j, "start", [2]int64{})
					if err != nil {
						t.Error(err)
						return
					}
					defer c.stop()
					for { // nobody lets the machine forget the run
						line, err := c.out.ReadString('\n')
						if err != nil || strings.HasPrefix(line, "L ") {
							t.Error(line, err)
							return
						}
						if strings.HasPrefix(line, "S ") {
							if line != "S 3 0 0 0 0 0\n" {
								t.Error(line)
							}
							return
						}
					}
				})
			}
			wg.Wait()
			if b, _ := os.ReadFile(count); string(b) != "x\n" {
				t.Errorf("started %d times", len(b)/2)
			}
			for _, d := range left(token) {
				os.RemoveAll(d)
			}
		}
	})
}

// A connection that goes silent without being closed is noticed and replaced.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	r := newRelay(t, s, nil)
	m := r.machine(s)
	m.SSH.KeepAliveInterval = 200 * time.Millisecond
	l := newLab(t, m)
	go func() {
		for l.sink.Offset(l.task.Token, "stdout") == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		r.frozen.Store(true)
		for !r.struck.Load() && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		r.frozen.Store(false)
	}()
	if x := l.mustRun(t, l.job("i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo $i; sleep .1; done; exit 4")); x != (Exit{Code: 4}) {
		t.Error(x)
	}
	if got := len(printed(t, l.log, "stdout")); got != 20 {
		t.Errorf("%d lines", got)
	}
	if n := r.conns.Load(); n < 2 {
		t.Errorf("%d connections: the silent one was never given up", n)
	}
}

// The caller dies between the exit and the end of its step.
func TestExitRemembered(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	count := filepath.Join(t.TempDir(), "count")
	l := newLab(t, s.machine())
	j := l.job("echo x >>" + count + "; echo hi; exit 5")
	if x := l.mustRun(t, j); x != (Exit{Code: 5}) {
		t.Fatal(x)
	}
	// The machine was not told that it may forget.
	os.Mkdir("/var/tmp/.imgf-"+j.Token, 0o711)
	sink, err := openSink(l.log)
	if err != nil {
		t.Fatal(err)
	}
	again := newLab(t, s.machine())
	again.task = dagTask(l.task.Token, sink)
	again.remote, _ = again.env.Remote(again.task, s.machine())
	if x := again.mustRun(t, j); x != (Exit{Code: 5}) {
		t.Error(x)
	}
	if b, _ := os.ReadFile(count); string(b) != "x\n" {
		t.Errorf("started %d times", len(b)/2)
	}
	if d := left(j.Token); d != nil {
		t.Errorf("left on the machine: %v", d)
	}
}
