package posh

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// box is a Windows machine for tests.
type box struct {
	t testing.TB
	m *testMachine
	o Options
}

func newBox(t testing.TB) *box {
	root := t.TempDir()
	for _, d := range []string{"Windows/Temp", "Users/Administrator", "work"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := &box{t: t, m: newTestMachine(root)}
	b.o = Options{Machine: b.m, Dir: `C:\work`, PID: 100, Env: NewEnv(`SystemRoot=C:\Windows`, `USERPROFILE=C:\Users\Administrator`, `TEMP=C:\Windows\Temp`, "USERNAME=Administrator", "USERDOMAIN=TEST", "COMPUTERNAME=TEST")}
	return b
}

type result struct {
	out, err string
	code     int
}

func (b *box) run(args ...string) result { return b.runIn(context.Background(), nil, args...) }

func (b *box) runIn(ctx context.Context, stdin io.Reader, args ...string) result {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	var out, errs bytes.Buffer
	o := b.o
	o.Env = o.Env.Clone()
	o.Stdin, o.Stdout, o.Stderr = stdin, &out, &errs
	code := Main(ctx, o, args)
	return result{out.String(), errs.String(), code}
}

func (b *box) file(name, text string) {
	if err := os.WriteFile(filepath.Join(b.m.root, name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func encodeCommand(script string) string {
	return base64.StdEncoding.EncodeToString(encodings["utf-16"].encode(script))
}

// What Windows PowerShell 5.1 prints; lines end in CRLF there.
func TestScripts(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{`'a'; Write-Host b`, "a\nb\n"},
		{"\"`e`u{41}\"", "eu{41}\n"},
		{`'a--b'.Split('--') -join '|'`, "a||b\n"},
		{`(ConvertFrom-Json '{"a":1,"b":1.5}').a.GetType().Name; (ConvertFrom-Json '1.5').GetType().Name`, "Int32\nDecimal\n"},
		{`ConvertTo-Json @{a="<'&>"} -Compress`, `{"a":"\u003c\u0027\u0026\u003e"}` + "\n"},
		{`[ordered]@{a=1;b=@(1,@{c=2})} | ConvertTo-Json`, "{\n    \"a\":  1,\n    \"b\":  [\n              1,\n              {\n                  \"c\":  2\n              }\n          ]\n}\n"},
		{`Join-Path C:\a b; Join-Path C:\a\ \b; Split-Path C:\a\b.txt; Split-Path -Leaf C:\a\b.txt; Split-Path C:\a`, "C:\\a\\b\nC:\\a\\b\nC:\\a\nb.txt\nC:\\\n"},
		{`Set-Content a.txt 'é'; -join ([IO.File]::ReadAllBytes('C:\work\a.txt') | % { '{0:x2}' -f $_ })`, "e90d0a\n"},
		{`'é' > a.txt; -join ([IO.File]::ReadAllBytes('C:\work\a.txt') | % { '{0:x2}' -f $_ }); Get-Content a.txt`, "fffee9000d000a00\né\n"},
		{`Set-Content a.txt 'é' -Encoding UTF8 -NoNewline; -join ([IO.File]::ReadAllBytes('C:\work\a.txt') | % { '{0:x2}' -f $_ })`, "efbbbfc3a9\n"},
		{`'x' | Out-File a.txt -Encoding ascii; 'y' | Out-File a.txt -Encoding ascii -Append; (Get-Content a.txt -Raw) -replace "` + "`r`n" + `", '|'`, "x|y|\n"},
		{`$env:abc='x'; $ENV:ABC; Test-Path Env:aBc; [Environment]::GetEnvironmentVariable('Abc')`, "x\nTrue\nx\n"},
		{`$x = [pscustomobject]@{A=1;B='two'}; "$x"; $x.a; $x.B.Length`, "@{A=1; B=two}\n1\n3\n"},
		{`try { [IO.File]::ReadAllText('C:\none.txt') } catch [IO.FileNotFoundException] { $_.Exception.GetType().Name; $_.FullyQualifiedErrorId }`, "FileNotFoundException\nFileNotFoundException\n"},
		{`try { [IO.File]::Open('C:\none\x','Open') } catch { $_.Exception.GetType().Name; $_.Exception.InnerException.GetType().Name }`, "MethodInvocationException\nDirectoryNotFoundException\n"},
		{`$f=[IO.File]::Open('C:\work\l','OpenOrCreate','ReadWrite','None'); try { [IO.File]::Open('C:\work\l','Open','Read','ReadWrite') } catch { $_.Exception.InnerException.Message }; $f.Close(); [IO.File]::Open('C:\work\l','Open','Read','ReadWrite').Close()`,
			"The process cannot access the file 'C:\\work\\l' because it is being used by another process.\n"},
		{`function f { [CmdletBinding()] param([Parameter(Mandatory=$true,ValueFromPipeline=$true)][string]$n, [switch]$up) process { if ($up) { $n.ToUpper() } else { $n } } }; 'a','b' | f -up; f c`, "A\nB\nc\n"},
		{`function f { param([Parameter(ValueFromPipelineByPropertyName=$true)]$name, $x=5) process { "$name$x" } }; [pscustomobject]@{Name='q'} | f`, "q5\n"},
		{`$a = @{}; $a.x = 1; $a['y'] = 2; $a.Count; $a.Remove('x'); $a.Keys`, "2\ny\n"},
		{`$l = New-Object System.Collections.Generic.List[string]; $l.Add('a'); $l.Add('b'); $l.Count; $l -join ','`, "2\na,b\n"},
		{`$s = 'C:\Program Files\x'; "$s\y"; "${s}z"; "$($s.Length)"`, "C:\\Program Files\\x\\y\nC:\\Program Files\\xz\n18\n"},
		{`say one "two three" 'four' $null "" a,b c, d -x:y --% %USERNAME% "q"`, "<one \"two three\" four a,b c, d -x:y Administrator \"q\">\n"},
		{`$r = say a 'b "c" d'; $r; $LASTEXITCODE`, "<a \"b \"c\" d\">\n0\n"},
		{`say '@{MaxTimeoutms="7200000"}'; say name="Windows Remote Management (HTTP-In)" new`, "<@{MaxTimeoutms=\"7200000\"}>\n<\"name=Windows Remote Management (HTTP-In)\" new>\n"},
		{`fail 2>$null; $LASTEXITCODE; $?`, "out\n3\nTrue\n"},
		{`fail 2>$null | Out-Null; "$? $LASTEXITCODE"`, "False 3\n"},
		{`$x = fail 2>&1; $x.Count; $x[1].GetType().Name; "$($x[1])"; $x[1].FullyQualifiedErrorId`, "2\nErrorRecord\nbad\nNativeCommandError\n"},
		{`'a','b' | upper`, "A\nB\n"},
		{`$ErrorActionPreference='Stop'; try { fail 2>&1 } catch { "caught $_" }`, "out\ncaught bad\n"},
		{`$env:Q='1'; env Q; & { $env:Q='2' }; env Q`, "1\n2\n"},
		{`Set-Location C:\Windows; dir.exe; [Environment]::CurrentDirectory; $PWD.Path`, "C:\\Windows\nC:\\work\nC:\\Windows\n"},
		{`$p = Start-Process say -ArgumentList 'x','y z' -RedirectStandardOutput o.txt -Wait -PassThru; $p.ExitCode; Get-Content o.txt`, "0\n<x y z>\n"},
		{`$i = New-Object Diagnostics.ProcessStartInfo; $i.FileName='fail'; $i.UseShellExecute=$false; $i.RedirectStandardOutput=$true; $i.RedirectStandardError=$true; $p=[Diagnostics.Process]::Start($i); $p.StandardOutput.ReadToEnd().Trim(); $p.StandardError.ReadToEnd().Trim(); $p.WaitForExit(); $p.ExitCode`, "out\nbad\n3\n"},
		{`[Environment]::SetEnvironmentVariable('M','v','Machine'); [Environment]::GetEnvironmentVariable('m','Machine'); $env:M`, "v\n"},
		{`$PSVersionTable.PSVersion.Major; $PSVersionTable.PSEdition`, "5\nDesktop\n"},
		{`$c = New-Object Management.Automation.PSCredential('u', (ConvertTo-SecureString 'p$w' -AsPlainText -Force)); $c.UserName; $c.GetNetworkCredential().Password; "$($c.Password)"`, "u\np$w\nSystem.Security.SecureString\n"},
		{`mkdir d\e | Out-Null; 'x' > d\e\f.txt; (Get-ChildItem d -Recurse).Name -join ','; Copy-Item d c -Recurse; Test-Path c\e\f.txt; Remove-Item c,d -Recurse; Test-Path c,d`, "e,f.txt\nTrue\nFalse\nFalse\n"},
		{`New-Item -ItemType Directory x | Out-Null; 'a' | Set-Content x\a.txt; Compress-Archive x x.zip; Expand-Archive x.zip y; Get-Content y\x\a.txt`, "a\n"},
		{`switch -Regex ('ab12') { '\d+' { "n $($Matches[0])" } '^a' { 'a'; break } default { 'no' } }`, "n 12\na\n"},
		{`$i=0; while ($true) { if (++$i -gt 3) { break }; $i }`, "1\n2\n3\n"},
		{`1..3 | ForEach-Object -Begin { $s=0 } -Process { $s+=$_ } -End { $s }`, "6\n"},
		{`function f { trap { "t $_"; continue }; throw 'x'; 'after' }; f`, "t x\nafter\n"},
		{`& { param([int]$n=3, [string[]]$s) "$n $($s.Count)" } -s a,b`, "3 2\n"},
		{`[int]'0x1F'; [int]2.5; [int]3.5; [long]'12345678901'; 5/2; 7 % -3; 2147483647 + 1`, "31\n2\n4\n12345678901\n2.5\n1\n2147483648\n"},
		{`'{0:yyyy-MM-dd HH:mm:ss}' -f [datetime]'2020-02-03 04:05:06'; ([datetime]'2020-01-31').AddMonths(1).ToString('dd.MM.yyyy')`, "2020-02-03 04:05:06\n29.02.2020\n"},
		{`([timespan]'1.02:03:04').TotalHours; (New-TimeSpan -Minutes 90).ToString()`, "26.0511111111111\n01:30:00\n"},
		{`$v=[version]'1.2.3'; $v.Minor; $v -gt [version]'1.2'; [version]'10.0' -gt '9.9'`, "2\nTrue\nTrue\n"},
		{`"a` + "`r`n" + `b" -split "` + "`r?`n" + `" | % { "<$_>" }`, "<a>\n<b>\n"},
		{`$sb = [scriptblock]::Create('param($q) $q*2'); & $sb 21`, "42\n"},
		{`. { $dot = 5 }; $dot; & { $amp = 6 }; "[$amp]"`, "5\n[]\n"},
		{`$x = 5; $b = { $x }.GetNewClosure(); $x = 6; & $b`, "5\n"},
		{`$ErrorActionPreference = 'SilentlyContinue'; Get-Item C:\none; $?; $Error[0].CategoryInfo.Category`, "False\nObjectNotFound\n"},
		{`Get-Item C:\none -ErrorAction SilentlyContinue -ErrorVariable e; $e[0].Exception.Message`, "Cannot find path 'C:\\none' because it does not exist.\n"},
		{`(Get-Command say).Path; (Get-Command gci).Definition; Get-Command nope -ea 0`, "C:\\Windows\\System32\\say.exe\nGet-ChildItem\n"},
		{`$h = @{Path='C:\work\q.txt'; Value='v'}; Set-Content @h; Get-Content C:\work\q.txt`, "v\n"},
		{`$m=[regex]::Match('k=v','(\w)=(?<n>\w)'); $m.Groups[1].Value; $m.Groups['n'].Value; [regex]::Replace('abc','b',{ param($x) $x.Value.ToUpper() })`, "k\nv\naBc\n"},
		{`$n = 0; [int]::TryParse('42', [ref]$n); $n`, "True\n42\n"},
		{`$t = "a$(if ($true) { 'b' })c"; $t`, "abc\n"},
		{`@(1,2,3)[-1]; (1..5)[1..3] -join ''; 'hello'.Substring(1,3); 'x'.PadLeft(3,'.')`, "3\n234\nell\n..x\n"},
		{`foreach ($k in ([ordered]@{b=1;a=2}).GetEnumerator()) { "$($k.Key)$($k.Value)" }`, "b1\na2\n"},
		{`[Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes('hé')); [Text.Encoding]::GetEncoding(1252).GetString([byte[]](233))`, "aADpAA==\né\n"},
		{`$z = [Security.Cryptography.SHA256]::Create(); [void]$z.TransformBlock([byte[]](97),0,1,$null,0); [void]$z.TransformFinalBlock([byte[]](98,99),0,2); [BitConverter]::ToString($z.Hash).Substring(0,11)`, "BA-78-16-BF\n"},
		{`'b','a' | Sort-Object -Descending; 1,1,2 | Select-Object -Unique; 'x' | Get-Member Length | % { $_.Name }`, "b\na\n1\n2\nLength\n"},
		{`Write-Output 'x' 6>$null; Write-Host 'h' 6>$null; Write-Warning 'w' 3>$null; 'end'`, "x\nend\n"},
		{`$w = Write-Warning 'w' 3>&1; $w.Message`, "w\n"},
		{`$o = New-Object PSObject -Property @{a=1}; $o | Add-Member NoteProperty b 2; $o.a + $o.b; $o.PSObject.Properties.Name -join ','`, "3\na,b\n"},
		{`if (-not (Test-Path HKLM:\x -ErrorAction SilentlyContinue)) { 'no' }`, ""},
		{`Push-Location C:\Windows; (Get-Location).Path; Pop-Location; "$PWD"`, "C:\\Windows\nC:\\work\n"},
		{`"$('a','b')"; "$(@())|"; "@(1)"; '$x'`, "a b\n|\n@(1)\n$x\n"},
		{`Set-PSDebug -Trace 1; $x = 1`, "DEBUG:    1+ Set-PSDebug -Trace 1;  >>>> $x = 1\n"},
		{`$a = 1,2,3; $b = $a; $b[0] = 9; "$a"; $a += 4; "$b"`, "9 2 3\n9 2 3\n"},
		{`[math]::Round(2.5); [math]::Ceiling(1.1); [math]::Min(3, 4.5)`, "2\n2\n3\n"},
		{`'abc' -match 'B' ; $Matches[0]; 'abc' -cmatch 'B'; 'a.b' -split '\.'; 'a1' -replace '(\w)(\d)', '$2$1'`, "True\nb\nFalse\na\nb\n1a\n"},
		{`'😀'.Length; '[😀]'.IndexOf(']'); '😀x'.Substring(2)`, "2\n3\nx\n"},
		{`-join '😀'.ToCharArray(); [string]::new([char[]]'😀')`, "😀\n😀\n"},
		{`function f { param([ValidateRange(1,10)][int]$n, [ValidateLength(1, 3)]$l, [ValidateCount(1,2)]$c) "$n$l$c" }; f 3 ab 1,2; foreach ($a in @(11,'a'), @(1,'abcd'), @(1,'a',(1,2,3))) { try { f @a } catch { $_.FullyQualifiedErrorId } }`,
			"3ab1 2\n" + strings.Repeat("ParameterArgumentValidationError,f\n", 3)},
		{`$d = New-Object 'Collections.Generic.Dictionary[string,int]'; $d.Add('a', 1); try { $d.Add('a', 2) } catch { $_.Exception.InnerException.Message }; $d.Remove('a'); $d.Remove('a')`, "An item with the same key has already been added.\nTrue\nFalse\n"},
		{`$h = @{a=1;b=2}; try { foreach ($k in $h.Keys) { $h[$k] = 9 } } catch { "$($_.FullyQualifiedErrorId) $_" }; "$($h.a)$($h.b)"; foreach ($k in @($h.Keys)) { $h.Remove($k) }; $h.Count`,
			"System.InvalidOperationException Collection was modified; enumeration operation may not execute.\n92\n0\n"},
		{`$h = @{a=1;b=2}; try { $h.GetEnumerator() | % { $h.Remove($_.Key) } } catch { $_.FullyQualifiedErrorId }; $h.Count; $l = [Collections.ArrayList](1,2,3); try { foreach ($x in $l) { $l.Remove($x) } } catch { 'modified' }; $l.Count`, "BadEnumeration\n1\nmodified\n2\n"},
		{`$h = @{a=1;b=2}; @($h.Keys[0]).Count; @($h.Keys)[0]; try { $h.Keys[1] } catch { 'no index' }`, "2\na\nno index\n"},
		{`$o = [ordered]@{}; foreach ($i in 1..20000) { $o["k$i"] = $i }; foreach ($k in @($o.Keys)) { if ($o[$k] -gt 2) { $o.Remove($k) } }; $o[1]`, "2\n"},
		{`try { ([ordered]@{a=1}).Insert(0, 'b', 2) } catch { 'caught' }`, ""},
		{`function f { [CmdletBinding()] param() Write-Error 'a'; g }; function g { Write-Error 'b' }; f -ErrorVariable ev 2>$null; "$ev $($ev.Count)"`, "a b 2\n"},
		{`& { 'o'; Write-Error 'e' } 2>&1 > o.txt; (Get-Content o.txt)[0..1]`, "o\nWrite-Error : e\n"},
		{`try { [ipaddress]'10.0.0.1' } catch { 'caught' }`, ""},
		{`try { New-Object 'object[,]' 2,2 } catch { 'caught' }`, ""},
		{`try { throw 'a' } catch [Net.WebException] { 'no' } catch { 'other' }; try { [Nope] } catch { 'unknown' }`, "other\nunknown\n"},
		{`cd nope -ErrorAction SilentlyContinue; pushd nope -ea 0; "$PWD"; (pushd C:\Windows -PassThru).Path; (popd -PassThru).Path; $PSEdition`, "C:\\work\nC:\\Windows\nC:\\work\nDesktop\n"},
		{`'a','b' | % { $_ > "$_.txt" }; gci *.txt | Rename-Item -NewName { 'n_' + $_.Name }; gci *.txt | Copy-Item -Destination { $_.FullName + '.bak' }; (gci).Name -join ' '; try { Rename-Item n_a.txt { 'q' } } catch { $_.FullyQualifiedErrorId }`,
			"n_a.txt n_a.txt.bak n_b.txt n_b.txt.bak\nScriptBlockArgumentNoInput,Microsoft.PowerShell.Commands.RenameItemCommand\n"},
		{`function f { param([Parameter(ValueFromPipelineByPropertyName=$true)][string]$n, $v) process { "$n$v" } }; 1,2 | f -n { $_ + 1 } -v { 5 }`, "2 5 \n3 5 \n"},
		{`'a.txt','ab.txt','b.log' | % { $_ > $_ }; mkdir d.txt, e | Out-Null; (gci * -Include *.txt -Exclude ab*).Name; (gci .\* -Filter *.log).Name`, "d.txt\na.txt\nb.log\n"},
		{`$v = 1; function f { $v = 2; Remove-Variable v -Scope Global; $v }; f; "[$v]"; Set-Variable r 1 -Option ReadOnly; Remove-Variable r -ea 0; $r; Remove-Variable r -Force; "[$r]"; New-Alias ls Get-Date -ea 0; $?`, "2\n[]\n1\n[]\nFalse\n"},
		{`(New-Item y -Type dir).Mode; (New-Item z -ItemType f).Length; try { New-Item s -ItemType SymbolicLink -Value y } catch { }`, ""},
		{`(New-Item y -Type dir).Mode; (New-Item z -ItemType f).Length`, "d-----\n0\n"},
		{`'x' > a.txt; "$(gi a.txt) $(gci) $(gci *.txt) $(gci . -Recurse -Exclude b)"; gci *.txt | % { gc $_ }; "$(New-TemporaryFile)" -like 'C:\Windows\Temp\*'`, "C:\\work\\a.txt a.txt C:\\work\\a.txt C:\\work\\a.txt\nx\nTrue\n"},
		{`1e-5; 0.0001; "$(-1.5e-5)"; ('b','a').ForEach('ToUpper') -join ''; ('b','a').ForEach('PadLeft', 2) -join ''; ('b','ab').ForEach('Length') -join ''`, "1E-05\n0.0001\n-1.5E-05\nBA\n b a\n12\n"},
		{`'x' > a.txt; (gi a.txt).PSPath; (gi a.txt).PSParentPath; gc -LiteralPath (gi a.txt).PSPath; gi a.txt | Remove-Item; Test-Path a.txt`, "Microsoft.PowerShell.Core\\FileSystem::C:\\work\\a.txt\nMicrosoft.PowerShell.Core\\FileSystem::C:\\work\nx\nFalse\n"},
		{`try { Join-Path D:\data x -ErrorAction Stop } catch { "$_" }; Join-Path c: x; Join-Path \a b`, "Cannot find drive. A drive with the name 'D' does not exist.\nc:\\x\n\\a\\b\n"},
		{`function f { param([ValidateSet('a', IgnoreCase=$false)]$n) $n }; f A`, ""},
		{`function f { param([ValidateLength(1)]$n) $n }; f A`, ""},
		{`$a = 'x y'; say -p:$a -q: $a -p:1,2 -Dm.t=true -a="b c" -a[0]`, "<-p:\"x y\" -q: \"x y\" -p:1 2 -Dm .t=true \"-a=b c\" -a [0]>\n"},
		{`'x' > f; Remove-Item f -Conf:$false; Test-Path f; try { Get-Item . -Confirm:$false } catch { $_.FullyQualifiedErrorId }`, "False\nNamedParameterNotFound,Microsoft.PowerShell.Commands.GetItemCommand\n"},
		{`Remove-Item nothing -wi`, ""},
		{`try { Get-ChildItem . -usetx } catch { 'caught' }`, ""},
		{`@([pscustomobject]@{a='x'},[pscustomobject]@{a='y'} | ? a -ieq X).Count`, "1\n"},
	} {
		b := newBox(t)
		r := b.run("-NoProfile", "-Command", c.script)
		got := strings.ReplaceAll(r.out, "\r\n", "\n")
		if strings.Contains(strings.ReplaceAll(r.out, "\r\n", ""), "\n") && !strings.Contains(r.out, "\r\n") {
			t.Errorf("%s\nlines do not end in CRLF", c.script)
		}
		if c.want == "" {
			if !strings.Contains(r.err, ErrOutside.Error()) || r.code == 0 {
				t.Errorf("%s\nis not refused: %q %q %d", c.script, got, r.err, r.code)
			}
			continue
		}
		if got != c.want || strings.Contains(r.err, ErrOutside.Error()) {
			t.Errorf("%s\n got  %q\n want %q\n stderr %s", c.script, got, c.want, r.err)
		}
	}
}
