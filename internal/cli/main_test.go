package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/sshtest"
	"github.com/imgflow/imgflow/state"
)

func program() { os.Exit(Main(os.Args)) }

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"imgflow": program, "packer": program})
}

// TestScripts types commands as users do.
func TestScripts(t *testing.T) {
	noGuests := lackingGuests(t)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("IMGFLOW_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("HOME", env.WorkDir)
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION"} {
				env.Setenv(name, "")
			}
			env.Setenv("EXAMPLES", examples)
			env.Setenv("NO_GUESTS", fmt.Sprintf("NOT TESTED: builds in the embedded EC2: %v", noGuests))
			env.Setenv("EVIL", "\x1b]0;title\x07\u009b2J\u202e\xc2\x1e\x9b2J")
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Defer(func() { stopServer(filepath.Join(env.WorkDir, "home", "local")) })
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "guests":
				return noGuests == nil, nil
			case "root":
				return os.Getuid() == 0, nil
			case "openssh":
				_, err := os.Stat("/usr/sbin/sshd")
				return err == nil || os.Getenv("CI") == "true", nil
			case "ansible":
				_, err := exec.LookPath("ansible-playbook")
				return err == nil || os.Getenv("CI") == "true", nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "faults": faultsIn, "sshd": startSSHD, "answers": startAnswers, "draws": draws, "events": eventsIn, "newest": newest},
	})
}

// lackingGuests says why instances cannot run here, or nil. Where they must, as in
// CI, a machine without them fails the test.
func lackingGuests(t *testing.T) error {
	err := guest.Probe(t.TempDir())
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("sandbox guests are needed here: %v", err)
	}
	return err
}

// stopServer ends the embedded EC2 that local runs of a test have started.
func stopServer(dir string) {
	p, err := os.ReadFile(filepath.Join(dir, "server.json"))
	var s local.Server
	if err != nil || json.Unmarshal(p, &s) != nil || s.PID == 0 {
		return
	}
	proc, err := os.FindProcess(s.PID)
	if err != nil {
		return
	}
	proc.Signal(syscall.SIGTERM)
	for range 200 { // its guests live in the test's directory
		if _, err := os.Stat(filepath.Join(dir, "server.json")); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// startSSHD makes this computer a machine that is there already: PORT, SSHUSER and
// KEY say how it is reached.
func startSSHD(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: sshd")
	}
	dir := ts.MkAbs("sshd")
	ts.Check(os.MkdirAll(dir, 0o755))
	s, err := sshtest.Start(dir)
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv("PORT", strconv.Itoa(s.Port))
	ts.Setenv("SSHUSER", s.User)
	ts.Setenv("KEY", s.KeyFile)
}

// startAnswers serves a version to those who say a token, another that is there only for who asks twice, and secrets as Vault
// and Consul do; ANSWERS says where.
func startAnswers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: answers")
	}
	var asked atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/versions.json" && r.Header.Get("X-Token") == "marlin":
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"version": "1.2.3"}`)
		case r.URL.Path == "/busy" && !asked.Swap(true):
			http.Error(w, "later", http.StatusServiceUnavailable)
		case r.URL.Path == "/busy":
			io.WriteString(w, "1.2.3")
		case r.URL.Path == "/v1/secret/data/app" && r.Header.Get("X-Vault-Token") == "marlin":
			io.WriteString(w, `{"data": {"data": {"password": "hunter2"}, "metadata": {}}}`)
		case r.URL.Path == "/v1/kv/app/port":
			io.WriteString(w, "barracuda")
		default:
			http.NotFound(w, r)
		}
	}))
	ts.Defer(srv.Close)
	ts.Setenv("ANSWERS", srv.URL)
}

// draws FROM TO looks in the standard output, a graph in DOT, for an edge between two nodes whose labels begin so.
func draws(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] draws FROM TO")
	}
	dot, ids := ts.ReadFile("stdout"), [2]string{}
	for i, label := range args {
		m := regexp.MustCompile(`(?m)^\s*"([^"]+)" \[ .*label="(?:[-+~=/]+ )?` + regexp.QuoteMeta(label) + `\\n`).FindStringSubmatch(dot)
		if m == nil {
			ts.Fatalf("there is no node %q", label)
		}
		ids[i] = m[1]
	}
	if strings.Contains(dot, fmt.Sprintf("%q -> %q", ids[0], ids[1])) == neg {
		ts.Fatalf("an edge from %q to %q: %v", args[0], args[1], neg)
	}
}

// newest NAME sets a variable to the id of the newest run.
func newest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: newest NAME")
	}
	home, err := state.FindHome(ts.Getenv("IMGFLOW_HOME"))
	ts.Check(err)
	runs, err := home.Runs()
	ts.Check(err)
	if len(runs) == 0 {
		ts.Fatalf("there is no run")
	}
	ts.Setenv(args[0], runs[0].ID)
}

// exits CODE COMMAND... runs a command that must end with that exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit status %s, want %s", code, args[0])
	}
}

// faultsIn FILE validates every template of an archive of broken ones. Each is
// a line "== COUNT PLACE text to be found", then the template.
func faultsIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: faults FILE")
	}
	head := regexp.MustCompile(`(?m)^== (\d+|\?) (\S+) (.*)\n`)
	src := ts.ReadFile(args[0])
	at := head.FindAllStringSubmatchIndex(src, -1)
	var wrong []string
	for i, m := range at {
		end := len(src)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		count, place, text := src[m[2]:m[3]], src[m[4]:m[5]], src[m[6]:m[7]]
		name := fmt.Sprintf("broken%d.json", i+1)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(src[m[1]:end]), 0o644))
		exits(ts, false, []string{"2", "imgflow", "validate", name})
		got := ts.ReadFile("stderr")
		want := name + ":" + place + ": "
		n := " faults:"
		if count == "1" {
			n = " fault:"
		}
		if !strings.Contains(got, want) || !strings.Contains(got, text) || count != "?" && !strings.Contains(got, ": "+count+n) {
			wrong = append(wrong, fmt.Sprintf("template %d: want %s faults, %q and %q in:\n%s", i+1, count, want, text, got))
		}
	}
	if len(wrong) > 0 {
		ts.Fatalf("%s", strings.Join(wrong, "\n"))
	}
	if len(at) < 20 {
		ts.Fatalf("only %d broken templates", len(at))
	}
}
