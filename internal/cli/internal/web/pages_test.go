package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

const evil = `</p><script>alert(1)</script><hx-partial hx-target="body">` + "\x1b[2J\u202e"

// A run that another process drives moves on the page, and what it prints in its log.
func TestRunMoves(t *testing.T) {
	x := newSite(t)
	run := x.started("web")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runs := x.messages(ctx, "/stream")
	live := x.messages(ctx, "/runs/"+run.ID()+"/stream")
	lines := x.messages(ctx, "/runs/"+run.ID()+"/log/stream?from=0&q=NO+such")
	until(t, live, "1</b> waiting")
	x.emit(run, dag.Event{Type: dag.Started, Step: "shell", Key: keyOf(0), Token: "t0", Builds: []string{"web"}})
	until(t, live, "1</b> running")
	x.emit(run, dag.Event{Type: dag.Printed, Step: "shell", Token: "t0", Stream: "stderr/1", Text: "E: no such package " + evil, Builds: []string{"web"}},
		dag.Event{Type: dag.Printed, Step: "shell", Token: "t0", Stream: "stdout/1", Text: "something else", Builds: []string{"web"}},
		dag.Event{Type: dag.Failed, Step: "shell", Key: keyOf(0), Token: "t0", Err: "exit status 3 " + evil, Builds: []string{"web"}})
	got := until(t, lines, "no such")
	if !strings.Contains(got, "<mark>no such</mark>") || strings.Contains(got, "something else") || !strings.Contains(got, "id: ") {
		t.Errorf("the log has %s", got)
	}
	page := until(t, live, "exit status 3")
	for _, text := range []string{got, page} {
		if strings.Contains(text, "<script>") || strings.Contains(text, "<hx-partial") || strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("what the machine said is more than text: %s", text)
		}
	}
	x.suspend(run)
	until(t, runs, "suspended")
	if m := until(t, live, "/resume"); !strings.Contains(m, "i-1 &lt;script&gt;") {
		t.Error("what stands is not told")
	}
	for _, part := range []string{"", "?build=web"} { // where what its records tell is remembered
		if _, page := x.get("/runs/" + run.ID() + part); !strings.Contains(words(page), "Cost about $1.00, by prices known on 2026-11-30") {
			t.Errorf("what it costs is not told: %s", words(page))
		}
	}
}

// The end of a run is its summary, its last event and the lock on its records, in this order. Whenever a page
// is opened meanwhile, it shows all of the end at last.
func TestOpenedRoundTheEnd(t *testing.T) {
	x := newSite(t)
	for opened := range 4 {
		run := x.started("web")
		var live <-chan string
		for i, end := range []func(){
			func() {
				if err := run.SetSummary(func(s *state.Summary) { s.Status = state.Suspended }); err != nil {
					t.Fatal(err)
				}
			},
			func() { x.emit(run, dag.Event{Type: dag.RunEnded, Text: state.Suspended}) },
			func() { run.Close() },
			func() {},
		} {
			if i == opened {
				x.get("/runs/" + run.ID())
				live = x.messages(t.Context(), "/runs/"+run.ID()+"/stream")
			}
			end()
		}
		if m := until(t, live, "of the records"); !strings.Contains(m, `class="pill suspended"`) {
			t.Errorf("opened before part %d of the end, the page has %s", opened, m)
		}
	}
}

// Events that cannot be read are told, and the stream ends: its page will ask again.
func TestStreamSaysWhyNot(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	file := filepath.Join(x.home.RunDir(id), "events.jsonl")
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
		t.Fatal(err)
	}
	live := x.messages(t.Context(), "/runs/"+id+"/stream")
	until(t, live, "cannot follow run "+id)
	select {
	case m, ok := <-live:
		if ok {
			t.Errorf("it goes on: %s", m)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

// htmx begins as soon as its script has run, and does not ask an extension that comes later: a page that has
// its scripts one by one stands still when they come slowly.
func TestOneScript(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	for _, path := range []string{"/", "/runs/" + id, "/runs/" + id + "/log", "/orphans"} {
		if _, page := x.get(path); strings.Count(page, "<script") != 1 || !strings.Contains(page, `<script src="/assets/ui.js" defer>`) {
			t.Errorf("%s has other scripts: %s", path, page)
		}
	}
	_, script := x.get("/assets/ui.js")
	begins, adds := strings.Index(script, "var htmx="), strings.Index(script, `htmx.registerExtension("sse"`)
	if begins < 0 || adds < begins || !strings.Contains(script, "data-follow") {
		t.Error("the script is not whole, or not in order")
	}
}

// A log is searched, bounded, and goes on where it was after its connection was lost.
func TestLog(t *testing.T) {
	x := newSite(t)
	run := x.started("web", "db")
	for i := range 3 * maxLines {
		x.emit(run, dag.Event{Type: dag.Printed, Step: "shell", Stream: "stdout/1", Text: fmt.Sprintf("Line %04d", i), Builds: []string{[]string{"web", "db"}[i%2]}})
	}
	_, page := x.get("/runs/" + run.ID() + "/log")
	if strings.Contains(page, "Line 0999") || !strings.Contains(page, "Line 1000") || !strings.Contains(page, "Line 1499") || !strings.Contains(page, "1001 lines before are left out") {
		t.Error(words(page))
	}
	_, page = x.get("/runs/" + run.ID() + "/log?q=line+000&build=db")
	for i := range 10 {
		if has := strings.Contains(page, fmt.Sprintf("<mark>Line 000</mark>%d<", i)); has != (i%2 == 1) {
			t.Errorf("line %d of db is there: %v", i, has)
		}
	}
	if _, page = x.get("/runs/" + run.ID() + "/log?step=nosuch"); strings.Contains(page, "Line") {
		t.Error("a step that is none has lines")
	}
	_, at, err := x.home.Events(run.ID(), 0)
	if err != nil {
		t.Fatal(err)
	}
	x.emit(run, dag.Event{Type: dag.Printed, Step: "shell", Stream: "stdout/1", Text: "the next", Builds: []string{"web"}})
	lines := x.messages(t.Context(), "/runs/"+run.ID()+"/log/stream?from=0", "Last-Event-ID", fmt.Sprint(at))
	if m := until(t, lines, "data:"); strings.Contains(m, "Line") || !strings.Contains(m, "the next") {
		t.Errorf("after the connection was lost: %s", m)
	}
}

// A command is begun by a button; what it says before it does anything is on the page.
func TestResumeSaysWhyNot(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	if code, _ := x.post("/runs/"+id+"/resume", "keep", "1"); code != http.StatusOK {
		t.Fatalf("resume is answered with %d", code)
	}
	live := x.messages(t.Context(), "/runs/"+id+"/stream")
	m := until(t, live, "exit status 2")
	if !strings.Contains(m, "variables must be given again") || !strings.Contains(m, "imgflow resume -on-error=suspend "+id) || strings.Contains(m, "\x1b") || strings.Contains(m, "<b>\n") {
		t.Error(m)
	}
	if left, _ := os.ReadDir(x.home.Dir()); len(left) > 2 {
		t.Errorf("files are left: %v", left)
	}
}

// What would be removed is shown first, and what was shown is what is agreed to.
func TestDestroyAsksFirst(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	if _, page := x.post("/runs/" + id + "/destroy"); !strings.Contains(page, "Nothing to remove") || strings.Contains(page, "Remove it") {
		t.Error(words(page))
	}
	x.lists("instance i-1")
	code, page := x.post("/runs/"+id+"/destroy", "artifacts", "1")
	if code != http.StatusOK || !strings.Contains(page, "instance i-1") || !strings.Contains(page, "Remove it") || !strings.Contains(page, "--dry-run --artifacts "+id) {
		t.Fatal(words(page))
	}
	if x.actions.of(id) != nil {
		t.Fatal("it was removed before anybody has agreed")
	}
	shown := between(page, `name="digest" value="`, `"`)
	x.lists("instance i-1\ninstance i-2")
	if _, page = x.post("/runs/"+id+"/destroy/confirm", "artifacts", "1", "digest", shown); !strings.Contains(page, "has changed since") || x.actions.of(id) != nil {
		t.Fatal(words(page))
	}
	if _, page = x.post("/runs/"+id+"/destroy/confirm", "artifacts", "1", "digest", between(page, `name="digest" value="`, `"`)); !strings.Contains(page, "imgflow destroy --yes --artifacts "+id) {
		t.Fatal(words(page))
	}
	// One at a time.
	if code, _ = x.post("/runs/" + id + "/resume"); code != http.StatusConflict {
		t.Errorf("a second command is answered with %d", code)
	}
	live := x.messages(t.Context(), "/runs/"+id+"/stream")
	if m := until(t, live, "destroy --yes"); strings.Contains(m, "/resume\"") {
		t.Error("there are buttons while a command is at work")
	}
	if err := os.WriteFile(x.list+".end", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, live, "/resume\"")
}

func TestOrphans(t *testing.T) {
	x := newSite(t)
	x.lists("instance i-9")
	code, page := x.post("/orphans", "region", "eu-west-1")
	if code != http.StatusOK || !strings.Contains(page, "destroy --orphans --region=eu-west-1 --dry-run") || !strings.Contains(page, "instance i-9") {
		t.Fatal(words(page))
	}
	if code, _ := x.post("/orphans", "region", "--yes"); code != http.StatusOK { // a name like any other, as the value of a flag
		t.Errorf("answered with %d", code)
	}
	if code, page := x.post("/orphans", "region", "a b;c"); code != http.StatusBadRequest || !strings.Contains(page, "no name of a region") {
		t.Errorf("answered with %d: %s", code, words(page))
	}
	if err := os.WriteFile(x.list+".end", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, page = x.post("/orphans/confirm", "region", "eu-west-1", "digest", between(page, `name="digest" value="`, `"`)); !strings.Contains(page, "destroy --orphans --region=eu-west-1 --yes") {
		t.Error(words(page))
	}
}

func (x *site) lists(text string) {
	x.t.Helper()
	if err := os.WriteFile(x.list, []byte(text), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// Many look at one run: it is read and drawn once for all, whoever goes away is not waited
// for, and there is an end to how many there may be.
func TestManyLook(t *testing.T) {
	x := newSite(t)
	run := x.started("web")
	ctx, cancel := context.WithCancel(t.Context())
	var all []<-chan string
	for i := range maxStreams {
		browser := fmt.Sprintf("%s=%s.%d", x.door.cookie, x.door.session, i/atOnce)
		all = append(all, x.messages(ctx, "/runs/"+run.ID()+"/stream", "Cookie", browser))
	}
	for _, ch := range all {
		until(t, ch, "waiting")
	}
	if code, body := x.get("/runs/" + run.ID() + "/stream"); code != http.StatusServiceUnavailable {
		t.Errorf("one more is answered with %d: %s", code, body)
	}
	x.emit(run, dag.Event{Type: dag.Started, Step: "shell", Key: keyOf(0), Token: "t0", Builds: []string{"web"}})
	for _, ch := range all {
		until(t, ch, "1</b> running")
	}
	if n := len(x.hub.runs); n != 1 {
		t.Errorf("%d followers", n)
	}
	cancel()
	for range 200 {
		if len(x.streams) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d streams of those who went away are left", len(x.streams))
}

// Who takes nothing holds nobody up, is sent nothing old, and loses its connection.
func TestSlowReader(t *testing.T) {
	x := newSite(t)
	x.slowest = time.Second
	run := x.started("web")
	conn, err := net.Dial("tcp", x.o.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(1 << 10)
	fmt.Fprintf(conn, "GET /runs/%s/log/stream?from=0 HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n\r\n", run.ID(), x.o.Addr, x.door.cookie, x.door.session)
	live := x.messages(t.Context(), "/runs/"+run.ID()+"/stream")
	text := strings.Repeat("x", maxWidth)
	deadline := time.Now().Add(30 * time.Second)
	for i := 0; time.Now().Before(deadline); i++ {
		for range 100 {
			x.emit(run, dag.Event{Type: dag.Printed, Step: "shell", Stream: "stdout/1", Text: text, Builds: []string{"web"}})
		}
		if i == 20 {
			x.emit(run, dag.Event{Type: dag.Started, Step: "shell", Key: keyOf(0), Token: "t0", Builds: []string{"web"}})
			until(t, live, "1</b> running")
		}
		if i > 20 && len(x.streams) == 1 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("its connection is still there")
}

// A follower that nobody needs goes, and a run that was forgotten is told as such.
func TestFollowersGo(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	if code, _ := x.get("/runs/" + id); code != http.StatusOK {
		t.Fatal("no page")
	}
	f := x.hub.runs[id]
	f.mu.Lock()
	f.left = time.Now().Add(-2 * idle)
	f.mu.Unlock()
	gone := false
	for range 200 {
		x.hub.mu.Lock()
		gone = len(x.hub.runs) == 0
		x.hub.mu.Unlock()
		if gone {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !gone {
		t.Error("the follower is still there")
	}
	if err := os.RemoveAll(x.home.RunDir(id)); err != nil {
		t.Fatal(err)
	}
	if code, page := x.get("/runs/" + id); code != http.StatusNotFound || !strings.Contains(page, "may have been forgotten") {
		t.Errorf("%d: %s", code, words(page))
	}
}

// A list of very many runs is bounded.
func TestManyRuns(t *testing.T) {
	x := newSite(t)
	for range mostRuns + 5 {
		dir := fmt.Sprintf("mx3%09d", len(x.names()))
		if err := os.Mkdir(x.home.RunDir(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	x.Server.list.read = time.Time{}
	_, page := x.get("/")
	if n := strings.Count(page, `<tr id="run-`); n != mostRuns || !strings.Contains(page, "and 5 more") {
		t.Errorf("%d rows", n)
	}
	if !strings.Contains(page, state.Unreadable) {
		t.Error("runs without a summary are not told")
	}
}

func (x *site) names() []os.DirEntry {
	entries, err := os.ReadDir(x.home.RunDir(""))
	if err != nil {
		x.t.Fatal(err)
	}
	return entries
}
