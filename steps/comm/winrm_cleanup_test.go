package comm

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// windowsCleanups are what scripts do on Windows before a machine becomes an image.
var windowsCleanups = map[string]string{
	"Remove-Item *":           `Remove-Item C:\Windows\Temp\* -Recurse -Force`,
	"Remove-Item":             `Remove-Item C:\Windows\Temp -Recurse -Force`,
	"Remove-Item, or stop":    `Remove-Item C:\Windows\Temp\* -Recurse -Force -ErrorAction Stop`,
	"piped":                   `Get-ChildItem C:\Windows\Temp -Recurse -Force | Remove-Item -Recurse -Force -ErrorAction SilentlyContinue`,
	"rd":                      `cmd /c rd /s /q C:\Windows\Temp`,
	"del":                     `cmd /c del /f /s /q C:\Windows\Temp\* > $null`,
	"made anew":               `cmd /c rd /s /q C:\Windows\Temp; $null = New-Item -ItemType Directory C:\Windows\Temp`,
	"moved":                   `Move-Item C:\Windows\Temp C:\Windows\Temp.old; $null = New-Item -ItemType Directory C:\Windows\Temp`,
	"the user's":              `Remove-Item $env:TEMP\* -Recurse -Force`,
	"where the run itself is": `Remove-Item C:\ProgramData\imgf-* -Recurse -Force -ErrorAction SilentlyContinue`,
	"... by rd":               `cmd /c "for /d %d in (C:\ProgramData\imgf-*) do @rd /s /q %d" 2>&1 | Out-Null`,
}

// A script that cleans up a Windows machine does not reach what its run needs.
func TestWindowsCleanup(t *testing.T) {
	t.Parallel()
	for name, clean := range windowsCleanups {
		for _, elevated := range []bool{false, true} {
			for _, c := range []cut{never, beforeCleanup} {
				what := name + "/" + c.String()
				if elevated {
					what += "/elevated"
				}
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					windowsCleanup(t, clean, elevated, c)
				})
			}
		}
	}
}

func windowsCleanup(t *testing.T, clean string, elevated bool, c cut) {
	g := newGuest(t)
	w := newWin(t, g.m)
	j := w.ps(`[IO.File]::AppendAllText('C:\count', 'x'); 'one'
for ($i = 0; $i -lt 1200 -and -not (Test-Path C:\clean); $i++) { Start-Sleep -Milliseconds 50 }
` + clean + "\n'two'; [Console]::Error.WriteLine('bad'); exit 7")
	if elevated {
		j.Elevate = &Elevate{User: "SYSTEM"}
	}
	if c == never {
		g.write("clean", "")
	} else {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for w.sink.Offset(w.task.Token, "stdout") == 0 && ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
		}()
		if _, err := w.Run(ctx, j); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		g.write("clean", "")
		time.Sleep(300 * time.Millisecond)
	}
	x, err := w.again(t, g.m).Run(t.Context(), j)
	if err != nil || x != (Exit{Code: 7}) {
		t.Errorf("%+v %v", x, err)
	}
	if o, e := w.lines(t, "stdout"), w.lines(t, "stderr"); o != "one\ntwo\n" || !strings.HasSuffix(e, "bad\n") {
		t.Errorf("printed %q and %q", o, e)
	}
	if got := g.read("count"); got != "x" {
		t.Errorf("started %d times", len(got))
	}
	os.MkdirAll(g.path("Windows/Temp"), 0o755)
	g.clean()
}
