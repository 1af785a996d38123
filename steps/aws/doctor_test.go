package aws

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// examined is what an examination of the template finds, by what it is about.
func (w *world) examined(b *EBS) map[string]Finding {
	w.t.Helper()
	g := w.graph(b)
	store := &dag.MemStore{}
	if _, err := w.engine(store, &events{}).Solve(w.t.Context(), g.Looks()); err != nil {
		w.t.Fatal(err)
	}
	records, err := store.All()
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[dag.Key]json.RawMessage{}
	for _, r := range records {
		if r.Status == dag.Done {
			found[r.Key] = r.Out
		}
	}
	all := map[string]Finding{}
	for _, f := range w.cloud.Examine(w.t.Context(), g.Nodes, found) {
		all[strings.TrimSpace(f.Owner+" "+f.Region)+" "+f.What] = f
	}
	return all
}

// An examination asks for each call that the build would make, makes nothing, and names
// what is missing.
func TestExamine(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var mu sync.Mutex
	var denied, real []string
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasPrefix(action, "Describe") && action != "GetCallerIdentity" && !strings.HasSuffix(action, "ServiceQuota") && form.Get("DryRun") != "true" {
			real = append(real, action)
		}
		if slices.Contains(denied, action) {
			refuse(rw, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
			return true
		}
		return false
	})
	b := whole()
	b.AMIRegions = []string{"eu-west-1"}
	b.Users = []string{"210987654321"}
	all := w.examined(b)
	for _, what := range []string{"us-east-1 ec2:RunInstances", "us-east-1 ec2:CreateImage", "us-east-1 ec2:CreateTags", "us-east-1 ec2:ImportKeyPair", "us-east-1 ec2:CreateSecurityGroup",
		"us-east-1 ec2:ModifyImageAttribute", "us-east-1 ec2:TerminateInstances", "eu-west-1 ec2:CopyImage", "us-east-1 credentials", "eu-west-1 credentials", "us-east-1 clock"} {
		if f, ok := all[what]; !ok || f.Status != "ok" {
			t.Errorf("%s: %+v", what, f)
		}
	}
	if len(real) > 0 {
		t.Errorf("made for good: %v", real)
	}
	denied = []string{"CreateImage", "RunInstances"}
	for what, f := range w.examined(b) {
		want := "ok"
		if what == "us-east-1 ec2:CreateImage" || what == "us-east-1 ec2:RunInstances" {
			want = "wrong"
		}
		if f.Status != want || want == "wrong" && (!strings.Contains(f.Why, "lack the permission "+f.What) || !slices.Equal(f.Builds, []string{"amazon-ebs"})) {
			t.Errorf("%s: %+v", what, f)
		}
	}
	if w.only(0); t.Failed() {
		return
	}
	denied = nil
	b = whole()
	b.TemporaryPolicy = reading
	if f := w.examined(b)["us-east-1 ec2:RunInstances"]; f.Status != "ok" {
		t.Errorf("a profile that will be made: %+v", f)
	}
	if f := w.examined(b)["us-east-1 iam:CreateRole"]; f.Status != "unknown" || !strings.Contains(f.Why, "MakeRoles") {
		t.Errorf("what IAM has no dry run for: %+v", f)
	}
	b.TemporaryPolicy, b.InstanceProfile = PolicyRecord{}, "nobody"
	if f := w.examined(b)["us-east-1 ec2:RunInstances"]; f.Status != "wrong" || !strings.Contains(f.Why, "iam_instance_profile") {
		t.Errorf("a profile that there is not: %+v", f)
	}
}

// The policy that is printed for a template is none that the examination finds fault with; what
// it needs for the launch is missed.
func TestExamineByThePolicy(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.json")
	writePolicy(t, policy, everything)
	w := newWorldOf(t, ec2local.Options{Policy: policy})
	b := template()
	b.Communicator, b.SSH.Username = "ssh", "ubuntu"
	enough, _ := PolicyFor(w.graph(b).Nodes, "")
	writePolicy(t, policy, enough)
	unknown := 0
	for what, f := range w.examined(b) {
		if f.Status == "wrong" {
			t.Errorf("%s: %+v", what, f)
		}
		if f.Status == "unknown" {
			unknown++
		}
	}
	if unknown == 0 {
		t.Error("the policy is not looked at")
	}
	for i, s := range enough.Statement {
		if s.Sid == "LaunchWith" {
			enough.Statement = slices.Delete(enough.Statement, i, i+1)
			break
		}
	}
	writePolicy(t, policy, enough)
	if f := w.examined(b)["us-east-1 ec2:RunInstances"]; f.Status != "wrong" {
		t.Errorf("without the launch: %+v", f)
	}
}

// Each dry run is one that EC2 understands, of a call that some step makes.
func TestDryRuns(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	made := map[string]bool{"CreateTags": true}
	for _, c := range callings {
		for _, action := range slices.Concat(c.do, c.undo) {
			made[action] = true
		}
	}
	for action, ask := range dryRuns {
		if !made[action] {
			t.Errorf("no step calls %s", action)
		}
		code, message := apiError(ask(t.Context(), w.site().api))
		if code != "DryRunOperation" && !strings.Contains(code, "NotFound") && !strings.HasSuffix(code, ".Unavailable") && !strings.HasSuffix(code, ".Malformed") && !strings.Contains(message, "does not exist") {
			t.Errorf("%s: %s: %s", action, code, message)
		}
	}
}

func TestExamineWithoutAnswers(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		refuse(rw, 401, "AuthFailure", "AWS was not able to validate the provided access credentials")
		return true
	})
	all := w.examined(whole())
	if f := all["us-east-1 credentials"]; f.Status != "wrong" || !strings.Contains(f.Why, "look at the credentials") {
		t.Errorf("%+v", f)
	}
	if f := all["us-east-1 ec2:RunInstances"]; f.Status != "unknown" || !strings.Contains(f.Why, "source image is not known") {
		t.Errorf("%+v", f)
	}
	if f := all["us-east-1 ec2:CreateImage"]; f.Status != "unknown" {
		t.Errorf("%+v", f)
	}
}

func TestExamineTellsTheClock(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	at := w.site()
	for _, c := range []struct {
		off  time.Duration
		want string
	}{{0, "ok"}, {2 * time.Minute, "ok"}, {-10 * time.Minute, "wrong"}} {
		at.clock.set(at.clock.own().Add(c.off))
		if f := w.cloud.askClock(t.Context(), here); f.Status != c.want || (f.Why == "") != (c.off == 0) {
			t.Errorf("%s: %+v", c.off, f)
		}
	}
}

// Quotas are those of the families of the types that a template names; on demand and spot have each their own.
func TestQuotaOf(t *testing.T) {
	for _, x := range []struct{ name, onDemand, spot string }{
		{"m5.large", "L-1216C47A", "L-34B43A08"},
		{"im4gn.large", "L-1216C47A", "L-34B43A08"},
		{"g4dn.xlarge", "L-DB2E81BA", "L-3819A6DF"},
		{"gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"},
		{"p5.48xlarge", "L-417A185B", "L-7212CCBC"},
		{"trn1.2xlarge", "L-2C3B7624", "L-6B0D517C"},
		{"u-6tb1.56xlarge", "L-43DA4232", ""},
		{"u7i-12tb.224xlarge", "L-43DA4232", ""},
		{"mac2.metal", "", ""},
		{"", "", ""},
	} {
		onDemand, _ := quotaOf(x.name, false)
		spot, _ := quotaOf(x.name, true)
		if onDemand != x.onDemand || spot != x.spot {
			t.Errorf("%s: %s and %s", x.name, onDemand, spot)
		}
	}
}

// A quota that is too small is told with the build that needs more; one that nobody may ask for is no fault.
func TestExamineQuotas(t *testing.T) {
	w := seeded(t, `{"quotas": {"L-1216C47A": 8}}`)
	quotas := func(change func(*EBS)) map[string]Finding {
		b := template()
		change(b)
		all := w.examined(b)
		maps.DeleteFunc(all, func(what string, _ Finding) bool { return !strings.Contains(what, "quota") })
		return all
	}
	for _, c := range []struct {
		name   string
		change func(*EBS)
		quota  string
		status string
		why    string
	}{
		{"enough", func(b *EBS) { b.InstanceType = "m5.2xlarge" }, "L-1216C47A", "ok", "8 of 8 vCPUs of instances of the families Standard"},
		{"too small", func(b *EBS) { b.InstanceType = "m5.4xlarge" }, "L-1216C47A", "wrong", "amazon-ebs needs 16 vCPUs of instances of the families Standard, and the account may have 8: have the quota raised"},
		{"the largest of several", func(b *EBS) { b.InstanceType, b.InstanceTypes = "", []string{"m5.large", "m5.4xlarge"} }, "L-1216C47A", "wrong", "needs 16"},
		{"AWS's value", func(b *EBS) { b.InstanceType = "g4dn.xlarge" }, "L-DB2E81BA", "wrong", "needs 4 vCPUs of instances of the families G and VT, and the account may have 0"},
		{"spot", func(b *EBS) { b.Price = "auto" }, "L-34B43A08", "ok", "of 5 vCPUs of spot instances"},
		{"not known", func(b *EBS) { b.InstanceType = "m5.metal" }, "L-1216C47A", "unknown", "how many m5.metal has is not known"},
	} {
		all := quotas(c.change)
		f := all["us-east-1 quota "+c.quota]
		if len(all) != 1 || f.Status != c.status || !strings.Contains(f.Why, c.why) || !slices.Equal(f.Builds, []string{"amazon-ebs"}) {
			t.Errorf("%s: %+v", c.name, all)
		}
	}
	if all := quotas(func(b *EBS) { b.Price, b.OnDemand = "auto", true }); len(all) != 2 {
		t.Errorf("spot, and on demand after it: %+v", all)
	}
	w.deny("GetServiceQuota", "no")
	if f := quotas(func(b *EBS) {})["us-east-1 quota L-1216C47A"]; f.Status != "unknown" || !strings.HasPrefix(f.Why, "not asked: the credentials lack servicequotas:GetServiceQuota") {
		t.Errorf("refused: %+v", f)
	}
}

// Builds together may need more than each.
func TestQuotasOfManyBuilds(t *testing.T) {
	d := &demand{of: "x", builds: map[string]int{"a": 2, "b": 8, "c": 4}}
	if all, most, heavy := d.all(); all != 14 || most != 8 || heavy != "b" {
		t.Error(all, most, heavy)
	}
}

// Each role is tried, in each region. Of one that cannot be taken nothing more is asked.
func TestExamineAccounts(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.refuseRole(third)
	b := template().inAccounts(second, third)
	b.AMIRegions = []string{west}
	g := w.graph(b)
	byStatus := map[string][]string{}
	for _, f := range w.cloud.Examine(t.Context(), g.Nodes, nil) {
		if f.Owner != "" {
			byStatus[f.Owner+" "+f.Status] = append(byStatus[f.Owner+" "+f.Status], f.Region+" "+f.What)
		}
	}
	if got := byStatus[third+" wrong"]; !slices.Equal(got, []string{home + " the role " + b.Accounts[1].RoleARN, west + " the role " + b.Accounts[1].RoleARN}) || len(byStatus) != 2 {
		t.Errorf("%v", byStatus)
	}
	for _, region := range []string{home, west} {
		for _, what := range []string{"the role " + b.Accounts[0].RoleARN, "ec2:CopyImage", "ec2:CreateTags", "ec2:DeregisterImage", "ec2:DescribeImages"} {
			if !slices.Contains(byStatus[second+" ok"], region+" "+what) {
				t.Errorf("nothing of %s in %s: %v", what, region, byStatus)
			}
		}
	}
}
