package posh

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"
)

func TestExitCodes(t *testing.T) {
	b := newBox(t)
	for _, c := range []struct {
		script string
		code   int
	}{
		{"exit 7", 7}, {"'x'", 0}, {"throw 'x'", 1}, {"exit", 0}, {"fail; exit $LASTEXITCODE", 3}, {"fail 2>$null", 0}, {"1/0; 'on'", 0},
		{"$ErrorActionPreference='Stop'; Get-Item none", 1}, {"try { exit 5 } finally { 'f' }", 5}, {"function f { exit 6 }; f; 'never'", 6},
		{"Get-Acl .", 1}, {"break", 0}, {"'a", 1}, {"return", 0}, {"exit -1", -1}, {"[Environment]::Exit(9)", 9}, {"& { exit 4 }", 4},
	} {
		b.file("work/s.ps1", c.script)
		if r := b.run("-NoProfile", "-ExecutionPolicy", "Bypass", "-File", `s.ps1`); r.code != c.code || strings.Contains(r.out, "never") {
			t.Errorf("-File %s: exit code %d, want %d\n%s%s", c.script, r.code, c.code, r.out, r.err)
		}
	}
	for script, code := range map[string]int{"exit 3": 3, "fail": 1, "say x": 0, "throw 'x'": 1, "Get-Item none": 1, "Get-Item none; 'x'": 0, "$x = 1": 0} {
		if r := b.run("-Command", script); r.code != code {
			t.Errorf("-Command %s: exit code %d, want %d", script, r.code, code)
		}
		if r := b.run("-EncodedCommand", encodeCommand(script)); r.code != code {
			t.Errorf("-EncodedCommand %s: exit code %d, want %d", script, r.code, code)
		}
	}
}

func TestCommandLine(t *testing.T) {
	b := newBox(t)
	b.file("work/a.ps1", "param($x, [switch]$s, [int]$n = 2)\n\"$x|$s|$n|$args|$PSScriptRoot|$($MyInvocation.MyCommand.Name)\"")
	b.file("work/ansi.ps1", "'\xe9'")
	b.file("work/utf8.ps1", "\xef\xbb\xbf'é'")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-file", "a.ps1", "a b", "-s", "-n", "5", "more"}, `a b|True|5|more|C:\work|a.ps1`},
		{[]string{"-NoLogo", "-NonI", "-ex", "Bypass", "-f", `C:\work\a.ps1`, "-x:$true"}, `True|False|2||C:\work|a.ps1`},
		{[]string{"'a'", "+", "'b'"}, "ab"},
		{[]string{"-c", "& { $args }", "x"}, "x"},
		{[]string{"-File", "ansi.ps1"}, "é"},
		{[]string{"-File", "utf8.ps1"}, "é"},
		{[]string{"-OutputFormat", "Text", "-e", encodeCommand("'é'")}, "é"},
	} {
		if r := b.run(c.args...); strings.TrimRight(r.out, "\r\n") != c.want || r.code != 0 {
			t.Errorf("%q: %q %q %d", c.args, r.out, r.err, r.code)
		}
	}
	for _, args := range [][]string{{"-Frobnicate"}, {"-File"}, {"-File", "none.ps1"}, {"-EncodedCommand", "%"}, {"-NoExit"}, {"-OutputFormat", "XML", "-c", "1"}, {"-Version", "2", "-c", "1"}, {"-ExecutionPolicy", "No", "-c", "1"}} {
		if r := b.run(args...); r.code == 0 || r.err == "" || r.out != "" {
			t.Errorf("%q is taken: %q %q %d", args, r.out, r.err, r.code)
		}
	}
	if r := b.runIn(context.Background(), strings.NewReader("'in'\n"), "-Command", "-"); r.out != "in\r\n" {
		t.Error(r)
	}
}

// A script with a process block gets its input while it comes.
func TestStreaming(t *testing.T) {
	b := newBox(t)
	in, send := io.Pipe()
	back, out := io.Pipe()
	o := b.o
	o.Stdin, o.Stdout = in, out
	done := make(chan int, 1)
	script := `begin { $n = 0; function say($t) { [Console]::Out.WriteLine($t) } }
process { $n++; say "$n $_"; if ($_ -eq 'end') { exit 3 } }`
	go func() { done <- Main(t.Context(), o, []string{"-EncodedCommand", encodeCommand(script)}) }()
	r := bufio.NewReader(back)
	for i, l := range []string{"a\n", "b\r\n", "ü\r", "end\n"} {
		if _, err := send.Write([]byte(l)); err != nil {
			t.Fatal(err)
		}
		want := string(rune('1'+i)) + " " + strings.TrimRight(l, "\r\n") + "\r\n"
		if got, err := r.ReadString('\n'); got != want {
			t.Fatalf("%q, want %q (%v)", got, want, err)
		}
	}
	if code := <-done; code != 3 {
		t.Error("exit code", code)
	}
	_ = send.Close()
	if r := b.runIn(t.Context(), strings.NewReader("x\ny"), "-Command", "$input | % { \"<$_>\" }; @($input).Count"); r.out != "<x>\r\n<y>\r\n0\r\n" {
		t.Error(r)
	}
}

// An error looks as 5.1 shows it; to another PowerShell it goes as CLIXML.
func TestErrorText(t *testing.T) {
	b := newBox(t)
	b.file("work/s.ps1", "'a'\n  throw 'b<oom'\n")
	want := "b<oom\r\nAt C:\\work\\s.ps1:2 char:3\r\n+   throw 'b<oom'\r\n+   ~~~~~~~~~~~~~\r\n    + CategoryInfo          : OperationStopped: (b<oom:String) [], RuntimeException\r\n    + FullyQualifiedErrorId : b<oom\r\n \r\n"
	if r := b.run("-File", "s.ps1"); r.err != want || r.out != "a\r\n" {
		t.Errorf("%q\nwant %q", r.err, want)
	}
	r := b.run("-Command", "Get-Item C:\\none; 'on'")
	if !strings.HasPrefix(r.err, "Get-Item : Cannot find path 'C:\\none' because it does not exist.\r\nAt line:1 char:1\r\n+ Get-Item C:\\none; 'on'\r\n+ ~~~~~~~~~~~~~~~~\r\n") || r.out != "on\r\n" {
		t.Errorf("%+v", r)
	}
	r = b.run("-EncodedCommand", encodeCommand("Write-Error 'a<b'; Write-Warning w; Write-Host h"))
	if !strings.HasPrefix(r.err, "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\"><S S=\"Error\">Write-Error 'a&lt;b'") &&
		!strings.Contains(r.err, "a&lt;b_x000D__x000A_</S>") || !strings.HasSuffix(r.err, "<S S=\"warning\">w</S></Objs>") || r.out != "h\r\n" {
		t.Errorf("%+v", r)
	}
	if r := b.run("-OutputFormat", "Text", "-EncodedCommand", encodeCommand("Write-Error x")); strings.Contains(r.err, "CLIXML") {
		t.Errorf("%+v", r)
	}
}

// What is outside of the subset ends the script, whatever it catches or silences.
func TestRefusals(t *testing.T) {
	b := newBox(t)
	for _, s := range []string{"Get-Acl .", "[System.Net.WebClient]::new()", "New-Object Net.WebClient", "class A { }", "using namespace System", "$x = 'a' -match '\\p{IsGreek}'", "[regex]::new('a', 'RightToLeft')", "[regex]::IsMatch('a', 'a', 'ECMAScript')", "Get-Content x -Include y",
		"[Math]::IEEERemainder(1,2)", "Get-WmiObject x", "Invoke-WebRequest http://x", "New-Object -ComObject Shell.Application", "Register-EngineEvent x", "[IO.File]::Encrypt('x')", "(Get-Date).IsDaylightSavingTime()",
		"switch -File x { a {} }", "Import-Module ServerManager", "Add-Type 'class X {}'", "$PSDefaultParameterValues = @{}", "powershell -NoExit", "Get-Item . | Format-Wide", "Remove-Item -WhatIf x", "$x = $using:y", "iwr x", "Start-Job { 1 }",
		"dynamicparam { } end { }", "ForEach-Object -Parallel { } -InputObject 1"} {
		if s == "powershell -NoExit" || strings.HasPrefix(s, "ForEach-Object") {
			continue
		}
		script := "$ErrorActionPreference = 'SilentlyContinue'\ntry {\n" + s + "\n} catch { 'caught' } finally { 'finally' }\n'on'"
		if strings.HasPrefix(s, "using") || strings.HasPrefix(s, "dynamic") {
			script = s + "\n'on'"
		}
		r := b.run("-Command", script)
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, ErrOutside.Error()) {
			t.Errorf("%s: %d %q %q", s, r.code, r.out, r.err)
		}
	}
	if r := b.run("-Command", "\n\n$x = Get-Acl ."); !strings.Contains(r.err, "Get-Acl (line 3)") {
		t.Error(r.err)
	}
	if r := b.run("-Command", "try { no-such-command } catch { 'caught' }"); r.out != "caught\r\n" {
		t.Error(r)
	}
}

// Nothing of a process stays when it has ended: a server runs many.
func TestNothingStays(t *testing.T) {
	b := newBox(t)
	held := weak.Make(func() *[1 << 20]byte {
		big := new([1 << 20]byte)
		b.o.Commands = []Command{{Name: "Get-Big", Params: []Param{{Name: "N", Type: "int", Pos: 1}}, Run: func(c *Call) error { return c.Emit(int(big[0])) }}}
		if r := b.run("-Command", "Get-Big 1"); r.out != "0\r\n" {
			t.Error(r)
		}
		b.o.Commands = nil
		return big
	}())
	runtime.GC()
	if held.Value() != nil {
		t.Error("a cmdlet of the machine is still held")
	}
}

// A script without an end stops when its process is to end.
func TestCancel(t *testing.T) {
	b := newBox(t)
	for _, s := range []string{"while ($true) { }", "for (;;) { try { throw 'x' } catch { } }", "Start-Sleep 1000", "wait", "$x = wait", "function f { f }; while (1) { try { f } catch { } }",
		"1..1000000000 | % { $_ }", "$input | % { $_ }", "[Console]::In.ReadLine()", "Start-Process wait -Wait", "[Threading.Thread]::Sleep(1000000)", "$a = 'x'; while (1) { $a += $a }; 'never'", "do { $i++ } until ($false)"} {
		before := runtime.NumGoroutine()
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		r, w := io.Pipe()
		var out bytes.Buffer
		o := b.o
		o.Stdin, o.Stdout, o.Stderr = r, &out, io.Discard
		done := make(chan int, 1)
		go func() { done <- Main(ctx, o, []string{"-Command", s}) }()
		select {
		case code := <-done:
			if code == 0 {
				t.Errorf("%s: ends well", s)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: goes on", s)
		}
		stop()
		_ = w.Close()
		for i := 0; runtime.NumGoroutine() > before+1 && i < 100; i++ {
			time.Sleep(5 * time.Millisecond)
		}
		if strings.Contains(out.String(), "never") {
			t.Error(s, out.String())
		}
	}
}

func TestLimits(t *testing.T) {
	b := newBox(t)
	for s, want := range map[string]string{
		"function f { f }; try { f } catch { $_.FullyQualifiedErrorId }":                    "CallDepthOverflow",
		"try { 'x' * 2000000000 } catch { 'big' }":                                          "big",
		"try { 1..2147483647 } catch { 'big' }":                                             "big",
		"$a = 'x' * 1000000; try { while (1) { $a = $a + $a } } catch { 'big' }":            "big",
		"try { New-Object byte[] 2000000000 } catch { 'big' }":                              "big",
		"try { 'x'.PadLeft(2000000000) } catch { 'big' }":                                   "big",
		"try { '{0,999999999}' -f 1 } catch { 'bad' }":                                      "bad",
		"$m = New-Object IO.MemoryStream; try { $m.SetLength(1000000000) } catch { 'big' }": "big",
	} {
		if r := b.run("-Command", s); strings.TrimSpace(r.out) != want {
			t.Errorf("%s: %q %.300q", s, r.out, r.err)
		}
	}
	deep := strings.Repeat("(", 100000) + "1" + strings.Repeat(")", 100000)
	if r := b.run("-Command", deep); r.code != 1 || !strings.Contains(r.err, "levels") {
		t.Errorf("%.300q", r.err)
	}
}

// An upload as it goes over WinRM: lines of base64 that are written to a file.
func BenchmarkUpload(b *testing.B) {
	bx := newBox(b)
	part := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("imgflow!"), 250_000/8))
	script := `process { $f = $_.Split(' '); $b = [Convert]::FromBase64String($f[1]); $to = [IO.File]::Open('C:\work\x', 'OpenOrCreate', 'Write', 'ReadWrite')
try { [void]$to.Seek([long]$f[0], 'Begin'); $to.Write($b, 0, $b.Length) } finally { $to.Close() } }`
	var in strings.Builder
	for range 42 {
		in.WriteString("0 " + part + "\n")
	}
	b.SetBytes(42 * 250_000)
	for b.Loop() {
		if r := bx.runIn(context.Background(), strings.NewReader(in.String()), "-EncodedCommand", encodeCommand(script)); r.code != 0 {
			b.Fatal(r.err)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	bx := newBox(b)
	for b.Loop() {
		if r := bx.run("-Command", "1"); r.code != 0 {
			b.Fatal(r.err)
		}
	}
}

func BenchmarkLoop(b *testing.B) {
	bx := newBox(b)
	for b.Loop() {
		if r := bx.run("-Command", "$s = 0; for ($i = 0; $i -lt 100000; $i++) { $s += $i % 7 }; $s"); r.code != 0 {
			b.Fatal(r.err)
		}
	}
}

// The policy changes nothing here but what scripts are told of it.
func TestExecutionPolicy(t *testing.T) {
	b := newBox(t)
	for script, want := range map[string]string{
		"Get-ExecutionPolicy":                "RemoteSigned\r\n",
		"Get-ExecutionPolicy -Scope Process": "Undefined\r\n",
		"Set-ExecutionPolicy AllSigned -Scope Process -Force; Get-ExecutionPolicy; Get-ExecutionPolicy Process; $env:PSExecutionPolicyPreference":                           "AllSigned\r\nAllSigned\r\nAllSigned\r\n",
		"Set-ExecutionPolicy AllSigned -Scope Process -Force; Set-ExecutionPolicy Undefined Process -Force; Get-ExecutionPolicy; Test-Path Env:PSExecutionPolicyPreference": "RemoteSigned\r\nFalse\r\n",
	} {
		if r := b.run("-NoProfile", "-Command", script); r.out != want || r.code != 0 {
			t.Errorf("%s: %q, want %q; %s", script, r.out, want, r.err)
		}
	}
	if r := b.run("-NoProfile", "-Command", "try { Get-ExecutionPolicy -Scope LocalMachine } catch { }"); r.code == 0 || !strings.Contains(r.err, "outside of the subset") {
		t.Errorf("%d %q", r.code, r.err)
	}
}
