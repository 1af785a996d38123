package main

import (
	"context"
	"os"
	"testing"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/local"
	"github.com/imgflow/imgflow/state"
)

// What is looked for in the wrong cloud would count as gone.
func TestARunGoesOnWhereItWasMade(t *testing.T) {
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, err := home.Create(state.Summary{})
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
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
		t.Setenv("AWS_ENDPOINT_URL_EC2", "")
		t.Setenv("AWS_ENDPOINT_URL", x.env)
		s := newSession(home, &request{Endpoint: x.made}, run)
		err := s.reach(context.Background(), local.Settings{})
		if (err != nil) != x.refused || os.Getenv("AWS_ENDPOINT_URL") != x.want {
			t.Errorf("made at %q, environment %q: goes to %q, %v", x.made, x.env, os.Getenv("AWS_ENDPOINT_URL"), err)
		}
		if s.leave != nil {
			s.leave()
		}
		if os.Getenv("AWS_ENDPOINT_URL") != x.env {
			t.Error("the environment is not what it was")
		}
	}
}
