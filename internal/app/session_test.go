package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/state"
)

func newHome(t *testing.T) *state.Home {
	t.Helper()
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return home
}

// What is looked for in the wrong cloud would count as gone.
func TestARunGoesOnWhereItWasMade(t *testing.T) {
	const here, there = "http://127.0.0.1:7", "http://127.0.0.1:8"
	for _, x := range []struct {
		made, env, want string
		refused         bool
	}{
		{"", "", "", false},
		{"", here, here, true},
		{here, "", here, false},
		{here, there, there, false},
	} {
		home := newHome(t)
		run, err := home.Create(state.Summary{Endpoint: x.made})
		if err != nil {
			t.Fatal(err)
		}
		id := run.ID()
		run.Close()
		var w *toyWorld
		a := &App{Env: NewEnv([]string{"AWS_ENDPOINT_URL_EC2=", "AWS_ENDPOINT_URL=" + x.env}, t.TempDir()), World: func(o WorldOptions) World { w = &toyWorld{WorldOptions: o}; return w }}
		s, err := a.Open(home, id)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Reach(context.Background(), local.Settings{}); (err != nil) != x.refused || err != nil && !errors.As(err, new(*UsageError)) {
			t.Errorf("made at %q, environment %q: %v", x.made, x.env, err)
		}
		if got := w.Env.Get("AWS_ENDPOINT_URL"); got != x.want {
			t.Errorf("made at %q, environment %q: goes to %q", x.made, x.env, got)
		}
		if a.Env.Get("AWS_ENDPOINT_URL") != x.env {
			t.Error("the environment is not what it was")
		}
	}
}

// A local run goes to its own endpoint, in the world that its template was compiled in.
func TestALocalRunHasOneWorld(t *testing.T) {
	made := 0
	var w *toyWorld
	a := &App{
		Env:   NewEnv([]string{"AWS_ENDPOINT_URL=http://127.0.0.1:7", "AWS_SECRET_ACCESS_KEY=s", "LANG=C"}, t.TempDir()),
		World: func(o WorldOptions) World { made++; w = &toyWorld{WorldOptions: o}; return w },
		Local: func(_ context.Context, env Env, dir string, _ local.Settings) (*local.Lease, error) {
			if got := strings.Join(env.Vars(), " "); got != "LANG=C" {
				t.Errorf("the server is started with %s", got)
			}
			return local.NewLease(local.Server{Addr: "127.0.0.1:9"}, local.Key{ID: "id", Secret: "secret"}), nil
		},
	}
	s := a.New(newHome(t), Request{Local: true})
	defer s.Close()
	if w.Endpoint.URL != notJoined {
		t.Errorf("before it has joined a local run calls %q", w.Endpoint.URL)
	}
	if err := s.Reach(t.Context(), local.Settings{}); err != nil {
		t.Fatal(err)
	}
	if want := (Endpoint{URL: "http://127.0.0.1:9", Key: local.Key{ID: "id", Secret: "secret"}, ConsistencyWindow: localConsistency}); w.directed != want || made != 1 {
		t.Errorf("%d worlds, directed to %+v", made, w.directed)
	}
}

func TestEnv(t *testing.T) {
	e := NewEnv([]string{"A=1", "B=x=y", "A=2", "odd", "=C:=C:\\x", ""}, "/home/me")
	if e.Get("A") != "1" || e.Get("B") != "x=y" || e.Get("none") != "" || e.Get("=C:") != "C:\\x" {
		t.Errorf("%q", e.Vars())
	}
	changed := e.With("A", "3").Without("B", "none")
	if got := strings.Join(changed.Vars(), "|"); got != `=C:=C:\x|A=3` || changed.Dir() != e.Dir() {
		t.Errorf("changed to %s", got)
	}
	if e.Get("A") != "1" || e.Get("B") == "" {
		t.Error("an environment has changed")
	}
	for path, want := range map[string]string{"a/../b": "/home/me/b", "/x/../y": "/y", "../c": "/home/c"} {
		if got := e.Abs(path); got != want {
			t.Errorf("%s is %s", path, got)
		}
	}
	for path, want := range map[string]string{"/home/me/b": "b", "/home/c": "/home/c"} {
		if got := e.Short(path); got != want {
			t.Errorf("%s is called %s", path, got)
		}
	}
}
