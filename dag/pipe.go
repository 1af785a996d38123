package dag

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A Pipe has steps done by another process. The two write frames to each other, each
// one line of JSON: the engine's side calls, and the other side answers each call
// with its result. Before that it may ask what a step asks of its [Host], as often
// as it likes, and waits for every answer; and it may ask, on behalf of what its
// steps are bound to, what the engine's side was started with.
//
// No frame is longer than maxFrame bytes. What is too long to be sent fails its call;
// a peer that sends more, or no frame, is cut off.
const maxFrame = 64 << 20

// frame is one line.
type frame struct {
	ID     uint64          `json:"id,omitempty"` // of the call that it belongs to
	Q      uint64          `json:"q,omitempty"`  // of the question that it asks or answers
	Op     op              `json:"op"`
	Call   *Call           `json:"call,omitempty"`
	Result *Result         `json:"result,omitempty"`
	Event  *Event          `json:"event,omitempty"`
	Name   string          `json:"name,omitempty"`
	Stream string          `json:"stream,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
	Bytes  []byte          `json:"bytes,omitempty"` // a secret, or a line of output, which may be no text
	N      int64           `json:"n,omitempty"`
	Err    string          `json:"err,omitempty"`
}

// op is what a frame is about.
type op string

const (
	opOpen   op = "open" // the first frame: Value is what the other side has to be given
	opReady  op = "ready"
	opDo     op = "do"
	opFind   op = "find"
	opUndo   op = "undo"
	opCancel op = "cancel" // the call's context has ended
	opResult op = "result"

	opEmit   op = "emit"
	opSync   op = "sync"
	opOffset op = "offset"
	opBreak  op = "break"
	opSecret op = "secret"
	opSave   op = "save"
	opAsk    op = "ask" // belongs to no call
	opAnswer op = "answer"
)

// pipeEnd is one end of a pipe: it writes frames, and hands those that come to whoever
// waits for them.
type pipeEnd struct {
	mu  sync.Mutex
	w   io.Writer
	err error // why nothing can be written any more
}

// unsent says that a frame cannot be sent, whoever is there.
type unsent struct{ error }

// send writes a frame. An error that is not unsent says that the other side is gone.
func (e *pipeEnd) send(f frame) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(f); err != nil {
		return unsent{err}
	}
	if b.Len() > maxFrame {
		return unsent{fmt.Errorf("it has more than %d MiB", maxFrame>>20)}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		_, e.err = e.w.Write(b.Bytes())
	}
	return e.err
}

// receive reads frames until the other side is gone.
func receive(r io.Reader, take func(frame)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxFrame)
	for lines.Scan() {
		var f frame
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return fmt.Errorf("it does not speak our language: %w", err)
		}
		take(f)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}

// Asked answers what the other side of a pipe asks on behalf of what its steps are
// bound to.
type Asked func(name string, value []byte) ([]byte, error)

// Pipe is a runner whose steps are done by another process, which serves it with
// [ServePipe]. When that is gone, every call is lost; it does not come back.
type Pipe struct {
	pipeEnd
	asked Asked
	ready chan frame

	calls  sync.Mutex
	last   uint64
	open   map[uint64]*pipeCall
	gone   chan struct{} // closed when nothing more will come
	reason error         // why; set before gone is closed
}

// pipeCall is a call that has no result yet.
type pipeCall struct {
	frames chan frame
	done   chan struct{} // closed when nobody takes frames any more
}

// OpenPipe gives the other side what it has to be given, and waits until it is ready.
// An answer to a question may be asked for at any time.
func OpenPipe(ctx context.Context, r io.Reader, w io.Writer, given json.RawMessage, asked Asked) (*Pipe, error) {
	p := &Pipe{pipeEnd: pipeEnd{w: w}, asked: asked, ready: make(chan frame, 1), open: map[uint64]*pipeCall{}, gone: make(chan struct{})}
	go func() {
		err := receive(r, p.take)
		p.calls.Lock()
		p.reason = err
		p.calls.Unlock()
		close(p.gone)
	}()
	if err := p.send(frame{Op: opOpen, Value: given}); err != nil {
		return nil, err
	}
	select {
	case f := <-p.ready:
		if f.Err != "" {
			return nil, errors.New(f.Err)
		}
		return p, nil
	case <-p.gone:
		return nil, p.reason
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Gone is closed when the other side is gone.
func (p *Pipe) Gone() <-chan struct{} { return p.gone }

// take hands a frame to whom it is for. It never waits for the other side.
func (p *Pipe) take(f frame) {
	switch f.Op {
	case opReady:
		select {
		case p.ready <- f:
		default:
		}
		return
	case opAsk:
		go func() {
			a := frame{Q: f.Q, Op: opAnswer}
			var err error
			if a.Bytes, err = p.asked(f.Name, f.Bytes); err != nil {
				a.Err = err.Error()
			}
			p.send(a)
		}()
		return
	}
	p.calls.Lock()
	c := p.open[f.ID]
	p.calls.Unlock()
	if c == nil {
		return // it was answered, or is of no call of ours
	}
	select {
	case c.frames <- f:
	case <-c.done:
	}
}

func (p *Pipe) Do(ctx context.Context, c Call, h Host) Result   { return p.call(ctx, opDo, c, h) }
func (p *Pipe) Find(ctx context.Context, c Call, h Host) Result { return p.call(ctx, opFind, c, h) }
func (p *Pipe) Undo(ctx context.Context, c Call, h Host) Result { return p.call(ctx, opUndo, c, h) }

// call does on this side what the step asks for, one thing after another: when the
// call has ended, nothing of it is under way here.
func (p *Pipe) call(ctx context.Context, what op, c Call, h Host) Result {
	pc := &pipeCall{make(chan frame, 16), make(chan struct{})}
	p.calls.Lock()
	p.last++
	id := p.last
	p.open[id] = pc
	p.calls.Unlock()
	defer func() {
		close(pc.done)
		p.calls.Lock()
		delete(p.open, id)
		p.calls.Unlock()
	}()
	switch err := p.send(frame{ID: id, Op: what, Call: &c}); {
	case errors.As(err, new(unsent)):
		return Result{Class: Fail, Err: fmt.Sprintf("cannot hand %s to the process that does it: %v", c.Name, err)}
	case err != nil:
		return p.lost()
	}
	defer context.AfterFunc(ctx, func() { p.send(frame{ID: id, Op: opCancel}) })()
	for {
		var f frame
		select {
		case f = <-pc.frames:
		case <-p.gone:
			select {
			case f = <-pc.frames: // which came before
			default:
				return p.lost()
			}
		}
		if f.Op == opResult {
			if f.Result == nil {
				return Result{Class: Lost, Err: "the process that did it has sent no result"}
			}
			return *f.Result
		}
		p.send(answer(f, h))
	}
}

func (p *Pipe) lost() Result {
	<-p.gone
	text := "the process that did it is gone"
	if !errors.Is(p.reason, io.EOF) {
		text += ": " + p.reason.Error()
	}
	return Result{Class: Lost, Err: text}
}

// answer does for a step what it asks of its host.
func answer(f frame, h Host) frame {
	a := frame{ID: f.ID, Q: f.Q, Op: opAnswer}
	var err error
	switch f.Op {
	case opEmit:
		if f.Event != nil {
			err = h.Emit(*f.Event)
		}
	case opSync:
		err = h.Sync()
	case opOffset:
		a.N = h.Offset(f.Name, f.Stream)
	case opBreak:
		a.N = int64(h.Break(f.Bytes, int(f.N)))
	case opSecret:
		var s string
		s, err = h.Secret(f.Name)
		a.Bytes = []byte(s)
	case opSave:
		err = h.Save(f.Name, f.Value)
	default:
		err = fmt.Errorf("cannot answer %q", f.Op)
	}
	if err != nil {
		a.Err = err.Error()
	}
	return a
}

// Pipes is a runner that opens a pipe when there is a call and none is open, so that
// the call after one that was lost has another process.
type Pipes struct {
	open func(context.Context) (*Pipe, error)
	turn chan struct{} // held by who looks at now, or opens it
	now  *Pipe
}

// NewPipes returns a runner without a pipe. Open is never called twice at once.
func NewPipes(open func(context.Context) (*Pipe, error)) *Pipes {
	return &Pipes{open: open, turn: make(chan struct{}, 1)}
}

func (p *Pipes) Do(ctx context.Context, c Call, h Host) Result   { return p.call(ctx, opDo, c, h) }
func (p *Pipes) Find(ctx context.Context, c Call, h Host) Result { return p.call(ctx, opFind, c, h) }
func (p *Pipes) Undo(ctx context.Context, c Call, h Host) Result { return p.call(ctx, opUndo, c, h) }

func (p *Pipes) call(ctx context.Context, what op, c Call, h Host) Result {
	pipe, err := p.pipe(ctx)
	if err != nil {
		return Result{Class: Lost, Err: "there is no process to do it: " + err.Error()}
	}
	return pipe.call(ctx, what, c, h)
}

func (p *Pipes) pipe(ctx context.Context) (*Pipe, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.now != nil {
		select {
		case <-p.now.Gone():
			p.now = nil
		default:
			return p.now, nil
		}
	}
	var err error
	p.now, err = p.open(ctx)
	return p.now, err
}

// server is the other end of a pipe.
type server struct {
	pipeEnd

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan frame         // for the answers to questions
	cancels map[uint64]context.CancelFunc // of the calls under way
}

// ServePipe does the calls that come from in, until that ends. It does not wait for
// calls under way: nobody does, and another process may be at the same by now, so this
// one should end at once. Open makes the runner of what
// [OpenPipe] was given; ask puts a question to its Asked.
func ServePipe(in io.Reader, out io.Writer, open func(given json.RawMessage, ask Asked) (Runner, error)) error {
	s := &server{pipeEnd: pipeEnd{w: out}, waiting: map[uint64]chan frame{}, cancels: map[uint64]context.CancelFunc{}}
	var r Runner
	opened := make(chan struct{})
	var once sync.Once
	defer s.stop()
	err := receive(in, func(f frame) {
		switch f.Op {
		case opOpen:
			go once.Do(func() { // it may have questions
				var err error
				a := frame{Op: opReady}
				if r, err = open(f.Value, s.ask); err != nil {
					a.Err = err.Error()
				}
				close(opened)
				s.send(a)
			})
		case opAnswer:
			s.mu.Lock()
			c := s.waiting[f.Q]
			delete(s.waiting, f.Q)
			s.mu.Unlock()
			if c != nil {
				c <- f
			}
		case opCancel:
			s.mu.Lock()
			cancel := s.cancels[f.ID]
			s.mu.Unlock()
			if cancel != nil {
				cancel()
			}
		case opDo, opFind, opUndo:
			ctx, cancel := context.WithCancel(context.Background())
			s.mu.Lock()
			s.cancels[f.ID] = cancel
			s.mu.Unlock()
			go func() {
				<-opened
				res := s.do(ctx, r, f)
				s.mu.Lock()
				delete(s.cancels, f.ID)
				s.mu.Unlock()
				cancel()
				if err := s.send(frame{ID: f.ID, Op: opResult, Result: &res}); errors.As(err, new(unsent)) {
					s.send(frame{ID: f.ID, Op: opResult, Result: &Result{Class: Fail, Err: fmt.Sprintf("cannot hand back what %s has made: %v", f.Call.Name, err)}})
				}
			}()
		}
	})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *server) do(ctx context.Context, r Runner, f frame) Result {
	if r == nil || f.Call == nil {
		return Result{Class: Fail, Err: "cannot do a step: the process was not opened for it"}
	}
	h := asking{s, f.ID}
	switch f.Op {
	case opFind:
		return r.Find(ctx, *f.Call, h)
	case opUndo:
		return r.Undo(ctx, *f.Call, h)
	}
	return r.Do(ctx, *f.Call, h)
}

// stop ends what is under way: no answer will come.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cancel := range s.cancels {
		cancel()
	}
	for _, c := range s.waiting {
		close(c)
	}
	s.waiting = nil
}

var errNobody = errors.New("the engine is gone")

// question asks the engine's side something, and waits for the answer.
func (s *server) question(f frame) (frame, error) {
	c := make(chan frame, 1)
	s.mu.Lock()
	if s.waiting == nil {
		s.mu.Unlock()
		return frame{}, errNobody
	}
	s.last++
	f.Q = s.last
	s.waiting[f.Q] = c
	s.mu.Unlock()
	if err := s.send(f); err != nil {
		s.mu.Lock()
		delete(s.waiting, f.Q)
		s.mu.Unlock()
		return frame{}, err
	}
	a, ok := <-c
	if !ok {
		return a, errNobody
	}
	if a.Err != "" {
		return a, errors.New(a.Err)
	}
	return a, nil
}

func (s *server) ask(name string, value []byte) ([]byte, error) {
	a, err := s.question(frame{Op: opAsk, Name: name, Bytes: value})
	return a.Bytes, err
}

// asking is the host of one call, as the other process has it.
type asking struct {
	s  *server
	id uint64
}

func (a asking) ask(f frame) (frame, error) {
	f.ID = a.id
	return a.s.question(f)
}

func (a asking) Emit(e Event) error { _, err := a.ask(frame{Op: opEmit, Event: &e}); return err }
func (a asking) Sync() error        { _, err := a.ask(frame{Op: opSync}); return err }

func (a asking) Offset(token, stream string) int64 {
	got, _ := a.ask(frame{Op: opOffset, Name: token, Stream: stream})
	return got.N
}

func (a asking) Break(line []byte, most int) int {
	got, err := a.ask(frame{Op: opBreak, Bytes: line, N: int64(most)})
	if err != nil {
		return most
	}
	return int(got.N)
}

func (a asking) Secret(name string) (string, error) {
	got, err := a.ask(frame{Op: opSecret, Name: name})
	return string(got.Bytes), err
}

func (a asking) Save(name string, value json.RawMessage) error {
	_, err := a.ask(frame{Op: opSave, Name: name, Value: value})
	return err
}
