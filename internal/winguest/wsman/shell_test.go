package wsman

import (
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestShellSettings(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(`WIN-TOY\vagrant`, toyPassword)
	id := "AABBCCDD-0011-4223-8445-66778899AABB"
	options := `<w:OptionSet><w:Option Name="WINRS_NOPROFILE">TRUE</w:Option><w:Option Name="WINRS_CODEPAGE">65001</w:Option></w:OptionSet>`
	a := w.soap(ask{action: "Create", headers: options, body: `<rsp:Shell ShellId="` + strings.ToLower(id) + `"><rsp:InputStreams>stdin</rsp:InputStreams>` +
		`<rsp:OutputStreams>stdout</rsp:OutputStreams><rsp:WorkingDirectory>C:\x y</rsp:WorkingDirectory><rsp:IdleTimeOut>PT1M</rsp:IdleTimeOut><rsp:Lifetime>PT5M</rsp:Lifetime>` +
		`<rsp:Environment><rsp:Variable Name="a"> 1&#10;"2" </rsp:Variable><rsp:Variable Name="Ä"></rsp:Variable></rsp:Environment></rsp:Shell>`}.String())
	sh := a.tree(t).kid(nsSOAP, "Body").kid(nsShell, "Shell")
	for name, want := range map[string]string{"ShellId": id, "Owner": "vagrant", "ClientIP": "127.0.0.1", "WorkingDirectory": `C:\x y`, "IdleTimeOut": "PT60.000S",
		"InputStreams": "stdin", "OutputStreams": "stdout", "ShellRunTime": "P0DT0H0M0S", "ShellInactivity": "P0DT0H0M0S", "ResourceUri": cmdResource} {
		if got := sh.value(nsShell, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	a = w.soap(ask{action: "Command", shell: id, headers: `<w:OptionSet><w:Option Name="WINRS_SKIP_CMD_SHELL">TRUE</w:Option><w:Option Name="WINRS_CONSOLEMODE_STDIN">TRUE</w:Option></w:OptionSet>`,
		body: `<rsp:CommandLine CommandId="` + id + `"><rsp:Command>both</rsp:Command><rsp:Arguments>a b</rsp:Arguments><rsp:Arguments>"c"</rsp:Arguments></rsp:CommandLine>`}.String())
	if got := a.tree(t).kid(nsSOAP, "Body").kid(nsShell, "CommandResponse").value(nsShell, "CommandId"); got != id {
		t.Errorf("command ID %q", got)
	}
	got := p.last()
	if got.User != "vagrant" || got.Job != id || got.Line != `both a b "c"` || got.Command != "both" || len(got.Args) != 2 || !got.SkipCmd || !got.ConsoleStdin ||
		!got.NoProfile || got.Codepage != 65001 || got.Dir != `C:\x y` || !maps.Equal(got.Env, map[string]string{"a": " 1\n\"2\" ", "Ä": ""}) {
		t.Errorf("%+v", got)
	}
	if a := w.soap(receiveAsk(id, id).String()); a.code(t) != 87 {
		t.Errorf("a stream that the shell was made without: %s", a.body)
	}
	r := w.soap(strings.Replace(receiveAsk(id, id).String(), "stdout stderr", "stdout", 1)).streams(t)
	for ; !r.done; r = w.soap(strings.Replace(receiveAsk(id, id).String(), "stdout stderr", "stdout", 1)).streams(t) {
		if r.out != "out\r\n" || r.err != "" {
			t.Errorf("%+v", r)
		}
	}
	if r.exit != "7" || r.ended != 1 {
		t.Errorf("%+v", r)
	}
	if got := w.soap(ask{action: "Get", shell: id}.String()).tree(t).kid(nsSOAP, "Body").kid(nsShell, "Shell").value(nsShell, "ShellId"); got != id {
		t.Errorf("Get: %q", got)
	}
}

func TestSeveralCommands(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	one, two := w.create(""), w.create("")
	a, b, c := w.command(one, "cat"), w.command(one, "cat"), w.command(two, "cat")
	for i, k := range [][2]string{{one, a}, {one, b}, {two, c}} {
		w.soap(sendAsk(k[0], k[1], fmt.Sprint("command ", i), "false").String())
		w.soap(sendAsk(k[0], k[1], "", "true").String())
	}
	for i, k := range [][2]string{{one, a}, {one, b}, {two, c}} {
		if r := w.all(k[0], k[1]); r.out != fmt.Sprint("command ", i) || r.ended != 2 || r.exit != "0" {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if a := w.soap(receiveAsk(two, a).String()); a.code(t) != codeUnexpectedSelectors {
		t.Errorf("a command of another shell: %s", a.body)
	}
	// The end can be had again until the command is terminated: an answer may get lost.
	if r := w.soap(receiveAsk(one, a).String()).streams(t); !r.done || r.exit != "0" || r.out != "" {
		t.Errorf("the end again: %+v", r)
	}
	if a := w.soap(sendAsk(one, a, "x", "false").String()); a.code(t) != codeNoData {
		t.Errorf("input after the end: %s", a.body)
	}
	w.soap(signalAsk(one, a, "terminate").String())
	if a := w.soap(receiveAsk(one, a).String()); a.code(t) != codeUnexpectedSelectors {
		t.Errorf("a terminated command: %s", a.body)
	}
}

func TestSignals(t *testing.T) {
	p := start(t)
	w, other := dial(t, p, false).basic(toyUser, toyPassword), dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	for _, what := range []string{"ctrl_c", "ctrl_break"} {
		c := w.command(shell, "sleep 1h")
		w.soap(signalAsk(shell, c, what).String())
		if r := w.all(shell, c); r.exit != "-1073741510" {
			t.Errorf("%s: %+v", what, r)
		}
		if a := w.soap(signalAsk(shell, c, what).String()); a.status != 200 {
			t.Errorf("%s after the end: %s", what, a.body)
		}
	}
	// Both ways to end a command under a Receive end that, too.
	for name, stop := range map[string]func(shell, command string) string{
		"terminate": func(shell, command string) string { return signalAsk(shell, command, "Terminate").String() },
		"delete":    func(shell, command string) string { return ask{action: "Delete", shell: shell}.String() },
		"all": func(shell, command string) string {
			return strings.Replace(signalAsk(shell, "", "terminate").String(), ` CommandId=""`, "", 1)
		},
	} {
		shell := w.create("")
		c := w.command(shell, "sleep 1h")
		got := make(chan answer)
		go func() { got <- other.soap(receiveAsk(shell, c).String()) }()
		soon(t, "a Receive waits", func() bool { return p.waits(shell, c) })
		if a := w.soap(stop(shell, c)); a.status != 200 {
			t.Errorf("%s: %s", name, a.body)
		}
		if a := <-got; a.code(t) != codeAborted {
			t.Errorf("%s under a Receive: %s", name, a.body)
		}
		soon(t, "the process ended", func() bool { return p.running() == 0 })
	}
}

// waits says whether a Receive has been begun.
func (p *place) waits(shell, command string) bool {
	p.s.mu.Lock()
	sh := p.s.shells[shell]
	p.s.mu.Unlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.commands[command]
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting != nil
}

func (p *place) shellGone(id string) bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.shells[id] == nil
}

func TestOthersShells(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	if a := dial(t, p, false).basic(otherUser, toyPassword).soap(ask{action: "Delete", shell: shell}.String()); a.code(t) != codeAccessDenied {
		t.Errorf("%s", a.body)
	}
	if a := dial(t, p, false).basic("VAGRANT", toyPassword).soap(ask{action: "Delete", shell: strings.ToLower(shell)}.String()); a.status != 200 {
		t.Errorf("%s", a.body)
	}
}

func TestBarredUser(t *testing.T) {
	p := start(t)
	p.barred = otherUser
	w := dial(t, p, false).basic(otherUser, toyPassword)
	if a := w.soap(identifyMessage); a.status != 200 {
		t.Errorf("Identify: %d", a.status)
	}
	if a := w.soap(ask{action: "Create", body: fmt.Sprintf(createBody, "")}.String()); a.code(t) != codeAccessDenied {
		t.Errorf("%s", a.body)
	}
}

func TestIdleTimeout(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create(`<rsp:IdleTimeOut>PT0.5S</rsp:IdleTimeOut>`)
	c := w.command(shell, "sleep 1h")
	// A Receive that waits is use, also when it is longer than the idle time.
	r := receiveAsk(shell, c)
	r.timeout = "PT1.5S"
	if a := w.soap(r.String()); a.code(t) != codeTimedOut {
		t.Fatalf("%s", a.body)
	}
	if p.running() != 1 {
		t.Error("the shell died while it was used")
	}
	soon(t, "an idle shell ends", func() bool { return p.shellGone(shell) && p.running() == 0 })
	if a := w.soap(receiveAsk(shell, c).String()); a.code(t) != codeUnexpectedSelectors {
		t.Errorf("%s", a.body)
	}

	shell = w.create(`<rsp:Lifetime>PT0.2S</rsp:Lifetime>`)
	w.command(shell, "sleep 1h")
	soon(t, "a shell ends with its life", func() bool { return p.shellGone(shell) && p.running() == 0 })

	p.set(func(s *Service) { s.IdleTimeout = 100 * time.Millisecond })
	shell = w.create("")
	soon(t, "the service's own idle time", func() bool { return p.shellGone(shell) })
}

// A client that is gone takes nothing with it: neither its shell nor output that
// was not under way.
func TestVanishedClient(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	c := w.command(shell, "cat")
	for range 3 {
		gone := p.cut(t, receiveAsk(shell, c).String())
		soon(t, "the Receive waits", func() bool { return p.waits(shell, c) })
		gone()
	}
	// Half a message is none.
	send := sendAsk(shell, c, "lost", "true").String()
	half, err := net.Dial("tcp", p.http)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(half, "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", plainType, w.auth, len(send), send[:len(send)-1])
	half.(*net.TCPConn).CloseWrite()
	if a, err := io.ReadAll(half); err != nil || !strings.HasPrefix(string(a), "HTTP/1.1 400 ") {
		t.Errorf("half a message: %q, %v", a, err)
	}
	half.Close()
	p.s.mu.Lock()
	sh := p.s.shells[shell]
	p.s.mu.Unlock()
	soon(t, "nobody waits", func() bool { sh.mu.Lock(); defer sh.mu.Unlock(); return sh.active == 0 })
	w.soap(sendAsk(shell, c, "hello", "true").String())
	if r := w.all(shell, c); r.out != "hello" {
		t.Errorf("%+v", r)
	}
}

// A client whose connection was cut without the server's knowing receives on.
func TestLaterReceive(t *testing.T) {
	p := start(t)
	w, lost := dial(t, p, false).basic(toyUser, toyPassword), dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	c := w.command(shell, "cat")
	got := make(chan answer)
	go func() { got <- lost.soap(receiveAsk(shell, c).String()) }()
	soon(t, "a Receive waits", func() bool { return p.waits(shell, c) })
	quick := receiveAsk(shell, c)
	quick.timeout = "PT0.1S"
	w.soap(quick.String())
	if a := <-got; a.code(t) != codeAborted {
		t.Errorf("the earlier Receive: %s", a.body)
	}
	w.soap(sendAsk(shell, c, "hello", "true").String())
	if r := w.all(shell, c); r.out != "hello" {
		t.Errorf("%+v", r)
	}
}

// Sending and receiving go on beside each other, on connections of their own.
func TestSendWhileReceiving(t *testing.T) {
	p := start(t)
	w, in := dial(t, p, false).basic(toyUser, toyPassword), dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	c := w.command(shell, "cat")
	var wg sync.WaitGroup
	const n = 200
	wg.Go(func() {
		for i := range n {
			if a := in.soap(sendAsk(shell, c, fmt.Sprintf("%d:%s\n", i, strings.Repeat("x", i*50)), fmt.Sprint(i == n-1)).String()); a.status != 200 {
				t.Errorf("%d: %s", i, a.body)
			}
		}
	})
	r := w.all(shell, c)
	wg.Wait()
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	for i, l := range lines {
		if l != fmt.Sprintf("%d:%s", i, strings.Repeat("x", i*50)) {
			t.Fatalf("line %d: %.40q", i, l)
		}
	}
	if len(lines) != n {
		t.Errorf("%d lines", len(lines))
	}
}

func TestBackPressure(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	c := w.command(shell, "big 1000000")
	p.s.mu.Lock()
	out := p.s.shells[shell].commands[c].out
	p.s.mu.Unlock()
	held := func() int { out.mu.Lock(); defer out.mu.Unlock(); return out.held["stdout"] }
	soon(t, "the buffer is full", func() bool { return held() == maxOutput })
	if p.running() != 1 {
		t.Error("the process did not wait")
	}
	if r := w.all(shell, c); len(r.out) != 4000000 || r.exit != "0" {
		t.Errorf("%d bytes, %s", len(r.out), r.exit)
	}

	// A process that does not read holds up who sends, for as long as he wants to wait.
	c = w.command(shell, "sleep 1h")
	chunk := strings.Repeat("x", 300<<10)
	sent := 0
	for ; ; sent++ {
		s := sendAsk(shell, c, chunk, "false")
		s.timeout = "PT0.1S"
		a := w.soap(s.String())
		if a.status == 200 && sent < 10 {
			continue
		}
		if a.code(t) != codeTimedOut {
			t.Errorf("%s", a.body)
		}
		break
	}
	if want := maxInput / len(chunk); sent != want {
		t.Errorf("%d chunks went, not %d", sent, want)
	}
	// Its end ends the waiting.
	got := make(chan answer)
	go func() {
		got <- dial(t, p, false).basic(toyUser, toyPassword).soap(sendAsk(shell, c, chunk, "false").String())
	}()
	w.soap(signalAsk(shell, c, "ctrl_c").String())
	if a := <-got; a.code(t) != codeNoData {
		t.Errorf("%s", a.body)
	}
}

func TestQuotas(t *testing.T) {
	p := start(t, func(s *Service) {
		s.MaxShellsPerUser, s.MaxProcessesPerShell, s.MaxConcurrentOperationsPerUser = 2, 2, 3
	})
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell, second := w.create(""), w.create("")
	if a := w.soap(ask{action: "Create", body: fmt.Sprintf(createBody, "")}.String()); a.code(t) != codeMaxShells {
		t.Errorf("a third shell: %s", a.body)
	}
	dial(t, p, false).basic(otherUser, toyPassword).create("")
	w.soap(ask{action: "Delete", shell: second}.String())
	w.create("")

	c, again := w.command(shell, "cat"), w.command(shell, "sleep 1h")
	if a := w.soap(ask{action: "Command", shell: shell, body: `<rsp:CommandLine><rsp:Command>cat</rsp:Command></rsp:CommandLine>`}.String()); a.code(t) != codeMaxCommands {
		t.Errorf("a third command: %s", a.body)
	}
	w.soap(signalAsk(shell, again, "ctrl_c").String())
	w.all(shell, again)
	third := w.command(shell, "cat") // those that ended do not count

	var wg sync.WaitGroup
	for _, id := range []string{c, third} {
		wg.Go(func() { dial(t, p, false).basic(toyUser, toyPassword).soap(receiveAsk(shell, id).String()) })
		soon(t, "a Receive waits", func() bool { return p.waits(shell, id) })
	}
	p.set(func(s *Service) { s.MaxConcurrentOperationsPerUser = 2 })
	if a := w.soap(ask{action: "Get", shell: shell}.String()); a.code(t) != codeMaxOperations {
		t.Errorf("a third operation: %s", a.body)
	}
	if a := dial(t, p, false).basic(otherUser, toyPassword).soap(ask{action: "Get", resource: nsConfig}.String()); a.status != 200 {
		t.Errorf("another user's operation: %s", a.body)
	}
	p.set(func(s *Service) { s.MaxConcurrentOperationsPerUser = 3 })
	w.soap(ask{action: "Delete", shell: shell}.String())
	wg.Wait()

	p.set(func(s *Service) { s.AllowRemoteShellAccess = false })
	if a := w.soap(ask{action: "Create", body: fmt.Sprintf(createBody, "")}.String()); a.code(t) != codeNoShells {
		t.Errorf("where no shells are allowed: %s", a.body)
	}
}

func TestMaxTimeout(t *testing.T) {
	p := start(t, func(s *Service) { s.MaxTimeout = 50 * time.Millisecond })
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	r := receiveAsk(shell, w.command(shell, "cat"))
	r.timeout = "PT1H"
	if a := w.soap(r.String()); a.code(t) != codeTimedOut {
		t.Errorf("%s", a.body)
	}
}

// A machine that goes down answers nobody and leaves no process.
func TestClose(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	c := w.command(shell, "sleep 1h")
	gone := p.cut(t, receiveAsk(shell, c).String())
	defer gone()
	soon(t, "a Receive waits", func() bool { return p.waits(shell, c) })
	if err := p.s.Close(); err != nil {
		t.Fatal(err)
	}
	soon(t, "the process ended", func() bool { return p.running() == 0 })
	if _, err := w.c.Post(w.url, plainType, strings.NewReader("")); err == nil {
		t.Error("a closed server answers")
	}
	if err := p.s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}
