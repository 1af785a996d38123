package app

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/state"
)

// Where runs are, and who reads their secrets, is said by the environment.
func TestHomeOfADatabase(t *testing.T) {
	dir := t.TempDir()
	a := &App{Env: NewEnv([]string{"IMGFLOW_HOME=" + dir, "IMGFLOW_STATE=postgres://me:hunter2@db/runs"}, dir)}
	_, err := a.OpenHome()
	if !errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), "install imgflow-fleet") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without a database: %v", err)
	}
	for name, open := range map[string]func() (*state.Home, error){"to write": a.OpenHome, "to look": a.FindHome} {
		var asked []string
		a.OpenState = func(dir, url string) (*state.Home, error) {
			asked = append(asked, dir, url)
			return state.OpenHome(filepath.Join(dir, "elsewhere"))
		}
		h, err := open()
		if err != nil || h.Dir() != filepath.Join(dir, "elsewhere") || strings.Join(asked, " ") != dir+" postgres://me:hunter2@db/runs" {
			t.Errorf("%s: %v, %v", name, asked, err)
		}
	}
	a.Env = a.Env.With("IMGFLOW_RECIPIENTS", "nobody")
	if _, err := a.OpenHome(); err == nil || !strings.Contains(err.Error(), "IMGFLOW_RECIPIENTS") {
		t.Errorf("sealed to nobody: %v", err)
	}
}
