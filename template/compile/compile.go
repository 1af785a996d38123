package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

// Options say how to compile.
type Options struct {
	Cwd string // working directory; empty: the process's
	Dir string // folder of the template

	// ForRun asks for a graph that can run: what is known but not supported is an error. Without it, the
	// builds are only checked.
	ForRun bool

	// Digest stands for a secret in keys; see [dag.NewGraph]. It is first called when all of
	// ev.Secrets is known.
	Digest func(name string) string

	// Warn is told of every option that has no effect or is hardly meant, in the order
	// of their places.
	Warn func(template.Error)

	// Later is told, without ForRun and if nothing is wrong, of all that is known and cannot run.
	Later func(template.Error)
}

// Compile checks every build and, for a run, returns their graph. It adds sealed options to ev.Secrets. All
// that is wrong with all builds is reported at once; then there is no graph.
func Compile(ev *template.Evaluated, c Catalog, o Options) (*dag.Graph, template.Errors) {
	if ev.Secrets == nil {
		ev.Secrets = map[string]string{}
	}
	p := compiler{catalog: c, opts: o, secrets: ev.Secrets, files: &Files{Cwd: o.Cwd, Dir: o.Dir}, claimed: map[string]string{}}
	plans := make([]plan, len(ev.Builds))
	for i, b := range ev.Builds {
		plans[i] = p.build(b)
	}
	if o.Warn != nil {
		for _, w := range p.warnings.Sorted() {
			o.Warn(w)
		}
	}
	if len(p.errs) > 0 {
		return nil, p.errs.Sorted()
	}
	if !o.ForRun {
		if o.Later != nil {
			for _, l := range p.laters.Sorted() {
				o.Later(l)
			}
		}
		return nil, nil
	}
	g := dag.NewGraph(o.Digest)
	for _, pl := range plans {
		pl.wire(g)
	}
	if err := g.Err(); err != nil {
		return nil, template.Errors{{Text: "cannot build: the steps do not fit together: " + err.Error(),
			Hint: "this is a defect of imgflow: please report it"}}
	}
	return g, nil
}

// plan is a build that is ready to be wired.
type plan struct {
	build        dag.Build
	builder      Builder
	provisioners []named
}

type named struct {
	name string
	Provisioner
}

func (p plan) wire(g *dag.Graph) {
	m := p.builder.Machine(g, p.build)
	for _, pr := range p.provisioners {
		m = pr.Add(g, p.build, pr.name, m)
	}
	p.builder.Capture(g, p.build, m)
}

type compiler struct {
	catalog  Catalog
	opts     Options
	secrets  map[string]string
	files    *Files
	errs     template.Errors
	warnings template.Errors
	laters   template.Errors   // what cannot run, if that is no error
	claimed  map[string]string // key of a claim → the build that makes it
}

func (c *compiler) build(b template.Build) plan {
	pl := plan{build: dag.Build{Name: b.Name, Type: b.Type}}
	if why, later := c.catalog.LaterBuilders[b.Type]; later {
		c.later(b.Pos, "the builder "+b.Type, why)
	} else if maker, ok := c.catalog.Builders[b.Type]; !ok {
		c.unknown(b.Pos, "builder", b.Type, known(c.catalog.Builders, c.catalog.LaterBuilders))
	} else {
		pl.builder = maker()
		d := c.check(pl.builder, b.Type, b.Name, b.Pos, b.Options)
		c.claim(pl.builder, d, b)
		if !c.opts.ForRun {
			c.supported(pl.builder, b.Type, b.Pos)
		}
	}
	over := communicator(b.Options)
	count := map[string]int{}
	for _, part := range b.Provisioners {
		count[part.Type]++
		name := part.Type
		if n := count[part.Type]; n > 1 {
			name = fmt.Sprintf("%s-%d", part.Type, n)
		}
		if pr := c.provisioner(part, b.Name+"."+name); pr != nil {
			c.reach(part, b.Name, over)
			pl.provisioners = append(pl.provisioners, named{name, pr})
		}
	}
	if part := b.ErrorCleanup; part != nil {
		c.provisioner(*part, b.Name+".error-cleanup")
		c.later(part.Pos, "error-cleanup-provisioner", "not supported yet")
	}
	for _, seq := range b.PostProcessors {
		for _, part := range seq {
			if why, later := c.catalog.LaterPostProcessors[part.Type]; later {
				c.later(part.Pos, "the post-processor "+part.Type, why)
			} else {
				c.unknown(part.Pos, "post-processor", part.Type, known(map[string]bool{}, c.catalog.LaterPostProcessors))
			}
		}
	}
	return pl
}

// communicator is how a builder reaches its machine, "" if that is not known yet.
func communicator(options template.Value) string {
	v, given := options.Get("communicator")
	if !given || v.Kind == template.Null || v.Kind == template.String && v.Text == "" {
		return "ssh"
	}
	text, err := interp.Plain(v.Text)
	if v.Kind != template.String || err != nil {
		return ""
	}
	return text
}

// reach refuses a provisioner that does not work over the communicator.
func (c *compiler) reach(part template.Part, build, over string) {
	works, choosy := c.catalog.Over[part.Type]
	if !choosy || slices.Contains(works, over) {
		return
	}
	switch over {
	case "none":
		c.errs.Add(part.Pos, `take it away, or give the builder another communicator than "none"`,
			"cannot use %s: %s makes no connection to its machine", part.Type, build)
	case "ssh", "winrm":
		c.errs.Add(part.Pos, fmt.Sprintf(`take it away, or give the builder "communicator": %q`, works[0]),
			"cannot use %s: it works over %s, and %s reaches its machine over %s", part.Type, strings.Join(works, " and "), build, over)
	}
}

// later refuses what is known but cannot run.
func (c *compiler) later(at template.Pos, what, why string) {
	to := &c.laters
	if c.opts.ForRun {
		to = &c.errs
	}
	to.Add(at, "", "cannot run %s: %s", what, why)
}

// supported asks a builder or provisioner whether it can run.
func (c *compiler) supported(x any, what string, at template.Pos) {
	if s, ok := x.(Supporter); ok {
		if err := s.Supported(); err != nil {
			c.later(at, what, err.Error())
		}
	}
}

func (c *compiler) unknown(at template.Pos, what, name string, known []string) {
	hint := "known are " + strings.Join(known, ", ")
	if near := interp.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.errs.Add(at, hint, "cannot build: there is no %s called %q", what, name)
}

var commonOptions = []string{"pause_before", "timeout", "max_retries"}

func (c *compiler) provisioner(part template.Part, path string) Provisioner {
	if why, later := c.catalog.LaterProvisioners[part.Type]; later {
		c.later(part.Pos, "the provisioner "+part.Type, why)
		return nil
	}
	maker, ok := c.catalog.Provisioners[part.Type]
	if !ok {
		c.unknown(part.Pos, "provisioner", part.Type, known(c.catalog.Provisioners, c.catalog.LaterProvisioners))
		return nil
	}
	pr := maker()
	c.common(pr, part)
	c.check(pr, part.Type, path, part.Pos, part.Options.Without(commonOptions...))
	return pr
}

// common hands the common options of a provisioner on.
func (c *compiler) common(pr Provisioner, part template.Part) {
	picked := template.Value{Pos: part.Options.Pos, Kind: template.Object}
	for _, f := range part.Options.Fields {
		if slices.Contains(commonOptions, f.Name) {
			picked.Fields = append(picked.Fields, f)
		}
	}
	var common Common
	errs := Decode(picked, &common, Scope{What: part.Type, Pos: part.Pos})
	fail := func(name, why string) {
		at, _ := picked.Get(name)
		errs.Add(at.Pos, "", "cannot use %s: %s", name, why)
	}
	if common.PauseBefore < 0 {
		fail("pause_before", "it must not be negative")
	}
	if common.Timeout < 0 {
		fail("timeout", "it must not be negative")
	}
	if common.MaxRetries < 0 {
		fail("max_retries", "it must not be negative")
	}
	c.errs = append(c.errs, errs...)
	if cm, ok := pr.(Commoner); ok {
		cm.SetCommon(common)
	} else if common != (Common{}) {
		c.errs.Add(picked.Fields[0].Pos, "", "cannot use %s: %s does not take it", picked.Fields[0].Name, part.Type)
	}
}

type checker interface{ Check() []dag.Fault }

// claim refuses a name that an earlier build takes, once for each option.
func (c *compiler) claim(x Builder, d *decoder, b template.Build) {
	claimer, ok := x.(Claimer)
	if !ok {
		return
	}
	for _, cl := range claimer.Claims() {
		other, taken := c.claimed[cl.Key]
		switch {
		case d.reported(cl.Field):
		case taken && other != b.Name:
			place, _ := new(finder).find(b.Options, cl.Field)
			d.mark(cl.Field)
			c.errs.Add(place, "put {{build_name}} into the name", "cannot use %s: the build %s makes %s, too", cl.Field, other, cl.What)
		case !taken:
			c.claimed[cl.Key] = b.Name
		}
	}
}

// check decodes the options into x, lets it check itself, and finds the places of its faults. The decoder knows what
// was reported.
func (c *compiler) check(x checker, what, path string, at template.Pos, v template.Value) *decoder {
	d := newDecoder(Scope{What: what, Pos: at, Path: path, Secrets: c.secrets, Files: c.files})
	if _, ok := x.(Commoner); ok {
		d.also = commonOptions
	}
	d.into(v, x)
	c.errs = append(c.errs, d.errs...)
	var places finder
	for _, f := range x.Check() {
		if d.reported(f.Field) || slices.ContainsFunc(f.Among, d.reported) {
			continue // a consequence of what is reported already
		}
		name := clipped(f.Field)
		if f.Field == "" {
			c.errs.Add(at, "", "cannot use %s: %s", what, f.Text)
			continue
		}
		place, ok := places.find(v, f.Field)
		if !ok && place == v.Pos {
			place = at
		}
		if f.Doubtful {
			c.warnings.Add(place, "", "%s: %s", name, f.Text)
			continue
		}
		if f.Harmless {
			c.warnings.Add(place, "", "%s has no effect: %s", name, f.Text)
			continue
		}
		c.errs.Add(place, "", "cannot use %s: %s", name, f.Text)
	}
	if _, isBuilder := x.(Builder); c.opts.ForRun || !isBuilder { // else what a builder claims is looked at first
		c.supported(x, what, at)
	}
	return d
}

// clipped is a path for a message: a key in it may be of any length.
func clipped(path string) string {
	if r := []rune(path); len(r) > 80 {
		return string(r[:80]) + "..."
	}
	return path
}
