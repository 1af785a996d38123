package posh

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
)

// shell is one running PowerShell.
type shell struct {
	ctx   context.Context
	o     Options
	m     Machine
	sys   System
	env   *Env
	dir   string // the file system's location
	loc   location
	stack []location
	core  bool

	global  *scope
	scope   *scope
	streams *streams
	host    *host
	in      *lineReader

	src    *source
	at     span
	tries  int  // enclosing try and trap blocks
	ok     bool // $?
	failed bool // something failed in the pipeline that runs
	errs   []any
	depth  int
	steps  int
	tick   int
	isFile bool

	functions map[string]*Block // by lower-case name, global
	aliases   map[string]string
	cmdlets   map[string]*Command
	formalsOf map[*Command][]formal
	patterns  map[string]*pattern
	wildcards map[string]*regexp.Regexp
	random    *rand.Rand
	exec      *executionContext
	console   *consoleState
	debug     int // Set-PSDebug -Trace
	cleanup   []func()
}

// port is where the output of a command goes.
type port struct {
	put  func(any) error
	host bool // straight to the console
}

// streams are the places of streams 2 to 6; nil is the console.
type streams [7]*port

const (
	streamError   = 2
	streamWarning = 3
	streamVerbose = 4
	streamDebug   = 5
	streamInfo    = 6
)

type variable struct {
	name     string
	val      any
	typ      *Type
	readOnly bool
	constant bool
	live     func() any
}

// scope holds the variables and functions of one function or script.
type scope struct {
	vars     map[string]*variable
	funcs    map[string]*Block
	parent   *scope
	errorVar string // -ErrorVariable of the function
	script   bool   // a script file's, or the outermost one
	strict   int    // Set-StrictMode; 0 inherits, -1 is off
	name     string
	bound    *Hash
}

func newScope(parent *scope) *scope { return &scope{vars: map[string]*variable{}, parent: parent} }

var errBudget = errors.New("the script takes more steps than it may")

// step counts a statement, and ends what runs for too long.
func (s *shell) step() error {
	if s.tick++; s.tick&63 == 0 {
		if err := s.ctx.Err(); err != nil {
			return err
		}
	}
	if s.o.steps > 0 {
		if s.steps++; s.steps > s.o.steps {
			return errBudget
		}
	}
	return nil
}

const maxCalls = 400 // nested calls of functions and script blocks

func (s *shell) enter() error {
	if s.depth++; s.depth > maxCalls {
		return &Error{ID: "CallDepthOverflow", Category: "InvalidOperation", Message: "The script failed due to call depth overflow."}
	}
	return nil
}

func (s *shell) leave() { s.depth-- }

func newShell(ctx context.Context, o Options) *shell {
	s := &shell{ctx: ctx, o: o, m: o.Machine, env: o.Env, dir: o.Dir, core: o.core, ok: true,
		functions: map[string]*Block{}, aliases: map[string]string{}, patterns: map[string]*pattern{}, wildcards: map[string]*regexp.Regexp{}}
	if s.env == nil {
		s.env = NewEnv()
	}
	s.sys = s.m.System()
	if s.sys.Now == nil {
		s.sys.Now = time.Now
	}
	if s.sys.Zone == nil {
		s.sys.Zone = time.UTC
	}
	s.host = newHost(o, s)
	s.streams = &streams{}
	s.global = newScope(nil)
	s.global.script = true
	s.scope = s.global
	s.loc = location{path: o.Dir}
	s.in = &lineReader{r: o.Stdin, ctx: ctx}
	s.cmdlets = builtins()
	s.formalsOf = map[*Command][]formal{}
	if len(o.Commands) > 0 {
		own := make(map[string]*Command, len(s.cmdlets)+2*len(o.Commands))
		for k, v := range s.cmdlets {
			own[k] = v
		}
		for i := range o.Commands {
			c := &o.Commands[i]
			own[strings.ToLower(c.Name)] = c
			for _, a := range c.Aliases {
				s.aliases[strings.ToLower(a)] = c.Name
			}
		}
		s.cmdlets = own
	}
	s.autoVariables()
	return s
}

func (s *shell) close() {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		s.cleanup[i]()
	}
}

// autoVariables are those that are there when a shell starts.
func (s *shell) autoVariables() {
	set := func(name string, v any) *variable {
		x := &variable{name: name, val: v}
		s.global.vars[foldKey(name)] = x
		return x
	}
	fixed := func(name string, v any) { set(name, v).constant = true }
	live := func(name string, f func() any) { x := set(name, nil); x.live, x.readOnly = f, true }
	fixed("true", true)
	fixed("false", false)
	set("null", nil)
	live("?", func() any { return s.ok })
	live("pwd", func() any { return s.pathInfo() })
	fixed("PID", int32(s.o.PID))
	set("ErrorActionPreference", "Continue")
	set("WarningPreference", "Continue")
	set("VerbosePreference", "SilentlyContinue")
	set("DebugPreference", "SilentlyContinue")
	set("InformationPreference", "SilentlyContinue")
	set("ProgressPreference", "Continue")
	set("ConfirmPreference", "High")
	set("WhatIfPreference", false)
	set("FormatEnumerationLimit", int32(4))
	set("OutputEncoding", encodings["us-ascii"])
	set("PSCulture", "en-US")
	set("PSUICulture", "en-US")
	fixed("ShellId", "Microsoft.PowerShell")
	set("NestedPromptLevel", int32(0))
	set("MaximumHistoryCount", int32(4096))
	set("PSModuleAutoLoadingPreference", nil)
	home, _ := s.env.Get("USERPROFILE")
	if home == "" {
		home, _ = s.env.Get("HOME")
	}
	if home == "" {
		home = s.join(s.sys.Root, "Temp")
	}
	set("HOME", home).readOnly = true
	pshome := s.sys.Root + `\System32\WindowsPowerShell\v1.0`
	fixed("PSHOME", pshome)
	set("PROFILE", home+`\Documents\WindowsPowerShell\Microsoft.PowerShell_profile.ps1`)
	live("Error", func() any { return &List{Elem: s.errs, shared: &s.errs} })
	s.exec = &executionContext{s: s}
	s.console = &consoleState{s: s}
	fixed("ExecutionContext", s.exec)
	fixed("Host", s.hostObject())
	table := s.versionTable()
	fixed("PSVersionTable", table)
	edition, _ := table.Get("PSEdition")
	fixed("PSEdition", edition)
}

func (s *shell) versionTable() *Hash {
	h := NewHash(false)
	if s.core {
		h.Set("PSVersion", &version{6, 2, 0, -1})
		h.Set("PSEdition", "Core")
		h.Set("Platform", "Unix")
		return h
	}
	v, _ := parseVersion(s.sys.Version)
	if v == nil {
		v = &version{10, 0, 14393, 0}
	}
	h.Set("PSVersion", &version{5, 1, v.c, 1000})
	h.Set("PSEdition", "Desktop")
	h.Set("PSCompatibleVersions", NewArray(&version{1, 0, -1, -1}, &version{2, 0, -1, -1}, &version{3, 0, -1, -1}, &version{4, 0, -1, -1}, &version{5, 0, -1, -1}, &version{5, 1, v.c, 1000}))
	h.Set("BuildVersion", &version{10, 0, v.c, 1000})
	h.Set("CLRVersion", &version{4, 0, 30319, 42000})
	h.Set("WSManStackVersion", &version{3, 0, -1, -1})
	h.Set("PSRemotingProtocolVersion", &version{2, 3, -1, -1})
	h.Set("SerializationVersion", &version{1, 1, 0, 1})
	return h
}

// find looks a variable up, from the innermost scope outwards.
func (s *shell) find(key string) *variable {
	for sc := s.scope; sc != nil; sc = sc.parent {
		if v, ok := sc.vars[key]; ok {
			return v
		}
	}
	return nil
}

func (v *variable) value() any {
	if v.live != nil {
		return v.live()
	}
	return plainOf(v.val)
}

// kept is value, but void where that is what was assigned.
func (v *variable) kept() any {
	if v.live != nil {
		return v.live()
	}
	return v.val
}

// lookup reads a variable; ok is false when there is none.
func (s *shell) lookup(key string) (any, bool) {
	if v := s.find(key); v != nil {
		return v.value(), true
	}
	return nil, false
}

func (s *shell) varText(key, def string) string {
	if v, ok := s.lookup(key); ok {
		return s.text(v)
	}
	return def
}

func (s *shell) ofs() string {
	if v := s.find("ofs"); v != nil && v.val != nil {
		return toText(v.val)
	}
	return " "
}

// setVar sets a variable of the innermost scope, without any checks.
func (s *shell) setVar(key string, v any) { s.scope.set(key, v) }

func (sc *scope) set(key string, v any) {
	if x, ok := sc.vars[key]; ok && !x.constant {
		x.val = v
		return
	}
	sc.vars[key] = &variable{name: key, val: v}
}

func (s *shell) scopeNamed(drive string) *scope {
	switch drive {
	case "global":
		return s.global
	case "script":
		sc := s.scope
		for !sc.script {
			sc = sc.parent
		}
		return sc
	}
	return s.scope
}

// readVar is the value of $name, $scope:name or $drive:name.
func (s *shell) readVar(e *varExpr) (any, error) {
	switch e.drive {
	case "":
		if v := s.find(e.key); v != nil {
			return v.kept(), nil
		}
		return s.missing(e)
	case "env":
		if v, ok := s.env.Get(e.key); ok {
			return v, nil
		}
		return nil, nil
	case "variable":
		v, _ := s.lookup(e.key)
		return v, nil
	case "global", "script", "local", "private":
		sc := s.scopeNamed(e.drive)
		if v, ok := sc.vars[e.key]; ok {
			return v.kept(), nil
		}
		if e.drive == "local" || e.drive == "private" {
			return nil, nil
		}
		return s.missing(e)
	case "function":
		if b := s.function(e.key); b != nil {
			return b, nil
		}
		return nil, nil
	}
	if _, ok := s.o.Drives[e.drive]; ok || len(e.drive) == 1 {
		return nil, s.refuse("$%s:%s", e.drive, e.key)
	}
	return nil, nil
}

func (s *shell) missing(e *varExpr) (any, error) {
	switch e.key {
	case "lastexitcode", "matches", "args", "input", "_", "psitem", "this", "stacktrace", "myinvocation", "psscriptroot", "pscommandpath":
		if e.key == "psitem" {
			v, _ := s.lookup("_")
			return v, nil
		}
		return s.invocation(e.key)
	case "psboundparameters":
		for sc := s.scope; sc != nil; sc = sc.parent {
			if sc.bound != nil {
				return sc.bound, nil
			}
		}
		return nil, nil
	case "pscmdlet", "psdefaultparametervalues", "psitemdebug", "pssenderinfo", "event", "eventargs", "sender":
		if e.key == "pscmdlet" || e.key == "psdefaultparametervalues" {
			return nil, s.refuse("$%s", e.name)
		}
	}
	if s.strict() > 0 {
		return nil, &Error{ID: "VariableIsUndefined", Category: "InvalidOperation", Target: e.name,
			Message: "The variable '$" + e.name + "' cannot be retrieved because it has not been set."}
	}
	return nil, nil
}

func (s *shell) strict() int {
	for sc := s.scope; sc != nil; sc = sc.parent {
		if sc.strict != 0 {
			return sc.strict
		}
	}
	return 0
}

// invocation answers the variables that tell about the running script.
func (s *shell) invocation(key string) (any, error) {
	file := ""
	if s.src != nil {
		file = s.src.file
	}
	switch key {
	case "pscommandpath":
		return file, nil
	case "psscriptroot":
		if file == "" {
			return "", nil
		}
		return s.parentPath(file), nil
	case "myinvocation":
		return s.myInvocation(file), nil
	}
	return nil, nil
}

func (s *shell) myInvocation(file string) any {
	o := NewObject("System.Management.Automation.InvocationInfo")
	cmd := NewObject("System.Management.Automation.ExternalScriptInfo")
	name := s.scope.name
	if file != "" && s.scope.script {
		name = s.leaf(file)
		cmd.Set("Path", file).Set("Definition", file).Set("Source", file)
	}
	cmd.Set("Name", name)
	cmd.Text = func() string { return name }
	o.Set("MyCommand", cmd).Set("InvocationName", name).Set("PSCommandPath", file).Set("ScriptName", file)
	if file != "" {
		o.Set("PSScriptRoot", s.parentPath(file))
	} else {
		o.Set("PSScriptRoot", "")
	}
	line := 0
	if s.src != nil {
		line, _ = s.src.position(s.at.from)
	}
	o.Set("ScriptLineNumber", int32(line)).Set("Line", "")
	if s.scope.bound != nil {
		o.Set("BoundParameters", s.scope.bound)
	} else {
		o.Set("BoundParameters", NewHash(false))
	}
	args, _ := s.lookup("args")
	o.Set("UnboundArguments", args)
	return o
}

// preference reads an ActionPreference.
func (s *shell) preference(text string) (string, error) {
	switch p := strings.ToLower(text); p {
	case "stop", "continue", "silentlycontinue", "ignore":
		return p, nil
	case "0":
		return "silentlycontinue", nil
	case "1":
		return "stop", nil
	case "2":
		return "continue", nil
	case "4":
		return "ignore", nil
	case "inquire", "suspend", "break", "3", "5":
		return "", s.refuse("the preference '%s'", text)
	}
	return "", &Error{ID: "InvalidCastFromStringToEnum", Category: "InvalidArgument", Message: "Cannot convert value \"" + text + "\" to type \"System.Management.Automation.ActionPreference\"."}
}

func (s *shell) pref(own, key string) string {
	if own == "" {
		own = s.varText(key, "Continue")
	}
	p, err := s.preference(own)
	if err != nil {
		return "continue"
	}
	return p
}

// function finds a function by its name.
func (s *shell) function(name string) *Block {
	key := foldKey(name)
	for sc := s.scope; sc != nil; sc = sc.parent {
		if b, ok := sc.funcs[key]; ok {
			return b
		}
	}
	return s.functions[key]
}

// report shows an error that does not end the command, or ends it after all.
func (s *shell) report(err error, own string, c *Call) error {
	if s.passes(err) {
		return err
	}
	rec := s.record(err, c)
	s.failed = true
	if c != nil && c.prefs.errorVar != "" {
		s.appendVar(c.prefs.errorVar, rec)
	}
	for sc := s.scope; sc != nil; sc = sc.parent {
		if sc.errorVar != "" {
			s.appendVar(sc.errorVar, rec)
		}
	}
	switch s.pref(own, "erroractionpreference") {
	case "stop":
		return &thrown{rec: rec, hard: true}
	case "ignore":
		return nil
	case "silentlycontinue":
		s.remember(rec)
		return nil
	}
	s.remember(rec)
	return s.write(streamError, rec)
}

// remember puts a record into $Error.
func (s *shell) remember(rec *errorRecord) {
	if rec.counted {
		return
	}
	rec.counted = true
	s.errs = append([]any{rec}, s.errs[:min(len(s.errs), 255)]...)
}

func (s *shell) appendVar(name string, v any) {
	add := strings.HasPrefix(name, "+")
	key := foldKey(strings.TrimPrefix(name, "+"))
	var l *List
	if old, ok := s.lookup(key); ok {
		l, _ = old.(*List)
	}
	if l == nil || !add && !l.mine {
		l = &List{mine: true}
		s.setVar(key, l)
	}
	l.Elem = append(l.Elem, v)
}

func (s *shell) asCommandError(err error, c *Call) error {
	if s.passes(err) {
		return err
	}
	var t *thrown
	if errors.As(err, &t) {
		return t
	}
	return &thrown{rec: s.record(err, c)}
}

// message writes to one of the streams 3 to 6, as the preference says.
func (s *shell) message(stream int, text, own string) error {
	key := [...]string{3: "warningpreference", 4: "verbosepreference", 5: "debugpreference", 6: "informationpreference"}[stream]
	switch s.pref(own, key) {
	case "silentlycontinue", "ignore":
		return nil
	case "stop":
		return &thrown{hard: true, rec: s.record(&Error{ID: "ActionPreferenceStop", Message: text, Exception: "System.Management.Automation.ActionPreferenceStopException"}, nil)}
	}
	kind := [...]string{3: "Warning", 4: "Verbose", 5: "Debug", 6: "Information"}[stream]
	return s.write(stream, &messageRecord{kind: kind, msg: text})
}

// messageRecord is a record of the streams 3 to 6.
type messageRecord struct {
	kind string
	msg  string
	data any  // Write-Host: what was written
	same bool // no line end
	tags []any
}

func (r *messageRecord) typeName() string {
	return "System.Management.Automation." + r.kind + "Record"
}
func (r *messageRecord) String() string { return r.msg }

// write puts a record into a stream.
func (s *shell) write(stream int, v any) error {
	if p := s.streams[stream]; p != nil {
		return p.put(v)
	}
	return s.host.record(stream, v)
}
