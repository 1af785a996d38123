package dag

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// funcRunner is a runner of one function.
type funcRunner func(ctx context.Context, c Call, h Host) Result

func (f funcRunner) Do(ctx context.Context, c Call, h Host) Result   { return f(ctx, c, h) }
func (f funcRunner) Find(ctx context.Context, c Call, h Host) Result { return f(ctx, c, h) }
func (f funcRunner) Undo(ctx context.Context, c Call, h Host) Result { return f(ctx, c, h) }

// piped is a runner behind a pipe within this process, which cut ends.
func piped(t *testing.T, r Runner, asked Asked) (p *Pipe, cut func()) {
	t.Helper()
	toR, toW := io.Pipe()
	fromR, fromW := io.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		ServePipe(toR, fromW, func(given json.RawMessage, ask Asked) (Runner, error) {
			if string(given) == `"refuse"` {
				return nil, errors.New("not me")
			}
			if r != nil {
				return r, nil
			}
			return funcRunner(func(_ context.Context, c Call, _ Host) Result {
				v, err := ask(c.Name, []byte("\xff<"))
				if err != nil {
					return Result{Class: Fail, Err: err.Error()}
				}
				out, _ := json.Marshal(v)
				return Result{Class: OK, Out: out}
			}), nil
		})
		fromW.Close()
	}()
	cut = func() { toW.Close(); <-served }
	t.Cleanup(cut)
	p, err := OpenPipe(t.Context(), fromR, toW, json.RawMessage(`1`), asked)
	if err != nil {
		t.Fatal(err)
	}
	return p, cut
}

// strangeHost is a host whose answers are no text, or fail.
type strangeHost struct {
	memSink
	fail error
}

func (s *strangeHost) Emit(e Event) error {
	s.memSink.Emit(e)
	return s.fail
}
func (*strangeHost) Offset(token, stream string) int64 { return int64(len(token) + len(stream)) }
func (*strangeHost) Break(line []byte, most int) int   { return len(line) - most }
func (*strangeHost) Secret(string) (string, error)     { return "caf\xe9\x00", nil }
func (s *strangeHost) Save(name string, v json.RawMessage) error {
	if string(v) != `"<&>"` && string(v) != `"\u003c\u0026\u003e"` {
		return fmt.Errorf("%s is %s", name, v)
	}
	return s.fail
}

// What a step asks of its host comes back as it is: bytes that are no text, too.
func TestPipeCarriesWhatHostsSay(t *testing.T) {
	h := &strangeHost{}
	p, _ := piped(t, funcRunner(func(_ context.Context, c Call, h Host) Result {
		secret, err := h.Secret("s")
		if secret != "caf\xe9\x00" || err != nil {
			t.Errorf("the secret is %q, %v", secret, err)
		}
		if n := h.Offset("tok", "out"); n != 6 {
			t.Errorf("offset %d", n)
		}
		if n := h.Break([]byte("\xff\xfe\xfd123"), 1); n != 5 {
			t.Errorf("a line of 6 bytes breaks at %d", n)
		}
		if err := h.Save("x", json.RawMessage(`"<&>"`)); err != nil {
			t.Error(err)
		}
		if err := errors.Join(h.Emit(Event{Type: Said, Text: "hello"}), h.Sync()); err != nil {
			t.Error(err)
		}
		return Result{Class: OK, Out: c.Spec}
	}), nil)
	if r := p.Do(t.Context(), Call{Spec: json.RawMessage(`{"a":"<"}`)}, h); r.Class != OK || string(r.Out) != `{"a":"\u003c"}` && string(r.Out) != `{"a":"<"}` {
		t.Errorf("%+v %s", r, r.Out)
	}
	if h.count(Said) != 1 {
		t.Error("it said nothing")
	}
}

// What the world of the steps asks for belongs to no call.
func TestPipeAsksForTheWorld(t *testing.T) {
	p, _ := piped(t, nil, func(name string, v []byte) ([]byte, error) {
		if name == "no" {
			return nil, errors.New("I do not tell")
		}
		return append([]byte(name), v...), nil
	})
	var got []byte
	if r := p.Do(t.Context(), Call{Name: "x"}, &memSinkHost{}); json.Unmarshal(r.Out, &got) != nil || string(got) != "x\xff<" {
		t.Errorf("%+v: %q", r, got)
	}
	if r := p.Do(t.Context(), Call{Name: "no"}, &memSinkHost{}); r.Err != "I do not tell" {
		t.Errorf("%+v", r)
	}
	toR, toW := io.Pipe()
	fromR, fromW := io.Pipe()
	go ServePipe(toR, fromW, func(json.RawMessage, Asked) (Runner, error) { return nil, errors.New("not me") })
	defer toW.Close()
	if _, err := OpenPipe(t.Context(), fromR, toW, json.RawMessage(`"refuse"`), nil); err == nil || err.Error() != "not me" {
		t.Errorf("a process that cannot begin: %v", err)
	}
}

// memSinkHost has no secrets and keeps nothing.
type memSinkHost struct{ memSink }

func (*memSinkHost) Secret(string) (string, error)      { return "", errors.New("none") }
func (*memSinkHost) Save(string, json.RawMessage) error { return errors.New("disk full") }

// The end of a call's context reaches the step, and the end of the engine, too; the
// end of the other process ends the calls, and each that comes after.
func TestPipeEnds(t *testing.T) {
	begun := make(chan struct{})
	step := funcRunner(func(ctx context.Context, _ Call, h Host) Result {
		close(begun)
		select {
		case <-ctx.Done():
			return Result{Class: Fail, Err: ctx.Err().Error()}
		case <-time.After(10 * time.Second):
			return Result{Class: Fail, Err: "nobody ended it"}
		}
	})
	p, cut := piped(t, step, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if r := p.Do(ctx, Call{}, &memSinkHost{}); r.Class != Fail || r.Err != "context canceled" {
		t.Errorf("cancelled: %+v", r)
	}
	begun = make(chan struct{})
	go func() { <-begun; cut() }()
	if r := p.Do(t.Context(), Call{}, &memSinkHost{}); r.Class != Lost && r.Class != Fail {
		t.Errorf("cut: %+v", r)
	}
	if r := p.Undo(t.Context(), Call{}, &memSinkHost{}); r.Class != Lost || !strings.Contains(r.Err, "gone") {
		t.Errorf("afterwards: %+v", r)
	}
}

// A peer that writes no frames, or one that has no end, is cut off; frames that are
// of no call of ours are passed by.
func TestPipeBelievesNothing(t *testing.T) {
	for name, x := range map[string]struct{ says, want string }{
		"no JSON":        {"hello\n", "does not speak our language"},
		"another type":   {`{"op":"result","id":"one"}` + "\n", "does not speak our language"},
		"no end":         {`{"op":"` + strings.Repeat("x", maxFrame), "too long"},
		"no result":      {`{"op":"result","id":1}` + "\n", "no result"},
		"no event":       {`{"op":"emit","id":1,"q":1}` + "\n" + `{"op":"dance","id":1,"q":2}` + "\n", "is gone"},
		"another's call": {`{"op":"result","id":7,"result":{"class":"ok"}}` + "\n" + `{"op":"answer","q":9}` + "\n", "is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			toR, toW := io.Pipe()
			fromR, fromW := io.Pipe()
			go func() {
				in := bufio.NewReader(toR)
				in.ReadString('\n')
				io.WriteString(fromW, `{"op":"ready"}`+"\n")
				in.ReadString('\n')
				go io.Copy(io.Discard, in)
				io.WriteString(fromW, x.says)
				fromW.Close()
			}()
			p, err := OpenPipe(t.Context(), fromR, toW, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := p.Do(t.Context(), Call{}, &memSinkHost{})
			fromR.CloseWithError(io.ErrClosedPipe)
			if r.Class != Lost || !strings.Contains(r.Err, x.want) {
				t.Errorf("%+v, want %q", r, x.want)
			}
		})
	}
	for _, says := range []string{"hello\n", `{"op":"cancel","id":3}` + "\n" + `{"op":"do","id":1}` + "\n" + `{"op":"answer","q":5}` + "\n"} {
		err := ServePipe(strings.NewReader(says), io.Discard, func(json.RawMessage, Asked) (Runner, error) { return nil, nil })
		if (err != nil) != (says == "hello\n") {
			t.Errorf("an engine that says %q: %v", says, err)
		}
	}
}

// losing loses a number of calls.
type losing struct {
	Runner
	mu    sync.Mutex // of what is below, while calls are made
	lose  int
	calls []string
}

func (l *losing) lost(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, what)
	l.lose--
	return l.lose >= 0
}

func (l *losing) Do(ctx context.Context, c Call, h Host) Result {
	if l.lost(fmt.Sprintf("do %v", c.Resumed)) {
		if h.Save("tried", json.RawMessage(`1`)) != nil {
			return Result{Class: NotKept}
		}
		return Result{Class: Lost, Err: "gone"}
	}
	return l.Runner.Do(ctx, c, h)
}

func (l *losing) Find(ctx context.Context, c Call, h Host) Result {
	if l.lost("find") {
		return Result{Class: Lost, Err: "gone"}
	}
	return l.Runner.Find(ctx, c, h)
}

func (l *losing) Undo(ctx context.Context, c Call, h Host) Result {
	if l.lost("undo") {
		return Result{Class: Lost, Err: "gone"}
	}
	return l.Runner.Undo(ctx, c, h)
}

// A lost call of Do is made again after its thing was looked for, with what it has
// saved; a lost look, and a lost removal, are made again. What is lost every time fails
// in the end.
func TestLostCalls(t *testing.T) {
	const always = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		for lose, want := range map[int]string{
			0:      "do false",
			1:      "do false, find, do true",
			2:      "do false, find, find, do true",
			always: "do false, find, find, find, find, find, find",
		} {
			w := newWorld()
			l := &losing{Runner: InProcess(toyKinds(w)), lose: lose}
			g := NewGraph(nil)
			pair := Add(g, Build{Name: "b"}, "keypair", keyPair{"r"})
			Keep(g, pair, pair)
			st := &MemStore{}
			e, err := New(Options{Run: "run", Store: st, Kinds: toyKinds(nil), Runner: l})
			if err != nil {
				t.Fatal(err)
			}
			r, err := e.Solve(context.Background(), g)
			if got := strings.Join(l.calls, ", "); err != nil || len(r.Failed) != 0 != (lose == always) || !strings.HasPrefix(got, want) || lose < always && got != want {
				t.Errorf("%d lost: %s; %+v, %v", lose, got, r, err)
			}
			if len(r.Failed) > 0 && !strings.Contains(r.Failed[0].Err.Error(), "cannot find out whether keypair was made") {
				t.Error(r.Failed[0].Err)
			}
			recs, _ := st.All()
			if lose > 0 && string(recs[0].State["tried"]) != "1" {
				t.Errorf("%d lost: what was saved is %s", lose, recs[0].State)
			}
			if lose == always {
				continue
			}
			l.calls, l.lose = nil, 2
			if left, err := e.Destroy(context.Background(), func(Record) bool { return true }); err != nil || len(left) > 0 || strings.Join(l.calls, ", ") != "undo, undo, undo" {
				t.Errorf("removed: %v, %v, %s", left, err, l.calls)
			}
		}

		// A step that is no thing ends whoever does it.
		l := &losing{Runner: InProcess([]Kind{Bind[counting](newWorld())}), lose: always}
		g := NewGraph(nil)
		Goal(g, Add(g, Build{Name: "b"}, "one", counting{"one"}))
		e, err := New(Options{Run: "run", Store: &MemStore{}, Kinds: []Kind{Bind[counting]((*world)(nil))}, Runner: l})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		r, err := e.Solve(context.Background(), g)
		if err != nil || len(r.Failed) != 1 || r.Failed[0].Err.Error() != "cannot go on with one: gone (6 times)" || len(l.calls) != mostLosses {
			t.Errorf("%+v, %v after %s", r, err, l.calls)
		}
		if took := time.Since(begun); took != 15*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
