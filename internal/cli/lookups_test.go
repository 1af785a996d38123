package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/imgflow/imgflow/state"
)

// TestAKilledLookupGoesOn kills the program between two rounds of lookups: when a data source is asked whose address is what
// another one has answered. A resume does not ask the first again, whose answer would be another by now.
func TestAKilledLookupGoesOn(t *testing.T) {
	var first, second atomic.Int32
	asked, over := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/first":
			w.Write([]byte(strings.Repeat("x", int(first.Add(1)))))
		case "/x":
			if second.Add(1) == 1 {
				close(asked)
				<-over // nobody answers before the kill
				return
			}
			w.Write([]byte("the answer"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	d := newDesk(t)
	template := `
data "http" "first" {
  url = "` + server.URL + `/first"
}
data "http" "second" {
  url = "` + server.URL + `/${data.http.first.body}"
}
source "file" "note" {
  target  = "note.txt"
  content = upper(data.http.second.body)
}
build {
  sources = ["file.note"]
}
`
	if err := os.WriteFile(filepath.Join(d.dir, "note.pkr.hcl"), []byte(template), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := d.command("run", "note.pkr.hcl")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-asked:
	case err := <-ended:
		t.Fatalf("it ends before the second is asked: %v", err)
	}
	cmd.Process.Kill()
	<-ended
	close(over)
	if out, code := d.do("resume"); code != 0 {
		t.Fatalf("resume: %d\n%s", code, out)
	}
	note, err := os.ReadFile(filepath.Join(d.dir, "note.txt"))
	if err != nil || string(note) != "THE ANSWER" {
		t.Errorf("written %q, %v", note, err)
	}
	if s := d.run(); first.Load() != 1 || second.Load() != 2 || s.Status != state.Done {
		t.Errorf("asked %d and %d times, %+v", first.Load(), second.Load(), s)
	}
}
