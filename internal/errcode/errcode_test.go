package errcode

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	inner := With(ScriptFailed, io.EOF)
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, ""},
		{io.EOF, ""},
		{inner, ScriptFailed},
		{fmt.Errorf("cannot: %w", inner), ScriptFailed},
		{With(TimedOut, fmt.Errorf("cannot: %w", inner)), TimedOut},
		{With("", fmt.Errorf("cannot: %w", inner)), ScriptFailed},
		{&coded{inner, ""}, ScriptFailed}, // one that cannot say passes it on
		{errors.Join(io.EOF, inner), ScriptFailed},
	} {
		if got := Of(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if err := With(TimedOut, nil); err != nil {
		t.Errorf("no failure has become %v", err)
	}
	if err := With(TimedOut, inner); !errors.Is(err, io.EOF) || err.Error() != "EOF" {
		t.Errorf("a code has changed the failure: %v", err)
	}
}

func TestTable(t *testing.T) {
	seen := map[Code]bool{}
	for _, i := range Table {
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(string(i.Code)) || seen[i.Code] {
			t.Errorf("%q is no code, or is there twice", i.Code)
		}
		seen[i.Code] = true
		for _, text := range []string{i.Summary, i.Means, i.Do} {
			if len(strings.Fields(text)) < 3 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s is not told in sentences: %q", i.Code, text)
			}
		}
		if got, ok := Lookup(i.Code); !ok || got != i {
			t.Errorf("%s is not found", i.Code)
		}
	}
}
