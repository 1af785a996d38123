package docgen

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/optiondoc"
	"github.com/imgflow/imgflow/template/compile"
)

// made is the first line of every page.
const made = "<!-- Made of the comments of the option structs: go test ./internal/cli -run TestReference -update -->\n\n"

// shared are structs that have a page of their own, by what the page is called.
var shared = map[string]string{"steps/comm.SSH": "ssh", "steps/comm.WinRM": "winrm", "steps/aws.Access": "amazon-access"}

// folders are where the pages of each role lie.
var folders = map[compile.Role]string{
	compile.Builder: "builders", compile.Provisioner: "provisioners", compile.PostProcessor: "post-processors", compile.DataSource: "data-sources",
	compile.Test: "tests",
}

// Pages are the reference of all options: the text of each page by its path.
func Pages(c compile.Catalog, texts optiondoc.Texts) map[string]string {
	b := book{texts: texts, pages: map[string]string{}}
	var index strings.Builder
	index.WriteString(made + "# Options\n\nWhat may be written into a template, by what it belongs to. `imgflow schema` prints the same for editors.\n")
	var role compile.Role
	for _, p := range c.Parts() {
		if p.Role != role {
			role = p.Role
			fmt.Fprintf(&index, "\n## %ss\n\n", strings.ToUpper(string(role[:1]))+string(role[1:]))
		}
		if p.Later != "" {
			fmt.Fprintf(&index, "- `%s`: %s\n", p.Type, p.Later)
			continue
		}
		path := folders[p.Role] + "/" + p.Type + ".md"
		what := texts.Struct(p.Struct, p.Type)
		fmt.Fprintf(&index, "- [%s](%s): %s\n", p.Type, path, firstSentence(what))
		page := fmt.Sprintf("%s# %s (%s)\n\n%s\n", made, p.Type, p.Role, what)
		if p.Role == compile.Provisioner {
			page += "\nIt has the [options that every provisioner has](common.md), too.\n"
		}
		b.pages[path] = page + b.sections(p)
	}
	page := made + "# Options that every provisioner has\n\n" + table(texts, compile.CommonOptions()) +
		"\nBeside these, `only` and `except` name the builds that it is for, or not for; `override` has options for some builds, by the name of the build.\n"
	b.pages["provisioners/common.md"] = page
	index.WriteString("\n## Options that several share\n\n- [options that every provisioner has](provisioners/common.md)\n")
	for _, name := range b.parts {
		fmt.Fprintf(&index, "- [%s](parts/%s.md): %s\n", name, name, firstSentence(b.intros[name]))
	}
	index.WriteString("\n## How values are written\n\n" + values)
	b.pages["README.md"] = index.String()
	return b.pages
}

// values says what the words of the column "type" mean.
const values = `| type | what is written |
|---|---|
| text | a text, a number or a boolean |
| secret | a text that is sealed, and shown nowhere |
| file | the path of a local file: looked for in the working directory, then beside the template |
| boolean | true or false, also as a text |
| whole number, number | a number, also as a text |
| duration | a text with a unit: ` + "`90s`, `5m`, `1h30m`" + ` |
| list of … | a list; a text is cut at its commas; one element stands for a list of one |
| map of … | an object whose keys are free |
| object | an object with the options that stand below it; in HCL2 a block |

null is the same as leaving an option out. A text in a JSON template may hold ` + "``{{user `name`}}``" + ` anywhere, also where a number or a boolean is wanted. An option that may hold
build-time actions names them; ` + "``{{ build `…` }}``" + ` gives what is known of the machine: ID, Host, User, SourceAMI and others.
`

func firstSentence(text string) string {
	text = strings.ReplaceAll(text, "\n", " ")
	if s, _, ok := strings.Cut(text, ". "); ok {
		return s + "."
	}
	return text
}

// book gathers pages.
type book struct {
	texts  optiondoc.Texts
	pages  map[string]string
	parts  []string // names of pages of structs that several share
	intros map[string]string
}

// sections are the tables of a part, one for each struct that its options come from, its own first.
func (b *book) sections(p compile.Part) string {
	var s strings.Builder
	from := []reflect.Type{p.Struct}
	of := map[reflect.Type][]compile.Option{}
	for _, o := range p.Options {
		if !slices.Contains(from, o.Of) {
			from = append(from, o.Of)
		}
		of[o.Of] = append(of[o.Of], o)
	}
	for _, t := range from {
		what := b.texts.Struct(t, "")
		page, elsewhere := shared[optiondoc.Name(t)]
		switch {
		case len(of[t]) == 0:
			continue
		case t != p.Struct:
			fmt.Fprintf(&s, "\n## %s\n", strings.TrimSuffix(t.Name(), "Options"))
		}
		switch {
		case elsewhere:
			b.share(page, what, of[t])
			fmt.Fprintf(&s, "\n[%s](../parts/%s.md): %s\n", page, page, firstSentence(what))
		case t != p.Struct:
			fmt.Fprintf(&s, "\n%s\n\n%s", what, table(b.texts, of[t]))
		default:
			fmt.Fprintf(&s, "\n%s", table(b.texts, of[t]))
		}
	}
	return s.String()
}

// share makes the page of a struct that several share, once.
func (b *book) share(name, what string, list []compile.Option) {
	if slices.Contains(b.parts, name) {
		return
	}
	if b.intros == nil {
		b.intros = map[string]string{}
	}
	b.parts = append(b.parts, name)
	b.intros[name] = what
	b.pages["parts/"+name+".md"] = made + "# " + name + "\n\n" + what + "\n\n" + table(b.texts, list)
}

// table has a row for each option, and for those inside of it.
func table(texts optiondoc.Texts, list []compile.Option) string {
	return "| option | type | default | what it does |\n|---|---|---|---|\n" + rows(texts, list, "")
}

func rows(texts optiondoc.Texts, list []compile.Option, prefix string) string {
	var s strings.Builder
	for _, o := range list {
		what, byDefault, literal := texts.Of(o.Of, o.Field)
		switch {
		case o.Required:
			byDefault = "**required**"
		case literal:
			byDefault = "`" + byDefault + "`"
		case byDefault == "":
			byDefault = "-"
		}
		name := prefix + o.Name
		if o.Now != "" {
			fmt.Fprintf(&s, "| `%s` | %s | - | Deprecated: it is called `%s` now. |\n", name, kind(o.Shape), prefix+o.Now)
			continue
		}
		if o.Unsupported {
			what = "**Not supported yet.** " + what
		}
		if actions := o.Actions(); o.Late && len(actions) > 0 {
			what += " May hold ``" + strings.Join(actions, "``, ``") + "``."
		}
		fmt.Fprintf(&s, "| `%s` | %s | %s | %s |\n", name, kind(o.Shape), cell(byDefault), cell(what))
		inner := &o.Shape
		for inner.Elem != nil {
			inner = inner.Elem
		}
		s.WriteString(rows(texts, inner.Options, name+"."))
	}
	return s.String()
}

// cell is a text that does not end a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// kind is what is written for an option, in words.
func kind(s compile.Shape) string {
	if s.Elem == nil {
		return string(s.Kind)
	}
	return string(s.Kind) + " of " + plurals.Replace(kind(*s.Elem))
}

var plurals = strings.NewReplacer("duration", "durations", "file", "files", "number", "numbers", "object", "objects", "secret", "secrets", "text", "texts")
