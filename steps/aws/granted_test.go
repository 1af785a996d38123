package aws

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
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
		w.front.play = func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			refuse(rw, 401, c.code, c.message)
			return true
		}
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
	w.cloud = NewCloud(CloudOptions{Vault: w.vault})
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

// Whoever may not list regions may build all the same.
func TestAccessNeedsNoPermission(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.front.play = func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "DescribeRegions" {
			refuse(rw, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
		}
		return action == "DescribeRegions"
	}
	w.build(&dag.MemStore{}, w.graph(template()))
	w.only(1)
}

// Credentials that end in the middle of a build: what was not made needs no look,
// but a call whose first answer was lost may have made something.
func TestCredentialsThatEnd(t *testing.T) {
	const making = "CreateSecurityGroup"
	for _, lost := range []bool{false, true} {
		w := newWorld(t, ec2local.Faults{})
		w.front.cut = func(action string, n int) cut {
			if lost && action == making && n == 1 {
				return cuts["before the reply"]
			}
			return nil
		}
		var ended atomic.Bool
		w.front.play = func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
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
		}
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
