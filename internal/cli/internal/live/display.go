package live

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/internal/usual"
)

// Options say where a run is shown, and what keys do.
type Options struct {
	Out    io.Writer                  // the terminal
	Size   func() (width, height int) // of its window now
	Color  bool
	View   *runview.View // what is known of the run; the display's until it is closed
	Builds []string      // in their order: they choose the colours
	// FrameOnly leaves the lines above the frame to whoever writes them: events make none.
	FrameOnly bool
	// Removal is for a run whose steps are what is to be removed: the last line counts that.
	Removal bool
	// Usual tells how long a step usually takes; the zero span if nobody knows. May be nil.
	Usual func(kind, step string) usual.Span

	// Keys reads what is typed, until ctx ends; nil: no keys.
	Keys func(ctx context.Context) ([]byte, error)
	// Raw makes the terminal give each key at once, unseen, until restore is called.
	Raw func() (restore func())
	// Suspend is what q does.
	Suspend func()
	// Machines are those that a shell can be opened on, and Shell opens one.
	Machines func() []string
	Shell    func(ctx context.Context, machine string) error
	// Events reads the events of the run from a position on, and returns the next.
	Events func(from int64, each func(dag.Event)) (next int64, err error)
}

// turn is how often the frame is drawn at most: the spinner's pace.
const turn = 125 * time.Millisecond

// Display shows a run on a terminal. Its methods may be called from many goroutines.
type Display struct {
	o     Options
	lines *render.Lines
	quit  chan struct{}
	ended chan struct{}
	once  sync.Once

	order sync.Mutex // of events: each is shown as a whole

	mu     sync.Mutex
	view   *runview.View
	above  strings.Builder // what is to stand above the frame
	aside  int             // how many want no frame
	away   bool            // the terminal is somebody else's: nothing is written
	closed bool
	broken bool // the frame cannot be drawn
	drawn  int  // how often it was: the spinner

	out    sync.Mutex // held while the terminal is written to; taken before mu
	screen screen     // of the frame
	page   page       // shown instead of all, nil for none
	full   screen     // of the page

	keys   keyboard
	shells sync.WaitGroup
}

// New begins to show a run. The terminal is the display's until it is closed.
func New(o Options) *Display {
	d := &Display{o: o, view: o.View, quit: make(chan struct{}), ended: make(chan struct{}), screen: screen{w: o.Out}, keys: keyboard{holds: 1}}
	d.lines = render.NewLines(d, render.Options{Color: o.Color, Builds: o.Builds})
	d.screen.write(hideCursor)
	d.keys.start(d)
	go d.loop()
	return d
}

// Event takes the next event of the run.
func (d *Display) Event(e dag.Event) {
	d.order.Lock()
	defer d.order.Unlock()
	d.mu.Lock()
	d.view.Apply(e)
	var ended runview.Step
	if e.Type == dag.Finished || e.Type == dag.Failed {
		if s := d.view.Of(e.Key); s != nil {
			ended = *s
		}
	}
	d.mu.Unlock()
	switch {
	case d.o.FrameOnly:
	case ended.Key != "" && e.Type == dag.Finished:
		d.lines.Finished(ended)
	case ended.Key != "":
		d.lines.Failed(ended)
	case stays(e.Type):
		d.lines.Event(e)
	}
}

// stays tells which events leave a line, besides the ends of steps.
func stays(t dag.EventType) bool {
	switch t {
	case dag.Warned, dag.Adopted, dag.Awaited, dag.Borrowed, dag.Vanished, dag.Suspended, dag.Rebuilt, dag.Left:
		return true
	}
	return false
}

// Write takes whole lines, which come above the frame and stay.
func (d *Display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return d.o.Out.Write(p)
	}
	return d.above.Write(p)
}

func (d *Display) loop() {
	defer close(d.ended)
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		select {
		case <-d.quit:
			return
		case <-tick.C:
			d.draw()
		}
	}
}

// draw brings the terminal to what is known now.
func (d *Display) draw() {
	d.out.Lock()
	defer d.out.Unlock()
	w, h := d.o.Size()
	if d.page != nil {
		d.full.update(w, h, "", d.page.lines(w, h))
		return
	}
	if above, lines, ok := d.compose(w, h); ok {
		d.screen.update(w, h, above, lines)
	}
}

// compose takes what is to stand above the frame, and makes the frame. A fault in
// it costs the frame, and not the run.
func (d *Display) compose(w, h int) (above string, lines []string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return "", nil, false
	}
	above, ok = d.above.String(), true
	d.above.Reset()
	if d.aside > 0 || d.broken {
		return above, nil, true
	}
	defer func() {
		if p := recover(); p != nil {
			d.broken = true
			above += fmt.Sprintf("==> Warning: the live view is left out from here, since it has a fault: %v\n", p)
		}
	}()
	d.drawn++
	return above, frame(d.view, look{width: w, height: h, color: d.o.Color, now: time.Now(), turn: d.drawn, hints: d.keys.hints(), usual: d.o.Usual, removal: d.o.Removal}), true
}

// show puts a page in place of all that the terminal shows; nil takes it away.
func (d *Display) show(p page) {
	switch {
	case p != nil && d.page == nil:
		d.screen.write(enterPage + "\x1b[H" + eraseBelow)
		d.full = screen{w: d.o.Out, width: d.screen.width, height: d.screen.height}
	case p == nil && d.page != nil:
		d.screen.write("\x1b[H" + eraseBelow + leavePage)
	}
	d.page = p
}

// Aside takes the frame away, and leaves keys to somebody else, until back is
// called. Lines go on being written. A shell that is open keeps the terminal until it ends.
func (d *Display) Aside() (back func()) {
	d.keys.stop()
	d.shells.Wait()
	d.mu.Lock()
	d.aside++
	d.mu.Unlock()
	d.terminal(nil, showCursor)
	d.draw()
	return func() {
		d.terminal(nil, hideCursor)
		d.mu.Lock()
		d.aside--
		d.mu.Unlock()
		d.keys.start(d)
	}
}

// terminal shows a page, or none, and writes a sequence.
func (d *Display) terminal(p page, sequence string) {
	d.out.Lock()
	defer d.out.Unlock()
	d.show(p)
	d.screen.write(sequence)
}

// Stop gives the terminal away as it was before: nothing is written to it until Go.
func (d *Display) Stop() {
	d.keys.stop()
	d.out.Lock()
	defer d.out.Unlock()
	d.show(nil)
	d.mu.Lock()
	d.away = true
	above := d.above.String()
	d.above.Reset()
	d.mu.Unlock()
	d.screen.update(d.screen.width, d.screen.height, above, nil)
	d.screen.write(showCursor)
}

// Go takes the terminal back.
func (d *Display) Go() {
	d.terminal(nil, hideCursor)
	d.mu.Lock()
	d.away = false
	d.mu.Unlock()
	d.keys.start(d)
}

// Close says all that is left to say and leaves the terminal as it was, as soon as
// nobody has a shell open. What is written afterwards goes to it as it comes.
func (d *Display) Close() {
	d.once.Do(func() {
		d.keys.stop()
		d.shells.Wait()
		close(d.quit)
		<-d.ended
		d.Stop()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.closed = true
		io.WriteString(d.o.Out, d.above.String())
	})
}
