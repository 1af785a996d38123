// Package batch is cmd.exe: a documented subset of it, written from what its
// documentation, its help texts and observations of many people say of it.
//
//	code := batch.Run(ctx, batch.Options{Machine: m, Line: `/c echo hello`, Dir: `C:\`, Stdout: w, Stderr: w})
//
// # What runs
//
// The switches /a /c /d /e:on /f /q /r /s /t /v, and the rule of the quotes
// behind /c. Command lines of up to 8,191 characters. Batch files (.bat, .cmd):
// one that is deleted ends where its next line would be read, as cmd's do.
//
// Percent expansion with both of its rules, for lines and for batch files: %NAME%,
// %NAME:~1,2%, %NAME:a=b%, %%, %1 to %9, %*, %~dpnxf1 and the letters s (where no
// short name is needed), a, t, z and $PATH:. Delayed expansion. CD, DATE, TIME,
// RANDOM, ERRORLEVEL, CMDCMDLINE, CMDEXTVERSION. Quotes, carets, & && || |,
// parentheses over several lines, redirections of the handles 0 to 9, @, labels.
//
// The commands break call cd chdir cls color copy date/t del dir echo endlocal
// erase exit for (plain, /d, /r, /l, /f) goto if md mkdir move path popd prompt
// pushd rd rem ren rename rmdir set (/a and /p too) setlocal shift start time/t
// title type ver verify vol. All else is a program of the machine.
//
// # What does not
//
// Everything else is refused: a message names the construct and its line, and
// cmd ends with the code 255; neither || nor a later command goes on. So are:
// an interactive cmd (/k, or no /c); working without command extensions; pause
// and whatever asks (rd /s without /q, del /p, copy /-y onto a file); batch files
// in UTF-16; a batch file without call that has commands behind it on its line or
// in its parentheses; short names; assoc, ftype, mklink; opening documents;
// programs that are not built into the machine.
//
// # Codes
//
// What && and || look at and ERRORLEVEL are two things, as in cmd: rd sets only
// the first, an unknown command is 1 and 9009. set and its like clear ERRORLEVEL
// in .cmd files and not in .bat files. A line that cannot be read ends all batch
// files with 255.
//
// # Differences
//
// Text is UTF-8, as in code page 65001. Commands that are shown because echo is
// on look like cmd's except for blanks in compound ones. A batch file may change
// behind the line that runs; changed before it, it is refused. dir says that
// 20 GiB are free.
package batch
