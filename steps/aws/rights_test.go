package aws

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// boundBuilds are templates that need all kinds of rights.
var boundBuilds = map[string]func(w *world) *dag.Graph{
	"default": func(w *world) *dag.Graph {
		b := template()
		b.Communicator, b.SSH.Username = "ssh", "ubuntu"
		return w.graph(b)
	},
	"options": func(w *world) *dag.Graph {
		yes, no := true, false
		public, err := w.site().api.DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})
		if err != nil {
			w.t.Fatal(err)
		}
		// Somebody else's image of that name, which is to be replaced.
		if _, err := w.site().api.CopyImage(w.t.Context(), &ec2.CopyImageInput{Name: ptr("image-1"), SourceImageId: public.Images[0].ImageId, SourceRegion: ptr(home)}); err != nil {
			w.t.Fatal(err)
		}
		b := template()
		b.Communicator, b.SSH.Username = "ssh", "ubuntu"
		b.AMIRegions, b.Users = []string{"us-west-1", "eu-west-1"}, []string{"123456789012"}
		b.IMDSSupport, b.DeprecateAt, b.ENASupport, b.ForceDeregister, b.ForceDeleteSnapshot = "v2.0", "2030-01-01T00:00:00Z", &yes, true, true
		b.Protection.Enabled = true
		b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdb", VolumeType: "gp3", VolumeSize: 10, DeleteOnTermination: &no}}
		return w.graph(b)
	},
	"publishing": func(w *world) *dag.Graph {
		w.launchTemplate(home, "web")
		b := template()
		b.Users = []string{"210987654321"}
		b.Publish = []Publish{{Parameter: "/images/web", Labels: []string{"current"}}, {Template: "web", SetDefault: true},
			{Parameter: "/images/web", AssumeRole: AssumeRole{RoleARN: "arn:aws:iam::210987654321:role/publisher"}}}
		return w.graph(b)
	},
	"accounts": func(w *world) *dag.Graph {
		b := template().inAccounts("210987654321", "333333333333")
		b.AMIRegions, b.DeprecateAt = []string{west}, "2032-01-01T00:00:00Z"
		b.Accounts[0].Publish = []Publish{{Parameter: "/images/web"}}
		return w.graph(b)
	},
	"spot": func(w *world) *dag.Graph {
		b := template()
		b.Communicator, b.SSH.Username, b.Price = "ssh", "ubuntu", "auto"
		return w.graph(b)
	},
	"role": func(w *world) *dag.Graph {
		b := template()
		b.TemporaryPolicy = reading
		return w.graph(b)
	},
	"import": func(w *world) *dag.Graph {
		w.disks()
		return w.imports(wholeImport())
	},
}

// everything is what a caller without bounds may.
var everything = Policy{Version: "2012-10-17", Statement: []Statement{{Sid: "All", Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"}}}}

// writePolicy binds the caller of an endpoint that has the file; another time tells it to read.
func writePolicy(t *testing.T, path string, p Policy) {
	t.Helper()
	raw, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	at := time.Now().Add(time.Duration(len(raw)) * time.Second)
	if err == nil {
		err = os.Chtimes(path, at, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// under binds the caller of a new world, once the build is prepared, and builds and removes
// all. It returns what went wrong.
func under(t *testing.T, build func(w *world) *dag.Graph, policyOf func(nodes []dag.Node) Policy) (trouble []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.json")
	writePolicy(t, path, everything)
	w := newWorldOf(t, ec2local.Options{Policy: path})
	g := build(w)
	writePolicy(t, path, policyOf(g.Nodes))
	store, log := &dag.MemStore{}, &events{}
	r, err := w.engine(store, log).Solve(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(r.Failed, r.Left...) {
		trouble = append(trouble, f.Err.Error())
	}
	log.mu.Lock()
	for _, e := range log.list {
		trouble = append(trouble, regexp.MustCompile(`cannot [^"]*lack the permission[^"]*`).FindAllString(fmt.Sprintf("%+v", e), -1)...)
	}
	log.mu.Unlock()
	left, err := w.engine(store, &events{}).Destroy(t.Context(), func(dag.Record) bool { return true })
	if err != nil {
		trouble = append(trouble, err.Error())
	}
	for _, f := range left {
		trouble = append(trouble, f.Err.Error())
	}
	return trouble
}

// A policy is enough to build and to remove everything.
func TestPolicyIsEnough(t *testing.T) {
	for name, build := range boundBuilds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if trouble := under(t, build, func(nodes []dag.Node) Policy { p, _ := PolicyFor(nodes, ""); return p }); len(trouble) > 0 {
				t.Error(strings.Join(trouble, "\n"))
			}
		})
	}
}

// Without any of its statements something fails, and its words name an action of the statement.
func TestPolicyHasNothingTooMuch(t *testing.T) {
	for name, build := range boundBuilds {
		w := newWorld(t, ec2local.Faults{})
		whole, _ := PolicyFor(build(w).Nodes, "")
		for i, s := range whole.Statement {
			t.Run(name+"/"+s.Sid, func(t *testing.T) {
				t.Parallel()
				trouble := strings.Join(under(t, build, func(nodes []dag.Node) Policy {
					p, _ := PolicyFor(nodes, "")
					p.Statement = slices.Delete(p.Statement, i, i+1)
					return p
				}), "\n")
				if !slices.ContainsFunc(s.Action, func(a string) bool { return strings.Contains(trouble, a) }) {
					t.Errorf("without %+v: %s", s, trouble)
				}
			})
		}
	}
}

// Every kind says what it needs.
func TestEveryKindHasNeeds(t *testing.T) {
	kinds := map[string]bool{}
	for _, k := range Kinds(nil) {
		kinds[k.Name] = true
		if _, ok := needs[k.Name]; !ok {
			t.Errorf("%s does not say what it needs to be allowed", k.Name)
		}
	}
	for k := range needs {
		if !kinds[k] {
			t.Errorf("there is no kind %s", k)
		}
	}
}
