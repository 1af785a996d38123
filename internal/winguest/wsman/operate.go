package wsman

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// caller is who asks.
type caller struct {
	user, ip string
	svc      Service
}

// operation does what an action asks and gives the answer's action and body. Its
// context ends when the client is gone or has waited as long as it wanted to.
type operation func(s *Server, ctx context.Context, who caller, r *request) (body string, f *fault)

type action struct {
	resource string
	answer   string // the answer's action
	do       operation
}

var actions = map[string]action{
	nsTransfer + "/Create": {cmdResource, nsTransfer + "/CreateResponse", (*Server).create},
	nsTransfer + "/Delete": {cmdResource, nsTransfer + "/DeleteResponse", (*Server).remove},
	nsShell + "/Command":   {cmdResource, nsShell + "/CommandResponse", (*Server).run},
	nsShell + "/Send":      {cmdResource, nsShell + "/SendResponse", (*Server).send},
	nsShell + "/Receive":   {cmdResource, nsShell + "/ReceiveResponse", (*Server).receive},
	nsShell + "/Signal":    {cmdResource, nsShell + "/SignalResponse", (*Server).signal},
}

// get answers for two resources.
var getAction = map[string]operation{cmdResource: (*Server).get, nsConfig: (*Server).config}

// operate does one request.
func (s *Server) operate(ctx context.Context, who caller, r *request) (answer, body string, f *fault) {
	a, known := actions[r.action]
	if r.action == nsTransfer+"/Get" {
		a, known = action{r.resource, nsTransfer + "/GetResponse", getAction[r.resource]}, true
	}
	switch {
	case r.resource != cmdResource && r.resource != nsConfig:
		return "", "", sender("a:DestinationUnreachable", "InvalidResourceURI", codeInvalidResource,
			"The resource URI %s is not served: remote shells of cmd (%s) and the configuration are.", r.resource, cmdResource)
	case !known || a.resource != r.resource:
		return "", "", sender("a:ActionNotSupported", "", codeInvalidAction, "The action %s is not supported for the resource %s.", r.action, r.resource)
	}
	leave, f := s.enter(who)
	if f != nil {
		return "", "", f
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	body, f = a.do(s, ctx, who, r)
	return a.answer, body, f
}

// enter counts the operations of a user.
func (s *Server) enter(who caller) (leave func(), f *fault) {
	key := strings.ToLower(who.user)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[key] >= who.svc.MaxConcurrentOperationsPerUser {
		return nil, quota(codeMaxOperations, "The user has %d operations under way, which is all that MaxConcurrentOperationsPerUser allows.", s.operations[key])
	}
	s.operations[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.operations[key]--; s.operations[key] == 0 {
			delete(s.operations, key)
		}
	}, nil
}

// find is the shell that a request names, in use until leave is called.
func (s *Server) find(who caller, r *request) (sh *shell, f *fault) {
	id, ok := r.selectors["ShellId"]
	if !ok {
		return nil, sender("w:InvalidSelectors", "InsufficientSelectors", codeMissingSelectors, "The selector ShellId is missing.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh = s.shells[strings.ToUpper(id)]
	switch {
	case sh == nil:
		return nil, noShell(id)
	case !strings.EqualFold(sh.user, who.user):
		return nil, denied("Access is denied: the shell belongs to another user.")
	}
	sh.enter()
	return sh, nil
}

var shellStreams = [2]map[string]bool{{"stdin": true}, {"stdout": true, "stderr": true}}

func readStreams(e *element, local string, known map[string]bool) (map[string]bool, *fault) {
	got := map[string]bool{}
	for _, name := range strings.Fields(e.value(nsShell, local)) {
		if !known[name] {
			return nil, invalidParameter("The parameter is incorrect: there is no stream %q in %s.", name, local)
		}
		got[name] = true
	}
	return got, nil
}

func (s *Server) create(ctx context.Context, who caller, r *request) (string, *fault) {
	if !who.svc.AllowRemoteShellAccess {
		return "", sender("w:AccessDenied", "", codeNoShells, "Remote shells are not allowed here: AllowRemoteShellAccess is false.")
	}
	sh, life, f := readShell(who, r)
	if f != nil {
		return "", f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, other := range s.shells {
		if strings.EqualFold(other.user, who.user) {
			count++
		}
	}
	switch {
	case s.closed:
		return "", aborted("the service is going down")
	case s.shells[sh.id] != nil:
		return "", sender("w:AlreadyExists", "", codeAlreadyExists, "There is a shell with ShellId %s already.", sh.id)
	case count >= who.svc.MaxShellsPerUser:
		return "", quota(codeMaxShells, "The user has %d shells, which is all that MaxShellsPerUser allows. Close one first.", count)
	}
	sh.ctx, sh.kill = context.WithCancel(context.Background())
	sh.end = func() { s.drop(sh) }
	sh.timer = time.AfterFunc(sh.idle, sh.expire)
	if life > 0 {
		sh.lifetime = time.AfterFunc(life, sh.end)
	}
	s.shells[sh.id] = sh
	return `<x:ResourceCreated><a:Address>` + esc(r.to) + `</a:Address><a:ReferenceParameters><w:ResourceURI>` + cmdResource + `</w:ResourceURI>` +
		`<w:SelectorSet><w:Selector Name="ShellId">` + sh.id + `</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>` + sh.describe(), nil
}

// readShell is the shell that a Create describes, and how long it may live.
func readShell(who caller, r *request) (sh *shell, life time.Duration, f *fault) {
	e := r.body.kid(nsShell, "Shell")
	if e == nil {
		return nil, 0, sender("w:SchemaValidationError", "", codeInvalidBody, "The body has no Shell.")
	}
	now := time.Now()
	sh = &shell{user: who.user, ip: who.ip, env: map[string]string{}, idle: who.svc.IdleTimeout, created: now, used: now, commands: map[string]*command{}}
	var ok bool
	if sh.id, ok = chosenID(e.attr("", "ShellId")); !ok {
		return nil, 0, invalidParameter("The parameter is incorrect: the ShellId %q is not a GUID.", e.attr("", "ShellId"))
	}
	if sh.noProfile, f = r.flag("WINRS_NOPROFILE"); f != nil {
		return nil, 0, f
	}
	if v := r.options["WINRS_CODEPAGE"]; v != "" {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return nil, 0, sender("w:InvalidOptions", "InvalidValue", codeOptionValue, "WINRS_CODEPAGE %q is not the number of a code page.", v)
		}
		sh.codepage = int(n)
	}
	if sh.inputs, f = readStreams(e, "InputStreams", shellStreams[0]); f != nil {
		return nil, 0, f
	}
	if sh.outputs, f = readStreams(e, "OutputStreams", shellStreams[1]); f != nil {
		return nil, 0, f
	}
	sh.streams = [2]string{e.value(nsShell, "InputStreams"), e.value(nsShell, "OutputStreams")}
	sh.dir = e.value(nsShell, "WorkingDirectory")
	for _, limit := range []struct {
		name string
		d    *time.Duration
	}{{"IdleTimeOut", &sh.idle}, {"Lifetime", &life}} {
		if v := e.value(nsShell, limit.name); v != "" {
			d, ok := parseDuration(v)
			if !ok || d <= 0 {
				return nil, 0, invalidParameter("The parameter is incorrect: %s %q is not a duration above zero.", limit.name, v)
			}
			*limit.d = d
		}
	}
	if env := e.kid(nsShell, "Environment"); env != nil {
		for _, v := range env.kids {
			name := v.attr("", "Name")
			if !v.is(nsShell, "Variable") || name == "" || strings.ContainsAny(name, "=\x00") {
				return nil, 0, invalidParameter("The parameter is incorrect: %q is not the name of a variable.", name)
			}
			sh.env[name] = v.text
		}
	}
	return sh, life, nil
}

// drop takes a shell off and kills it.
func (s *Server) drop(sh *shell) {
	s.mu.Lock()
	if s.shells[sh.id] == sh {
		delete(s.shells, sh.id)
	}
	s.mu.Unlock()
	sh.close()
}

func (s *Server) remove(ctx context.Context, who caller, r *request) (string, *fault) {
	sh, f := s.find(who, r)
	if f != nil {
		return "", f
	}
	defer sh.leave()
	sh.end()
	return "", nil
}

func (s *Server) get(ctx context.Context, who caller, r *request) (string, *fault) {
	sh, f := s.find(who, r)
	if f != nil {
		return "", f
	}
	defer sh.leave()
	return sh.describe(), nil
}

func (s *Server) run(ctx context.Context, who caller, r *request) (string, *fault) {
	sh, f := s.find(who, r)
	if f != nil {
		return "", f
	}
	defer sh.leave()
	e := r.body.kid(nsShell, "CommandLine")
	if e == nil || e.kid(nsShell, "Command") == nil || strings.TrimSpace(e.kid(nsShell, "Command").text) == "" {
		return "", invalidParameter("The parameter is incorrect: the command is empty.")
	}
	p := Program{
		User: sh.user, Job: sh.id, Command: e.kid(nsShell, "Command").text,
		Env: sh.env, NoProfile: sh.noProfile, Dir: sh.dir, Codepage: sh.codepage,
	}
	p.Line = p.Command
	for _, a := range e.kids {
		if a.is(nsShell, "Arguments") {
			p.Args = append(p.Args, a.text)
			p.Line += " " + a.text
		}
	}
	if p.SkipCmd, f = r.flag("WINRS_SKIP_CMD_SHELL"); f != nil {
		return "", f
	}
	if p.ConsoleStdin, f = r.flag("WINRS_CONSOLEMODE_STDIN"); f != nil {
		return "", f
	}
	id, ok := chosenID(e.attr("", "CommandId"))
	if !ok {
		return "", invalidParameter("The parameter is incorrect: the CommandId %q is not a GUID.", e.attr("", "CommandId"))
	}
	if f := sh.start(id, p, s.b, who.svc.MaxProcessesPerShell); f != nil {
		return "", f
	}
	return `<rsp:CommandResponse><rsp:CommandId>` + id + `</rsp:CommandId></rsp:CommandResponse>`, nil
}

// start makes a command of a program.
func (sh *shell) start(id string, p Program, b Backend, most int) *fault {
	sh.mu.Lock()
	count := sh.starting
	for _, c := range sh.commands {
		c.mu.Lock()
		if c.exit == nil {
			count++
		}
		c.mu.Unlock()
	}
	switch {
	case sh.commands[id] != nil:
		sh.mu.Unlock()
		return sender("w:AlreadyExists", "", codeAlreadyExists, "There is a command with CommandId %s already.", id)
	case count >= most:
		sh.mu.Unlock()
		return quota(codeMaxCommands, "The shell runs %d commands, which is all that MaxProcessesPerShell allows.", count)
	}
	sh.starting++
	sh.mu.Unlock()

	c := &command{id: id, sh: sh, stdin: newInput(), out: newOutput(), gone: make(chan struct{})}
	if !sh.inputs["stdin"] {
		c.stdin.close()
	}
	p.Stdin = c.stdin
	p.Stdout, p.Stderr = c.stream("stdout"), c.stream("stderr")
	var err error
	c.process, err = b.Start(sh.ctx, p)

	sh.mu.Lock()
	sh.starting--
	if err != nil {
		sh.mu.Unlock()
		return cannotStart(err)
	}
	over := sh.ctx.Err() != nil
	if !over {
		sh.commands[id] = c
	}
	sh.mu.Unlock()
	go c.watch()
	if over {
		c.terminate("the shell was closed")
		return noShell(sh.id)
	}
	return nil
}

func (s *Server) send(ctx context.Context, who caller, r *request) (string, *fault) {
	sh, f := s.find(who, r)
	if f != nil {
		return "", f
	}
	defer sh.leave()
	e := r.body.kid(nsShell, "Send")
	if e == nil || len(e.kids) == 0 {
		return "", sender("w:SchemaValidationError", "", codeInvalidBody, "The body has no Send with a Stream.")
	}
	for _, st := range e.kids {
		if !st.is(nsShell, "Stream") || st.attr("", "Name") != "stdin" {
			return "", invalidParameter("The parameter is incorrect: a command reads no stream %q.", st.attr("", "Name"))
		}
		c, f := sh.command(st.attr("", "CommandId"))
		if f != nil {
			return "", f
		}
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(st.text), ""))
		if err != nil {
			return "", invalidParameter("The parameter is incorrect: the stream's content is not base64.")
		}
		end := st.attr("", "End")
		if f := c.stdin.send(ctx, data, end == "true" || end == "1"); f != nil {
			return "", f
		}
	}
	return `<rsp:SendResponse/>`, nil
}

// What an answer to Receive costs besides the text of its streams. Attributes and
// names of a stream are less than streamCost, all else is less than answerCost.
const (
	answerCost = 1800
	streamCost = 160
)

func (s *Server) receive(ctx context.Context, who caller, r *request) (string, *fault) {
	sh, f := s.find(who, r)
	if f != nil {
		return "", f
	}
	defer sh.leave()
	e := r.body.kid(nsShell, "Receive")
	if e == nil || e.kid(nsShell, "DesiredStream") == nil {
		return "", sender("w:SchemaValidationError", "", codeInvalidBody, "The body has no Receive with a DesiredStream.")
	}
	c, f := sh.command(e.kid(nsShell, "DesiredStream").attr("", "CommandId"))
	if f != nil {
		return "", f
	}
	streams, f := readStreams(e, "DesiredStream", shellStreams[1])
	if f != nil {
		return "", f
	}
	for name := range streams {
		if !sh.outputs[name] {
			return "", invalidParameter("The parameter is incorrect: the shell was made without the stream %s.", name)
		}
	}
	if len(streams) == 0 {
		return "", invalidParameter("The parameter is incorrect: no stream is desired.")
	}
	if f := c.wait(ctx, streams); f != nil {
		return "", f
	}
	return c.fetch(streams, r.maxEnvelope-answerCost-len(esc(r.id))), nil
}

// wait returns when there is something to fetch.
func (c *command) wait(ctx context.Context, streams map[string]bool) *fault {
	replaced := c.listen()
	for {
		changed, ready := c.out.state(streams)
		select {
		case <-c.gone:
			return aborted(c.why)
		case <-replaced:
			return aborted("another Receive for the same command took its place")
		default:
		}
		if ready {
			return nil
		}
		select {
		case <-changed:
		case <-c.gone:
		case <-replaced:
		case <-ctx.Done():
			return timedOut()
		}
	}
}

// fetch is the body of an answer with what there is of some streams.
func (c *command) fetch(streams map[string]bool, room int) string {
	got, end := c.out.take(streams, room, streamCost)
	c.mu.Lock()
	exit := c.exit
	c.mu.Unlock()
	var b strings.Builder
	b.WriteString(`<rsp:ReceiveResponse>`)
	for _, g := range got {
		fmt.Fprintf(&b, `<rsp:Stream Name="%s" CommandId="%s">`, g.stream, c.id)
		b.WriteString(base64.StdEncoding.EncodeToString(g.data))
		b.WriteString(`</rsp:Stream>`)
	}
	if end && exit != nil {
		for _, name := range []string{"stdout", "stderr"} {
			if streams[name] {
				fmt.Fprintf(&b, `<rsp:Stream Name="%s" CommandId="%s" End="true"></rsp:Stream>`, name, c.id)
			}
		}
		fmt.Fprintf(&b, `<rsp:CommandState CommandId="%s" State="%s/CommandState/Done"><rsp:ExitCode>%d</rsp:ExitCode></rsp:CommandState>`, c.id, nsShell, *exit)
	} else {
		fmt.Fprintf(&b, `<rsp:CommandState CommandId="%s" State="%s/CommandState/Running"></rsp:CommandState>`, c.id, nsShell)
	}
	b.WriteString(`</rsp:ReceiveResponse>`)
	return b.String()
}

func (s *Server) signal(ctx context.Context, who caller, r *request) (string, *fault) {
	sh, f := s.find(who, r)
	if f != nil {
		return "", f
	}
	defer sh.leave()
	e := r.body.kid(nsShell, "Signal")
	if e == nil {
		return "", sender("w:SchemaValidationError", "", codeInvalidBody, "The body has no Signal.")
	}
	code, ok := strings.CutPrefix(strings.ToLower(e.value(nsShell, "Code")), nsShell+"/signal/")
	var targets []*command
	if id := e.attr("", "CommandId"); id != "" {
		c, f := sh.command(id)
		if f != nil {
			return "", f
		}
		targets = []*command{c}
	} else {
		sh.mu.Lock()
		for _, c := range sh.commands {
			targets = append(targets, c)
		}
		sh.mu.Unlock()
	}
	switch {
	case ok && (code == "ctrl_c" || code == "ctrl_break"):
		for _, c := range targets {
			c.interrupt()
		}
	case ok && code == "terminate":
		for _, c := range targets {
			sh.mu.Lock()
			delete(sh.commands, c.id)
			sh.mu.Unlock()
			c.terminate("the command was terminated")
		}
	default:
		return "", invalidParameter("The parameter is incorrect: there is no signal %q.", e.value(nsShell, "Code"))
	}
	return `<rsp:SignalResponse/>`, nil
}

// config is what of the configuration a client needs to know before it sends
// anything large.
func (s *Server) config(ctx context.Context, who caller, r *request) (string, *fault) {
	return fmt.Sprintf(`<cfg:Config xmlns:cfg="%s"><cfg:MaxEnvelopeSizekb>%d</cfg:MaxEnvelopeSizekb><cfg:MaxTimeoutms>%d</cfg:MaxTimeoutms></cfg:Config>`,
		nsConfig, who.svc.MaxEnvelopeSizeKB, who.svc.MaxTimeout.Milliseconds()), nil
}
