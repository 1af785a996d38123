package hcl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/internal/errcode"
)

// maxInstances bounds how many instances a source or build block has by for_each, and how many builds a build block makes
// of instances.
const maxInstances = 1000

// instance is one of those that a source or build block stands for.
type instance struct {
	key    string           // as names have it, such as ["eu"]; empty: the block has no for_each
	ctx    *hcl.EvalContext // what the block can refer to: each, too
	refers set              // data sources that for_each refers to
}

// instances are those of a block, in the order of their keys, or of the list. They are false if its for_each has faults.
func (e *evaluation) instances(body hcl.Body, what string) (list []instance, ok bool) {
	root := &hcl.EvalContext{Functions: e.functions, Variables: e.root}
	content, _, _ := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "for_each"}}}) // other faults are told where the rest is read
	a := content.Attributes["for_each"]
	if a == nil {
		return []instance{{ctx: root, refers: set{}}}, true
	}
	before := e.refers
	e.refers = set{}
	defer func() { e.refers = before }()
	at := e.pos(a.Expr.Range())
	fail := func(hint, format string, args ...any) ([]instance, bool) {
		e.errs.Add(at, hint, what+": "+format, args...)
		return nil, false
	}
	all, ok := e.eval(a.Expr, root, what)
	if !ok {
		return nil, false
	}
	const late = "it is known only when data sources have been looked up, too late for what the builds are"
	t := all.Type()
	isMap := t.IsMapType() || t.IsObjectType()
	switch {
	case all.IsMarked():
		return fail("go over names that are no secret, and look the secrets up by each.key", "for_each is a secret, and its keys are in the names of builds")
	case !all.IsKnown():
		return fail("go over a variable, or over keys that are written out", "for_each is not known: %s", late)
	case all.IsNull():
		return fail("write {} for no instance", "for_each is null")
	case !isMap && !t.IsSetType() && !t.IsListType() && !t.IsTupleType():
		return fail("write a map, or a list of texts", "for_each is a %s", t.FriendlyName())
	case all.LengthInt() > maxInstances:
		return fail("go over fewer, or use several templates", "for_each has %d elements; a block has at most %d instances", all.LengthInt(), maxInstances)
	}
	foreign := e.fromData(a.Expr, root)
	seen := map[string]bool{}
	for it := all.ElementIterator(); it.Next(); {
		k, v := it.Element()
		if !isMap {
			k = v
		}
		switch {
		case k.IsMarked():
			return fail("go over names that are no secret, and look the secrets up by each.key", "for_each holds a secret, and its keys are in the names of builds")
		case !k.IsKnown():
			return fail("go over a variable, or over keys that are written out", "for_each holds what is not known: %s", late)
		case k.IsNull() || k.Type() != cty.String:
			return fail("write a map, or a list of texts", "for_each holds what is no text")
		case seen[k.AsString()]:
			return fail("write each key once, or use distinct()", "for_each holds %q twice", k.AsString())
		case !validKey(k.AsString()):
			return fail(`a key is of 1 to 100 characters that can be printed, without " and \`, "for_each has the key %q, which cannot stand in a name", k.AsString())
		}
		seen[k.AsString()] = true
		ctx := root.NewChild()
		ctx.Variables = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": k, "value": v})}
		e.iterators[ctx] = foreign
		list = append(list, instance{bracket(k.AsString()), ctx, e.refers})
	}
	return list, true
}

// bracket is a key as names have it. No key has anything that would have to be escaped.
func bracket(key string) string { return `["` + key + `"]` }

// unquoted is the key itself.
func unquoted(key string) string { return strings.TrimSuffix(strings.TrimPrefix(key, `["`), `"]`) }

// unbracket takes a key off the end of a name.
func unbracket(name string) (rest, key string) {
	rest, _, ok := strings.Cut(name, `["`)
	if !ok || !strings.HasSuffix(name, `"]`) {
		return name, ""
	}
	return rest, name[len(rest):]
}

func validKey(key string) bool {
	return key != "" && len([]rune(key)) <= 100 && !strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' || r == '\\' || r == unicode.ReplacementChar })
}

// spread makes a use for each instance of the sources that a build block uses.
func (e *evaluation) spread(uses []use) (list []use) {
	for _, u := range uses {
		name := u.block.Labels[0] + "." + u.block.Labels[1]
		all, read := e.spreads[name]
		if !read {
			all, _ = e.instances(u.block.Body, "cannot use the source "+name)
			e.spreads[name] = all
		}
		pick, found := u.key, false
		var keys []string
		for _, in := range all {
			keys = append(keys, unquoted(in.key))
			if pick == "" || pick == in.key {
				u.key, u.of, found = in.key, in, true
				list = append(list, u)
			}
		}
		if pick != "" && !found && len(all) > 0 {
			hint := nearest(unquoted(pick), keys)
			switch {
			case all[0].key == "":
				hint = "write " + name + ", or give the source for_each"
			case hint == "":
				hint = fmt.Sprintf("its keys are %q", keys[:min(len(keys), 10)])
			}
			e.errs.AddCode(errcode.UnknownName, u.at, hint, "cannot use the source %s%s: there is no such instance", name, pick)
		}
	}
	return list
}

// names are all by which patterns and only can name a build: with its keys or without, with its build block or without.
func (u use) names(build, key string) []string {
	labels := []string{u.label(), u.kind + "." + u.name}
	all := slices.Clone(labels)
	if build != "" {
		for _, l := range labels {
			all = append(all, build+key+"."+l, build+"."+l)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// unread reads the options of sources that no build has read, for what is wrong in them.
func (e *evaluation) unread(read map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(e.t.blocks)) {
		b := e.t.blocks[name]
		if read[name] {
			continue
		}
		if _, spread := e.spreads[name]; !spread {
			e.spreads[name], _ = e.instances(b.Body, "cannot use the source "+name)
		}
		for _, in := range e.spreads[name][:min(1, len(e.spreads[name]))] {
			env := *e.env
			env.BuildName, env.BuildType = b.Labels[1], b.Labels[0]
			reader{e, in.ctx, &env, "cannot use the source " + name}.options(b.Body, "for_each")
		}
	}
}

// sourceVariables are what source.… refers to in a build block.
func sourceVariables(u use) cty.Value {
	vars := map[string]cty.Value{"type": cty.StringVal(u.kind), "name": cty.StringVal(u.name)}
	if u.key != "" {
		vars["key"] = u.of.ctx.Variables["each"].GetAttr("key")
	}
	return cty.ObjectVal(vars)
}
