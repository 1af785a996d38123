package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
)

// TestDoctor has a call refused that would come at the end of a build.
func TestDoctor(t *testing.T) {
	d := newDesk(t)
	if err := os.WriteFile(filepath.Join(d.dir, "shared.json"), []byte(sharedTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, d.serve())
	d.env = append(d.env, "AWS_ENDPOINT_URL="+g.URL, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=x", "AWS_REGION=us-east-1")
	out, code := d.do("doctor", "shared.json")
	if code != 0 || !regexp.MustCompile(`(?m)^ok +us-east-1 +web +ec2:RunInstances`).MatchString(out) || !regexp.MustCompile(`(?m)^ok +us-west-2 +web +ec2:CopyImage`).MatchString(out) {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	g.refuse("CreateImage")
	out, code = d.do("doctor", "shared.json")
	if code != exitFailed || !regexp.MustCompile(`(?m)^wrong +us-east-1 +web +ec2:CreateImage .*lack the permission ec2:CreateImage`).MatchString(out) || !strings.Contains(out, "1 thing would fail") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	out, code = d.do("doctor", "--json", "shared.json")
	var j render.ExaminedJSON
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&j); err != nil || j.OK || len(j.Findings) < 10 || code != exitFailed {
		t.Errorf("exit status %d, %v\n%s", code, err, out)
	}
	if out, code := d.do("list"); code != 0 || strings.Contains(out, "shared.json") {
		t.Errorf("a run was begun: %d\n%s", code, out)
	}
}

// TestPlanResolves looks up the source image, which a plan does not by itself.
func TestPlanResolves(t *testing.T) {
	d := newDesk(t)
	for name, text := range map[string]string{"shared.json": sharedTemplate, "gone.json": strings.Replace(sharedTemplate, "xenial", "nonesuch", 1)} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := d.do("plan", "shared.json"); code != 0 || strings.Contains(out, "FOUND") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	d.env = append(d.env, "AWS_ENDPOINT_URL="+d.serve(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=x", "AWS_REGION=us-east-1")
	image := regexp.MustCompile(`(?m)^web +source +ami-[0-9a-f]+, ubuntu/images/\S+xenial\S+, of 099720109477.*, made 20\S+, x86_64, \d+ GiB`)
	if out, code := d.do("plan", "--resolve", "shared.json"); code != 0 || !image.MatchString(out) {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if out, code := d.do("plan", "--resolve", "gone.json"); code != exitFailed || !strings.Contains(out, "no image fits") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if out, code := d.do("plan", "--resolve", "--local", "shared.json"); code != exitUsage {
		t.Errorf("exit status %d\n%s", code, out)
	}
}
