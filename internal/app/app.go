package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/telemetry"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/steps/comm"
)

// App makes sessions. What it holds is handed in by the program around it, and
// is for all sessions the same.
type App struct {
	Env Env
	// World makes the world of a session.
	World func(WorldOptions) World
	// Runner does the steps of a session in its world. Nil: they are done in this
	// process.
	Runner func(*Handover) dag.Runner
	// OpenState opens the home whose runs are in the database that a URL names, with a
	// directory of this machine for the rest. Nil: runs are kept in files alone.
	OpenState func(dir, url string) (*state.Home, error)
	// Telemetry tells what runs and removals do. Nil tells nothing.
	Telemetry *telemetry.Provider
	// Local takes a lease of the embedded EC2 that keeps everything in dir, and
	// starts one if there is none. Nil: there are no local runs.
	Local func(ctx context.Context, env Env, dir string, wish local.Settings) (*local.Lease, error)
}

// A UsageError says that what was asked for is wrong: nothing was done.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

func usagef(format string, a ...any) error { return &UsageError{fmt.Errorf(format, a...)} }

// The variables that say where runs are, and who opens their secrets.
const (
	stateVar      = "IMGFLOW_STATE"
	identityVar   = "IMGFLOW_IDENTITY"
	recipientsVar = "IMGFLOW_RECIPIENTS"
)

// OpenHome opens what holds all runs, to write in it.
func (a *App) OpenHome() (*state.Home, error) { return a.home(state.OpenHome) }

// FindHome finds what holds all runs, to look at it: on a full disk, too, or where it
// may only be read.
func (a *App) FindHome() (*state.Home, error) { return a.home(state.FindHome) }

// home is the one that the environment says, with what opens its secrets.
func (a *App) home(open func(dir string) (*state.Home, error)) (*state.Home, error) {
	dir, err := state.DefaultDir(a.Env.Get)
	if err != nil {
		return nil, err
	}
	home, err := open(a.Env.Abs(dir))
	if url := a.Env.Get(stateVar); err == nil && url != "" {
		if a.OpenState == nil {
			return nil, usagef("cannot keep runs in PostgreSQL: this program keeps them in files: install imgflow-fleet, which has every command of imgflow (go install github.com/imgflow/imgflow/cmd/imgflow-fleet@latest), or unset %s", stateVar)
		}
		home, err = a.OpenState(home.Dir(), url)
	}
	if file := a.Env.Get(identityVar); err == nil && file != "" {
		home = home.WithIdentity(a.Env.Abs(file))
	}
	if to := a.Env.Get(recipientsVar); err == nil && to != "" {
		home, err = home.WithRecipients(to)
	}
	return home, err
}

// LocalDir is where the embedded EC2 of a home's local runs keeps everything.
func LocalDir(home *state.Home) string { return filepath.Join(home.Dir(), "local") }

// New makes the session of a request that has no run yet. Without a home, which
// may be nil, it can look at the template and nothing more.
func (a *App) New(home *state.Home, req Request) *Session {
	req.Vars, req.VarFiles = maps.Clone(req.Vars), slices.Clone(req.VarFiles)
	req.place(a.Env)
	if !req.Local {
		req.Endpoint = endpointOf(a.Env)
	}
	return a.session(home, &req, nil)
}

// Open takes a run that there is: no other session can have it until this one is
// closed.
func (a *App) Open(home *state.Home, id string) (*Session, error) {
	run, err := home.Open(id)
	if err != nil {
		return nil, err
	}
	return a.of(home, run)
}

// Look is Open for a look: nobody is told that the run is driven.
func (a *App) Look(home *state.Home, id string) (*Session, error) {
	run, err := home.Look(id)
	if err != nil {
		return nil, err
	}
	return a.of(home, run)
}

// of is the session of a run that there is.
func (a *App) of(home *state.Home, run *state.Run) (*Session, error) {
	req := &Request{}
	if err := run.Doc(requestDoc, req); err != nil && !errors.Is(err, fs.ErrNotExist) {
		run.Close()
		return nil, err
	}
	if sum := run.Summary(); req.Template == "" { // interrupted before it was stored
		req.Template, req.Local, req.Endpoint = sum.Template, sum.Local, sum.Endpoint
	}
	return a.session(home, req, run), nil
}

// notJoined is the endpoint of a local run that has not joined the embedded EC2
// yet: its template can be compiled, and nobody can be called.
const notJoined = "http://127.0.0.1:1"

func (a *App) session(home *state.Home, req *Request, run *state.Run) *Session {
	s := &Session{app: a, home: home, req: req, run: run}
	s.env, s.astray = selectEndpoint(a.Env, req)
	if req.handed != nil {
		s.env = NewEnv(s.env.Vars(), req.handed.at(req.Cwd))
	}
	o := WorldOptions{Env: s.env, Dir: cmp.Or(req.Cwd, s.env.Dir()), Secret: s.secret, Vault: vault{s}, MaxLifetime: req.MaxLifetime}
	if h := req.handed; h != nil {
		o.Dir, o.Away = s.env.Dir(), comm.Away{Root: h.folder.Root(), Folder: h.at(req.dir()), Notes: h.folder.Notes()}
	}
	if home != nil {
		o.Times = filepath.Join(home.Dir(), "times.json")
	}
	if req.Local {
		o.Endpoint.URL = notJoined
	}
	s.world = a.World(o)
	if a.Runner != nil {
		s.runner = a.Runner(&Handover{o, s.world})
	}
	return s
}

// The variables that send calls elsewhere than to AWS, the one that counts most first.
var endpointVars = []string{"AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"}

// endpointOf is where an environment sends calls of EC2; "" is AWS.
func endpointOf(env Env) string {
	for _, name := range endpointVars {
		if url := env.Get(name); url != "" {
			return url
		}
	}
	return ""
}

// selectEndpoint is the environment in which a request reaches the endpoint that
// it is for. One that a run was made at is used again unless the environment
// names another. What is looked for in the wrong place would count as gone, so a
// run that was made at AWS itself goes nowhere else: astray is then where the
// environment sends it.
func selectEndpoint(env Env, req *Request) (_ Env, astray string) {
	named := endpointOf(env)
	switch {
	case req.Local:
		return env.Without(endpointVars...), "" // it has its own
	case req.Endpoint == "" && named != "":
		return env, named
	case req.Endpoint != "" && named == "":
		return env.With("AWS_ENDPOINT_URL", req.Endpoint), ""
	}
	return env, ""
}

// withoutSecrets is the environment without credentials: a server that lives on
// has no business with them.
func withoutSecrets(env Env) Env {
	var names []string
	for _, kv := range env.Vars() {
		if name, _, _ := cutVar(kv); interp.SecretName(name) {
			names = append(names, name)
		}
	}
	return env.Without(names...)
}
