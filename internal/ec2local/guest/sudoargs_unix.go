//go:build unix

package guest

import (
	"fmt"
	"strings"
)

type sudoArgs struct {
	user                  string
	login, shell, keepAll bool
	nothing               bool // -v, -k, -K, -l: there is nothing to do
	keep, set, argv       []string
}

func parseSudo(args []string) (o sudoArgs, err error) {
	o.user = "root"
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		a := args[0]
		args = args[1:]
		if a == "--" {
			break
		}
		if v, ok := strings.CutPrefix(a, "--preserve-env="); ok {
			o.keep = append(o.keep, strings.Split(v, ",")...)
			continue
		}
		if v, ok := strings.CutPrefix(a, "--user="); ok {
			o.user = v
			continue
		}
		switch a {
		case "--user", "--group", "--prompt":
			a = "-" + a[2:3]
		case "--login":
			a = "-i"
		case "--shell":
			a = "-s"
		case "--preserve-env":
			a = "-E"
		case "--non-interactive", "--stdin", "--set-home", "--background", "--validate", "--reset-timestamp", "--remove-timestamp", "--list":
			a = map[string]string{"--non-interactive": "-n", "--stdin": "-S", "--set-home": "-H", "--background": "-b",
				"--validate": "-v", "--reset-timestamp": "-k", "--remove-timestamp": "-K", "--list": "-l"}[a]
		}
		for i := 1; i < len(a); i++ {
			switch c := a[i]; c {
			case 'n', 'S', 'H', 'A': // no password is ever asked
			case 'E':
				o.keepAll = true
			case 'i':
				o.login = true
			case 's':
				o.shell = true
			case 'v', 'K', 'l':
				o.nothing = true
			case 'k':
				o.nothing = len(args) == 0
			case 'u', 'g', 'p', 'C', 'h', 'r', 't':
				v := a[i+1:]
				if v == "" {
					if len(args) == 0 {
						return o, fmt.Errorf("option -%c needs a value", c)
					}
					v, args = args[0], args[1:]
				}
				if c == 'u' {
					o.user = v
				} else if c != 'p' {
					return o, fmt.Errorf("option -%c is not supported by the embedded EC2", c)
				}
				i = len(a)
			default:
				return o, fmt.Errorf("option %s is not supported by the embedded EC2", a)
			}
		}
	}
	for len(args) > 0 && strings.Contains(args[0], "=") && !strings.HasPrefix(args[0], "/") {
		o.set, args = append(o.set, args[0]), args[1:]
	}
	o.argv = args
	return o, nil
}

// dedup keeps the last of several settings of one name: programs differ in
// which they take.
func dedup(env []string) []string {
	last := map[string]int{}
	for i, e := range env {
		k, _, _ := strings.Cut(e, "=")
		last[k] = i
	}
	var out []string
	for i, e := range env {
		if k, _, _ := strings.Cut(e, "="); last[k] == i {
			out = append(out, e)
		}
	}
	return out
}
