package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// A run of one AWS account must not be looked for with the credentials of
// another: nothing would be found, and all of it forgotten.
func TestOtherAccountIsRefused(t *testing.T) {
	account, mayLook := "111122223333", true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") == "DescribeSecurityGroups" && mayLook {
			fmt.Fprintf(w, `<DescribeSecurityGroupsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><securityGroupInfo><item><ownerId>%s</ownerId><groupId>sg-1</groupId><vpcId>vpc-1</vpcId></item></securityGroupInfo></DescribeSecurityGroupsResponse>`, account)
			return
		} else if r.FormValue("Action") == "DescribeSecurityGroups" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>`)
			return
		}
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, account)
	}))
	defer srv.Close()
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, err := home.Create(state.Summary{Status: state.Running})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.SetGraph(&dag.Graph{Nodes: []dag.Node{{Name: "launch", Spec: []byte(`{"region":"us-east-1"}`)}}}); err != nil {
		t.Fatal(err)
	}
	run.Close()
	verify := func() error {
		s, err := application().Open(home, run.ID())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.LoadStored(); err != nil {
			t.Fatal(err)
		}
		return s.Verify(context.Background())
	}
	for i := range 3 { // noted, then compared, whoever tells it
		mayLook = i < 2
		if err := verify(); err != nil {
			t.Fatal(err)
		}
	}
	account = "444455556666"
	if err := verify(); err == nil || !strings.Contains(err.Error(), "111122223333") {
		t.Errorf("err %v", err)
	}
	srv.Close()
	if err := verify(); err == nil {
		t.Error("went on without knowing whose the credentials are")
	}
}
