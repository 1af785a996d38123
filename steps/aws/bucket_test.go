package aws

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestCheckBucket(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	twice(t, w, CheckBucket{Place: here, Bucket: "disks"})
	for want, s := range map[string]CheckBucket{
		"cannot use the bucket none: NotFound (look at s3_bucket_name: the bucket has to be there)":                     {Place: here, Bucket: "none"},
		"cannot use the bucket disks: PermanentRedirect: the bucket is in us-east-1 (set region to that of the bucket)": {Place: Place{Region: west}, Bucket: "disks"},
	} {
		if _, err := s.Do(t.Context(), w.cloud, task("t")); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	w.forbid("HeadBucket")
	if _, err := (CheckBucket{Place: here, Bucket: "disks"}).Do(t.Context(), w.cloud, task("t")); err != nil {
		t.Errorf("whoever may not ask: %v", err)
	}
	w.front.setPlay(nil)
	g := w.imports(ImportDisk{Name: "free"})
	early := 0
	for _, n := range g.Nodes {
		if n.Kind == (CheckBucket{}).Kind() || n.Kind == (NameCheck{}).Kind() {
			early++
			for _, k := range n.Needs {
				if of, _ := g.Node(k); of.Kind != (CheckAccess{}).Kind() {
					t.Errorf("%s waits for %s", n.Name, of.Name)
				}
			}
		}
	}
	if early != 2 {
		t.Errorf("%d checks come before all else, not 2", early)
	}
}

// forbid has S3 answer calls as it does where a permission lacks.
func (w *world) forbid(actions ...string) {
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, _ url.Values) bool {
		for _, a := range actions {
			if a == action {
				rw.Header().Set("X-Amz-Request-Id", "r")
				rw.WriteHeader(403)
				if !strings.HasPrefix(action, "Head") {
					rw.Write([]byte("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"))
				}
				return true
			}
		}
		return false
	})
}
