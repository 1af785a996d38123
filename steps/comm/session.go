package comm

import (
	"context"
	"fmt"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm/sshproxy"
	"golang.org/x/crypto/ssh"
)

// Session opens a channel on the machine for a person to work in, such as a
// shell. It does not survive the connection. The channel must be released.
func (e *Env) Session(ctx context.Context, t *dag.Task, m Machine) (s *ssh.Session, release func(), err error) {
	if m.Protocol != "ssh" && m.Protocol != "" {
		return nil, nil, fmt.Errorf("cannot open a shell on %s: the communicator is %s; only ssh has shells", m.Host, m.Protocol)
	}
	l, err := e.conn(ctx, t, m, m.SSH.redialPatience())
	if err != nil {
		return nil, nil, err
	}
	return l.session(ctx)
}

// Channel opens a channel on the machine on which nothing runs yet, for a program here
// that speaks SSH itself. A connection that breaks meanwhile is made again.
func (e *Env) Channel(ctx context.Context, t *dag.Task, m Machine) (sshproxy.Channel, error) {
	for {
		l, err := e.conn(ctx, t, m, m.SSH.redialPatience())
		if err != nil {
			return sshproxy.Channel{}, err
		}
		var reqs <-chan *ssh.Request
		ch, release, err := opened(ctx, l, func() (ch ssh.Channel, err error) {
			ch, reqs, err = l.client.OpenChannel("session", nil)
			return ch, err
		})
		if err == nil {
			return sshproxy.Channel{Channel: ch, Requests: reqs, Release: release}, nil
		}
		if ctx.Err() != nil || !l.broke() {
			return sshproxy.Channel{}, err
		}
	}
}
