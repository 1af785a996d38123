package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/steps/aws"
	"github.com/imgflow/imgflow/steps/comm"
)

var eachStatement = flag.Bool("statements", false, "take each statement out of the policy of each example, and not equal ones of one example only")

// examplesOfPolicies are all examples, with what each has to find: images that are built first,
// by templates of the same folder.
func examplesOfPolicies(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, pattern := range []string{"*.json", "*.pkr.hcl"} {
		found, err := filepath.Glob(filepath.Join("..", "..", "examples", "*", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
			all[name] = nil
			if strings.HasPrefix(name, "nightly/") { // it takes the place of today's
				all[name] = []string{filepath.Base(path)}
			}
		}
	}
	if _, there := all["chain/app.json"]; !there || len(all) < 25 {
		t.Fatalf("the examples are %v", slices.Sorted(maps.Keys(all)))
	}
	all["chain/app.json"] = []string{"base.json"}
	return all
}

// guestless does what concerns AWS. Machines are never asked: they are taken to be reached, and to do
// all that they are told.
type guestless struct{ dag.Runner }

func (r guestless) Do(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	family, _, _ := strings.Cut(c.Kind, ".")
	switch {
	case c.Kind == comm.Connect{}.Kind():
		var s comm.Connect
		m := comm.Machine{}
		err := json.Unmarshal(c.Spec, &s)
		if err == nil {
			err = json.Unmarshal(c.Inputs[s.To.Key()], &m.Endpoint)
		}
		out, err2 := json.Marshal(m)
		if err != nil || err2 != nil {
			return dag.Result{Class: dag.Fail, Err: fmt.Sprint(err, err2)}
		}
		return dag.Result{Class: dag.OK, Out: out}
	case family == "provision", c.Kind == comm.ClearKeys{}.Kind():
		for _, in := range c.Inputs {
			if bytes.Contains(in, []byte(`"protocol"`)) {
				return dag.Result{Class: dag.OK, Out: in}
			}
		}
	case c.Kind == aws.Stop{}.Kind(): // no script stops it
		c.Spec = bytes.Replace(c.Spec, []byte(`"itself":true`), []byte(`"itself":false`), 1)
	}
	return r.Runner.Do(ctx, c, h)
}

// bound is an embedded EC2 whose caller has a policy, and a folder with an example.
type bound struct {
	t      *testing.T
	dir    string
	policy string
	url    string
	key    local.Key
}

func newBound(t *testing.T, example string) *bound {
	t.Helper()
	b := &bound{t: t, dir: t.TempDir(), key: local.Key{ID: "AKIDUSUAL", Secret: "secret-of-usual"}}
	b.policy = filepath.Join(b.dir, "policy.json")
	b.allow(everything)
	guests := "none"
	if strings.HasPrefix(example, "windows/") || strings.HasPrefix(example, "iis/") {
		guests = "process" // which make the passwords of Windows
	}
	seed := filepath.Join("..", "..", "examples", filepath.Dir(example), "local", "seed.json") // what it has to find
	if _, err := os.Stat(seed); err != nil {
		seed = ""
	}
	ec2, err := newEC2(ec2Options{Dir: filepath.Join(b.dir, "ec2"), Guest: guests, Key: b.key, Policy: b.policy, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(ec2)
	t.Cleanup(func() { s.Close(); ec2.Close() })
	b.url = s.URL
	if err := os.CopyFS(filepath.Join(b.dir, "example"), os.DirFS(filepath.Join("..", "..", "examples", filepath.Dir(example)))); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"ansible-playbook", "ansible-galaxy"} { // they need not be here
		if err := os.WriteFile(filepath.Join(b.dir, tool), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// everything is the policy of a caller without bounds.
var everything = aws.Policy{Version: "2012-10-17", Statement: []aws.Statement{{Sid: "All", Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"}}}}

// allow gives the caller a policy; its length tells the endpoint that it is another.
func (b *bound) allow(p aws.Policy) {
	b.t.Helper()
	raw, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(b.policy, raw, 0o600)
	}
	at := time.Now().Add(time.Duration(len(raw)) * time.Second)
	if err == nil {
		err = os.Chtimes(b.policy, at, at)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// session is one with a template of the example, whose machines are never asked.
func (b *bound) session(file string) *app.Session {
	b.t.Helper()
	dir := filepath.Join(b.dir, "example")
	var w app.World
	a := &app.App{
		World: func(o app.WorldOptions) app.World {
			w = newWorld(o)
			w.Direct(app.Endpoint{URL: b.url, Key: b.key, ConsistencyWindow: 300 * time.Millisecond})
			return w
		},
		Runner: func(*app.Handover) dag.Runner { return guestless{dag.InProcess(w.Kinds())} },
		Env:    app.NewEnv([]string{"PATH=" + b.dir + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + b.dir, "IMGFLOW_HOME=" + filepath.Join(b.dir, "home")}, dir),
	}
	home, err := a.OpenHome()
	if err != nil {
		b.t.Fatal(err)
	}
	s := a.New(home, app.Request{Template: file})
	if err := s.Load(b.t.Context(), true); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// policyOf is what is printed for a template.
func (b *bound) policyOf(file string) aws.Policy {
	b.t.Helper()
	s := b.session(file)
	defer s.Close()
	s.Foresee(b.t.Context())
	p, _ := aws.PolicyFor(s.Graph().Nodes, "")
	return p
}

var lacking = regexp.MustCompile(`cannot [^"]*lack the permission[^\n]*`)

// build builds a template, and returns what was lacking for that; remove takes all away again,
// images as well.
func (b *bound) build(file string, remove bool) (trouble []string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	s := b.session(file)
	defer s.Close()
	if err := s.Begin(ctx, local.Settings{}); err != nil {
		return []string{err.Error()}
	}
	var mu sync.Mutex
	show := func(e dag.Event) {
		mu.Lock()
		defer mu.Unlock()
		trouble = append(trouble, lacking.FindAllString(e.Text+"\n"+e.Err, -1)...)
	}
	res, err := s.Run(ctx, app.RunOptions{Show: show})
	if err != nil {
		return append(trouble, err.Error())
	}
	for _, f := range append(res.Failed, res.Left...) {
		trouble = append(trouble, f.Err.Error())
	}
	if !remove {
		return trouble
	}
	things, err := s.Things(true)
	if err != nil {
		b.t.Fatal(err)
	}
	left, err := s.Remove(ctx, things, show)
	if err != nil {
		trouble = append(trouble, err.Error())
	}
	for _, f := range left {
		trouble = append(trouble, f.Err.Error())
	}
	return trouble
}

// under builds an example with a policy, and removes all.
func (b *bound) under(p aws.Policy, example string, before []string) []string {
	b.t.Helper()
	for _, first := range before {
		if trouble := b.build(first, false); len(trouble) > 0 {
			b.t.Fatal(trouble)
		}
		b.disown()
	}
	b.allow(p)
	return b.build(filepath.Base(example), true)
}

// disown has all images be such as no run has made.
func (b *bound) disown() {
	b.t.Helper()
	api := ec2.New(ec2.Options{BaseEndpoint: &b.url, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(b.key.ID, b.key.Secret, "")})
	images, err := api.DescribeImages(b.t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, i := range images.Images {
		ids = append(ids, *i.ImageId)
		for _, d := range i.BlockDeviceMappings {
			if d.Ebs != nil {
				ids = append(ids, *d.Ebs.SnapshotId)
			}
		}
	}
	run := aws.TagRun
	if _, err := api.DeleteTags(b.t.Context(), &ec2.DeleteTagsInput{Resources: ids, Tags: []types.Tag{{Key: &run}}}); err != nil {
		b.t.Fatal(err)
	}
}

// TestPolicyOfEachExample: it is enough, both languages have the same, and without any of its
// statements something fails with words that name an action of the statement, and what allows it.
func TestPolicyOfEachExample(t *testing.T) {
	examples := examplesOfPolicies(t)
	tried := map[string]bool{}
	for _, example := range slices.Sorted(maps.Keys(examples)) {
		p := newBound(t, example).policyOf(filepath.Base(example))
		if twin := strings.Replace(example, ".json", ".pkr.hcl", 1); twin != example {
			if _, there := examples[twin]; there {
				if other := newBound(t, twin).policyOf(filepath.Base(twin)); fmt.Sprint(p) != fmt.Sprint(other) {
					t.Errorf("%s has the policy\n%+v\nand %s\n%+v", example, p, twin, other)
				}
				delete(examples, twin)
			}
		} else if _, there := examples[example]; !there {
			continue
		}
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			b := newBound(t, example)
			if trouble := b.under(p, example, examples[example]); len(trouble) > 0 {
				t.Errorf("it is not enough:\n%s", strings.Join(trouble, "\n"))
			}
		})
		for i, s := range p.Statement {
			same := fmt.Sprint(s.Sid, s.Action, len(examples[example]))
			if tried[same] && !*eachStatement {
				continue
			}
			tried[same] = true
			t.Run(example+" without "+s.Sid, func(t *testing.T) {
				t.Parallel()
				less := p
				less.Statement = slices.Delete(slices.Clone(p.Statement), i, i+1)
				trouble := strings.Join(newBound(t, example).under(less, example, examples[example]), "\n")
				if !slices.ContainsFunc(s.Action, func(a string) bool {
					return strings.Contains(trouble, "lack the permission "+a) && strings.Contains(trouble, `"Action":["`+a+`"]`)
				}) {
					t.Errorf("it is without %+v:\n%s", s, trouble)
				}
			})
		}
	}
}
