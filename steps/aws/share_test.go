package aws

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestCopiesAndSharesAreGoalsOfTheirOwn(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.AMIRegions = []string{"us-west-2", home, "us-west-2"}
	b.Sharing.Users = []string{"123456789012"}
	denied := true
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "ModifyImageAttribute" && denied {
			refuse(rw, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
			return true
		}
		return false
	})
	store := &dag.MemStore{}
	g := w.graph(b)
	r, err := w.engine(store, &events{}).Solve(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 2 || len(r.Left) != 0 {
		t.Fatalf("failed %v, left %v", r.Failed, r.Left)
	}
	if !strings.Contains(r.Failed[0].Err.Error(), "ec2:ModifyImageAttribute") {
		t.Errorf("the error does not name the permission: %v", r.Failed[0].Err)
	}
	w.only(1)
	denied = false
	before := w.front.count("CreateImage")
	w.build(store, g)
	w.only(1)
	if w.front.count("CreateImage") != before || w.front.count("CopyImage") != 1 || w.front.count("RunInstances") != 1 {
		t.Errorf("the resume made something again: %v", w.front.calls)
	}
	there, err := w.cloud.at(t.Context(), Place{Region: "us-west-2"})
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := there.namesakes(t.Context(), "image-1"); err != nil || len(ids) != 1 {
		t.Errorf("copies: %v, %v", ids, err)
	}
}

// Each option of sharing arrives at the image or its snapshots.
func TestShare(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := w.ready("name")
	step := Share{Of: dag.Lit(of), Sharing: Sharing{Users: []string{"123456789012"}, Groups: []string{"all"}}}
	if a := twice(t, w, step); a.ID != of.ID || a.Place != here {
		t.Errorf("%+v", a)
	}
	image := must(w.client().DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &of.ID, Attribute: types.ImageAttributeNameLaunchPermission}))
	var who []string
	for _, p := range image.LaunchPermissions {
		who = append(who, text(p.UserId)+string(p.Group))
	}
	slices.Sort(who)
	if !slices.Equal(who, []string{"123456789012", "all"}) {
		t.Errorf("the image is shared with %q", who)
	}
	refused(t, w, "ModifyImageAttribute", step, "cannot share "+of.ID+": ")
	var form url.Values
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, f url.Values) bool {
		form = f
		return false
	})
	arn, unit := "arn:aws:organizations::123456789012:organization/o-0123456789", "arn:aws:organizations::123456789012:ou/o-0123456789/ou-0123-01234567"
	Share{Of: dag.Lit(of), Sharing: Sharing{OrgARNs: []string{arn}, OUARNs: []string{unit}}}.Do(t.Context(), w.cloud, task("t"))
	if form.Get("LaunchPermission.Add.1.OrganizationArn") != arn || form.Get("LaunchPermission.Add.2.OrganizationalUnitArn") != unit {
		t.Errorf("organizations: %v", form)
	}
}
