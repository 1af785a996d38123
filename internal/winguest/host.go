package winguest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// Host is the machine as the shells see it from a process: what they open and
// start belongs to that process.
func (p *Proc) Host() posh.Machine { return &host{p} }

type host struct{ p *Proc }

// told makes of an error of the machine one that the shells know too.
type told struct {
	err  error // with the code
	kind error
}

func (t told) Error() string   { return CodeOf(t.err).Error() }
func (t told) Unwrap() []error { return []error{t.err, t.kind} }

func tell(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	switch CodeOf(err) {
	case SharingViolation:
		return told{err, posh.ErrSharing}
	case DirNotEmpty:
		return told{err, posh.ErrNotEmpty}
	case InvalidDirectory:
		return told{err, posh.ErrNotDirectory}
	}
	return err
}

func (h *host) Open(path string, how posh.Open) (posh.File, error) {
	m := Mode{
		Read: how.Access&posh.Read != 0, Write: how.Access&posh.Write != 0,
		ShareRead: how.Share&posh.ShareRead != 0, ShareWrite: how.Share&posh.ShareWrite != 0, ShareDelete: how.Share&posh.ShareDelete != 0,
	}
	switch how.Mode {
	case posh.CreateNew:
		m.Disposition = CreateNew
	case posh.Create:
		m.Disposition = CreateAlways
	case posh.OpenExisting:
		m.Disposition = OpenExisting
	case posh.OpenOrCreate:
		m.Disposition = OpenAlways
	case posh.Truncate:
		m.Disposition = TruncateExisting
	case posh.Append:
		m.Disposition, m.Append = OpenAlways, true
	default:
		return nil, InvalidParameter
	}
	if st, err := h.p.Stat(path); err == nil && st.Dir {
		return nil, told{fail("open", path, AccessDenied), posh.ErrDirectory}
	}
	f, err := h.p.Open(path, m)
	if err != nil {
		return nil, tell(err)
	}
	return f, nil
}

func info(i FileInfo) posh.FileInfo {
	o := posh.FileInfo{Name: i.Name, Size: i.Size, Created: i.Modified, Written: i.Modified, Attributes: posh.Archive}
	if i.Dir {
		o.Attributes = posh.Directory
	}
	if i.ReadOnly && !i.Dir {
		o.Attributes |= posh.ReadOnly
	}
	if i.Hidden {
		o.Attributes |= posh.Hidden
	}
	if i.System {
		o.Attributes |= posh.SystemBit
	}
	return o
}

func (h *host) Stat(path string) (posh.FileInfo, error) {
	i, err := h.p.Stat(path)
	return info(i), tell(err)
}

func (h *host) List(path string) ([]posh.FileInfo, error) {
	list, err := h.p.List(path)
	var out []posh.FileInfo
	for _, i := range list {
		out = append(out, info(i))
	}
	return out, tell(err)
}

func (h *host) Enter(path string) error { return tell(h.p.Enter(path)) }

func (h *host) MakeDir(path string) error {
	there := func() bool { st, err := h.p.Stat(path); return err == nil && st.Dir }
	if there() {
		return nil
	}
	err := h.p.Mkdir(path)
	if CodeOf(err) == AlreadyExists && there() { // another was faster
		return nil
	}
	return tell(err)
}

func (h *host) Remove(path string) error {
	if st, err := h.p.Stat(path); err == nil && st.ReadOnly && !st.Dir {
		if err := h.p.SetReadOnly(path, false); err != nil {
			return tell(err)
		}
		err := h.p.Remove(path)
		if err != nil {
			err = errors.Join(err, h.p.SetReadOnly(path, true))
		}
		return tell(err)
	}
	return tell(h.p.Remove(path))
}

func (h *host) Rename(from, to string) error { return tell(h.p.Rename(from, to, false)) }

func (h *host) SetTimes(path string, written time.Time) error {
	return tell(h.p.SetModified(path, written))
}

func (h *host) SetAttributes(path string, a posh.Attributes) error {
	full, err := h.p.path(path, true)
	if err != nil {
		return tell(err)
	}
	return tell(h.p.Machine.disk.setAttributes(full, a&posh.ReadOnly != 0, a&posh.Hidden != 0, a&posh.SystemBit != 0))
}

func (h *host) Roots() []string { return []string{`C:\`} }

// Find also takes the extensions of PATHEXT, as the shells do.
func (h *host) Find(name, dir string, env *posh.Env) (string, bool) {
	pairs := env.Pairs()
	if extension(name) != "" {
		if found, err := h.p.Machine.Find(name, dir, pairs); err == nil {
			return found, true
		}
	}
	ext, _ := env.Get("PATHEXT")
	if ext == "" {
		ext = ".COM;.EXE;.BAT;.CMD"
	}
	for _, e := range strings.Split(ext, ";") {
		if e == "" {
			continue
		}
		if found, err := h.p.Machine.Find(name+e, dir, pairs); err == nil {
			return found, true
		}
	}
	return "", false
}

func (h *host) launch(p posh.Program) (Launch, error) {
	name := p.Name
	if name == "" {
		name = p.Path
	}
	line := name
	if strings.ContainsAny(name, " \t") || name == "" {
		line = `"` + name + `"`
	}
	if p.Args != "" {
		line += " " + strings.TrimLeft(p.Args, " ")
	}
	l := Launch{Line: line, Path: p.Path, Dir: p.Dir, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr}
	if p.Env != nil {
		l.Env = p.Env.Pairs()
	}
	if p.User != "" {
		user, ok := h.p.Machine.LocalName(p.User)
		if !ok || h.p.Machine.CheckPassword(user, p.Secret) != nil {
			return l, LogonFailure
		}
		l.Login = h.p.Machine.login(user, false)
		l.Env = h.p.Machine.SessionEnv(l.Login)
		if err := h.p.Machine.profile(l.Login.User); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (h *host) Run(ctx context.Context, p posh.Program) (int, error) {
	l, err := h.launch(p)
	if err != nil {
		return 0, err
	}
	c, err := h.p.Start(l)
	if err != nil {
		return 0, tell(err)
	}
	select {
	case <-c.Done():
		return c.Wait(), nil
	case <-ctx.Done():
		c.KillTree(1)
		<-c.Done()
		return c.Wait(), ctx.Err()
	}
}

func (h *host) Start(_ context.Context, p posh.Program) (posh.Process, error) {
	l, err := h.launch(p)
	if err != nil {
		return nil, err
	}
	c, err := h.p.Start(l)
	if err != nil {
		return nil, tell(err)
	}
	return child{c}, nil
}

type child struct{ p *Process }

func (c child) PID() int              { return c.p.ID }
func (c child) Done() <-chan struct{} { return c.p.Done() }
func (c child) Code() int             { return c.p.Wait() }
func (c child) Kill() error           { c.p.Kill(-1); return nil }

func (h *host) Processes() []posh.ProcessInfo {
	var out []posh.ProcessInfo
	for _, i := range h.p.Machine.Processes() {
		out = append(out, posh.ProcessInfo{PID: i.ID, Parent: i.Parent, Name: strings.TrimSuffix(i.Name, ".exe"), Path: i.Path, Line: i.Line, User: i.User, Started: i.Started})
	}
	return out
}

func (h *host) Kill(pid int) error {
	err := h.p.Machine.KillProcess(pid, false)
	if err == NoSuchProcess {
		return fs.ErrNotExist
	}
	return err
}

func (h *host) System() posh.System {
	m := h.p.Machine
	s := posh.System{
		Computer: m.ComputerName(), User: h.p.Login.User, Domain: m.ComputerName(), Admin: h.p.Login.Elevated,
		Version: m.spec.Release.Version + ".0", Root: SystemRoot, Booted: m.Booted(), Now: m.now, Zone: time.UTC,
	}
	if service(s.User) {
		s.Domain = "NT AUTHORITY"
	}
	return s
}

func envKey(target string) (string, error) {
	switch strings.ToLower(target) {
	case "machine":
		return machineEnvironment, nil
	case "user":
		return userEnvironment, nil
	}
	return "", InvalidParameter
}

func (h *host) Environ(target string) (*posh.Env, error) {
	key, err := envKey(target)
	if err != nil {
		return nil, err
	}
	vs, err := h.p.Machine.Registry(h.p.Login).Values(key)
	if err != nil {
		return nil, err
	}
	env := posh.NewEnv()
	for _, v := range vs {
		switch v.Kind {
		case ExpandString:
			env.Set(v.Name, expandVars(v.Text, func(n string) (string, bool) { s := h.p.Getenv(n); return s, s != "" }))
		case String:
			env.Set(v.Name, v.Text)
		}
	}
	return env, nil
}

func (h *host) SetEnviron(target, name, value string) error {
	key, err := envKey(target)
	if err != nil {
		return err
	}
	r := h.p.Machine.Registry(h.p.Login)
	if value == "" {
		if err := r.DeleteValue(key, name); CodeOf(err) != FileNotFound {
			return err
		}
		return nil
	}
	kind := String
	if strings.Contains(value, "%") {
		kind = ExpandString
	}
	return r.Set(key, Value{Name: name, Kind: kind, Text: value})
}
