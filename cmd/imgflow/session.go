package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/local"
	"github.com/imgflow/imgflow/cmd/imgflow/internal/render"
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// session is a request with the world that it is for and, once there is one,
// its run.
type session struct {
	home  *state.Home
	req   *request
	run   *state.Run // nil until begun or taken
	world *world
	lease *local.Lease // of the embedded EC2, for a local run
	leave func()       // takes back what reach did to the environment; may be nil

	tmpl  *template.Template
	ev    *template.Evaluated
	graph *dag.Graph

	notes    template.Errors // what load has found that is known and cannot run
	warnings template.Errors // what load has found that is not wrong, but may not be meant
}

// newSession makes the world of a request. A run may be nil so far.
func newSession(home *state.Home, req *request, run *state.Run) *session {
	s := &session{home: home, req: req, run: run}
	endpoint := ""
	if req.Local {
		endpoint = notJoined
	}
	s.settle(endpoint, local.Key{}, 0)
	return s
}

// notJoined is the endpoint of a local run that has not joined the embedded EC2
// yet: its template can be compiled, and nobody can be called.
const notJoined = "http://127.0.0.1:1"

// promptly is how long an embedded EC2 without faults may take to show things:
// it shows them at once.
const promptly = time.Second

// settle makes the world, with every call going to the endpoint if there is one.
func (s *session) settle(endpoint string, key local.Key, shown time.Duration) {
	s.world = newWorld(worldOptions{Endpoint: endpoint, Key: key, Settle: shown, Secret: s.secret, Vault: s, MaxLifetime: s.req.MaxLifetime})
}

func (s *session) close() {
	if s.leave != nil {
		s.leave()
	}
	s.world.close()
	if s.lease != nil {
		s.lease.Close()
	}
	if s.run != nil {
		s.run.Close()
	}
}

// secret gives the values of the template's secrets, of what was written into
// the template itself even when it is not read again, and of keys that the run
// has made.
func (s *session) secret(name string) (string, error) {
	lookup := func(name string) (string, bool) {
		if s.ev != nil {
			if v, ok := s.ev.Secrets[name]; ok {
				return v, true
			}
		}
		if v, ok := s.req.Vars[name]; ok {
			return v, true
		}
		for _, kept := range []string{literalSecret + name, name} {
			if v, err := s.Get(kept); err == nil {
				return string(v), true
			}
		}
		return "", false
	}
	if v, err := interp.Resolve(name, lookup); err == nil {
		return v, nil
	}
	return "", fmt.Errorf("cannot use %s: its value is secret and not stored: give it again with -var, -var-file or the environment", name)
}

// literalSecret begins the names under which the vault keeps secrets that the
// template's author wrote into it.
const literalSecret = "template/"

// keepLiterals seals the secrets that stand in the template itself. Those that
// come from variables are not kept, nor are cloud credentials.
func (s *session) keepLiterals() error {
	variable := map[string]bool{}
	for _, v := range s.ev.Variables {
		variable[v.Name] = true
	}
	for name, value := range s.ev.Secrets {
		if variable[name] || strings.Contains(name, "(") || strings.HasSuffix(name, ".secret_key") || strings.HasSuffix(name, ".token") {
			continue
		}
		if err := s.Put(literalSecret+name, []byte(value)); err != nil {
			return err
		}
	}
	return nil
}

var errNoRun = errors.New("there is no run that keeps secrets")

// Get and Put make the session the vault of its run.
func (s *session) Get(name string) ([]byte, error) {
	if s.run == nil {
		return nil, errNoRun
	}
	return s.run.Vault().Get(name)
}

func (s *session) Put(name string, value []byte) error {
	if s.run == nil {
		return errNoRun
	}
	return s.run.Vault().Put(name, value)
}

// load parses and evaluates the template and checks all of it. When forRun is
// set the graph is made, too, keyed with the salt that is asked for only if
// there are secrets.
func (s *session) load(forRun bool, salt func() ([]byte, error)) error {
	t, errs, err := s.tmpl, template.Errors(nil), error(nil)
	if t == nil {
		if t, errs, err = s.req.parse(); err != nil {
			return err
		}
	}
	ev, more, err := s.req.evaluate(t)
	if err != nil {
		return err
	}
	if len(errs) == 0 {
		s.tmpl, s.ev = t, ev
	}
	errs = append(errs, more...)
	var saltErr error
	s.notes = nil
	warnings := ev.Warnings
	files := &compile.Files{Cwd: s.req.Cwd, Dir: s.req.dir()}
	g, cerrs := compile.Compile(ev, s.world.catalog(s.req.Force, files), compile.Options{
		Cwd: s.req.Cwd, Dir: s.req.dir(), ForRun: forRun,
		Later: func(l template.Error) { s.notes = append(s.notes, l) },
		Warn:  func(w template.Error) { warnings = append(warnings, w) },
		Digest: func(name string) string {
			if len(errs) > 0 || s.req.Strict && len(warnings) > 0 {
				return "" // there will be no run
			}
			key, err := salt()
			if err != nil && saltErr == nil {
				saltErr = err
			}
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(ev.Secrets[name]))
			return hex.EncodeToString(mac.Sum(nil)[:16])
		},
	})
	if s.warnings = warnings.Sorted(); s.req.Strict {
		errs, s.warnings = append(errs, s.warnings...), nil
	}
	if err := faults(append(errs, cerrs...).Sorted()); err != nil {
		return err
	}
	s.graph = g
	return saltErr
}

// warn tells what load has found that is not wrong.
func (s *session) warn(ls *render.Lines) {
	for _, w := range s.warnings {
		ls.Warn("Warning: %s", w.Error())
	}
}

// begin creates the run.
func (s *session) begin() error {
	if s.run != nil {
		return nil
	}
	sum := state.Summary{Status: state.Running, Template: s.req.Template, Local: s.req.Local, Endpoint: s.req.Endpoint}
	for _, b := range s.ev.Builds {
		sum.Builds = append(sum.Builds, state.BuildSummary{Name: b.Name, Type: b.Type, Status: state.Running})
	}
	run, err := s.home.Create(sum)
	if err != nil {
		return err
	}
	s.run = run
	return nil
}

// salt is the run's, which begins if need be.
func (s *session) salt() ([]byte, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s.run.Salt()
}

// store writes down what the run wants, and makes the secrets known that are to
// be kept out of everything.
func (s *session) store() error {
	s.hide()
	if err := s.keepLiterals(); err != nil {
		return err
	}
	if err := s.run.SetGraph(s.graph); err != nil {
		return err
	}
	return s.run.SetDoc(requestDoc, s.req.stored(s.tmpl, s.ev))
}

// recall tells the world where the run's steps work, and have worked, and makes
// sure that it is as the same owner.
func (s *session) recall(ctx context.Context) error {
	recs, err := s.run.All()
	if err != nil {
		return err
	}
	var nodes []dag.Node
	if s.graph != nil {
		nodes = append(nodes, s.graph.Nodes...)
	}
	for _, r := range recs {
		nodes = append(nodes, r.Node)
	}
	s.world.learn(nodes)
	return s.sameOwners(ctx)
}

const ownersDoc = "owners"

// sameOwners compares the owners of the credentials with those that the run was
// made by. The first process notes them; if it cannot find them out, the calls
// that follow will say why.
func (s *session) sameOwners(ctx context.Context) error {
	before := map[string]string{}
	if err := s.run.Doc(ownersDoc, &before); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now, err := s.world.owners(ctx)
	if err != nil {
		if len(before) == 0 {
			return nil
		}
		return fmt.Errorf("cannot go on with run %s: %w", s.run.ID(), err)
	}
	for account, owner := range now {
		if was, ok := before[account]; ok && was != owner {
			return usagef("cannot go on with run %s: it was made in the AWS account %s, and the credentials are those of %s: what it made would not be found", s.run.ID(), was, owner)
		}
		before[account] = owner
	}
	if len(now) == 0 {
		return nil
	}
	return s.run.SetDoc(ownersDoc, before)
}

// hide makes the run's secrets known to what redacts.
func (s *session) hide() {
	red := s.run.Redact()
	if s.ev != nil {
		for _, v := range s.ev.Secrets {
			red.Add(v)
		}
		for _, name := range s.req.stored(s.tmpl, s.ev).Withheld {
			red.Add(s.req.Vars[name])
		}
	}
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		if v := os.Getenv(name); v != "" {
			red.Add(v)
		}
	}
}

// buildNames are the builds of the run, in the template's order.
func (s *session) buildNames() (names []string) {
	for _, b := range s.run.Summary().Builds {
		names = append(names, b.Name)
	}
	return names
}

// reach makes the cloud of the request reachable: the embedded EC2 of a local
// run is joined or started, and an endpoint that the run was made at is used
// again unless the environment names another. What is looked for in the wrong
// place would count as gone, so a run that was made at AWS itself goes nowhere
// else.
func (s *session) reach(ctx context.Context, wish local.Settings) error {
	if s.req.Local {
		lease, err := joinLocal(ctx, s.home, wish)
		if err != nil {
			return err
		}
		s.lease = lease
		s.world.close()
		var shown time.Duration
		if len(lease.Faults) == 0 {
			shown = promptly
		}
		s.settle(lease.Endpoint(), lease.Key, shown)
		return nil
	}
	env := endpointFromEnv()
	switch {
	case s.req.Endpoint == "" && env != "":
		return usagef("cannot go on with run %s: it was made at AWS itself, and the environment names %s: unset AWS_ENDPOINT_URL", s.run.ID(), env)
	case s.req.Endpoint != "" && env == "":
		os.Setenv("AWS_ENDPOINT_URL", s.req.Endpoint)
		s.leave = func() { os.Unsetenv("AWS_ENDPOINT_URL"); s.leave = nil }
	}
	return nil
}

func endpointFromEnv() string {
	if e := os.Getenv("AWS_ENDPOINT_URL_EC2"); e != "" {
		return e
	}
	return os.Getenv("AWS_ENDPOINT_URL")
}

// joinLocal takes a lease of the embedded EC2 that serves local runs.
func joinLocal(ctx context.Context, home *state.Home, wish local.Settings) (*local.Lease, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start the embedded EC2: %w", err)
	}
	dir := localDir(home)
	return local.Join(ctx, dir, wish, signLocal, func() *exec.Cmd {
		program, err := local.Program(dir, exe)
		if err != nil {
			program = exe // without room for a copy it is as good for most
		}
		cmd := exec.Command(program, append([]string{"ec2local", "--dir", dir, "--listen", "127.0.0.1:0", "--while-leased"}, wish.Args()...)...)
		cmd.Args[0] = "imgflow"
		cmd.Env = withoutSecrets(os.Environ())
		return cmd
	})
}

func localDir(home *state.Home) string { return filepath.Join(home.Dir(), "local") }

// withoutSecrets is the environment without credentials: a server that lives on
// has no business with them.
func withoutSecrets(env []string) (out []string) {
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); !interp.SecretName(name) {
			out = append(out, kv)
		}
	}
	return out
}
