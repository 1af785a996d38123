package posh

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// What one operation may take has bounds, and past them no script goes on.
func TestRegexBounds(t *testing.T) {
	b := newBox(t)
	const late = "it takes too long"
	for _, c := range []struct{ name, script, want string }{
		{"a match that backtracks for ever", `('a' * 40 + 'b') -match '^(a+)+$'`, late},
		{"a replacement", `('a' * 40 + 'b') -replace '^(a+)+$', 'x'`, late},
		{"a split", `('a' * 40 + 'b') -split '^(a+)+$'`, late},
		{"many short matches, each within the time", `('a' * 3mb) -replace 'a(?=(a?){300})', 'x'`, late},
		{"[regex]", `[regex]::Matches('a' * 40 + 'b', '^(a|aa)+$')`, late},
		{"Select-String", `'a' * 40 + 'b' | Select-String '^(a+)+$'`, late},
		{"switch", `switch -Regex ('a' * 40 + 'b') { '^(a+)+$' { 1 } }`, late},
		{"a stack that grows without text", `'z' -match '(?:(?:a?b?c?d?){1000}){1000000}'`, late},
		{"a long text", `('a' * 5mb) -match 'a'`, "on a text of more than 4194304 characters"},
		{"a long pattern", `'a' -match ('a' * 70kb)`, "more than 65536 characters"},
		{"options that are not .NET's", `'a' -match '(?i-d:a)'`, "the options within"},
	} {
		if b.o.matchTime = 0; c.want == late { // on a busy machine everything else may be, too
			b.o.matchTime = 300 * time.Millisecond
		}
		r := b.run("-Command", "try { "+c.script+" } catch { 'caught' }\n'on'")
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, ErrOutside.Error()) || !strings.Contains(strings.Join(strings.Fields(r.err), " "), c.want) {
			t.Errorf("%s: code %d, out %q, err %q", c.name, r.code, r.out, r.err)
		}
	}
	// An error of .NET's, which scripts may catch.
	b.o.matchTime = 0
	if r := b.run("-Command", "try { $null = 'abcdefghijkl' -replace 'b', ('$_' * 25mb) } catch { ''+$_.Exception }"); !strings.Contains(r.out, "OutOfMemoryException") {
		t.Errorf("%.300s %.300s", r.out, r.err)
	}
}

// Patterns nest as deep as their length lets them, and none ends the process.
func TestRegexDepth(t *testing.T) {
	b := newBox(t)
	for _, s := range []string{
		`'a' -match (('(' * 30000) + 'a' + (')' * 30000))`,
		`'a' -match (('(?:' * 13000) + 'a' + (')*' * 13000))`,
		`'a' -match (('(?=' * 15000) + 'a' + (')' * 15000))`,
		`'b' -match (('[a-c-' * 10000) + '[b]' + (']' * 10000))`,
		`'a' -match ('(?(a)' * 10000)`,
		`'a' -match ('(?<n' * 10000)`,
		`'a' -match (('a|' * 30000) + 'b')`,
	} {
		if r := b.run("-Command", "try { "+s+" } catch { 'caught' }"); r.out == "" {
			t.Errorf("%s: %.300q", s, r.err)
		}
	}
}

// What a long text has needed is not kept with the pattern.
func TestRegexKeepsLittle(t *testing.T) {
	p := mustPattern(t)
	size := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := size()
	if f, err := p.s.first(p.p, strings.Repeat("ab", 1<<17)); err != nil || f == nil {
		t.Fatal(f, err)
	}
	after := size()
	runtime.KeepAlive(p)
	if after > before+4<<20 {
		t.Errorf("%d MiB are kept", (after-before)>>20)
	}
}

type held struct {
	s *shell
	p *pattern
}

func mustPattern(t *testing.T) held {
	s := newShell(t.Context(), Options{Machine: newTestMachine(t.TempDir())})
	t.Cleanup(s.close)
	p, err := s.pattern("(?:a|b)*", false, 0)
	if err != nil {
		t.Fatal(err)
	}
	return held{s, p}
}
