package compile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
)

// processor is a post-processor in its sequence.
type processor struct {
	name string
	steps.PostProcessor
}

// postProcessors checks the post-processors of a build.
func (c *compiler) postProcessors(pl *plan, b template.Build) {
	why := ""
	if x, ok := pl.source.(steps.Productless); ok {
		why = x.WithoutProduct()
	}
	n := 0
	var all [][]template.Part // of what pl.sequences holds
	for _, seq := range b.PostProcessors {
		var list []processor
		var parts []template.Part
		for _, part := range seq {
			n++
			if pp := c.postProcessor(part, pl.build, n); pp != nil {
				list, parts = append(list, processor{part.Name, pp}), append(parts, part)
			}
			if why != "" {
				c.warnings.AddCode(errcode.OptionIdle, part.Pos, "", "%s has no effect in %s: %s", part.Type, b.Name, why)
			}
		}
		if len(list) > 0 {
			pl.sequences, all = append(pl.sequences, list), append(all, parts)
		}
	}
	for i, seq := range pl.sequences {
		for j, p := range seq {
			if why := pl.vainly(i, j); !p.Keeps() && why != "" {
				at, _ := all[i][j].Options.Get("keep_input_artifact")
				c.warnings.AddCode(errcode.OptionIdle, at.Pos, "", "keep_input_artifact has no effect: %s", why)
			}
		}
	}
}

// postProcessor is the nth of its build.
func (c *compiler) postProcessor(part template.Part, b dag.Build, n int) steps.PostProcessor {
	if why, later := c.catalog.LaterPostProcessors[part.Type]; later {
		c.later(part.Pos, "the post-processor "+part.Type, why)
		return nil
	}
	maker, ok := c.catalog.PostProcessors[part.Type]
	if !ok {
		c.unknown(part.Pos, "post-processor", part.Type, known(c.catalog.PostProcessors, c.catalog.LaterPostProcessors))
		return nil
	}
	pp := maker()
	d := c.decoder(part.Type, fmt.Sprintf("%s.post-%d", b.Name, n), part.Pos)
	c.check(d, pp, part.Options)
	if x, ok := pp.(steps.Claimer); ok && !c.waiting { // otherwise what is not known yet looks as if it was not given
		c.claimOnce(x.Claims(b), d, part, b.Name)
	}
	if x, ok := pp.(steps.Preparer); ok {
		c.prepare(x, d)
	}
	return pp
}

// claimOnce refuses a name that anything before takes, also of the same build.
func (c *compiler) claimOnce(claims []steps.Claim, d *decoder, part template.Part, build string) {
	for _, cl := range claims {
		other, taken := c.claimed[cl.Key]
		switch {
		case d.reported(cl.Field):
		case taken:
			at := part.Pos
			if v, given := part.Options.Get(cl.Field); given {
				at = v.Pos
			}
			hint := "give each an " + cl.Field + " of its own"
			if strings.Contains(build, `["`) {
				hint = "put ${source.key} into the " + cl.Field
			}
			c.errs.AddCode(errcode.DuplicateName, at, hint, "cannot use %s: the build %s makes %s, too", cl.Field, other, cl.What)
		default:
			c.claimed[cl.Key] = build
		}
	}
}

// maker is the place in its sequence of the post-processor that has made what the one at a place is given; -1 is the build.
func maker(seq []processor, at int) int {
	for at--; at >= 0 && seq[at].Gives() == steps.GivesSame; at-- {
	}
	return at
}

// givesUp says whether a sequence does not keep what the build has made.
func givesUp(seq []processor) bool {
	for i, p := range seq {
		if maker(seq, i) < 0 && !p.Keeps() && p.Gives() != steps.GivesSame {
			return true
		}
	}
	return false
}

// vainly is why what the post-processor at a place is given stays, though it does not keep it.
func (p plan) vainly(i, j int) string {
	seq := p.sequences[i]
	switch by := maker(seq, j); {
	case seq[j].Gives() == steps.GivesSame:
		return "this post-processor hands on what it is given"
	case by >= 0 && seq[by].Gives() == steps.GivesFound:
		return "what it is given was not made here"
	case by < 0 && !slices.ContainsFunc(p.sequences, func(s []processor) bool { return !givesUp(s) }):
		return ""
	case by < 0:
		return "another sequence keeps what was built"
	}
	return ""
}

// process adds the post-processors. They come one after the other, since scripts often read what an earlier one has
// written; an edited one runs again alone, since that is no part of what they are.
func (p plan) process(g *dag.Graph, made steps.Made) {
	if len(p.sequences) == 0 || made.Product == nil {
		return
	}
	product := made.Product()
	g.Sequence(product.Key(), made.Finishing...)
	names, last := namesOf(g, p.build.Name), []dag.Key{product.Key()}
	type given struct {
		in dag.Key
		to steps.PostProcessor
	}
	var earlier []given
	discard := func(of dag.Out[steps.Product], after ...dag.Key) dag.Out[steps.Discarded] {
		d := dag.Add(g, p.build, names.unique("discard"), steps.Discard{Of: of})
		g.Sequence(d.Key(), after...)
		return d
	}
	for _, seq := range p.sequences {
		in, outs := product, make([]dag.Out[steps.Product], len(seq))
		for i, x := range seq {
			for n := 1; slices.ContainsFunc(earlier, func(e given) bool { return e.in == in.Key() && reflect.DeepEqual(e.to, x.PostProcessor) }); n++ {
				x.SetRepeat(n)
			}
			earlier = append(earlier, given{in.Key(), x.PostProcessor})
			outs[i], last = addAfter(g, x, p.build, names.unique(x.name), in, last)
			if by := maker(seq, i); by >= 0 && !x.Keeps() && x.Gives() != steps.GivesSame && seq[by].Gives() == steps.GivesOwn {
				dag.Discard(g, outs[by], discard(outs[by], last...))
			}
			in = outs[i]
		}
		dag.Goal(g, in)
	}
	if len(made.Artifacts) > 0 && !slices.ContainsFunc(p.sequences, func(s []processor) bool { return !givesUp(s) }) {
		done := discard(product, last...)
		for _, a := range made.Artifacts {
			dag.Discard(g, a, done)
		}
	}
}

// addAfter adds the steps of a post-processor: those that read what it is given come after
// others, such as a script that writes it. Whatever comes next comes after its result
// and what it has for goals.
func addAfter(g *dag.Graph, x processor, b dag.Build, name string, in dag.Out[steps.Product], after []dag.Key) (out dag.Out[steps.Product], done []dag.Key) {
	steps, goals := len(g.Nodes), len(g.Goals)
	out = x.Add(g, b, name, in)
	for _, n := range g.Nodes[steps:] {
		if slices.Contains(n.Needs, in.Key()) {
			g.Sequence(n.Key, after...)
		}
	}
	return out, append([]dag.Key{out.Key()}, slices.DeleteFunc(slices.Clone(g.Goals[goals:]), func(k dag.Key) bool { return k == out.Key() })...)
}

// names are those of a build's steps.
type names map[string]bool

func namesOf(g *dag.Graph, build string) names {
	all := names{}
	for _, n := range g.Nodes {
		if slices.Contains(n.Builds, build) {
			all[n.Name] = true
		}
	}
	return all
}

// unique makes a name one that no other step of the build has.
func (all names) unique(name string) string {
	unique := free(name, all)
	all[unique] = true
	return unique
}

// free is the name, with a number if it is taken.
func free(name string, taken map[string]bool) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return free
}
