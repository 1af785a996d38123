package comm

import (
	"context"
	"fmt"

	"github.com/imgflow/imgflow/dag"
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
