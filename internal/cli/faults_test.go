package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
)

// known is an option that a builder or provisioner knows.
type known struct {
	section, kind string // builders, amazon-ebs
	path          []string
	typ           reflect.Type
	words         string // of its option tag
}

func (k known) String() string { return k.kind + " " + strings.Join(k.path, ".") }

// knownOptions lists all options that templates may hold.
func knownOptions(t *testing.T) (list []known) {
	t.Helper()
	w := newWorld(app.WorldOptions{})
	t.Cleanup(func() { w.Close() })
	c := w.Catalog(false)
	for kind, make := range c.Builders {
		list = append(list, optionsOf("builders", kind, nil, reflect.TypeOf(make()).Elem())...)
	}
	for kind, make := range c.Provisioners {
		list = append(list, optionsOf("provisioners", kind, nil, reflect.TypeOf(make()).Elem())...)
		list = append(list, optionsOf("provisioners", kind, nil, reflect.TypeFor[steps.Common]())...)
	}
	if len(list) < 200 {
		t.Fatalf("only %d options are known", len(list))
	}
	return list
}

func optionsOf(section, kind string, above []string, typ reflect.Type) (list []known) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		words := f.Tag.Get("option")
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		split := strings.Split(words, ",")
		isStep := f.Type.Kind() == reflect.Struct && reflect.PointerTo(f.Type).Implements(reflect.TypeFor[interface{ Key() dag.Key }]())
		switch {
		case slices.Contains(split, "-") || name == "-" || isStep || !f.IsExported() && !f.Anonymous || strings.Contains(words, "deprecated="):
			continue
		case f.Type.Kind() == reflect.Struct && (f.Anonymous && name == "" || slices.Contains(split, "flatten")):
			list = append(list, optionsOf(section, kind, above, f.Type)...)
			continue
		}
		path := append(slices.Clone(above), name)
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		list = append(list, known{section, kind, path, f.Type, words})
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[steps.File]() && inner != reflect.TypeFor[steps.Any]() {
			list = append(list, optionsOf(section, kind, path, inner)...)
		}
	}
	return list
}

// asTemplate is a template whose only fault, if it is one, is the value of the option.
func (k known) asTemplate(value string) string {
	text := value
	for _, name := range slices.Backward(k.path[1:]) {
		text = fmt.Sprintf("{%q: %s}", name, text)
	}
	builder := map[string]string{"type": `"amazon-ebs"`, "region": `"us-east-1"`, "instance_type": `"t3.micro"`, "ami_name": `"probe"`, "ssh_username": `"u"`, "source_ami": `"ami-0123456789abcdef0"`}
	provisioner := map[string]string{}
	switch k.kind {
	case "shell", "shell-local", "powershell", "windows-shell":
		provisioner["inline"] = `["x"]`
	case "file":
		provisioner["source"], provisioner["destination"] = `"."`, `"/tmp/"`
	case "sleep":
		provisioner["duration"] = `"1s"`
	case "converge":
		provisioner["module"] = `"m"`
	case "inspec":
		provisioner["profile"] = `"."`
	case "salt-masterless":
		provisioner["local_state_tree"] = `"."`
	}
	if slices.Contains([]string{"powershell", "windows-shell", "windows-restart", "windows-update"}, k.kind) {
		builder["communicator"], builder["winrm_username"], builder["winrm_password"] = `"winrm"`, `"u"`, `"p"`
		delete(builder, "ssh_username")
	}
	if k.section == "builders" {
		switch k.kind {
		case "file":
			builder = map[string]string{"type": `"file"`, "target": `"t"`, "content": `"c"`}
			if k.path[0] == "source" {
				delete(builder, "content")
			}
		case "amazon-ebssurrogate":
			builder["type"], builder["ami_virtualization_type"] = `"amazon-ebssurrogate"`, `"hvm"`
			builder["launch_block_device_mappings"] = `[{"device_name": "/dev/xvdf", "volume_size": 1}]`
			builder["ami_root_device"] = `{"source_device_name": "/dev/xvdf", "device_name": "/dev/xvda"}`
		case "amazon-ebsvolume":
			builder["type"] = `"amazon-ebsvolume"`
			delete(builder, "ami_name")
		case "null":
			builder = map[string]string{"type": `"null"`, "ssh_host": `"h"`, "ssh_username": `"u"`, "ssh_password": `"p"`}
		}
		builder[k.path[0]] = text
	} else {
		if k.path[0] == "script" || k.path[0] == "scripts" {
			delete(provisioner, "inline")
		}
		if k.path[0] == "sources" || k.path[0] == "content" {
			delete(provisioner, "source")
		}
		provisioner[k.path[0]] = text
	}
	object := func(m map[string]string) string {
		var fields []string
		for name, v := range m {
			fields = append(fields, fmt.Sprintf("%q: %s", name, v))
		}
		slices.Sort(fields)
		return "{" + strings.Join(fields, ",\n") + "}"
	}
	provisioners := ""
	if k.section == "provisioners" {
		provisioner["type"] = fmt.Sprintf("%q", k.kind)
		provisioners = object(provisioner)
	}
	return `{"builders": [` + object(builder) + "],\n\"provisioners\": [" + provisioners + "]}"
}

// sessionOf is the session of a template, in whose folder it is.
func sessionOf(home *state.Home, file string) *app.Session {
	a := &app.App{Env: app.NewEnv(os.Environ(), filepath.Dir(file)), World: newWorld}
	return a.New(home, app.Request{Template: file})
}

// faultsOf validates a template.
func faultsOf(t *testing.T, src string) template.Errors {
	t.Helper()
	if !json.Valid([]byte(src)) {
		t.Fatalf("no JSON: %s", src)
	}
	file := filepath.Join(t.TempDir(), "t.json")
	if err := os.WriteFile(file, []byte(src), 0o666); err != nil {
		t.Fatal(err)
	}
	s := sessionOf(nil, file)
	defer s.Close()
	var errs template.Errors
	if err := s.Load(t.Context(), false); err != nil && !errors.As(err, &errs) {
		t.Fatal(err)
	}
	return errs
}

// One slip in one option is one fault, whatever follows from it.
func TestOneSlipIsOneFault(t *testing.T) {
	for _, k := range knownOptions(t) {
		without := map[string]bool{} // what the rest of the template lacks
		for _, e := range faultsOf(t, k.asTemplate("null")) {
			without[e.Text] = true
		}
		slips := []string{`"{{nosuch}}"`, `"{{ user }}"`}
		switch k.typ.Kind() {
		case reflect.Map, reflect.Struct:
			if k.typ == reflect.TypeFor[steps.File]() {
				break
			}
			slips = []string{`"a text"`, `7`, `{"{{nosuch}}": "x"}`}
		case reflect.Slice:
			if k.typ.Elem().Kind() == reflect.Struct {
				slips = append(slips, `[7]`)
			}
			slips = append(slips, `["{{nosuch}}"]`, `[[]]`)
		case reflect.Bool, reflect.Pointer, reflect.Int, reflect.Int64, reflect.Float64:
			slips = append(slips, `"nothing of that kind"`, `[[]]`, `{"a": "b"}`)
		default:
			slips = append(slips, `["a list"]`, `{"a": "b"}`)
		}
		if k.typ == reflect.TypeFor[steps.File]() {
			slips = append(slips, `"nosuchfile"`)
		}
		if k.typ == reflect.TypeFor[time.Duration]() {
			slips = append(slips, `10`, `"10"`)
		}
		for _, slip := range slips {
			errs := faultsOf(t, k.asTemplate(slip))
			errs = slices.DeleteFunc(errs, func(e template.Error) bool { return without[e.Text] })
			if len(errs) != 1 {
				t.Errorf("%s of %s has %d faults:\n%v", slip, k, len(errs), errs)
			}
		}
	}
}

// offs are values that ask an option for nothing; those of all options, "", null, {} and [], are not repeated.
var offs = map[string][]string{
	"use_linux_pathing": {`false`, `0`},
	"formulas":          nil,
}

// What asks for nothing is never refused as something that is not supported, however it is written.
func TestOffIsSupported(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range knownOptions(t) {
		if !slices.Contains(strings.Split(k.words, ","), "unsupported") {
			continue
		}
		seen[k.path[0]] = true
		own, listed := offs[k.path[0]]
		if !listed {
			t.Errorf("%s is not supported, and not in the table of what asks for nothing", k)
		}
		values := slices.Concat([]string{`null`, `""`, `{}`, `[]`, `"{{user ` + "`empty`" + `}}"`}, own)
		for _, v := range own {
			if text := strings.Trim(v, `"`); v[0] != '{' {
				values = append(values, `"`+text+`"`, `"{{user `+"`v"+text+"`"+`}}"`)
			}
		}
		for _, v := range values {
			src := strings.Replace(k.asTemplate(v), "{", `{"variables": {"empty": "", "vfalse": false, "v0": 0, "v0.0": 0.0, "v0.00": "0.00", "v0s": "0s", "v0m": "0m"},`, 1)
			if errs := faultsOf(t, src); len(errs) > 0 {
				t.Errorf("%s for %s:\n%v", v, k, errs)
			}
		}
		on := map[reflect.Kind]string{reflect.Pointer: `"true"`, reflect.Bool: `1`, reflect.Int: `7`, reflect.Int64: `"1m"`, reflect.Slice: `["x"]`, reflect.Map: `{"a": "0"}`}[k.typ.Kind()]
		switch {
		case strings.HasSuffix(k.path[0], "_tag"):
			on = `[{"key": "a", "value": "b"}]`
		case on == "":
			on = `"0"`
		}
		if errs := faultsOf(t, k.asTemplate(on)); len(errs) != 1 || !strings.HasSuffix(errs[0].Text, k.path[0]+": not supported yet") {
			t.Errorf("%s for %s:\n%v", on, k, errs)
		}
	}
	if len(seen) != len(offs) {
		t.Errorf("%d options are not supported, and the table has %d", len(seen), len(offs))
	}
}

// toldOf are the faults and warnings of a template.
func toldOf(t *testing.T, src string) (told []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "t.json")
	if err := os.WriteFile(file, []byte(src), 0o666); err != nil {
		t.Fatal(err)
	}
	s := sessionOf(nil, file)
	defer s.Close()
	var errs template.Errors
	if err := s.Load(t.Context(), false); err != nil && !errors.As(err, &errs) {
		t.Fatal(err)
	}
	for _, e := range slices.Concat(errs, s.Warnings()) {
		told = append(told, e.Text)
	}
	return told
}

// A value that means "off" is taken for every option, as the option left out is: it is neither refused nor warned of.
func TestOffIsTaken(t *testing.T) {
	count := 0
	for _, k := range knownOptions(t) {
		var offs []string
		switch typ := k.typ; {
		case typ == reflect.TypeFor[steps.File](), typ.Kind() == reflect.String:
			offs = []string{`""`}
		case typ == reflect.TypeFor[time.Duration]():
			offs = []string{`"0s"`}
		case typ.Kind() == reflect.Bool, typ.Kind() == reflect.Pointer && typ.Elem().Kind() == reflect.Bool:
			offs = []string{`false`, `"false"`}
		case typ.Kind() == reflect.Int, typ.Kind() == reflect.Int64, typ.Kind() == reflect.Float64:
			offs = []string{`0`}
		case typ.Kind() == reflect.Slice:
			offs = []string{`[]`}
		case typ.Kind() == reflect.Map, typ.Kind() == reflect.Struct:
			offs = []string{`{}`}
		}
		if offs != nil {
			count++
		}
		without := toldOf(t, k.asTemplate("null"))
		for _, off := range offs {
			told := slices.DeleteFunc(toldOf(t, k.asTemplate(off)), func(text string) bool {
				return slices.Contains(without, text) || strings.HasSuffix(text, ": it is empty") // which has to be given
			})
			if len(told) > 0 {
				t.Errorf("%s for %s: %q", off, k, told)
			}
		}
	}
	t.Logf("%d options can be off", count)
}
