package compile

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/steps"
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

	needs []needed      // results of other builds that options refer to
	made  template.Made // what is known of them

	foresee bool     // a text says in place of what is not known after what it will be
	after   []string // data sources and builds

	partial  bool // what is no option here is somebody else's
	waiting  bool // what is not known may be known when data sources have been looked up, or builds have made something
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
	if v.Kind() == template.Faulty {
		d.misnamed = true // whatever it lacks
		return
	}
	d.object(v, reflect.ValueOf(x).Elem(), "", option{})
}

func (d *decoder) err(p template.Pos, hint, path, format string, args ...any) {
	d.errAs("", p, hint, path, format, args...)
}

// errAs is err for a fault of a known code.
func (d *decoder) errAs(code errcode.Code, p template.Pos, hint, path, format string, args ...any) {
	d.mark(path)
	d.errs.AddCode(code, p, hint, "cannot use %s: %s", path, fmt.Sprintf(format, args...))
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

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[dag.Secret]()
	textType     = reflect.TypeFor[dag.Text]()
	fileType     = reflect.TypeFor[steps.File]()
	anyType      = reflect.TypeFor[steps.Any]()
)

// value decodes v into a field.
func (d *decoder) value(v template.Value, into reflect.Value, path string, o option) {
	switch v.Kind() {
	case template.Faulty:
		d.mark(path)
		d.foreseen(into)
		return
	case template.Later:
		if d.waiting {
			d.mark(path)
			d.foreseen(into)
			return
		}
		d.err(v.Pos, "only a text may hold what is not known before, by itself or among its parts", path, "it is made of what is known only at build time")
		return
	}
	switch into.Type() {
	case durationType:
		d.duration(v, into, path)
		return
	case secretType:
		if text, ok := d.text(v, path, o); ok {
			d.secret(v, text, into, path)
		}
		return
	case fileType:
		d.file(v, into, path, o)
		return
	case anyType:
		into.Set(reflect.ValueOf(d.any(v, path, o)))
		return
	}
	switch into.Kind() {
	case reflect.String:
		isText := into.Type() == textType // nobody would fill any other
		o.late, o.results = o.late && isText, o.results && isText
		if text, ok := d.text(v, path, o); ok {
			into.SetString(string(text))
		}
	case reflect.Bool:
		d.boolean(v, into, path, o)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		d.number(v, into, path, o)
	case reflect.Pointer:
		if blank(v) {
			return
		}
		p := reflect.New(into.Type().Elem())
		n := len(d.errs)
		if d.value(v, p.Elem(), path, o); len(d.errs) == n {
			into.Set(p)
		}
	case reflect.Struct:
		if v.Kind() == template.List {
			if list := v.Elements(); len(list) == 1 {
				v = list[0]
			}
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

// foreseen puts what stands for a text into a text, or into a list as its only one.
func (d *decoder) foreseen(into reflect.Value) {
	switch {
	case !d.foresee || len(d.after) == 0 || into.Type() == secretType:
	case into.Kind() == reflect.String:
		into.SetString(knownAfter(d.after...))
	case into.Type() == fileType:
		into.Set(reflect.ValueOf(steps.File{Path: knownAfter(d.after...)}))
	case into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.String:
		one := reflect.MakeSlice(into.Type(), 1, 1)
		d.foreseen(one.Index(0))
		into.Set(one)
	}
}

// knownAfter stands for a text that is known only after data sources and builds.
func knownAfter(what ...string) string { return "(known after " + strings.Join(what, ", ") + ")" }

func (d *decoder) is(v template.Value, path string, want template.Kind) bool {
	k := v.Kind()
	if k == want {
		return true
	}
	if k == template.Later && d.waiting {
		d.mark(strings.TrimSuffix(path, "."))
		return false
	}
	if k != template.Faulty {
		d.err(v.Pos, "", path, "%s is expected, not %s", want, k)
	}
	return false
}

// blank says whether v is an empty text.
func blank(v template.Value) bool {
	if v.Kind() != template.String {
		return false
	}
	text, err := v.Text()
	return text == "" && err == nil
}
