package comm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pkg/sftp"
)

// errNoSFTP is a server without such a subsystem.
var errNoSFTP = errors.New("the machine has no SFTP")

// sftp returns the connection's SFTP client, nil if the server has none.
func (l *sshConn) sftp(ctx context.Context) (*sftp.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files != nil || l.noSFTP {
		return l.files, nil
	}
	c, release, err := l.openSFTP(ctx, nil)
	if errors.Is(err, errNoSFTP) {
		l.noSFTP = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.files = c
	go func() {
		c.Wait()
		release()
	}()
	return c, nil
}

// openSFTP starts an SFTP client on a channel of its own, which release ends.
// What it reads comes through the quota, if there is one.
func (l *sshConn) openSFTP(ctx context.Context, q *quota) (c *sftp.Client, release func(), err error) {
	s, end, err := l.session(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	unhook := context.AfterFunc(ctx, end)
	defer unhook()
	in, err := s.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if q != nil {
		q.r, out = out, q
	}
	if err = s.RequestSubsystem("sftp"); err == nil {
		c, err = sftp.NewClientPipe(out, in, sftp.UseConcurrentWrites(true))
	}
	switch {
	case err == nil:
		return c, end, l.useLargePackets(c)
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case l.broke():
		return nil, nil, errDropped
	}
	return nil, nil, errNoSFTP // refused, or no server behind it
}

// What OpenSSH's server takes in one message (limits@openssh.com in its PROTOCOL;
// SFTP_MAX_MSG_LENGTH less 1024), and how many of them fill a channel's window of
// 2 MiB twice.
const (
	wideMessage  = 255 << 10
	wideMessages = 16
)

// useLargePackets lets the client use messages of 255 KiB where they are known to be taken:
// each is answered, so with the 32 KiB that every server takes there are eight
// times as many, and they cost more than the data.
func (l *sshConn) useLargePackets(c *sftp.Client) error {
	if _, ok := c.HasExtension("limits@openssh.com"); !ok || !strings.HasPrefix(string(l.client.ServerVersion()), "SSH-2.0-OpenSSH") {
		return nil
	}
	return errors.Join(sftp.MaxPacketUnchecked(wideMessage)(c), sftp.MaxConcurrentRequestsPerFile(wideMessages)(c))
}

// abort makes ctx end whatever the SFTP client is doing: it has no other way.
// A client that was aborted is replaced by the next one that asks.
func (l *sshConn) abort(ctx context.Context, c *sftp.Client) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		l.mu.Lock()
		if l.files == c {
			l.files = nil
		}
		l.mu.Unlock()
		c.Close()
	})
}

// files calls over with a live SFTP client, or without when the server has none.
func (r *remote) files(ctx context.Context, over func(c *sftp.Client) error, without func(l *sshConn) error) error {
	return r.attempt(ctx, func(l *sshConn) error {
		c, err := l.sftp(ctx)
		if err != nil {
			return err
		}
		if c == nil {
			return without(l)
		}
		stop := l.abort(ctx, c)
		err = over(c)
		if !stop() && ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, sftp.ErrSSHFxConnectionLost) {
			l.mu.Lock()
			if l.files == c {
				l.files = nil
			}
			l.mu.Unlock()
			return fmt.Errorf("%w: %v", errDropped, err)
		}
		return err
	})
}

// relative makes a path that begins with ~/ one below the login directory,
// where both SFTP and our scripts begin.
func relative(p string) string {
	switch {
	case p == "~":
		return "."
	case strings.HasPrefix(p, "~/"):
		return "./" + strings.TrimLeft(p[2:], "/")
	}
	return p
}
