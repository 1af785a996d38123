package comm

import (
	"encoding/pem"
	"io"
	"os"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	for _, g := range []GenerateKey{{}, {Type: "rsa", Bits: 2048}} {
		l := newLab(t, s.machine())
		k, err := g.Do(t.Context(), l.env, l.task)
		if err != nil {
			t.Fatal(err)
		}
		again, err := g.Do(t.Context(), l.env, l.task)
		if err != nil || again != k {
			t.Errorf("%+v, want %+v: %v", again, k, err)
		}
		b, err := l.env.vault.Get(k.Secret)
		if block, _ := pem.Decode(b); err != nil || block == nil || block.Type != "OPENSSH PRIVATE KEY" {
			t.Errorf("%v", err)
		}
		auth, _ := os.OpenFile(s.key+".pub", os.O_APPEND|os.O_WRONLY, 0)
		io.WriteString(auth, k.Public+"\n")
		auth.Close()
		m := s.machine()
		m.SSH.PrivateKeyFile = ""
		if _, err := connect(t, l, Connect{SSH: m.SSH, Key: dag.Lit(k)}, m.Endpoint); err != nil {
			t.Error(err)
		}
	}
	l := newLab(t, s.machine())
	for _, g := range []GenerateKey{{Type: "dsa"}, {Type: "rsa", Bits: 1024}} {
		if _, err := g.Do(t.Context(), l.env, l.task); err == nil {
			t.Errorf("%+v is no error", g)
		}
	}
}
