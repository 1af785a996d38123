package compile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
)

// option is a field of a struct as templates see it.
type option struct {
	name    string
	of      reflect.Type // the struct that has the field
	goName  string       // of the field
	field   reflect.Value
	words   []string // of the option tag
	late    bool
	results bool     // may hold results of other builds, and nothing else that is late
	fields  []string // that late may use; nil: any
}

// options lists what a struct takes. Of two options of one name, the one of the struct itself stands for that of a
// struct that it embeds, as in encoding/json.
func options(v reflect.Value) []option {
	var list []option
	own := map[string]bool{}
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		words := strings.Split(f.Tag.Get("option"), ",")
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if slices.Contains(words, "-") || name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Type.Kind() == reflect.Struct && (f.Anonymous && name == "" || slices.Contains(words, "flatten")) {
			list = append(list, options(v.Field(i))...)
			continue
		}
		if _, ok := v.Field(i).Interface().(interface{ Key() dag.Key }); ok {
			continue
		}
		if name == "" {
			name = f.Name
		}
		own[name] = true
		o := option{name: name, of: t, goName: f.Name, field: v.Field(i), words: words}
		for _, w := range words {
			if w == "results" {
				o.results = true
			} else if w == "late" {
				o.late = true
			} else if names, ok := strings.CutPrefix(w, "late="); ok {
				o.late = true
				for _, name := range strings.Split(names, "+") {
					if name == "source" {
						o.fields = append(slices.Concat(o.fields, steps.SourceWords), "SourceAMITags")
					} else {
						o.fields = append(o.fields, name)
					}
				}
			}
		}
		list = append(list, o)
	}
	return slices.DeleteFunc(list, func(o option) bool { return own[o.name] && o.of != t })
}

func (o option) has(word string) bool { return slices.Contains(o.words, word) }

// off says whether a value of an option asks for nothing: false, 0, empty, or what the tag names; nothing of all its
// parts. It alone decides what may be given to an option that is not supported.
func (o option) off(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil() || o.off(v.Elem())
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.String:
		return v.Len() == 0 || o.has("off="+whole(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if !o.off(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// vacant says whether a value holds nothing, of whatever kind it is.
func vacant(v template.Value) bool {
	switch v.Kind() {
	case template.List, template.Object:
		plain, _ := v.Unmark()
		return plain.LengthInt() == 0
	}
	return blank(v)
}

func (o option) replacement() string {
	for _, w := range o.words {
		if to, ok := strings.CutPrefix(w, "deprecated="); ok {
			return to
		}
	}
	return ""
}

// renamed are options of old templates whose new names differ.
var renamed = map[string]string{
	"ssh_key_path":                         "ssh_private_key_file",
	"ssh_disable_agent":                    "ssh_disable_agent_forwarding",
	"ssh_wait_timeout":                     "ssh_timeout",
	"ssh_private_ip":                       "ssh_interface",
	"shutdown_behaviour":                   "shutdown_behavior",
	"enhanced_networking":                  "ena_support",
	"temporary_security_group_source_cidr": "temporary_security_group_source_cidrs",
}

// buildValues are what {{ build `…` }} knows when a machine stands.
var buildValues = slices.Concat(steps.SourceWords, steps.MachineWords)

// knows says whether a build-time value may stand in a late option, and if not, what else may.
func (o option) knows(w interp.Pending) (hint string, ok bool) {
	var fields, values []string
	for _, name := range o.fields {
		if name != "build" {
			fields = append(fields, name)
		}
		if slices.Contains(buildValues, name) {
			values = append(values, name)
		}
	}
	if values == nil { // else the option is evaluated when no more than these are known
		values = buildValues
	}
	name, known := w.Field, fields
	show := func(name string) string { return interp.Pending{Field: name}.String() }
	switch {
	case w.Part != "" && w.Field != "SourceAMITags":
		return fmt.Sprintf("{{ .%s }} is a text and has no parts", w.Field), false
	case w.Field != "":
		// Templates of old write {{ .WinRMPassword }} for a value of the build.
		ok = o.fields == nil || slices.Contains(fields, w.Field) || slices.Contains(o.fields, "build") && slices.Contains(values, w.Field)
	case o.fields != nil && !slices.Contains(o.fields, "build"):
		name = ""
	default:
		ok = w.Build == "" || slices.Contains(values, w.Build)
		name, known = w.Build, values
		show = func(name string) string { return interp.Pending{Build: name}.String() }
	}
	if ok || len(known) == 0 {
		return "", ok
	}
	if near := interp.Nearest(name, known); near != "" {
		return "did you mean " + show(near) + "?", false
	}
	if len(known) == 1 {
		return "only " + show(known[0]) + " does", false
	}
	return fmt.Sprintf("%s does, and %s", show(known[0]), strings.Join(known[1:], ", ")), false
}
