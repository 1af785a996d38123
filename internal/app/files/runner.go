package files

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Runner does steps by another runner, whose local files lie below a root. What it says
// names them as the submitter does.
func (m *Manifest) Runner(r dag.Runner, root string) dag.Runner { return &rooted{m, r, root} }

type rooted struct {
	m    *Manifest
	r    dag.Runner
	root string
}

func (r *rooted) Do(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	return r.call(c, h, func(c dag.Call, h dag.Host) dag.Result { return r.r.Do(ctx, c, h) })
}

func (r *rooted) Find(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	return r.call(c, h, func(c dag.Call, h dag.Host) dag.Result { return r.r.Find(ctx, c, h) })
}

func (r *rooted) Undo(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	return r.call(c, h, func(c dag.Call, h dag.Host) dag.Result { return r.r.Undo(ctx, c, h) })
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
	res.Err = r.told(res.Err)
	if res.Out, err = visit(res.Out, true, func(_, name string) string { return r.told(name) }); err != nil {
		return dag.Result{Class: dag.Fail, Err: "cannot read what a step has made: " + err.Error()}
	}
	return res
}

// here puts the root before the local files that a document names.
func (r *rooted) here(doc *json.RawMessage, output bool) (err error) {
	*doc, err = visit(*doc, output, func(option, name string) string {
		if slices.Contains(named, option) {
			name = r.m.abs(name)
		}
		if !filepath.IsAbs(name) || name == os.DevNull {
			return name
		}
		slash := ""
		if strings.HasSuffix(name, "/") { // it means what a directory holds
			slash = "/"
		}
		return filepath.Join(r.root, name) + slash
	})
	return err
}

// told is a text for the submitter, who knows no root.
func (r *rooted) told(text string) string { return strings.ReplaceAll(text, r.root+"/", "/") }

// rootedHost is the host of a step that may name its files.
type rootedHost struct {
	dag.Host
	r *rooted
}

func (h rootedHost) Emit(e dag.Event) error {
	e.Text, e.Err = h.r.told(e.Text), h.r.told(e.Err)
	return h.Host.Emit(e)
}
