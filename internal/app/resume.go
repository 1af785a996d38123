package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
)

// Why a run goes on as it was stored.
const (
	Frozen       = "frozen"         // it was asked for
	FromInput    = "standard input" // the template cannot be read again
	TemplateGone = "gone"           // the template is not there any more
	NoSecrets    = "no secrets"     // values that are not stored were not given again
)

// News is what a resume has found out before it goes on.
type News struct {
	Stored    string          // why the run goes on as it was stored; "" if the template was read again
	Missing   []string        // secret variables that were not given again
	Changes   []Change        // of the steps, since the run was stored
	Rebuilds  []dag.Rebuild   // with Changes: what is removed and made again
	Reapplied []dag.Reapplied // with Changes: what is overtaken on machines that were there before
	Todo      []string        // with Changes: the steps that will run
}

// Give adds variables to those that the request has. Of a relative file name the
// working directory is that of the session.
func (s *Session) Give(vars map[string]string, files []string) {
	var paths []string
	for _, f := range files {
		paths = append(paths, s.env.Abs(f))
	}
	s.req.give(vars, paths)
}

// Enforce adds templates to those that are enforced.
func (s *Session) Enforce(files []string) { s.req.enforcing(s.env, files) }

// Scan has the run look for its secrets on machines before they are imaged.
func (s *Session) Scan() { s.req.ScanImage = true }

// Limit sets how many builds are at work at once from now on; 0 is all.
func (s *Session) Limit(parallel int) { s.req.Parallel = parallel }

// LoadStored takes the graph that is stored with the run, in place of the template's.
func (s *Session) LoadStored() error {
	g, err := s.run.Graph()
	if err != nil {
		return fmt.Errorf("cannot plan run %s: it was interrupted before it had a plan: %w", s.run.ID(), err)
	}
	s.graph, s.stored = g, g
	return nil
}

// Renew evaluates the template again, and tells what has changed since the run
// was stored and what that means. When the template is not to be looked at, or
// is not there any more, the stored graph stands.
func (s *Session) Renew(ctx context.Context, frozen bool) (News, error) {
	news, err := s.Preview(ctx, frozen)
	if err != nil || news.Stored != "" {
		return news, err
	}
	return news, s.store()
}

// Preview is Renew for a look: nothing is written down.
func (s *Session) Preview(ctx context.Context, frozen bool) (news News, err error) {
	old, err := s.run.Graph()
	if errors.Is(err, fs.ErrNotExist) {
		return news, fmt.Errorf("cannot resume run %s: it was interrupted before it had a plan and has made nothing; run the template again", s.run.ID())
	}
	if err != nil {
		return news, err
	}
	s.graph, s.stored = old, old
	missing := s.missing()
	_, known := s.req.sources.Files[s.req.Template]
	switch _, err := os.Stat(s.req.Template); {
	case frozen:
		news.Stored = Frozen
	case known || s.req.sources.Planned && s.req.sources.Folder: // it is part of a plan
	case s.req.Template == "-":
		news.Stored = FromInput
	case errors.Is(err, fs.ErrNotExist):
		news.Stored = TemplateGone
	case len(missing) > 0 && !s.req.Local && !s.Packed():
		return news, s.freeze(ctx) // which refuses
	case len(missing) > 0:
		news.Stored, news.Missing = NoSecrets, missing
	}
	if news.Stored != "" {
		return news, s.freeze(ctx)
	}
	if err := s.Load(ctx, true); err != nil {
		return news, fmt.Errorf("%w\n\nCorrect it, or go on as the run was stored: %s", err, self.Command("resume", s.run.ID(), "--frozen"))
	}
	s.hide()
	if len(old.Awaited) == 0 { // else nothing but lookups can have run
		news.Changes = changes(old, s.graph)
	}
	if len(news.Changes) > 0 {
		p, err := s.Plan()
		if err != nil {
			return news, err
		}
		news.Rebuilds, news.Reapplied = p.Rebuilds, p.Reapplied
		for _, st := range p.Steps {
			if st.Action != dag.Reuse {
				news.Todo = append(news.Todo, st.Node.Name)
			}
		}
	}
	return news, nil
}

// freeze keeps the stored graph, and takes only secrets and accounts from the
// template, where it can still be evaluated.
func (s *Session) freeze(ctx context.Context) error {
	stored, missing := s.graph, s.missing()
	if len(stored.Awaited) == 0 && stored.Open() {
		return usagef("cannot go on with run %s as it was stored: it was interrupted before what its builds make was known, which decides what the others are: %s",
			s.run.ID(), "resume it without --frozen where its template and all its variables are, or remove what it has made: "+self.Command("destroy", s.run.ID()))
	}
	if len(stored.Awaited) > 0 {
		return usagef("cannot go on with run %s as it was stored: it was interrupted before its data sources were looked up, so its builds are not known, and nothing was made for them: %s",
			s.run.ID(), "resume it without --frozen where its template and all its variables are, or run the template again")
	}
	if _, err := os.Stat(s.req.Template); err == nil && len(missing) == 0 {
		if s.Load(ctx, true) != nil {
			s.tmpl, s.ev = nil, nil
		}
		s.warnings = nil // they are of a template that does not count
	} else if len(missing) > 0 && !s.req.Local && !s.Packed() {
		return errcode.With(errcode.SecretWithheld, usagef("cannot resume run %s: secret values are not stored; give them again: %s", s.run.ID(), flags(missing)))
	}
	s.graph, s.frozen = stored, true
	s.hide()
	return nil
}

// missing are the variables whose values were withheld and not given again.
func (s *Session) missing() (names []string) {
	for _, name := range s.req.Withheld {
		if _, ok := s.req.Vars[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// flags are the variables as they can be typed.
func flags(names []string) string {
	var fs []string
	for _, name := range names {
		fs = append(fs, "-var "+name+"=...")
	}
	return strings.Join(fs, " ")
}

// Fresh removes everything that is not kept, so that it is made anew. A machine that was there before stays, with what
// was done on it, and nothing cleans it up: it is told which builds that concerns. It is an error if there are no others.
func (s *Session) Fresh(ctx context.Context, show func(dag.Event)) error {
	things, err := s.Things(false)
	if err != nil {
		return err
	}
	given := map[string]bool{}
	for _, n := range s.graph.Nodes {
		if n.Given {
			for _, b := range n.Builds {
				given[b] = true
			}
		}
	}
	things = slices.DeleteFunc(things, func(r dag.Record) bool { return r.Guard && given[r.Builds[0]] })
	for _, b := range slices.Sorted(maps.Keys(given)) {
		if len(things) == 0 {
			return usagef("cannot make the machines anew: run %s has none of its own, and that of %s was there before and stays as it is; `%s` without --fresh goes on with it", s.run.ID(), b, self.Command("resume"))
		}
		show(dag.Event{V: dag.EventVersion, Time: time.Now(), Type: dag.Warned, Builds: []string{b}, Text: "its machine was there before: it stays as it is, and what was done on it is not done again"})
	}
	left, err := s.Remove(ctx, things, show)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("cannot make the machines anew: %s could not be removed: %w", left[0].Name, left[0].Err)
	}
	return err
}

// Rerun makes a step and all after it run again; the step may be named
// BUILD/STEP.
func (s *Session) Rerun(ctx context.Context, step string) error {
	e, err := s.engine()
	if err != nil {
		return err
	}
	build, name, ok := strings.Cut(step, "/")
	if !ok {
		build, name = "", step
	}
	if err := e.Rerun(s.graph, build, name); err != nil {
		return &UsageError{err}
	}
	if len(s.graph.Lookups)+len(s.graph.Results) == 0 || s.frozen {
		return nil
	}
	if err := s.Load(ctx, true); err != nil { // what was looked up may not count any more
		return err
	}
	return s.store()
}
