package aws

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// threeParts is a disk of some parts.
func threeParts() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 5*leastPart/32+1) }

func TestUploadObject(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	w.file("disk.raw", threeParts())
	u := must(begin("disk.raw").Do(t.Context(), w.cloud, task("imgflow-r1-1")))
	testThing(t, w, UploadObject{Upload: dag.Lit(u)}, func(a, b Object) bool { return a == b })
	if n := w.front.count("UploadPart"); n != 3 {
		t.Errorf("%d parts were sent, not 3: again by nobody", n)
	}
	w.leaves(0, 0)

	// What has arrived is not sent again by a later attempt, but for what the file has
	// another content of.
	u = must(begin("disk.raw").Do(t.Context(), w.cloud, task("imgflow-r1-2")))
	step := UploadObject{Upload: dag.Lit(u)}
	var sent atomic.Int64
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, _ url.Values) bool {
		if action == "UploadPart" && sent.Add(1) > 2 {
			raw(rw, true)
			return true
		}
		return false
	})
	w.site().options.Retryer.(*limiter).attempts = 1
	do := task("imgflow-r1-3")
	var passing *dag.RetryError
	if _, err := step.Do(t.Context(), w.cloud, do); !errors.As(err, &passing) || !strings.Contains(err.Error(), "cannot upload disk.raw, part ") {
		t.Errorf("%v", err)
	}
	w.front.setPlay(nil)
	changed := threeParts()
	changed[0] = 'x'
	w.file("disk.raw", changed)
	before := w.front.count("UploadPart")
	o, err := step.Do(t.Context(), w.cloud, do)
	if err != nil {
		t.Fatal(err)
	}
	if n := w.front.count("UploadPart") - before; n < 1 || n > 2 {
		t.Errorf("%d parts were sent by the second attempt", n)
	}
	sums := md5.New()
	for from := 0; from < len(changed); from += leastPart {
		sum := md5.Sum(changed[from:min(from+leastPart, len(changed))])
		sums.Write(sum[:])
	}
	if got, want := w.s3("HeadObject", http.MethodHead, o.Object, nil).Get("ETag"), fmt.Sprintf(`"%x-3"`, sums.Sum(nil)); got != want {
		t.Errorf("another content arrived: %s, not %s", got, want)
	}

	// It is found by its own token alone, and is removed if nothing else is there.
	w.s3("PutObject", http.MethodPut, o.Object, []byte("somebody's"))
	if _, err := o.Find(t.Context(), w.cloud, do); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
	if err := o.Undo(t.Context(), w.cloud, do); err != nil || len(w.left("object")) != 1 {
		t.Errorf("what somebody has put there: %v", err)
	}
}

// A file that was mended in its place is uploaded anew.
func TestChangedFileIsUploadedAnew(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	o := w.object("r1")
	if _, err := o.Find(t.Context(), w.cloud, task("t")); err != nil {
		t.Error(err)
	}
	w.file("disk.raw", []byte("mended"))
	if _, err := o.Find(t.Context(), w.cloud, task("t")); !errors.Is(err, dag.ErrNotFound) || len(w.left("object")) > 0 {
		t.Error(err)
	}
	o = w.object("r2")
	if err := os.Remove(filepath.Join(w.cloud.o.Dir, "disk.raw")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Find(t.Context(), w.cloud, task("t")); err != nil {
		t.Errorf("of a file that is gone: %v", err)
	}
}

// Whoever may not list a bucket is not told what is not there.
func TestObjectOfWhoMayNotList(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	u := must(begin("disk.raw").Do(t.Context(), w.cloud, task("imgflow-r1-1")))
	do := task("imgflow-r1-2")
	o := must(UploadObject{Upload: dag.Lit(u)}.Do(t.Context(), w.cloud, do))
	w.forbid("HeadObject")
	if found, err := o.Find(t.Context(), w.cloud, do); err != nil || found != o {
		t.Errorf("what is known: %+v, %v", found, err)
	}
	if _, err := (Object{}).Find(t.Context(), w.cloud, do); !errors.Is(err, dag.ErrNotFound) || len(w.left("object")) > 0 {
		t.Errorf("what an interrupted attempt may have made: %v", err)
	}
	if err := o.Undo(t.Context(), w.cloud, do); err != nil {
		t.Error(err)
	}
	w.forbid("HeadObject", "DeleteObject")
	if _, err := (Object{}).Find(t.Context(), w.cloud, do); err == nil || errors.Is(err, dag.ErrNotFound) || !strings.Contains(err.Error(), "s3:DeleteObject") {
		t.Errorf("%v", err)
	}
}

// A file that is written to while it is sent is sent once more, and an upload may be
// interrupted anywhere.
func TestUploadIsInterrupted(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	u := must(begin("disk.raw").Do(t.Context(), w.cloud, task("imgflow-r1-1")))
	step := UploadObject{Upload: dag.Lit(u)}
	w.front.setPlay(func(_ http.ResponseWriter, action string, n int, _ url.Values) bool {
		if action == "UploadPart" && n == 1 {
			os.Chtimes(filepath.Join(w.cloud.o.Dir, "disk.raw"), time.Now(), time.Now().Add(time.Hour))
		}
		return false
	})
	var passing *dag.RetryError
	if _, err := step.Do(t.Context(), w.cloud, task("imgflow-r1-2")); !errors.As(err, &passing) || !strings.Contains(err.Error(), "it was changed meanwhile") {
		t.Error(err)
	}
	w.front.setPlay(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := step.Do(ctx, w.cloud, task("imgflow-r1-3")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := step.Do(t.Context(), w.cloud, task("imgflow-r1-4")); err != nil {
		t.Error(err)
	}
}

// Disks of any size have a number of parts that S3 takes.
func TestPartSizes(t *testing.T) {
	for _, total := range []int64{1, leastPart, leastPart + 1, 100 << 30, maxObject - 1, maxObject} {
		x := sending{total: total}
		if n, size := x.count(), x.partSize(); n < 1 || n > mostParts || size > 5<<30 || int64(n)*size < total || int64(n-1)*size >= total {
			t.Errorf("%d bytes are %d parts of %d", total, n, size)
		}
	}
}
