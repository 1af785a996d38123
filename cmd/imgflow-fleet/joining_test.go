package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A plan tells which of its steps a run makes just now that workers build, and nothing of it when that has ended.
func TestAPlanTellsWhatOthersMake(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.worker("one")
	template := filepath.Join(b.dir, "base.json")
	text := `{"builders": [{"type": "amazon-ebs", "name": "base", "region": "us-east-1",
 "source_ami_filter": {"owners": ["099720109477"], "most_recent": true, "filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}},
 "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "base"}],
 "provisioners": [{"type": "shell", "inline": ["echo step began; sleep 5"]}]}`
	if err := os.WriteFile(template, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	joins := func() map[string]string {
		var plan struct {
			Steps []struct{ Name, Joins string }
		}
		if err := json.Unmarshal([]byte(b.output(0, b.machine("other", "plan", "--json", template))), &plan); err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, s := range plan.Steps {
			if s.Joins != "" {
				found[s.Name] = s.Joins
			}
		}
		return found
	}
	if found := joins(); len(found) > 0 {
		t.Errorf("before there is a run it joins %v", found)
	}
	cmd, out := b.machine("me", "run", "--on", b.engine, template), new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(commandTime, func() { cmd.Process.Kill() }).Stop()
	b.await(out, "step began")
	run := b.newest()
	if found := joins(); len(found) != 1 || found["image"] != run {
		t.Errorf("it joins %v, and the run is %s", found, run)
	}
	if said := b.output(0, b.machine("other", "plan", template)); !strings.Contains(said, "image  run "+run) || !strings.Contains(said, "instead of making them itself") {
		t.Errorf("it says\n%s", said)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if found := joins(); len(found) > 0 {
		t.Errorf("when the run has ended it joins %v", found)
	}
}
