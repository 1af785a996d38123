package posh

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// process is a Diagnostics.Process: one that was started here, or one of the
// machine's table.
type process struct {
	s       *shell
	p       Process
	info    ProcessInfo
	start   *startInfo
	started time.Time
	out     *pipeBuffer
	err     *pipeBuffer
	in      *io.PipeWriter
	done    []func() // when it has ended
	once    sync.Once
}

// startInfo is a ProcessStartInfo.
type startInfo struct {
	file, args, dir              string
	user, password, domain       string
	shell                        bool
	stdin, stdout, stderr, hide  bool
	env                          *Hash
	fullEnv                      *Env
	stdoutEncoding, stderrEncode *encoding
}

func (i *startInfo) typeName() string { return "System.Diagnostics.ProcessStartInfo" }
func (i *startInfo) String() string   { return i.typeName() }

func (i *startInfo) field(k string) any {
	switch k {
	case "filename":
		return &i.file
	case "arguments":
		return &i.args
	case "workingdirectory":
		return &i.dir
	case "username":
		return &i.user
	case "domain":
		return &i.domain
	case "useshellexecute":
		return &i.shell
	case "redirectstandardinput":
		return &i.stdin
	case "redirectstandardoutput":
		return &i.stdout
	case "redirectstandarderror":
		return &i.stderr
	case "createnowindow":
		return &i.hide
	}
	return nil
}

func (i *startInfo) get(s *shell, k string) (any, bool, error) {
	switch f := i.field(k).(type) {
	case *string:
		return *f, true, nil
	case *bool:
		return *f, true, nil
	}
	if k == "environmentvariables" || k == "environment" {
		if i.env == nil {
			i.env = NewHash(false)
			for _, n := range s.env.Names() {
				v, _ := s.env.Get(n)
				i.env.Set(n, v)
			}
		}
		return i.env, true, nil
	}
	return nil, false, nil
}

func (i *startInfo) set(s *shell, k string, v any) (bool, error) {
	switch f := i.field(k).(type) {
	case *string:
		*f = s.text(v)
		return true, nil
	case *bool:
		*f = truth(v)
		return true, nil
	}
	switch k {
	case "windowstyle", "errordialog", "loaduserprofile":
		return true, nil // nobody sees a window here
	case "standardoutputencoding", "standarderrorencoding":
		e, ok := v.(*encoding)
		if !ok {
			return false, nil
		}
		if k == "standardoutputencoding" {
			i.stdoutEncoding = e
		} else {
			i.stderrEncode = e
		}
		return true, nil
	case "password":
		if p, ok := v.(*secret); ok {
			i.password = p.text
			return true, nil
		}
	}
	return false, nil
}

func (i *startInfo) call(s *shell, k string, a []any) (any, bool, error) { return nil, false, nil }

// pipeBuffer collects what a process writes until somebody reads it.
type pipeBuffer struct {
	mu   sync.Mutex
	more *sync.Cond
	b    bytes.Buffer
	end  bool
}

func newPipeBuffer() *pipeBuffer {
	p := &pipeBuffer{}
	p.more = sync.NewCond(&p.mu)
	return p
}

func (p *pipeBuffer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.b.Len() > maxText {
		return 0, errors.New("nobody reads the output")
	}
	p.more.Broadcast()
	return p.b.Write(b)
}

func (p *pipeBuffer) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.b.Len() == 0 && !p.end {
		p.more.Wait()
	}
	if p.b.Len() == 0 {
		return 0, io.EOF
	}
	return p.b.Read(b)
}

func (p *pipeBuffer) close() {
	p.mu.Lock()
	p.end = true
	p.more.Broadcast()
	p.mu.Unlock()
}

// launch starts the program that a ProcessStartInfo names.
func (s *shell) launch(i *startInfo) (*process, error) {
	if i.file == "" {
		return nil, dotnet("System.InvalidOperationException", "Cannot start process because a file name has not been provided.")
	}
	env := s.env.Clone()
	if i.env != nil {
		env = NewEnv()
		i.env.Each(func(k, v any) bool { env.Set(s.text(k), s.text(v)); return true })
	}
	if i.fullEnv != nil {
		env = i.fullEnv
	}
	dir := i.dir
	if dir == "" {
		dir = s.console.dir()
	} else {
		dir = s.absFile(dir, s.console.dir())
		if st, err := s.m.Stat(dir); err != nil || !st.IsDir() {
			return nil, dotnet("System.ComponentModel.Win32Exception", "The directory name is invalid")
		}
	}
	path, ok := s.m.Find(i.file, s.console.dir(), env)
	if !ok {
		return nil, dotnet("System.ComponentModel.Win32Exception", "The system cannot find the file specified")
	}
	p := &process{s: s, start: i}
	prog := Program{Path: path, Name: i.file, Args: i.args, Env: env, Dir: dir, User: i.user, Secret: i.password}
	if i.domain != "" && i.user != "" {
		prog.User = i.domain + `\` + i.user
	}
	if !i.shell {
		prog.Stdout, prog.Stderr = s.host.out, s.host.err
	}
	if i.stdout {
		p.out = newPipeBuffer()
		prog.Stdout = p.out
	}
	if i.stderr {
		p.err = newPipeBuffer()
		prog.Stderr = p.err
	}
	if i.stdin {
		r, w := io.Pipe()
		prog.Stdin, p.in = r, w
	}
	return p, s.start(p, prog)
}

func (s *shell) start(p *process, prog Program) error {
	if err := s.host.form.flush(); err != nil {
		return err
	}
	started, err := s.m.Start(s.ctx, prog)
	if err != nil {
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		return dotnet("System.ComponentModel.Win32Exception", "%s", err.Error())
	}
	p.p, p.started = started, s.sys.Now()
	p.info = ProcessInfo{PID: started.PID(), Name: strings.TrimSuffix(s.leaf(prog.Path), ".exe"), Path: prog.Path, Started: p.started}
	for _, i := range s.m.Processes() {
		if i.PID == p.info.PID {
			p.info = i
		}
	}
	go func() {
		<-started.Done()
		p.finish()
	}()
	return nil
}

func (p *process) finish() {
	p.once.Do(func() {
		for _, b := range []*pipeBuffer{p.out, p.err} {
			if b != nil {
				b.close()
			}
		}
		for _, f := range p.done {
			f()
		}
	})
}

func (p *process) typeName() string { return "System.Diagnostics.Process" }
func (p *process) String() string   { return "System.Diagnostics.Process (" + p.info.Name + ")" }
func (p *process) names() []string {
	return []string{"Id", "ProcessName", "StartTime", "Path"}
}

func (p *process) ended() bool {
	if p.p == nil {
		for _, i := range p.s.m.Processes() {
			if i.PID == p.info.PID && i.Started.Equal(p.info.Started) {
				return false
			}
		}
		return true
	}
	select {
	case <-p.p.Done():
		p.finish()
		return true
	default:
		return false
	}
}

// wait waits for the end, at most d where that is not negative.
func (p *process) wait(d time.Duration) (bool, error) {
	ctx := p.s.ctx
	if p.p == nil { // a process of somebody else is looked for
		end := time.Now().Add(d)
		for !p.ended() {
			if d >= 0 && time.Now().After(end) {
				return false, nil
			}
			if err := p.s.sleep(20 * time.Millisecond); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	var timer <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-p.p.Done():
		p.finish()
		return true, nil
	case <-timer:
		return p.ended(), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (p *process) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "id":
		return int32(p.info.PID), true, nil
	case "processname", "name":
		return p.info.Name, true, nil
	case "starttime":
		return p.info.Started.Truncate(100).In(s.local()), true, nil
	case "path":
		return p.info.Path, true, nil
	case "commandline":
		return p.info.Line, true, nil
	case "handle":
		return int32(p.info.PID * 4), true, nil
	case "handles", "handlecount", "npm", "pm", "ws", "workingset64", "workingset", "cpu", "si", "sessionid", "virtualmemorysize64", "privatememorysize64":
		return int32(0), true, nil
	case "username":
		return p.info.User, true, nil
	case "responding":
		return true, true, nil
	case "hasexited":
		return p.ended(), true, nil
	case "exitcode":
		if !p.ended() {
			return nil, true, dotnet("System.InvalidOperationException", "Process must exit before requested information can be determined.")
		}
		if p.p == nil {
			return nil, true, dotnet("System.InvalidOperationException", "Process was not started by this object, so requested information cannot be determined.")
		}
		return int32(p.p.Code()), true, nil
	case "standardoutput", "standarderror":
		b := p.out
		code := p.start.stdoutEncoding
		if k == "standarderror" {
			b, code = p.err, p.start.stderrEncode
		}
		if b == nil {
			return nil, true, dotnet("System.InvalidOperationException", "StandardOut has not been redirected or the process hasn't started yet.")
		}
		if code == nil {
			code = s.console.outEncoding()
		}
		return &reader{typ: "System.IO.StreamReader", in: &lineReader{r: b, ctx: s.ctx, code: code}, code: code}, true, nil
	case "standardinput":
		if p.in == nil {
			return nil, true, dotnet("System.InvalidOperationException", "StandardIn has not been redirected.")
		}
		w := s.newWriter(&stream{typ: "System.IO.FileStream", wr: p.in, finish: p.in.Close}, encodings["utf-8-plain"])
		w.auto = true
		return w, true, nil
	case "startinfo":
		if p.start == nil {
			p.start = &startInfo{shell: true}
		}
		return p.start, true, nil
	}
	return nil, false, nil
}

func (p *process) set(s *shell, k string, v any) (bool, error) {
	switch k {
	case "startinfo":
		i, ok := v.(*startInfo)
		if ok {
			p.start = i
		}
		return ok, nil
	case "enableraisingevents", "priorityclass":
		return true, nil
	}
	return false, nil
}

func (p *process) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "waitforexit":
		if len(a) == 0 {
			_, err := p.wait(-1)
			return void{}, true, err
		}
		n, err := s.toInt32(a[0])
		if err != nil {
			return nil, true, err
		}
		ok, err := p.wait(time.Duration(n) * time.Millisecond)
		return ok, true, err
	case "kill":
		if p.ended() {
			return nil, true, dotnet("System.InvalidOperationException", "Cannot process request because the process (%d) has exited.", p.info.PID)
		}
		if p.p != nil {
			return void{}, true, p.p.Kill()
		}
		return void{}, true, s.m.Kill(p.info.PID)
	case "start":
		if p.start == nil {
			p.start = &startInfo{shell: true}
		}
		q, err := s.launch(p.start)
		if err != nil {
			return nil, true, err
		}
		p.p, p.info, p.started, p.out, p.err, p.in = q.p, q.info, q.started, q.out, q.err, q.in
		return true, true, nil
	case "refresh", "close", "dispose":
		return void{}, true, nil
	}
	return nil, false, nil
}

func (s *shell) processObject(i ProcessInfo) *process { return &process{s: s, info: i} }

func init() {
	enumeration("System.Diagnostics.ProcessWindowStyle", false, enumName{"Normal", 0}, enumName{"Hidden", 1}, enumName{"Minimized", 2}, enumName{"Maximized", 3})
	define(&Type{name: "System.Diagnostics.ProcessStartInfo", ctor: func(s *shell, a []any) (any, error) {
		return &startInfo{file: s.text(argOr(a, 0, "")), args: s.text(argOr(a, 1, "")), shell: true}, nil
	}})
	define(&Type{name: "System.Diagnostics.Process", ctor: func(s *shell, a []any) (any, error) { return &process{s: s}, nil }, funcs: statics{
		"start": func(s *shell, a []any) (any, error) {
			i, ok := argOr(a, 0, nil).(*startInfo)
			if !ok {
				i = &startInfo{file: s.text(argOr(a, 0, "")), args: s.text(argOr(a, 1, "")), shell: true}
			}
			return wrapErr(s.launch(i))
		},
		"getcurrentprocess": func(s *shell, a []any) (any, error) { return s.processByID(s.o.PID) },
		"getprocessbyid": func(s *shell, a []any) (any, error) {
			n, err := s.toInt32(argOr(a, 0, nil))
			if err != nil {
				return nil, err
			}
			return s.processByID(int(n))
		},
		"getprocesses": func(s *shell, a []any) (any, error) {
			out := &Array{}
			for _, i := range s.m.Processes() {
				out.Elem = append(out.Elem, s.processObject(i))
			}
			return out, nil
		},
	}})
	define(&Type{name: "System.Management.Automation.PSCredential", ctor: func(s *shell, a []any) (any, error) {
		if len(a) != 2 {
			return nil, overload("PSCredential", len(a))
		}
		p, ok := a[1].(*secret)
		if !ok {
			return nil, overload("PSCredential", len(a))
		}
		return &credential{s.text(a[0]), p}, nil
	}})
	define(&Type{name: "System.Security.SecureString", ctor: func(s *shell, a []any) (any, error) { return &secret{}, nil }})
	define(&Type{name: "System.Net.NetworkCredential", ctor: func(s *shell, a []any) (any, error) {
		t := s.text(argOr(a, 1, ""))
		if p, ok := argOr(a, 1, nil).(*secret); ok {
			t = p.text
		}
		return NewObject("System.Net.NetworkCredential").Set("UserName", s.text(argOr(a, 0, ""))).Set("Password", t).Set("Domain", s.text(argOr(a, 2, ""))), nil
	}})
	define(&Type{name: "System.Runtime.InteropServices.Marshal", funcs: statics{
		"securestringtobstr": func(s *shell, a []any) (any, error) {
			p, ok := argOr(a, 0, nil).(*secret)
			if !ok {
				return nil, overload("SecureStringToBSTR", len(a))
			}
			return p, nil
		},
		"ptrtostringauto": pointerText, "ptrtostringbstr": pointerText,
		"zerofreebstr": func(*shell, []any) (any, error) { return void{}, nil },
	}})
}

func pointerText(s *shell, a []any) (any, error) {
	p, ok := argOr(a, 0, nil).(*secret)
	if !ok {
		return nil, overload("PtrToStringAuto", len(a))
	}
	return p.text, nil
}

func (s *shell) processByID(pid int) (any, error) {
	for _, i := range s.m.Processes() {
		if i.PID == pid {
			return s.processObject(i), nil
		}
	}
	return nil, dotnet("System.ArgumentException", "Process with an Id of %d is not running.", pid)
}

// secret is a SecureString; its text shows nowhere.
type secret struct{ text string }

func (p *secret) typeName() string { return "System.Security.SecureString" }
func (p *secret) String() string   { return p.typeName() }
func (p *secret) get(s *shell, k string) (any, bool, error) {
	if k == "length" {
		return int32(length16(p.text)), true, nil
	}
	return nil, false, nil
}

func (p *secret) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "appendchar":
		p.text += s.text(argOr(a, 0, ""))
	case "makereadonly", "dispose":
	default:
		return nil, false, nil
	}
	return void{}, true, nil
}

// credential is a PSCredential.
type credential struct {
	user string
	pass *secret
}

// SecretText is what a SecureString or a credential's password holds, for
// cmdlets of the machine; ok is false for other values.
func SecretText(v any) (text string, ok bool) {
	switch x := v.(type) {
	case *secret:
		return x.text, true
	case *credential:
		return x.pass.text, true
	}
	return "", false
}

// CredentialUser is the account that a PSCredential names.
func CredentialUser(v any) (string, bool) {
	c, ok := v.(*credential)
	if !ok {
		return "", false
	}
	return c.user, true
}

func (c *credential) typeName() string { return "System.Management.Automation.PSCredential" }
func (c *credential) String() string   { return c.typeName() }
func (c *credential) names() []string  { return []string{"UserName", "Password"} }
func (c *credential) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "username":
		return c.user, true, nil
	case "password":
		return c.pass, true, nil
	}
	return nil, false, nil
}

func (c *credential) call(s *shell, k string, a []any) (any, bool, error) {
	if k == "getnetworkcredential" {
		user, domain := c.user, ""
		if d, u, ok := strings.Cut(c.user, `\`); ok {
			domain, user = d, u
		}
		return NewObject("System.Net.NetworkCredential").Set("UserName", user).Set("Password", c.pass.text).Set("Domain", domain), true, nil
	}
	return nil, false, nil
}
