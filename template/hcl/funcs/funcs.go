package funcs

import (
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// World is what functions know besides their arguments.
type World struct {
	Dir  string // the template's folder; relative paths of files begin there, as in Packer
	Cwd  string // the working directory, where abspath begins
	Home string // what ~ stands for

	// Files says where a file is to be read that lies at an absolute path; nil: there.
	Files func(path string) string

	Now    time.Time // the run's instant
	Random io.Reader // for uuidv4
	Rounds *Rounds   // of for expressions, those of templatefile, too

	Ask func(function string, args []string) (cty.Value, error) // what a function that asks yields
}

// New returns the functions by name.
func New(w World) map[string]function.Function {
	fs := map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "log": stdlib.LogFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc,
		"signum": stdlib.SignumFunc, "sum": sum,

		"chomp": stdlib.ChompFunc, "endswith": endsWith, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc,
		"indent": stdlib.IndentFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex": stdlib.RegexFunc,
		"regexall": stdlib.RegexAllFunc, "regex_replace": stdlib.RegexReplaceFunc, "replace": stdlib.ReplaceFunc,
		"reverse": stdlib.ReverseListFunc, "split": stdlib.SplitFunc, "startswith": startsWith, "strcontains": contains,
		"strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc,
		"upper": stdlib.UpperFunc,

		"alltrue": allTrue, "anytrue": anyTrue, "chunklist": stdlib.ChunklistFunc, "coalesce": coalesce,
		"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc,
		"contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc,
		"flatten": stdlib.FlattenFunc, "index": index, "keys": stdlib.KeysFunc, "length": length, "lookup": lookup,
		"merge": stdlib.MergeFunc, "range": stdlib.RangeFunc, "setintersection": stdlib.SetIntersectionFunc,
		"setproduct": stdlib.SetProductFunc, "setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc,
		"sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,

		"base64decode": base64Decode, "base64encode": base64Encode, "base64gzip": base64Gzip,
		"csvdecode": stdlib.CSVDecodeFunc, "jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"textdecodebase64": textDecodeBase64, "textencodebase64": textEncodeBase64, "urlencode": urlEncode,
		"yamldecode": yaml.YAMLDecodeFunc, "yamlencode": yaml.YAMLEncodeFunc,

		"abspath": w.absPath(), "basename": baseName, "dirname": dirName, "pathexpand": w.pathExpand(),
		"file": w.file(), "filebase64": w.fileBase64(), "fileexists": w.fileExists(), "fileset": w.fileSet(),

		"formatdate": stdlib.FormatDateFunc, "timeadd": stdlib.TimeAddFunc, "timestamp": w.timestamp(),
		"legacy_isotime": w.isotime(), "legacy_strftime": w.strftime(),
		"rfc3339_parse": rfc3339Parse, "unix_timestamp_parse": unixParse,

		"bcrypt": bcryptHash, "md5": md5Sum, "rsadecrypt": rsaDecrypt, "sha1": sha1Sum, "sha256": sha256Sum,
		"sha512": sha512Sum, "uuidv4": w.uuidv4(), "uuidv5": uuidv5,

		"cidrhost": cidrHost, "cidrnetmask": cidrNetmask, "cidrsubnet": cidrSubnet, "cidrsubnets": cidrSubnets,

		"env": Env(nil),
	}
	for name, f := range fs {
		fs[name] = guarded(name, f)
	}
	for name := range asking {
		fs[name] = w.asking(name)
	}
	// These take expressions in place of values.
	fs["can"], fs["convert"], fs["try"] = tryfunc.CanFunc, typeexpr.ConvertFunc, tryfunc.TryFunc
	// A file that is a template may call all functions but this one, so that none includes itself.
	fs["templatefile"] = guarded("templatefile", w.templateFile(maps.Clone(fs)))
	return fs
}

// text makes a function of texts that yields one.
func text(impl func(args []string) (string, error), names ...string) function.Function {
	return of(cty.String, func(args []cty.Value) (cty.Value, error) {
		texts := make([]string, len(args))
		for i, a := range args {
			texts[i] = a.AsString()
		}
		s, err := impl(texts)
		return cty.StringVal(s), err
	}, params(cty.String, names...)...)
}

// of makes a function with a result of one type.
func of(result cty.Type, impl func(args []cty.Value) (cty.Value, error), params ...function.Parameter) function.Function {
	return function.New(&function.Spec{
		Params: params,
		Type:   function.StaticReturnType(result),
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return impl(args) },
	})
}

func params(t cty.Type, names ...string) []function.Parameter {
	ps := make([]function.Parameter, len(names))
	for i, n := range names {
		ps[i] = function.Parameter{Name: n, Type: t}
	}
	return ps
}

// Env is the function env, which is known only in the defaults of variables; elsewhere getenv is nil, and a call says so.
func Env(getenv func(name string) string) function.Function {
	return text(func(a []string) (string, error) {
		if getenv == nil {
			return "", fmt.Errorf(`env may be called only in the default of a variable: declare one with default = env(%q), and use that`, a[0])
		}
		return getenv(a[0]), nil
	}, "name")
}

// Early are the functions that the defaults of variables may call: env, and those that say why they cannot be.
func Early(getenv func(name string) string) map[string]function.Function {
	fs := map[string]function.Function{"env": Env(getenv)}
	for name := range asking {
		fs[name] = World{Ask: func(string, []string) (cty.Value, error) {
			return cty.NilVal, fmt.Errorf("the default of a variable is known before anything is asked: call %s in a local", name)
		}}.asking(name)
	}
	return fs
}
