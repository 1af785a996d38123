package app

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/files"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/telemetry"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// Session is a request with the world that it is for and, once there is one, its
// run. Its methods are called one after another, in the order that the package's
// manual gives.
type Session struct {
	app    *App
	env    Env
	astray string // where the environment sends calls that must not go there
	home   *state.Home
	req    *Request
	run    *state.Run // nil until begun
	world  World
	runner dag.Runner   // nil: steps are done in this process
	lease  *local.Lease // of the embedded EC2, for a local run
	made   *files.Made  // by steps of a run that was joined; nil: of another

	tmpl   template.Parsed
	ev     *template.Config
	graph  *dag.Graph
	stored *dag.Graph // what the run wanted before the template was read again
	wanted *dag.Graph // what a run would begin with, where graph is for a look; nil: graph

	told     *telemetry.Run  // by whom workers tell what they do of the run; nil: of one that was not joined
	epoch    int64           // of the run that was joined
	plan     *Plan           // that the session carries out; nil: none
	firing   *Firing         // that makes the run; nil: none
	passing  passing         // what a session without a run has instead of one
	frozen   bool            // the run goes on as it was stored
	means    means           // of a run that was handed on
	known    bool            // whose things the run's are was made sure of
	notes    template.Errors // what Load has found that is known and cannot run
	warnings template.Errors // what Load has found that is not wrong, but may not be meant
}

// Close gives back what the session holds. Its run can be taken by others then.
func (s *Session) Close() error {
	s.told.End(telemetry.ResultOf(false, true), "")
	var err error
	if c, ok := s.runner.(io.Closer); ok {
		err = c.Close()
	}
	err = errors.Join(err, s.world.Close())
	if s.lease != nil {
		s.lease.Close()
	}
	if s.run != nil {
		err = errors.Join(err, s.run.Close())
	}
	return err
}

// Summary is the session's run as it stands; the zero one before it begins.
func (s *Session) Summary() state.Summary {
	if s.run == nil {
		return state.Summary{}
	}
	return s.run.Summary()
}

// Request is what was asked for, with absolute paths.
func (s *Session) Request() Request { return *s.req }

// Graph is what the session's template, or its stored run, wants.
func (s *Session) Graph() *dag.Graph { return s.graph }

// Warnings are what Load has found that is not wrong, but may not be meant.
func (s *Session) Warnings() template.Errors { return s.warnings }

// Notes are what Load has found that is known and cannot be run yet: no fault of
// the template.
func (s *Session) Notes() template.Errors { return s.notes }

// Limits says in a line what the machines of a local run cannot do; "" without
// limits.
func (s *Session) Limits() string {
	if s.lease == nil {
		return ""
	}
	return s.lease.Limits
}

// Redact takes the run's secrets out of a text.
func (s *Session) Redact(text string) string { return s.run.Redact().Redact(text) }

// secret gives the values of the template's secrets, of those that were sealed with
// the run even when the template is not read again, and of keys that the run has
// made.
func (s *Session) secret(name string) (string, error) {
	lookup := func(name string) (string, bool) {
		if s.ev != nil {
			if v, ok := s.ev.Secrets[name]; ok {
				return v, true
			}
		}
		if h := s.req.handed; h != nil {
			if v, ok := h.secrets[name]; ok {
				return v, true
			}
		}
		if v, ok := s.req.Vars[name]; ok {
			return v, true
		}
		for _, kept := range []string{sealedAs(name), name} {
			if v, err := (vault{s}).Get(kept); err == nil {
				return string(v), true
			}
		}
		return "", false
	}
	if v, ok := lookup(name); ok {
		return v, nil
	}
	// An earlier imgflow has not sealed what functions make of secrets: their names say how to make it again.
	if v, err := interp.Resolve(name, lookup); err == nil {
		return v, nil
	}
	return "", errcode.With(errcode.SecretWithheld, fmt.Errorf("cannot use %s: its value is secret and not stored: give it again with -var, -var-file or the environment", name))
}

// sealedAs is the name under which the vault keeps a secret of the template. That
// of a secret which a function has made is as long as what the function was given.
func sealedAs(name string) string {
	if len(name) > 1<<10 {
		digest := sha256.Sum256([]byte(name))
		name = "sha256/" + hex.EncodeToString(digest[:])
	}
	return "template/" + name
}

// sealSecrets seals the secrets that the run's steps hold: those that stand in the
// template itself, and what functions have made of others. Variables are not kept.
// Nor are cloud credentials, which are settings of no step.
func (s *Session) sealSecrets() error {
	variable, sealed := map[string]bool{}, map[string]bool{}
	for _, v := range s.ev.Variables {
		variable[v.Name] = true
	}
	for _, n := range s.graph.Nodes {
		for _, name := range n.Secrets() {
			value, known := s.ev.Secrets[name]
			if !known || variable[name] || sealed[name] {
				continue
			}
			if err := s.run.Vault().Later(sealedAs(name), []byte(value)); err != nil {
				return err
			}
			sealed[name] = true
		}
	}
	return nil
}

var errNoRun = errors.New("there is no run that keeps secrets")

// vault is that of the session's run, once it has one.
type vault struct{ s *Session }

func (v vault) Get(name string) ([]byte, error) {
	switch {
	case v.s.run == nil && v.s.home == nil:
		return v.s.passing.get(name)
	case v.s.run == nil:
		return nil, errNoRun
	}
	return v.s.run.Vault().Get(name)
}

func (v vault) Put(name string, value []byte) error {
	switch {
	case v.s.run == nil && v.s.home == nil:
		return v.s.passing.put(name, value)
	case v.s.run == nil:
		return errNoRun
	}
	return v.s.run.Vault().Put(name, value)
}

// Parse parses the template, and tells what is wrong with its syntax.
func (s *Session) Parse() (template.Parsed, error) {
	t, errs, err := s.req.parse(s.env)
	if err == nil {
		err = faulty(errs)
	}
	return t, err
}

// JSON reads the file of a template that is in JSON.
func (s *Session) JSON() (name string, src []byte, err error) {
	if s.req.hcl() {
		return "", nil, usagef("cannot read %s as a JSON template: it is in HCL2", s.req.Template)
	}
	files, err := s.req.files(s.env)
	if err != nil {
		return "", nil, err
	}
	return files[0].Name, files[0].Src, nil
}

// Config evaluates the template, but does not look whether it can be built. What could be made sense of is returned beside
// the faults.
func (s *Session) Config() (*template.Config, template.Errors, error) {
	t, errs, err := s.req.parse(s.env)
	if err != nil {
		return nil, nil, err
	}
	ev, more, err := s.req.evaluate(t, s.env, s.world.Catalog(false), nothingLooked())
	return ev, append(errs, more...).Sorted(), err
}

// Load parses and evaluates the template and checks all of it. When forRun is set
// the graph is made, too. Its keys depend on a salt of the run if there are
// secrets; the run begins then, unless there is no home. Data sources are not looked
// up: what the run's records have of them, and of what builds have made, is known.
func (s *Session) Load(ctx context.Context, forRun bool) error {
	t, errs, err := s.tmpl, template.Errors(nil), error(nil)
	if t == nil {
		if t, errs, err = s.req.parse(s.env); err != nil {
			return err
		}
	}
	catalog, known := s.world.Catalog(s.req.Force), nothingLooked()
	for {
		g, err := s.load(ctx, t, slices.Clone(errs), catalog, known, forRun)
		if err != nil {
			return err
		}
		more, err := s.recall(catalog, g, known)
		if err != nil {
			return err
		}
		if !more {
			s.graph = g
			return nil
		}
	}
}

// load is Load with what is known of data sources.
func (s *Session) load(ctx context.Context, t template.Parsed, errs template.Errors, catalog compile.Catalog, known looked, forRun bool) (*dag.Graph, error) {
	ev, more, err := s.req.evaluate(t, s.env, catalog, known)
	if err != nil {
		return nil, err
	}
	if len(errs) == 0 {
		s.tmpl, s.ev = t, ev
	}
	errs = append(errs, more...)
	var saltErr error
	s.notes = nil
	warnings := ev.Warnings
	g, cerrs := compile.Compile(ctx, ev, catalog, compile.Options{
		Cwd: s.req.Cwd, Dir: s.req.dir(), Files: s.req.located(), ForRun: forRun, Local: s.req.Local, Scan: s.req.ScanImage, Began: s.req.Pins.Clock(),
		Later:  func(l template.Error) { s.notes = append(s.notes, l) },
		Warn:   func(w template.Error) { warnings = append(warnings, w) },
		Stored: s.graph,
		Digest: func(text string) string {
			if len(errs) > 0 || s.req.Strict && len(warnings) > 0 {
				return "" // there will be no run
			}
			key, err := s.salt()
			if err != nil && saltErr == nil {
				saltErr = err
			}
			mac := hmac.New(sha256.New, key)
			plain, err := interp.Reveal(text, func(name string) (string, error) { return ev.Secrets[name], nil })
			if err != nil && saltErr == nil {
				saltErr = err
			}
			mac.Write([]byte(plain))
			return hex.EncodeToString(mac.Sum(nil)[:16])
		},
	})
	cerrs.Coded(errcode.TemplateOption)
	if s.warnings = warnings.Sorted().Coded(errcode.TemplateWarning); s.req.Strict {
		errs, s.warnings = append(errs, s.warnings...), nil
	}
	if err := faulty(append(errs, cerrs...).Sorted()); err != nil {
		return nil, err
	}
	s.req.asSubmitted(g)
	return g, saltErr
}

// Foresee takes a graph for a look and not for a run: builds that wait for what is known only when others have run, or
// data sources were looked up, are in it as far as they are foreseen.
func (s *Session) Foresee(ctx context.Context) {
	if g := s.foreseen(ctx); g != s.graph {
		s.wanted, s.graph = s.graph, g
	}
}

// foreseen is the session's graph, with what is known already of builds that wait.
func (s *Session) foreseen(ctx context.Context) *dag.Graph {
	if !s.graph.Open() {
		return s.graph
	}
	g, _ := compile.Compile(ctx, s.ev, s.world.Catalog(s.req.Force), compile.Options{Cwd: s.req.Cwd, Dir: s.req.dir(), ForRun: true, Foresee: true, Scan: s.req.ScanImage, Began: s.req.Pins.Clock()})
	if g == nil {
		return s.graph
	}
	return g
}

// begin creates the run.
func (s *Session) begin() error {
	if s.run != nil {
		return nil
	}
	sum := state.Summary{Status: state.Running, Template: s.req.Template, Local: s.req.Local, Endpoint: s.req.Endpoint}
	for _, b := range s.ev.Builds {
		sum.Builds = append(sum.Builds, state.BuildSummary{Name: b.Name, Type: b.Type, Status: state.Running})
	}
	create := s.home.Create
	if s.firing != nil {
		sum.Schedule, sum.Due, create = s.firing.Schedule, s.firing.Due, s.home.CreateDue
	}
	run, err := create(sum)
	if err != nil {
		return err
	}
	s.run = run
	if s.firing != nil {
		return s.firing.unbegun(run)
	}
	if s.plan != nil && s.plan.Salt != nil {
		return run.SetSalt(s.plan.Salt)
	}
	return nil
}

// salt is the run's, which begins if need be. Where there can be none it is one
// for keys that are never stored.
func (s *Session) salt() ([]byte, error) {
	if s.plan != nil && s.plan.Salt != nil {
		return s.plan.Salt, nil
	}
	if s.home == nil {
		if s.passing.salt == nil {
			s.passing.salt = make([]byte, 32)
			rand.Read(s.passing.salt) // never fails
		}
		return s.passing.salt, nil
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s.run.Salt()
}

// store writes down what the run wants, and makes the secrets known that are to
// be kept out of everything.
func (s *Session) store() error {
	s.hide()
	if err := s.sealSecrets(); err != nil {
		return err
	}
	if err := s.run.SetGraph(s.graph); err != nil {
		return err
	}
	return s.run.SetDoc(requestDoc, s.req.stored(s.ev))
}

// Verify tells the world where the run's steps work, and have worked, and makes
// sure that it is as the same owner. Run and Remove do it if it was not done.
func (s *Session) Verify(ctx context.Context) error {
	if s.known {
		return nil
	}
	if err := s.LearnPlaces(); err != nil {
		return err
	}
	if err := s.sameOwners(ctx); err != nil {
		return err
	}
	s.known = true
	return nil
}

// LearnPlaces tells the world where the run's steps work, and have worked.
func (s *Session) LearnPlaces() error {
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
	s.world.Learn(nodes)
	return nil
}

const ownersDoc = "owners"

// sameOwners compares the owners of the credentials with those that the run was
// made by. The first process notes them; if it cannot find them out, the calls
// that follow will say why.
func (s *Session) sameOwners(ctx context.Context) error {
	before := map[string]string{}
	if err := s.run.Doc(ownersDoc, &before); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now, err := s.world.Owners(ctx)
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
	return s.run.SetDocLater(ownersDoc, before)
}

// hide makes the run's secrets known to what redacts.
func (s *Session) hide() { s.hideFrom(s.run.Redact()) }

// hideFrom makes the session's secrets known to a redactor.
func (s *Session) hideFrom(red *state.Redactor) {
	if h := s.req.handed; h != nil {
		for _, v := range h.secrets {
			red.Add(v)
		}
		for name, v := range h.environ {
			if interp.SecretName(name) {
				red.Add(v)
			}
		}
	}
	if s.ev != nil {
		for _, v := range s.ev.Secrets {
			red.Add(v)
		}
		for _, name := range s.req.stored(s.ev).Withheld {
			red.Add(s.req.Vars[name])
		}
	}
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "VAULT_TOKEN"} {
		if v := s.env.Get(name); v != "" {
			red.Add(v)
		}
	}
}

// Builds are the names of the run's builds, in the template's order.
func (s *Session) Builds() (names []string) {
	for _, b := range s.run.Summary().Builds {
		names = append(names, b.Name)
	}
	return names
}

// localConsistency is how long an embedded EC2 without faults may take to show
// things: it shows them at once.
const localConsistency = time.Second

// Reach makes the cloud of the request reachable: the embedded EC2 of a local run
// is joined or started, with the settings wished for. It is an error if the
// environment sends the calls of a run that was made at AWS elsewhere.
func (s *Session) Reach(ctx context.Context, wish local.Settings) error {
	switch {
	case s.astray != "":
		return usagef("cannot go on with run %s: it was made at AWS itself, and the environment names %s: unset AWS_ENDPOINT_URL", s.run.ID(), s.astray)
	case !s.req.Local || s.lease != nil:
		return nil
	case s.app.Local == nil:
		return usagef("cannot build locally: there is no embedded EC2 here")
	}
	lease, err := s.app.Local(ctx, withoutSecrets(s.env), LocalDir(s.home), wish)
	if err != nil {
		return err
	}
	s.lease = lease
	e := Endpoint{URL: lease.Endpoint(), Key: lease.Key}
	if len(lease.Faults) == 0 {
		e.ConsistencyWindow = localConsistency
	}
	s.world.Direct(e)
	return nil
}
