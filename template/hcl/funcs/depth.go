package funcs

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.yaml.in/yaml/v3"
)

// A parser of recursive descent takes some stack for each level of brackets and for each operator of an expression. People
// do not write as many as these.
const (
	MaxDepth     = 500 // of values, too: whatever looks at one takes stack for each level of it
	maxOperators = 5000
	maxParts     = 100_000 // of all texts: some that are soon written take long to be made, such as ${1}
)

var errDeep = fmt.Errorf("it is nested deeper than %d levels", MaxDepth)

// Limit is the extra of a diagnostic of a bound, which quotes nothing.
type Limit struct{}

// TooDeep finds where a file or an expression nests too deep, or strings too many operators together, before anything tries to follow.
func TooDeep(name string, src []byte) *hcl.Diagnostic {
	if d := tooMany(name, src); d != nil {
		return d
	}
	for n := 16 << 10; n < len(src); n *= 8 { // tokens take a hundred times the text: what is too deep is mostly so at its beginning
		tokens, _ := hclsyntax.LexConfig(src[:n], name, hcl.InitialPos)
		if d := tooDeep(tokens); d != nil {
			return d
		}
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	return tooDeep(tokens)
}

// tooDeepText does the same for a text with ${…} in it.
func tooDeepText(name string, src []byte) *hcl.Diagnostic {
	switch n := parts(src); {
	case n == 0:
		return nil
	case n > maxParts:
		return tooMany(name, src)
	}
	tokens, _ := hclsyntax.LexTemplate(src, name, hcl.InitialPos)
	return tooDeep(tokens)
}

// parts counts what is to be filled in.
func parts(src []byte) int { return bytes.Count(src, []byte("${")) + bytes.Count(src, []byte("%{")) }

// tooMany finds that there is more of it than anybody writes.
func tooMany(name string, src []byte) *hcl.Diagnostic {
	if parts(src) <= maxParts {
		return nil
	}
	return &hcl.Diagnostic{Severity: hcl.DiagError, Extra: Limit{}, Summary: "Too many parts", Detail: fmt.Sprintf("it has more than %d ${…} and %%{…}", maxParts),
		Subject: &hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}}
}

func tooDeep(tokens hclsyntax.Tokens) *hcl.Diagnostic {
	depth, operators := 0, 0
	before := hclsyntax.TokenNewline
	for i := range tokens {
		t := &tokens[i]
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp,
			hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			depth++
			if t.Type == hclsyntax.TokenOBrack && (before == hclsyntax.TokenIdent || before == hclsyntax.TokenCBrack || before == hclsyntax.TokenCParen) {
				operators++ // an index of what stands before it
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd,
			hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			depth--
		case hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent,
			hclsyntax.TokenBang, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual,
			hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq,
			hclsyntax.TokenQuestion:
			operators++
		case hclsyntax.TokenNewline, hclsyntax.TokenComma:
			operators = 0
		}
		before = t.Type
		if depth > MaxDepth || operators > maxOperators {
			what := fmt.Sprintf("more than %d brackets or quotes lie inside each other", MaxDepth)
			if operators > maxOperators {
				what = fmt.Sprintf("an expression has more than %d operators in a row", maxOperators)
			}
			return &hcl.Diagnostic{Severity: hcl.DiagError, Extra: Limit{}, Summary: "Too deep", Detail: what, Subject: t.Range.Ptr()}
		}
	}
	return nil
}

// TooDeepJSON does the same for a template in JSON, whose texts are read for ${…}, too.
func TooDeepJSON(name string, src []byte) *hcl.Diagnostic {
	d := tooMany(name, src)
	if d != nil {
		return d
	}
	at := scanJSON(src, func(text []byte) bool {
		var plain string
		if json.Unmarshal(text, &plain) == nil {
			d = tooDeepText(name, []byte(plain))
		}
		return d == nil
	})
	if at < 0 {
		return nil
	}
	if d == nil {
		d = &hcl.Diagnostic{Severity: hcl.DiagError, Extra: Limit{}, Summary: "Too deep", Detail: fmt.Sprintf("more than %d brackets lie inside each other", MaxDepth)}
	}
	pos := hcl.Pos{Line: 1 + bytes.Count(src[:at], []byte("\n")), Column: 1, Byte: at}
	d.Subject = &hcl.Range{Filename: name, Start: pos, End: pos}
	return d
}

// scanJSON returns where JSON nests too deep, or where a text stands that is refused, or -1.
func scanJSON(src []byte, text func([]byte) bool) int {
	depth, begin := 0, -1
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case begin >= 0:
			if c == '\\' {
				i++
			} else if c == '"' {
				if !text(src[begin : i+1]) {
					return begin
				}
				begin = -1
			}
		case c == '"':
			begin = i
		case c == '[' || c == '{':
			if depth++; depth > MaxDepth {
				return i
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return -1
}

// decodes are the functions that make values of texts which may come from anywhere, with what says whether a text can be decoded.
var decodes = map[string]func(src []byte) error{
	"jsondecode": func(src []byte) error {
		if scanJSON(src, func([]byte) bool { return true }) >= 0 {
			return errDeep
		}
		return nil
	},
	"yamldecode": boundedYAML,
}

const mostAliased = 100_000 // values that the aliases of a YAML text stand for

// boundedYAML refuses what nests too deep, or has aliases of aliases that stand for more than fits into memory. Parsing alone
// is bounded, and follows no alias.
func boundedYAML(src []byte) error {
	var root yaml.Node
	if err := yaml.Unmarshal(src, &root); err != nil {
		return err
	}
	type extent struct{ depth, values int }
	known := map[*yaml.Node]extent{}
	aliased := 0
	var measure func(n *yaml.Node) extent
	measure = func(n *yaml.Node) extent {
		if n.Kind == yaml.AliasNode {
			e := known[n.Alias] // nothing if the alias is inside of what it stands for, which the decoder refuses
			aliased = min(aliased+e.values, mostAliased+1)
			return e
		}
		e := extent{values: 1}
		if n.Kind != yaml.ScalarNode {
			e.depth = 1
		}
		for _, c := range n.Content {
			inner := measure(c)
			e.depth, e.values = max(e.depth, inner.depth+1), min(e.values+inner.values, mostAliased+1)
		}
		if n.Anchor != "" {
			known[n] = e
		}
		return e
	}
	switch e := measure(&root); {
	case e.depth > MaxDepth+1: // the document is a node, too
		return errDeep
	case aliased > mostAliased:
		return fmt.Errorf("its aliases stand for more than %d values", mostAliased)
	}
	return nil
}
