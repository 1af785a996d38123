package winguest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Process is one of the machine's processes, for who started it.
type Process struct {
	ID  int
	m   *Machine
	run *running // the boot that it belongs to

	proc      *Proc // nil for those that only stand in the table
	ancestors []int
	job       string
	cancel    context.CancelFunc
	done      chan struct{}

	mu      sync.Mutex
	dead    bool
	code    int
	handles map[*File]bool
}

// Info is a row of the process table.
type Info struct {
	ID, Parent       int
	Name, Path, Line string
	User             string
	Session          int
	Started          time.Time
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end and returns the exit code.
func (p *Process) Wait() int {
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code
}

// unwind is how long a program that was killed has for its return before it
// counts as gone.
const unwind = 2 * time.Second

// Kill ends the process with an exit code and does not wait.
func (p *Process) Kill(code int) {
	p.mu.Lock()
	first := !p.dead
	if first {
		p.dead, p.code = true, code
	}
	p.mu.Unlock()
	if first && p.cancel != nil {
		p.cancel()
		p.closeHandles()
		time.AfterFunc(unwind, p.gone)
	}
}

// KillTree ends the process and what it started that is still in its job.
func (p *Process) KillTree(code int) {
	for _, q := range p.m.processes(func(q *Process) bool { return q == p || slices.Contains(q.ancestors, p.ID) }) {
		q.Kill(code)
	}
	p.Kill(code) // also when it has left the table
}

// gone takes the process out of the table.
func (p *Process) gone() {
	p.m.pmu.Lock()
	_, there := p.run.procs[p.ID]
	delete(p.run.procs, p.ID)
	p.m.pmu.Unlock()
	if there {
		close(p.done)
	}
}

func (p *Process) closeHandles() {
	p.mu.Lock()
	hs := p.handles
	p.handles = nil
	p.mu.Unlock()
	for h := range hs {
		h.Close()
	}
	p.m.disk.leave(p)
}

// alive is nil as long as the process may still do something.
func (p *Proc) alive() error {
	if p.process == nil {
		return nil
	}
	p.process.mu.Lock()
	defer p.process.mu.Unlock()
	if p.process.dead {
		return context.Canceled
	}
	return nil
}

// Processes are the rows of the process table by id.
func (m *Machine) Processes() []Info {
	var list []Info
	for _, p := range m.processes(func(*Process) bool { return true }) {
		q := p.proc
		i := Info{ID: q.ID, Parent: q.Parent, Name: q.Name, Path: q.Path, Line: q.Line, User: q.Login.User, Started: q.Started}
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func (m *Machine) processes(which func(*Process) bool) (list []*Process) {
	m.pmu.Lock()
	defer m.pmu.Unlock()
	if m.run == nil {
		return nil
	}
	for _, p := range m.run.procs {
		if which(p) {
			list = append(list, p)
		}
	}
	return list
}

// KillProcess ends a process, and with tree what it started. The error is
// NoSuchProcess, or AccessDenied for one of the system's own.
func (m *Machine) KillProcess(id int, tree bool) error {
	found := m.processes(func(p *Process) bool { return p.ID == id })
	switch {
	case len(found) == 0:
		return NoSuchProcess
	case found[0].cancel == nil:
		return AccessDenied
	case tree:
		found[0].KillTree(1)
	default:
		found[0].Kill(1)
	}
	return nil
}

// EndJob ends all processes of a job.
func (m *Machine) EndJob(job string) {
	for _, p := range m.processes(func(p *Process) bool { return p.job == job && job != "" }) {
		p.Kill(1)
	}
}

// ProcessByID is the process of that id, or nil.
func (m *Machine) ProcessByID(id int) *Process {
	if found := m.processes(func(p *Process) bool { return p.ID == id }); len(found) > 0 {
		return found[0]
	}
	return nil
}

// Start makes a process. The error is a Code: FileNotFound where there is no
// such program, BadExe where it is none of this machine's.
func (m *Machine) Start(l Launch) (*Process, error) {
	p := &Proc{Machine: m, Line: l.Line, Env: l.Env, Dir: l.Dir, Login: l.Login, Stdin: l.Stdin, Stdout: l.Stdout, Stderr: l.Stderr, Console: l.Console, Codepage: l.Codepage}
	if q := l.Parent; q != nil {
		if err := q.alive(); err != nil {
			return nil, err
		}
		if p.Env == nil {
			p.Env = slices.Clone(q.Env)
		}
		if p.Login == (Login{}) {
			p.Login = q.Login
		}
		if p.Dir == "" {
			p.Dir = q.Dir
		}
		p.Codepage = q.Codepage
	}
	if p.Env == nil {
		p.Env = m.SessionEnv(p.Login)
	}
	if p.Dir == "" {
		p.Dir = m.homeOf(p.Login.User)
	}
	if st, err := m.disk.stat(p.Dir); err != nil || !st.Dir {
		return nil, InvalidDirectory
	}
	program, err := m.load(p, l.Path)
	if err != nil {
		return nil, err
	}
	if p.Stdin == nil {
		p.Stdin = bytes.NewReader(nil)
	}

	m.pmu.Lock()
	defer m.pmu.Unlock()
	run := m.run
	if run == nil || run.ctx.Err() != nil {
		return nil, ShutdownInProgress
	}
	p.ID = run.newID()
	p.Started = m.now()
	ctx, cancel := context.WithCancel(run.ctx)
	x := &Process{ID: p.ID, m: m, run: run, proc: p, job: l.Job, cancel: cancel, done: make(chan struct{}), handles: map[*File]bool{}}
	p.process = x
	if m.disk.enter(x, p.Dir) != nil {
		cancel()
		return nil, InvalidDirectory
	}
	if q := l.Parent; q != nil && q.process != nil {
		switch {
		case l.Detached:
			p.Parent = run.hosts["WmiPrvSE.exe"]
		default:
			p.Parent, x.ancestors = q.ID, append(slices.Clone(q.process.ancestors), q.ID)
			if x.job == "" {
				x.job = q.process.job
			}
		}
	} else {
		p.Parent = run.hosts["svchost.exe"]
	}
	run.procs[p.ID] = x
	p.Stdin = &liveReader{ctx: ctx, r: p.Stdin}
	p.Stdout, p.Stderr = &liveWriter{x, p.Stdout}, &liveWriter{x, p.Stderr}
	go x.main(ctx, program)
	return x, nil
}

// main runs the program. A fault of ours in it ends that process alone.
func (x *Process) main(ctx context.Context, program Program) {
	code := -1073741819 // an access violation, as a program that crashed leaves it
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(x.proc.Stderr, "%s crashed: %v\r\n%s", x.proc.Name, r, debug.Stack())
		}
		x.mu.Lock()
		if !x.dead {
			x.dead, x.code = true, code
		}
		x.mu.Unlock()
		x.cancel()
		x.closeHandles()
		x.gone()
	}()
	code = int(int32(program(ctx, x.proc)))
}

// liveReader ends with its process, whatever the reader below it waits for.
type liveReader struct {
	ctx  context.Context
	r    io.Reader
	wait chan read // of a reading that was under way when a caller left
	left []byte
}

type read struct {
	b   []byte
	err error
}

func (l *liveReader) Read(b []byte) (int, error) {
	if len(l.left) > 0 {
		n := copy(b, l.left)
		l.left = l.left[n:]
		return n, nil
	}
	if l.ctx.Err() != nil {
		return 0, io.EOF
	}
	if l.wait == nil {
		l.wait = make(chan read, 1)
		go func(to chan<- read, b []byte) {
			n, err := l.r.Read(b)
			to <- read{b[:n], err}
		}(l.wait, make([]byte, len(b)))
	}
	select {
	case r := <-l.wait:
		l.wait = nil
		n := copy(b, r.b)
		l.left = r.b[n:]
		return n, r.err
	case <-l.ctx.Done():
		return 0, io.EOF
	}
}

// liveWriter takes nothing from a process that has ended.
type liveWriter struct {
	p *Process
	w io.Writer
}

func (l *liveWriter) Write(b []byte) (int, error) {
	if err := l.p.proc.alive(); err != nil {
		return 0, err
	}
	if l.w == nil {
		return len(b), nil
	}
	return l.w.Write(b)
}

// stubMark is what the file of a built-in program says after MZ.
const stubMark = "\r\nThis program is built into the embedded Windows: "

func stub(name string) []byte { return []byte("MZ" + stubMark + name + "\r\n") }

// load finds the program of a launch and fills in what is known from it.
func (m *Machine) load(p *Proc, path string) (Program, error) {
	first, rest := firstWord(p.Line)
	if path == "" {
		path = first
	}
	found, err := m.Find(path, p.Dir, p.Env)
	if err != nil {
		return nil, err
	}
	p.Path, p.Name = found, baseName(found)
	p.Args = Split(rest)
	switch strings.ToLower(extension(found)) {
	case ".bat", ".cmd":
		// As CreateProcess does: the line as it is, after cmd.exe /c.
		p.Line = `cmd.exe /c ` + p.Line
		if path != first {
			p.Line = `cmd.exe /c ` + Quote(found)
		}
		p.Path, p.Name = System32+`\cmd.exe`, "cmd.exe"
		_, rest = firstWord(p.Line)
		p.Args = Split(rest)
		return m.programs["cmd"], nil
	}
	b, err := m.disk.head(found, 200)
	if err != nil {
		return nil, CodeOf(err)
	}
	name, ok := strings.CutPrefix(string(b), "MZ"+stubMark)
	program := m.programs[strings.TrimSpace(name)]
	if !ok || program == nil {
		return nil, BadExe
	}
	return program, nil
}

// Find returns the path of the program that CreateProcess would take for a name
// or path: .exe is added to a name without extension, and what has no folder is
// looked for in dir, the system's folders and those of PATH.
func (m *Machine) Find(name, dir string, env []string) (string, error) {
	if name == "" {
		return "", InvalidParameter
	}
	if extension(name) == "" {
		name += ".exe"
	}
	if strings.ContainsAny(name, `\/:`) {
		full, err := Resolve(dir, name)
		if err != nil {
			return "", CodeOf(err)
		}
		return m.program(full)
	}
	dirs := append([]string{System32, dir, System32, SystemRoot}, strings.Split(getenv(env, "PATH"), ";")...)
	for _, d := range dirs {
		d = strings.Trim(strings.TrimSpace(d), `"`)
		if d == "" {
			continue
		}
		if full, err := Resolve(d, name); err == nil {
			if found, err := m.program(full); err == nil {
				return found, nil
			}
		}
	}
	return "", FileNotFound
}

func (m *Machine) program(path string) (string, error) {
	st, err := m.disk.stat(path)
	switch {
	case err != nil:
		return "", CodeOf(err)
	case st.Dir:
		return "", AccessDenied
	}
	return st.Path, nil
}
