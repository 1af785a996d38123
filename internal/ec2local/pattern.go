package ec2local

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first needed. Whoever
// builds at AWS has this endpoint in the program, too, and would wait for what counts
// to 512 at each start.
type pattern func() *regexp.Regexp

func patternOf(expr string) pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func (p pattern) MatchString(s string) bool { return p().MatchString(s) }

func (p pattern) FindStringSubmatch(s string) []string { return p().FindStringSubmatch(s) }
