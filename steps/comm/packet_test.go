package comm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
)

// countingConn counts what is written to it and read from it.
type countingConn struct {
	net.Conn
	writes, bytes, read atomic.Int64
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	n, err := c.Conn.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// counted connects the lab by a connection that counts.
func (l *lab) counted(t testing.TB, m Machine) *countingConn {
	t.Helper()
	var c *countingConn
	k, err := l.env.handshake(t.Context(), l.task, func(ctx context.Context, network, addr string) (net.Conn, error) {
		tc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		c = &countingConn{Conn: tc}
		return c, err
	}, m.address(), m.SSH.login(), m.HostKeys, m.SSH)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := l.env.slot(m)
	if err != nil {
		t.Fatal(err)
	}
	slot.live = k
	return c
}

// A packet costs a server the same whatever it holds, so they are filled: gzip
// and tar write a few hundred bytes at a time.
func TestPacketsAreFull(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	for name, body := range map[string][]byte{"random": random(2048), "text": prose(2048)} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, s.machine())
			c := l.counted(t, s.machine())
			src := t.TempDir()
			for i := range 500 {
				if err := os.WriteFile(fmt.Sprintf("%s/%d", src, i), append(body, fmt.Sprint(i)...), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			writes, n := c.writes.Load(), c.bytes.Load()
			if err := l.remote.UploadDir(t.Context(), t.TempDir(), src); err != nil {
				t.Fatal(err)
			}
			// The library writes a packet in two or three pieces.
			writes, n = c.writes.Load()-writes, c.bytes.Load()-n
			if packets := n/block + 10; writes > 3*packets {
				t.Errorf("%d bytes went in %d writes, %d each", n, writes, n/writes)
			}
		})
	}
}

// So is each message of SFTP, which is answered.
func TestMessagesAreWide(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	l := newLab(t, s.machine())
	c := l.counted(t, s.machine())
	file, body := t.TempDir()+"/f", random(16<<20)
	const blocks = 16 << 20 / block
	for _, tt := range []struct {
		what string
		most int64 // writes of ours: the library writes a packet in two pieces
		f    func() error
	}{
		{"up", blocks * 5 / 2, func() error {
			return l.remote.Upload(t.Context(), file, bytes.NewReader(body), int64(len(body)), 0o644)
		}},
		{"down", blocks, func() error {
			var got bytes.Buffer
			if err := l.remote.Download(t.Context(), file, &got); err != nil {
				return err
			}
			if !bytes.Equal(got.Bytes(), body) {
				return errors.New("it is not what was sent")
			}
			return nil
		}},
	} {
		before := c.writes.Load()
		if err := tt.f(); err != nil {
			t.Fatal(tt.what, err)
		}
		if n := c.writes.Load() - before; n > tt.most {
			t.Errorf("%s: %d writes for %d blocks", tt.what, n, blocks)
		}
	}
}

// A tree is compressed where that pays, and only there, both ways. The header of
// each file lets even random ones shrink a little.
func TestCompressionWhereItPays(t *testing.T) {
	t.Parallel()
	const files, size = 500, 2048
	check := func(t *testing.T, s *server) {
		for _, kind := range []struct {
			name        string
			fill        func(int) []byte
			least, most int64 // bytes on the wire
		}{
			{"random", random, files * (size + 512), files * (size + 512) * 11 / 10},
			{"text", prose, 0, files * size / 2},
		} {
			l := newLab(t, s.machine())
			c := l.counted(t, s.machine())
			src, up, down, body := t.TempDir(), t.TempDir(), t.TempDir(), kind.fill(files*size)
			for i := range files {
				if err := os.WriteFile(fmt.Sprintf("%s/%d", src, i), body[i*size:][:size], 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, way := range []struct {
				name string
				n    *atomic.Int64
				f    func() error
			}{
				{"up", &c.bytes, func() error { return l.remote.UploadDir(t.Context(), up, src) }},
				{"down", &c.read, func() error { return downloadDir(t.Context(), l.remote, up, down) }},
			} {
				before := way.n.Load()
				if err := way.f(); err != nil {
					t.Fatal(kind.name, way.name, err)
				}
				if n := way.n.Load() - before; n < kind.least || n > kind.most {
					t.Errorf("%s, %s: %d bytes, want %d to %d", kind.name, way.name, n, kind.least, kind.most)
				}
			}
			if describe(t, down) != describe(t, src) {
				t.Errorf("%s: what came back is not what was sent", kind.name)
			}
		}
	}
	eachShell(t, check)
	// The tar that is ended early may not be ended by a signal.
	t.Run("SIGPIPE ignored", func(t *testing.T) {
		t.Parallel()
		check(t, sshd(t, "dash", `ForceCommand trap "" PIPE; eval "$SSH_ORIGINAL_COMMAND"`))
	})
}
