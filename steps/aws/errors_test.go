package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

func ec2Error(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: code + " happened."}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		call string
		age  time.Duration
		err  error
		want errorClass
	}{
		{"RunInstances", time.Second, ec2Error("InvalidGroup.NotFound"), transient},
		{"RunInstances", time.Hour, ec2Error("InvalidGroup.NotFound"), notFound},
		{"DeleteSecurityGroup", time.Second, ec2Error("InvalidGroup.NotFound"), notFound},
		{"DeleteSecurityGroup", old, ec2Error("DependencyViolation"), transient},
		{"CreateImage", time.Second, ec2Error("InvalidAMIName.Duplicate"), alreadyExists},
		{"RunInstances", 0, ec2Error("IdempotentParameterMismatch"), alreadyExists},
		{"RunInstances", 0, ec2Error("InsufficientInstanceCapacity"), noCapacity},
		{"RunInstances", 0, ec2Error("VcpuLimitExceeded"), permanent},
		{"RunInstances", 0, ec2Error("SomethingNew"), permanent},
		{"RunInstances", 0, ec2Error("RequestLimitExceeded"), transient},
		{"RunInstances", 0, ec2Error("ExpiredTokenException"), unauthorized},
		{"RunInstances", 0, &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: 503}}, Err: errors.New("busy")}, transient},
		{"RunInstances", 0, context.Canceled, permanent},
	} {
		if got := classify(c.call, c.age, c.err).class; got != c.want {
			t.Errorf("%s after %s: %v: %v, want %v", c.call, c.age, c.err, got, c.want)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	noAnswer := &smithy.OperationError{ServiceID: "EC2", OperationName: "RunInstances", Err: errors.New("dial tcp: no route to host")}
	unsigned := &smithy.OperationError{ServiceID: "EC2", OperationName: "RunInstances", Err: errors.New("get identity: get credentials: failed to refresh cached credentials")}
	for _, c := range []struct {
		call string
		err  error
		want errcode.Code
	}{
		{"RunInstances", unsigned, errcode.NoCredentials},
		{"RunInstances", noAnswer, errcode.CloudNoAnswer},
		{"DescribeImages", &replyError{text: "the list of DescribeImages has no end"}, errcode.CloudNoAnswer},
		{"RunInstances", ec2Error("UnauthorizedOperation"), errcode.Unauthorized},
		{"RunInstances", ec2Error("ExpiredToken"), errcode.Unauthorized},
		{"RunInstances", ec2Error("RequestLimitExceeded"), errcode.Throttled},
		{"RunInstances", ec2Error("VcpuLimitExceeded"), errcode.QuotaReached},
		{"RunInstances", ec2Error("InsufficientInstanceCapacity"), errcode.NoCapacity},
		{"CreateImage", ec2Error("InvalidAMIName.Duplicate"), errcode.NameTaken},
		{"RunInstances", ec2Error("InvalidAMIID.NotFound"), errcode.CloudNotFound},
		{"RunInstances", ec2Error("InvalidSubnetID.NotFound"), errcode.CloudNotFound},
		{"RunInstances", ec2Error("InvalidParameterValue"), errcode.CloudRefused},
	} {
		err := wrapAPI("do it", c.call, old, c.err)
		if got := errcode.Of(err); got != c.want {
			t.Errorf("%v is %q, not %q", err, got, c.want)
		}
	}
}

func TestFaultKeepsWhatTheEngineAsksFor(t *testing.T) {
	var again *dag.RetryError
	if err := wrapAPI("delete it", "DeleteSecurityGroup", old, ec2Error("DependencyViolation")); !errors.As(err, &again) {
		t.Errorf("%v does not pass", err)
	}
	if err := wrapAPI("find it", "DescribeInstances", old, ec2Error("InvalidInstanceID.NotFound")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("%v is not absent", err)
	}
	err := wrapAPI("launch t2.micro", "RunInstances", 0, fmt.Errorf("operation error EC2: RunInstances: %w", ec2Error("VcpuLimitExceeded")))
	if got, want := err.Error(), "cannot launch t2.micro: VcpuLimitExceeded: VcpuLimitExceeded happened (end an instance or ask AWS for a higher limit)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if wrapAPI("x", "y", 0, nil) != nil {
		t.Error("no error is a fault")
	}
}

// Throttling slows all callers of one bucket, and success brings the pace back.
func TestThrottlingIsShared(t *testing.T) {
	g := newLimiter(0)
	b := g.calls("RunInstances")
	if g.calls("RunInstances") != b || g.calls("StopInstances") == b {
		t.Fatal("buckets are not one for each operation")
	}
	for range 5 {
		if !b.tokens.Allow() {
			t.Fatal("a call of the first burst waits")
		}
	}
	if b.tokens.Allow() {
		t.Error("the burst has no end")
	}
	b.learn(ec2Error("RequestLimitExceeded"))
	if b.tokens.Limit() >= b.refill {
		t.Error("throttling changes nothing")
	}
	for range 100 {
		b.learn(ec2Error("RequestLimitExceeded"))
	}
	if b.tokens.Limit() < b.refill/8 {
		t.Errorf("the pace fell to %f", b.tokens.Limit())
	}
	for range 100 {
		b.learn(nil)
	}
	if b.tokens.Limit() != b.refill {
		t.Errorf("the pace did not come back: %f of %f", b.tokens.Limit(), b.refill)
	}
}

func isNotMade(err error) bool {
	var not *dag.NotMadeError
	return errors.As(err, &not)
}

// What AWS refuses is told with the statement that allows it, as far as AWS tells it.
func TestDeniedCallNamesTheStatement(t *testing.T) {
	denied := func(code, message string) string {
		return wrapAPI("launch it", "RunInstances", old, &smithy.OperationError{Err: &smithy.GenericAPIError{Code: code, Message: message}}).Error()
	}
	const who = "User: arn:aws:iam::1:user/x is not authorized to perform: "
	for message, want := range map[string]string{
		"You are not authorized to perform this operation. Encoded authorization failure message: abc":                                                                    "UnauthorizedOperation: You are not authorized to perform this operation (the credentials lack the permission ec2:RunInstances)",
		who + "ec2:RunInstances on resource: arn:aws:ec2:us-east-1:1:instance/i-1 because no identity-based policy allows it. Encoded authorization failure message: abc": `ec2:RunInstances on arn:aws:ec2:us-east-1:1:instance/i-1: add {"Sid":"Add","Effect":"Allow","Action":["ec2:RunInstances"],"Resource":["arn:aws:ec2:us-east-1:1:instance/*"]}, or all that imgflow policy TEMPLATE prints)`,
		who + "iam:PassRole on resource: arn:aws:iam::1:role/r because no":                                                                                                `"Resource":["arn:aws:iam::1:role/r"]`,
		who + "ec2:RunInstances on resource: arn:aws:ec2:us-east-1:1:subnet/subnet-1 because no":                                                                          `"Resource":["arn:aws:ec2:us-east-1:1:subnet/subnet-1"]`,
		who + `s3:PutObject on resource: "arn:aws:s3:::b/k" because no`:                                                                                                   `"Resource":["arn:aws:s3:::b/k"]`,
		who + "ec2:DescribeVpcs on resource: * with an explicit deny in an identity-based policy.":                                                                        "ec2:DescribeVpcs on *: a policy denies it",
	} {
		if got := denied("UnauthorizedOperation", message); !strings.Contains(got, want) || strings.Contains(got, "abc") {
			t.Errorf("%s:\n%s", message, got)
		}
	}
}
