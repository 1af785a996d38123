package aws

import (
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// What a cloud was told is data, and a cloud in another process that is told it calls
// as the first one does: the same accounts, by the same names, at the same places.
func TestHandover(t *testing.T) {
	secret := func(name string) (string, error) { return "value of " + name, nil }
	first := NewCloud(CloudOptions{Secret: secret})
	first.Direct("http://127.0.0.1:7", "id", "key", 3*time.Second)
	own := first.Register(Access{AccessKey: "AKIA", SecretKey: dag.Secret(dag.Mark("k")), CustomEndpointEC2: "http://127.0.0.1:9"})
	plain := first.Register(Access{Profile: "other"})
	first.learn(Place{own, "eu-west-1"})
	told, err := first.Handover()
	if err != nil {
		t.Fatal(err)
	}
	second := NewCloud(CloudOptions{Secret: secret})
	if err := second.TakeOver(told); err != nil {
		t.Fatal(err)
	}
	if a := second.accounts[own]; a.AccessKey != "AKIA" || a.SecretKey != dag.Secret(dag.Mark("k")) || a.CustomEndpointEC2 == "" {
		t.Errorf("the account %s is %+v", own, a)
	}
	if second.accounts[plain].Profile != "other" || len(second.known) != 1 || second.known[0] != (Place{own, "eu-west-1"}) {
		t.Errorf("%+v, %v", second.accounts, second.known)
	}
	if second.o.Endpoint != "http://127.0.0.1:7" || second.o.AccessKey != "id" || second.o.SecretKey != "key" || second.o.ConsistencyWindow != 3*time.Second {
		t.Errorf("calls go to %+v", second.o)
	}
	if err := NewCloud(CloudOptions{}).TakeOver([]byte(`{"places": 1}`)); err == nil {
		t.Error("something else was taken over")
	}
}
