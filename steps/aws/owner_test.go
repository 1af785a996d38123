package aws

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// asked is an AWS that says to whom every caller belongs: its security groups in an
// answer of EC2, and itself in one of STS. It counts the calls by action.
type asked struct {
	sync.Mutex
	calls  map[string]int
	groups func(w http.ResponseWriter) // answers EC2
}

func newAsked(t *testing.T, groups func(w http.ResponseWriter), account string) *asked {
	t.Helper()
	a := &asked{calls: map[string]int{}, groups: groups}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action := r.FormValue("Action")
		a.Lock()
		a.calls[action]++
		a.Unlock()
		if action == "DescribeSecurityGroups" {
			a.groups(w)
			return
		}
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, account)
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	return a
}

// groupsOf answers with a default security group of each owner.
func groupsOf(owners ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		fmt.Fprint(w, `<DescribeSecurityGroupsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><securityGroupInfo>`)
		for i, o := range owners {
			fmt.Fprintf(w, `<item><ownerId>%s</ownerId><groupName>default</groupName><groupId>sg-%d</groupId><vpcId>vpc-%d</vpcId></item>`, o, i, i)
		}
		fmt.Fprint(w, `</securityGroupInfo></DescribeSecurityGroupsResponse>`)
	}
}

// Whose the credentials are is told by the call that a build makes anyway, and by
// STS only where that does not tell it.
func TestOwners(t *testing.T) {
	const us, other = "111122223333", "444455556666"
	for _, x := range []struct {
		name   string
		groups func(http.ResponseWriter)
		sts    int
		fails  string
	}{
		{"a default group", groupsOf(us), 0, ""},
		{"one in each VPC", groupsOf(us, us), 0, ""},
		{"no default VPC", groupsOf(), 1, ""},
		{"a VPC of somebody else's", groupsOf(other, us), 1, ""},
		{"no permission", func(w http.ResponseWriter) { refuse(w, 403, "UnauthorizedOperation", "You are not authorized.") }, 1, ""},
		{"bad credentials", func(w http.ResponseWriter) { refuse(w, 401, "AuthFailure", "not able to validate") }, 0, "cannot find out whose the credentials are: AuthFailure"},
	} {
		t.Run(x.name, func(t *testing.T) {
			a := newAsked(t, x.groups, us)
			c := NewCloud(CloudOptions{Getenv: os.Getenv})
			quiet := c.Register(Access{Profile: "other", SkipCredentialValidation: true})
			c.learn(Place{Account: "", Region: "eu-west-1"})
			c.learn(Place{Account: "", Region: "us-east-1"})
			c.learn(Place{Account: quiet, Region: "us-east-1"})
			got, err := c.Owners(t.Context())
			switch {
			case x.fails != "":
				if err == nil || !strings.HasPrefix(err.Error(), x.fails) {
					t.Errorf("%v, %v", got, err)
				}
			case err != nil || len(got) != 1 || got[""] != us:
				t.Errorf("%v, %v", got, err)
			}
			if a.calls["DescribeSecurityGroups"] != 1 || a.calls["GetCallerIdentity"] != x.sts {
				t.Errorf("calls %v, want %d of STS", a.calls, x.sts)
			}
		})
	}
	if got, err := NewCloud(CloudOptions{Endpoint: "http://127.0.0.1:1"}).Owners(t.Context()); len(got) > 0 || err != nil {
		t.Errorf("the embedded endpoint was asked: %v %v", got, err)
	}
}

// The check of the access asks nothing that the session has asked before.
func TestOwnersAndAccessShareACall(t *testing.T) {
	a := newAsked(t, groupsOf("111122223333"), "")
	c := NewCloud(CloudOptions{Getenv: os.Getenv})
	c.learn(here)
	if _, err := c.Owners(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := CheckAccess{here}.Do(t.Context(), c, task("t"))
	if err != nil || got.DefaultGroups["vpc-0"] != "sg-0" {
		t.Errorf("%+v, %v", got, err)
	}
	if len(a.calls) != 1 || a.calls["DescribeSecurityGroups"] != 1 {
		t.Errorf("calls %v", a.calls)
	}
}

func TestAccountNamesSurviveNewKeys(t *testing.T) {
	a := NewCloud(CloudOptions{Getenv: os.Getenv}).Register(Access{AccessKey: "AKIA1", SecretKey: "s"})
	b := NewCloud(CloudOptions{Getenv: os.Getenv}).Register(Access{AccessKey: "AKIA2", SecretKey: "t"})
	if a != b {
		t.Errorf("%q and %q: a resume with new keys would make everything again", a, b)
	}
	c := NewCloud(CloudOptions{Getenv: os.Getenv})
	if c.Register(Access{AccessKey: "AKIA1", SecretKey: "s"}) == c.Register(Access{AccessKey: "AKIA2", SecretKey: "t"}) {
		t.Error("two accounts of one template have one name")
	}
}

// TestOwnersEndure: the question that every resume asks first is asked as often
// as any other, when the answer is that there were too many.
func TestOwnersEndure(t *testing.T) {
	for _, tooMany := range []string{"DescribeSecurityGroups", "GetCallerIdentity"} {
		asked := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("Action") == tooMany {
				if asked++; asked < 4 {
					refuse(w, http.StatusServiceUnavailable, "RequestLimitExceeded", "too many")
					return
				}
			}
			if r.FormValue("Action") == "DescribeSecurityGroups" {
				groupsOf()(w)
				return
			}
			fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		}))
		t.Cleanup(srv.Close)
		t.Setenv("AWS_ENDPOINT_URL", srv.URL)
		t.Setenv("AWS_ACCESS_KEY_ID", "x")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
		c := NewCloud(CloudOptions{Getenv: os.Getenv})
		c.Learn([]dag.Node{{Spec: []byte(`{"region":"us-east-1"}`)}})
		owners, err := c.Owners(t.Context())
		if err != nil || owners[""] != "111122223333" {
			t.Errorf("%s: after %d questions: %v, %v", tooMany, asked, owners, err)
		}
	}
}
