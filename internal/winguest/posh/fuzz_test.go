package posh

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// FuzzParse: whatever the text is, parsing ends, without a panic.
func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.Script)
	}
	f.Add("\"$(\"$(\"$(")
	f.Add("@{a=@(1,{param([int]$x=(2))})}[0].b::c(1,2)++")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			return
		}
		from := time.Now()
		_, err := parse(text, "", false)
		var pe *parseError
		if err != nil && !errors.As(err, &pe) && !errors.Is(err, ErrOutside) {
			t.Errorf("%q: %v", text, err)
		}
		if pe != nil && (pe.Error() == "" || pe.id == "") {
			t.Errorf("%q: an error without words", text)
		}
		if d := time.Since(from); d > 10*time.Second {
			t.Errorf("%q takes %v", text, d)
		}
	})
}

// FuzzRun: whatever the script is, running it ends, without a panic.
func FuzzRun(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.Script)
	}
	for _, c := range []string{"$a = 1; while (1) { $a += $a }", "function f { f }; f", "1..100000 | % { 1..100000 }", "[string]::new('x', 100) * 100000"} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 || strings.Contains(text, "wait") {
			return
		}
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		b := newBox(t)
		o := b.o
		o.Env, o.Stdin, o.Stdout, o.Stderr, o.steps = o.Env.Clone(), strings.NewReader("a\nb\n"), io.Discard, io.Discard, 5000
		done := make(chan bool)
		go func() {
			defer close(done)
			Main(ctx, o, []string{"-Command", text})
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%q does not end", text)
		}
	})
}
