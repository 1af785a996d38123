package aws

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// forgetIDs turns the records of a store into those of a version that believed
// replies without an id.
func forgetIDs(t *testing.T, store *dag.MemStore, kind string) {
	t.Helper()
	n := 0
	for _, r := range must(store.All()) {
		if r.Kind != kind || r.Status != dag.Done {
			continue
		}
		var out map[string]any
		if err := json.Unmarshal(r.Out, &out); err != nil {
			t.Fatal(err)
		}
		out["id"] = ""
		r.Out, r.Label = must(json.Marshal(out)), ""
		store.Put(r)
		n++
	}
	if n == 0 {
		t.Fatalf("there is no %s", kind)
	}
}

// Records with an empty id, which an earlier imgflow kept, are good for a resume,
// which then knows the id, and for a destroy.
func TestRecordsWithoutID(t *testing.T) {
	for _, kind := range []string{"aws.keypair", "aws.group", "aws.launch", "aws.image"} {
		for _, then := range []string{"resume", "destroy"} {
			t.Run(kind+"/"+then, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, ec2local.Faults{})
				w.cloud.o.ConsistencyWindow = 50 * time.Millisecond
				store := &dag.MemStore{}
				g := w.graph(whole())
				deaf := "RunInstances"
				if kind == "aws.launch" {
					deaf = "StopInstances"
				}
				if kind == "aws.image" {
					deaf = "CreateTags" // of ImageReady
				}
				w.fail(deaf)
				e, err := dag.New(dag.Options{Run: "r1", Store: store, Kinds: w.kinds(), OnFailure: suspend})
				if err != nil {
					t.Fatal(err)
				}
				if r, err := e.Solve(t.Context(), g); err != nil || len(r.Failed) != 1 {
					t.Fatal(r, err)
				}
				w.front.setPlay(nil)
				forgetIDs(t, store, kind)
				e = w.engine(store, &events{})
				if then == "resume" {
					e = w.build(store, g)
					w.only(1)
					for _, r := range must(store.All()) {
						if strings.Contains(string(r.Out), `"id":""`) {
							t.Errorf("the record of %s still has no id", r.Kind)
						}
					}
				}
				left, err := e.Destroy(t.Context(), func(dag.Record) bool { return true })
				if err != nil || len(left) > 0 {
					t.Fatal(left, err)
				}
				w.only(0)
			})
		}
	}
}
