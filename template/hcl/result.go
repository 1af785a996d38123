package hcl

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/template"
)

// result is a build that others can refer to by the name of its block.
type result struct {
	use
	full   string // its name
	key    string // of the instance of its block, such as ["eu"]
	chosen bool   // the command line leaves it in
}

// result is the part of a text that another build makes: build.NAME.id, where the block NAME has one source,
// build.NAME["amazon-ebs.x"].id, or, if it has for_each, build.NAME["key"].id and build.NAME["key"]["amazon-ebs.x"].id.
func (r reader) result(tr hcl.Traversal) (dag.Text, bool) {
	fail := func(hint, format string, args ...any) (dag.Text, bool) {
		r.errs.Add(r.pos(tr.SourceRange()), hint, "%s: "+format, append([]any{r.what}, args...)...)
		return "", false
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
	all := r.results[block]
	switch {
	case r.results == nil:
		return fail("", "build is known only in sources and in build blocks")
	case len(all) == 0:
		var known []string
		for name := range r.results {
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
			if x.key == bracket(which) || x.label() == which {
				left = append(left, x)
			}
			if x.key != "" {
				labels = append(labels, unquoted(x.key))
			}
			labels = append(labels, x.label())
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
	return template.Result{Build: all[0].full, Field: field}.Text(), true
}
