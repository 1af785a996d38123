package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/imgflow/imgflow/dag"
)

func ec2Error(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: code + " happened."}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		call string
		age  time.Duration
		err  error
		want verdict
	}{
		{"RunInstances", time.Second, ec2Error("InvalidGroup.NotFound"), passes},
		{"RunInstances", time.Hour, ec2Error("InvalidGroup.NotFound"), absent},
		{"DeleteSecurityGroup", time.Second, ec2Error("InvalidGroup.NotFound"), absent},
		{"DeleteSecurityGroup", old, ec2Error("DependencyViolation"), passes},
		{"CreateImage", time.Second, ec2Error("InvalidAMIName.Duplicate"), exists},
		{"RunInstances", 0, ec2Error("IdempotentParameterMismatch"), exists},
		{"RunInstances", 0, ec2Error("InsufficientInstanceCapacity"), full},
		{"RunInstances", 0, ec2Error("VcpuLimitExceeded"), fails},
		{"RunInstances", 0, ec2Error("SomethingNew"), fails},
		{"RunInstances", 0, ec2Error("RequestLimitExceeded"), passes},
		{"RunInstances", 0, ec2Error("ExpiredTokenException"), refused},
		{"RunInstances", 0, &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: 503}}, Err: errors.New("busy")}, passes},
		{"RunInstances", 0, context.Canceled, fails},
	} {
		if got := judge(c.call, c.age, c.err).is; got != c.want {
			t.Errorf("%s after %s: %v: %v, want %v", c.call, c.age, c.err, got, c.want)
		}
	}
}

func TestFaultKeepsWhatTheEngineAsksFor(t *testing.T) {
	var again *dag.RetryError
	if err := fault("delete it", "DeleteSecurityGroup", old, ec2Error("DependencyViolation")); !errors.As(err, &again) {
		t.Errorf("%v does not pass", err)
	}
	if err := fault("find it", "DescribeInstances", old, ec2Error("InvalidInstanceID.NotFound")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("%v is not absent", err)
	}
	err := fault("launch t2.micro", "RunInstances", 0, fmt.Errorf("operation error EC2: RunInstances: %w", ec2Error("VcpuLimitExceeded")))
	if got, want := err.Error(), "cannot launch t2.micro: VcpuLimitExceeded: VcpuLimitExceeded happened (end an instance or ask AWS for a higher limit)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if fault("x", "y", 0, nil) != nil {
		t.Error("no error is a fault")
	}
}

// Throttling slows all callers of one bucket, and success brings the pace back.
func TestThrottlingIsShared(t *testing.T) {
	g := newGovernor(0)
	b := g.bucket("RunInstances")
	if g.bucket("RunInstances") != b || g.bucket("StopInstances") == b {
		t.Fatal("buckets are not one for each operation")
	}
	for range 5 {
		if d := b.take(); d != 0 {
			t.Fatalf("a call of the first burst waits %s", d)
		}
	}
	slow := b.take()
	if slow <= 0 {
		t.Error("the burst has no end")
	}
	b.learn(ec2Error("RequestLimitExceeded"))
	if b.rate >= b.refill {
		t.Error("throttling changes nothing")
	}
	for range 100 {
		b.learn(ec2Error("RequestLimitExceeded"))
	}
	if b.rate < b.refill/8 {
		t.Errorf("the pace fell to %f", b.rate)
	}
	for range 100 {
		b.learn(nil)
	}
	if b.rate != b.refill {
		t.Errorf("the pace did not come back: %f of %f", b.rate, b.refill)
	}
}

func TestPollerServesAllWaitsWithOneCall(t *testing.T) {
	calls, most := 0, 0
	state := map[string]int{"a": 0, "b": 0}
	p := newPoller(time.Millisecond, func(_ context.Context, ids []string) (map[string]int, error) {
		calls++
		most = max(most, len(ids))
		for id := range state {
			state[id]++
		}
		return map[string]int{"a": state["a"], "b": state["b"]}, nil
	})
	ends := make(chan error, 3)
	for _, id := range []string{"a", "b"} {
		go func() {
			_, err := p.wait(t.Context(), nil, id, func(n int) (bool, error) { return n >= 3, nil })
			ends <- err
		}()
	}
	for range 2 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if calls > 6 {
		t.Errorf("%d calls", calls)
	}
	if _, err := p.wait(t.Context(), nil, "c", func(int) (bool, error) { return true, nil }); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("a thing that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := p.wait(ctx, nil, "a", func(int) (bool, error) { return false, nil })
		ends <- err
	}()
	cancel()
	if err := <-ends; !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

func isNotMade(err error) bool {
	var not *dag.NotMadeError
	return errors.As(err, &not)
}
