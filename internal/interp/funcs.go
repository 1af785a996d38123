package interp

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"
)

// PackerVersion is the version whose template language this one follows, and what the function
// packer_version yields.
const PackerVersion = "1.16.0"

// pure are the functions that need nothing but their arguments, so both passes have them. The ones of
// text/template that look into a text stand here too, to work on real values instead of on markers.
// Each returns an error last.
var pure = map[string]any{
	"upper":               func(s string) (string, error) { return strings.ToUpper(s), nil },
	"lower":               func(s string) (string, error) { return strings.ToLower(s), nil },
	"replace":             replace,
	"replace_all":         func(old, new, s string) (string, error) { return replace(old, new, -1, s) },
	"split":               split,
	"clean_resource_name": func(s string) (string, error) { return cleanResourceName(s), nil },
	"sed": func(...any) (string, error) {
		return "", errors.New("sed was removed from the template language: use replace or replace_all")
	},
	"html":     func(a ...any) (string, error) { return template.HTMLEscaper(a...), nil },
	"js":       func(a ...any) (string, error) { return template.JSEscaper(a...), nil },
	"urlquery": func(a ...any) (string, error) { return template.URLQueryEscaper(a...), nil },
	"printf":   printf,
	"len":      length,
	"eq": func(a any, more ...any) (bool, error) {
		return slices.ContainsFunc(more, func(b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }), nil
	},
	"ne": func(a, b any) (bool, error) { return fmt.Sprint(a) != fmt.Sprint(b), nil },
}

// builtin are the functions that text/template brings itself and that are left as they are.
var builtin = []string{"and", "or", "not", "lt", "le", "gt", "ge", "index", "slice", "print", "println"}

// joining are functions that put their arguments together unchanged, so markers may pass through them.
var joining = map[string]any{
	"print":   func(a ...any) (string, error) { return fmt.Sprint(a...), nil },
	"println": func(a ...any) (string, error) { return fmt.Sprintln(a...), nil },
}

// earlyOnly are the functions that only the early pass knows.
var earlyOnly = []string{"user", "env", "build_name", "build_type", "timestamp", "isotime", "strftime", "uuid",
	"pwd", "template_dir", "packer_version", "consul_key", "vault", "aws_secretsmanager", "aws_secretsmanager_raw"}

// asking are those of them that ask a server for a secret.
var asking = earlyOnly[len(earlyOnly)-4:]

// ErrSensitive refuses to ask with a secret.
var ErrSensitive = bare("its arguments say in plans what is looked up, so they cannot be sensitive")

// renamed says what became of a function of older templates.
var renamed = map[string]string{"clean_ami_name": "clean_resource_name", "clean_image_name": "clean_resource_name"}

func names() []string {
	all := slices.Concat(slices.Collect(maps.Keys(pure)), builtin, earlyOnly, []string{"build"})
	slices.Sort(all)
	return all
}

func split(s, sep string, n int) (string, error) {
	parts := strings.Split(s, sep)
	if n < 0 || n >= len(parts) {
		return "", fmt.Errorf("split has no piece %d: there are %d, counted from 0", n, len(parts))
	}
	return parts[n], nil
}

// cleanResourceName replaces each byte that EC2 does not take in an image name by a dash.
func cleanResourceName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') && !strings.ContainsRune("()[] ./-'@_", rune(c)) {
			b[i] = '-'
		}
	}
	return string(b)
}

func length(a any) (int, error) {
	v := reflect.ValueOf(a)
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Array, reflect.Map:
		return v.Len(), nil
	}
	return 0, fmt.Errorf("len needs a text, a list or a map")
}

// funcs are all functions of the early pass.
func (e *Env) funcs() map[string]any {
	fs := map[string]any{}
	for name, fn := range pure {
		fs[name] = sealed(name, fn, e.Secrets)
	}
	for name, fn := range joining {
		fs[name] = passing(fn)
	}
	fs["user"] = func(name string) (string, error) {
		source, err := e.user(name)
		if err != nil {
			return "", err
		}
		text, err := Plain(source)
		if err != nil {
			return "", fmt.Errorf("the variable %s holds a build-time value, which no function can change: use {{user `%s`}} by itself", name, name)
		}
		return text, nil
	}
	fs["env"] = func(name string) (string, error) {
		if e.Getenv == nil {
			return "", &hinted{errors.New("env is available only in the variables section"),
				fmt.Sprintf("declare a variable with the value {{env `%s`}} and use that", name)}
		}
		return e.Getenv(name), nil
	}
	fs["build_name"] = func() (string, error) { return e.ofBuild("build_name", e.BuildName) }
	fs["build_type"] = func() (string, error) { return e.ofBuild("build_type", e.BuildType) }
	fs["timestamp"] = func() int64 { return e.Clock.Unix() }
	fs["isotime"] = func(layout ...string) (string, error) {
		switch len(layout) {
		case 0:
			return e.Clock.UTC().Format(time.RFC3339), nil
		case 1:
			return e.Clock.UTC().Format(layout[0]), nil
		}
		return "", fmt.Errorf("isotime takes one layout, not %d", len(layout))
	}
	fs["strftime"] = func(format string) string { return Strftime(format, e.Clock.UTC()) }
	fs["uuid"] = func() (string, error) {
		if e.UUID == nil {
			return "", errors.New("uuid is not available here")
		}
		return e.UUID(), nil
	}
	fs["pwd"] = func() string { return e.Cwd }
	fs["template_dir"] = func() string { return e.Dir }
	fs["packer_version"] = func() string { return PackerVersion }
	for _, name := range asking {
		fs[name] = func(args ...string) (string, error) {
			switch {
			case e.Ask == nil:
				return "", &hinted{fmt.Errorf("%s is available only in the variables section", name),
					fmt.Sprintf("declare a variable with the value {{%s …}} and use that", name)}
			case slices.ContainsFunc(args, Marked):
				return "", ErrSensitive
			}
			return e.Ask(name, args...)
		}
	}
	return fs
}

func (e *Env) user(name string) (string, error) {
	if e.User == nil {
		return "", errors.New("user is not available here")
	}
	return e.User(name)
}

func (e *Env) ofBuild(function, value string) (string, error) {
	if value == "" {
		return "", fmt.Errorf("%s is known only inside builders, provisioners and post-processors", function)
	}
	return value, nil
}

// hinted is an error that knows what to do about it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Hint() string { return h.hint }
