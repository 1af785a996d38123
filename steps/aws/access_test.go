package aws

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/nettest"
)

// alive are the steps whose things may exist.
func alive(e *dag.Engine) (names []string) {
	for _, r := range e.Records() {
		if r.Alive() {
			names = append(names, r.Name)
		}
	}
	return names
}

// Credentials that EC2 does not take are reported once, and nothing is left over.
func TestBadCredentialsFailOnce(t *testing.T) {
	for _, c := range []struct{ code, message, want string }{
		{"AuthFailure", "AWS was not able to validate the provided access credentials", "look at the credentials"},
		{"AuthFailure", "Credential should be scoped to a valid region, not 'us-east-9'. ", "look at region"},
		{"InvalidClientTokenId", "The security token included in the request is invalid", "the access key does not exist"},
		{"RequestExpired", "Request has expired.", "this machine's clock is wrong"},
	} {
		w := newWorld(t, ec2local.Faults{})
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			refuse(rw, 401, c.code, c.message)
			return true
		})
		e := w.engine(&dag.MemStore{}, &events{})
		r, err := e.Solve(t.Context(), w.graph(whole()))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Failed) != 1 || len(r.Left) != 0 || len(alive(e)) != 0 {
			t.Errorf("%s: failed %v, left %v, alive %v", c.code, r.Failed, r.Left, alive(e))
		}
		if got := r.Failed[0].Err.Error(); !strings.Contains(got, "cannot use EC2 in us-east-1: "+c.code) || !strings.Contains(got, c.want) {
			t.Error(got)
		}
		if w.front.total() != 1 {
			t.Errorf("calls: %v", w.front.calls)
		}
	}
}

// Without credentials nothing is ever sent, and nobody looks for what was made.
func TestNoCredentialsFailOnce(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("a call was sent") }))
	defer srv.Close()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	w := newWorld(t, ec2local.Faults{})
	w.cloud = NewCloud(CloudOptions{Getenv: os.Getenv, Vault: w.vault})
	e := w.engine(&dag.MemStore{}, &events{})
	r, err := e.Solve(t.Context(), w.graph(whole()))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 1 || len(r.Left) != 0 || len(alive(e)) != 0 || !strings.Contains(r.Failed[0].Err.Error(), "no usable AWS credentials") {
		t.Errorf("failed %v, left %v, alive %v", r.Failed, r.Left, alive(e))
	}
	// The same of a step that makes something, when the credentials went later.
	if _, err := do(w, task("t"), Group{Place: here, Network: dag.Lit(Network{})}); !isNotMade(err) {
		t.Errorf("may have made something: %v", err)
	}
}

// A metadata service at which nobody listens gives no credentials, however often it
// is asked.
func TestNoMetadataService(t *testing.T) {
	bare(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+nettest.Closed().String())
	w := newWorld(t, ec2local.Faults{})
	w.cloud = NewCloud(CloudOptions{Vault: w.vault})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := whole()
	b.Access.MaxRetries = 2
	var heard events
	r, err := w.engine(&dag.MemStore{}, &heard).Solve(ctx, w.graph(b))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(heard.list, func(e dag.Event) bool { return e.Type == dag.Retrying }) {
		t.Error("the step was tried again")
	}
	if len(r.Failed) != 1 {
		t.Fatalf("failed %v", r.Failed)
	}
	got := r.Failed[0].Err.Error()
	if !strings.Contains(got, "no usable AWS credentials") || !strings.Contains(got, "connection refused") {
		t.Error(got)
	}
	if strings.Contains(got, "attempts, 2") { // those of the SDK's own looks are 3
		t.Errorf("the call was tried again: %v", got)
	}
}

// Whoever may not look at security groups may build all the same, where there are
// none of the build's own.
func TestAccessNeedsNoPermission(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "DescribeSecurityGroups" {
			refuse(rw, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
		}
		return action == "DescribeSecurityGroups"
	})
	w.build(&dag.MemStore{}, w.graph(template()))
	w.front.setPlay(nil)
	w.only(1)
}

// Credentials that end in the middle of a build: what was not made needs no look,
// but a call whose first answer was lost may have made something.
func TestCredentialsThatEnd(t *testing.T) {
	const making = "CreateSecurityGroup"
	for _, lost := range []bool{false, true} {
		w := newWorld(t, ec2local.Faults{})
		w.front.setCut(func(action string, n int) cut {
			if lost && action == making && n == 1 {
				return cuts["before the reply"]
			}
			return nil
		})
		var ended atomic.Bool
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			if action == making && n == 1 {
				ended.Store(true)
				if lost {
					return false
				}
			}
			if ended.Load() && strings.Contains(action, "SecurityGroup") {
				refuse(rw, 400, "ExpiredToken", "The provided token has expired.")
				return true
			}
			return false
		})
		e := w.engine(&dag.MemStore{}, &events{})
		r, err := e.Solve(t.Context(), w.graph(whole()))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(alive(e), "group") != lost || (len(r.Left) > 0) != lost {
			t.Errorf("answer lost %v: alive %v, left %v", lost, alive(e), r.Left)
		}
	}
}

// What the access tells is the default group of each VPC of the region.
func TestAccessFindsTheDefaultGroups(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	got, err := CheckAccess{here}.Do(t.Context(), w.cloud, task("t"))
	if err != nil || len(got.DefaultGroups) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for vpc, group := range got.DefaultGroups {
		if !strings.HasPrefix(vpc, "vpc-") || !strings.HasPrefix(group, "sg-") {
			t.Errorf("%s has the group %s", vpc, group)
		}
	}
	if _, err := (CheckAccess{}).Do(t.Context(), w.cloud, task("t")); err == nil || !strings.Contains(err.Error(), "the region is not known") {
		t.Errorf("without a region: %v", err)
	}
}
