package winguest

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scene is a folder C:\t with files that a process holds open, and one that it is
// in: what clean-up scripts meet.
//
//	C:\t\a.log        open, shared for reading
//	C:\t\free.txt
//	C:\t\ro.txt       read-only
//	C:\t\hid.txt      hidden
//	C:\t\sub\b.log    open, shared for reading and writing
//	C:\t\sub\free.txt
//	C:\t\cwd          the current directory of a process
//	C:\t\empty\deep
func scene(t *testing.T, m *Machine) {
	t.Helper()
	ready, stop := make(chan struct{}), make(chan struct{})
	p := m.runFunc(t, func(ctx context.Context, p *Proc) int {
		for _, d := range []string{`C:\t\sub`, `C:\t\cwd`, `C:\t\empty\deep`} {
			if err := p.Mkdir(d); err != nil {
				t.Error(err)
			}
		}
		for _, f := range []string{`C:\t\free.txt`, `C:\t\ro.txt`, `C:\t\hid.txt`, `C:\t\sub\free.txt`, `C:\t\a.log`, `C:\t\sub\b.log`} {
			if err := p.WriteFile(f, []byte("x")); err != nil {
				t.Error(err)
			}
		}
		m.disk.setAttributes(`C:\t\ro.txt`, true, false, false)
		m.disk.setAttributes(`C:\t\hid.txt`, false, true, false)
		if _, err := p.Open(`C:\t\a.log`, ForWriting); err != nil {
			t.Error(err)
		}
		if _, err := p.Open(`C:\t\sub\b.log`, Mode{Disposition: OpenAlways, Write: true, ShareRead: true, ShareWrite: true}); err != nil {
			t.Error(err)
		}
		if err := p.Enter(`C:\t\cwd`); err != nil {
			t.Error(err)
		}
		close(ready)
		select {
		case <-stop:
		case <-ctx.Done():
		}
		return 0
	})
	<-ready
	t.Cleanup(func() { close(stop); p.Wait() })
}

// left lists what is left in a folder of the machine.
func left(t *testing.T, m *Machine, dir string) string {
	t.Helper()
	root := filepath.Join(m.dir, "c", filepath.FromSlash(dir))
	var names []string
	filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		if err == nil && p != root {
			rel, _ := filepath.Rel(root, p)
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if _, err := os.Stat(root); err != nil {
		return "gone"
	}
	return strings.Join(names, " ")
}

const inUse = " because it is being used by another process."

// What Remove-Item, rd and del leave and say where files are in use, read from the
// logs of builds that met it: the rest is removed, each thing that stays is an
// error, and the script goes on.
func TestRemoveInUse(t *testing.T) {
	cannot := "Remove-Item : Cannot remove item C:\\t\\"
	for _, c := range []struct {
		name, line, left string
		says             []string
		not              []string
		code             int
	}{
		{name: "Remove-Item", line: `powershell -Command "Remove-Item C:\t\* -Recurse -Force; 'went on'; exit 7"`, code: 7, left: "a.log cwd sub sub/b.log",
			says: []string{cannot + "sub\\b.log: The process cannot access the file 'b.log'" + inUse, cannot + "sub: The directory is not empty.", cannot + "a.log: The process cannot access the file 'C:\\t\\a.log'" + inUse,
				cannot + "cwd: The process cannot access the file 'C:\\t\\cwd'" + inUse, "WriteError: (b.log:FileInfo) [Remove-Item], IOException", "RemoveFileSystemItemIOError,Microsoft.PowerShell.Commands.RemoveItemCommand", "went on\n"}},
		{name: "Remove-Item of the folder", line: `powershell -Command "Remove-Item C:\t -Recurse -Force; 'went on'"`, code: 0, left: "a.log cwd sub sub/b.log",
			says: []string{cannot + "a.log: The process cannot access the file 'a.log'" + inUse, "Remove-Item : Cannot remove item C:\\t: The directory is not empty.", "went on\n"}},
		{name: "Remove-Item without -Force", line: `powershell -Command "Remove-Item C:\t\* -Recurse; 'went on'"`, code: 0, left: "a.log cwd hid.txt ro.txt sub sub/b.log",
			says: []string{cannot + "ro.txt: You do not have sufficient access rights to perform this operation.", "PermissionDenied: (C:\\t\\ro.txt:FileInfo) [Remove-Item], IOException",
				"Directory C:\\t\\sub cannot be removed because it is not empty.", "DirectoryNotEmpty,Microsoft.PowerShell.Commands.RemoveItemCommand", "went on\n"},
			not: []string{"hid.txt"}},
		{name: "Remove-Item, stop", line: `powershell -Command "$ErrorActionPreference = 'Stop'; Remove-Item C:\t\sub -Recurse -Force; 'went on'"`, code: 1, left: "a.log cwd empty empty/deep free.txt hid.txt ro.txt sub sub/b.log sub/free.txt",
			says: []string{cannot + "sub\\b.log: "}, not: []string{"went on\n"}},
		{name: "Remove-Item, silent", line: `powershell -Command "Remove-Item C:\t\* -Recurse -Force -ErrorAction SilentlyContinue; $?; $Error.Count"`, code: 0, left: "a.log cwd sub sub/b.log", says: []string{"False\n4\n"}, not: []string{"Cannot"}},
		{name: "caught", line: `powershell -Command "try { Remove-Item C:\t\a.log -ErrorAction Stop } catch [IO.IOException] { $_.Exception.Message; [string]$_ }"`, left: "a.log cwd empty empty/deep free.txt hid.txt ro.txt sub sub/b.log sub/free.txt",
			says: []string{"The process cannot access the file 'C:\\t\\a.log'" + inUse + "\nCannot remove item C:\\t\\a.log: The process"}},
		{name: "rd", line: `cmd /c rd /s /q C:\t & echo on %errorlevel%`, left: "a.log cwd sub sub/b.log",
			says: []string{"C:\\t\\a.log - The process cannot access the file" + inUse + "\n", "C:\\t\\sub\\b.log - The process cannot access the file" + inUse + "\n",
				"C:\\t\\sub - The directory is not empty.\n", "C:\\t\\cwd - The process cannot access the file" + inUse + "\n", "\nThe directory is not empty.\n", "on 0"}},
		{name: "rd's code", line: `cmd /c rd /s /q C:\t`, code: 145, left: "a.log cwd sub sub/b.log"},
		{name: "rd of a folder that somebody is in", line: `cmd /c rd C:\t\cwd`, code: 32, left: "a.log cwd empty empty/deep free.txt hid.txt ro.txt sub sub/b.log sub/free.txt",
			says: []string{"The process cannot access the file" + inUse + "\n"}},
		{name: "del", line: `cmd /c del /f /s /q C:\t\*`, code: 0, left: "a.log cwd empty empty/deep hid.txt sub sub/b.log",
			says: []string{"C:\\t\\a.log\nThe process cannot access the file" + inUse + "\n", "Deleted file - C:\\t\\free.txt\n"}},
		{name: "its own folder", line: `cmd /c "cd /d C:\t\empty & rd /s /q C:\t\empty & echo still & cd"`, code: 0, left: "a.log cwd empty free.txt hid.txt ro.txt sub sub/b.log sub/free.txt",
			says: []string{"The process cannot access the file" + inUse + "\n", "still \nC:\\t\\empty\n"}},
		{name: "left again", line: `cmd /c "cd /d C:\t\empty & pushd C:\ & rd /s /q C:\t\empty || echo no"`, code: 0, left: "a.log cwd free.txt hid.txt ro.txt sub sub/b.log sub/free.txt", not: []string{"no"}},
		{name: "Remove-Item of its place", line: `powershell -Command "cd C:\t\empty\deep; Remove-Item C:\t\empty -Recurse -Force; cd \; ri C:\t\empty -Recurse; 'went on'"`, code: 0, left: "a.log cwd free.txt hid.txt ro.txt sub sub/b.log sub/free.txt",
			says: []string{"Cannot remove the item at 'C:\\t\\empty' because it is in use.", "went on\n"}},
		{name: "ren of a folder with something open", line: `cmd /c ren C:\t u`, code: 1, left: "a.log cwd empty empty/deep free.txt hid.txt ro.txt sub sub/b.log sub/free.txt", says: []string{"Access is denied."}},
		{name: "Directory.Delete", line: `powershell -Command "try { [IO.Directory]::Delete('C:\t', $true) } catch { $_.Exception.InnerException.GetType().Name }; try { [IO.Directory]::Delete('C:\t\cwd') } catch { $_.Exception.InnerException.Message }"`, says: []string{"IOException", "'C:\\t\\cwd'" + inUse}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(t)
			scene(t, s.m)
			out, errs, code := s.run(c.line)
			all := strings.Join(strings.Fields(out+errs), " ")
			for _, w := range c.says {
				if !strings.Contains(out+errs, w) && !strings.Contains(all, strings.Join(strings.Fields(w), " ")) {
					t.Errorf("it does not say %q:\n%s\n%s", w, out, errs)
				}
			}
			for _, w := range c.not {
				if strings.Contains(out+errs, w) {
					t.Errorf("it says %q:\n%s\n%s", w, out, errs)
				}
			}
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if got := left(t, s.m, "t"); c.left != "" && got != c.left {
				t.Errorf("left is %q, want %q\n%s%s", got, c.left, out, errs)
			}
		})
	}
}

// A file that is deleted while it is open with the right to do so: its name goes
// at once since Windows 10 1903, and with the last handle before.
func TestDeletePending(t *testing.T) {
	for year, keeps := range map[string]bool{"2016": true, "2019": true, "2022": false} {
		m := bootedAs(t, ReleaseOf(year), Boot{})
		m.as(t, func(p *Proc) {
			p.Mkdir(`C:\d`)
			f, err := p.Open(`C:\d\f`, Mode{Disposition: CreateNew, Read: true, Write: true, ShareRead: true, ShareWrite: true, ShareDelete: true})
			if err != nil {
				t.Fatal(err)
			}
			wantCode(t, p.Remove(`C:\d\f`), 0)
			if _, err := f.Write([]byte("still mine")); err != nil {
				t.Error(err)
			}
			_, err = p.ReadFile(`C:\d\f`)
			again := p.WriteFile(`C:\d\f`, []byte("new"))
			if !keeps {
				wantCode(t, err, FileNotFound)
				wantCode(t, again, 0)
				f.Close()
				if b, err := p.ReadFile(`C:\d\f`); err != nil || string(b) != "new" {
					t.Errorf("%s: the new file is %q, %v", year, b, err)
				}
				return
			}
			wantCode(t, err, AccessDenied)
			wantCode(t, again, AccessDenied)
			wantCode(t, p.Remove(`C:\d\f`), AccessDenied)
			wantCode(t, p.Rename(`C:\d\f`, `C:\d\g`, false), AccessDenied)
			wantCode(t, p.Remove(`C:\d`), DirNotEmpty)
			if l, err := p.List(`C:\d`); err != nil || len(l) != 1 {
				t.Errorf("%s: the folder has %v, %v", year, l, err)
			}
			f.Close()
			_, err = p.Stat(`C:\d\f`)
			wantCode(t, err, FileNotFound)
			wantCode(t, p.Remove(`C:\d`), 0)
		})
	}
}
