package wsman

import (
	"context"
	"io"
	"sync"
)

// What waits for the other side: a process that writes more, or a client that
// sends more, has to wait itself.
const (
	maxOutput = 256 << 10 // of each stream
	maxInput  = 1 << 20
)

// chunk is what a process wrote at once, or what fits of it.
type chunk struct {
	stream string
	data   []byte
}

// output keeps what the processes of a command wrote, in the order in which they
// did, until a client fetches it.
type output struct {
	mu     sync.Mutex
	queue  []chunk
	held   map[string]int
	closed bool          // nobody writes any more
	moved  chan struct{} // closed and replaced whenever something changes
}

func newOutput() *output {
	return &output{held: map[string]int{}, moved: make(chan struct{})}
}

func (o *output) wake() {
	close(o.moved)
	o.moved = make(chan struct{})
}

// close ends all writing. What was written stays.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		o.wake()
	}
}

// state is a channel that is closed at the next change, and whether anything of
// the streams, or the end of all, is there now.
func (o *output) state(streams map[string]bool) (changed <-chan struct{}, ready bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range streams {
		ready = ready || o.held[s] > 0
	}
	return o.moved, ready || o.closed
}

// take removes up to a number of bytes of base64 text, each chunk costing some
// more, and says whether nothing of these streams is left or will come.
func (o *output) take(streams map[string]bool, room, each int) (got []chunk, end bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var rest []chunk
	full := false
	for _, c := range o.queue {
		fits := (room - each) / 4 * 3
		switch {
		case !streams[c.stream]:
			rest = append(rest, c)
		case full || fits <= 0:
			full = true
			rest = append(rest, c)
		default:
			n := min(len(c.data), fits)
			got = append(got, chunk{c.stream, c.data[:n]})
			o.held[c.stream] -= n
			room -= each + (n+2)/3*4
			if n < len(c.data) {
				full = true
				rest = append(rest, chunk{c.stream, c.data[n:]})
			}
		}
	}
	o.queue = rest
	if len(got) > 0 {
		o.wake()
	}
	left := 0
	for s := range streams {
		left += o.held[s]
	}
	return got, o.closed && left == 0
}

// writer is one stream of an output.
type writer struct {
	o      *output
	stream string
}

func (w writer) Write(p []byte) (done int, err error) {
	for {
		w.o.mu.Lock()
		if w.o.closed {
			w.o.mu.Unlock()
			return done, io.ErrClosedPipe
		}
		if n := min(len(p), maxOutput-w.o.held[w.stream]); n > 0 {
			w.add(p[:n])
			done, p = done+n, p[n:]
		}
		moved := w.o.moved
		w.o.mu.Unlock()
		if len(p) == 0 {
			return done, nil
		}
		<-moved
	}
}

// add joins small writes: each chunk has its price in an answer.
func (w writer) add(p []byte) {
	w.o.held[w.stream] += len(p)
	if n := len(w.o.queue); n > 0 && w.o.queue[n-1].stream == w.stream && len(w.o.queue[n-1].data) < 4096 {
		last := &w.o.queue[n-1]
		last.data = append(last.data, p...)
	} else {
		w.o.queue = append(w.o.queue, chunk{w.stream, append([]byte(nil), p...)})
	}
	w.o.wake()
}

// input is what a client sent and a process did not read yet.
type input struct {
	mu     sync.Mutex
	buf    []byte
	ended  bool // the client sends no more
	closed bool // nobody reads any more
	moved  chan struct{}
}

func newInput() *input { return &input{moved: make(chan struct{})} }

func (i *input) wake() {
	close(i.moved)
	i.moved = make(chan struct{})
}

func (i *input) Read(p []byte) (int, error) {
	for {
		i.mu.Lock()
		switch {
		case len(i.buf) > 0 && !i.closed:
			n := copy(p, i.buf)
			i.buf = i.buf[n:]
			i.wake()
			i.mu.Unlock()
			return n, nil
		case i.ended || i.closed:
			i.mu.Unlock()
			return 0, io.EOF
		}
		moved := i.moved
		i.mu.Unlock()
		if len(p) == 0 {
			return 0, nil
		}
		<-moved
	}
}

// send appends all of the data or nothing: a client that was told of a timeout
// may send it again.
func (i *input) send(ctx context.Context, p []byte, end bool) *fault {
	for {
		i.mu.Lock()
		if i.ended || i.closed {
			i.mu.Unlock()
			return &fault{code: "Receiver", subcode: "w:InternalError", win: codeNoData, plugin: true, text: "The pipe is being closed: the command reads no more input, or its end was sent already."}
		}
		if len(i.buf) == 0 || len(i.buf)+len(p) <= maxInput {
			i.buf = append(i.buf, p...)
			i.ended = end
			i.wake()
			i.mu.Unlock()
			return nil
		}
		moved := i.moved
		i.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return timedOut()
		}
	}
}

func (i *input) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.closed = true
		i.wake()
	}
}

// stream is where a process writes to. One that the shell was made without leads
// nowhere.
func (c *command) stream(name string) io.Writer {
	if !c.sh.outputs[name] {
		return io.Discard
	}
	return writer{c.out, name}
}
