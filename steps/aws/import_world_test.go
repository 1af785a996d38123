package aws

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// newImportWorld is one with a bucket called disks and a file disk.raw.
func newImportWorld(t *testing.T, o ec2local.Options) *world {
	t.Helper()
	w := newWorldOf(t, o)
	w.disks()
	return w
}

func (w *world) disks() {
	w.cloud.o.Dir = w.t.TempDir()
	w.file("disk.raw", []byte("anything may be on a raw disk"))
	w.s3("CreateBucket", http.MethodPut, "", nil)
}

// tasks are all import tasks that ever were.
func (w *world) tasks() []types.ImportImageTask {
	w.t.Helper()
	return must(w.site().describeImports(w.t.Context()))
}

func (w *world) file(name string, content []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.cloud.o.Dir, name), content, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// s3 makes a call that no step makes.
func (w *world) s3(operation, method, key string, body []byte) s3Reply {
	w.t.Helper()
	return must(w.cloud.callS3(w.t.Context(), here, s3Call{operation: operation, method: method, bucket: "disks", key: key}.text(body), nil))
}

// made is what a builder hands on.
func made(files ...string) steps.Product {
	return steps.Product{Builder: "packer.file", Files: files, Machine: comm.Machine{Endpoint: comm.Endpoint{Vars: map[string]string{"ID": "i-1"}}}}
}

// begin is the first step of an upload.
func begin(files ...string) BeginUpload {
	return BeginUpload{Place: here, Of: dag.Lit(made(files...)), Bucket: "disks"}
}

// object is one that was uploaded, and uploaded the upload that it came by.
func (w *world) object(name string) Object {
	w.t.Helper()
	u := must(begin("disk.raw").Do(w.t.Context(), w.cloud, task("imgflow-"+name+"-1")))
	return must(UploadObject{Upload: dag.Lit(u)}.Do(w.t.Context(), w.cloud, task("imgflow-"+name+"-2")))
}

// importing is a task that EC2 has taken.
func (w *world) importing(name string) ImportTask {
	w.t.Helper()
	return must(ImportImage{Place: here, Object: dag.Lit(w.object(name))}.Do(w.t.Context(), w.cloud, task("imgflow-"+name+"-3")))
}

// importedImage is an image that was imported.
func (w *world) importedImage(name string) Imported {
	w.t.Helper()
	return must(WaitImport{Task: dag.Lit(w.importing(name))}.Do(w.t.Context(), w.cloud, task("imgflow-"+name+"-4")))
}

// left are the things of a kind that the endpoint has.
func (w *world) left(kind string) (ids []string) {
	for _, i := range w.front.next.(*ec2local.Server).Inventory().Made() {
		if i.Kind == kind {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

// leaves insists on so many things of each kind that an import makes.
func (w *world) leaves(images, objects int) {
	w.t.Helper()
	for kind, want := range map[string]int{"image": images, "snapshot": images, "object": objects, "multipart-upload": 0, "import-image-task": 0} {
		if got := w.left(kind); len(got) != want {
			w.t.Errorf("%d of the kind %s, not %d: %v", len(got), kind, want, got)
		}
	}
}

// source makes the product of a file.
type diskMade struct{ File string }

func (diskMade) Kind() string { return "test.disk-made" }
func (s diskMade) Do(context.Context, *Cloud, *dag.Task) (steps.Product, error) {
	return made(s.File), nil
}

// imports is the graph of an import of disk.raw.
func (w *world) imports(o ImportDisk) *dag.Graph {
	w.t.Helper()
	o.cloud, o.Bucket, o.Access.Region = w.cloud, "disks", home
	if f := o.Check(); len(f) > 0 {
		w.t.Fatal(f)
	}
	if err := o.Prepare(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	g, b := dag.NewGraph(nil), dag.Build{Name: "b", Type: "file"}
	in := dag.Add(g, b, "file", diskMade{"disk.raw"})
	dag.Goal(g, o.Add(g, b, "amazon-import", in))
	if err := g.Err(); err != nil {
		w.t.Fatal(err)
	}
	return g
}

// whole is an import that makes every call.
func wholeImport() ImportDisk {
	o := ImportDisk{Name: "image-1", Description: "told", Tags: map[dag.Text]dag.Text{"os": "linux"}, Users: []string{"123456789012"}, IMDSSupport: "v2.0"}
	o.LicenseType = "BYOL"
	return o
}

// TestImport is every step of an import, with a name and without, and what is left of each.
func TestImport(t *testing.T) {
	for name, o := range map[string]ImportDisk{"named": wholeImport(), "as it is": {Description: "told", Tags: map[dag.Text]dag.Text{"os": "linux"}}, "not cleaned": {SkipClean: true, Object: "kept.raw"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newImportWorld(t, ec2local.Options{})
			e := w.build(&dag.MemStore{}, w.imports(o))
			objects := 0
			if o.SkipClean {
				objects = 1
			}
			w.leaves(1, objects)
			i := w.describeImage(w.left("image")[0])
			tags := tagMap(i.Tags)
			if o.Name != "" && text(i.Name) != o.Name || o.Name == "" && !strings.HasPrefix(text(i.Name), "import-ami-") {
				t.Errorf("its name is %s", text(i.Name))
			}
			if o.Description != "" && (text(i.Description) != "told" || tags["os"] != "linux") || tags[TagArtifact] == "" || tags[TagExpires] != "never" {
				t.Errorf("%s, %v", text(i.Description), tags)
			}
			left, err := e.Destroy(t.Context(), func(dag.Record) bool { return true })
			if err != nil || len(left) > 0 {
				t.Fatal(left, err)
			}
			w.leaves(0, 0)
		})
	}
}

// An import that takes its time is waited for, and told of. Meanwhile the object stays, and
// the imported image until its copy is there.
func TestImportTakesTime(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{Latency: "aws/600"}) // 1.5 s for the import, half a second for the copy
	store := &dag.MemStore{}
	log := &events{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if r, err := w.engine(store, log).Solve(t.Context(), w.imports(wholeImport())); err != nil || len(r.Failed)+len(r.Left) > 0 {
			t.Error(r, err)
		}
	}()
	for end := time.Now().Add(20 * time.Second); len(w.left("import-image-task")) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	time.Sleep(200 * time.Millisecond)
	if w.left("object") == nil {
		t.Error("the object went before the import was completed")
	}
	copying := false
	for end := false; !end; time.Sleep(10 * time.Millisecond) {
		select {
		case <-done:
			end = true
		default:
		}
		var pending, all int
		for _, i := range w.front.next.(*ec2local.Server).Inventory().Of("image") {
			if all++; i.State == "pending" {
				pending++
			}
		}
		copying = copying || pending > 0
		if pending > 0 && all != 2 {
			t.Errorf("%d images while one is copied", all)
		}
	}
	if !copying {
		t.Error("nobody saw the copy being made")
	}
	w.leaves(1, 0)
	seen := false
	for _, e := range log.list {
		seen = seen || e.Type == dag.Progress && e.Unit == "%" && e.Total == 100
	}
	if !seen {
		t.Error("nobody was told how far it is")
	}
}

// A destroy cancels an import that is under way, and removes what it has been made of.
func TestImportIsCancelled(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{Latency: "import=1h"})
	store := &dag.MemStore{}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(w.left("import-image-task")) == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	g := w.imports(wholeImport())
	w.engine(store, &events{}).Solve(ctx, g)
	w.forget(g)
	left, err := w.engine(store, &events{}).Destroy(t.Context(), func(dag.Record) bool { return true })
	if err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	if w.front.count("CancelImportTask") != 1 {
		t.Errorf("%d calls of CancelImportTask", w.front.count("CancelImportTask"))
	}
	w.leaves(0, 0)
}

// An import that fails says why and what to do; mended, it is done again.
func TestImportFails(t *testing.T) {
	for _, keep := range []bool{false, true} {
		w := newImportWorld(t, ec2local.Options{})
		w.file("disk.vmdk", []byte("no vmdk"))
		store := &dag.MemStore{}
		o := ImportDisk{cloud: w.cloud, Bucket: "disks", Object: "mine"}
		o.Access.Region = home
		if err := o.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		g, b := dag.NewGraph(nil), dag.Build{Name: "b"}
		dag.Goal(g, o.Add(g, b, "amazon-import", dag.Add(g, b, "file", diskMade{"disk.vmdk"})))
		e := w.engine(store, &events{})
		if keep {
			e = must(dag.New(dag.Options{Run: "r1", Store: store, Kinds: w.kinds(), OnFailure: suspend}))
		}
		r, err := e.Solve(t.Context(), g)
		if err != nil || len(r.Failed) != 1 {
			t.Fatal(r, err)
		}
		for _, want := range []string{"cannot import the disk: import-ami-", "is deleted: ClientError: Disk validation failed [Unsupported VMDK File Format]", "a vmdk has to be stream-optimized"} {
			if !strings.Contains(r.Failed[0].Err.Error(), want) {
				t.Errorf("%v lacks %q", r.Failed[0].Err, want)
			}
		}
		if !keep {
			w.leaves(0, 0)
		}
		w.file("disk.vmdk", bytes.Repeat([]byte("KDMV"), 1000))
		w.build(store, g)
		w.leaves(1, 0)
	}
}

// An import dies at every write of its store. Resumed, it ends with one image; destroyed,
// it leaves nothing.
func TestImportDeathAtEveryWrite(t *testing.T) {
	count := &mortal{}
	w := newImportWorld(t, ec2local.Options{})
	w.build(count, w.imports(wholeImport()))
	for at := 1; at <= count.writes; at++ {
		for _, lands := range []bool{false, true} {
			for _, o := range []ImportDisk{wholeImport(), {}} {
				if at%2 == 0 != (o.Name == "") && !*every {
					continue
				}
				for _, then := range []string{"resume", "destroy"} {
					t.Run(strings.Join([]string{then, o.Name, string(rune('0' + at/10)), string(rune('0' + at%10)), map[bool]string{true: "landed"}[lands]}, " "), func(t *testing.T) {
						t.Parallel()
						w := newImportWorld(t, ec2local.Options{})
						w.cloud.o.ConsistencyWindow = 50 * time.Millisecond
						store := &mortal{at: at, lands: lands}
						g := w.imports(o)
						w.engine(store, &events{}).Solve(t.Context(), g)
						second := &dag.MemStore{}
						second.Put(must(store.All())...)
						w.forget(g)
						if then == "resume" {
							w.build(second, g)
							w.leaves(1, 0)
							w.forget(g)
						}
						left, err := w.engine(second, &events{}).Destroy(t.Context(), func(dag.Record) bool { return true })
						if err != nil || len(left) > 0 {
							t.Fatal(left, err)
						}
						w.leaves(0, 0)
					})
				}
			}
		}
	}
}
