package posh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

// testMachine is a machine of this process: its drive C: is a directory, or, as
// Linux, the real file system. It has a few programs.
type testMachine struct {
	root string // of C:; "" is Linux
	mu   sync.Mutex
	open map[string][]Open
	envs map[string]*Env
	user bool // no administrator
}

func newTestMachine(root string) *testMachine {
	return &testMachine{root: root, open: map[string][]Open{}, envs: map[string]*Env{"Machine": NewEnv(), "User": NewEnv()}}
}

func (m *testMachine) real(p string) string {
	if m.root == "" {
		return p
	}
	if len(p) < 2 || !strings.EqualFold(p[:2], "C:") {
		return filepath.Join(m.root, "no-such-drive", "x")
	}
	dir := m.root
	for _, part := range strings.FieldsFunc(p[2:], func(r rune) bool { return r == '\\' }) {
		next := part
		l, _ := os.ReadDir(dir)
		for _, e := range l {
			if strings.EqualFold(e.Name(), part) {
				next = e.Name()
			}
		}
		dir = filepath.Join(dir, next)
	}
	return dir
}

func why(err error) error {
	if err == nil {
		return nil
	}
	t := err.Error()
	switch {
	case strings.Contains(t, "not empty"):
		return fmt.Errorf("%w", ErrNotEmpty)
	case strings.Contains(t, "not a directory"):
		return fmt.Errorf("%w", ErrNotDirectory)
	case strings.Contains(t, "is a directory"):
		return fmt.Errorf("%w", ErrDirectory)
	}
	return err
}

type testFile struct {
	*os.File
	m    *testMachine
	name string
	how  Open
}

func (f *testFile) Close() error {
	f.m.mu.Lock()
	l := f.m.open[f.name]
	for i, h := range l {
		if h == f.how {
			f.m.open[f.name] = append(l[:i:i], l[i+1:]...)
			break
		}
	}
	f.m.mu.Unlock()
	return f.File.Close()
}

func (m *testMachine) Open(p string, how Open) (File, error) {
	flag := map[Mode]int{CreateNew: os.O_CREATE | os.O_EXCL, Create: os.O_CREATE | os.O_TRUNC, OpenExisting: 0, OpenOrCreate: os.O_CREATE, Truncate: os.O_TRUNC, Append: os.O_CREATE}[how.Mode]
	flag |= map[Access]int{Read: os.O_RDONLY, Write: os.O_WRONLY, ReadWrite: os.O_RDWR}[how.Access]
	name := m.real(p)
	m.mu.Lock()
	for _, o := range m.open[name] {
		if int(how.Access)&^int(o.Share) != 0 || int(o.Access)&^int(how.Share) != 0 {
			m.mu.Unlock()
			return nil, ErrSharing
		}
	}
	m.open[name] = append(m.open[name], how)
	m.mu.Unlock()
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		(&testFile{m: m, name: name, how: how}).forget()
		return nil, why(err)
	}
	return &testFile{f, m, name, how}, nil
}

func (f *testFile) forget() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	l := f.m.open[f.name]
	f.m.open[f.name] = l[:len(l)-1]
}

func fileInfo(i os.FileInfo) FileInfo {
	o := FileInfo{Name: i.Name(), Size: i.Size(), Created: i.ModTime(), Written: i.ModTime(), Attributes: Archive}
	if i.IsDir() {
		o.Attributes = Directory
	}
	if i.Mode()&0o200 == 0 {
		o.Attributes |= ReadOnly
	}
	return o
}

func (m *testMachine) Stat(p string) (FileInfo, error) {
	i, err := os.Stat(m.real(p))
	if err != nil {
		return FileInfo{}, why(err)
	}
	return fileInfo(i), nil
}

func (m *testMachine) List(p string) ([]FileInfo, error) {
	l, err := os.ReadDir(m.real(p))
	if err != nil {
		return nil, why(err)
	}
	var out []FileInfo
	for _, e := range l {
		if i, err := e.Info(); err == nil {
			out = append(out, fileInfo(i))
		}
	}
	sort.Slice(out, func(i, j int) bool { return strings.ToLower(out[i].Name) < strings.ToLower(out[j].Name) })
	return out, nil
}

func (m *testMachine) Enter(string) error { return nil }

func (m *testMachine) MakeDir(p string) error { return why(os.MkdirAll(m.real(p), 0o755)) }
func (m *testMachine) Remove(p string) error  { return why(os.Remove(m.real(p))) }
func (m *testMachine) Rename(a, b string) error {
	if _, err := os.Lstat(m.real(b)); err == nil && !strings.EqualFold(a, b) {
		return fs.ErrExist
	}
	return why(os.Rename(m.real(a), m.real(b)))
}
func (m *testMachine) SetTimes(p string, t time.Time) error { return os.Chtimes(m.real(p), t, t) }
func (m *testMachine) SetAttributes(p string, a Attributes) error {
	i, err := os.Stat(m.real(p))
	if err != nil {
		return err
	}
	mode := i.Mode() | 0o200
	if a&ReadOnly != 0 {
		mode &^= 0o222
	}
	return os.Chmod(m.real(p), mode)
}
func (m *testMachine) Roots() []string { return []string{`C:\`} }

func (m *testMachine) Find(name, dir string, env *Env) (string, bool) {
	n := strings.ToLower(name)
	n = strings.TrimSuffix(n[strings.LastIndexAny(n, `\/`)+1:], ".exe")
	if _, ok := testPrograms[n]; ok {
		return `C:\Windows\System32\` + n + ".exe", true
	}
	return "", false
}

// testPrograms are: say (its arguments, one a line), fail (to stderr, code 3),
// upper (its input in capitals), wait (until it is killed).
var testPrograms = map[string]func(ctx context.Context, p Program) int{
	"say": func(ctx context.Context, p Program) int {
		fmt.Fprintf(p.Stdout, "<%s>\r\n", p.Args)
		return 0
	},
	"env": func(ctx context.Context, p Program) int {
		v, _ := p.Env.Get(p.Args)
		fmt.Fprintf(p.Stdout, "%s\r\n", v)
		return 0
	},
	"dir": func(ctx context.Context, p Program) int { fmt.Fprintf(p.Stdout, "%s\r\n", p.Dir); return 0 },
	"fail": func(ctx context.Context, p Program) int {
		fmt.Fprint(p.Stdout, "out\r\n")
		fmt.Fprint(p.Stderr, "bad\r\n")
		return 3
	},
	"upper": func(ctx context.Context, p Program) int {
		b, _ := io.ReadAll(p.Stdin)
		fmt.Fprint(p.Stdout, strings.ToUpper(string(b)))
		return 0
	},
	"wait": func(ctx context.Context, p Program) int { <-ctx.Done(); return 1 },
}

func (m *testMachine) Run(ctx context.Context, p Program) (int, error) {
	n := strings.TrimSuffix(p.Path[strings.LastIndexByte(p.Path, '\\')+1:], ".exe")
	f, ok := testPrograms[n]
	if !ok {
		return 0, fs.ErrNotExist
	}
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	if p.Stdout == nil {
		p.Stdout = io.Discard
	}
	if p.Stderr == nil {
		p.Stderr = io.Discard
	}
	code := f(ctx, p)
	return code, ctx.Err()
}

type testProcess struct {
	done chan struct{}
	code int
	stop context.CancelFunc
}

func (p *testProcess) PID() int              { return 4242 }
func (p *testProcess) Done() <-chan struct{} { return p.done }
func (p *testProcess) Code() int             { return p.code }
func (p *testProcess) Kill() error           { p.stop(); return nil }

func (m *testMachine) Start(_ context.Context, p Program) (Process, error) {
	ctx, stop := context.WithCancel(context.Background())
	t := &testProcess{done: make(chan struct{}), stop: stop}
	go func() {
		t.code, _ = m.Run(ctx, p)
		close(t.done)
	}()
	return t, nil
}

func (m *testMachine) Processes() []ProcessInfo {
	return []ProcessInfo{{PID: 4, Name: "System"}, {PID: 100, Name: "powershell", Path: `C:\Windows\powershell.exe`}}
}
func (m *testMachine) Kill(pid int) error { return fs.ErrNotExist }
func (m *testMachine) System() System {
	return System{Computer: "TEST", User: "Administrator", Domain: "TEST", Admin: !m.user, Version: "10.0.14393.0", Root: `C:\Windows`, Booted: time.Unix(1e9, 0)}
}
func (m *testMachine) Environ(target string) (*Env, error) {
	if e, ok := m.envs[target]; ok {
		return e, nil
	}
	return nil, errors.New("no such target")
}
func (m *testMachine) SetEnviron(target, name, value string) error {
	m.envs[target].Set(name, value)
	return nil
}
