package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// A worker that cannot open the secrets of runs says so, once, and which variable mends it; another goes on
// with them.
func TestTheIdentityOfAWorker(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(b.dir, "other-identity")
	if err := os.WriteFile(file, []byte(other.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, identity := range map[string]string{"none": "", "other": file} {
		own := *b
		own.identity = identity
		worker, said := own.saying(name)
		cmd, out := b.begin(b.template())
		b.await(said, "set IMGFLOW_IDENTITY to the file that it was made with")
		right := b.worker("right")
		if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "These images were made") {
			t.Errorf("with a worker that has the identity, the run ends with %v:\n%s", err, out.String())
		}
		if n := strings.Count(said.String(), "cannot open what it was handed"); n != 1 {
			t.Errorf("it was said %d times:\n%s", n, said.String())
		}
		for _, w := range []*os.Process{worker.Process, right.Process} {
			w.Signal(os.Interrupt)
		}
		worker.Wait()
		right.Wait()
	}
}

// What programs read of a run that workers build is what they read of any other.
func TestWhatProgramsReadOfARunElsewhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.worker("one")
	template := b.template()
	types := map[string]map[string]bool{}
	for _, on := range []string{"", b.engine} {
		for _, how := range [][]string{{"--json"}, {"--progress=json"}} {
			args := append([]string{"run", "-var", "word=hunTer2"}, how...)
			if on != "" {
				args = append(args, "--on", on)
			}
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // each image has the name of its second
			cmd := b.machine("me", append(args, template)...)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			key := strings.Join(how, " ") + map[bool]string{true: " on"}[on != ""]
			types[key] = map[string]bool{}
			for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
				var line map[string]any
				if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
					t.Fatalf("%v prints %q", args, lines.Text())
				}
				if name, ok := line["type"].(string); ok {
					types[key][name] = true
				}
			}
			if len(types[key]) < 5 {
				t.Errorf("%v prints events of the types %v", args, types[key])
			}
		}
	}
	for _, how := range []string{"--json", "--progress=json"} {
		for name := range types[how] {
			if !types[how+" on"][name] {
				t.Errorf("with %s there is no event %s of a run elsewhere", how, name)
			}
		}
	}
}
