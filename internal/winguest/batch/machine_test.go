package batch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// bench is a machine on a temporary folder, with a few programs.
type bench struct {
	root string
	mu   sync.Mutex
	ran  []string
	wg   sync.WaitGroup
}

func newBench(t testing.TB) *bench {
	b := &bench{root: t.TempDir()}
	for _, d := range []string{"Windows/System32", "work"} {
		if err := os.MkdirAll(filepath.Join(b.root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"cmd", "args", "fail", "cat", "sleep", "env", "native"} {
		b.write(t, `C:\Windows\System32\`+p+".exe", "MZ")
	}
	t.Cleanup(b.wg.Wait)
	return b
}

func (b *bench) write(t testing.TB, path, text string) {
	t.Helper()
	host, _ := b.host(path)
	err := os.MkdirAll(filepath.Dir(host), 0o755)
	if err == nil {
		err = os.WriteFile(host, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var (
	errPath   = errors.New("The system cannot find the path specified.")
	errFile   = errors.New("The system cannot find the file specified.")
	errDenied = errors.New("Access is denied.")
	errName   = errors.New("The filename, directory name, or volume label syntax is incorrect.")
)

type machineError struct {
	text error
	kind error
}

func (e *machineError) Error() string   { return e.text.Error() }
func (e *machineError) Unwrap() []error { return []error{e.text, e.kind} }

func pathError(path string, text, kind error) error {
	return &fs.PathError{Op: "open", Path: path, Err: &machineError{text, kind}}
}

// host finds the name that a path has below root, whatever its case.
func (b *bench) host(path string) (string, error) {
	if len(path) < 3 || !strings.EqualFold(path[:3], `C:\`) {
		return "", pathError(path, errPath, fs.ErrNotExist)
	}
	if strings.ContainsAny(path[2:], `*?<>|":`) {
		return "", pathError(path, errName, fs.ErrInvalid)
	}
	at := b.root
	parts := strings.FieldsFunc(path[3:], func(r rune) bool { return r == '\\' })
	for k, part := range parts {
		list, err := os.ReadDir(at)
		if err != nil {
			return filepath.Join(append([]string{at}, parts[k:]...)...), pathError(path, errPath, fs.ErrNotExist)
		}
		for _, e := range list {
			if strings.EqualFold(e.Name(), part) {
				part = e.Name()
			}
		}
		at = filepath.Join(at, part)
	}
	return at, nil
}

func (b *bench) reason(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return pathError(path, errFile, fs.ErrNotExist)
	case errors.Is(err, syscall.ENOTEMPTY):
		return pathError(path, errors.New("the directory is not empty"), posh.ErrNotEmpty)
	}
	return pathError(path, errDenied, fs.ErrPermission)
}

func (b *bench) Open(path string, how posh.Open) (posh.File, error) {
	host, err := b.host(path)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(host); err == nil && (st.IsDir() || how.Access&posh.Write != 0 && st.Mode().Perm()&0o200 == 0) {
		return nil, pathError(path, errDenied, fs.ErrPermission)
	}
	flag := os.O_RDONLY
	switch how.Mode {
	case posh.Create:
		flag = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	case posh.Append:
		flag = os.O_RDWR | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(host, flag, 0o644)
	if err != nil {
		return nil, b.reason(path, err)
	}
	return f, nil
}

func fileInfo(st fs.FileInfo) posh.FileInfo {
	i := posh.FileInfo{Name: st.Name(), Size: st.Size(), Attributes: posh.Archive, Written: st.ModTime()}
	if st.IsDir() {
		i.Attributes, i.Size = posh.Directory, 0
	} else if st.Mode().Perm()&0o200 == 0 {
		i.Attributes |= posh.ReadOnly
	}
	return i
}

func (b *bench) Stat(path string) (posh.FileInfo, error) {
	host, err := b.host(path)
	if err != nil {
		return posh.FileInfo{}, err
	}
	st, err := os.Stat(host)
	if err != nil {
		return posh.FileInfo{}, b.reason(path, err)
	}
	return fileInfo(st), nil
}

func (b *bench) List(path string) ([]posh.FileInfo, error) {
	host, err := b.host(path)
	if err != nil {
		return nil, err
	}
	es, err := os.ReadDir(host)
	if err != nil {
		return nil, b.reason(path, err)
	}
	var list []posh.FileInfo
	for _, e := range es {
		if st, err := e.Info(); err == nil {
			list = append(list, fileInfo(st))
		}
	}
	slices.SortFunc(list, func(a, b posh.FileInfo) int { return cmp.Compare(strings.ToUpper(a.Name), strings.ToUpper(b.Name)) })
	return list, nil
}

func (b *bench) Enter(string) error { return nil }

func (b *bench) MakeDir(path string) error {
	if strings.ContainsAny(path[2:], "*?") {
		return pathError(path, errName, fs.ErrInvalid)
	}
	host, _ := b.host(path)
	return b.reason(path, os.MkdirAll(host, 0o755))
}

func (b *bench) Remove(path string) error {
	host, err := b.host(path)
	if err != nil {
		return err
	}
	return b.reason(path, os.Remove(host))
}

func (b *bench) Rename(from, to string) error {
	src, err := b.host(from)
	if err != nil {
		return err
	}
	dst, err := b.host(to)
	if err != nil {
		return err
	}
	return b.reason(from, os.Rename(src, dst))
}

func (b *bench) SetTimes(path string, at time.Time) error {
	host, err := b.host(path)
	if err != nil {
		return err
	}
	return os.Chtimes(host, at, at)
}

func (b *bench) SetAttributes(string, posh.Attributes) error { return nil }
func (b *bench) Roots() []string                             { return []string{`C:\`} }

var clockOfTests = time.Date(2026, 3, 4, 5, 6, 7, 89e7, time.UTC)

func (b *bench) System() posh.System {
	return posh.System{Computer: "BENCH", Version: "10.0.14393.0", Now: func() time.Time { return clockOfTests }, Zone: time.UTC}
}

func (b *bench) Run(ctx context.Context, p posh.Program) (int, error) {
	b.mu.Lock()
	b.ran = append(b.ran, p.Path+" "+p.Args)
	b.mu.Unlock()
	switch name, _ := splitExt(strings.ToLower(baseOf(p.Path))); name {
	case "cmd":
		return Run(ctx, Options{Machine: b, Line: p.Args, Env: p.Env, Dir: p.Dir, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr}), nil
	case "args":
		fmt.Fprintf(p.Stdout, "<%s>\r\n", p.Args)
	case "fail":
		n := 0
		fmt.Sscan(p.Args, &n)
		return n, nil
	case "cat":
		io.Copy(p.Stdout, p.Stdin)
	case "env":
		v, _ := p.Env.Get(p.Args)
		fmt.Fprintf(p.Stdout, "%s\r\n", v)
	case "sleep":
		<-ctx.Done()
		return 1, ctx.Err()
	default:
		return 0, errors.New("no native programs run here")
	}
	return 0, nil
}

type background struct{ done chan struct{} }

func (b *background) PID() int              { return 42 }
func (b *background) Done() <-chan struct{} { return b.done }
func (b *background) Code() int             { return 0 }
func (b *background) Kill() error           { return nil }

func (b *bench) Start(ctx context.Context, p posh.Program) (posh.Process, error) {
	q := &background{make(chan struct{})}
	if p.Stdout == nil {
		p.Stdout = io.Discard
	}
	b.wg.Add(1)
	go func() { defer b.wg.Done(); b.Run(context.Background(), p); close(q.done) }()
	return q, nil
}

// locked lets both sides of a pipe write.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// run runs a command line in C:\work, and returns its output with plain line ends.
func (b *bench) run(t testing.TB, line string, input ...string) (out, errs string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var o, e locked
	env := posh.NewEnv(`PATH=C:\Windows\System32;C:\Windows`, `SystemRoot=C:\Windows`, `TEMP=C:\Windows\Temp`, `NAME=value`, `COMSPEC=C:\Windows\System32\cmd.exe`)
	code = Run(ctx, Options{Machine: b, Line: line, Env: env, Dir: `C:\work`, Stdin: strings.NewReader(strings.Join(input, "")), Stdout: &o, Stderr: &e})
	if ctx.Err() != nil {
		t.Errorf("%s did not end", line)
	}
	for _, l := range bytes.SplitAfter(o.b.Bytes(), []byte("\n")) {
		if len(l) > 0 && l[len(l)-1] == '\n' && !bytes.HasSuffix(l, []byte("\r\n")) {
			t.Errorf("a line of %q ends without CR", o.b.String())
			break
		}
	}
	plain := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	return plain(o.b.String()), plain(e.b.String()), code
}
