package files

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// Runner does steps by another runner, whose local files lie in a folder. What it says
// names them as the submitter does. Steps of the kinds that uses tells of find there what
// others have made, and what they make is kept: sealed, where secret tells of their settings that it may hold secrets.
func (m *Manifest) Runner(r dag.Runner, f Folder, made *Made, uses func(kind string) bool, secret func(settings json.RawMessage) bool) dag.Runner {
	return &rooted{m, r, f, made, uses, secret}
}

type rooted struct {
	m      *Manifest
	r      dag.Runner
	folder Folder
	made   *Made
	uses   func(kind string) bool
	secret func(settings json.RawMessage) bool
}

func (r *rooted) Do(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	do := func(c dag.Call, h dag.Host) dag.Result { return r.r.Do(ctx, c, h) }
	if !r.uses(c.Kind) {
		return r.call(c, h, do)
	}
	notes := filepath.Join(r.folder.Notes(), c.Token)
	os.Remove(notes) // of an attempt that was interrupted
	defer os.Remove(notes)
	res := r.with(ctx, c, h, do)
	if res.Class == dag.Lost {
		return res
	}
	if err := r.keep(notes, c, h); err != nil {
		return dag.Result{Class: dag.NotKept, Err: "cannot keep what a step has written: " + err.Error()}
	}
	return res
}

// keep keeps what a step has written, as part of its record.
func (r *rooted) keep(notes string, c dag.Call, h dag.Host) error {
	ns, err := localfile.Notes(notes)
	if err != nil || len(ns) == 0 {
		return err
	}
	t := dag.NewTask(c.Run, c.Name, c.Token, h, nil)
	t.Builds = c.Builds
	f, err := r.made.keep(r.folder, c.Token, c.State[dag.Besides], ns, r.secret(c.Spec), t.Warn)
	if err != nil {
		return err
	}
	value, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ns, func(n localfile.Note) bool { return n.Add != nil }) { // it is laid out here
		if err := r.made.mark(r.folder, f); err != nil {
			return err
		}
	}
	return h.Save(dag.Besides, value)
}

func (r *rooted) Find(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	do := func(c dag.Call, h dag.Host) dag.Result { return r.r.Find(ctx, c, h) }
	if !r.uses(c.Kind) {
		return r.call(c, h, do)
	}
	res := r.with(ctx, c, h, do)
	if _, kept := c.State[dag.Besides]; res.Class == dag.OK && !kept && c.Out == nil {
		return dag.Result{Class: dag.NotFound, Err: "what it has written was not kept"}
	}
	return res
}

func (r *rooted) Undo(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	do := func(c dag.Call, h dag.Host) dag.Result { return r.r.Undo(ctx, c, h) }
	if !r.uses(c.Kind) {
		return r.call(c, h, do)
	}
	return r.with(ctx, c, h, do)
}

// with is call where what other steps have made lies there.
func (r *rooted) with(ctx context.Context, c dag.Call, h dag.Host, do func(dag.Call, dag.Host) dag.Result) dag.Result {
	if err := r.made.layOut(ctx, r.folder); err != nil {
		if ctx.Err() != nil {
			return dag.Result{Class: dag.Passing, Err: ctx.Err().Error()}
		}
		return dag.Result{Class: dag.Fail, Err: "cannot lay out what other steps have made: " + err.Error(), NotMade: true}
	}
	return r.call(c, h, do)
}

func (r *rooted) call(c dag.Call, h dag.Host, do func(dag.Call, dag.Host) dag.Result) dag.Result {
	err := r.here(&c.Spec, false)
	if err == nil && c.Out != nil {
		err = r.here(&c.Out, true)
	}
	c.Inputs = maps.Clone(c.Inputs)
	for k, out := range c.Inputs {
		if err == nil {
			err = r.here(&out, true)
		}
		c.Inputs[k] = out
	}
	if err != nil {
		return dag.Result{Class: dag.Fail, Err: "cannot find the local files of a step: " + err.Error(), NotMade: true}
	}
	res := do(c, rootedHost{h, r})
	res.Err, res.Out = r.told(res.Err), r.toldIn(res.Out)
	return res
}

// here puts the root before the local files that a document names.
func (r *rooted) here(doc *json.RawMessage, output bool) (err error) {
	*doc, err = visit(*doc, output, func(option, name string) string {
		if slices.Contains(named, option) {
			name = r.m.Abs(name)
		}
		if !filepath.IsAbs(name) || name == os.DevNull {
			return name
		}
		slash := ""
		if strings.HasSuffix(name, "/") { // it means what a directory holds
			slash = "/"
		}
		return filepath.Join(r.folder.Root(), name) + slash
	})
	return err
}

// told is a text for the submitter, who knows no root.
func (r *rooted) told(text string) string {
	return strings.ReplaceAll(text, r.folder.Root()+"/", "/")
}

// toldIn is told for the texts in a document.
func (r *rooted) toldIn(doc json.RawMessage) json.RawMessage {
	root, _ := json.Marshal(r.folder.Root() + "/")
	return bytes.ReplaceAll(doc, root[1:len(root)-1], []byte("/"))
}

// rootedHost is the host of a step that may name its files.
type rootedHost struct {
	dag.Host
	r *rooted
}

func (h rootedHost) Emit(e dag.Event) error {
	e.Text, e.Err = h.r.told(e.Text), h.r.told(e.Err)
	return h.Host.Emit(e)
}

func (h rootedHost) Save(name string, value json.RawMessage) error {
	return h.Host.Save(name, h.r.toldIn(value))
}
