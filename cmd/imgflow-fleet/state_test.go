package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/pgtest"
)

// programVar makes this test program imgflow-fleet.
const programVar = "IMGFLOW_FLEET_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
	}
	code := m.Run()
	os.RemoveAll(shared)
	os.Exit(code)
}

// program runs a command of the program with some variables, and returns what it has
// printed, and how it has ended.
func program(t *testing.T, dir string, env []string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), programVar+"=1", "NO_COLOR=1"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

const template = `{
  "builders": [{"type": "file", "name": "a", "content": "hello", "target": "a.txt"}, {"type": "file", "name": "b", "content": "hello", "target": "b.txt"}],
  "post-processors": [{"type": "shell-local", "inline": ["echo made $PACKER_BUILD_NAME; test ! -e fail"]}]
}`

// What differs between two runs, wherever they are kept.
var differs = regexp.MustCompile(`(?m)^==> Longest chain.*\n|m[0-9a-z]{11}|postgres://[0-9.:]+/\w+|DIR/home|[0-9.]+ ?(ms|µs|s|bytes|B|KiB|kB)\b|\d{4}-\d\d-\d\d[T ][0-9:.]+(Z|[+-]\d\d:\d\d)?|process \d+|"(pid|took)": ?\d+|pid +\d+|just now`)

// TestCommandsOnADatabase types the commands that look at runs, go on with them and forget
// them, with runs in files and in a database: they say and do the same.
func TestCommandsOnADatabase(t *testing.T) {
	url := pgtest.Database(t)
	var said [2][]string
	for i, state := range []string{"", url} {
		dir := t.TempDir()
		env := []string{"IMGFLOW_HOME=" + filepath.Join(dir, "home"), "IMGFLOW_STATE=" + state}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "t.json"), []byte(template), 0o600), os.WriteFile(filepath.Join(dir, "fail"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"list"}, {"run", "--parallel-builds=1", "--on-error=suspend", "t.json"}, {"list"}, {"show"}, {"logs"}, {"logs", "-f"}, {"graph", "--run"}, {"resume"}, // suspended again
			{"rm"}, {"resume"}, {"show"}, {"report", "--markdown"}, {"logs", "--json"}, {"destroy", "--yes", "--artifacts"}, {"list", "--json"},
			{"prune", "--keep", "0", "--yes"}, {"list"}, {"show", "nosuch"},
		} {
			if args[0] == "rm" {
				os.Remove(filepath.Join(dir, "fail"))
				continue
			}
			out, code := program(t, dir, env, args...)
			if strings.Contains(out, "panic") {
				t.Errorf("%s: %s", args, out)
			}
			said[i] = append(said[i], strings.Join(args, " ")+"\n"+differs.ReplaceAllString(strings.ReplaceAll(out, dir, "DIR"), "…")+"exit "+string(rune('0'+code)))
		}
		if state != "" {
			if left, _ := filepath.Glob(filepath.Join(dir, "home", "runs", "*")); len(left) > 0 {
				t.Errorf("runs of a database are in files, too: %v", left)
			}
		}
	}
	for i := range said[0] {
		if said[0][i] != said[1][i] {
			t.Errorf("in files:\n%s\nin a database:\n%s", said[0][i], said[1][i])
		}
	}
}
