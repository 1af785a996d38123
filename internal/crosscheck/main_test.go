package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fault in a file for one system is found for that system, and for no other.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/m\n\ngo 1.26\n",
		"m.go":   "package m\n\nimport \"os\"\n\nfunc F() string { return os.Getenv(g()) }\n", "m_linux.go": "package m\n\nfunc g() string { return \"\" }\n",
		"m_windows.go": "package m\n\nfunc g() string { return os.DevNull }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for target, want := range map[string]string{"linux/arm64": "", "windows/amd64": "m_windows.go:3:26: undefined: os", "darwin/arm64": "m.go:5:36: undefined: g"} {
		faults, n, err := check(dir, target, "./...")
		if got := strings.Join(faults, "\n"); err != nil || n != 1 || !strings.HasSuffix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %d packages, %v, found %q, want %q", target, n, err, got, want)
		}
	}
	if _, _, err := check(dir, "windows", "./..."); err == nil || !strings.Contains(err.Error(), "give GOOS/GOARCH") {
		t.Errorf("half a target: %v", err)
	}
}
