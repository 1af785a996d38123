package comm

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/nettest"
)

// echoes is the port of a server that says back what it hears until its client has said all.
func echoes(t *testing.T) int {
	t.Helper()
	return nettest.Serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { io.Copy(c, c) }).(*net.TCPAddr).Port
}

// echoed says something to a port, and all that is to be said, and returns the answer.
func echoed(port int, what string) (string, error) {
	c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	go func() {
		io.WriteString(c, what)
		c.(*net.TCPConn).CloseWrite()
	}()
	b, err := io.ReadAll(c)
	return string(b), err
}

// Tunnels lead both ways through a real sshd for as long as there is a connection, and are there again with the next one.
func TestForwards(t *testing.T) {
	t.Parallel()
	m := sshd(t, "dash").machine()
	to, local, remote := echoes(t), freePort(t), freePort(t)
	m.SSH.LocalTunnels = []string{fmt.Sprintf("%d:127.0.0.1:%d", local, to)}
	m.SSH.RemoteTunnels = []string{fmt.Sprintf("%d:localhost:%d", remote, to)}
	l := newLab(t, m)
	m, err := connect(t, l, Connect{SSH: m.SSH}, m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for range 2 {
		for _, port := range []int{local, remote} {
			if got, err := echoed(port, big); err != nil || got != big {
				t.Errorf("%d bytes of %d through port %d: %v", len(got), len(big), port, err)
			}
		}
		open, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", local))
		if err != nil {
			t.Fatal(err)
		}
		l.env.drop(m)
		open.SetDeadline(time.Now().Add(30 * time.Second))
		if n, err := open.Read(make([]byte, 1)); n > 0 || err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("one that was open when the connection ended: %d, %v", n, err)
		}
		open.Close()
		if x := l.mustRun(t, l.job("exit 0")); x.Code != 0 {
			t.Error(x)
		}
		l.task.Token = newToken()
	}
	if w := l.sink.texts(dag.Warned); len(w) > 0 {
		t.Errorf("%q", w)
	}
}

// A tunnel that cannot be fails the connection before anything is done with it, and says why. One that cannot be
// any more is told of, and is there as soon as it can.
func TestForwardsThatCannotBe(t *testing.T) {
	t.Parallel()
	taken := nettest.Silent(t, "tcp", "127.0.0.1:0").(*net.TCPAddr).Port
	fails := func(s *server, change func(*SSH), want string) {
		t.Helper()
		m := s.machine()
		change(&m.SSH)
		_, err := connect(t, newLab(t, m), Connect{SSH: m.SSH}, m.Endpoint)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	s := sshd(t, "dash")
	fails(s, func(s *SSH) { s.LocalTunnels = []string{fmt.Sprintf("%d:localhost:80", taken)} }, fmt.Sprintf("ssh_local_tunnels: cannot listen at port %d: ", taken))
	fails(s, func(s *SSH) { s.RemoteTunnels = []string{fmt.Sprintf("%d:localhost:80", taken)} }, fmt.Sprintf("ssh_remote_tunnels: cannot listen at port %d: ", taken))
	fails(sshd(t, "dash", "AllowTcpForwarding no"), func(s *SSH) { s.RemoteTunnels = []string{fmt.Sprintf("%d:localhost:80", freePort(t))} }, "AllowTcpForwarding")

	m, port := s.machine(), freePort(t)
	m.SSH.LocalTunnels = []string{fmt.Sprintf("%d:127.0.0.1:%d", port, echoes(t))}
	l := newLab(t, m)
	m, err := connect(t, l, Connect{SSH: m.SSH}, m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l.env.drop(m)
	var thief net.Listener
	for thief == nil {
		thief, _ = net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
	}
	l.mustRun(t, l.job("exit 0"))
	if w := l.sink.texts(dag.Warned); len(w) != 1 || !strings.Contains(w[0], "trying again") {
		t.Errorf("%q", w)
	}
	thief.Close()
	for {
		if got, err := echoed(port, "there"); err == nil && got == "there" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestCheckForwards(t *testing.T) {
	for text, good := range map[string]bool{"8080:localhost:80": true, "1:[::1]:65535": true, "8080": false, "8080:80": false, "8080:localhost:": false, "0:h:1": false, "8080::80": false,
		"65536:h:1": false, "-1:h:1": false, "a:h:1": false, "127.0.0.1:8080:localhost:80": false, "8080:h:0": false, "8080:::1:80": false} {
		if got := optionErrors(SSH{Username: "u", LocalTunnels: []string{text}}); (got == "") != good {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := optionErrors(SSH{Username: "u", RemoteTunnels: []string{"8080:a:1", "8080:b:1"}}); got != "ssh_remote_tunnels[1]: the port 8080 is given twice" {
		t.Error(got)
	}
}
