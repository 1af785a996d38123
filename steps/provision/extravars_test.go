package provision

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

func TestAssigned(t *testing.T) {
	for text, want := range map[string]string{
		"a=1":                         `{"a":"1"}`,
		" a=x  b='two words' c=\"'\"": `{"a":"x","b":"two words","c":"'"}`,
		"a=b=c d=":                    `{"a":"b=c","d":""}`,
		`a=\n b=ä"ö ü"`:               `{"a":"\\n","b":"äö ü"}`,
	} {
		vars, err := assigned(text)
		if got, _ := json.Marshal(vars); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"secret", "a=1 secret", "a='secret", "=secret"} {
		if _, err := assigned(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestExtraArguments(t *testing.T) {
	dir := t.TempDir()
	v := values{t: task(&memSink{})}
	secret := dag.Text(dag.Mark("key-1"))
	got, err := extraArguments(v, []dag.Text{"-v", "-e", "a=" + secret, "--extra-vars=b='" + secret + " x'", "-e", "open=1", "-e", `{"c": "` + secret + `"}`}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := "-v -e @DIR/extra-vars-2.json --extra-vars @DIR/extra-vars-3.json -e open=1 -e @DIR/extra-vars-7.json"; strings.ReplaceAll(strings.Join(got, " "), dir, "DIR") != want {
		t.Errorf("%q", got)
	}
	for name, want := range map[string]string{"2": `{"a":"PRIVATE"}`, "3": `{"b":"PRIVATE x"}`, "7": `{"c": "PRIVATE"}`} {
		file := filepath.Join(dir, "extra-vars-"+name+".json")
		fi, err := os.Stat(file)
		text, _ := os.ReadFile(file)
		if err != nil || fi.Mode().Perm() != 0o600 || string(text) != want {
			t.Errorf("%s: %v, %s", file, fi, text)
		}
	}
	if _, err := extraArguments(v, []dag.Text{"-e", secret}, dir); err == nil || strings.Contains(err.Error(), "PRIVATE") {
		t.Error(err)
	}
}

func TestShownCommand(t *testing.T) {
	args := []string{"a", "", "b c", "it's", "-o", "x=$y"}
	out, err := exec.Command("sh", "-c", "printf '%s|' "+shownCommand(args)).Output()
	if err != nil || string(out) != strings.Join(args, "|")+"|" {
		t.Errorf("%q, %v", out, err)
	}
}
