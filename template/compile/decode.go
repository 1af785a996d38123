package compile

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

// Scope is what options are decoded in.
type Scope struct {
	What    string            // what the options belong to, for messages: amazon-ebs
	Pos     template.Pos      // where an error about a missing option is shown; zero: at the object
	Path    string            // unique in the run; begins the names of sealed secrets
	Secrets map[string]string // gets what is sealed; holds the values of the markers in the options
	Files   *Files            // finds local files
}

// Decode fills the struct that into points to with an object of options. A field whose option is not given is
// left alone, so it may hold a default.
func Decode(v template.Value, into any, s Scope) template.Errors {
	d := newDecoder(s)
	d.into(v, into)
	return d.errs
}

type decoder struct {
	Scope
	errs  template.Errors
	also  []string        // options that somebody else reads
	wrong map[string]bool // paths of options that have been reported
	above map[string]bool // paths of what holds an option that has been reported

	misnamed bool // an option is there under a wrong name, so the whole may lack it
}

func newDecoder(s Scope) *decoder {
	if s.Secrets == nil {
		s.Secrets = map[string]string{}
	}
	if s.Files == nil {
		s.Files = &Files{}
	}
	return &decoder{Scope: s, wrong: map[string]bool{}, above: map[string]bool{}}
}

func (d *decoder) into(v template.Value, x any) {
	d.object(v, reflect.ValueOf(x).Elem(), "", option{})
}

func (d *decoder) err(p template.Pos, hint, path, format string, args ...any) {
	d.mark(path)
	d.errs.Add(p, hint, "cannot use %s: %s", path, fmt.Sprintf(format, args...))
}

// mark notes that something about the option at a path has been reported.
func (d *decoder) mark(path string) {
	d.wrong[path] = true
	for up := outer(path); up != "" && !d.above[up]; up = outer(up) {
		d.above[up] = true
	}
}

// reported says whether a fault at a path may be a consequence of one that has been reported: of the same option, of
// what it is a part of, or of a part of it. The path "" is that of the whole.
func (d *decoder) reported(path string) bool {
	if path == "" {
		return d.misnamed
	}
	if d.above[path] {
		return true
	}
	for ; path != ""; path = outer(path) {
		if d.wrong[path] {
			return true
		}
	}
	return false
}

// outer returns the path of what holds the option at a path such as a[0].b, or "".
func outer(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// option is a field of a struct as templates see it.
type option struct {
	name   string
	field  reflect.Value
	words  []string // of the option tag
	late   bool
	fields []string // that late may use; nil: any
}

// options lists what a struct takes.
func options(v reflect.Value) []option {
	var list []option
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
		o := option{name: name, field: v.Field(i), words: words}
		for _, w := range words {
			if w == "late" {
				o.late = true
			} else if names, ok := strings.CutPrefix(w, "late="); ok {
				o.late, o.fields = true, strings.Split(names, "+")
			}
		}
		list = append(list, o)
	}
	return list
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
	return v.Kind == template.String && v.Text == "" || v.Kind == template.List && len(v.List) == 0 || v.Kind == template.Object && len(v.Fields) == 0
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

// object decodes v into a struct. The prefix is the path of v with a dot at its end, or empty. What
// is late in the outer option is late in the struct.
func (d *decoder) object(v template.Value, into reflect.Value, prefix string, outer option) {
	opts := options(into)
	var known []string
	if prefix == "" {
		known = slices.Clone(d.also)
	}
	for _, o := range opts {
		if o.replacement() == "" {
			known = append(known, o.name)
		}
	}
	// An option that is there under a wrong name is not missing as well.
	meant := func(name string) {
		if _, given := v.Get(name); !given {
			d.mark(prefix + name)
			d.misnamed = d.misnamed || prefix == ""
		}
	}
	for _, f := range v.Fields {
		if f.Name == "" && f.Value.Kind == template.Faulty { // the name itself could not be evaluated
			d.mark(strings.TrimSuffix(prefix, "."))
			d.misnamed = d.misnamed || prefix == ""
			continue
		}
		path := prefix + f.Name
		i := slices.IndexFunc(opts, func(o option) bool { return o.name == f.Name })
		if i < 0 {
			if to := renamed[f.Name]; slices.Contains(known, to) {
				meant(to)
				d.err(f.Pos, "", path, "it is called %s now", to)
				continue
			}
			hint := ""
			if near := interp.Nearest(f.Name, known); near != "" {
				meant(near)
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			d.err(f.Pos, hint, path, "%s has no such option", d.What)
			continue
		}
		o := opts[i]
		if outer.late && !o.late {
			o.late, o.fields = true, outer.fields
		}
		if to := o.replacement(); to != "" {
			meant(to)
			d.err(f.Pos, "", path, "it is called %s now", to)
			continue
		}
		if f.Value.Kind == template.Null {
			continue
		}
		if o.has("unsupported") {
			probe := reflect.New(o.field.Type()).Elem()
			if !vacant(f.Value) {
				d.value(f.Value, probe, path, o)
			}
			if !o.off(probe) && !d.reported(path) {
				d.err(f.Pos, "", path, "not supported yet")
			}
			continue
		}
		d.value(f.Value, o.field, path, o)
	}
	for _, o := range opts {
		given, ok := v.Get(o.name)
		if !o.has("required") || d.reported(prefix+o.name) {
			continue
		}
		at := v.Pos
		if prefix == "" && d.Pos.File != "" {
			at = d.Pos
		}
		if !ok || given.Kind == template.Null {
			d.mark(prefix + o.name)
			d.errs.Add(at, "", "cannot use %s: the option %s is missing", d.What, prefix+o.name)
		} else if o.field.IsZero() {
			d.err(given.Pos, "", prefix+o.name, "it is empty")
		}
	}
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[dag.Secret]()
	fileType     = reflect.TypeFor[dag.File]()
)

// value decodes v into a field.
func (d *decoder) value(v template.Value, into reflect.Value, path string, o option) {
	if v.Kind == template.Faulty {
		d.mark(path)
		return
	}
	switch into.Type() {
	case durationType:
		d.duration(v, into, path)
		return
	case secretType:
		if text, ok := d.text(v, path, o); ok {
			d.secret(v, text, into, path, o)
		}
		return
	case fileType:
		d.file(v, into, path, o)
		return
	}
	switch into.Kind() {
	case reflect.String:
		if text, ok := d.text(v, path, o); ok {
			into.SetString(text)
		}
	case reflect.Bool:
		d.boolean(v, into, path, o)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		d.number(v, into, path, o)
	case reflect.Pointer:
		if v.Kind == template.String && v.Text == "" {
			return
		}
		p := reflect.New(into.Type().Elem())
		n := len(d.errs)
		if d.value(v, p.Elem(), path, o); len(d.errs) == n {
			into.Set(p)
		}
	case reflect.Struct:
		if v.Kind == template.List && len(v.List) == 1 {
			v = v.List[0]
		}
		if d.is(v, path, template.Object) {
			d.object(v, into, path+".", o)
		}
	case reflect.Slice:
		d.slice(v, into, path, o)
	case reflect.Map:
		d.mapping(v, into, path, o)
	default:
		d.err(v.Pos, "this is a defect of imgflow: please report it", path, "options of the type %s cannot be read", into.Type())
	}
}

func (d *decoder) is(v template.Value, path string, want template.Kind) bool {
	if v.Kind == want {
		return true
	}
	if v.Kind != template.Faulty {
		d.err(v.Pos, "", path, "%s is expected, not %s", want, v.Kind)
	}
	return false
}

// text returns v as a text: a source for interp.Late if the option is late, else final.
func (d *decoder) text(v template.Value, path string, o option) (string, bool) {
	switch v.Kind {
	case template.Number:
		return v.Text, true
	case template.Bool:
		return strconv.FormatBool(v.Bool), true
	}
	if !d.is(v, path, template.String) {
		return "", false
	}
	if !o.late {
		text, err := interp.Plain(v.Text)
		for _, f := range interp.AsFaults(err) {
			d.err(v.Pos, f.Hint, path, "%s", f.Text)
		}
		return text, err == nil
	}
	waits, err := interp.Waits(v.Text)
	for _, f := range interp.AsFaults(err) {
		d.err(v.Pos, f.Hint, path, "%s", f.Text)
	}
	ok := err == nil
	for _, w := range waits {
		if hint, known := o.knows(w); !known {
			d.err(v.Pos, hint, path, "%s means nothing here", w)
			ok = false
		}
	}
	return v.Text, ok
}

// buildValues are what {{ build `…` }} knows when a machine stands. The first ones are known without it.
var buildValues = []string{"BuildRegion", "SourceAMI", "SourceAMICreationDate", "SourceAMIName", "SourceAMIOwner", "SourceAMIOwnerName",
	"ConnType", "Host", "ID", "PackerHTTPAddr", "PackerHTTPIP", "PackerHTTPPort", "PackerRunUUID", "Password", "Port",
	"SSHAgentAuth", "SSHPrivateKey", "SSHPrivateKeyFile", "SSHPublicKey", "User", "WinRMPassword"}

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

// secret seals what the user wrote. A late text with actions is left as it is, since it is not final: its step
// evaluates it first, and puts the secrets in after that, where they cannot be taken for actions.
func (d *decoder) secret(v template.Value, text string, into reflect.Value, path string, o option) {
	if text != "" && !oneMarker(text) && !(o.late && strings.Contains(text, "{{")) {
		real, err := interp.Reveal(text, func(name string) (string, error) {
			if v, ok := d.Secrets[name]; ok {
				return v, nil
			}
			return "", fmt.Errorf("there is no secret called %s", name)
		})
		if err != nil {
			d.err(v.Pos, "", path, "%v", err)
			return
		}
		name := path
		if d.Path != "" {
			name = d.Path + "." + path
		}
		d.Secrets[name] = real
		text = interp.Mark(name)
	}
	into.SetString(text)
}

// oneMarker says whether text is a marker and nothing else.
func oneMarker(text string) bool {
	inner, open := strings.CutPrefix(text, interp.MarkOpen)
	inner, closed := strings.CutSuffix(inner, interp.MarkClose)
	return open && closed && !strings.ContainsAny(inner, interp.MarkOpen+interp.MarkClose)
}

// word returns v as a final text that is not sensitive.
func (d *decoder) word(v template.Value, path string) (string, bool) {
	text, ok := d.text(v, path, option{})
	if ok && interp.Marked(text) {
		d.err(v.Pos, "", path, "a sensitive variable can only stand in a text")
		return "", false
	}
	return strings.TrimSpace(text), ok
}

func (d *decoder) boolean(v template.Value, into reflect.Value, path string, o option) {
	switch v.Kind {
	case template.Bool:
		into.SetBool(v.Bool)
		return
	case template.Number:
		n, err := strconv.ParseFloat(v.Text, 64)
		into.SetBool(err == nil && n != 0)
		return
	}
	if v.Kind != template.String {
		d.is(v, path, template.Bool)
		return
	}
	if text, ok := d.word(v, path); ok && text == "" {
		into.SetBool(false)
	} else if ok {
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			d.err(v.Pos, "", path, "true or false is expected, not %s", quoted(v, text))
			return
		}
		into.SetBool(b)
	}
}

func (d *decoder) number(v template.Value, into reflect.Value, path string, o option) {
	if v.Kind != template.Number && v.Kind != template.String {
		d.is(v, path, template.Number)
		return
	}
	text, ok := d.word(v, path)
	if !ok {
		return
	}
	if text == "" {
		text = "0"
	}
	switch {
	case into.CanFloat():
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || into.OverflowFloat(n) {
			d.err(v.Pos, "", path, "a number is expected, not %s", quoted(v, text))
			return
		}
		into.SetFloat(n)
		return
	case into.CanInt():
		if n, err := strconv.ParseInt(whole(text), 10, 64); err == nil && !into.OverflowInt(n) {
			into.SetInt(n)
			return
		}
	case into.CanUint():
		if n, err := strconv.ParseUint(whole(text), 10, 64); err == nil && !into.OverflowUint(n) {
			into.SetUint(n)
			return
		}
	}
	d.err(v.Pos, "", path, "a whole number is expected, not %s", quoted(v, text))
}

// quoted is the text of a value for a message.
func quoted(v template.Value, text string) string {
	if v.Secret() {
		return "this text"
	}
	return strconv.Quote(text)
}

// whole takes a fraction of zeros off a number, which some tools write.
func whole(text string) string {
	if n, fraction, ok := strings.Cut(text, "."); ok && n != "" && strings.Trim(fraction, "0") == "" {
		return n
	}
	return text
}

func (d *decoder) duration(v template.Value, into reflect.Value, path string) {
	if v.Kind == template.Number {
		d.err(v.Pos, fmt.Sprintf(`write "%ss" for seconds or "%sm" for minutes`, v.Text, v.Text), path, "a duration needs a unit")
		return
	}
	if !d.is(v, path, template.String) {
		return
	}
	text, ok := d.word(v, path)
	if !ok || text == "" {
		return
	}
	t, err := time.ParseDuration(text)
	if err != nil {
		d.err(v.Pos, `write it as "90s", "5m" or "1h30m"`, path, "%s is not a duration", quoted(v, text))
		return
	}
	into.SetInt(int64(t))
}

func (d *decoder) slice(v template.Value, into reflect.Value, path string, o option) {
	elems := v.List
	elem := into.Type().Elem()
	for elem.Kind() == reflect.Pointer {
		elem = elem.Elem()
	}
	isObject := elem.Kind() == reflect.Struct && elem != fileType
	switch {
	case v.Kind == template.List:
	case v.Kind == template.String && !isObject:
		for _, text := range splitList(v.Text) {
			e := v
			e.Text = text
			elems = append(elems, e)
		}
	case v.Kind == template.Object && isObject, (v.Kind == template.Number || v.Kind == template.Bool) && !isObject:
		elems = []template.Value{v}
	default:
		d.is(v, path, template.List)
		return
	}
	list := reflect.MakeSlice(into.Type(), 0, len(elems))
	for i, e := range elems {
		x := reflect.New(into.Type().Elem()).Elem()
		at := fmt.Sprintf("%s[%d]", path, i)
		if d.element(e, x, at, o); x.Type() == fileType && x.IsZero() && !d.reported(at) {
			d.err(e.Pos, "", at, "it is empty")
		}
		list = reflect.Append(list, x)
	}
	into.Set(list)
}

// element decodes an element of a list or map. Null is its zero value, as in Packer: empty text, or an object without options.
func (d *decoder) element(v template.Value, into reflect.Value, path string, o option) {
	if v.Kind != template.Null {
		d.value(v, into, path, o)
	} else if into.Kind() == reflect.Struct && into.Type() != fileType {
		d.object(template.Value{Pos: v.Pos, Kind: template.Object}, into, path+".", o)
	}
}

// splitList cuts a text at its commas, but not inside of an action or a marker.
func splitList(text string) []string {
	if text == "" {
		return nil
	}
	var list []string
	start := 0
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "{{"):
			if j := strings.Index(rest, "}}"); j > 0 {
				i += j + 1
			}
		case strings.HasPrefix(rest, interp.MarkOpen):
			if j := strings.Index(rest, interp.MarkClose); j > 0 {
				i += j + len(interp.MarkClose) - 1
			}
		case rest[0] == ',':
			list = append(list, text[start:i])
			start = i + 1
		}
	}
	return append(list, text[start:])
}

func (d *decoder) mapping(v template.Value, into reflect.Value, path string, o option) {
	objects := []template.Value{v}
	if v.Kind == template.List {
		objects = v.List
	}
	m := reflect.MakeMap(into.Type())
	for i, obj := range objects {
		at := path
		if v.Kind == template.List {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		if !d.is(obj, at, template.Object) {
			return
		}
		for _, f := range obj.Fields {
			if f.Name == "" && f.Value.Kind == template.Faulty {
				d.mark(path)
				continue
			}
			name, ok := d.text(template.Value{Pos: f.Pos, Kind: template.String, Text: f.Name}, at+"."+f.Name, o)
			if !ok {
				continue
			}
			x := reflect.New(into.Type().Elem()).Elem()
			if d.element(f.Value, x, at+"."+name, o); d.reported(at + "." + name) {
				d.mark(path + "." + name) // as the struct's own faults call it
			}
			m.SetMapIndex(reflect.ValueOf(name).Convert(into.Type().Key()), x)
		}
	}
	into.Set(m)
}
