package aws

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestWaitImport(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	in := w.importing("r1")
	step := WaitImport{Task: dag.Lit(in)}
	of := twice(t, w, step)
	i := w.describeImage(of.ID)
	if tags := tagMap(i.Tags); tags[TagRun] != "r1" || tags[TagToken] != in.Token || tags[TagExpires] == "" || tags[TagArtifact] != "" {
		t.Errorf("%v", tags)
	}
	if ids := must(w.site().snapshotsOf(t.Context(), in.Token)); len(of.Snapshots) != 1 || len(ids) != 1 || ids[0] != of.Snapshots[0] || of.Name != text(i.Name) {
		t.Errorf("%+v, %v", of, ids)
	}
	refused(t, w, "CreateTags", step, "cannot tag "+of.ID+": ")
	refused(t, w, "DescribeImportImageTasks", step, "cannot wait for "+in.ID+": ")
	if err := in.Undo(t.Context(), w.cloud, task("t")); err != nil {
		t.Error(err)
	}
	if _, err := step.Do(t.Context(), w.cloud, task("t")); err == nil || !strings.Contains(err.Error(), "cannot use the image "+of.ID+" that "+in.ID+" has made") {
		t.Error(err)
	}
	in.ID = "import-ami-0123456789abcdef0"
	if _, err := (WaitImport{Task: dag.Lit(in)}).Do(t.Context(), w.cloud, task("t")); err == nil || err.Error() != "cannot wait for import-ami-0123456789abcdef0: the import task does not exist any more" {
		t.Error(err)
	}
}

// What AWS says of a failure comes with what to do.
func TestFailedImport(t *testing.T) {
	for why, want := range map[string]string{
		"": "AWS gives no reason (look at the disk, its format and the options of the import)",
		"ClientError: Disk validation failed [Unsupported VMDK File Format]": "a vmdk has to be stream-optimized",
		"ClientError: Insufficient permissions - unable to access bucket":    "the role that role_name names, vmimport by default, has to be allowed to read the bucket",
		"ClientError: Boot disk is not using MBR partitioning.":              "look at boot_mode, architecture and platform",
		"ClientError: Unsupported kernel version 6.1.0":                      "VM Import takes only some systems and kernels",
		"Cancelled by the user": "resume begins it again",
	} {
		if err := failedImport("import-ami-1", "deleted", why); !strings.HasPrefix(err.Error(), "cannot import the disk: import-ami-1 is deleted: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
