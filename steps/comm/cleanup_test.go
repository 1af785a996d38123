package comm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// cleanups are what scripts do to the directory of temporary files, $V, before
// they let a machine become an image.
var cleanups = map[string]string{
	"find -mindepth 1 -delete":    `find "$V" -mindepth 1 -delete`,
	"find -delete":                `find "$V" -delete`,
	"find -type f -delete":        `find "$V" -type f -delete`,
	"find -type f -exec rm":       `find "$V" -type f -exec rm -f {} +`,
	"find -maxdepth 1 -exec rm":   `find "$V" -mindepth 1 -maxdepth 1 -exec rm -rf {} +`,
	"rm with dot files":           `rm -rf "$V"/* "$V"/.[!.]*`,
	"removed":                     `rm -rf "$V"`,
	"made anew":                   `rm -rf "$V"; mkdir "$V"; chmod 1777 "$V"`,
	"made anew for somebody else": `rm -rf "$V"; mkdir -m 755 "$V"; chown 65534 "$V"`,
	"a file in its place":         `rm -rf "$V"; : >"$V"`,
	"moved":                       `mv "$V" "$V.old"`,
	"moved and made anew":         `mv "$V" "$V.old"; mkdir -m 1777 "$V"`,
	"moved behind a link":         `mv "$V" "$V.old"; ln -s "$V.old" "$V"`,
	"a link in its place":         `rm -rf "$V"; mkdir "$V.old"; ln -s "$V.old" "$V"`,
	"what it holds moved":         `mkdir "$V.old"; mv "$V"/.[!.]* "$V.old"`,
	"chown -R":                    `chown -R 65534:65534 "$V"`,
	"chmod -R 000":                `chmod -R 000 "$V"`,
	"chmod -R 1777":               `chmod -R 1777 "$V"`,
	"a file system over it":       `mount -t tmpfs none "$V"`,
	"tmp cleaner":                 `find "$V" -mindepth 1 \( -type f -o -type l -o -type p \) -delete; find "$V" -mindepth 1 -depth -type d -empty -exec rmdir {} +`,
}

// A script that cleans up the machine takes the run's files with it. It goes on,
// and so does whoever follows it, whenever he comes; nothing stays behind.
func TestCleanup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root to mount a file system and to give files away")
	}
	t.Parallel()
	for _, shell := range shells {
		s := sshd(t, shell)
		for name, clean := range cleanups {
			for _, c := range []cut{never, beforeCleanup, afterCleanup, afterEnd} {
				t.Run(shell+"/"+name+"/"+c.String(), func(t *testing.T) {
					t.Parallel()
					cleanup(t, s, clean, c)
				})
			}
		}
	}
}

// cut is when the connection and who follows the run are lost.
type cut int

const (
	never cut = iota
	beforeCleanup
	afterCleanup
	afterEnd
)

func (c cut) String() string {
	return []string{"never cut", "cut before", "cut after", "cut at the end"}[c]
}

func cleanup(t *testing.T, s *server, clean string, c cut) {
	top := t.TempDir()
	v := filepath.Join(top, "tmp")
	if err := os.Mkdir(v, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	os.Chmod(v, 0o777|os.ModeSticky)
	defer exec.Command("umount", "-l", v).Run()
	flag := func(name string) string { return filepath.Join(top, name) }
	wait := func(name string) string {
		return fmt.Sprintf("k=0; while [ ! -e %s ] && [ $k -lt 1200 ]; do sleep .05; k=$((k+1)); done\n", flag(name))
	}
	l := newLab(t, s.machine())
	j := l.job("PATH=/usr/sbin:/usr/bin:/sbin:/bin\nV=" + v + "\necho x >>" + flag("count") + "; echo one\n" + wait("clean") + clean + "\n" +
		"echo two; echo bad >&2; : >" + flag("cleaned") + "\n" + wait("end") + "echo three; exit 7")
	j.base = v
	run := func(until func() bool) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for !until() && ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
		}()
		if _, err := l.remote.Run(ctx, j); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		l.env.drop(s.machine())
	}
	there := func(name string) { os.WriteFile(flag(name), nil, 0o644) }
	awaited := func(what string, f func() bool) {
		for range 4000 {
			if f() {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("%s: never", what)
	}
	seen := func(name string) func() bool {
		return func() bool { _, err := os.Stat(flag(name)); return err == nil }
	}
	switch c {
	case never:
		there("clean")
		there("end")
	case beforeCleanup:
		run(func() bool { return l.sink.Offset(l.task.Token, "stdout") > 0 })
		there("clean")
		awaited("cleaned", seen("cleaned"))
		time.AfterFunc(200*time.Millisecond, func() { there("end") })
	case afterCleanup:
		there("clean")
		run(func() bool { return seen("cleaned")() && l.sink.Offset(l.task.Token, "stdout") > 4 })
		time.AfterFunc(200*time.Millisecond, func() { there("end") })
	case afterEnd:
		run(func() bool { return l.sink.Offset(l.task.Token, "stdout") > 0 })
		there("clean")
		there("end")
		awaited("the end", func() bool { return seen("cleaned")() && carriers(j.Token) == nil })
		time.Sleep(100 * time.Millisecond)
	}
	x, err := l.remote.Run(t.Context(), j)
	if err != nil || x != (Exit{Code: 7}) {
		t.Errorf("%+v %v", x, err)
	}
	if o, e := l.lines(t, "stdout"), l.lines(t, "stderr"); o != "one\ntwo\nthree\n" || e != "bad\n" {
		t.Errorf("printed %q and %q", o, e)
	}
	if b, _ := os.ReadFile(flag("count")); string(b) != "x\n" {
		t.Errorf("started %d times", len(b)/2)
	}
	if w := l.sink.texts(dag.Warned); w != nil {
		t.Errorf("warned: %q", w)
	}
	exec.Command("umount", "-l", v).Run()
	if out, _ := exec.Command("find", top, "-name", ".imgf*").Output(); len(out) > 0 {
		t.Errorf("left on the machine: %s", out)
	}
	awaited("the end of all that belongs to it", func() bool { return holders(j.Token) == nil })
}

// holders are the processes that were started for a run, but for its script.
func holders(token string) (pids []string) {
	fs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range fs {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), "\x00"+token+"\x00") {
			pids = append(pids, strings.Split(f, "/")[2])
		}
	}
	return pids
}
