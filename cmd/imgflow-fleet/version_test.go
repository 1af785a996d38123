package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/imgflow/imgflow/internal/temporaltest"
)

// Two versions of the program work beside each other: a run stays with the one that has begun it, and a worker
// whose version is not the current one tells which command makes it that.
func TestTwoVersionsBesideEachOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	of := func(version string) *bench {
		own := *b
		own.program = filepath.Join(b.dir, "imgflow-fleet-"+version)
		if out, err := exec.Command("go", "build", "-ldflags", "-X github.com/imgflow/imgflow/internal/cli.version="+version, "-o", own.program, ".").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return &own
	}
	template := b.slow("echo step began; sleep 20; echo step ended")
	old, fresh := of("v1.0.0"), of("v2.0.0")
	_, said := old.saying("one", "--deployment", "builds")
	b.await(said, "as version v1.0.0 of the deployment builds")
	cmd, out := b.begin(template)
	b.await(out, "step began")
	first := b.newest()
	_, said = fresh.saying("two", "--deployment", "builds")
	const hint = "temporal worker deployment set-current-version --deployment-name builds --build-id 'v2.0.0'"
	b.await(said, hint)

	c := b.dial()
	makes := time.Now()
	for { // what the command does
		_, err := c.WorkerDeploymentClient().GetHandle("builds").SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: "v2.0.0"})
		if err == nil {
			break
		}
		if time.Since(makes) > commandTime {
			t.Fatal(err)
		}
	}
	second := b.output(0, b.machine("me", "run", "--on", b.engine, "-var", "word=hunTer2", b.template()))
	if err := cmd.Wait(); err != nil || strings.Count(out.String(), "step ended") != 1 {
		t.Errorf("the first run ends with %v:\n%s", err, out.String())
	}
	for run, want := range map[string]string{first: "v1.0.0", b.newest(): "v2.0.0"} {
		d, err := c.DescribeWorkflow(context.Background(), run, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := d.RawResponse.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId(); got != want {
			t.Errorf("run %s was driven by version %q, not %s:\n%s", run, got, want, second)
		}
	}
}

// dial connects to the bench's engine.
func (b *bench) dial() client.Client {
	b.t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(b.engine, "temporal://"), "/")
	c, err := client.Dial(client.Options{HostPort: host, Namespace: temporaltest.Namespace, Logger: quiet})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}
