package aws

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// parameter are the values that a parameter had in a region, the newest last.
func (w *world) parameter(region, name string) (values []string) {
	w.t.Helper()
	var out struct{ Parameters []struct{ Value string } }
	if err := w.cloud.callJSON(w.t.Context(), Place{Region: region}, parameterStore, "GetParameterHistory", map[string]string{"Name": name}, &out); err != nil {
		if code, _ := apiError(err); code != "ParameterNotFound" {
			w.t.Fatal(err)
		}
	}
	for _, p := range out.Parameters {
		values = append(values, p.Value)
	}
	return values
}

// templateImages are the images of a launch template's versions in a region, the newest first.
func (w *world) templateImages(region, name string) (ids []string, standard int64) {
	w.t.Helper()
	at := must(w.cloud.at(w.t.Context(), Place{Region: region}))
	for _, v := range must(at.api.DescribeLaunchTemplateVersions(w.t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name})).LaunchTemplateVersions {
		ids = append(ids, text(v.LaunchTemplateData.ImageId))
		if *v.DefaultVersion {
			standard = *v.VersionNumber
		}
	}
	return ids, standard
}

// Each region's image is published there, after it was shared. What fails fails alone, and a resume
// does nothing else.
func TestPublish(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.launchTemplate(home, "web")
	b := template()
	b.AMIRegions, b.Users = []string{west}, []string{"210987654321"}
	b.Publish = []Publish{{Parameter: "/images/web", Labels: []string{"current"}}, {Template: "web", SetDefault: true, Regions: []string{home}}}
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, form url.Values) bool {
		if action == "ModifyImageAttribute" && len(w.parameter(home, "/images/web"))+len(w.parameter(west, "/images/web")) > 1 {
			t.Error("what is published is not shared yet")
		}
		if action == "CreateLaunchTemplateVersion" {
			refuse(rw, 400, "OutOfOrder", "The test says no.")
			return true
		}
		return false
	})
	store, g := &dag.MemStore{}, w.graph(b)
	r, err := w.engine(store, &events{}).Solve(t.Context(), g)
	if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "publish-2" || !strings.HasPrefix(r.Failed[0].Err.Error(), "cannot publish ami-") {
		t.Fatalf("%v, failed %v", err, r.Failed)
	}
	w.front.setPlay(nil)
	before, puts := w.made(), w.front.count("PutParameter")
	e := w.build(store, g)
	images := map[string]string{}
	for _, region := range []string{home, west} {
		at := must(w.cloud.at(t.Context(), Place{Region: region}))
		images[region] = text(must(at.api.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})).Images[0].ImageId)
		if values := w.parameter(region, "/images/web"); len(values) != 1 || values[0] != images[region] {
			t.Errorf("%s: published as %q, the image is %s", region, values, images[region])
		}
	}
	if ids, standard := w.templateImages(home, "web"); len(ids) != 2 || ids[0] != images[home] || standard != 2 {
		t.Errorf("the versions have %q, the default one is %d", ids, standard)
	}
	if w.made() != before || w.front.count("PutParameter") != puts {
		t.Error("the resume did more than was missing")
	}
	if _, err := e.Destroy(t.Context(), func(dag.Record) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if values := w.parameter(home, "/images/web"); len(values) != 1 {
		t.Errorf("what was published is taken back: %q", values)
	}
}

// Another account has its parameters to itself. What it refuses fails alone.
func TestPublishInAnotherAccount(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.Users = []string{"210987654321"}
	b.Publish = []Publish{{Parameter: "/images/web"}, {Parameter: "/images/web", AssumeRole: AssumeRole{RoleARN: "arn:aws:iam::210987654321:role/publisher", ExternalID: "images"}}}
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, form url.Values) bool {
		if action != "AssumeRole" {
			return false
		}
		if form.Get("ExternalId") != "images" {
			t.Errorf("the role is taken with %v", form)
		}
		rw.WriteHeader(403)
		io.WriteString(rw, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>The test says no.</Message></Error><RequestId>r</RequestId></ErrorResponse>`)
		return true
	})
	store, g := &dag.MemStore{}, w.graph(b)
	r, err := w.engine(store, &events{}).Solve(t.Context(), g)
	if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "publish-2" || !strings.Contains(r.Failed[0].Err.Error(), "The test says no") {
		t.Fatalf("%v, failed %v", err, r.Failed)
	}
	w.front.setPlay(nil)
	w.build(store, g)
	if mine := w.parameter(home, "/images/web"); len(mine) != 1 || mine[0] != w.inventory().images[0] {
		t.Errorf("here: %q", mine)
	}
	var theirs struct{ Parameter struct{ Value, ARN string } }
	if err := w.cloud.callJSON(t.Context(), Place{b.publishers[1], home}, parameterStore, "GetParameter", map[string]string{"Name": "/images/web"}, &theirs); err != nil ||
		theirs.Parameter.Value != w.inventory().images[0] || !strings.Contains(theirs.Parameter.ARN, ":210987654321:") {
		t.Errorf("there: %+v, %v", theirs, err)
	}
}

func TestCheckPublish(t *testing.T) {
	for name, c := range map[string]struct {
		field string
		of    []Publish
	}{
		"nothing":        {"publish[0].ssm_parameter", []Publish{{}}},
		"both":           {"publish[0].launch_template", []Publish{{Parameter: "/a", Template: "web"}}},
		"no name":        {"publish[0].ssm_parameter", []Publish{{Parameter: "/a/"}}},
		"no path":        {"publish[0].ssm_parameter", []Publish{{Parameter: "a/b"}}},
		"AWS's":          {"publish[0].ssm_parameter", []Publish{{Parameter: "/aws/service/x"}}},
		"no data type":   {"publish[0].ssm_data_type", []Publish{{Parameter: "/a", DataType: "image"}}},
		"no label":       {"publish[0].ssm_labels[1]", []Publish{{Parameter: "/a", Labels: []string{"a", "1"}}}},
		"no template":    {"publish[0].launch_template", []Publish{{Template: "a b"}}},
		"labels alone":   {"publish[0].ssm_parameter", []Publish{{Template: "web", Labels: []string{"a"}}}},
		"default alone":  {"publish[0].launch_template_default", []Publish{{Parameter: "/a", SetDefault: true}}},
		"another region": {"publish[0].regions[0]", []Publish{{Parameter: "/a", Regions: []string{"eu-west-1"}}}},
		"no role":        {"publish[0].assume_role.role_arn", []Publish{{Parameter: "/a", AssumeRole: AssumeRole{RoleARN: "publisher"}}}},
		"long session":   {"publish[0].assume_role.duration_seconds", []Publish{{Parameter: "/a", AssumeRole: AssumeRole{DurationSeconds: 7200}}}},
		"twice":          {"publish[1]", []Publish{{Parameter: "/a"}, {Parameter: "/a", Regions: []string{west}}}},
		"all is well":    {"", []Publish{{Parameter: "/a", DataType: "text"}, {Parameter: "b"}, {Template: "lt-0123456789abcdef0", SetDefault: true, Regions: []string{west}}}},
	} {
		b := template()
		b.AMIRegions, b.Publish = []string{west}, c.of
		fs := b.Check()
		if c.field == "" && len(fs) > 0 || c.field != "" && (len(fs) != 1 || fs[0].Field != c.field) {
			t.Errorf("%s: %v", name, fs)
		}
	}
	b := template()
	b.Publish = []Publish{{Parameter: "/a", AssumeRole: AssumeRole{RoleARN: "arn:aws:iam::210987654321:role/publisher"}}}
	if fs := b.Check(); len(fs) != 1 || fs[0].Field != "publish[0].assume_role.role_arn" || !fs[0].Harmless {
		t.Errorf("an account without the image: %v", fs)
	}
	b.Users = []string{"210987654321"}
	if fs := b.Check(); len(fs) > 0 {
		t.Errorf("an account with it: %v", fs)
	}
	b = template()
	b.SkipCreateAMI, b.Publish = true, []Publish{{Parameter: "/a"}}
	if fs := b.Check(); len(fs) != 1 || fs[0].Field != "publish" || !fs[0].Harmless {
		t.Errorf("without an image: %v", fs)
	}
}
