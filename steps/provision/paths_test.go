package provision

import "testing"

func TestContents(t *testing.T) {
	for path, want := range map[string][2]bool{ // on Unix, on Windows
		".": {true, true}, "./": {true, true}, "..": {true, true}, "/": {true, true}, "a/.": {true, true}, "a/./": {true, true},
		"a/..": {true, true}, "a/../": {true, true}, "../..": {true, true}, "a//": {true, true},
		`C:\`: {false, true}, `C:\out\.`: {false, true}, `C:\out\..`: {false, true}, `.\`: {false, true}, `C:/out/.`: {true, true}, `a/.\`: {false, true},
		"a": {}, "a/b": {}, "a.": {}, "a/..b": {}, "...": {}, "a/...": {}, ".hidden": {}, `C:\out`: {},
	} {
		for i, seps := range []string{"/", `/\`} {
			if got := contents(path, seps); got != want[i] {
				t.Errorf("%s with %s: %v", path, seps, got)
			}
		}
	}
}
