package comm

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/quote"
)

func TestClearKeys(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	home := t.TempDir()
	os.Mkdir(home+"/.ssh", 0o700)
	l := newLab(t, s.machine())
	k, err := GenerateKey{}.Do(t.Context(), l.env, l.task)
	if err != nil {
		t.Fatal(err)
	}
	file := home + "/.ssh/authorized_keys"
	os.WriteFile(file, []byte(s.host+" other\n"+k.Public+"\n# end\n"), 0o600)
	out, x, err := l.remote.Exec(t.Context(), "HOME="+quote.Sh(home)+"\n"+clearKeys, strings.NewReader(strings.Fields(k.Public)[1]+"\n"))
	if err != nil || x.Code != 0 {
		t.Fatal(string(out), x, err)
	}
	if b, _ := os.ReadFile(file); string(b) != s.host+" other\n# end\n" {
		t.Errorf("%q", b)
	}
	out, err = json.Marshal(ClearKeys{On: dag.Lit(s.machine()).Take(), Key: dag.Lit(k)})
	if err != nil || strings.Contains(string(out), "PRIVATE") {
		t.Error(err)
	}
	m, err := ClearKeys{On: dag.Lit(s.machine()).Take(), Key: dag.Lit(k)}.Do(t.Context(), l.env, l.task)
	if err != nil || m.Port != s.port {
		t.Error(m, err)
	}
}
