package funcs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One expression may read a file a thousand times before anybody sees what it has come to.
func TestFilesAreBoundTogether(t *testing.T) {
	w := World{Dir: t.TempDir(), Rounds: &Rounds{}}
	f, err := os.Create(filepath.Join(w.Dir, "big"))
	if err == nil {
		err = f.Truncate(mostBytes)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if v, err := eval(w, `length([for i in range(16): file("big")])`, nil); err != nil {
		t.Fatalf("%v, %v", v, err)
	}
	const want = "all that a template reads of files together is more than 256 MiB"
	if _, err := eval(w, `file("big")`, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%.200v", err)
	}
	w.Rounds.Reset()
	if _, err := eval(w, `length(file("big"))`, nil); err != nil {
		t.Errorf("the next evaluation: %.200v", err)
	}
}
