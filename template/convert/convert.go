package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl"
)

// blocks are the options that are blocks in the schemas of Packer's plug-ins.
var blocks = []string{
	"assume_role", "vault_aws_engine", "aws_polling", "deregistration_protection", "temporary_iam_instance_profile_policy_document",
	"security_group_filter", "source_ami_filter", "subnet_filter", "vpc_filter", "placement", "metadata_options", "fast_launch",
	"publish", "accounts", "tag", "run_tag", "spot_tag", "fleet_tag", "snapshot_tag", "run_volume_tag", "license_specifications", "ami_block_device_mappings",
	"launch_block_device_mappings", "region_launch_templates", "Statement", "ami_root_device", "module_dirs",
}

// lists are the options that are often a text in JSON, cut at its commas, which Packer takes only there.
var lists = []string{"owners", "ami_regions", "ami_users", "ami_groups", "snapshot_users", "security_group_ids"}

// plugins are where the components come from, by what their types begin with.
var plugins = []struct{ prefix, name, source, version string }{
	{"amazon-", "amazon", "github.com/hashicorp/amazon", ">= 1.2.8"},
	{"ansible", "ansible", "github.com/hashicorp/ansible", ">= 1.1.0"},
	{"chef-", "chef", "github.com/hashicorp/chef", ">= 1.0.0"},
	{"converge", "converge", "github.com/hashicorp/converge", ">= 1.0.0"},
	{"goss", "goss", "github.com/YaleUniversity/goss", ">= 3.0.0"},
	{"inspec", "inspec", "github.com/hashicorp/inspec", ">= 1.0.0"},
	{"puppet-", "puppet", "github.com/hashicorp/puppet", ">= 1.0.0"},
	{"salt-", "salt", "github.com/hashicorp/salt", ">= 1.0.0"},
	{"windows-update", "windows-update", "github.com/rgl/windows-update", ">= 0.16.0"},
	{"vagrant", "vagrant", "github.com/hashicorp/vagrant", ">= 1.1.0"},
}

// HCL returns the template in HCL2. The name is that of the file, for messages.
func HCL(name string, t *template.Template) ([]byte, template.Errors) {
	c := &converter{t: t, variables: map[string]variable{}, sources: map[string]source{}}
	c.declare()
	c.nameSources()
	for _, line := range t.Comments {
		c.comment(line)
	}
	if len(t.Comments) > 0 {
		c.printf("\n")
	}
	c.requirements()
	c.writeVariables()
	c.writeSources()
	c.build()
	if len(c.errs) > 0 {
		return nil, c.errs.Sorted()
	}
	text := strings.TrimRight(c.b.String(), "\n") + "\n"
	text = strings.ReplaceAll(text, "\n\n}", "\n}")
	text = strings.ReplaceAll(text, "{\n}", "{}")
	text = strings.ReplaceAll(text, "{\n\n", "{\n")
	return hcl.Format(template.VarFile{Name: name, Src: []byte(text)})
}

type converter struct {
	t          *template.Template
	b          strings.Builder
	errs       template.Errors
	variables  map[string]variable // by their names in JSON
	undeclared []string
	sources    map[string]source // by the names of builders
}

// source is a builder as a source.
type source struct {
	label string
	alias string // the name that the build block gives it, as an expression, if it cannot be the label
}

func (c *converter) printf(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

func (c *converter) comment(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		c.printf("%s\n", strings.TrimRight("# "+oneLine(line), " "))
	}
}

func (c *converter) requirements() {
	var types []string
	for _, b := range c.t.Builders {
		types = append(types, b.Type)
	}
	for _, p := range c.t.Provisioners {
		types = append(types, p.Type)
	}
	for _, x := range c.t.Tests {
		for _, p := range x.Provisioners {
			types = append(types, p.Type)
		}
	}
	for _, seq := range c.t.PostProcessors {
		for _, p := range seq {
			types = append(types, p.Type)
		}
	}
	var b strings.Builder
	if c.t.MinVersion != "" {
		fmt.Fprintf(&b, "  required_version = \">= %s\"\n\n", literal(c.t.MinVersion))
	}
	some := false
	for _, p := range plugins {
		if !slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(t, p.prefix) }) {
			continue
		}
		if !some {
			b.WriteString("  required_plugins {\n")
		}
		some = true
		fmt.Fprintf(&b, "    %s = {\n      version = %q\n      source = %q\n    }\n", p.name, p.version, p.source)
	}
	if some {
		b.WriteString("  }\n")
	}
	if b.Len() > 0 {
		c.printf("packer {\n%s}\n\n", strings.TrimSuffix(b.String(), "\n\n")+"\n")
	}
}

// builderName is what a builder is called.
func builderName(b template.Block) string {
	if b.Name.Text != "" {
		return b.Name.Text
	}
	return b.Type
}

func (c *converter) nameSources() {
	taken := map[string]bool{}
	for _, b := range c.t.Builders {
		name := builderName(b)
		s := source{label: unique(identifier(name), taken)}
		if s.label != name {
			s.alias = c.text(name, false)
		}
		c.sources[name] = s
	}
}

func (c *converter) writeSources() {
	for _, b := range c.t.Builders {
		c.printf("source %q %q {\n", b.Type, c.sources[builderName(b)].label)
		c.body(b.Options)
		c.printf("}\n\n")
	}
}

func (c *converter) build() {
	if len(c.t.Builders) == 0 {
		return
	}
	c.printf("build {\n")
	if c.t.Description != "" {
		c.printf("  description = \"%s\"\n", literal(c.t.Description))
	}
	var list []string
	for _, b := range c.t.Builders {
		if s := c.sources[builderName(b)]; s.alias == "" {
			list = append(list, fmt.Sprintf("\"source.%s.%s\"", b.Type, s.label))
		}
	}
	if len(list) > 0 {
		c.printf("  sources = %s\n\n", listed(list))
	}
	for _, b := range c.t.Builders {
		if s := c.sources[builderName(b)]; s.alias != "" {
			c.printf("source \"source.%s.%s\" {\n  name = %s\n}\n\n", b.Type, s.label, s.alias)
		}
	}
	for _, p := range c.t.Provisioners {
		c.provisioner("provisioner", p)
	}
	if p := c.t.ErrorCleanup; p != nil {
		c.provisioner("error-cleanup-provisioner", *p)
	}
	for _, x := range c.t.Tests {
		c.test(x)
	}
	for _, seq := range c.t.PostProcessors {
		if len(seq) == 1 {
			c.postProcessor(seq[0])
			continue
		}
		c.printf("post-processors {\n")
		for _, p := range seq {
			c.postProcessor(p)
		}
		c.printf("}\n\n")
	}
	c.printf("}\n")
}

// chosen writes only and except.
func (c *converter) chosen(only, except []template.Raw) {
	write := func(key string, names []template.Raw) {
		var list []string
		for _, n := range names {
			label := n.Text
			for _, b := range c.t.Builders {
				if builderName(b) != n.Text {
					continue
				}
				// A build is called by the name that its build block gives it.
				if label = b.Type + "." + c.sources[n.Text].label; c.sources[n.Text].alias != "" {
					label = b.Type + "." + n.Text
				}
			}
			list = append(list, c.text(label, false))
		}
		if len(list) > 0 {
			c.printf("%s = %s\n", key, listed(list))
		}
	}
	write("only", only)
	write("except", except)
}

func (c *converter) provisioner(kind string, p template.Provisioner) {
	c.printf("%s %q {\n", kind, p.Type)
	c.own(p)
	c.printf("}\n\n")
}

// own writes what a provisioner, or a test, says itself.
func (c *converter) own(p template.Provisioner) {
	c.chosen(p.Only, p.Except)
	c.body(p.Options)
	if len(p.Override) > 0 {
		c.printf("override = {\n")
		for _, f := range p.Override {
			c.printf("\"%s\" = %s\n", literal(f.Name), c.value(f.Value))
		}
		c.printf("}\n")
	}
}

func (c *converter) test(x template.Test) {
	if c.printf("test "); x.Name.Text != "" {
		c.printf("\"%s\" ", literal(x.Name.Text))
	}
	c.printf("{\n")
	c.own(x.Provisioner)
	c.printf("\n")
	for _, p := range x.Provisioners {
		c.provisioner("provisioner", p)
	}
	c.printf("}\n\n")
}

func (c *converter) postProcessor(p template.PostProcessor) {
	c.printf("post-processor %q {\n", p.Type)
	if p.Name.Text != "" {
		c.printf("name = %s\n", c.text(p.Name.Text, false))
	}
	c.chosen(p.Only, p.Except)
	c.body(p.Options)
	c.printf("}\n\n")
}

// body writes options: attributes first, then blocks.
func (c *converter) body(options template.Raw) {
	block := func(f template.RawField) []template.Raw {
		if !slices.Contains(blocks, f.Name) {
			return nil
		}
		list := f.Value.List
		if f.Value.Kind == template.Object {
			list = []template.Raw{f.Value}
		}
		if slices.ContainsFunc(list, func(v template.Raw) bool { return v.Kind != template.Object }) {
			return nil
		}
		return list
	}
	for _, f := range options.Fields {
		if block(f) != nil {
			continue
		}
		if !hclsyntax.ValidIdentifier(f.Name) {
			c.errs.Add(f.Pos, "", "cannot convert the option %q: it is no name in HCL2", f.Name)
			continue
		}
		v := f.Value
		if slices.Contains(lists, f.Name) && v.Kind == template.String && !strings.Contains(v.Text, "{{") {
			v.Kind = template.List
			for s := range strings.SplitSeq(v.Text, ",") {
				v.List = append(v.List, template.Raw{Kind: template.String, Text: s})
			}
		}
		c.printf("%s = %s\n", f.Name, c.value(v))
	}
	for _, f := range options.Fields {
		for _, b := range block(f) {
			c.printf("\n%s {\n", f.Name)
			c.body(b)
			c.printf("}\n")
		}
	}
}

// value writes any value as an expression.
func (c *converter) value(v template.Raw) string {
	switch v.Kind {
	case template.Bool:
		return fmt.Sprint(v.Bool)
	case template.Number:
		return v.Text
	case template.String:
		return c.text(v.Text, false)
	case template.List:
		list := make([]string, len(v.List))
		for i, x := range v.List {
			list[i] = c.value(x)
		}
		return listed(list)
	case template.Object:
		if len(v.Fields) == 0 {
			return "{}"
		}
		var b strings.Builder
		b.WriteString("{\n")
		for _, f := range v.Fields {
			key := f.Name
			if !hclsyntax.ValidIdentifier(key) {
				if key = c.text(key, false); !strings.HasPrefix(key, `"`) {
					key = "(" + key + ")"
				}
			}
			b.WriteString(key + " = " + c.value(f.Value) + "\n")
		}
		return b.String() + "}"
	}
	return "null"
}

// width is how long a list may be to stand in one line.
const width = 80

func listed(list []string) string {
	line := "[" + strings.Join(list, ", ") + "]"
	if len(list) < 2 && !strings.Contains(line, "\n") || len(line) <= width && !strings.Contains(line, "\n") {
		return line
	}
	return "[\n" + strings.Join(list, ",\n") + ",\n]"
}
