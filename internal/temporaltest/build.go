package temporaltest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/imgflow/imgflow/internal/localfile"
)

// ErrMissing is the error where the server was not built.
var ErrMissing = errors.New("the Temporal server for tests was not built: make temporal does it")

// Build returns the path of the server's program. It builds what is not there yet, while
// other processes that need it wait.
func Build(ctx context.Context) (string, error) {
	source, program, err := paths()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		return "", err
	}
	unlock, err := localfile.Lock(ctx, filepath.Join(filepath.Dir(program), "temporaldev.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", program+".new", ".")
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the Temporal server: %w\n%s", err, out)
	}
	if err := os.Rename(program+".new", program); err != nil {
		return "", err
	}
	return program, removeOld(program)
}

// removeOld removes what was built of other sources more than a day ago.
func removeOld(program string) error {
	old, err := filepath.Glob(filepath.Join(filepath.Dir(program), "temporaldev-*"))
	for _, path := range old {
		if fi, err := os.Stat(path); err == nil && path != program && time.Since(fi.ModTime()) > 24*time.Hour {
			os.Remove(path)
		}
	}
	return err
}

// paths are where the program's source is, and where the program is, or will be.
func paths() (source, program string, err error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", "", errors.New("cannot find the source of the Temporal server")
	}
	source = filepath.Join(filepath.Dir(filepath.Dir(here)), "temporaldev")
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", "", err
		}
		fmt.Fprintf(sum, "%d %s", len(text), text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	return source, filepath.Join(cache, "imgflow-tests", fmt.Sprintf("temporaldev-%x", sum.Sum(nil)[:8])), nil
}

// find returns the path of the program, which in CI is built if need be.
func find(ctx context.Context) (string, error) {
	if os.Getenv("CI") == "true" {
		return Build(ctx)
	}
	_, program, err := paths()
	if err == nil {
		if _, err = os.Stat(program); errors.Is(err, fs.ErrNotExist) {
			err = ErrMissing
		}
	}
	return program, err
}
