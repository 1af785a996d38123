package aws

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestImportImage(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	o := w.object("r1")
	step := ImportImage{Place: here, Object: dag.Lit(o)}
	same := func(a, b ImportTask) bool { return a.ID == b.ID }
	testThing(t, w, step, same)
	w.leaves(0, 1)

	// The image is found by the token when AWS tells of the task no more.
	i := must(step.Do(t.Context(), w.cloud, task("imgflow-r1-5")))
	image := must(WaitImport{Task: dag.Lit(i)}.Do(t.Context(), w.cloud, task("imgflow-r1-6")))
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, form url.Values) bool {
		if action == "DescribeImportImageTasks" {
			refuse(rw, 400, "InvalidConversionTaskId.NotFound", "no such task")
		}
		return action == "DescribeImportImageTasks"
	})
	if found, err := i.Find(t.Context(), w.cloud, task("t")); err != nil || found.ID != i.ID {
		t.Errorf("%+v, %v", found, err)
	}
	if err := i.Undo(t.Context(), w.cloud, task("t")); err != nil {
		t.Error(err)
	}
	w.front.setPlay(nil)
	w.leaves(0, 1)
	if _, err := i.Find(t.Context(), w.cloud, task("t")); err == nil {
		t.Errorf("%s is there without its image %s", i.ID, image.ID)
	}

	// What EC2 is told.
	var form url.Values
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, f url.Values) bool {
		if action == "ImportImage" {
			form = f
		}
		return false
	})
	step.ImportOptions = ImportOptions{Architecture: "arm64", BootMode: "uefi", Platform: "linux", LicenseType: "BYOL", RoleName: "importer", Encrypt: true, KMSKey: "alias/k"}
	step.Description = "told"
	must(step.Do(t.Context(), w.cloud, task("imgflow-r1-7")))
	for name, want := range map[string]string{
		"Architecture": "arm64", "BootMode": "uefi", "Platform": "linux", "LicenseType": "BYOL", "RoleName": "importer", "Encrypted": "true", "KmsKeyId": "alias/k", "Description": "told",
		"DiskContainer.1.Format": "raw", "DiskContainer.1.UserBucket.S3Bucket": "disks", "DiskContainer.1.UserBucket.S3Key": o.Object, "TagSpecification.1.ResourceType": "import-image-task",
	} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}
	refused(t, w, "ImportImage", step, "cannot import s3://disks/")
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, _ url.Values) bool {
		refuse(rw, 400, "InvalidParameter", "The service role vmimport provided does not exist or does not have sufficient permissions")
		return true
	})
	if _, err := step.Do(t.Context(), w.cloud, task("imgflow-r1-8")); err == nil || !strings.Contains(err.Error(), "VM Import takes the role that role_name names, vmimport if it is not given") {
		t.Error(err)
	}
}

// Tasks that one call names are asked for one by one where one of them is unknown.
func TestListImports(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	i := w.importing("r1")
	found, err := w.site().listImports(t.Context(), []string{"import-ami-0123456789abcdef0", i.ID})
	if err != nil || len(found) != 1 || text(found[i.ID].Status) != importCompleted {
		t.Errorf("%v, %v", found, err)
	}
	w.fail("DescribeImportImageTasks")
	if _, err := w.site().listImports(t.Context(), []string{i.ID}); err == nil {
		t.Error("what is refused is believed")
	}
}

func TestSizeOfImport(t *testing.T) {
	of := func(sizes ...float64) (i types.ImportImageTask) {
		for _, s := range sizes {
			i.SnapshotDetails = append(i.SnapshotDetails, types.SnapshotDetail{DiskImageSize: &s})
		}
		return i
	}
	for want, i := range map[string]types.ImportImageTask{"": of(), "4 GiB": of(1 << 20), "8 GiB": of(3<<30, 2<<30)} {
		if got := sizeOfImport(i); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if p := percent(types.ImportImageTask{Progress: ptr("55%")}); p != 55 || percent(types.ImportImageTask{Progress: ptr("x")}) != 0 {
		t.Errorf("%d", p)
	}
}
