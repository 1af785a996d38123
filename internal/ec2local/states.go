package ec2local

import (
	"fmt"
	"slices"
	"strings"
)

type stateChange struct {
	ID       string    `xml:"instanceId"`
	Current  stateItem `xml:"currentState"`
	Previous stateItem `xml:"previousState"`
}

type stateChanges struct {
	Changes set[stateChange] `xml:"instancesSet"`
}

func (r *stateChanges) summary() string {
	var out []string
	for _, c := range r.Changes.Items {
		out = append(out, fmt.Sprintf("%s %s->%s", c.ID, c.Previous.Name, c.Current.Name))
	}
	return strings.Join(out, ", ")
}

func (r *stateChanges) add(i *instance, previous string) {
	r.Changes.Items = append(r.Changes.Items, stateChange{i.ID, stateOf(i.State), stateOf(previous)})
}

// because notes who asked for a change of state, as EC2 words it.
func (i *instance) because(c *call, code, message, word string) {
	i.Code, i.Message = code, message
	i.Reason = ""
	if word != "" {
		i.Reason = word + " (" + c.now.UTC().Format("2006-01-02 15:04:05 MST") + ")"
	}
}

func incorrectState(i *instance, verb string) error {
	return fail("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", i.ID, verb)
}

type startRequest struct {
	InstanceIds []string
}

func startInstances(c *call, q *startRequest) (*stateChanges, error) {
	is, err := c.ofState(q.InstanceIds)
	if err != nil {
		return nil, err
	}
	r := &stateChanges{}
	for _, i := range is {
		was := i.State
		switch {
		case i.Spot:
			return nil, fail("UnsupportedOperation", "You can't start the Spot Instance '%s' because it is associated with a one-time Spot Instance request.", i.ID)
		case was == stopped && !slices.ContainsFunc(i.Devices, func(d device) bool { return d.Name == i.RootDevice }):
			return nil, fail("IncorrectInstanceState", "Invalid value '%s' for instanceId. Instance does not have a volume attached at root (%s)", i.ID, i.RootDevice)
		case was == stopped && i.Rootless && c.s.boots():
			return nil, fail("UnsupportedOperation", "The instance %s has another root volume than the one it was launched with, and no guest of this endpoint can boot a disk: do it at AWS.", i.ID)
		case was == stopped:
			i.State, i.Due, i.Launched, i.Impaired = pending, c.now.Add(c.s.takes.start), c.now.UTC(), false
			i.because(c, "", "", "")
			put(c.txn, i)
			c.wake(i)
		case was != running && was != pending:
			return nil, incorrectState(i, "started")
		}
		r.add(i, was)
	}
	return r, nil
}

type stopRequest struct {
	InstanceIds      []string
	Force, Hibernate bool
	SkipOsShutdown   bool
}

func stopInstances(c *call, q *stopRequest) (*stateChanges, error) {
	is, err := c.ofState(q.InstanceIds)
	if err != nil {
		return nil, err
	}
	if q.Hibernate {
		return nil, fail("UnsupportedHibernationConfiguration", "The instances are not configured for hibernation.")
	}
	r := &stateChanges{}
	for _, i := range is {
		was := i.State
		switch {
		case i.NoStop && was == running:
			return nil, fail("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", i.ID)
		case i.Spot && was == running:
			return nil, fail("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", i.ID)
		case was == running:
			i.State, i.Due = stopping, c.now.Add(c.s.takes.stop)
			i.because(c, "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown", "User initiated")
			put(c.txn, i)
			c.wake(i)
		case was != stopping && was != stopped:
			return nil, incorrectState(i, "stopped")
		}
		r.add(i, was)
	}
	return r, nil
}

type terminateRequest struct {
	InstanceIds           []string
	Force, SkipOsShutdown bool
}

func terminateInstances(c *call, q *terminateRequest) (*stateChanges, error) {
	is, err := c.ofState(q.InstanceIds)
	if err != nil {
		return nil, err
	}
	r := &stateChanges{}
	for _, i := range is {
		was := i.State
		if i.NoTerminate && was != shuttingDown && was != terminated {
			return nil, fail("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", i.ID)
		}
		if was != shuttingDown && was != terminated {
			i.State, i.Due = shuttingDown, c.now.Add(c.s.takes.terminate)
			i.because(c, "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown", "User initiated")
			put(c.txn, i)
			c.wake(i)
		}
		r.add(i, was)
	}
	return r, nil
}

func rebootInstances(c *call, q *startRequest) (*empty, error) {
	is, err := c.ofState(q.InstanceIds)
	if err != nil {
		return nil, err
	}
	for _, i := range is {
		if i.State != running {
			return nil, incorrectState(i, "rebooted")
		}
		i.Reboot, i.Impaired = true, false
		put(c.txn, i)
		c.wake(i)
	}
	return nil, nil
}
