package aws

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// owner is an STS that says to whom every caller belongs.
func owner(t *testing.T, account string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::%s:user/x</Arn><UserId>x</UserId><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, account, account)
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
}

func TestOwners(t *testing.T) {
	owner(t, "111122223333")
	c := NewCloud(CloudOptions{})
	quiet := c.Register(Access{Profile: "other", SkipCredentialValidation: true})
	c.learn(Place{Account: "", Region: "eu-west-1"})
	c.learn(Place{Account: "", Region: "us-east-1"})
	c.learn(Place{Account: quiet, Region: "us-east-1"})
	got, err := c.Owners(context.Background())
	if err != nil || len(got) != 1 || got[""] != "111122223333" {
		t.Errorf("%v %v", got, err)
	}
	if got, err := NewCloud(CloudOptions{Endpoint: "http://127.0.0.1:1"}).Owners(context.Background()); len(got) > 0 || err != nil {
		t.Errorf("the embedded endpoint was asked: %v %v", got, err)
	}
}

func TestAccountNamesSurviveNewKeys(t *testing.T) {
	a := NewCloud(CloudOptions{}).Register(Access{AccessKey: "AKIA1", SecretKey: "s"})
	b := NewCloud(CloudOptions{}).Register(Access{AccessKey: "AKIA2", SecretKey: "t"})
	if a != b {
		t.Errorf("%q and %q: a resume with new keys would make everything again", a, b)
	}
	c := NewCloud(CloudOptions{})
	if c.Register(Access{AccessKey: "AKIA1", SecretKey: "s"}) == c.Register(Access{AccessKey: "AKIA2", SecretKey: "t"}) {
		t.Error("two accounts of one template have one name")
	}
}

// TestOwnersEndure: the question that every resume asks first is asked as often
// as any other, when the answer is that there were too many.
func TestOwnersEndure(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `<ErrorResponse><Error><Code>RequestLimitExceeded</Code><Message>too many</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	defer srv.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	c := NewCloud(CloudOptions{})
	c.Learn([]dag.Node{{Spec: []byte(`{"region":"us-east-1"}`)}})
	owners, err := c.Owners(context.Background())
	if err != nil || owners[""] != "111122223333" {
		t.Errorf("after %d questions: %v, %v", asked, owners, err)
	}
}
