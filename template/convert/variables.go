package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

// variable is one of the JSON template.
type variable struct {
	name    string // in HCL2
	derived bool   // a local of the same name stands for it
}

// later are the functions that the default of a variable cannot call.
var later = regexp.MustCompile(`\b(uuid|vault|consul_key|aws_secretsmanager|aws_secretsmanager_raw)\b`)

// declare decides how each variable is written.
func (c *converter) declare() {
	taken := map[string]bool{}
	add := func(name string, derived bool) {
		c.variables[name] = variable{unique(identifier(name), taken), derived}
	}
	for _, v := range c.t.Variables {
		def := v.Default.Text
		add(v.Name, len(interp.Uses(def)) > 0 || strings.Contains(def, "{{") && later.MatchString(def))
	}
	for _, name := range c.used() {
		if _, declared := c.variables[name]; !declared {
			add(name, false)
			c.undeclared = append(c.undeclared, name)
		}
	}
}

// used are the variables that the template uses outside of variables.
func (c *converter) used() (names []string) {
	block := func(b template.Block) {
		names = append(names, uses(b.Name)...)
		names = append(names, uses(b.Options)...)
	}
	for _, b := range c.t.Builders {
		block(b)
	}
	provisioner := func(p template.Provisioner) {
		block(p.Block)
		for _, f := range p.Override {
			names = append(names, uses(f.Value)...)
		}
	}
	for _, p := range c.t.Provisioners {
		provisioner(p)
	}
	if c.t.ErrorCleanup != nil {
		provisioner(*c.t.ErrorCleanup)
	}
	for _, seq := range c.t.PostProcessors {
		for _, p := range seq {
			block(p.Block)
		}
	}
	return names
}

// reference is how a variable is used.
func (c *converter) reference(name string) string {
	v, ok := c.variables[name]
	switch {
	case !ok:
		return "var." + identifier(name) // a variable that only a variable uses: the error says that there is none
	case v.derived:
		return "local." + v.name
	}
	return "var." + v.name
}

func (c *converter) writeVariables() {
	sensitive := func(name string) bool {
		return slices.ContainsFunc(c.t.Sensitive, func(v template.Raw) bool { return v.Text == name })
	}
	for _, v := range c.t.Variables {
		as := c.variables[v.Name]
		c.renamed(v.Name, as.name)
		c.printf("variable %q {\n  type = string\n", as.name)
		switch {
		case as.derived:
			c.printf("  default = null\n")
		case v.Default.Kind == template.String:
			c.printf("  default = %s\n", c.text(v.Default.Text, true))
		}
		if sensitive(v.Name) {
			c.printf("  sensitive = true\n")
		}
		c.printf("}\n\n")
	}
	for _, name := range c.undeclared {
		as := c.variables[name]
		c.renamed(name, as.name)
		c.printf("# Nothing declared it: it was empty text unless it was given.\nvariable %q {\n  type = string\n  default = \"\"\n}\n\n", as.name)
	}
	for _, v := range c.t.Variables {
		as := c.variables[v.Name]
		if !as.derived {
			continue
		}
		c.printf("# The default of a variable cannot use others, make something new, or ask anybody.\nlocal %q {\n", as.name)
		c.printf("  expression = var.%s != null ? var.%s : %s\n", as.name, as.name, c.text(v.Default.Text, true))
		if sensitive(v.Name) {
			c.printf("  sensitive = true\n")
		}
		c.printf("}\n\n")
	}
}

// renamed says that a name had to change, which whoever gives a value must know.
func (c *converter) renamed(from, to string) {
	if from != to {
		c.printf("# It was called %s.\n", oneLine(from))
	}
}

func oneLine(s string) string { return strings.Trim(fmt.Sprintf("%q", s), `"`) }

// identifier makes a name of HCL of any text.
func identifier(name string) string {
	if hclsyntax.ValidIdentifier(name) {
		return name
	}
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if !hclsyntax.ValidIdentifier(name) {
		name = "_" + name // it is empty, or begins with a digit
	}
	if !hclsyntax.ValidIdentifier(name) {
		name = "v" + name
	}
	return name
}

// unique numbers a name that is taken.
func unique(name string, taken map[string]bool) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s_%d", name, n)
	}
	taken[free] = true
	return free
}
