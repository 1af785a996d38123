package ec2local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A policy is one of IAM, as far as this endpoint knows its language. What it does not know
// is refused when the policy is read: it would allow, or deny, something else.
type policy struct {
	Version    string
	ID         string     `json:"Id"`
	Statements statements `json:"Statement"`
}

// statements are several, or one.
type statements []statement

type statement struct {
	Sid, Effect string
	Actions     texts                       `json:"Action"`
	Resources   texts                       `json:"Resource"`
	Conditions  map[string]map[string]texts `json:"Condition"`
}

// texts are several, or one. Bools are texts, too.
type texts []string

func (l *texts) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*l = texts{one}
		return nil
	}
	var truth bool
	if json.Unmarshal(raw, &truth) == nil {
		*l = texts{fmt.Sprint(truth)}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(l))
}

func (l *statements) UnmarshalJSON(raw []byte) error {
	one := bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
	if one {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode((*[]statement)(l))
}

// maxPolicy is how long a policy may be, in bytes: as long as all of a role's.
const maxPolicy = 64 << 10

func parsePolicy(raw []byte) (*policy, error) {
	p := &policy{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return nil, fmt.Errorf("this endpoint does not know %s in a policy", name)
		}
		return nil, fmt.Errorf("it is no policy in JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("it is no policy in JSON: something comes after it")
	}
	if p.Version != "2012-10-17" {
		return nil, fmt.Errorf("its Version is %q; this endpoint knows 2012-10-17", p.Version)
	}
	if len(p.Statements) == 0 {
		return nil, errors.New("it has no Statement")
	}
	for i, s := range p.Statements {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return p, nil
}

func (s statement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("its Effect is %q; it is Allow or Deny", s.Effect)
	case len(s.Actions) == 0 || len(s.Resources) == 0:
		return errors.New("it needs Action and Resource")
	}
	for _, a := range s.Actions {
		if service, name, _ := strings.Cut(a, ":"); a != "*" && (service == "" || name == "") {
			return fmt.Errorf("there is no action %q", a)
		}
	}
	for _, r := range s.Resources {
		if r != "*" && strings.Count(r, ":") < 5 {
			return fmt.Errorf("there is no resource %q", r)
		}
	}
	for operator, keys := range s.Conditions {
		if base, _, _ := plainOperator(operator); comparisons[base] == nil {
			return fmt.Errorf("this endpoint does not know the condition operator %q", operator)
		}
		for key, values := range keys {
			if !knownCondition(key) {
				return fmt.Errorf("this endpoint does not know the condition key %q", key)
			}
			if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "${") }) {
				return fmt.Errorf("this endpoint knows no variables, such as that of the condition key %q", key)
			}
		}
	}
	if slices.ContainsFunc(s.Resources, func(r string) bool { return strings.Contains(r, "${") }) {
		return errors.New("this endpoint knows no variables, such as those of its Resource")
	}
	return nil
}

// conditionKeys are those that demands have values for; one that ends in / has a tag's key
// behind that. They are compared without regard to case.
var conditionKeys = []string{
	"aws:requestedregion", "aws:requesttag/", "aws:resourcetag/", "aws:tagkeys", "ec2:createaction", "ec2:instancetype",
	"ec2-instance-connect:maxtunnelduration", "ec2-instance-connect:privateipaddress", "ec2-instance-connect:remoteport",
	"ec2:owner", "ec2:region", "ec2:resourcetag/", "iam:passedtoservice", "kms:resourcealiases", "kms:viaservice",
}

func knownCondition(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(conditionKeys, func(k string) bool {
		return key == k || strings.HasSuffix(k, "/") && strings.HasPrefix(key, k) && key != k
	})
}

// comparisons are the condition operators.
var comparisons = map[string]func(pattern, value string) bool{
	"StringEquals":              func(p, v string) bool { return p == v },
	"StringNotEquals":           func(p, v string) bool { return p == v },
	"StringEqualsIgnoreCase":    strings.EqualFold,
	"StringNotEqualsIgnoreCase": strings.EqualFold,
	"StringLike":                wild,
	"StringNotLike":             wild,
	"ArnEquals":                 wild,
	"ArnLike":                   wild,
	"Bool":                      strings.EqualFold,
	"NumericEquals":             func(p, v string) bool { return p == v }, // of whole numbers, as there are no others
	"Null":                      strings.EqualFold,
}

// plainOperator takes the name of an operator apart.
func plainOperator(name string) (base, set string, ifExists bool) {
	base = name
	if before, after, ok := strings.Cut(name, ":"); ok && (before == "ForAnyValue" || before == "ForAllValues") {
		set, base = before, after
	}
	base, ifExists = strings.CutSuffix(base, "IfExists")
	return base, set, ifExists
}

// A demand is what IAM asks about one call: may this action be done to this resource?
type demand struct {
	action   string              // ec2:RunInstances
	resource string              // its ARN, or *
	keys     map[string][]string // what conditions look at, by keys in small letters
}

func (d demand) text() string { return d.action + " on resource: " + d.resource }

// meets tells whether a statement speaks of a demand.
func (s statement) meets(d demand) bool {
	return slices.ContainsFunc(s.Actions, func(a string) bool { return wild(strings.ToLower(a), strings.ToLower(d.action)) }) &&
		slices.ContainsFunc(s.Resources, func(r string) bool { return r == "*" || wild(r, d.resource) }) &&
		s.holds(d)
}

// holds tells whether all conditions hold.
func (s statement) holds(d demand) bool {
	for operator, keys := range s.Conditions {
		base, set, ifExists := plainOperator(operator)
		for key, wanted := range keys {
			have, there := d.keys[strings.ToLower(key)]
			if base == "Null" {
				if fmt.Sprint(!there) != strings.ToLower(wanted[0]) {
					return false
				}
				continue
			}
			negative := strings.Contains(base, "Not")
			one := func(v string) bool {
				return slices.ContainsFunc(wanted, func(w string) bool { return comparisons[base](w, v) }) != negative
			}
			switch {
			case !there && (ifExists || negative || set == "ForAllValues"):
			case !there:
				return false
			case set == "ForAllValues" || negative && set == "":
				if slices.ContainsFunc(have, func(v string) bool { return !one(v) }) {
					return false
				}
			case !slices.ContainsFunc(have, one):
				return false
			}
		}
	}
	return true
}

// wild compares a text with a pattern that has * and ? as IAM has them.
func wild(pattern, text string) bool {
	star, mark := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// A verdict is how IAM decides about a demand.
type verdict int

const (
	unmentioned verdict = iota // nothing allows it
	allowed
	denied // something denies it
)

// judge decides by several policies, which count as one.
func judge(d demand, policies []*policy) verdict {
	v := unmentioned
	for _, p := range policies {
		for _, s := range p.Statements {
			switch {
			case !s.meets(d):
			case s.Effect == "Deny":
				return denied
			default:
				v = allowed
			}
		}
	}
	return v
}

// policing is the file of the policy that binds whoever has the key.
type policing struct {
	path string
	must bool // without the file nothing is served
	mu   sync.Mutex
	size int64
	at   time.Time
	now  *policy
}

// policy reads the file again if it is another than before. It is nil where there is none.
func (g *policing) policy() (*policy, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	info, err := os.Stat(g.path)
	if errors.Is(err, os.ErrNotExist) && !g.must {
		g.now = nil
		return nil, nil
	}
	if err == nil && g.now != nil && info.Size() == g.size && info.ModTime().Equal(g.at) {
		return g.now, nil
	}
	var p *policy
	if err == nil {
		p, err = readPolicy(g.path, info)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the policy %s: %w", g.path, err)
	}
	g.now, g.size, g.at = p, info.Size(), info.ModTime()
	return p, nil
}

func readPolicy(path string, info os.FileInfo) (*policy, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	if info.Size() > maxPolicy {
		return nil, fmt.Errorf("it is longer than %d KiB", maxPolicy>>10)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parsePolicy(raw)
}
