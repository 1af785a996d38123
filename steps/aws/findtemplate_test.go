package aws

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// launchTemplate makes one, as a user would.
func (w *world) launchTemplate(region, name string) string {
	w.t.Helper()
	client, _, err := w.cloud.client(context.Background(), Access{}, region)
	if err != nil {
		w.t.Fatal(err)
	}
	out := must(client.CreateLaunchTemplate(w.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name,
		LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "t3.medium"}}))
	return text(out.LaunchTemplate.LaunchTemplateId)
}

func TestFindTemplate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	id := w.launchTemplate(home, "fast")
	for _, s := range []FindTemplate{{Place: here, ID: id}, {Place: here, Name: "fast"}, {Place: here, Name: "fast", Version: 1}} {
		if found := twice(t, w, s); found != (FoundTemplate{id, 1}) {
			t.Errorf("%+v: %+v", s, found)
		}
	}
	fails(t, w, FindTemplate{Place: here, Name: "none"}, "cannot find the launch template none in us-east-1: ")
	fails(t, w, FindTemplate{Place: here, Name: "fast", Version: 2}, "cannot use version 2 of the launch template fast in us-east-1: its latest is 1")
	fails(t, w, FindTemplate{Place: Place{Region: west}, ID: id}, "cannot find the launch template "+id+" in us-west-2: ")
	refused(t, w, "DescribeLaunchTemplates", FindTemplate{Place: here, ID: id}, "cannot find the launch template "+id+" in us-east-1: ")
}
