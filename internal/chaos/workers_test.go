package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lose waits until the imgflow has said a text, and kills the process of its steps.
func (s *stage) lose(p *proc, text string) {
	s.t.Helper()
	s.hears(p, text)
	for begun := time.Now(); !s.killWorker(p); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			s.t.Fatalf("there is no process of steps; imgflow printed:\n%s", indent(p.output()))
		}
	}
}

// TestWorkerKilled: the process that does the steps is killed while a script runs, and
// once more; the engine goes on with another. The script runs once, and every line
// comes once.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.workers = true
	s.template(nil, inline("echo once >> ~/ran", `i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "tick <$i>"; sleep 0.1; done`), inline(`test "$(cat ~/ran)" = once`))
	p := s.begin(nil, "run", "t.json")
	s.lose(p, "tick <5>")
	s.lose(p, "tick <25>")
	out := s.ends(p, 0)
	if count(out, "the process that did it is gone: signal: killed") < 2 {
		t.Errorf("it does not say what has happened:\n%s", indent(out))
	}
	log := s.must("logs")
	for i := 1; i <= 40; i++ {
		if n := count(log, fmt.Sprintf("tick <%d>", i)); n != 1 {
			t.Errorf("line %d stands %d times in the log", i, n)
		}
	}
	s.leaves(1)
}

// TestStepsHaveNothingOfTheirProcess: the process that does the steps has no
// environment, no working directory and no secret but what it is told, and does all that
// this process would have done: accounts of the template, local scripts, relative
// files, secrets, words of the build.
func TestStepsHaveNothingOfTheirProcess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.workers = true
	s.file("up.txt", "what is sent\n")
	s.template(map[string]any{"access_key": "{{user `id`}}", "secret_key": "{{user `secret`}}", "custom_endpoint_ec2": s.url},
		map[string]any{"type": "shell-local", "execute_command": []string{"sh", "-c", "{{.Vars}} {{.Script}}"}, "environment_vars": []string{"WORD={{user `word`}}"},
			"inline": []string{`echo "local $WORD in $(basename "$PWD"), home $HOME, {{build ` + "`ID`" + `}}" > local.txt`}},
		map[string]any{"type": "file", "source": "up.txt", "destination": "/tmp/up.txt"},
		map[string]any{"type": "shell", "environment_vars": []string{"WORD={{user `word`}}"}, "inline": []string{`echo "got $WORD" | tee -a /tmp/up.txt`}},
		map[string]any{"type": "file", "direction": "download", "source": "/tmp/up.txt", "destination": "down.txt"},
	)
	template, err := os.ReadFile(s.path("t.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.file("t.json", `{"variables": {"id": "", "secret": "", "word": ""}, "sensitive-variables": ["secret", "word"], `+strings.TrimPrefix(string(template), "{"))
	const word = "a-word-nobody-may-see"
	noKeys := []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_ENDPOINT_URL=", "AWS_SHARED_CREDENTIALS_FILE=/nowhere", "AWS_CONFIG_FILE=/nowhere"}
	p := s.begin(noKeys, "run", "-var", "id="+key.AccessKeyID, "-var", "secret="+key.SecretAccessKey, "-var", "word="+word, "t.json")
	for id := 0; id == 0 && p.alive(); time.Sleep(5 * time.Millisecond) {
		if id = s.worker(p); id != 0 {
			for _, of := range []string{"environ", "cmdline"} {
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", id, of))
				if text := string(b); err != nil || strings.Contains(text, word) || strings.Contains(text, key.SecretAccessKey) || strings.Contains(text, "PATH=") {
					t.Errorf("its %s: %q, %v", of, text, err)
				}
			}
			if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", id)); err != nil || dir != "/" {
				t.Errorf("it works in %s, %v", dir, err)
			}
		}
	}
	if out := s.ends(p, 0); strings.Contains(out, word) {
		t.Errorf("the secret is shown:\n%s", indent(out))
	}
	for name, want := range map[string]string{"local.txt": "local " + word + " in work, home " + s.dir + ", i-", "down.txt": "what is sent\ngot " + word + "\n"} {
		b, err := os.ReadFile(s.path(name))
		if err != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	s.leaves(1)
}

// TestEngineKilledEndsItsWorker: a process of steps does not outlive the engine that
// it works for, whatever it is doing.
func TestEngineKilledEndsItsWorker(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.workers = true
	s.template(nil, inline("echo begun", "sleep 600"))
	p := s.begin(nil, "run", "t.json")
	s.hears(p, ": begun")
	id := s.worker(p)
	if id == 0 {
		t.Fatal("there is no process of steps")
	}
	s.kill(p)
	for begun := time.Now(); syscall.Kill(id, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatal("it goes on")
		}
	}
	s.must("destroy", s.only(), "--yes")
	s.leaves(0)
}
