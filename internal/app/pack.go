package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/drive"
	"github.com/imgflow/imgflow/internal/app/files"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/state"
)

// The documents of a run that other machines go on with.
const (
	filesDoc = "files" // what local files were taken along
	packDoc  = "pack"  // a pack, sealed
)

// pack is what the steps of a run need that is in no other document of it. It holds whole
// templates and secrets, so it is sealed.
type pack struct {
	Request Request
	Sources sources
	Vars    map[string]string // those that are not stored with a run, too
	Environ map[string]string // what the template has asked for
	Secrets map[string]string // of the template
	Keys    map[string][]byte // what files of keys hold, by their paths
	Told    json.RawMessage   // what the world was told
}

// Pack stores with the run all that others need to do its steps where neither the
// template nor its files are: see App.Join. The run was begun before. One that goes on as
// it was stored is packed as it was.
func (s *Session) Pack(ctx context.Context) error {
	if s.ev == nil && s.Packed() {
		return nil
	}
	m, sealed, err := s.packed(ctx, s.home, s.run, "run "+s.run.ID())
	if err != nil {
		return err
	}
	if err := s.run.SetDocLater(filesDoc, m); err != nil {
		return err
	}
	return s.run.SetDoc(packDoc, sealed)
}

// place is where the submitter is.
func (s *Session) place() files.Place {
	return files.Place{Cwd: s.req.Cwd, Dir: s.req.dir(), Home: s.env.Get("HOME")}
}

// also are the files that functions of the template have read, and those that its steps
// read if they are there.
func (s *Session) also(at files.Place, nodes []dag.Node) files.Also {
	also := files.Also{Paths: slices.Collect(maps.Keys(s.req.read))}
	for _, n := range nodes {
		f, _ := s.world.LocalFiles(n.Kind, n.Spec)
		for _, pattern := range f.Reads {
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(dag.Text(at.Cwd).Pattern(), pattern)
			}
			found, _ := filepath.Glob(pattern) // the step says what is wrong with it
			also.Paths = append(also.Paths, found...)
		}
		also.Folders = append(also.Folders, f.Folders...)
	}
	return also
}

// packed is all that others need to do the steps of what, sealed but for its files, which
// store has then.
func (s *Session) packed(ctx context.Context, home *state.Home, store files.Store, what string) (*files.Manifest, []byte, error) {
	if s.req.Local {
		return nil, nil, usagef("cannot hand %s to workers: it is built in the embedded EC2 of this machine", what)
	}
	told, err := s.world.Handover()
	if err != nil {
		return nil, nil, err
	}
	p := pack{Request: *s.req, Sources: s.req.sources, Vars: s.req.Vars, Environ: s.req.asked, Told: told}
	p.Sources.Planned, p.Sources.Folder = true, s.req.folder()
	if s.ev != nil {
		p.Secrets = s.ev.Secrets
	}
	var m *files.Manifest
	if h := s.req.handed; h != nil { // as it was handed on before
		m, p.Keys, p.Environ = h.files, h.keys, h.environ
	} else {
		at, nodes := s.place(), s.foreseen(ctx).Nodes
		if m, p.Keys, err = files.Gather(nodes, s.also(at, nodes), at, store); err != nil {
			return nil, nil, &UsageError{err}
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot hand %s to workers: %w", what, err)
	}
	sealed, err := home.Seal(text)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot hand %s to workers: %w", what, err)
	}
	return m, sealed, nil
}

// unseal opens a pack.
func unseal(home *state.Home, sealed []byte) (p pack, err error) {
	text, err := home.Unseal(sealed)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		err = fmt.Errorf("cannot open what it was handed: %w", err)
	}
	return p, err
}

// given is the session of what was packed, whose files are laid out in a folder. What
// its steps write is noted in made.
func (a *App) given(home *state.Home, p pack, m *files.Manifest, folder files.Folder, made *files.Made, run *state.Run) *Session {
	req := p.Request
	req.Vars, req.sources, req.handed = p.Vars, p.Sources, &handed{folder, m.Place, p.Environ, p.Secrets, m, p.Keys}
	s := a.session(home, &req, run)
	s.made = made
	s.means = means{Endpoint: req.Endpoint, Secrets: p.Secrets, Keys: p.Keys, Environ: p.Environ, Told: p.Told}
	inWorld := dag.InProcess(s.world.Kinds())
	if s.runner != nil {
		inWorld = s.runner
	}
	s.runner = m.Runner(inWorld, folder, made, func(kind string) bool { _, uses := s.world.LocalFiles(kind, nil); return uses }, s.world.Confidential)
	return s
}

// Packed tells whether others can do the run's steps.
func (s *Session) Packed() bool {
	var sealed []byte
	return s.run.Doc(packDoc, &sealed) == nil
}

// Join makes the session of a run that was packed and is assigned, to do steps of it
// beside others who do. The run's files are laid out in a folder of dir, which others of
// this machine who join the run find there.
func (a *App) Join(ctx context.Context, home *state.Home, id string, epoch int64, dir string) (*Session, error) {
	run, err := home.Join(id, epoch)
	if err != nil {
		return nil, err
	}
	s, err := a.unpack(ctx, home, run, dir)
	if err != nil {
		run.Close()
		return nil, fmt.Errorf("cannot do steps of run %s: %w", id, err)
	}
	s.epoch = epoch
	s.told = a.Telemetry.Joined(s.about("RUN"), epoch)
	return s, nil
}

// unpack is the session of a run by what was packed.
func (a *App) unpack(ctx context.Context, home *state.Home, run *state.Run, dir string) (*Session, error) {
	var sealed []byte
	m := new(files.Manifest)
	err := run.Doc(packDoc, &sealed)
	if err == nil {
		err = run.Doc(filesDoc, m)
	}
	if err != nil {
		return nil, err
	}
	p, err := unseal(home, sealed)
	if err != nil {
		return nil, err
	}
	folder, err := layOut(ctx, m, dir, run.ID()+"-"+m.Digest()[:8], run, p.Keys)
	if err != nil {
		return nil, err
	}
	s := a.given(home, p, m, folder, files.NewMade(run, home), run)
	recs, err := run.All()
	s.made.Learn(recs...)
	if err == nil {
		err = s.world.TakeOver(p.Told)
	}
	if err == nil {
		s.graph, err = run.Graph()
	}
	if err == nil {
		s.stored = s.graph
		err = s.Reach(ctx, local.Settings{})
	}
	if err != nil {
		s.run = nil // the caller closes it
		s.Close()
		return nil, err
	}
	s.hide()
	return s, nil
}

// Refresh returns the records that others have changed since the session was made, or since it was called last: see
// state.Run.Refresh. What steps have made by them is laid out for those to come.
func (s *Session) Refresh() ([]dag.Record, error) {
	recs, err := s.run.Refresh()
	s.made.Learn(recs...)
	return recs, err
}

// layOut lays out files in a folder of dir, once for all on this machine who name it so, and
// returns where.
func layOut(ctx context.Context, m *files.Manifest, dir, name string, store files.Store, keys map[string][]byte) (folder files.Folder, err error) {
	if err := privateDir(dir); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // steps ask where files really are
		return "", err
	}
	folder = files.Folder(filepath.Join(dir, name))
	unlock, err := localfile.Lock(ctx, string(folder)+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Lstat(string(folder)); !errors.Is(err, fs.ErrNotExist) {
		return folder, err
	}
	half := files.Folder(folder + ".new")
	if err := os.RemoveAll(string(half)); err != nil { // that of a process which has died
		return "", err
	}
	if err = m.Lay(ctx, half, store, keys); err == nil {
		err = os.Rename(string(half), string(folder))
	}
	return folder, err
}

// privateDir makes a directory that only this user can look into. One that is there
// must be such a one: others may write where temporary files are.
func privateDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fi, err := os.Lstat(dir)
	if err == nil && (!fi.IsDir() || !private(fi)) {
		err = fmt.Errorf("cannot use %s: it must be a directory that only this user can look into (mode 0700)", dir)
	}
	return err
}

// Unroll removes the files of a run that were laid out in folders of dir.
func Unroll(ctx context.Context, dir, run string) error {
	folders, err := filepath.Glob(filepath.Join(dir, run+"-????????"))
	for _, folder := range folders {
		err = errors.Join(err, unroll(ctx, folder))
	}
	return err
}

// unroll removes files that were laid out in a folder.
func unroll(ctx context.Context, folder string) error {
	unlock, err := localfile.Lock(ctx, folder+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	return os.RemoveAll(folder)
}

// Driving is what driving the session's run takes, where an engine elsewhere does it.
func (s *Session) Driving() drive.Options {
	o := s.driven(s.told, nil)
	o.OnFailure = s.Elsewhere().failures()
	o.Leaves = s.leaves
	return o
}

// Rest evaluates the template again where more is known of what its builds are, and
// returns what the run wants then.
func (s *Session) Rest(ctx context.Context) (*dag.Graph, error) { return s.rest(ctx) }

// handed is what a request has where it was submitted elsewhere.
type handed struct {
	folder  files.Folder      // where the submitter's files lie
	place   files.Place       // where the submitter is
	environ map[string]string // of the submitter, as far as the template has asked for it
	secrets map[string]string // of the template
	files   *files.Manifest
	keys    map[string][]byte // what files of keys hold
}

// at is where a file of the submitter lies, whose path is absolute or begins with ~/.
func (h *handed) at(path string) string {
	if h.within(path) {
		return path
	}
	if strings.HasPrefix(path, "~/") {
		path = h.place.Abs(path)
	}
	return h.folder.Root() + path
}

func (h *handed) within(path string) bool { return strings.HasPrefix(path, h.folder.Root()+"/") }

// environ is what the template sees of an environment. What it asks for is noted, to
// be handed on.
func (r *Request) environ(env Env) func(name string) string {
	if r.handed != nil {
		return func(name string) string { return r.handed.environ[name] }
	}
	r.asked = map[string]string{}
	return func(name string) string {
		value := env.Get(name)
		r.asked[name] = value
		return value
	}
}

// reading is where a function of the template reads a file. It is noted, to be taken
// along.
func (r *Request) reading(path string) string {
	if r.handed != nil {
		return r.handed.at(path)
	}
	if r.read == nil {
		r.read = map[string]bool{}
	}
	r.read[path] = true
	return path
}

// located is how a template is compiled whose files lie elsewhere; nil: they do not.
func (r *Request) located() func(path string) string {
	if r.handed == nil {
		return nil
	}
	return r.handed.at
}

// asSubmitted gives the files in a graph the paths that the submitter knows: keys do
// not depend on where files lie.
func (r *Request) asSubmitted(g *dag.Graph) {
	if r.handed == nil || g == nil {
		return
	}
	root, _ := json.Marshal(r.handed.folder.Root() + "/") // as it stands in settings
	for i := range g.Nodes {
		g.Nodes[i].Spec = bytes.ReplaceAll(g.Nodes[i].Spec, root[1:len(root)-1], []byte("/"))
	}
}
