package compile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template"
)

// Options say how to compile.
type Options struct {
	Cwd string // working directory; empty: the process's
	Dir string // folder of the template

	// Files says where a file is that lies at an absolute path; nil: there. The graph names
	// the files where they are.
	Files func(path string) string

	// ForRun asks for a graph that can run: what is known but not supported is an error. Without it, the
	// builds are only checked.
	ForRun bool

	// Foresee asks for a graph to be looked at: builds that wait are in it with the steps that are foreseen, in whose
	// titles it says what is known only later.
	Foresee bool

	// Local is for a run in an embedded cloud, whose machines cannot try everything.
	Local bool

	// Scan has the secrets of the run looked for on every machine before it is imaged; the run began at Began.
	Scan  bool
	Began time.Time

	// Digest stands for a text with secrets in keys; see [dag.NewGraph]. It is first called when all of
	// ev.Secrets is known.
	Digest func(text string) string

	// Stored is the graph of a run that goes on: its keys keep their form. Nil for a new run.
	Stored *dag.Graph

	// Warn is told of every option that has no effect or is hardly meant, in the order
	// of their places.
	Warn func(template.Error)

	// Later is told, without ForRun and if nothing is wrong, of all that is known and cannot run.
	Later func(template.Error)
}

// Compile checks every build and, for a run, returns their graph; else that of the data sources, if there are any. A
// build that refers to what was not looked up or made yet is in the graph by its name alone, see dag.Graph.Await. It adds sealed options to ev.Secrets. All
// that is wrong with all builds is reported at once; then there is no graph.
func Compile(ctx context.Context, ev *template.Config, c Catalog, o Options) (*dag.Graph, template.Errors) {
	if ev.Secrets == nil {
		ev.Secrets = map[string]string{}
	}
	p := compiler{ctx: ctx, catalog: c, opts: o, secrets: ev.Secrets, made: ev.Made, files: &Files{Cwd: o.Cwd, Dir: o.Dir, At: o.Files}, claimed: map[string]string{}}
	data := p.lookups(ev)
	plans := make([]plan, len(ev.Builds))
	scopes := scopes(ev.Builds)
	for i, b := range ev.Builds {
		as := dag.Build{Name: b.Name, Type: b.Type}
		if o.Stored == nil || o.Stored.Form > 0 { // before, keys had the names of builds in them
			as.Label, as.Scope = b.Label, scopes[i]
		}
		plans[i] = p.build(b, as)
	}
	order := p.inOrder(plans)
	if o.Warn != nil {
		for _, w := range p.warnings.Sorted() {
			o.Warn(w)
		}
	}
	if len(p.errs) == 0 && !o.ForRun {
		p.barren(plans)
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
		if len(data) == 0 {
			return nil, nil
		}
	}
	g := dag.NewGraph(o.Digest)
	g.Foreseen = o.Foresee
	if o.Stored != nil {
		g.Form = o.Stored.Form
	}
	p.look(g, data, ev.Builds)
	from, made := len(g.Nodes), map[string][]dag.Out[steps.Artifact]{}
	for _, i := range order {
		pl := plans[i]
		wire := o.ForRun
		switch {
		case len(pl.awaits) > 0:
			g.Await(pl.build.Name, pl.awaits)
			wire = o.Foresee
		case len(pl.behind) > 0 && o.ForRun:
			g.AwaitBuilds(pl.build.Name, pl.behind)
			wire = o.Foresee
		}
		if wire {
			p.bind(pl, g, made)
			made[pl.build.Name] = pl.wire(g)
		}
	}
	follow(g, from, ev.Builds)
	p.succeed(g, from, plans, made)
	if len(p.errs) > 0 {
		return nil, p.errs.Sorted()
	}
	if err := g.Err(); err != nil {
		return nil, template.Errors{{Text: "cannot build: the steps do not fit together: " + err.Error(),
			Hint: "this is a defect of imgflow: please report it"}}
	}
	return g, nil
}

// scopes keep the machines of builds apart. Each is the build's label, which is the same in every language, if that tells it
// from those before it; an instance of for_each has its name, so that another instance changes nothing of it.
func scopes(builds []template.Build) []string {
	all, taken := make([]string, len(builds)), map[string]bool{}
	for i, b := range builds {
		all[i] = b.Label
		if all[i] == "" || taken[b.Label] || strings.Contains(b.Name, `["`) {
			all[i] = b.Name
		}
		for taken[all[i]] {
			all[i] += "'"
		}
		taken[all[i]] = true
	}
	return all
}

// plan is a build that is ready to be wired.
type plan struct {
	build        dag.Build
	source       steps.Source
	provisioners []named
	cleanup      steps.Provisioner // what is done on the machine if the others fail; nil for nothing
	tests        []trial
	sequences    [][]processor
	awaits       []string // data sources that have not been looked up yet
	behind       []string // builds that have not made yet what it is made of
	needs        []needed // results of other builds
}

// cleanupName is the name of the step that cleans up after a failure, as of the block in templates.
const cleanupName = "error-cleanup-provisioner"

// cleanupTimeout is how long such a step may take if the template does not say: it holds up
// the removal of a machine that nobody needs any more.
const cleanupTimeout = 10 * time.Minute

type named struct {
	name string
	steps.Provisioner
}

// wire adds the steps of a build, and returns what it makes.
func (p plan) wire(g *dag.Graph) []dag.Out[steps.Artifact] {
	do := func(list []named, m dag.Out[comm.Machine]) dag.Out[comm.Machine] {
		for _, pr := range list {
			m = pr.Add(g, p.build, pr.name, m)
		}
		return m
	}
	for _, t := range p.tests {
		t.Add(t.name, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] { return do(t.provisioners, m) })
	}
	made := p.source.Wire(g, p.build, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] {
		if p.cleanup == nil {
			return do(p.provisioners, m)
		}
		reached := m
		g.Guarded(func(aside *dag.Graph) { p.cleanup.Add(aside, p.build, cleanupName, reached) }, func() { m = do(p.provisioners, m) })
		return m
	})
	for _, artifact := range made.Artifacts {
		dag.Goal(g, artifact)
	}
	p.process(g, made)
	return made.Artifacts
}

type compiler struct {
	ctx      context.Context
	catalog  Catalog
	opts     Options
	secrets  map[string]string
	files    *Files
	errs     template.Errors
	warnings template.Errors
	laters   template.Errors   // what cannot run, if that is no error
	claimed  map[string]string // key of a claim → the build that makes it
	open     map[string]bool   // data sources that have not been looked up yet
	made     template.Made     // what builds have made
	needs    []needed          // results of other builds that the one which is being checked refers to
	waiting  bool              // what is being checked is made of what is not known yet
	after    []string          // and what that is known after
}

func (c *compiler) build(b template.Build, as dag.Build) plan {
	pl := plan{build: as, awaits: c.awaits(b.Refers)}
	c.waiting, c.needs = len(pl.awaits) > 0, nil
	var after []string
	for _, label := range pl.awaits {
		after = append(after, "data."+label)
	}
	for _, n := range b.Needs {
		c.needs = append(c.needs, needed{n.Result, n.Pos, true})
		if c.made[n.Build] == nil {
			c.waiting, after = true, append(after, n.Build)
		}
	}
	c.after = after
	defer func() { c.waiting, c.after = false, nil }()
	if why, later := c.catalog.LaterBuilders[b.Type]; later {
		c.later(b.Pos, "the builder "+b.Type, why)
	} else if maker, ok := c.catalog.Builders[b.Type]; !ok {
		c.unknown(b.Pos, "builder", b.Type, known(c.catalog.Builders, c.catalog.LaterBuilders))
	} else {
		pl.source = maker()
		d := c.decoder(b.Type, b.Name, b.Pos)
		c.check(d, pl.source, b.Options)
		if c.opts.ForRun { // what is claimed is known better then
			c.prepare(pl.source, d)
		}
		c.claim(pl.source, d, b)
		if !c.opts.ForRun {
			c.prepare(pl.source, d)
		}
	}
	over, whyNone := communicator(b.Options), ""
	if x, ok := pl.source.(steps.Machineless); ok {
		whyNone = x.WithoutMachine()
	}
	pl.provisioners = c.provisioners(b.Provisioners, b.Name, "", over, whyNone)
	pl.tests = c.tests(pl.source, b, over)
	if c.opts.Scan && whyNone == "" {
		c.scan(&pl, b, over)
	}
	if part := b.ErrorCleanup; part != nil {
		pr := c.provisioner(*part, b.Name+".error-cleanup", cleanupTimeout)
		switch {
		case pr == nil:
		case whyNone != "":
			c.warnings.AddCode(errcode.OptionIdle, part.Pos, "", "%s has no effect in %s: %s", cleanupName, b.Name, whyNone)
		case len(b.Provisioners) == 0:
			c.warnings.AddCode(errcode.OptionIdle, part.Pos, "", "%s has no effect in %s: there is no provisioner that could fail", cleanupName, b.Name)
		default:
			c.reach(*part, pr.Communicators(), b.Name, over)
			pl.cleanup = pr
		}
	}
	c.postProcessors(&pl, b)
	pl.needs = c.needs
	behind := map[string]bool{}
	for _, n := range c.needs {
		if n.first && c.made[n.Build] == nil && !behind[n.Build] {
			behind[n.Build] = true
			pl.behind = append(pl.behind, n.Build)
		}
	}
	return pl
}

// provisioners checks those of a build, or of a test in it. Their names begin with a prefix. WhyNone is why they have no
// effect.
func (c *compiler) provisioners(parts []template.Part, build, prefix, over, whyNone string) (list []named) {
	count := map[string]int{}
	for _, part := range parts {
		name := prefix + part.Type
		if part.Enforced {
			name = prefix + "enforced-" + part.Type
		}
		count[name]++
		if n := count[name]; n > 1 {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		pr := c.provisioner(part, build+"."+name, 0)
		switch {
		case pr == nil:
		case whyNone != "":
			c.warnings.AddCode(errcode.OptionIdle, part.Pos, "", "%s has no effect in %s: %s", part.Type, build, whyNone)
		default:
			c.reach(part, pr.Communicators(), build, over)
			list = append(list, named{name, pr})
		}
	}
	return list
}

// scanName is the name of the step that looks for secrets, as of the flag that asks for it.
const scanName = "scan-image"

// scan adds the step that looks for the secrets of the run, behind all that writes.
func (c *compiler) scan(pl *plan, b template.Build, over string) {
	var marks []dag.Secret
	for _, name := range slices.Sorted(maps.Keys(c.secrets)) {
		marks = append(marks, dag.Secret(dag.Mark(name)))
	}
	pr := c.catalog.Scan(marks, c.opts.Began)
	if over != "" && !slices.Contains(pr.Communicators(), over) {
		c.errs.Add(b.Pos, "run it without -scan-image, or without this build", "cannot look for secrets on the machine of %s: it is not reached by SSH", b.Name)
		return
	}
	pl.provisioners = append(pl.provisioners, named{scanName, pr})
}

// communicator is how a builder reaches its machine, "" if that is not known yet.
func communicator(options template.Value) string {
	v, given := options.Get("communicator")
	if !given || v.Kind() == template.Null || blank(v) {
		return "ssh"
	}
	if v.Kind() != template.String || v.Form != nil {
		return ""
	}
	text, _ := v.Text()
	return string(text)
}

// reach refuses a provisioner that does not work over the communicator.
func (c *compiler) reach(part template.Part, works []string, build, over string) {
	if len(works) == 0 || slices.Contains(works, over) {
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
	to.AddCode(errcode.Unsupported, at, "", "cannot run %s: %s", what, why)
}

// prepare has a builder or provisioner find out what is left open, and whether it can run. If an option is wrong, that
// it cannot may be a consequence.
func (c *compiler) prepare(x steps.Preparer, d *decoder) {
	if c.waiting && !c.opts.Foresee {
		return // it would see options as if they were not given
	}
	if err := x.Prepare(c.ctx); err != nil && !d.misnamed && len(d.wrong) == 0 {
		c.later(d.Pos, d.What, err.Error())
	}
}

func (c *compiler) unknown(at template.Pos, what, name string, known []string) {
	hint := "known are " + strings.Join(known, ", ")
	if near := interp.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.errs.AddCode(errcode.UnknownName, at, hint, "cannot build: there is no %s called %q", what, name)
}

// commonOptions are the names of those that every provisioner has.
var commonOptions = func() (names []string) {
	for _, o := range CommonOptions() {
		names = append(names, o.Name)
	}
	return names
}()

// provisioner returns a provisioner with its options. Timeout is what it has if the template gives none.
func (c *compiler) provisioner(part template.Part, path string, timeout time.Duration) steps.Provisioner {
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
	c.common(pr, part, timeout)
	d := c.decoder(part.Type, path, part.Pos)
	d.also = commonOptions
	c.check(d, pr, part.Options)
	if x, ok := pr.(steps.Preparer); ok {
		c.prepare(x, d)
	}
	return pr
}

// common hands the common options of a provisioner on.
func (c *compiler) common(pr steps.Provisioner, part template.Part, timeout time.Duration) {
	d := newDecoder(Scope{What: part.Type, Pos: part.Pos})
	d.partial, d.waiting, d.made = true, c.waiting, c.made
	var common steps.Common
	d.into(part.Options, &common)
	fail := func(name, why string) {
		at, _ := part.Options.Get(name)
		d.errs.Add(at.Pos, "", "cannot use %s: %s", name, why)
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
	c.take(d)
	common.Timeout = cmp.Or(common.Timeout, timeout)
	pr.SetCommon(common)
}

type checker interface{ Check() []steps.OptionError }

// claim refuses a name that an earlier build takes, once for each option.
func (c *compiler) claim(x steps.Source, d *decoder, b template.Build) {
	for _, cl := range x.Claims() {
		other, taken := c.claimed[cl.Key]
		switch {
		case d.reported(cl.Field):
		case taken && other != b.Name:
			place, _ := new(finder).find(b.Options.Place, cl.Field)
			d.mark(cl.Field)
			hint := "put {{build_name}} into the name"
			if strings.Contains(b.Name, `["`) {
				hint = "put ${each.key} into the name"
			}
			c.errs.AddCode(errcode.DuplicateName, place, hint, "cannot use %s: the build %s makes %s, too", cl.Field, other, cl.What)
		case !taken:
			c.claimed[cl.Key] = b.Name
		}
	}
}

// decoder is for the options of something that is called what, stands at a place, and has a path of its own in the run.
func (c *compiler) decoder(what, path string, at template.Pos) *decoder {
	d := newDecoder(Scope{What: what, Pos: at, Path: path, Secrets: c.secrets, Files: c.files})
	d.waiting, d.made = c.waiting, c.made
	d.foresee, d.after = c.opts.Foresee, c.after
	return d
}

// check decodes the options into x, lets it check itself, and finds the places of its faults. The decoder knows then
// what was reported.
func (c *compiler) check(d *decoder, x checker, v template.Value) {
	d.into(v, x)
	c.take(d)
	if v.Kind() == template.Faulty {
		return // whatever it lacks is a consequence
	}
	var wrong []steps.OptionError
	var code errcode.Code
	if u, ok := x.(steps.FileUser); ok && !d.foresee { // there is no such file
		wrong, code = u.ResolveFiles(c.files.Find), errcode.NoSuchFile
	}
	if len(wrong) == 0 {
		back := c.files.locateIn(x)
		wrong, code = x.Check(), ""
		if u, ok := x.(steps.Untried); ok && c.opts.Local {
			wrong = append(wrong, u.Untried()...)
		}
		back()
	}
	what, at := d.What, d.Pos
	var places finder
	for _, f := range wrong {
		if d.reported(f.Field) || slices.ContainsFunc(f.Among, d.reported) {
			continue // a consequence of what is reported already
		}
		name := clipped(f.Field)
		if f.Field == "" {
			c.errs.Add(at, "", "cannot use %s: %s", what, f.Text)
			continue
		}
		place, ok := places.find(v.Place, f.Field)
		if !ok && place == v.Pos {
			place = at
		}
		if f.Doubtful {
			c.warnings.Add(place, "", "%s: %s", name, f.Text)
			continue
		}
		if f.Harmless {
			c.warnings.AddCode(errcode.OptionIdle, place, "", "%s has no effect: %s", name, f.Text)
			continue
		}
		c.errs.AddCode(code, place, "", "cannot use %s: %s", name, f.Text)
	}
}

// take has what a decoder has found out.
func (c *compiler) take(d *decoder) {
	c.errs, c.needs, c.waiting = append(c.errs, d.errs...), append(c.needs, d.needs...), c.waiting || d.waiting
}

// clipped is a path for a message: a key in it may be of any length.
func clipped(path string) string {
	if r := []rune(path); len(r) > 80 {
		return string(r[:80]) + "..."
	}
	return path
}
