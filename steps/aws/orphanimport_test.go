package aws

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// An import of a lost run is found by its tags, with its object and its image; one that has
// left a result is not.
func TestOrphansOfImports(t *testing.T) {
	for _, state := range []string{"active", "completed", "adopted", "result", "somebody's"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			o := ec2local.Options{}
			if state == "active" {
				o.Latency = "import=1h"
			}
			w := newImportWorld(t, o)
			var object Object
			if state == "result" {
				w.build(&dag.MemStore{}, w.imports(ImportDisk{SkipClean: true}))
			} else {
				object = w.object("r1")
				in := must(ImportImage{Place: here, Object: dag.Lit(object)}.Do(t.Context(), w.cloud, task("imgflow-r1-3")))
				if state == "adopted" {
					must(WaitImport{Task: dag.Lit(in)}.Do(t.Context(), w.cloud, task("imgflow-r1-4")))
				}
			}
			if state == "somebody's" {
				w.s3("PutObject", http.MethodPut, object.Object, []byte("another"))
			}
			w.cloud = NewCloud(w.cloud.o)
			now := time.Duration(0)
			found, err := w.cloud.Orphans(t.Context(), OrphanFilter{Regions: []string{home}, OlderThan: &now})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][]string{"active": {"import-image-task"}, "completed": {"import-image-task"}, "adopted": {"image", "snapshot"}, "somebody's": {"import-image-task"}}[state]
			if len(found) != len(want) {
				t.Fatalf("%+v, want %v", found, want)
			}
			for i, f := range found {
				if f.Type != want[i] {
					t.Errorf("%+v, want %s", f, want[i])
				}
				if err := w.cloud.Remove(context.Background(), f); err != nil {
					t.Error(err)
				}
			}
			switch state {
			case "result":
				w.leaves(1, 1)
			case "adopted", "somebody's": // the object is what no task tells of, or another's
				w.leaves(0, 1)
			default:
				w.leaves(0, 0)
			}
		})
	}
}
