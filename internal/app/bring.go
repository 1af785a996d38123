package app

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/files"
)

// What workers have written for the user comes home: to where it would be if the run had
// been driven here, or to a directory of the user's choice.

// broughtDir is where a home remembers what was brought to this machine.
const broughtDir = "brought"

// Bring writes what a run that workers have driven has made of local files: in the directory
// into, or, if that is empty, where a run that is driven here leaves it. What must not be
// written there is returned, and stays with the run.
func (s *Session) Bring(ctx context.Context, into string) ([]files.Refused, error) {
	made, b, err := s.bringing(ctx, into)
	if err != nil {
		return nil, err
	}
	return made.Bring(ctx, b)
}

// Unbring removes what Bring has written on this machine of things that the run has not any more.
func (s *Session) Unbring(ctx context.Context) error {
	made, b, err := s.bringing(ctx, "")
	if err != nil {
		return err
	}
	return made.Forget(ctx, b)
}

func (s *Session) bringing(ctx context.Context, into string) (*files.Made, files.Bringing, error) {
	recs, err := s.run.All()
	if err != nil {
		return nil, files.Bringing{}, err
	}
	made := files.NewMade(s.run, s.home)
	made.Learn(recs...)
	b := files.Bringing{Run: s.run.ID(), Memory: filepath.Join(s.home.Dir(), broughtDir), Place: s.homes(ctx).spot}
	if into != "" {
		into = s.env.Abs(into)
		b.Place = func(path string) (files.Spot, string) { return files.Spot{Base: into, Rel: s.relative(path)}, "" }
	}
	return made, b, nil
}

// relative is the path of a file from the working directory, or from the root of the system
// if it lies elsewhere.
func (s *Session) relative(path string) string {
	if rel, err := filepath.Rel(s.req.Cwd, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return strings.TrimLeft(path, "/")
}

// homes are where files of a run belong.
type homes struct {
	dirs  []string // in which anything may be made that is not there, and not hidden
	files []string // patterns of files that steps name, absolute
	trees []string // of directories, too
}

// homes are those of the session's run. A graph that was stored is not trusted with more than
// what is not there yet: others may have written it.
func (s *Session) homes(ctx context.Context) (h homes) {
	at := s.place()
	if s.ev == nil || s.frozen {
		return homes{dirs: []string{at.Cwd, at.Dir}}
	}
	absolute := func(patterns []string) (list []string) {
		for _, p := range patterns {
			if !filepath.IsAbs(p) {
				p = filepath.Join(dag.Text(at.Cwd).Pattern(), p)
			}
			list = append(list, filepath.Clean(p))
		}
		return list
	}
	g := s.foreseen(ctx)
	if g.Open() { // what is known later may name more
		h.dirs = []string{at.Cwd, at.Dir}
	}
	for _, n := range g.Nodes {
		f, _ := s.world.LocalFiles(n.Kind, n.Spec)
		h.files, h.trees = append(h.files, absolute(f.Writes)...), append(h.trees, absolute(f.Fills)...)
		if f.Any {
			h.dirs = []string{at.Cwd, at.Dir}
		}
	}
	return h
}

// spot is where a file goes.
func (h homes) spot(path string) (files.Spot, string) {
	for _, p := range h.files {
		if fits, _ := filepath.Match(p, path); fits {
			return below(p, path, true), ""
		}
	}
	for _, p := range h.trees {
		for dir := path; ; dir = filepath.Dir(dir) {
			if fits, _ := filepath.Match(p, dir); fits {
				return below(p, path, dir == path), ""
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	for _, dir := range h.dirs {
		rel, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if slices.ContainsFunc(strings.Split(rel, "/"), func(name string) bool { return len(name) > 1 && name[0] == '.' }) {
			return files.Spot{}, "it is hidden, or lies in a hidden directory, and no step of the template names it"
		}
		return files.Spot{Base: dir, Rel: rel}, ""
	}
	return files.Spot{}, "no step of the template names it"
}

// below is a path as one below what its pattern has literally, but for its last name if
// that is the file itself.
func below(pattern, path string, itself bool) files.Spot {
	names, of := strings.Split(path, "/"), strings.Split(pattern, "/")
	if itself {
		of = of[:len(of)-1]
	}
	n := 0
	for n < len(of) && !strings.ContainsAny(strings.NewReplacer(`\\`, "", `\*`, "", `\?`, "", `\[`, "").Replace(of[n]), "*?[") {
		n++
	}
	return files.Spot{Base: "/" + filepath.Join(names[:n]...), Rel: strings.Join(names[n:], "/"), Over: true}
}
