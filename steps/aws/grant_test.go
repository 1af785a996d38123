package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// reading is a policy of a template.
var reading = PolicyRecord{Version: "2012-10-17", Statement: []PolicyStatement{{Effect: "Allow", Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::parts/*"}}}}

// granted is a role with a policy, in a profile.
type granted struct {
	role    TemporaryRole
	profile TemporaryProfile
	step    GrantPolicy
}

// grant makes a role and a profile, and has the one grant the policy to the other, as often as it takes.
func (w *world) grant(k *dag.Task) (g granted) {
	w.t.Helper()
	ctx := w.t.Context()
	g.role = must(MakeRole{Place: here}.Do(ctx, w.cloud, task(k.Token+"-role")))
	g.profile = must(MakeProfile{Place: here, Role: dag.Lit(g.role)}.Do(ctx, w.cloud, task(k.Token+"-profile")))
	g.step = GrantPolicy{Role: dag.Lit(g.role), Profile: dag.Lit(g.profile), Policy: reading}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, err := g.step.Do(ctx, w.cloud, k); err == nil {
			return g
		} else if time.Since(began) > 10*time.Second {
			w.t.Fatal(err)
		}
	}
}

func TestGrantPolicy(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var policies []string
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, f url.Values) bool {
		if action == "PutRolePolicy" {
			policies = append(policies, f.Get("PolicyDocument"))
		}
		return false
	})
	g := w.grant(task("t"))
	if out := twice(t, w, g.step); out.At.IsZero() {
		t.Error("nobody knows since when")
	}
	var p Policy
	if err := json.Unmarshal([]byte(policies[0]), &p); err != nil || p.Version != "2012-10-17" || !slices.Equal(p.Statement[0].Action, []string{"s3:GetObject"}) {
		t.Errorf("%s: %v", policies[0], err)
	}
	// The role has gone, and another is there for it: the profile gets that.
	must(0, g.profile.Undo(t.Context(), w.cloud, task("t")))
	must(0, g.role.Undo(t.Context(), w.cloud, task("t")))
	g = w.grant(task("a"))
	other := must(MakeRole{Place: here}.Do(t.Context(), w.cloud, task("b-role")))
	g.step.Role = dag.Lit(other)
	twice(t, w, g.step)
	found := must(w.cloud.instanceProfile(t.Context(), here, g.profile.Name))
	if len(found.Roles) != 1 || found.Roles[0].Role != other.Name {
		t.Errorf("the profile has %+v", found.Roles)
	}
	w.front.setPlay(nil)
	refused(t, w, "PutRolePolicy", g.step, "cannot give the role b-role its policy: ")
	refused(t, w, "AddRoleToInstanceProfile", g.step, "cannot put the role b-role into a-profile: ")
}

// A build has a role of its own from before the launch until nobody needs the machine.
func TestTemporaryProfile(t *testing.T) {
	w := newWorld(t, ec2local.Faults{Lag: 2 * time.Second, Seed: 3})
	var names []string
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, f url.Values) bool {
		if action == "RunInstances" {
			names = append(names, f.Get("IamInstanceProfile.Name"))
		}
		return false
	})
	b := template()
	b.TemporaryPolicy = reading
	w.build(&dag.MemStore{}, w.graph(b))
	if len(names) == 0 || !strings.HasPrefix(names[0], "imgflow-r1-") {
		t.Errorf("launched with %q", names)
	}
	w.only(1)
	w.nothingOfIAM()
}

// EC2 hears of profiles later than IAM shows them: a launch waits for that, but not for what never comes.
func TestUnseenProfiles(t *testing.T) {
	unseen := "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
	for _, c := range []struct {
		code, message string
		age           time.Duration
		passes        bool
	}{
		{"InvalidParameterValue", unseen, time.Minute, true},
		{"InvalidParameterValue", `IAM Instance Profile "arn:aws:iam::123456789012:instance-profile/x" has no associated IAM Roles`, time.Minute, true},
		{"InvalidParameterValue", unseen, 6 * time.Minute, false},
		{"InvalidParameterValue", "Something else.", 0, false},
		{"UnauthorizedOperation", "You are not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/x", time.Second, true},
		{"UnauthorizedOperation", "You are not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/x", time.Minute, false},
		{"UnauthorizedOperation", "You are not authorized to perform: ec2:RunInstances on resource: *", time.Second, false},
	} {
		s := Launch{Profile: dag.Lit(TemporaryProfile{Name: "x"}), Granted: dag.Lit(GrantedPolicy{now().Add(-c.age)})}
		err := &refusedCall{}
		err.Code, err.Message = c.code, c.message
		if got := s.unseenProfile(err); got != c.passes {
			t.Errorf("%s after %s: %v", c.message, c.age, got)
		}
		if (Launch{}).unseenProfile(err) {
			t.Errorf("%s of a profile that is no temporary one passes", c.message)
		}
	}
}

// What a policy lacks is said before anything is made.
func TestCheckPolicy(t *testing.T) {
	const option = "temporary_iam_instance_profile_policy_document"
	of := func(change func(*PolicyRecord)) func(*EBS) {
		return func(b *EBS) {
			b.TemporaryPolicy = PolicyRecord{Version: reading.Version, Statement: slices.Clone(reading.Statement)}
			change(&b.TemporaryPolicy)
		}
	}
	for field, c := range map[string]struct {
		change func(*EBS)
		want   string
	}{
		option + ".Version":                  {of(func(p *PolicyRecord) { p.Version = "2020" }), "2012-10-17"},
		option + ".Statement":                {of(func(p *PolicyRecord) { p.Statement = nil }), "must be set"},
		option + ".Statement[0].Effect":      {of(func(p *PolicyRecord) { p.Statement[0].Effect = "allow" }), "Allow, Deny"},
		option + ".Statement[0].Action":      {of(func(p *PolicyRecord) { p.Statement[0].Action = nil }), "must be set"},
		option + ".Statement[0].Resource":    {of(func(p *PolicyRecord) { p.Statement[0].Resource = nil }), "must be set"},
		option + ".Statement[0].Action[0]":   {of(func(p *PolicyRecord) { p.Statement[0].Action = []string{"GetObject"} }), "no action"},
		option + ".Statement[0].Resource[0]": {of(func(p *PolicyRecord) { p.Statement[0].Resource = []string{"bucket"} }), "neither"},
		option: {of(func(p *PolicyRecord) {
			for i := range 300 {
				p.Statement[0].Resource = append(p.Statement[0].Resource, fmt.Sprintf("arn:aws:s3:::a-bucket-with-a-long-name-%d/*", i))
			}
		}), "10240"},
	} {
		b := template()
		c.change(b)
		errs := b.Check()
		if len(errs) != 1 || errs[0].Field != field || !strings.Contains(errs[0].Text, c.want) {
			t.Errorf("%s: %+v", field, errs)
		}
	}
	// Patterns, and what waits for other values, are no errors; beside a profile it has no effect.
	b := template()
	b.TemporaryPolicy = PolicyRecord{Statement: []PolicyStatement{{Effect: "Deny", Action: []string{"*", "s3:Get*"}, Resource: []string{"*", "arn:aws:s3:::" + dag.Mark("bucket")}}}}
	if errs := b.Check(); len(errs) > 0 {
		t.Error(errs)
	}
	b.InstanceProfile = "mine"
	errs := b.Check()
	if len(errs) != 1 || errs[0].Field != option || !errs[0].Harmless {
		t.Errorf("beside iam_instance_profile: %+v", errs)
	}
	if b.temporaryProfile() {
		t.Error("a role is made though the template names a profile")
	}
}
