package hcl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/template"
)

// result is a build that others can refer to by the name of its block.
type result struct {
	use
	full   string // its name
	key    string // of the instance of its block, such as ["eu"]
	chosen bool   // the command line leaves it in
}

// madeBy is how the results of a build are told from data sources in a set.
const madeBy = "build."

// isResult tells whether a reference is to what a build makes, and not to something of the running build.
func (e *evaluation) isResult(tr hcl.Traversal) bool {
	name, named := second(tr)
	return tr.RootName() == "build" && named && (len(tr) > 2 || name != "name" && e.results[name] != nil)
}

// result is the part of a text that another build makes: build.NAME.id, where the block NAME has one source,
// build.NAME["amazon-ebs.x"].id, or, if it has for_each, build.NAME["key"].id and build.NAME["key"]["amazon-ebs.x"].id.
func (e *evaluation) result(tr hcl.Traversal, what string) (template.Result, bool) {
	r, hint, why := e.find(tr)
	if why != "" {
		e.errs.Add(e.pos(tr.SourceRange()), hint, "%s: %s", what, why)
	}
	return r, why == ""
}

// find is the result that a reference names, or why there is none, with a hint.
func (e *evaluation) find(tr hcl.Traversal) (_ template.Result, hint, why string) {
	fail := func(hint, format string, args ...any) (template.Result, string, string) {
		return template.Result{}, hint, fmt.Sprintf(format, args...)
	}
	names := make([]string, len(tr))
	for i := 1; i < len(tr); i++ {
		name, ok := second(tr[i-1:])
		if !ok {
			return fail("write build.NAME.id", "a build is named by a text")
		}
		names[i] = name
	}
	block, selectors, field := names[1], names[2:len(names)-1], names[len(names)-1]
	all := e.results[block]
	switch {
	case e.results == nil:
		return fail("", "build is known only in sources and in build blocks")
	case !e.named:
		return fail("", "what the build %s makes is known only when that has run, too late for this", block)
	case len(all) == 0:
		var known []string
		for name := range e.results {
			known = append(known, name)
		}
		return fail(nearest(block, known), "no build block is called %q", block)
	case len(selectors) > 2 || !slices.Contains(template.ResultFields, field):
		return fail(nearest(field, template.ResultFields), "of what a build makes there are %s", strings.Join(template.ResultFields, ", "))
	}
	for _, which := range selectors { // a key of its for_each, or a source
		var left []result
		var labels []string
		for _, x := range all {
			if slices.Contains(x.selectors(), which) {
				left = append(left, x)
			}
			labels = append(labels, x.selectors()...)
		}
		if len(left) == 0 {
			what := "source"
			if all[0].key != "" {
				what = "key and no source"
			}
			return fail(nearest(which, labels), "the build block %s has no %s %q", block, what, which)
		}
		all = left
	}
	if x := all[0]; len(all) > 1 {
		what := "sources"
		hint := "write build." + block
		if x.key != "" {
			what = "builds"
			hint += x.key
		}
		if all[1].key == x.key {
			hint += bracket(strings.ReplaceAll(x.label(), `"`, `\"`))
		}
		return fail(hint+"."+field, "the build block %s has %d %s", block, len(all), what)
	}
	if x := all[0]; !x.chosen {
		return fail("choose it, too", "-only or -except leaves the build %s out, which makes what is needed", x.full)
	}
	return template.Result{Build: all[0].full, Field: field}, "", ""
}

// selectors are what can choose the build among those of its block: the key of its for_each, and its source.
func (r result) selectors() []string {
	if r.key == "" {
		return []string{r.label()}
	}
	return []string{unquoted(r.key), r.label()}
}

// needed notes the results that an expression refers to by a reference, and returns what that adds to a set.
func (e *evaluation) needed(tr hcl.Traversal) set {
	var all []template.Result
	if len(tr) > 2 {
		if r, _, why := e.find(tr); why == "" {
			all = append(all, r)
		}
	} else { // which of them is found out by the expression
		name, _ := second(tr)
		for _, x := range e.results[name] {
			if x.chosen {
				all = append(all, template.Result{Build: x.full, Field: template.ResultFields[0]})
			}
		}
	}
	labels := set{}
	for _, r := range all {
		label := madeBy + r.Build
		if labels[label] = true; e.needs[label].Build == "" {
			e.needs[label] = template.Need{Result: r, Pos: e.pos(tr.SourceRange())}
		}
	}
	return labels
}

// withResults is a context in which an expression finds the results that it refers to. What is not made yet is unknown.
func (e *evaluation) withResults(x hcl.Expression, ctx *hcl.EvalContext) *hcl.EvalContext {
	all := map[string]cty.Value{}
	for _, tr := range x.Variables() {
		if e.isResult(tr) {
			name, _ := second(tr)
			all[name] = e.block(name)
		}
	}
	if len(all) == 0 {
		return ctx
	}
	for c := ctx; c != nil; c = c.Parent() {
		if running, ok := c.Variables["build"]; ok {
			all["name"] = running.GetAttr("name")
			break
		}
	}
	inner := ctx.NewChild()
	inner.Variables = map[string]cty.Value{"build": cty.ObjectVal(all)}
	return inner
}

// block is what the builds of a block make, as references select among them.
func (e *evaluation) block(name string) cty.Value {
	v, ok := e.blocks[name]
	if !ok {
		v = e.selected(e.results[name], 0)
		e.blocks[name] = v
	}
	return v
}

// selected are the results of some builds of a block, of which two selectors choose one.
func (e *evaluation) selected(builds []result, selectors int) cty.Value {
	all, by := map[string]cty.Value{}, map[string][]result{}
	for _, r := range builds {
		for _, s := range r.selectors() {
			if r.chosen && selectors < 2 {
				by[s] = append(by[s], r)
			}
		}
	}
	for s, some := range by {
		if builds[0].key == "" || len(some) == 1 || some[0].label() != s { // else a for would go over builds twice
			all[s] = e.selected(some, selectors+1)
		}
	}
	if len(builds) == 1 && builds[0].chosen {
		for _, field := range template.ResultFields {
			made, ok := e.in.Made[builds[0].full]
			if all[field] = cty.StringVal(made[field]); !ok {
				all[field], e.waiting = cty.UnknownVal(cty.String), true
			}
		}
	}
	return cty.ObjectVal(all)
}
