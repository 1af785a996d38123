package winguest

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// regExe is reg.exe: add, query and delete.
func regExe(_ context.Context, p *Proc) int {
	if len(p.Args) == 0 {
		return p.refuse("it needs one of: add, query, delete")
	}
	verb := strings.ToLower(p.Args[0])
	flags := map[string]string{"add": "ve f reg:64", "query": "ve s reg:64", "delete": "ve va f reg:64"}[verb]
	if flags == "" {
		return p.refuse("reg %s is not supported here: known are add, query and delete", verb)
	}
	opts, rest, err := valued(p.Args[1:], flags)
	if err != nil {
		return p.refuse("reg %s: %v", verb, err)
	}
	if len(rest) != 1 {
		return p.refuse("reg %s takes one key, not %q", verb, rest)
	}
	delete(opts, "reg:64")
	r := p.Machine.Registry(p.Login)
	path := rest[0]
	root, below, _ := strings.Cut(path, `\`)
	full, ok := map[string]string{"hklm": "HKEY_LOCAL_MACHINE", "hkcu": "HKEY_CURRENT_USER", "hkcr": "HKEY_CLASSES_ROOT", "hku": "HKEY_USERS", "hkcc": "HKEY_CURRENT_CONFIG"}[strings.ToLower(root)]
	if !ok {
		full = strings.ToUpper(root)
	}
	shown := strings.TrimSuffix(full+`\`+below, `\`)
	name, named := opts["v"]
	if has(opts, "ve") {
		name, named = "", true
	}
	delete(opts, "v")
	switch verb {
	case "add":
		return regAdd(p, r, path, name, named, opts)
	case "query":
		return regQuery(p, r, path, shown, name, named, opts)
	}
	all, force := has(opts, "va"), has(opts, "f")
	if o := anyOf(opts); o != "" {
		return p.unsupported(o, "are /v /ve /va /f")
	}
	if !force && !p.sure("Delete "+shown) {
		return 1
	}
	switch {
	case named:
		err = r.DeleteValue(path, name)
	case all:
		var vs []Value
		vs, err = r.Values(path)
		for _, v := range vs {
			if err == nil {
				err = r.DeleteValue(path, v.Name)
			}
		}
	default:
		err = r.Delete(path, true)
	}
	return regDone(p, err)
}

// sure asks, and takes silence for no.
func (p *Proc) sure(what string) bool {
	p.say("%s (Yes/No)? ", what)
	yes := strings.HasPrefix(p.answer(), "y")
	p.say("\n")
	if !yes {
		p.complain("ERROR: Nobody answered with yes: nothing was changed. /f does not ask.")
	}
	return yes
}

func regDone(p *Proc, err error) int {
	switch CodeOf(err) {
	case 0:
		p.say("The operation completed successfully.\n")
		return 0
	case FileNotFound:
		p.complain("ERROR: The system was unable to find the specified registry key or value.")
	case PathNotFound:
		p.complain("ERROR: Invalid key name.")
	default:
		p.complain("ERROR: %v", CodeOf(err))
	}
	return 1
}

func regAdd(p *Proc, r Registry, path, name string, named bool, opts map[string]string) int {
	force := has(opts, "f")
	kind, typed := opts["t"]
	data, given := opts["d"]
	sep, separated := opts["s"]
	for _, o := range []string{"t", "d", "s"} {
		delete(opts, o)
	}
	if o := anyOf(opts); o != "" {
		return p.unsupported(o, "are /v /ve /t /d /s /f")
	}
	if !named && (typed || given || separated) {
		named = true // the default value
	}
	v := Value{Name: name, Kind: String}
	if typed {
		v.Kind = Kind(strings.ToUpper(kind))
	}
	if !separated {
		sep = `\0`
	}
	if err := v.parse(data, sep); err != nil {
		p.complain("ERROR: %v", err)
		return 1
	}
	if named && !force {
		if _, err := r.Get(path, name); err == nil && !p.sure("Value "+name+" exists, overwrite") {
			return 1
		}
	}
	err := r.Make(path)
	if err == nil && named {
		err = r.Set(path, v)
	}
	return regDone(p, err)
}

// parse reads the data of a value as reg takes it.
func (v *Value) parse(data, sep string) error {
	var err error
	switch v.Kind {
	case String, ExpandString:
		v.Text = data
	case MultiString:
		if data != "" {
			v.Multi = strings.Split(strings.TrimSuffix(data, sep), sep)
		}
	case DWord, QWord:
		bits := 32
		if v.Kind == QWord {
			bits = 64
		}
		if data != "" {
			v.Number, err = strconv.ParseUint(data, 0, bits)
		}
	case Binary:
		v.Bytes, err = hex.DecodeString(data)
	default:
		return fmt.Errorf("the type %s is not supported here: known are REG_SZ, REG_EXPAND_SZ, REG_MULTI_SZ, REG_DWORD, REG_QWORD and REG_BINARY", v.Kind)
	}
	if err != nil {
		return fmt.Errorf("%q is no value of the type %s", data, v.Kind)
	}
	return nil
}

func regQuery(p *Proc, r Registry, path, shown, name string, named bool, opts map[string]string) int {
	deep := has(opts, "s")
	if o := anyOf(opts); o != "" {
		return p.unsupported(o, "are /v /ve /s")
	}
	found := false
	var walk func(path, shown string) error
	walk = func(path, shown string) error {
		vs, err := r.Values(path)
		if err != nil {
			return err
		}
		var lines []string
		for _, v := range vs {
			if named && !strings.EqualFold(v.Name, name) {
				continue
			}
			label := v.Name
			if label == "" {
				label = "(Default)"
			}
			lines = append(lines, fmt.Sprintf("    %s    %s    %s\n", label, v.Kind, v.String()))
		}
		if len(lines) > 0 || !named && deep {
			found = true
			p.say("\n%s\n%s", shown, strings.Join(lines, ""))
		}
		keys, err := r.Keys(path)
		if err != nil {
			return err
		}
		if !deep && !named {
			p.say("\n")
			for _, k := range keys {
				found = true
				p.say("%s\\%s\n", shown, k)
			}
		}
		if deep {
			for _, k := range keys {
				if err := walk(path+`\`+k, shown+`\`+k); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(path, shown); err != nil {
		return regDone(p, err)
	}
	switch {
	case named && !found && !deep:
		return regDone(p, FileNotFound)
	case deep && named:
		p.say("\nEnd of search.\n")
	default:
		p.say("\n")
	}
	if named && !found {
		return 1
	}
	return 0
}
