package aws

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestMakeRole(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var form url.Values
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, f url.Values) bool {
		if action == "CreateRole" {
			form = f
		}
		return false
	})
	step := MakeRole{Place: here, Tags: map[dag.Text]dag.Text{"Team": "a (b)", "team": "c"}}
	r := testThing(t, w, step, func(a, b TemporaryRole) bool { return a.Name == b.Name && a.Place == b.Place })
	if r.Label() != "role "+r.Name || form.Get("Path") != "/imgflow/us-east-1/" {
		t.Errorf("%s with %v", r.Label(), form)
	}
	if doc := form.Get("AssumeRolePolicyDocument"); !strings.Contains(doc, `"Service":"ec2.amazonaws.com"`) {
		t.Error(doc)
	}
	// IAM takes fewer characters in tags than EC2, and no two keys that differ in case alone.
	tags := map[string]string{}
	for i := 1; ; i++ {
		k := form.Get("Tags.member." + string(rune('0'+i)) + ".Key")
		if k == "" {
			break
		}
		tags[k] = form.Get("Tags.member." + string(rune('0'+i)) + ".Value")
	}
	if tags["Team"] != "a -b-" || tags["team"] != "" || tags[TagRun] != "r1" {
		t.Errorf("tags %v", tags)
	}
	w.nothingOfIAM()
	w.front.setPlay(nil)

	refused(t, w, "CreateRole", step, "cannot create an IAM role: ")
	// A role of that name that no task here has made is not adopted.
	other := dag.NewTask("r1", "step", "theirs", nil, nil)
	if err := w.cloud.callIAM(t.Context(), here, "CreateRole", url.Values{"RoleName": {"theirs"}, "Path": {iamPath(home)}, "AssumeRolePolicyDocument": {"{}"}}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	if _, err := step.Do(t.Context(), w.cloud, other); err == nil || !strings.Contains(err.Error(), "EntityAlreadyExists") {
		t.Errorf("adopted what is theirs: %v", err)
	}
}

// What IAM shows late is found and removed all the same.
func TestYoungRolesAreRemoved(t *testing.T) {
	w := newWorld(t, ec2local.Faults{Lag: time.Second, Seed: 1})
	for n := range 3 {
		k := task("t-" + string(rune('0'+n)))
		granted := w.grant(k)
		if err := granted.profile.Undo(t.Context(), w.cloud, k); err != nil {
			t.Fatal(err)
		}
		if err := granted.role.Undo(t.Context(), w.cloud, k); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second) // by now everything would show itself
	w.nothingOfIAM()
}

// nothingOfIAM insists that no role and no profile of a build is left.
func (w *world) nothingOfIAM() {
	w.t.Helper()
	left, err := w.cloud.iamLabels(w.t.Context(), here)
	if err != nil || len(left) > 0 {
		w.t.Errorf("left in IAM: %v, %v", left, err)
	}
}

// Each partition has an IAM of its own, in one of its regions, and another name for EC2.
func TestHomesOfIAM(t *testing.T) {
	for region, want := range map[string]iamHome{
		"eu-west-1":      {"", "us-east-1", "iam.amazonaws.com", "ec2.amazonaws.com"},
		"cn-northwest-1": {"cn-", "cn-north-1", "iam.cn-north-1.amazonaws.com.cn", "ec2.amazonaws.com.cn"},
		"us-gov-east-1":  {"us-gov-", "us-gov-west-1", "iam.us-gov.amazonaws.com", "ec2.amazonaws.com"},
		"us-isob-east-1": {"us-isob-", "us-isob-east-1", "iam.us-isob-east-1.sc2s.sgov.gov", "ec2.sc2s.sgov.gov"},
		"us-iso-west-1":  {"us-iso-", "us-iso-east-1", "iam.us-iso-east-1.c2s.ic.gov", "ec2.c2s.ic.gov"},
	} {
		if got := iamOf(region); got != want {
			t.Errorf("%s: %v", region, got)
		}
	}
}

// What IAM answers is read within bounds, and what is none of its answers is said to be so.
func TestAnswersOfIAM(t *testing.T) {
	answer, status := "", 200
	h := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(status)
		rw.Write([]byte(answer))
	}))
	defer h.Close()
	c := NewCloud(CloudOptions{Endpoint: h.URL, AccessKey: "AKIDEXAMPLE", SecretKey: "not-a-secret"})
	c.accounts[""] = Access{MaxRetries: 1}
	for _, x := range []struct {
		status        int
		answer, wants string
	}{
		{200, "", "is not XML"},
		{200, "<a><b>", "is not XML"},
		{200, "<GetRoleResponse><GetRoleResult/></GetRoleResponse>", "is not XML"},
		{400, "<ErrorResponse><Error><Code>Bad", "broke off"},
		{400, "<html>no</html>", "not AWS's"},
		{400, "<html><br></html>", "not AWS's"},
		{400, "no", "not AWS's"},
		{400, "", "an empty body"},
		{400, xml.Header + "<ErrorResponse><Error><Code>ValidationError</Code><Message>It is &lt;wrong&gt;</Message></Error></ErrorResponse>", "ValidationError: It is <wrong>"},
	} {
		answer, status = x.answer, x.status
		_, err := c.role(t.Context(), here, "x")
		if err == nil || !strings.Contains(err.Error(), x.wants) {
			t.Errorf("%d %q: %v, want %q", x.status, x.answer, err, x.wants)
		}
	}
	if !slices.IsSorted(iamCalls) {
		t.Error("the calls of IAM are not in order")
	}
}
