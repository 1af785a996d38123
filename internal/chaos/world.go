package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/secrettest"
)

// world is where one build takes place: a directory with a template, a home for
// imgflow, and an embedded EC2.
type world struct {
	imgflow string // the program
	dir     string
	workers bool     // its steps are done by another process
	env     []string // more of imgflow's environment
	*endpoint

	database *pgtest.Server // in which imgflow keeps its runs; nil: in its home
	state    string         // the URL of its database there
	temporal string         // the program of a Temporal server whose workers build; "": imgflow does by itself
	crew     *crew          // those workers; nil if there are none
	ends     []func()       // of what ends with the world
}

// newWorld makes a world in dir; args are flags of the embedded EC2.
func newWorld(imgflow, dir string, args ...string) (*world, error) {
	for _, d := range []string{"work", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	e, err := serve(imgflow, filepath.Join(dir, "ec2"), args...)
	if err != nil {
		return nil, err
	}
	return &world{imgflow: imgflow, dir: dir, endpoint: e}, nil
}

// path is a file beside the template.
func (w *world) path(name string) string { return filepath.Join(w.dir, "work", name) }

// home is imgflow's.
func (w *world) home() string { return filepath.Join(w.dir, "home") }

// begin gives imgflow a database of this world, if it keeps its runs in one.
func (w *world) begin() (err error) {
	if w.database == nil {
		return nil
	}
	w.state, err = w.database.Create()
	w.env = []string{"IMGFLOW_STATE=" + w.state}
	return err
}

// forget takes away all that imgflow knows, and who builds for it.
func (w *world) forget() error { return errors.Join(w.dismiss(), os.RemoveAll(w.home()), w.begin()) }

// dismiss takes away who builds for imgflow.
func (w *world) dismiss() error {
	if w.crew == nil {
		return nil
	}
	c := w.crew
	w.crew = nil
	return c.close()
}

// close ends all that is in the world.
func (w *world) close() error {
	err := w.dismiss()
	for _, end := range w.ends {
		end()
	}
	w.endpoint.close()
	return err
}

// write writes a file beside the template.
func (w *world) write(name, text string) error {
	return os.WriteFile(w.path(name), []byte(text), 0o644)
}

// start starts an imgflow in this world; env is added to its environment.
func (w *world) start(env []string, args ...string) (*proc, error) {
	cmd := exec.Command(w.imgflow, w.on(args)...)
	cmd.Dir = filepath.Join(w.dir, "work")
	if w.workers {
		if err := os.WriteFile(w.workersFile(), nil, 0o600); err != nil {
			return nil, err
		}
		env = append(env, "IMGFLOW_WORKERS="+w.workersFile())
	}
	cmd.Env = append(slices.Concat([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "IMGFLOW_HOME=" + w.home(), "AWS_ENDPOINT_URL=" + w.url,
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey, "AWS_REGION=" + region, "AWS_EC2_METADATA_DISABLED=true",
	}, w.env), env...)
	return launch(cmd)
}

// patience is how long one imgflow may take.
const patience = 4 * time.Minute

// do runs an imgflow to its end and returns its exit status and what it printed.
func (w *world) do(args ...string) (code int, output string, err error) {
	p, err := w.start(nil, args...)
	if err != nil {
		return 0, "", err
	}
	err = p.wait(patience)
	return p.code(), p.output(), err
}

// ok runs an imgflow that has to succeed.
func (w *world) ok(args ...string) (output string, err error) {
	code, output, err := w.do(args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("`imgflow %s` ended with exit status %d", args[0], code)
	}
	if err != nil {
		err = fmt.Errorf("%w; it printed:\n%s", err, indent(output))
	}
	return output, err
}

// keepsSecrets tells where a secret is kept in clear text.
func (w *world) keepsSecrets(ctx context.Context) error {
	secrets := []string{hidden, key.SecretAccessKey}
	if w.crew != nil {
		secrets = append(secrets, w.crew.secrets()...)
		if _, err := w.crew.server.Scan(ctx, secrets); err != nil {
			return err
		}
		for _, m := range w.crew.machines {
			if err := secrettest.In("what a worker prints", []byte(m.output()), secrets); err != nil {
				return err
			}
		}
	}
	if w.database != nil {
		if err := w.database.Scan(w.state, secrets); err != nil {
			return err
		}
	}
	return filepath.WalkDir(w.home(), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it was forgotten
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		return errors.Join(err, secrettest.In(path, text, secrets))
	})
}

// run is what `imgflow list --json` says of a run.
type run struct {
	ID     string
	Status string
	Builds []struct {
		Name, Status string
		Artifacts    []struct{ Region, ID string }
	}
}

// destroyAll destroys all that the runs of the home have made, images too.
func (w *world) destroyAll() error {
	rs, err := w.runs()
	if err != nil {
		return err
	}
	for _, r := range rs {
		if out, err := w.ok("destroy", r.ID, "--artifacts", "--yes"); err != nil {
			return fmt.Errorf("%w\n%s", err, indent(out))
		}
	}
	return nil
}

// runs are all runs of the home, the newest first.
func (w *world) runs() (rs []run, err error) {
	out, err := w.ok("list", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &rs)
	}
	return rs, err
}
