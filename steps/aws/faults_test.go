package aws

import (
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// whole is a template whose build makes one of everything.
func whole() *EBS {
	b := template()
	b.Communicator = "ssh"
	b.SSH.Username = "ubuntu"
	return b
}

func TestBadWeather(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ec2local.Faults{Throttle: 0.2, Error: 0.05, Reset: 0.03, LostReply: 0.03, Lag: 500 * time.Millisecond, Seed: 7})
	b := whole()
	b.TemporaryPolicy = reading
	w.build(&dag.MemStore{}, w.graph(b))
	time.Sleep(600 * time.Millisecond) // until every call sees everything
	w.only(1)
	w.nothingOfIAM()
}
