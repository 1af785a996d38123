package template

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Fix returns a JSON template with the spellings of older versions of Packer replaced by today's, and what was changed: the
// rules of `packer fix` that matter for AWS. Keys keep their order.
func Fix(filename string, src []byte) ([]byte, []string, Errors) {
	root, ok, errs := readJSON("template", NewFile(filename, src))
	if !ok || len(errs) > 0 {
		return nil, nil, errs.Sorted()
	}
	f := &fixer{}
	f.template(&root)
	out, err := marshal(root)
	if err != nil {
		errs.Add(root.Pos, "", "cannot write the template: %s", err)
	}
	return out, f.changes, errs
}

type fixer struct{ changes []string }

func (f *fixer) changed(what string) {
	if !slices.Contains(f.changes, what) {
		f.changes = append(f.changes, what)
	}
}

func (f *fixer) template(root *Raw) {
	for i := range root.Fields {
		v := &root.Fields[i].Value
		switch root.Fields[i].Name {
		case "builders":
			each(v, f.builder)
		case "provisioners":
			each(v, f.provisioner)
		case "tests":
			each(v, func(_ string, test *Raw) {
				for i := range test.Fields {
					if test.Fields[i].Name == "provisioners" {
						each(&test.Fields[i].Value, f.provisioner)
					}
				}
			})
		case "post-processors":
			each(v, f.postProcessor)
		}
	}
}

// each calls fn for the objects of a list, and of the lists in it, with their types.
func each(list *Raw, fn func(kind string, o *Raw)) {
	for i := range list.List {
		switch x := &list.List[i]; x.Kind {
		case Object:
			kind, _ := x.Get("type")
			fn(kind.Text, x)
		case List:
			each(x, fn)
		}
	}
}

// renamedOptions are those of builders.
var renamedOptions = [][2]string{
	{"ssh_key_path", "ssh_private_key_file"}, {"ssh_disable_agent", "ssh_disable_agent_forwarding"}, {"ssh_wait_timeout", "ssh_timeout"},
	{"shutdown_behaviour", "shutdown_behavior"}, {"enhanced_networking", "ena_support"},
	{"temporary_security_group_source_cidr", "temporary_security_group_source_cidrs"},
}

var (
	createTime   = regexp.MustCompile(`\{\{\s*\.CreateTime\s*\}\}`)
	cleanAMIName = regexp.MustCompile(`\bclean_ami_name\b`)
)

func (f *fixer) builder(kind string, b *Raw) {
	amazon := strings.HasPrefix(kind, "amazon-")
	for i, r := range renamedOptions {
		if i < 3 || amazon {
			f.rename(b, r[0], r[1])
		}
	}
	texts(b, func(s string) string { return f.replace(s, createTime, "{{timestamp}}") })
	if !amazon {
		return
	}
	texts(b, func(s string) string { return f.replace(s, cleanAMIName, "clean_resource_name") })
	if _, given := b.Get("spot_price_auto_product"); given {
		f.changed("spot_price_auto_product is not needed any more")
		*b = b.Without("spot_price_auto_product")
	}
	for i := range b.Fields {
		switch o := &b.Fields[i]; {
		case o.Name == "temporary_security_group_source_cidrs" && o.Value.Kind == String:
			o.Value = Raw{Kind: List, List: []Raw{o.Value}}
		case o.Name == "ssh_private_ip":
			on := o.Value.Kind == Bool && o.Value.Bool || o.Value.Text == "true"
			o.Value = Raw{Kind: String, Text: map[bool]string{true: "private_ip", false: "public_ip"}[on]}
		}
	}
	f.rename(b, "ssh_private_ip", "ssh_interface")
}

// manualEscapes are those that PowerShell needed before values reached it as data.
var manualEscapes = strings.NewReplacer("`$", "$", "`\"", `"`, "``", "`", "`'", "'")

func (f *fixer) provisioner(kind string, p *Raw) {
	switch kind {
	case "powershell":
		for i := range p.Fields {
			if o := &p.Fields[i]; o.Name == "environment_vars" || o.Name == "elevated_password" {
				texts(&o.Value, func(s string) string {
					if to := manualEscapes.Replace(s); to != s {
						f.changed(o.Name + " of powershell needs no backticks")
						return to
					}
					return s
				})
			}
		}
	case "ansible", "ansible-local":
		f.rename(p, "galaxycommand", "galaxy_command")
	}
}

func (f *fixer) postProcessor(kind string, p *Raw) {
	if kind == "manifest" {
		f.rename(p, "filename", "output")
	}
}

// rename gives an option its new name. Where the new one is there, too, it counts.
func (f *fixer) rename(o *Raw, from, to string) {
	i := slices.IndexFunc(o.Fields, func(x RawField) bool { return x.Name == from })
	if i < 0 {
		return
	}
	f.changed(from + " is called " + to)
	if _, both := o.Get(to); both {
		*o = o.Without(from)
		return
	}
	o.Fields[i].Name = to
}

func (f *fixer) replace(s string, old *regexp.Regexp, with string) string {
	if !strings.Contains(s, "{{") || !old.MatchString(s) {
		return s
	}
	f.changed(old.FindString(s) + " is " + with)
	return old.ReplaceAllLiteralString(s, with)
}

// texts changes every text below a value.
func texts(v *Raw, fn func(string) string) {
	switch v.Kind {
	case String:
		v.Text = fn(v.Text)
	case List:
		for i := range v.List {
			texts(&v.List[i], fn)
		}
	case Object:
		for i := range v.Fields {
			texts(&v.Fields[i].Value, fn)
		}
	}
}

// marshal writes a value as JSON, indented, in the order that it has.
func marshal(v Raw) ([]byte, error) {
	var b bytes.Buffer
	text := func(s string) error {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(s)
		b.Truncate(len(bytes.TrimRight(b.Bytes(), "\n")))
		return err
	}
	var write func(v Raw) error
	write = func(v Raw) error {
		switch v.Kind {
		case Bool:
			b.WriteString(map[bool]string{true: "true", false: "false"}[v.Bool])
		case Number:
			b.WriteString(v.Text)
		case String:
			return text(v.Text)
		case List:
			b.WriteByte('[')
			for i, x := range v.List {
				if i > 0 {
					b.WriteByte(',')
				}
				if err := write(x); err != nil {
					return err
				}
			}
			b.WriteByte(']')
		case Object:
			b.WriteByte('{')
			for i, f := range v.Fields {
				if i > 0 {
					b.WriteByte(',')
				}
				if err := text(f.Name); err != nil {
					return err
				}
				b.WriteByte(':')
				if err := write(f.Value); err != nil {
					return err
				}
			}
			b.WriteByte('}')
		default:
			b.WriteString("null")
		}
		return nil
	}
	if err := write(v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := json.Indent(&out, b.Bytes(), "", "  ")
	out.WriteByte('\n')
	return out.Bytes(), err
}
