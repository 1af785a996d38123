package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

// application makes sessions with what this process has: its environment, its
// working directory, all kinds of steps, and itself as the server of local runs.
func application() *app.App {
	dir, _ := os.Getwd() // newRequest tells of an error
	return &app.App{Env: app.NewEnv(os.Environ(), dir), World: newWorld, Runner: stepRunner(), Local: joinLocal, OpenState: extras.OpenState, Telemetry: telemetryOf()}
}

// openHome opens what holds all runs, to write in it.
func openHome() (*state.Home, error) { return application().OpenHome() }

// findHome finds what holds all runs, to look at it.
func findHome() (*state.Home, error) { return application().FindHome() }

// joinLocal takes a lease of the embedded EC2 that serves local runs.
func joinLocal(ctx context.Context, env app.Env, dir string, wish local.Settings) (*local.Lease, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start the embedded EC2: %w", err)
	}
	return local.Join(ctx, dir, wish, signLocal, func() *exec.Cmd {
		program, err := local.Program(dir, exe)
		if err != nil {
			program = exe // without room for a copy it is as good for most
		}
		cmd := exec.Command(program, append([]string{"ec2local", "--dir", dir, "--listen", "127.0.0.1:0", "--while-leased"}, wish.Args()...)...)
		cmd.Args[0] = self.Name
		cmd.Env = env.Vars()
		return cmd
	})
}
