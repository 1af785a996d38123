package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps/comm"
)

// Stop stops the provisioned instance, so that its volumes are at rest.
type Stop struct {
	Instance dag.Out[Instance]      `json:"instance"`
	After    dag.Take[comm.Machine] `json:"after"`
	Itself   bool                   `json:"itself,omitempty"`        // the machine has been told to stop by itself
	Early    bool                   `json:"early,omitempty"`         // it is enough that the machine is off, if it shows that
	Apart    bool                   `json:"apart,omitempty" key:"-"` // no image is made of the instance itself
}

// Stopped is an instance at rest.
type Stopped struct {
	Place
	ID  string `json:"id"`
	VPC string `json:"vpc,omitempty"`

	Machine comm.Machine `json:"machine,omitzero"` // as provisioners have left it

	Stopping bool `json:"stopping,omitempty"` // the machine is off, and EC2 was not done with it
}

func (Stop) Kind() string  { return "aws.stop" }
func (Stop) Title() string { return "stop the instance" }

// Do stops the instance and waits; one that has stopped by itself is welcome.
func (s Stop) Do(ctx context.Context, c *Cloud, t *dag.Task) (Stopped, error) {
	in := s.Instance.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Stopped{}, err
	}
	if in.Spot {
		return s.unstopped(ctx, at, t)
	}
	early := s.Early && !t.Resumed && !s.Itself && at.neverOff(ctx, in.ID)
	stopping := untilStopped
	if s.Itself || t.Resumed { // nobody knows since when
		stopping = expected{}
	}
	if s.Itself {
		t.Say("waiting until %s stops by itself", in.ID)
	} else {
		t.Say("stopping %s", in.ID)
		out, err := at.api.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{in.ID}})
		if err != nil {
			return Stopped{}, wrapAPI("stop "+in.ID, "StopInstances", since(in.Made), err)
		}
		if slices.ContainsFunc(out.StoppingInstances, func(c types.InstanceStateChange) bool {
			return text(c.InstanceId) == in.ID && c.CurrentState != nil && c.CurrentState.Name == types.InstanceStateNameStopped
		}) {
			return s.rest(), nil // it was at rest already
		}
	}
	waiting, shown := ctx, func() bool { return false }
	if early {
		waiting, shown = at.untilOff(ctx, in.ID)
	}
	_, err = at.instances.wait(waiting, t, in.ID, stopping, func(i types.Instance) (bool, error) {
		switch i.State.Name {
		case types.InstanceStateNameStopped:
			return true, nil
		case types.InstanceStateNameShuttingDown, types.InstanceStateNameTerminated:
			return false, fmt.Errorf("cannot image %s: it is %s%s", in.ID, i.State.Name, reason(i))
		}
		return false, nil
	})
	if shown() {
		t.Say("%s has powered down", in.ID)
		off := s.rest()
		off.Stopping = true
		return off, nil
	}
	if err != nil {
		return Stopped{}, waitFault(in.ID, err)
	}
	return s.rest(), nil
}

// rest is the instance at rest.
func (s Stop) rest() Stopped {
	in := s.Instance.Value()
	return Stopped{Place: in.Place, ID: in.ID, VPC: in.VPC, Machine: s.After.Value()}
}

// poweredDown is the last that Linux prints, when all file systems are at rest.
const poweredDown = "reboot: Power down"

// neverOff reports whether the console of a machine is there to be read, and shows that it was
// not off before: then what it shows from now on is of now.
func (s *site) neverOff(ctx context.Context, id string) bool {
	console := s.console(ctx, id)
	return console != "" && !strings.Contains(console, poweredDown)
}

// lookForOff is how often a console is read for the end of a machine, and looksForOff how often at most.
const (
	lookForOff  = 2 * time.Second
	looksForOff = 60
)

// untilOff is a context that ends when the machine shows that it is off. The function ends it,
// too, and reports whether that was shown.
func (s *site) untilOff(ctx context.Context, id string) (waiting context.Context, shown func() bool) {
	waiting, enough := context.WithCancel(ctx)
	off := make(chan bool, 1)
	go func() {
		seen := false
		for n := 0; !seen && n < looksForOff && sleep.For(waiting, lookForOff) == nil; n++ {
			seen = strings.Contains(s.console(waiting, id), poweredDown)
		}
		if off <- seen; seen {
			enough()
		}
	}()
	return waiting, func() bool { enough(); return <-off }
}

// unstopped leaves a spot instance as it runs, since EC2 stops none that was asked for once. It
// is shut down for a moment while its image is made.
func (s Stop) unstopped(ctx context.Context, at *site, t *dag.Task) (Stopped, error) {
	in := s.Instance.Value()
	if s.Apart {
		t.Say("%s is a spot instance, which cannot be stopped: its volumes are as they are now", in.ID)
	} else {
		t.Say("%s is a spot instance, which cannot be stopped: it is rebooted for its image", in.ID)
	}
	_, err := at.instances.wait(ctx, t, in.ID, expected{}, func(i types.Instance) (bool, error) {
		if ended(*i.State) {
			return false, takenIf(reclaimed(i), fmt.Errorf("cannot image %s: it is %s%s", in.ID, i.State.Name, reason(i)))
		}
		return true, nil
	})
	if err != nil {
		return Stopped{}, waitFault(in.ID, err)
	}
	return s.rest(), nil
}

// Patience covers an instance that is still pending.
func (Stop) Patience() time.Duration { return 5 * time.Minute }
