package posh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"sort"
	"testing"
	"time"
)

// vector is a script with what a genuine PowerShell 6.2 on Linux made of it.
type vector struct {
	Name, Group, Script, Stdout string
	Env                         map[string]string
	Error                       *struct {
		ID          string
		Terminating bool
	}
	ParseError bool `json:"parse_error"`
	Exit       *int
}

func readVectors(t testing.TB) []vector {
	b, err := os.ReadFile("testdata/powershell.json")
	if err != nil {
		t.Fatal(err)
	}
	var v []vector
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// outcome is what a script did.
type outcome struct {
	stdout     string
	id         string
	terminates bool
	parse      bool
	refused    error
	exit       *int
}

// runCore runs a script as the vectors' engine.
func runCore(t testing.TB, script string, env map[string]string, dir string) outcome {
	var out bytes.Buffer
	e := NewEnv()
	e.exact = true
	e.Set("HOME", "/root")
	e.Set("TMPDIR", "/tmp")
	for k, v := range env {
		e.Set(k, v)
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	s := newShell(ctx, Options{Machine: newTestMachine(""), Env: e, Dir: dir, Stdout: &out, core: true, steps: 1_000_000})
	defer s.close()
	var r outcome
	s.host.onError = func(rec *errorRecord) {
		if r.id == "" {
			r.id = rec.id
		}
	}
	ast, err := parse(script, "", true)
	if err == nil {
		err = s.top(&Block{ast: ast}, nil, false)
	}
	var pe *parseError
	var th *thrown
	var exit *exitErr
	switch {
	case errors.Is(err, ErrOutside):
		r.refused = err
	case errors.As(err, &pe):
		r.parse, r.id = true, pe.id
	case errors.As(err, &th):
		if r.id == "" {
			r.id, r.terminates = th.rec.id, true
		}
	case errors.As(err, &exit):
		r.exit = &exit.code
	case err != nil && !isFlow(err):
		t.Fatalf("%q: %v", script, err)
	}
	s.host.close()
	r.stdout = out.String()
	return r
}

// The share of vectors that must be accepted, in percent, of all and of each group.
const floorAll = 90

func TestVectors(t *testing.T) {
	type share struct{ all, accepted int }
	groups := map[string]*share{}
	total := share{}
	for _, v := range readVectors(t) {
		g := groups[v.Group]
		if g == nil {
			g = &share{}
			groups[v.Group] = g
		}
		g.all++
		total.all++
		r := runCore(t, v.Script, v.Env, t.TempDir())
		if r.refused != nil {
			t.Logf("refused %s: %v", v.Name, r.refused)
			continue
		}
		g.accepted++
		total.accepted++
		id, term := "", false
		if v.Error != nil {
			id, term = v.Error.ID, v.Error.Terminating
		}
		if r.stdout != v.Stdout || r.id != id || r.terminates != term || r.parse != v.ParseError || v.Exit != nil && (r.exit == nil || *r.exit != *v.Exit) {
			t.Errorf("%s: %q\n got  %q error %q terminating %v parse %v\n want %q error %q terminating %v parse %v",
				v.Name, v.Script, r.stdout, r.id, r.terminates, r.parse, v.Stdout, id, term, v.ParseError)
		}
	}
	var names []string
	for n := range groups {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		t.Logf("%-16s %3d of %3d", n, groups[n].accepted, groups[n].all)
	}
	t.Logf("%-16s %3d of %3d accepted (%.1f %%)", "all", total.accepted, total.all, 100*float64(total.accepted)/float64(total.all))
	if total.accepted*100 < floorAll*total.all {
		t.Errorf("only %d of %d vectors are accepted, less than %d %%", total.accepted, total.all, floorAll)
	}
}
