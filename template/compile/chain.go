package compile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template"
)

// needed is a result of another build that an option refers to.
type needed struct {
	template.Result
	at    template.Pos
	first bool // it must be known before it is known what the build is
}

// resultPaths are where the fields of a result stand in an artifact.
var resultPaths = map[string]string{"id": "ID", "name": "Name", "region": "Region"}

// inOrder are the places of builds, each after those that it refers to, and else in their order. A build that refers to
// one which has to wait waits for the same.
func (c *compiler) inOrder(plans []plan) (order []int) {
	at := make(map[string]int, len(plans))
	for i, pl := range plans {
		at[pl.build.Name] = i
	}
	done, inside := make([]bool, len(plans)), []int(nil)
	var visit func(i int)
	visit = func(i int) {
		inside = append(inside, i)
		defer func() { inside = inside[:len(inside)-1] }()
		for _, n := range plans[i].needs {
			parent, there := at[n.Build]
			switch from := slices.Index(inside, parent); {
			case !there:
				c.errs.AddCode(errcode.UnknownName, n.at, "", "cannot use the %s of the build %s: there is no such build", n.Field, n.Build)
			case from >= 0:
				var names []string
				for _, x := range append(slices.Clone(inside[from:]), parent) {
					names = append(names, plans[x].build.Name)
				}
				c.errs.Add(n.at, "", "cannot build: a build would need what it makes itself: %s", strings.Join(names, " → "))
			default:
				if !done[parent] {
					visit(parent)
				}
				if n.first {
					continue // that one is waited for itself
				}
				plans[i].awaits = union(plans[i].awaits, plans[parent].awaits)
				plans[i].behind = union(plans[i].behind, plans[parent].behind)
			}
		}
		done[i] = true
		order = append(order, i)
	}
	for i := range plans {
		if !done[i] {
			visit(i)
		}
	}
	return order
}

// union adds to a list what it has not got.
func union(list, more []string) []string {
	for _, x := range more {
		if !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

// succeed notes the results that builds are made of, and makes those builds come after them.
func (c *compiler) succeed(g *dag.Graph, from int, plans []plan, made map[string][]dag.Out[steps.Artifact]) {
	heirs := map[string]map[string]bool{} // of each build, those that are made of what it makes
	for _, pl := range plans {
		for _, n := range pl.needs {
			all, wired := made[n.Build]
			switch {
			case wired && len(all) == 0:
				c.makesNothing(n)
			case wired && n.first:
				if heirs[n.Build] == nil {
					heirs[n.Build] = map[string]bool{}
				}
				heirs[n.Build][pl.build.Name] = true
			}
		}
	}
	for _, parent := range slices.Sorted(maps.Keys(heirs)) {
		result := made[parent][0].Key()
		g.Result(parent, result)
		g.Follow(result, from, heirs[parent])
	}
}

// barren refuses references to builds that make nothing, without a graph that can run: what a source makes is known by its
// wiring, so those that are referred to are wired into a graph that is thrown away.
func (c *compiler) barren(plans []plan) {
	barren := map[string]bool{}
	for _, pl := range plans {
		for _, n := range pl.needs {
			_, known := barren[n.Build]
			parent := slices.IndexFunc(plans, func(p plan) bool { return p.build.Name == n.Build })
			if p := plans[parent]; !known && p.source != nil && len(p.awaits)+len(p.behind) == 0 {
				made := p.source.Wire(dag.NewGraph(nil), p.build, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] { return m })
				barren[n.Build] = len(made.Artifacts) == 0
			}
			if barren[n.Build] {
				c.makesNothing(n)
			}
		}
	}
}

// Result is what the step has made that finishes what a build makes first, as other builds see it.
func Result(build string, out json.RawMessage) (map[string]string, error) {
	var a steps.Artifact
	err := json.Unmarshal(out, &a)
	for _, text := range []string{a.ID, a.Name, a.Region} {
		if err == nil && !dag.Text(text).Known() {
			err = errors.New("it holds private characters, U+E000 to U+E005")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use what the build %s makes: %w", build, err)
	}
	return map[string]string{"id": a.ID, "name": a.Name, "region": a.Region}, nil
}

func (c *compiler) makesNothing(n needed) {
	c.errs.Add(n.at, "", "cannot use the %s of the build %s: it makes nothing", n.Field, n.Build)
}

// bind makes the results that a build refers to references to the steps that make them, and spells what else waits in one way:
// a key should not depend on blanks and quotes.
func (c *compiler) bind(pl plan, g *dag.Graph, made map[string][]dag.Out[steps.Artifact]) {
	bound := func(word string) dag.Text {
		r, ok := template.ResultOf(word)
		switch {
		case !ok && g.Form > 0:
			return dag.Word(interp.Uniform(word))
		case !ok || len(made[r.Build]) == 0:
			return dag.Word(word)
		}
		return dag.Path(made[r.Build][0], resultPaths[r.Field])
	}
	bindTexts(reflect.ValueOf(pl.source), bound)
	for _, p := range pl.provisioners {
		bindTexts(reflect.ValueOf(p.Provisioner), bound)
	}
	bindTexts(reflect.ValueOf(pl.cleanup), bound)
	for _, t := range pl.tests {
		bindTexts(reflect.ValueOf(t.Test), bound)
		for _, p := range t.provisioners {
			bindTexts(reflect.ValueOf(p.Provisioner), bound)
		}
	}
	for _, seq := range pl.sequences {
		for _, p := range seq {
			bindTexts(reflect.ValueOf(p.PostProcessor), bound)
		}
	}
}

// bindTexts replaces the words in all texts below v.
func bindTexts(v reflect.Value, f func(word string) dag.Text) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			bindTexts(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				bindTexts(v.Field(i), f)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			bindTexts(v.Index(i), f)
		}
	case reflect.Map:
		if v.IsNil() || !v.CanSet() {
			return
		}
		all := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			key, x := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.Set(it.Key())
			x.Set(it.Value())
			bindTexts(key, f)
			bindTexts(x, f)
			all.SetMapIndex(key, x)
		}
		v.Set(all)
	case reflect.String:
		if t := v.Type(); (t == textType || t == secretType) && v.CanSet() {
			v.SetString(string(dag.Text(v.String()).Bind(f)))
		}
	}
}
