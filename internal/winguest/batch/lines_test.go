package batch

import (
	"strings"
	"testing"
)

// TestLines runs command lines.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		line, out, errs string
		code            int
	}{
		{`/c echo hello`, "hello\n", "", 0},
		{`/C   echo   two  blanks `, "  two  blanks \n", "", 0},
		{`/s /c "echo "quoted""`, "\"quoted\"\n", "", 0},
		{`/c "echo one & echo two"`, "one \ntwo\n", "", 0},
		{`/d /q /c echo x`, "x\n", "", 0},
		{`/c echo %NAME% %name% %NOPE% %%NAME%% 100%`, "value value %NOPE% %value% 100%\n", "", 0},
		{`/c echo %NAME:~1,2%,%NAME:~-2%,%NAME:~0,-1%,%NAME:a=X%,%NAME:*a=%`, "al,ue,valu,vXlue,lue\n", "", 0},
		{`/c echo %CD% %ERRORLEVEL% %DATE% %TIME%`, "C:\\work 0 Wed 03/04/2026  5:06:07.89\n", "", 0},
		{`/v:on /c set A=1& echo !A! %A%`, "1 %A%\n", "", 0},
		{`/c set A=1& echo !A! %A%`, "!A! %A%\n", "", 0},
		{`/v:on /c "set A=a b& echo !A: =_!^^!"`, "a_b!\n", "", 0},
		{`/c echo a^&b "c^&d" ^^ ^%NAME^%`, "a&b \"c^&d\" ^ %NAME%\n", "", 0},
		{`/c echo.&echo.x&echo:y&echo(z&echo/`, "\nx\ny\nz\n\n", "", 0},
		{`/c echo`, "ECHO is on.\n", "", 0},
		{`/q /c echo`, "ECHO is off.\n", "", 0},
		{`/c fail 3`, "", "", 3},
		{`/c fail 3 && echo no`, "", "", 3},
		{`/c fail 3 || echo yes`, "yes\n", "", 0},
		{`/c fail 0 && echo yes || echo no`, "yes \n", "", 0},
		{`/c fail 3 && echo no || echo yes`, "yes\n", "", 0},
		{`/c fail 3 & echo next`, "next\n", "", 0},
		{`/c exit 7`, "", "", 7},
		{`/c exit /b 7`, "", "", 7},
		{`/c exit /b -1`, "", "", -1},
		{`/c (echo a& fail 4)`, "a\n", "", 4},
		{`/c nosuch`, "", "'nosuch' is not recognized as an internal or external command,\noperable program or batch file.\n", 1},
		{`/c C:\no\such.exe`, "", "The system cannot find the path specified.\n", 1},
		{`/c nosuch 2>nul || echo no`, "no\n", "", 0},
		{`/c nosuch >nul 2>&1`, "", "", 1},
		{`/c echo out& nosuch 1>&2 2>nul`, "out\n", "", 1},
		{`/c echo hi 1>&2`, "", "hi \n", 0},
		{`/c echo hi>f.txt& type f.txt& echo more>>f.txt& type f.txt`, "hi\nhi\nmore\n", "", 0},
		{`/c >f.txt echo hi& cat <f.txt`, "hi\n", "", 0},
		{`/c (echo a& echo b)>f.txt & type f.txt`, "a\nb\n", "", 0},
		{`/c echo foo1>f.txt& type f.txt`, "foo1\n", "", 0},
		{`/c echo foo 1>f.txt& type f.txt`, "foo \n", "", 0},
		{`/c echo x>C:\no\where\f || echo failed`, "failed\n", "The system cannot find the path specified.\n", 0},
		{`/c echo a | cat`, "a \n", "", 0},
		{`/c (echo b& echo a) | cat | cat`, "b\na\n", "", 0},
		{`/c dir /b C:\Windows\System32>list& type list | args`, "<>\n", "The process tried to write to a nonexistent pipe.\n", 0},
		{`/c echo a | fail 5`, "", "", 5},
		{`/c fail 5 | echo a`, "a\n", "", 0},
		{`/c args "a b" c^&d  e`, "<\"a b\" c&d  e>\n", "", 0},
		{`/c "C:\Windows\System32\args.exe" a`, "<a>\n", "", 0},
		{`/c "C:\Windows\System32\args.exe" "a b"`, "", "'C:\\Windows\\System32\\args.exe\" \"a' is not recognized as an internal or external command,\noperable program or batch file.\n", 1},
		{`/c ""C:\Windows\System32\args.exe" "a b""`, "<\"a b\">\n", "", 0},
		{`/c "C:\Program Files\x.cmd"`, "'C:\\Program' is not recognized", "", 1},
		{`/c cmd /c "exit 9"`, "", "", 9},
		{`/c cmd /c echo in`, "in\n", "", 0},
		{`/c if exist C:\work (echo yes) else echo no`, "yes\n", "", 0},
		{`/c if not exist nope echo none`, "none\n", "", 0},
		{`/c if exist C:\Windows\System32\*.exe echo some`, "some\n", "", 0},
		{`/c if defined NAME (if not defined NOPE echo both)`, "both\n", "", 0},
		{`/c if /i "%NAME%"=="VALUE" echo same`, "same\n", "", 0},
		{`/c if "%NAME%"=="VALUE" (echo same) else (echo other)`, "other\n", "", 0},
		{`/c if 10 gtr 9 if 0x10 equ 16 if abc lss abd echo right`, "right\n", "", 0},
		{`/c if 1==2 echo no & echo no`, "", "", 0},
		{`/c fail 2 & if errorlevel 2 if not errorlevel 3 echo two`, "two\n", "", 0},
		{`/q /c for %i in (a "b c" d) do echo %i-%~i`, "a-a\n\"b c\"-b c\nd-d\n", "", 0},
		{`/c for %i in (1) do echo %i`, "\nC:\\work>echo 1 \n1\n", "", 0},
		{`/c for %i in (1) do @echo %i`, "1\n", "", 0},
		{`/q /c for /l %i in (1,2,6) do echo %i`, "1\n3\n5\n", "", 0},
		{`/q /c for /l %i in (3,-1,1) do echo %i`, "3\n2\n1\n", "", 0},
		{`/q /c for /f "tokens=1,2* delims=," %a in ("x,y,z,w") do echo %a-%b-%c`, "x-y-z,w\n", "", 0},
		{`/q /c for /f "usebackq delims=" %a in (` + "`echo one two`" + `) do echo [%a]`, "[one two]\n", "", 0},
		{`/q /c for /f %a in ('echo one two') do echo [%a]`, "[one]\n", "", 0},
		{`/q /c for %f in (C:\Windows\System32\args.exe) do echo %~nf %~xf %~dpf %~nxf %~ff`, "args .exe C:\\Windows\\System32\\ args.exe C:\\Windows\\System32\\args.exe\n", "", 0},
		{`/q /c for %f in (C:\Windows\System32\a*.exe) do echo %f`, "C:\\Windows\\System32\\args.exe\n", "", 0},
		{`/c set /a 1+2*3`, "7", "", 0},
		{`/c set /a (1+2)*3, "x=7 % 4" & echo. & set x`, "3 \nx=3\n", "", 0},
		{`/c set /a 1/0`, "", "Divide by zero error.\n", 1073750993},
		{`/c set /a "a=0x1f|32,b=1<<4,a-b"`, "47", "", 0},
		{`/c set A=x y & set A`, "A=x y \n", "", 0},
		{`/c set "A=x y" & set A`, "A=x y\n", "", 0},
		{`/c set A=x y& set A `, "", "Environment variable A  not defined\n", 1},
		{`/c set "A=x y"& set A`, "A=x y\n", "", 0},
		{`/c set NOPE`, "", "Environment variable NOPE not defined\n", 1},
		{`/c set A=5& env A`, "5\n", "", 0},
		{`/c md a\b\c & cd a\b & cd`, "C:\\work\\a\\b\n", "", 0},
		{`/c cd \Windows & cd & cd /d C:\work& cd`, "C:\\Windows\nC:\\work\n", "", 0},
		{`/c cd nope`, "", "The system cannot find the path specified.\n", 1},
		{`/c D:`, "", "The system cannot find the drive specified.\n", 1},
		{`/c md a & cd.>a\f& rd a`, "", "The directory is not empty.\n", 145},
		{`/c md a & cd.>a\f& rd /s /q a && if not exist a echo gone`, "gone\n", "", 0},
		{`/c rd nope`, "", "The system cannot find the file specified.\n", 2},
		{`/c md C:\work`, "", "A subdirectory or file C:\\work already exists.\n", 1},
		{`/c echo a>f& copy f g & type g & copy f g>nul& ren g h& dir /b`, "        1 file(s) copied.\na\nf\nh\n", "", 0},
		{`/c echo a>f& echo b>g& copy /b f+g h & type h`, "f\ng\n        1 file(s) copied.\na\nb\n", "", 0},
		{`/c echo a>f& move f g & type g`, "        1 file(s) moved.\na\n", "", 0},
		{`/c copy nope x`, "The system cannot find the file specified.\n        0 file(s) copied.\n", "", 1},
		{`/c del nope`, "", "Could Not Find C:\\work\\nope\n", 0},
		{`/c echo a>f& del /q /f f & dir /b`, "", "File Not Found\n", 1},
		{`/c type nope`, "", "The system cannot find the file specified.\n", 1},
		{`/c ver`, "\nMicrosoft Windows [Version 10.0.14393]\n", "", 0},
		{`/c date /t & time /t`, "Wed 03/04/2026\n05:06 AM\n", "", 0},
		{`/c pushd C:\Windows & cd & popd & cd`, "C:\\Windows\nC:\\work\n", "", 0},
		{`/c start /wait fail 3 & echo %errorlevel%`, "0\n", "", 0},
		{`/v:on /c start "a title" /b /wait fail 3 & echo !errorlevel!`, "3\n", "", 0},
		{`/c call echo %^NAME%`, "value\n", "", 0},
		{`/c goto x`, "", "goto works in a batch file only.\n", 1},
		{`/c if`, "", "The syntax of the command is incorrect.\n", 1},
		{`/c echo a &&& echo b`, "", "& was unexpected at this time.\n", 1},
		{`/c if 1==1 (echo a) b`, "", "b was unexpected at this time.\n", 1},
		{`/c rem anything & echo no`, "", "", 0},
		{`/c rem & echo yes`, "yes\n", "", 0},
		{`/c prompt $Q$G & for %i in (1) do rem`, "\n=> rem\n", "", 0},
		{`/c echo %RANDOM%%RANDOM% >nul`, "", "", 0},
		{`/v:on /c for %i in (1 2) do @set A=%i& echo !A!`, "1\n2\n", "", 0},
		{`/c for %i in (a) do @for %j in (b) do @echo %i%j`, "ab\n", "", 0},
		{`/c echo a & cmd /c exit 4 & echo b`, "a \nb\n", "", 0},
		{`/c set /p A=name? & echo %A%`, "name? %A%\n", "", 0},
		{`/c <nul set /p =text`, "text", "", 1},
		{`/c call nosuch`, "", "'nosuch' is not recognized as an internal or external command,\noperable program or batch file.\n", 1},
		{`/c path C:\x;C:\y& path`, "PATH=C:\\x;C:\\y\n", "", 0},
		{`/c echo "a|b" a^|b`, "\"a|b\" a|b\n", "", 0},
		{`/c exit`, "", "", 0},
		{`/c echo äöü € 😀`, "äöü € 😀\n", "", 0},
		{`/c color 0a`, "", "", 1},
		{`/c title x& verify & vol`, "VERIFY is off.\n Volume in drive C has no label.\n Volume Serial Number is 0EC2-10CA\n", "", 0},
	} {
		t.Run(c.line, func(t *testing.T) {
			b := newBench(t)
			out, errs, code := b.run(t, c.line)
			if strings.HasPrefix(c.out, "'C:\\Program'") { // only the beginning
				out, errs = errs[:min(len(errs), len(c.out))], ""
			}
			if out != c.out || errs != c.errs || code != c.code {
				t.Errorf("%s\nprinted %q\n and    %q, code %d;\nwant    %q\n and    %q, code %d", c.line, out, errs, code, c.out, c.errs, c.code)
			}
		})
	}
}

// TestRefused: what is outside of the subset fails, says what it is, and nothing
// behind it runs.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ line, names string }{
		{`echo no /c`, "/c"}, {``, "console"}, {`/k echo x`, "/k"}, {`/u /c echo x`, "/u"}, {`/e:off /c echo x`, "extensions"}, {`/? `, "/?"},
		{`/c pause || echo no`, "pause"}, {`/c mklink a b & echo no`, "mklink"}, {`/c assoc & echo no`, "assoc"},
		{`/c rd /s x & md x & rd /s x & echo no`, "/q"}, {`/c del /p x`, "/p"}, {`/c dir /w`, "/w"}, {`/c native || echo no`, "no native programs"},
		{`/c date 1/1/2000`, "date"}, {`/c echo %NAME:~x%`, "NAME:~x"}, {`/c C:\work\text.txt`, "opens documents"},
		{`/c echo x>con`, "con"}, {`/c (echo a`, "never closed"}, {`/c start`, "console"}, {`/c start echo`, "console"},
		{`/c copy /z a b`, "/z"}, {`/c setlocal disableextensions`, "disableextensions"}, {`/c verify on`, "verify"},
		{`/c for /x %i in (1) do echo no`, "/x"}, {`/c echo a>text.txt& copy /-y text.txt "C:\work\other.txt"`, "/-y"},
		{`/c for %i in ("long name.txt") do echo %~si`, "short"},
		{"/c " + strings.Repeat("(", 1000) + "echo" + strings.Repeat(")", 1000), "others in it"},
	} {
		t.Run(c.line[:min(len(c.line), 60)], func(t *testing.T) {
			b := newBench(t)
			b.write(t, `C:\work\text.txt`, "x")
			b.write(t, `C:\work\other.txt`, "x")
			out, errs, code := b.run(t, c.line)
			if code != exitRefused || !strings.Contains(errs, c.names) || !strings.Contains(errs, "cannot run") || strings.Contains(out, "no\n") {
				t.Errorf("printed %q and %q, code %d; want %d and a refusal that names %q", out, errs, code, exitRefused, c.names)
			}
		})
	}
}

func TestLongLine(t *testing.T) {
	b := newBench(t)
	if out, errs, code := b.run(t, "/c echo "+strings.Repeat("x", maxLine-5)); code != 0 || len(out) != maxLine-5+1 {
		t.Errorf("a line of %d characters: %d printed, %q, %d", maxLine, len(out), errs, code)
	}
	if _, errs, code := b.run(t, "/c echo "+strings.Repeat("x", maxLine)); code != 1 || errs != "The command line is too long.\n" {
		t.Errorf("a longer line: %q, %d", errs, code)
	}
}
