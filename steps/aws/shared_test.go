package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// Clouds of one process share their waits and calls where their settings mean the same, in
// the light of what was asked of the environment for them, and nowhere else.
func TestWhoSharesCalls(t *testing.T) {
	shared := NewShared()
	poolOf := func(env map[string]string, a Access, region string) *pool {
		t.Helper()
		all := map[string]string{"AWS_EC2_METADATA_DISABLED": "true", "HOME": t.TempDir()}
		maps.Copy(all, env)
		c := NewCloud(CloudOptions{Shared: shared, Getenv: func(name string) string { return all[name] }, Secret: func(name string) (string, error) { return "of " + name, nil }})
		_, p, err := c.client(t.Context(), a, region)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	home1 := map[string]string{"HOME": "/nowhere"}
	keys := Access{AccessKey: "a", SecretKey: "of k"}
	one := poolOf(home1, keys, home)
	marked := Access{AccessKey: "a", SecretKey: dag.Secret(dag.Mark("k"))}
	role := Access{AssumeRole: AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/r"}, AccessKey: "a", SecretKey: "of k"}
	for what, x := range map[string]struct {
		got    *pool
		shared bool
	}{
		"another cloud":             {poolOf(home1, keys, home), true},
		"a secret of another name":  {poolOf(home1, marked, home), true},
		"another secret key":        {poolOf(home1, Access{AccessKey: "a", SecretKey: "s"}, home), false},
		"another region":            {poolOf(home1, keys, "eu-west-1"), false},
		"a role":                    {poolOf(home1, role, home), false},
		"profiles of another place": {poolOf(map[string]string{"HOME": "/elsewhere"}, keys, home), false},
		"another profile":           {poolOf(map[string]string{"HOME": "/nowhere", "AWS_PROFILE": ""}, Access{}, home), false},
		"an endpoint of its own":    {poolOf(map[string]string{"HOME": "/nowhere", "AWS_ENDPOINT_URL": "https://ec2.example.com"}, keys, home), false},
	} {
		if (x.got == one) != x.shared {
			t.Errorf("%s: shared is %t", what, !x.shared)
		}
	}
}

// ofRuns makes clouds of one process for the endpoint of a world, as its runs have them.
func (w *world) ofRuns(n int) (runs []*Cloud) {
	o := w.cloud.o
	o.Shared = NewShared()
	for range n {
		runs = append(runs, NewCloud(o))
	}
	return runs
}

// Many runs of one process that wait for things of one account ask together, and go on when
// one of them ends.
func TestRunsWaitTogether(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	const runs, looks = 8, 5
	source := must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("source")))
	before := w.front.count("DescribeImages")
	var wg sync.WaitGroup
	for i, c := range w.ofRuns(runs) {
		s, err := c.at(t.Context(), here)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen := 0
		wg.Go(func() {
			_, err := s.images.wait(ctx, nil, source.ID, expected{}, func(types.Image) (bool, error) {
				if seen++; i == 0 && seen == 2 { // the first run ends
					cancel()
				}
				return i > 0 && seen >= looks, nil
			})
			if i == 0 && !errors.Is(err, context.Canceled) || i > 0 && err != nil {
				t.Errorf("run %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := w.front.count("DescribeImages") - before; n > 3*looks {
		t.Errorf("%d looks for %d runs that look %d times each", n, runs, looks)
	}
}

// What many steps have made is looked for by their tokens together: as all do when a worker
// is lost. What is not there is not found, and others are.
func TestFindsGoTogether(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var mu sync.Mutex
	most := 0
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, form url.Values) bool {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for name, v := range form {
			if strings.HasPrefix(name, "Filter.1.Value.") && strings.HasPrefix(v[0], "token-") {
				n++
			}
		}
		most = max(most, n)
		return false
	})
	const steps = 30
	var wg sync.WaitGroup
	begun := time.Now()
	for i, c := range w.ofRuns(steps) {
		wg.Go(func() {
			task := dag.NewTask(fmt.Sprint(i), "launch", fmt.Sprintf("token-%d", i), nil, nil)
			if _, err := (Instance{Place: here}).Find(t.Context(), c, task); !errors.Is(err, dag.ErrNotFound) {
				t.Errorf("instance %d: %v", i, err)
			}
			if _, err := (Image{Place: here}).Find(t.Context(), c, task); !errors.Is(err, dag.ErrNotFound) {
				t.Errorf("image %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); took < 2*w.cloud.o.ConsistencyWindow {
		t.Errorf("it has looked for %s alone", took)
	}
	if n := w.front.count("DescribeInstances") + w.front.count("DescribeImages"); n > steps || most < steps/2 {
		t.Errorf("%d looks for %d instances and images, at most %d of them in one", n, steps, most)
	}
}

// A site is named alike by all who call it, whatever they call its account and its secrets, and
// its name tells no secret.
func TestSiteOfSettings(t *testing.T) {
	const secret = "wJalrXUtnFEMI"
	of := func(a Access, region string) string {
		c := NewCloud(CloudOptions{Secret: func(string) (string, error) { return secret, nil }})
		spec, err := json.Marshal(NameCheck{Place: Place{Account: c.Register(a), Region: region}})
		if err != nil {
			t.Fatal(err)
		}
		return c.Site(spec)
	}
	one := of(Access{AccessKey: "AKIDEXAMPLE", SecretKey: secret}, home)
	for what, x := range map[string]struct {
		site string
		same bool
	}{
		"marks for the secret": {of(Access{AccessKey: "AKIDEXAMPLE", SecretKey: dag.Secret(dag.Mark("k"))}, home), true},
		"another account":      {of(Access{AccessKey: "AKIDOTHER", SecretKey: secret}, home), false},
		"another region":       {of(Access{AccessKey: "AKIDEXAMPLE", SecretKey: secret}, "eu-west-1"), false},
		"a profile":            {of(Access{Profile: "p"}, home), false},
	} {
		if x.site == "" || (x.site == one) != x.same {
			t.Errorf("%s: %q beside %q", what, x.site, one)
		}
	}
	if site := NewCloud(CloudOptions{}).Site(json.RawMessage(`{"instance": {}}`)); site != "" {
		t.Errorf("settings that name no place are of %q", site)
	}
}
