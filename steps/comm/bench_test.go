package comm

import (
	"strings"
	"testing"
)

// The cost of a run that survives, against a bare command, on a live connection.
func BenchmarkRun(b *testing.B) {
	for _, shell := range shells {
		s := sshd(b, shell)
		b.Run("survives/"+shell, func(b *testing.B) {
			l := newLab(b, s.machine())
			for b.Loop() {
				t := dagTask(newToken(), l.sink)
				r, err := l.env.Remote(t, s.machine())
				if err != nil {
					b.Fatal(err)
				}
				j := l.job("echo hi")
				j.Token = t.Token
				if x, err := r.Run(b.Context(), j); err != nil || x != (Exit{}) {
					b.Fatal(x, err)
				}
			}
		})
		b.Run("bare/"+shell, func(b *testing.B) {
			l := newLab(b, s.machine())
			if _, _, err := l.remote.Exec(b.Context(), ":", nil); err != nil {
				b.Fatal(err)
			}
			k, err := l.env.conn(b.Context(), l.task, s.machine(), patience{})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				n, err := k.client.NewSession()
				if err != nil {
					b.Fatal(err)
				}
				n.Stdin = strings.NewReader("f=$(mktemp); cat >$f <<'X'\n#!/bin/sh\necho hi\nX\nchmod +x $f; $f; rm -f $f\n")
				if _, err := n.Output("sh -s"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Throughput of output, with every line kept.
func BenchmarkOutput(b *testing.B) {
	s := sshd(b, "dash")
	l := newLab(b, s.machine())
	const size = 16 << 20
	b.SetBytes(size)
	for b.Loop() {
		t := dagTask(newToken(), l.sink)
		r, _ := l.env.Remote(t, s.machine())
		j := Job{Token: t.Token, Command: "yes 'the quick brown fox jumps over the lazy dog 0123456789 abcdef' | head -c 16777216"}
		if _, err := r.Run(b.Context(), j); err != nil {
			b.Fatal(err)
		}
	}
}
