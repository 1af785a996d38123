package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/files"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/template/compile"
)

// Schedule is when runs of a template are made, and how.
type Schedule struct {
	Name     string `json:"name"`
	Template string `json:"template"`
	Cron     string `json:"cron"`
	Zone     string `json:"zone,omitempty"` // of the cron expression, such as Europe/Berlin; empty: UTC
	Elsewhere
	OnNewBase bool      `json:"on_new_base,omitempty"` // only when what builds begin from is another
	Made      time.Time `json:"made"`                  // when it was scheduled last
}

// ScheduleLook is what a schedule has come to last.
type ScheduleLook struct {
	At      time.Time         `json:"at"`
	Found   map[string]string `json:"found,omitempty"`   // what builds would begin from, by the lookups that found it
	Nothing bool              `json:"nothing,omitempty"` // it was nothing new: no run was made
	Problem string            `json:"problem,omitempty"` // why no run could be made
}

// Scheduled is a schedule with what has become of it.
type Scheduled struct {
	Schedule
	Look *ScheduleLook     `json:"look,omitempty"` // the last one: with on_new_base, or when no run could be made
	Base map[string]string `json:"base,omitempty"` // what the last good run was made from
}

// Firing is one time of a schedule.
type Firing struct {
	Schedule string    `json:"schedule"`
	Due      time.Time `json:"due"`
}

// Fired is what one time of a schedule has come to: a run that is assigned, or none.
type Fired struct {
	Run     string
	Epoch   int64
	Where   Elsewhere
	Problem string // why there is none, though there should be
}

// baseDoc of a run is what its schedule has found before it, as in a ScheduleLook.
const baseDoc = "base"

// Chooses is an error if nothing that the session's builds begin from could be another one another
// day.
func (s *Session) Chooses() error {
	if len(s.graph.Choices().Nodes) == 0 {
		return usagef("cannot wait for a new base with --on-new-base: no build looks for what it begins from: each names its image; give source_ami_filter or a data source in its place, or leave --on-new-base out")
	}
	return nil
}

// Schedule keeps what runs of the session's template are made of, which was loaded for a run without a home, in
// the home that workers reach. Tell tells the engine of it, before what was there is
// replaced.
func (s *Session) Schedule(ctx context.Context, home *state.Home, sched Schedule, tell func() error) error {
	in, err := home.Schedules()
	if err != nil {
		return &UsageError{err}
	}
	m, sealed, err := s.packed(ctx, home, state.BlobsOf(in, sched.Name), "the schedule "+sched.Name)
	if err != nil {
		return err
	}
	spec, err := json.Marshal(sched)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := tell(); err != nil {
		return err
	}
	return in.Put(state.Schedule{Name: sched.Name, Spec: spec, Files: manifest, Pack: sealed}, m.Pieces())
}

// Schedules are those of a home, by name.
func Schedules(home *state.Home) ([]Scheduled, error) {
	in, err := home.Schedules()
	if err != nil {
		return nil, &UsageError{err}
	}
	stored, err := in.All()
	if err != nil {
		return nil, err
	}
	all := []Scheduled{}
	for _, s := range stored {
		x, err := scheduled(s)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// ScheduleOf is the schedule of a name.
func ScheduleOf(home *state.Home, name string) (Scheduled, error) {
	in, err := home.Schedules()
	if err != nil {
		return Scheduled{}, &UsageError{err}
	}
	s, err := in.Get(name)
	if err != nil {
		return Scheduled{}, err
	}
	return scheduled(s)
}

// Unschedule forgets a schedule; its runs stay.
func Unschedule(home *state.Home, name string) error {
	in, err := home.Schedules()
	if err != nil {
		return &UsageError{err}
	}
	return in.Remove(name)
}

// scheduled reads what is stored of a schedule.
func scheduled(s state.Schedule) (x Scheduled, err error) {
	for _, part := range []struct {
		text []byte
		into any
	}{{s.Spec, &x.Schedule}, {s.Look, &x.Look}, {s.Base, &x.Base}} {
		if part.text == nil {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return x, fmt.Errorf("cannot read the schedule %s: %w: schedule it again", s.Name, err)
		}
	}
	return x, nil
}

// Fire makes the run of one time of a schedule, ready to be driven: once, however often
// and by whomever it is called. An error says that it could not be tried to the end:
// another call may. Files are laid out in dir, as by Join.
func (a *App) Fire(ctx context.Context, home *state.Home, f Firing, dir string) (Fired, error) {
	in, err := home.Schedules()
	if err != nil {
		return Fired{}, err
	}
	stored, err := in.Get(f.Schedule)
	if errors.Is(err, fs.ErrNotExist) { // it was removed just now
		return Fired{}, nil
	}
	if err != nil {
		return Fired{}, err
	}
	sched, err := scheduled(stored)
	if err != nil {
		return Fired{}, err
	}
	id, made, err := home.RunOf(f.Schedule, f.Due)
	if err != nil {
		return Fired{}, err
	}
	if made {
		epoch, err := home.Assigned(id)
		if err != nil || epoch > 0 {
			return Fired{Run: id, Epoch: epoch, Where: sched.Elsewhere}, err
		}
		if sum, err := home.Summary(id); err != nil || sum.Status != state.Running && sum.Status != state.Interrupted {
			return Fired{}, err // somebody has driven it since
		}
	}
	o := occasion{app: a, home: home, in: in, firing: f, stored: stored, sched: sched, run: id, made: made}
	return o.fire(ctx, dir)
}

// firePrefix begins the names of folders for as long as a run is made; longestFiring is how long
// that takes at most.
const (
	firePrefix    = "fire-"
	longestFiring = 24 * time.Hour
)

// UnrollFirings removes files in dir that somebody has left who died while he made a run of a
// schedule. Those of others who are at it stay.
func UnrollFirings(ctx context.Context, dir string) (err error) {
	folders, _ := filepath.Glob(filepath.Join(dir, firePrefix+"*"))
	for _, folder := range folders {
		if fi, serr := os.Stat(folder); serr == nil && time.Since(fi.ModTime()) > longestFiring {
			err = errors.Join(err, unroll(ctx, folder))
		}
	}
	return err
}

// occasion is one time of a schedule on its way to a run.
type occasion struct {
	app    *App
	home   *state.Home
	in     state.Schedules
	firing Firing
	stored state.Schedule
	sched  Scheduled
	run    string // its id
	made   bool   // it has begun
}

func (o *occasion) fire(ctx context.Context, dir string) (Fired, error) {
	m := new(files.Manifest)
	if err := json.Unmarshal(o.stored.Files, m); err != nil {
		return Fired{}, fmt.Errorf("cannot read the files of the schedule %s: %w", o.sched.Name, err)
	}
	p, err := unseal(o.home, o.stored.Pack)
	if err != nil {
		return Fired{}, fmt.Errorf("cannot make a run of the schedule %s: %w", o.sched.Name, err)
	}
	p.Request.Pins = compile.Pins{} // each run has its own
	blobs := state.BlobsOf(o.in, o.sched.Name)
	folder, err := layOut(ctx, m, dir, firePrefix+rand.Text(), blobs, p.Keys) // of this call alone
	if err != nil {
		return Fired{}, err
	}
	defer unroll(context.WithoutCancel(ctx), string(folder)) // what stays is removed by UnrollFirings
	made := files.NewMade(blobs, o.home)
	look, err := o.look(ctx, o.app.given(nil, p, m, folder, made, nil))
	if err != nil || look.Nothing || look.Problem != "" {
		return Fired{Problem: look.Problem}, err
	}
	s := o.app.given(o.home, p, m, folder, made, nil)
	defer s.Close()
	s.firing = &o.firing
	return s.assigned(ctx, o.sched.Elsewhere, m, look.Found)
}

// look loads the template without a run, and looks what its builds would begin from if that
// decides. What the template, or what it looks for, is to blame for is noted, and no error:
// another worker would fare no better.
func (o *occasion) look(ctx context.Context, s *Session) (look ScheduleLook, err error) {
	defer s.Close()
	look.At = time.Now().UTC()
	if o.sched.OnNewBase {
		look.Found, err = s.choose(ctx)
		look.Nothing = err == nil && !o.made && maps.Equal(look.Found, o.sched.Base)
	} else {
		err = s.Load(ctx, true)
	}
	switch {
	case err != nil && (ctx.Err() != nil || !errors.As(err, new(*UsageError))):
		return look, err
	case err != nil:
		var red state.Redactor
		s.hideFrom(&red)
		look.Problem = red.Redact(err.Error())
	case !o.sched.OnNewBase:
		return look, nil
	}
	return look, o.note(look)
}

func (o *occasion) note(look ScheduleLook) error {
	text, err := json.Marshal(look)
	if err != nil {
		return err
	}
	return o.in.Note(o.sched.Name, text, nil)
}

// choose looks what the session's builds would begin from.
func (s *Session) choose(ctx context.Context) (map[string]string, error) {
	if err := s.Reach(ctx, local.Settings{}); err != nil {
		return nil, err
	}
	if err := s.LoadLooked(ctx, true); err != nil {
		return nil, &UsageError{err}
	}
	g := s.graph.Choices()
	e, err := dag.New(dag.Options{Store: &s.passing.store, Kinds: s.world.Kinds(), Runner: s.runner, Secret: s.secret})
	if err != nil {
		return nil, err
	}
	report, err := e.Solve(ctx, g)
	switch {
	case err != nil:
		return nil, err
	case len(report.Failed) > 0:
		f := report.Failed[0]
		return nil, usagef("%s: %s: %w", strings.Join(f.Node.Builds, ", "), f.Name, f.Err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	labels := map[dag.Key]string{}
	for label, k := range s.graph.Lookups {
		labels[k] = "data." + label
	}
	found := map[string]string{}
	for _, r := range e.Records() {
		n, wanted := g.Node(r.Key)
		if _, data := labels[r.Key]; wanted && (data || n.Chooses) {
			if !data {
				labels[r.Key] = strings.Join(slices.Sorted(slices.Values(n.Builds)), ", ") + ": " + n.Name
			}
			found[labels[r.Key]] = chosen(r)
		}
	}
	return found, nil
}

// chosen is what a lookup has found: the id that its output has, or else a digest of that. A
// token in it is of this look alone.
func chosen(r dag.Record) string {
	var has struct{ ID string }
	if json.Unmarshal(r.Out, &has) == nil && has.ID != "" {
		return has.ID
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(strings.ReplaceAll(string(r.Out), r.Token(""), ""))))
}

// assigned makes the session's run, for an engine to drive.
func (s *Session) assigned(ctx context.Context, where Elsewhere, m *files.Manifest, base map[string]string) (Fired, error) {
	if err := s.Load(ctx, true); err != nil {
		return Fired{}, err
	}
	if err := s.Begin(ctx, local.Settings{}); err != nil {
		return Fired{}, err
	}
	if err := s.run.Adopt(m.Pieces()); err != nil {
		return Fired{}, err
	}
	if base != nil {
		if err := s.run.SetDocLater(baseDoc, base); err != nil {
			return Fired{}, err
		}
	}
	if err := s.Pack(ctx); err != nil {
		return Fired{}, err
	}
	if err := s.sentTo(where); err != nil {
		return Fired{}, err
	}
	epoch, err := s.run.Assign(state.Owner{Command: where.Engine, Since: time.Now()})
	return Fired{Run: s.run.ID(), Epoch: epoch, Where: where}, err
}

// unbegun is an error if somebody has made the run meanwhile, and it was driven: whoever was
// only paused must not begin it once more.
func (f *Firing) unbegun(run *state.Run) error {
	var d lastDrive
	err := run.Doc(driveDoc, &d)
	if errors.Is(err, fs.ErrNotExist) || err == nil && d.Began.IsZero() && d.Report == nil {
		return nil
	}
	return cmp.Or(err, fmt.Errorf("cannot make the run of the schedule %s: run %s is it, and was begun by another worker", f.Schedule, run.ID()))
}

// settle notes with the schedule that has made the run what it was made from, if it has come to
// a good end.
func (s *Session) settle() error {
	sum := s.run.Summary()
	if sum.Schedule == "" || sum.Status != state.Done {
		return nil
	}
	var base json.RawMessage
	if err := s.run.Doc(baseDoc, &base); errors.Is(err, fs.ErrNotExist) {
		return nil // nobody has looked
	} else if err != nil {
		return err
	}
	in, err := s.home.Schedules()
	if err != nil {
		return err
	}
	return in.Note(sum.Schedule, nil, base)
}
