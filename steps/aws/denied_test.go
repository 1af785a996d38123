package aws

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// With decode_authorization_messages a refusal that says nothing in clear names the action and
// the statement to add.
func TestDecodeDenied(t *testing.T) {
	const sealed = "You are not authorized to perform this operation." + encodedPart + "abc"
	for name, c := range map[string]struct{ message, plain, want string }{
		"sealed":    {sealed, `{"allowed":false,"explicitDeny":false,"context":{"action":"ec2:RunInstances","resource":"arn:aws:ec2:us-east-1:1:instance/*"}}`, `lack the permission ec2:RunInstances on arn:aws:ec2:us-east-1:1:instance/*: add {"Sid":"Add","Effect":"Allow","Action":["ec2:RunInstances"],"Resource":["arn:aws:ec2:us-east-1:1:instance/*"]}`},
		"a deny":    {sealed, `{"explicitDeny":true,"context":{"action":"ec2:RunInstances","resource":"*"}}`, "a policy denies it"},
		"no JSON":   {sealed, "\x1b[2Jwhat", "could not be decoded"},
		"in clear":  {"User: u is not authorized to perform: ec2:RunInstances on resource: * because no" + encodedPart + "abc", `{"context":{"action":"ec2:Other"}}`, "lack the permission ec2:RunInstances on *"},
		"not ours":  {"No.", "", "UnauthorizedOperation: No ("},
		"says less": {sealed, "{}", "lack the permission ec2:RunInstances)"},
	} {
		err := decodeDenied(t.Context(), &smithy.OperationError{Err: &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: c.message}}, func(_ context.Context, s string) (string, error) {
			if s != "abc" {
				t.Errorf("%s: asked about %q", name, s)
			}
			return c.plain, nil
		})
		if got := wrapAPI("launch it", "RunInstances", old, err).Error(); !strings.Contains(got, c.want) || strings.Contains(got, "abc") || strings.ContainsRune(got, 0x1b) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	err := decodeDenied(t.Context(), &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: sealed}, func(context.Context, string) (string, error) {
		return "", errors.New("the test says no")
	})
	if got := wrapAPI("launch it", "RunInstances", old, err).Error(); !strings.Contains(got, "It could not be decoded: the test says no") {
		t.Error(got)
	}
}

// What the endpoint seals is what it decodes for whoever may ask.
func TestDecodeOfTheEndpoint(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.json")
	writePolicy(t, policy, everything)
	w := newWorldOf(t, ec2local.Options{Policy: policy})
	b := template()
	b.DecodeAuthorizationMessages = true
	g := w.graph(b)
	writePolicy(t, policy, Policy{Version: "2012-10-17", Statement: []Statement{
		{Sid: "Most", Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"}},
		{Sid: "No", Effect: "Deny", Action: []string{"ec2:RunInstances"}, Resource: []string{"*"}},
	}})
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), g)
	if err != nil || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "a policy denies it") {
		t.Fatalf("%v, failed %v", err, r.Failed)
	}
	if n := w.front.count("DecodeAuthorizationMessage"); n == 0 {
		t.Error("nothing was decoded")
	}
}
