package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps/comm"
)

// OpenSession waits until Session Manager reaches the instance, for ssh_interface
// session_manager: its agent has to connect first. From then on connections go through
// sessions, of which every process that works on the machine has its own; all carry the
// token of this step, by which they are found and ended.
type OpenSession struct {
	Instance dag.Out[Instance]      `json:"instance"`
	Running  dag.Out[comm.Endpoint] `json:"running"`
	Port     int                    `json:"port,omitempty"`            // of the machine; 0: that of the endpoint
	Listen   int                    `json:"listen,omitempty"`          // the port of this computer that leads there, too
	Pause    time.Duration          `json:"pause,omitempty" key:"-"`   // before the first session
	Timeout  time.Duration          `json:"timeout,omitempty" key:"-"` // for the agent; 0: sessionTimeout
}

// Sessions are those of Session Manager to an instance.
type Sessions struct {
	Place
	comm.Tunnel
	Instance string `json:"instance"`
}

// sessionTimeout is how long the agent of a machine may take: the services of Windows start
// late, and an instance profile needs its time.
const sessionTimeout = 10 * time.Minute

func (OpenSession) Kind() string  { return "aws.session" }
func (OpenSession) Title() string { return "wait until Session Manager reaches the instance" }

// Do begins the first session.
func (s OpenSession) Do(ctx context.Context, c *Cloud, t *dag.Task) (Sessions, error) {
	in, e := s.Instance.Value(), s.Running.Value()
	if s.Port != 0 {
		e.Port = s.Port
	}
	made := Sessions{in.Place, comm.Tunnel{Name: t.Token, Listen: s.Listen}, in.ID}
	e.Tunnel = made.Tunnel
	if s.Pause > 0 {
		t.Say("waiting %s before the first session", s.Pause)
		if err := sleep.For(ctx, s.Pause); err != nil {
			return made, err
		}
	}
	timeout := s.Timeout
	if timeout == 0 {
		timeout = sessionTimeout
	}
	t.Say("waiting until Session Manager reaches %s", in.ID)
	for began, wait := time.Now(), time.Second; ; wait = min(2*wait, 10*time.Second) {
		client, err := c.tunnel(ctx, e)
		if err == nil {
			t.Say("Session Manager reaches %s", client.instance)
			return made, nil
		}
		if ctx.Err() != nil {
			return made, ctx.Err()
		}
		if code, _ := apiError(err); code != "TargetNotConnected" {
			return made, err
		}
		if st := c.Status(ctx, e); st.State != "" {
			return made, takenIf(st.Taken, fmt.Errorf("cannot reach %s: %w", in.ID, &comm.DownError{Status: st}))
		}
		left := timeout - time.Since(began)
		if left <= 0 {
			return made, errcode.With(errcode.ConnectTimeout, fmt.Errorf("cannot reach %s by Session Manager: its agent has not connected in %s: look whether the image has amazon-ssm-agent, "+
				"whether the role of its instance profile has the policy AmazonSSMManagedInstanceCore, and whether its subnet leads to ssm and ssmmessages of %s", in.ID, timeout, in.Region))
		}
		if err := sleep.For(ctx, min(wait, left)); err != nil {
			return made, err
		}
	}
}

// Find looks for a session by the token. That they are known is enough: they end by
// themselves, and are begun again.
func (s Sessions) Find(ctx context.Context, c *Cloud, t *dag.Task) (Sessions, error) {
	if s.Instance != "" {
		return s, nil
	}
	var settings OpenSession
	if err := t.Settings(&settings); err != nil {
		return s, err
	}
	return findAnywhere(ctx, c, s.Place, func(at *site) (Sessions, error) {
		list, err := c.sessionsOf(ctx, at.Place, "", t.Token)
		if err != nil {
			return s, err
		}
		if len(list) == 0 {
			return s, dag.ErrNotFound
		}
		return Sessions{at.Place, comm.Tunnel{Name: t.Token, Listen: settings.Listen}, list[0].Target}, nil
	})
}

// Undo ends all sessions.
func (s Sessions) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	c.tunnels.close(s.Tunnel.Name)
	list, err := c.sessionsOf(ctx, s.Place, s.Instance, s.Tunnel.Name)
	if err != nil {
		return err
	}
	var errs []error
	for _, x := range list {
		err := c.callJSON(ctx, s.Place, parameterStore, "TerminateSession", map[string]string{"SessionId": x.SessionID}, &struct{}{})
		errs = append(errs, gone("end the session "+x.SessionID, "TerminateSession", err))
	}
	return errors.Join(errs...)
}

// Label names the machine.
func (s Sessions) Label() string { return "sessions to " + s.Instance }

// managedSession is what DescribeSessions shows of one.
type managedSession struct {
	SessionID string `json:"SessionId"`
	Target    string
	Reason    string
}

// mostPages is how many pages of an account's sessions are looked through.
const mostPages = 100

// sessionsOf are the sessions of a token that go on, to an instance if that is known.
func (c *Cloud) sessionsOf(ctx context.Context, p Place, instance, token string) (list []managedSession, err error) {
	in := map[string]any{"State": "Active", "MaxResults": 200}
	if instance != "" {
		in["Filters"] = []map[string]string{{"key": "Target", "value": instance}}
	}
	for range mostPages {
		var out struct {
			Sessions  []managedSession
			NextToken string
		}
		if err := c.callJSON(ctx, p, parameterStore, "DescribeSessions", in, &out); err != nil {
			return nil, wrapAPI("look for the sessions", "DescribeSessions", old, err)
		}
		for _, x := range out.Sessions {
			if x.Reason == sessionReason(token) {
				list = append(list, x)
			}
		}
		if out.NextToken == "" {
			break
		}
		in["NextToken"] = out.NextToken
	}
	return list, nil
}

// sessionReason is what a session says that it is for.
func sessionReason(token string) string { return "imgflow " + token }
