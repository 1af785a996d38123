package pscheck

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// scripts are all files of the tree that the PowerShell of machines reads; the one that
// completes commands is read by that of whoever types.
func scripts(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || path == filepath.Join(root, "internal", "pscheck") || path == filepath.Join(root, "internal", "cli", "completion")) {
			return filepath.SkipDir
		}
		if strings.EqualFold(filepath.Ext(path), ".ps1") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// dotnet reads testdata/dotnet.txt: the version of "type" and "type::member".
func dotnet(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/dotnet.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for l := range strings.Lines(string(b)) {
		l, _, _ = strings.Cut(l, "#")
		f := strings.Fields(strings.ToLower(l))
		switch {
		case len(f) == 0:
		case len(f) == 1:
			t.Errorf("testdata/dotnet.txt: %q is not a version, a type and its members", strings.TrimSpace(l))
		default:
			if out[f[1]] == "" {
				out[f[1]] = f[0]
			}
			for _, m := range f[2:] {
				out[f[1]+"::"+m] = f[0]
			}
		}
	}
	return out
}

func TestScripts(t *testing.T) {
	files := scripts(t)
	if len(files) < 10 {
		t.Fatalf("only %d scripts were found", len(files))
	}
	more, places := constants(t)
	files = append(files, more...)
	trees := parse(t, files...)
	servers := machines(t)
	functions := map[string]map[string]bool{}
	for i, f := range files {
		dir := filepath.Dir(f)
		if functions[dir] == nil {
			functions[dir] = map[string]bool{}
		}
		for _, n := range defined(trees[i]) {
			functions[dir][strings.ToLower(n.text)] = true
		}
	}
	// Windows.PowerShell runs scripts behind those of the communicator's library.
	for i, f := range files {
		if filepath.Base(f) == "lib.ps1" {
			for _, n := range defined(trees[i]) {
				functions[filepath.Join("..", "..", "steps", "provision", "ps")][strings.ToLower(n.text)] = true
			}
		}
	}
	listed := dotnet(t)
	for i, f := range files {
		c := &checker{servers: servers, dotnet: listed, functions: functions[filepath.Dir(f)]}
		place := f
		if p := places[f]; p != "" {
			place = p
		}
		for _, x := range c.check(trees[i]) {
			t.Errorf("%s:%d: %s", place, x.line, x.text)
		}
		if b, _ := os.ReadFile(f); strings.ContainsFunc(string(b), func(r rune) bool { return r > 126 }) {
			t.Errorf("%s: Windows PowerShell reads a file without a byte order mark as ANSI: only ASCII may stand in it", place)
		}
		if strings.HasPrefix(f, filepath.Join(root, "steps", "comm")) {
			trees[i].all(func(n *branch) {
				if strings.Contains(n.kind, "here_string") {
					t.Errorf("%s:%d: indentation and comments are taken out on the way: a text of several lines does not stay as it is", place, n.line)
				}
			})
		}
	}
}

// TestRules: each of these is refused, and for its own reason.
func TestRules(t *testing.T) {
	refused := []struct{ script, why string }{
		{"'a", "syntax error"},
		{"if ($a { 1 }", "syntax error"},
		{"$a = $b ? 1 : 2", "syntax error"},
		{"$a ?? 1", "syntax error"},
		{"'a' | Out-Null && 'b'", "has no && between commands"},
		{"Get-Item x || exit", "has no || between commands"},
		{`"$a: b"`, "in a string is a syntax error"},
		{"@\"\n$a: b\n\"@", "in a string is a syntax error"},
		{"\"a`e[0m\"", "does not know the escape"},
		{"if ($IsWindows) { }", "does not set $IsWindows"},
		{"Get-Error", "Get-Error is no command"},
		{"Remove-Service x", "Remove-Service is no command"},
		{"'{}' | Test-Json", "Test-Json is no command"},
		{`& "$env:SystemRoot\System32\nothing.exe"`, "is no command"},
		{"if ($a) { foreach ($b in 1) { Get-Error } }", "Get-Error is no command"},
		{`"$(Get-Error)"`, "Get-Error is no command"},
		{"1 | ForEach-Object -Parallel { $_ }", "no parameter -Parallel"},
		{"'{}' | ConvertFrom-Json -AsHashtable", "no parameter -AsHashtable"},
		{"Get-Content -AsByteStream -Path x", "no parameter -AsByteStream"},
		{"Get-Content -Pat x", "no parameter -Pat"},
		{"Set-Content -Path x -Value y -Encoding utf8NoBOM", "no encoding"},
		{"Join-Path a b c", "takes two parts"},
		{"Get-Item @a", "cannot be checked"},
		{"[Text.Json.JsonDocument]::Parse('{}')", "no type [Text.Json.JsonDocument]"},
		{"[Collections.Generic.PriorityQueue[int, int]]$a", "no type [Collections.Generic.PriorityQueue`2]"},
		{"New-Object Text.Rune 1", "no type [Text.Rune]"},
		{"[IO.File]::Move('a', 'b', $true)", "no IO.File::Move with 3 arguments"},
		{"[IO.Path]::Join('a', 'b')", "no IO.Path::Join"},
		{"[IO.Path]::DirectorySeparatorChars", "no IO.Path::DirectorySeparatorChars"},
		{"[Convert]::ToHexString($a)", "no Convert::ToHexString"},
		{"[IO.File]::CreateText('x')", "does not say which version"},
		{"[DateTimeOffset]::FromUnixTimeSeconds(1)", "came with .NET Framework 4.6"},
		{"'a'.ReplaceLineEndings('b')", "has a method ReplaceLineEndings with 1"},
		{"$a.b.PadLeft(1, 2, 3)", "has a method PadLeft with 3"},
		{"function del { }", `has an alias "del"`},
		{"function Get-Item { }", `has a command "Get-Item"`},
		{"function enum { }", "is a reserved word"},
	}
	taken := []string{
		"Get-ChildItem -LiteralPath 'C:\\x' -Force | Where-Object { $_.Name -like '*.log' } | Remove-Item -Force -ErrorAction SilentlyContinue -Confirm:$false",
		"\"${a}: $($a.b): `$c: ``${d} $env:TEMP\\e ``e\"",
		"ls -Recurse; gci env:",
		"taskkill /f /pid 1 2>&1 | Out-Null; & 'C:\\windows\\system32\\ICACLS' x /grant y",
		"$a = New-Object -TypeName 'Collections.Generic.Dictionary[string,Collections.Generic.List[int]]'",
		"[int[]]$a = 1, 2; [void][Math]::Max(1, 2); 'a'.Split(',').Trim()",
		"param([Parameter(Mandatory = $true)][ValidateSet('a', 'b')][string]$a = 'a')\n$a",
		"function own($a) { $a }\nown 1 | ForEach-Object { own $_ }",
		"& { 1 } 2; . $a; & $a.b; & (own 1)\nfunction own { }",
		"[string]::Format('{0} {1} {2} {3} {4}', 1, 2, 3, 4, 5)",
	}
	dir := t.TempDir()
	var files []string
	file := func(text string) {
		f := filepath.Join(dir, fmt.Sprintf("%d.ps1", len(files)))
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, r := range refused {
		file(r.script)
	}
	for _, s := range taken {
		file(s)
	}
	trees := parse(t, files...)
	servers := machines(t)
	listed := dotnet(t)
	listed["datetimeoffset::fromunixtimeseconds"] = "4.6"
	faults := func(tree *branch) (out string) {
		c := &checker{servers: servers, dotnet: listed, functions: map[string]bool{}}
		for _, n := range defined(tree) {
			c.functions[strings.ToLower(n.text)] = true
		}
		for _, f := range c.check(tree) {
			out += fmt.Sprintf("%d: %s\n", f.line, f.text)
		}
		return out
	}
	for i, r := range refused {
		if got := faults(trees[i]); !strings.Contains(got, r.why) {
			t.Errorf("%s\n got %q\nwant %q", r.script, got, r.why)
		}
	}
	for i, s := range taken {
		if got := faults(trees[len(refused)+i]); got != "" {
			t.Errorf("%s\n got %q", s, got)
		}
	}
}
