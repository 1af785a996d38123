package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"filippo.io/age"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/imgflow/imgflow/internal/temporaltest"
)

// crew are the workers of a Temporal server that build in a world, where imgflow only submits.
// They have nothing else in common with who submits: neither a directory nor an environment.
type crew struct {
	imgflow  string // the program
	dir      string
	url      string   // of the embedded EC2
	env      []string // more of the workers' environment
	state    string   // the URL of the database
	key      string   // a file with the age identity of the workers
	identity *age.X25519Identity
	server   *temporaltest.Server
	machines []*machine
	lost     int // workers and servers that were killed
}

// machine is where a worker is, one after another.
type machine struct {
	dir string
	*proc
}

// newCrew makes a crew without workers in a directory of the world, for runs in a database.
func (w *world) newCrew(server *temporaltest.Server, dir, state string) (*crew, error) {
	c := &crew{imgflow: w.imgflow, dir: filepath.Join(w.dir, dir), url: w.url, state: state, server: server}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if c.identity, err = age.GenerateX25519Identity(); err != nil {
		return nil, err
	}
	c.key = filepath.Join(c.dir, "identity")
	return c, os.WriteFile(c.key, []byte(c.identity.String()+"\n"), 0o600)
}

// secrets are what is told to workers alone.
func (c *crew) secrets() []string { return []string{key.SecretAccessKey, c.identity.String()} }

// hire starts a worker on a machine of its own.
func (c *crew) hire() (*machine, error) {
	m := &machine{dir: filepath.Join(c.dir, fmt.Sprintf("machine%d", len(c.machines)))}
	if err := os.MkdirAll(filepath.Join(m.dir, "home"), 0o700); err != nil {
		return nil, err
	}
	if err := c.replace(m); err != nil {
		return nil, err
	}
	c.machines = append(c.machines, m)
	return m, nil
}

// replace starts another worker on a machine; env is added to its environment.
func (c *crew) replace(m *machine, env ...string) error {
	cmd := exec.Command(c.imgflow, "worker", "--on", c.server.URL(), "--dir", filepath.Join(m.dir, "files"))
	cmd.Dir = m.dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "IMGFLOW_HOME=" + filepath.Join(m.dir, "home"), "IMGFLOW_STATE=" + c.state, "IMGFLOW_IDENTITY=" + c.key, "AWS_ENDPOINT_URL=" + c.url,
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey, "AWS_REGION=" + region, "AWS_EC2_METADATA_DISABLED=true",
	}, append(c.env, env...)...)
	p, err := launch(cmd)
	if err == nil {
		m.proc = p
	}
	return err
}

// kill kills the worker of a machine.
func (m *machine) kill() {
	m.signal(syscall.SIGKILL)
	<-m.ended
}

// lose kills one of the workers, by turns, or each fifth time the server; another takes its place.
func (c *crew) lose() error {
	c.lost++
	if c.lost%5 == 0 {
		c.server.Kill()
		return c.server.Start()
	}
	m := c.machines[c.lost%len(c.machines)]
	m.kill()
	return c.replace(m)
}

// drives tells whether the server has anything of a run under way.
func (c *crew) drives(ctx context.Context, run string) (bool, error) {
	t, err := client.DialContext(ctx, client.Options{HostPort: c.server.Address, Namespace: temporaltest.Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return false, err
	}
	defer t.Close()
	d, err := t.DescribeWorkflow(ctx, run, "")
	if missing := (*serviceerror.NotFound)(nil); errors.As(err, &missing) {
		return false, nil
	}
	return err == nil && d.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, err
}

// close kills all workers. What they have printed last is beside them.
func (c *crew) close() (err error) {
	for _, m := range c.machines {
		m.kill()
		err = errors.Join(err, os.WriteFile(filepath.Join(m.dir, "printed.txt"), []byte(m.output()+"\n"), 0o600))
	}
	c.machines = nil
	return err
}

// employ gives the world a server and two workers, if the campaign builds by some.
func (w *world) employ() error {
	if w.temporal == "" {
		return nil
	}
	server, err := temporaltest.Run(w.temporal, filepath.Join(w.dir, "temporal"))
	if err != nil {
		return err
	}
	w.ends = append(w.ends, server.Kill)
	if w.crew, err = w.newCrew(server, "crew", w.state); err != nil {
		return err
	}
	w.env = append(w.env, "IMGFLOW_IDENTITY="+w.crew.key)
	for range 2 {
		if _, err := w.crew.hire(); err != nil {
			return err
		}
	}
	return nil
}

// on are the arguments of a command in a world whose builds are made by a crew.
func (w *world) on(args []string) []string {
	if w.crew == nil || args[0] != "run" {
		return args
	}
	return append([]string{"run", "--on", w.crew.server.URL()}, args[1:]...)
}
