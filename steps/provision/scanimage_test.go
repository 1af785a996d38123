package provision

import (
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// A secret is looked for by its longest line, in the forms in which programs write values down.
func TestNeedles(t *testing.T) {
	const awkward = `pa"ss wörd%`
	lines, short := needles([]string{"short", "-----BEGIN-----\nthe longest line of it\r\nend\n", awkward, strings.Repeat("x", 1000), awkward, ""})
	if short != 2 {
		t.Errorf("%d short ones", short)
	}
	for _, want := range []string{"the longest line of it", awkward, `pa\"ss wörd%`, url.QueryEscape(awkward), url.PathEscape(awkward), base64.StdEncoding.EncodeToString([]byte(awkward)), strings.Repeat("x", mostNeedle)} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is not looked for", want)
		}
	}
	for i, line := range lines {
		if len(line) > mostNeedle || len(line) < leastNeedle || strings.ContainsAny(line, "\r\n") || i > 0 && line == lines[i-1] {
			t.Errorf("%q is looked for", line)
		}
	}
	if slices.Contains(lines, "-----BEGIN-----") {
		t.Error("a line that is in other files")
	}
}

// What was written since the run began and holds a secret is found, text or not, and nothing else; nothing is left there.
func TestScanImage(t *testing.T) {
	env, m := machine(t)
	secret := "s3cret-" + strings.ToLower(prefix)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plain": "password=" + secret + "\n", "binary": "\x00\xff\x00" + secret + "\x00", "in base64": "x " + base64.StdEncoding.EncodeToString([]byte(secret + "!!"))[:len(secret)/3*4] + "...",
		"clean": "password=\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	step := ScanImage{On: dag.Lit(m).Take(), Secrets: []dag.Secret{dag.Secret(secret)}, Since: time.Now()}
	sink := &memSink{}
	_, err := step.Do(t.Context(), env, task(sink))
	wantError(t, err, "cannot make an image of this machine: a secret of the run is in ")
	for _, name := range []string{"plain", "binary", "in base64"} {
		if !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("%s is not found: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "clean") {
		t.Error(err)
	}
	os.RemoveAll(dir)
	if _, err := step.Do(t.Context(), env, task(sink)); err != nil {
		t.Errorf("of a clean machine: %v", err)
	}
	step.Secrets = []dag.Secret{dag.Secret(dag.Mark("gone"))}
	_, err = step.Do(t.Context(), env, task(sink))
	wantError(t, err, "cannot look for secrets on the machine: no secret gone")
}

// A long list of files is told in short.
func TestInFiles(t *testing.T) {
	err := inFiles([]string{"/a", "/b"})
	wantError(t, err, "is in /a, /b: remove it")
	err = inFiles(slices.Repeat([]string{"/x"}, 25))
	wantError(t, err, "/x and 5 more: remove it")
}
