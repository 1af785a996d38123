package aws

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestBeginUpload(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	same := func(a, b Upload) bool { return a == b }
	u := testThing(t, w, begin("notes.txt", "disk.raw"), same)
	if u.File != "disk.raw" || u.Format != "raw" || u.Object != "packer-import-imgflow-r1-0badcafe-1.raw" {
		t.Errorf("%+v", u)
	}
	w.leaves(0, 0)

	// An interrupted beginning leaves an upload that its key alone tells.
	s := begin("disk.raw")
	w.front.setCut(func(action string, n int) cut {
		if action == "CreateMultipartUpload" {
			return cuts["before the reply"]
		}
		return nil
	})
	w.site().options.Retryer.(*limiter).attempts = 1
	lost := task("imgflow-lost-1")
	if _, err := s.Do(t.Context(), w.cloud, lost); err == nil || errors.As(err, new(*dag.NotMadeError)) {
		t.Error(err)
	}
	w.front.setCut(nil)
	found, err := (Upload{}).Find(t.Context(), w.cloud, lost)
	if err != nil || found.ID != w.left("multipart-upload")[0] {
		t.Errorf("%+v, %v", found, err)
	}
	w.forbid("ListMultipartUploads")
	if _, err := (Upload{}).Find(t.Context(), w.cloud, lost); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("whoever may not ask: %v", err)
	}
	w.forbid("ListParts")
	if again, err := found.Find(t.Context(), w.cloud, lost); err != nil || again != found {
		t.Errorf("whoever may not ask for parts: %+v, %v", again, err)
	}
	w.forbid("CreateMultipartUpload")
	if _, err := s.Do(t.Context(), w.cloud, task("imgflow-x-1")); !errors.As(err, new(*dag.NotMadeError)) || !strings.Contains(err.Error(), "the credentials lack the permission s3:PutObject") {
		t.Error(err)
	}
	w.front.setPlay(nil)

	// What S3 is told.
	var asked url.Values
	s.Object, s.Encryption, s.EncryptionKey = parsed("{{ build `ID` }}/disk.raw"), "aws:kms", "alias/k"
	if u = must(s.Do(t.Context(), w.cloud, task("imgflow-r1-2"))); u.Object != "i-1/disk.raw" {
		t.Errorf("%+v, %v", u, asked)
	}
	o := must(UploadObject{Upload: dag.Lit(u)}.Do(t.Context(), w.cloud, task("imgflow-r1-3")))
	reply := w.s3("HeadObject", "HEAD", "i-1/disk.raw", nil)
	if reply.Get("X-Amz-Server-Side-Encryption") != "aws:kms" || reply.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "alias/k" || reply.Get(tokenHeader) != o.Token {
		t.Errorf("%v", reply.Header)
	}

	if err := os.Mkdir(filepath.Join(w.cloud.o.Dir, "folder.ova"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.file("empty.raw", nil)
	for want, s := range map[string]BeginUpload{
		"what was made has no files": begin(),
		"none of the files that were made ends in .ova, .raw, .vmdk, .vhd, .vhdx: a.iso, b": begin("a.iso", "b"),
		"none of the files that were made ends in .vmdk: disk.raw; look at format":          {Place: here, Of: dag.Lit(made("disk.raw")), Format: "vmdk"},
		"cannot import folder.ova: ":           begin("folder.ova"),
		"cannot import empty.raw: it is empty": begin("empty.raw"),
		"cannot import gone.raw: ":             begin("gone.raw"),
		"cannot use s3_key_name: the key of an object has at most 1024 bytes, and this one 1025": {Place: here, Of: dag.Lit(made("disk.raw")), Object: dag.Text(strings.Repeat("x", 1025))},
	} {
		if _, err := s.Do(t.Context(), w.cloud, task("t")); err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(*dag.NotMadeError)) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
