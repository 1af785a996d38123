package batch

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// codes is what commands do to ERRORLEVEL and to && and ||, observed on Windows:
// each line runs with ERRORLEVEL 666 in a .bat with delayed expansion, in a folder
// that holds fileA, fileB and full\f.
var codes = []struct{ command, want string }{
	{`echo foo>nul`, "SUCCESS 666"},
	{`echo foo >>h:\i\do\not\exist.txt`, "FAILURE 1"},
	{`if 1==1 echo "">nul`, "SUCCESS 666"},
	{`if 1==0 echo "">nul`, "SUCCESS 666"},
	{`if 1==1 (call :setError 33)`, "FAILURE 33"},
	{`if 1==0 (call :setError 33) else call :setError 34`, "FAILURE 34"},
	{`for %%i in () do echo ""`, "SUCCESS 666"},
	{`for %%i in () do call :setError 33`, "SUCCESS 666"},
	{`for %%i in (a) do call :setError 0`, "SUCCESS 0"},
	{`for %%i in (a) do call :setError 33`, "FAILURE 33"},
	{`I\do\not\exist.exe`, "FAILURE 1"},
	{`Idonotexist.exe`, "FAILURE 1"},
	{`cmd.exe /c "exit /b 0"`, "SUCCESS 0"},
	{`cmd.exe /c "exit /b 1024"`, "FAILURE 1024"},
	{`call Idonotexist.exe`, "FAILURE 1"},
	{`call .\eb.bat 0`, "SUCCESS 0"},
	{`call .\eb.bat 1024`, "FAILURE 1024"},
	{`call .\clears.bat`, "SUCCESS 0"},
	{`call .\clears2.bat`, "SUCCESS 0"},
	{`call .\fails.bat`, "FAILURE 2"},
	{`call .\fails2.bat`, "FAILURE 666"},
	{`call .\eof.bat`, "FAILURE 666"},
	{`call .\label.bat`, "FAILURE 666"},
	{`call .\nolabel.bat`, "FAILURE 1"},
	{`call .\failseof.bat`, "FAILURE 666"},
	{`call rmdir nodir`, "FAILURE 2"},
	{`echo a | cmd /c exit 0`, "SUCCESS 0"},
	{`echo a | call :setError 34`, "FAILURE 1"},
	{`call :setError 33 2>nul | cmd /c exit 0`, "SUCCESS 0"},
	{`echo a | rmdir I\do\not\exist`, "FAILURE 3"},
	{`start "" /foobar`, "FAILURE 1"},
	{`start "" /b /wait cmd.exe /c "exit /b 1024"`, "SUCCESS 1024"},
	{`start "" /b cmd.exe /c "exit /b 1024"`, "SUCCESS 666"},
	{`type`, "FAILURE 1"}, {`type NUL`, "SUCCESS 0"}, {`type i\do\not\exist`, "FAILURE 1"}, {`type file* i\do\not\exist >nul`, "FAILURE 1"},
	{`copy fileA >nul`, "FAILURE 1"}, {`copy fileA fileZ >nul`, "SUCCESS 0"}, {`copy fileA+fileD fileZ >nul`, "FAILURE 1"},
	{`copy /b fileA fileA /Y >nul`, "FAILURE 1"}, {`copy /b fileA+fileB fileA >nul`, "SUCCESS 0"},
	{`move >nul`, "FAILURE 1"}, {`move fileA fileC >nul`, "SUCCESS 0"}, {`move fileA nowhere\fileC >nul`, "FAILURE 1"}, {`move fileD fileE >nul`, "FAILURE 1"},
	{`rename fileB`, "FAILURE 1"}, {`rename fileB fileA`, "FAILURE 1"}, {`rename fileB nowhere\fileB`, "FAILURE 1"}, {`rename fileD fileC`, "FAILURE 1"}, {`rename fileB fileC`, "SUCCESS 0"},
	{`erase`, "FAILURE 1"}, {`erase fileA`, "SUCCESS 0"}, {`erase i\do\not\exist.txt`, "FAILURE 1"}, {`erase *.idonotexist`, "SUCCESS 0"},
	{`c:`, "SUCCESS 666"}, {`1:`, "FAILURE 1"}, {`call c:`, "SUCCESS 0"}, {`call 1:`, "FAILURE 1"},
	{`mkdir`, "FAILURE 1"}, {`mkdir abc`, "SUCCESS 0"}, {`mkdir full`, "FAILURE 1"}, {`mkdir @:\cba\abc`, "FAILURE 1"},
	{`cd full`, "SUCCESS 0"}, {`cd nodir`, "FAILURE 1"}, {`cd ..`, "SUCCESS 0"}, {`cd >nul`, "SUCCESS 0"},
	{`pushd >nul`, "SUCCESS 0"}, {`pushd full`, "SUCCESS 0"}, {`pushd nodir`, "FAILURE 1"}, {`popd`, "FAILURE 1"}, {`pushd full& popd`, "SUCCESS 0"}, {`pushd "full/"`, "SUCCESS 0"},
	{`dir zzz >nul`, "FAILURE 1"}, {`dir fileA zzz >nul`, "SUCCESS 0"}, {`dir full\zzz >nul`, "FAILURE 1"}, {`dir file* >nul`, "SUCCESS 0"},
	{`rmdir`, "FAILURE 1"}, {`rmdir full`, "FAILURE 145"}, {`rmdir full\f`, "FAILURE 267"}, {`rmdir empty`, "SUCCESS 666"}, {`rmdir nodir`, "FAILURE 2"}, {`rmdir no\such`, "FAILURE 3"},
	{`setlocal foobar`, "FAILURE 1"}, {`setlocal`, "SUCCESS 0"},
	{`date /t >nul`, "SUCCESS 0"}, {`time /t >nul`, "SUCCESS 0"}, {`break`, "SUCCESS 666"}, {`break 345`, "SUCCESS 666"},
	{`ver >nul`, "SUCCESS 0"}, {`ver foo >nul`, "SUCCESS 0"}, {`ver /f >nul`, "FAILURE 1"},
	{`verify >nul`, "SUCCESS 0"}, {`verify foobar`, "FAILURE 1"}, {`vol >nul`, "SUCCESS 0"}, {`vol c: >nul`, "SUCCESS 0"}, {`vol foobar`, "FAILURE 1"},
	{`path >nul`, "SUCCESS 666"}, {`path @:\I`, "SUCCESS 666"}, {`path ;`, "SUCCESS 666"},
	{`set >nul`, "SUCCESS 666"}, {`set "A=b"`, "SUCCESS 666"}, {`set "NOPE="`, "SUCCESS 666"}, {`set NOPE`, "FAILURE 1"}, {`set /q`, "FAILURE 1"},
	{`shift`, "SUCCESS 666"}, {`shift /abc`, "FAILURE 1"}, {`prompt`, "SUCCESS 666"}, {`cls >nul`, "SUCCESS 666"}, {`cls /x`, "FAILURE 1"},
	{`color fc`, "FAILURE 1"}, {`title a new title`, "SUCCESS 666"}, {`title`, "SUCCESS 666"},
}

func TestCodes(t *testing.T) {
	for _, c := range codes {
		t.Run(c.command, func(t *testing.T) {
			b := newBench(t)
			for name, text := range map[string]string{
				"fileA": "a \r\n", "fileB": "b \r\n", `full\f`: "x",
				"eb.bat": "exit /b %1", "clears.bat": "type NUL", "clears2.bat": "type NUL\n\necho.>nul", "fails.bat": "rmdir nodir",
				"fails2.bat": "rmdir nodir\ntitle foo", "eof.bat": "goto :EOF", "label.bat": "goto :end\n:end", "nolabel.bat": "goto :end", "failseof.bat": "rmdir nodir\ngoto :EOF",
				"t.bat": "@echo off\r\nmd empty\r\nsetlocal enabledelayedexpansion\r\n" +
					"call :setError 666 & ((" + c.command + ") &&echo SUCCESS !errorlevel!||echo FAILURE !errorlevel!)\r\ngoto :eof\r\n:setError\r\nexit /b %1\r\n",
			} {
				b.write(t, `C:\work\`+name, text)
			}
			if out, errs, _ := b.run(t, "/c t.bat"); strings.TrimSpace(out) != c.want {
				t.Errorf("%s: %q, want %s (%s)", c.command, out, c.want, errs)
			}
		})
	}
}

// TestScripts runs batch files, t.bat first, with what they print.
func TestScripts(t *testing.T) {
	for _, c := range []struct {
		name, text, out, errs string
		code                  int
		line                  string
		more                  map[string]string
	}{
		{name: "shown", text: "echo hi\nrem a remark\n@echo at\n@echo off\necho quiet", out: "\nC:\\work>echo hi \nhi\n\nC:\\work>rem a remark \nat\nquiet\n"},
		{name: "arguments", text: "@echo off\necho [%1] [%2] [%3] [%~3] [%*]\nshift\necho [%0] [%1]\nshift /1\necho [%0] [%1]", line: `/c t.bat a "b c";d,e=f`,
			out: "[a] [\"b c\"] [d] [d] [a \"b c\";d,e=f]\n[a] [\"b c\"]\n[a] [d]\n"},
		{name: "modifiers", text: "@echo off\necho %~dp0 %~nx0 %~f1 %~n1 %~x1 %~z1 %~a1\ncall :sub\nexit /b\n:sub\necho %0 %~nx0", line: `/c t.bat sub\file.txt`, more: map[string]string{`sub\file.txt`: "12345"},
			out: "C:\\work\\ t.bat C:\\work\\sub\\file.txt file .txt 5 --a--------\n:sub t.bat\n"},
		{name: "path search", text: "@echo %~$PATH:1", line: `/c t.bat args.exe`, out: "C:\\Windows\\System32\\args.exe\n"},
		{name: "percent", text: "@echo off\nset X=5\necho %% %X% %NOPE%x %X%%X% 100%% %NOPE:~1,2%", out: "% 5 x 55 100% ~1,2\n"},
		{name: "goto", text: "@echo off\ngoto there\necho no\n:other\necho other\ngoto:eof\n:there comment\necho there\ngoto Other", out: "there\nother\n"},
		{name: "goto goes round", text: "@echo off\nset N=0\n:top\nset /a N+=1\nif %N% lss 5 goto top\necho %N%", out: "5\n"},
		{name: "call", text: "@echo off\ncall :f one \"two three\"\necho back %ERRORLEVEL%\nexit /b 3\n:f\necho %1 %~2 %0\nexit /b 5\n", out: "one two three :f\nback 5\n", code: 3},
		{name: "call a file", text: "@echo off\ncall sub x\necho back %ERRORLEVEL%", more: map[string]string{"sub.cmd": "@echo in %1 %~n0\n@exit /b 4"}, out: "in x sub\nback 4\n", code: 4},
		{name: "without call", text: "@echo off\nsub.cmd x\necho no", more: map[string]string{"sub.cmd": "@echo in %1"}, out: "in x\n"},
		{name: "without call and more", text: "@echo off\nsub.cmd x & echo no", more: map[string]string{"sub.cmd": "@echo no"}, code: exitRefused,
			errs: "cannot run 'sub.cmd', a batch file without call, with more commands behind it (line 2 of C:\\work\\t.bat): this cmd knows a subset of the real one\n"},
		{name: "exit", text: "@echo off\ncall :f\necho no\n:f\nexit 6", code: 6},
		{name: "parentheses", text: "@echo off\nif 1==1 (\n  echo one\n  rem remark )\n  echo two ^) & echo three\n) else (\n  echo no\n)\nif 1==2 (\n echo no\n) else if 2==2 (\n echo else\n)",
			out: "one\ntwo ) \nthree\nelse\n"},
		{name: "expanded when read", text: "@echo off\nset X=1\nif 1==1 (\n set X=2\n echo %X%\n)\necho %X%", out: "1\n2\n"},
		{name: "delayed", text: "@echo off\nsetlocal enabledelayedexpansion\nset X=1\nif 1==1 (\n set X=2\n echo !X! !X:2=two! bang^^!\n)\nendlocal\necho !X!", out: "2 two bang!\n!X!\n"},
		{name: "continued", text: "@echo off\necho a ^\nb\nif ^\n1==1 echo c", out: "a b\nc\n"},
		{name: "labels in parentheses", text: "@echo off\nif 1==1 (\n:: remark\necho a\n)", out: "a\n"},
		{name: "label at the end of parentheses", text: "@echo off\nif 1==1 (\necho a\n:: remark\n)\necho no", code: 255, errs: ") was unexpected at this time.\n(line 5 of C:\\work\\t.bat)\n"},
		{name: "setlocal", text: "@echo off\nset A=1\nsetlocal\nset A=2\ncd \\Windows\nendlocal\necho %A% %CD%\ncall :f\necho %A%\nexit /b\n:f\nsetlocal\nset A=3", out: "1 C:\\work\n1\n"},
		{name: "for over lines", text: "@echo off\nfor /f \"skip=1 tokens=1,3\" %%a in (data.txt) do echo %%a-%%b", more: map[string]string{"data.txt": "head\r\na b c\r\n\r\n;remark\r\nd e f\r\n"}, out: "a-c\nd-f\n"},
		{name: "for over a command", text: "@echo off\nfor /f \"tokens=2 delims==\" %%a in ('set NAME^| cat') do set V=%%a\necho %V%", out: "value\n"},
		{name: "for d and r", text: "@echo off\nfor /d %%d in (*) do echo %%d\nfor /r %%f in (*.txt) do echo %%~nxf\nfor /r a %%d in (.) do echo %%d", more: map[string]string{`a\x.txt`: "", `b\y.txt`: ""},
			out: "a\nb\nx.txt\ny.txt\nC:\\work\\a\\.\n"},
		{name: "goto leaves for", text: "@echo off\nfor %%i in (1 2 3) do (\n echo %%i\n if %%i==2 goto out\n)\n:out\necho out", out: "1\n2\nout\n"},
		{name: "unknown", text: "@echo off\nnosuch 2>nul\necho %ERRORLEVEL%\nno\\such 2>nul\necho %ERRORLEVEL%", out: "9009\n3\n", code: 3},
		{name: "unknown at the end", text: "@nosuch", errs: "'nosuch' is not recognized as an internal or external command,\noperable program or batch file.\n", code: 1},
		{name: "syntax", text: "@echo off\necho a\nif 1==1 )\necho no", out: "a\n", errs: ") was unexpected at this time.\n(line 3 of C:\\work\\t.bat)\n", code: 255},
		{name: "missing label", text: "@echo off\ngoto nowhere\necho no", errs: "The system cannot find the batch label specified - nowhere\n", code: 1},
		{name: "call twice expands", text: "@echo off\nset A=B\nset B=deep\ncall echo %%%A%%%\ncall set C=%%%A%%%\necho %C%", out: "deep\ndeep\n"},
		{name: "call with quoted caret", text: "@call echo \"^\"", out: "\"^^\"\n"},
		{name: "errorlevel of bat", text: "@echo off\nfail 4\nset A=1\necho %ERRORLEVEL%", out: "4\n", code: 4},
		{name: "errorlevel of cmd", line: "/c t.cmd", more: map[string]string{"t.cmd": "@echo off\nfail 4\nset A=1\necho %ERRORLEVEL%"}, out: "0\n"},
		{name: "a variable that hides", text: "@echo off\nset ERRORLEVEL=7\nfail 3\necho %ERRORLEVEL%\nif errorlevel 3 if not errorlevel 4 echo three", out: "7\nthree\n", code: 3},
		{name: "known idioms", text: "@echo off\n(call)\nif errorlevel 1 echo one\n(call )\nif not errorlevel 1 echo zero\ncd.>empty\nif exist empty echo made\n>nul 2>&1 net session || echo no net", out: "one\nzero\nmade\nno net\n", code: 1},
		{name: "pipes know nothing", text: "@echo off\nset A=1\nset A=2| cat\necho %A%\necho x|(cat & echo y)", out: "1\nx\ny\n"},
		{name: "handles", text: "@echo off\n(echo out& echo err 1>&2) 2>&1 >f\ntype f\n9>lock (echo held)", out: "err \nout\nheld\n"},
		{name: "utf-16", text: "\xff\xfee\x00", code: exitRefused, errs: "cannot run 'C:\\work\\t.bat': it is not text in one byte or UTF-8 characters (UTF-16?) (line 1): this cmd knows a subset of the real one\n"},
		{name: "refused with its line", text: "@echo off\necho a\npause\necho no", out: "a\n", code: exitRefused, errs: "cannot run pause: it waits for a key, and nobody is there to press one (line 3 of C:\\work\\t.bat): this cmd knows a subset of the real one\n"},
		{name: "calls without end", text: "@echo off\ncall :f\nexit /b 0\n:f\ncall :f", code: exitRefused, errs: "cannot run commands that call each other more than 600 deep (line 5 of C:\\work\\t.bat): this cmd knows a subset of the real one\n"},
		{name: "deletes itself", text: "@echo off\necho a\ndel \"%~f0\"\necho no\n", out: "a\n", errs: "The batch file cannot be found.\n", code: 1},
		{name: "deletes itself in its last line", text: "@echo off\necho a\ndel \"%~f0\"\n", out: "a\n", errs: "The batch file cannot be found.\n", code: 1},
		{name: "deletes itself where nothing follows", text: "@echo off\necho a\ndel \"%~f0\"", out: "a\n"},
		{name: "deletes itself and ends", text: "@echo off\necho a\ndel \"%~f0\" & exit /b 3\necho no\n", out: "a\n", code: 3},
		{name: "deletes itself and exits", text: "@echo off\ndel \"%~f0\" & exit 4\necho no\n", code: 4},
		{name: "deletes itself in parentheses", text: "@echo off\n(\n del \"%~f0\"\n echo still\n)\necho no\n", out: "still\n", errs: "The batch file cannot be found.\n", code: 1},
		{name: "leaves itself and deletes", text: "@echo off\necho a\n(goto) 2>nul & del \"%~f0\"\necho no\n", out: "a\n"},
		{name: "leaves itself by goto", text: "@echo off\ngoto 2>nul & echo b & if exist \"%~f0\" echo there\necho no\n", out: "b \nthere\n"},
		{name: "goto without a label", text: "@echo off\ngoto\necho no\n", errs: "No batch label specified to GOTO command.\n", code: 1},
		{name: "a called file leaves itself", text: "@echo off\ncall sub\necho back\nif not exist sub.cmd echo gone\n", more: map[string]string{"sub.cmd": "@echo in\n@(goto) 2>nul & del \"%~f0\"\n@echo no"}, out: "in\nback\ngone\n"},
		{name: "a called file is deleted", text: "@echo off\ncall sub\necho back %errorlevel%\n", more: map[string]string{"sub.cmd": "@echo in\n@del sub.cmd\n@echo no\n"}, out: "in\nback 1\n", errs: "The batch file cannot be found.\n", code: 1},
		{name: "deleted in a subroutine", text: "@echo off\ncall :f\necho no\nexit /b\n:f\ndel t.bat\necho no\n", errs: "The batch file cannot be found.\nThe batch file cannot be found.\n", code: 1},
		{name: "renames itself", text: "@echo off\nren t.bat u.bat\necho no\n", errs: "The batch file cannot be found.\n", code: 1},
		{name: "grows", text: "@echo off\necho a\necho @echo added>>t.bat\n", out: "a\nadded\n"},
		{name: "changes what ran", text: "@echo off\necho @echo other lines than before>t.bat\necho no\n", code: exitRefused,
			errs: "cannot run 'C:\\work\\t.bat': it changes the lines before the one that runs (line 2 of C:\\work\\t.bat): this cmd knows a subset of the real one\n"},
		{name: "as packer uploads", text: "@echo off\necho aGVs>>\"%TEMP%\\up.tmp\"\necho bG8=>>%TEMP%\\up.tmp\ntype \"%TEMP%\\up.tmp\"", more: map[string]string{`..\Windows\Temp\x`: ""}, out: "aGVs\nbG8=\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.write(t, `C:\work\t.bat`, strings.ReplaceAll(c.text, "\n", "\r\n"))
			for name, text := range c.more {
				b.write(t, join(`C:\work`, name), text)
			}
			line := c.line
			if line == "" {
				line = "/c t.bat"
			}
			out, errs, code := b.run(t, line)
			if out != c.out || errs != c.errs || code != c.code {
				t.Errorf("printed %q\n and    %q, code %d;\nwant    %q\n and    %q, code %d", out, errs, code, c.out, c.errs, c.code)
			}
		})
	}
}

// TestStops: what has no end ends with its context.
func TestStops(t *testing.T) {
	for _, text := range []string{
		":a\ngoto a", "for /l %%i in (0,0,1) do rem", ":a\n@t.bat", "sleep", "sleep | cat", "cat | sleep", "for /l %%i in (0,0,1) do @echo x | cat",
		"for /f %%i in ('sleep') do echo", ":a\ncall :b\ngoto a\n:b\nexit /b", "start /wait sleep",
	} {
		b := newBench(t)
		b.write(t, `C:\work\t.bat`, "@echo off\n"+text)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		done := make(chan int)
		go func() {
			done <- Run(ctx, Options{Machine: b, Line: "/c t.bat", Env: posh.NewEnv(`PATH=C:\Windows\System32`), Dir: `C:\work`})
		}()
		select {
		case code := <-done:
			if code == 0 {
				t.Errorf("%q ended with 0", text)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q did not end", text)
		}
		cancel()
	}
}

// FuzzLine: whatever the line, cmd ends, without panic. It reaches a machine of
// its own whose programs do nothing.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		`echo a & (echo b) > f || if exist x (echo y) else echo z`, `for /f "tokens=1,2*" %a in ('echo a b c') do @echo %~nxa %b`, `set /a 1+(2*3<<4)%5`, `echo %NAME:~1,-1% %NAME:a=b% ^`,
		"if 1==1 (\n:: x\necho a\n)", `call :x & goto y`, `cd..&copy a+b c&dir /b /o-n *.?`, `echo !A:~-2! %~dpnx1 %*`, `a|b|c 2>&1 <nul`, `for %a in (`, `"`, `^`, `%`, `((`, `set /p x=`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, text string, file bool) {
		if strings.Contains(strings.ToLower(text), "sleep") {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		line := "/v:on /c " + text
		if file {
			b.write(t, `C:\work\t.bat`, text)
			line = "/v:on /c t.bat a \"b c\""
		}
		Run(ctx, Options{Machine: b, Line: line, Env: posh.NewEnv(`PATH=C:\Windows\System32`, "NAME=value"), Dir: `C:\work`, Stdin: strings.NewReader("x\r\n")})
	})
}
