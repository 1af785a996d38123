package cli

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/state"
)

// tenant is somebody with an endpoint, a home, an environment and a working
// directory of their own.
type tenant struct {
	name, region string
	dir          string
	app          *app.App
	ec2          *ec2Server

	mu     sync.Mutex
	events []dag.Event
}

func newTenant(t *testing.T, name, region string) *tenant {
	t.Helper()
	x := &tenant{name: name, region: region, dir: t.TempDir()}
	key := local.Key{ID: "AKID" + strings.ToUpper(name), Secret: "secret-of-" + name}
	var err error
	if x.ec2, err = newEC2(ec2Options{Dir: filepath.Join(x.dir, "ec2"), Guest: "none", Key: key}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.ec2.Close() })
	srv := httptest.NewServer(x.ec2)
	t.Cleanup(srv.Close)
	x.app = &app.App{World: newWorld, Env: app.NewEnv([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + x.dir, "IMGFLOW_HOME=home", "AWS_ENDPOINT_URL=" + srv.URL, "AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "WHO=" + name,
	}, x.dir)}
	for file, text := range map[string]string{
		"t.json": `{"variables": {"who": "{{env |WHO|}}"},
  "builders": [{"type": "amazon-ebs", "name": "web", "communicator": "none", "instance_type": "t3.micro", "ami_name": "image-of-{{user |who|}}",
    "source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}}],
  "provisioners": [{"type": "shell-local", "script": "say.sh"}]}`,
		"say.sh": "echo I am $WHO in $(pwd)\n",
	} {
		if err := os.WriteFile(filepath.Join(x.dir, file), []byte(strings.ReplaceAll(text, "|", "`")), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// build runs the tenant's template. Meet is called when its script is to begin.
func (x *tenant) build(ctx context.Context, meet func()) (*app.Result, error) {
	home, err := x.app.OpenHome()
	if err != nil {
		return nil, err
	}
	s := x.app.New(home, app.Request{Template: "t.json"})
	defer s.Close()
	if err := s.Load(ctx, true); err != nil {
		return nil, err
	}
	if err := s.Begin(ctx, local.Settings{}); err != nil {
		return nil, err
	}
	return s.Run(ctx, app.RunOptions{
		Show: func(e dag.Event) { x.mu.Lock(); defer x.mu.Unlock(); x.events = append(x.events, e) },
		BeforeStep: func(_ context.Context, n dag.Node) {
			if n.Name == "shell-local" {
				meet()
			}
		},
	})
}

// What a page or a worker does: two runs at once in one process, of two people.
func TestTwoSessionsInOneProcess(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "IMGFLOW_HOME", "WHO"} {
		t.Setenv(name, "of-the-process")
	}
	environment := os.Environ()
	tenants := []*tenant{newTenant(t, "annabelle", "us-east-1"), newTenant(t, "bartholomew", "eu-west-1")}
	var both, done sync.WaitGroup
	both.Add(len(tenants))
	for _, x := range tenants {
		done.Go(func() {
			met := sync.OnceFunc(both.Done)
			defer met()
			res, err := x.build(t.Context(), func() { met(); both.Wait() })
			if err != nil || res.Summary.Status != state.Done {
				t.Errorf("%s: %+v, %v", x.name, res, err)
			}
		})
	}
	done.Wait()
	if t.Failed() {
		return
	}
	for _, x := range tenants {
		other := "annabelle"
		if x.name == other {
			other = "bartholomew"
		}
		var images []string
		for _, i := range x.ec2.Inventory().Of("image") {
			if !i.Default {
				images = append(images, i.Region+" "+i.Name)
			}
		}
		if want := []string{x.region + " image-of-" + x.name}; !slices.Equal(images, want) {
			t.Errorf("%s has the images %q, want %q", x.name, images, want)
		}
		home, err := state.FindHome(filepath.Join(x.dir, "home"))
		if err != nil {
			t.Fatal(err)
		}
		runs, err := home.Runs()
		if err != nil || len(runs) != 1 || runs[0].Template != filepath.Join(x.dir, "t.json") {
			t.Errorf("%s has the runs %+v, %v", x.name, runs, err)
		}
		said := false
		for _, e := range x.events {
			said = said || e.Type == dag.Printed && e.Text == fmt.Sprintf("I am %s in %s", x.name, x.dir)
			if text := fmt.Sprintf("%+v", e); strings.Contains(text, other) {
				t.Errorf("%s is told of %s: %s", x.name, other, text)
			}
		}
		if !said {
			t.Errorf("the script of %s did not say who and where it is", x.name)
		}
	}
	if !slices.Equal(os.Environ(), environment) {
		t.Error("the environment of the process has changed")
	}
	if _, err := os.Stat("home"); err == nil {
		t.Error("there is a home in the working directory of the process")
	}
}
