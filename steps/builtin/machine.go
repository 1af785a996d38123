package builtin

import (
	"context"
	"net"
	"strconv"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Machine is a machine that is there already.
type Machine struct {
	Build    string `json:"build"` // two builds take it one by one, each as its own
	Protocol string `json:"protocol"`
	Host     string `json:"host,omitempty"`
	Port     int    `json:"port,omitempty"`
}

// GivenMachine is where a machine is that nobody here makes or removes.
type GivenMachine struct{ comm.Endpoint }

// Given marks that it was there before.
func (GivenMachine) Given() {}

// noID is what Packer says of machines that it has not made.
const noID = "ERR_ID_NOT_IMPLEMENTED_BY_BUILDER"

func (Machine) Kind() string { return "builtin.machine" }
func (s Machine) Title() string {
	if s.Host == "" {
		return "no machine is reached"
	}
	return "take the machine at " + net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Do makes nothing: whether the machine answers, Connect finds out.
func (s Machine) Do(_ context.Context, _ *comm.Env, _ *dag.Task) (GivenMachine, error) {
	return GivenMachine{comm.Endpoint{Protocol: s.Protocol, Host: s.Host, Port: s.Port, Vars: map[string]string{
		"ID": noID,
	}}}, nil
}
