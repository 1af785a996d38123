package live

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/internal/usual"
)

func itoa(n int) string { return strconv.Itoa(n) }

func key(n int) (k dag.Key) { k[0], k[1], k[2] = byte(n), byte(n>>8), byte(n>>16); return k }

// play is a run that a test plays to a display.
type play struct {
	*Display
	tm     *terminal
	builds []string
	began  time.Time
}

// perform begins a run of so many builds with so many steps each.
func perform(t *testing.T, w, h, builds, steps int, change ...func(*Options)) *play {
	t.Helper()
	p := &play{tm: newTerminal(t, w, h), began: time.Now()}
	for i := range builds {
		p.builds = append(p.builds, fmt.Sprintf("build-%d", i))
	}
	o := Options{Out: p.tm, Size: p.tm.size, View: runview.New(), Builds: p.builds}
	for _, c := range change {
		c(&o)
	}
	p.Display = New(o)
	t.Cleanup(p.Close)
	p.Event(dag.Event{Type: dag.RunBegun, Time: p.began})
	for n := range builds * steps {
		p.Event(dag.Event{Type: dag.Planned, Time: p.began, Key: key(n).String(), Step: "step-" + itoa(n%steps), Kind: "k", Builds: p.builds[n/steps : n/steps+1], Text: "do the thing " + itoa(n)})
	}
	return p
}

func (p *play) tell(typ dag.EventType, n int, text string) {
	e := dag.Event{Type: typ, Key: key(n).String(), Token: "t" + itoa(n), Time: time.Now(), Step: "step", Text: text}
	switch typ {
	case dag.Printed:
		e.Key, e.Stream = "", "stdout/1"
	case dag.Failed:
		e.Text, e.Err = "", text
	}
	p.Event(e)
}

// look checks that nothing of the screen is torn, and returns it.
func (p *play) look(t *testing.T) []string {
	t.Helper()
	p.draw()
	got := p.tm.screen()
	w, h := p.tm.size()
	for _, l := range got {
		if width(l) > w {
			t.Errorf("%d×%d: %q is wider than the window", w, h, l)
		}
	}
	if len(got) > h {
		t.Errorf("%d×%d: %d lines", w, h, len(got))
	}
	return got
}

func count(lines []string, part string) (n int) {
	for _, l := range lines {
		if strings.Contains(l, part) {
			n++
		}
	}
	return n
}

// Whatever the window is, and becomes: the frame is there once, and all that ended
// stands above it once, in the order in which it ended.
func TestWindows(t *testing.T) {
	for _, window := range [][2]int{{60, 15}, {200, 50}, {20, 5}, {80, 24}} {
		for _, builds := range []int{1, 10, 100} {
			t.Run(fmt.Sprintf("%dx%d, %d", window[0], window[1], builds), func(t *testing.T) {
				p := perform(t, window[0], window[1], builds, 3)
				n := 3 * builds
				for step := range 3 {
					for b := range builds {
						p.tell(dag.Started, 3*b+step, "")
						p.tell(dag.Printed, 3*b+step, fmt.Sprintf("line of %d 漢字 👩‍🚀 e\u0301 %s", b, strings.Repeat("漢", 200)))
					}
					seen := p.look(t)
					if last := seen[len(seen)-1]; window[0] >= 60 && (!strings.Contains(last, fmt.Sprintf("%d of %d steps · %d running", step*builds, n, builds))) {
						t.Errorf("the last line is %q", last)
					}
					if len(seen) > 2*window[1] {
						t.Error("the frame is too high")
					}
					switch step {
					case 0:
						p.tm.resize(window[0]/2, window[1])
						p.look(t)
						p.tm.resize(window[0], max(3, window[1]/2))
						p.look(t)
					case 1:
						p.tm.resize(window[0]+20, window[1]+7)
						p.look(t)
						p.tm.resize(window[0], window[1])
					}
					for b := range builds {
						p.tell(dag.Finished, 3*b+step, "")
					}
					p.look(t)
				}
				p.Close()
				all := strings.ReplaceAll(strings.Join(p.tm.all(), ""), " ", "") // a narrow terminal breaks lines at spaces, too
				at := 0
				for step := range 3 {
					for b := range builds {
						want := fmt.Sprintf("==>build-%d:Dothething%d", b, 3*b+step)
						i := strings.Index(all[at:], want)
						if i < 0 {
							t.Fatalf("%q is missing, or not in its place:\n%s", want, strings.Join(p.tm.all(), "\n"))
						}
						at += i + len(want)
					}
				}
				if got := strings.Count(all, "==>build-"); got != n {
					t.Errorf("%d lines of ended steps, want %d:\n%s", got, n, strings.Join(p.tm.all(), "\n"))
				}
				if strings.Contains(all, "running") || strings.Contains(all, "╰") {
					t.Errorf("something of the frame is left:\n%s", strings.Join(p.tm.all(), "\n"))
				}
			})
		}
	}
}

// What does not fit is counted; what runs is in the order of the builds.
func TestManyAtOnce(t *testing.T) {
	p := perform(t, 60, 15, 100, 1)
	for b := 99; b >= 0; b-- {
		p.tell(dag.Started, b, "")
	}
	got := p.look(t)
	if len(got) != 10 || !strings.Contains(got[0], "build-0: Do the thing 0") || !strings.Contains(got[7], "build-7:") || got[8] != "… and 92 more" {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// A frame of every size of window, down to none, and nothing above it is lost.
func TestTinyWindows(t *testing.T) {
	for w := range 12 {
		for h := range 6 {
			p := perform(t, max(w, 1), max(h, 1), 3, 1, func(o *Options) { o.Size = func() (int, int) { return w, h } })
			for b := range 3 {
				p.tell(dag.Started, b, "")
				p.tell(dag.Said, b, "x漢")
			}
			p.draw()
			for b := range 3 {
				p.tell(dag.Finished, b, "")
			}
			p.Close()
			if got := strings.Join(p.tm.all(), ""); w > 1 && strings.Count(got, "==>") != 3 {
				t.Errorf("%d×%d: %q", w, h, got)
			}
		}
	}
}

// A failure is shown in full: its error, and the last that the machine printed.
func TestFailure(t *testing.T) {
	p := perform(t, 80, 24, 1, 2)
	p.tell(dag.Started, 0, "")
	for i := range 50 {
		p.tell(dag.Printed, 0, "line "+itoa(i)+".")
	}
	p.tell(dag.Failed, 0, "exit status 3\nand more")
	p.tell(dag.Warned, 1, "mind this")
	p.Close()
	all := p.tm.all()
	for _, want := range []string{"step-0 failed after", "exit status 3", "    build-0: and more", "... 30 lines before these", "line 30.", "line 49.", "Warning: mind this"} {
		if count(all, want) != 1 {
			t.Errorf("%q is there %d times in\n%s", want, count(all, want), strings.Join(all, "\n"))
		}
	}
	if count(all, "line 29.") != 0 {
		t.Error("more than the last 20 lines")
	}
}

// Nothing that a machine or a template makes up drives the terminal.
func TestHostileTexts(t *testing.T) {
	p := perform(t, 80, 24, 1, 1)
	evil := "\x1b[2J\x1b[H\x1b]0;title\x07\x1b[?1049h\u009b31mtext\r\n\u202e"
	p.Event(dag.Event{Type: dag.Planned, Key: key(9).String(), Step: evil, Builds: []string{evil}, Text: evil})
	p.tell(dag.Started, 9, evil)
	p.tell(dag.Printed, 9, evil)
	p.tell(dag.Warned, 9, evil)
	p.look(t)
	p.tell(dag.Finished, 9, evil)
	p.tell(dag.Failed, 9, evil)
	p.Close()
	if raw := p.tm.raw.String(); strings.Contains(raw, "title") || strings.Contains(raw, "\x1b[2J") || strings.Contains(raw, "\x1b[?1049h") || strings.ContainsAny(raw, "\u009b\u202e") {
		t.Errorf("%q", raw)
	}
}

// At its end the terminal is as it was.
func TestModesAreRestored(t *testing.T) {
	raw := 0
	p := perform(t, 80, 24, 1, 1, func(o *Options) {
		o.Keys = typing(nil)
		o.Raw = func() func() { raw++; return func() { raw-- } }
	})
	p.tell(dag.Started, 0, "")
	p.draw()
	if !p.tm.e.CursorHidden() || raw != 1 {
		t.Errorf("while it runs: the cursor is hidden: %v, raw %d", p.tm.e.CursorHidden(), raw)
	}
	p.Close()
	if p.tm.e.CursorHidden() || raw != 0 {
		t.Errorf("at the end: the cursor is hidden: %v, raw %d", p.tm.e.CursorHidden(), raw)
	}
	for mode, on := range p.tm.mode {
		if on != (mode == 7 || mode == 25) { // lines wrap, and the cursor is seen
			t.Errorf("mode %d is left %v", mode, on)
		}
	}
	fmt.Fprintln(p.Display, "later") // goes through
	if got := p.tm.screen(); got[len(got)-1] != "later" {
		t.Errorf("%q", got)
	}
}

func TestNoColors(t *testing.T) {
	for _, color := range []bool{false, true} {
		p := perform(t, 120, 24, 2, 1, func(o *Options) { o.Color = color })
		for b := range 2 {
			p.tell(dag.Started, b, "")
			p.tell(dag.Printed, b, "x")
		}
		p.draw()
		p.tell(dag.Failed, 0, "no")
		p.Close()
		if got := strings.Contains(p.tm.raw.String(), "m==>"); got != color {
			t.Errorf("colours: %v, want %v: %q", got, color, p.tm.raw.String())
		}
	}
}

// How far a step is: by what it tells, or else by how long it usually takes.
func TestProgress(t *testing.T) {
	p := perform(t, 100, 24, 1, 3, func(o *Options) {
		o.Usual = func(kind, step string) usual.Span {
			if step == "step-1" {
				return usual.Span{Lo: 50 * time.Second, Hi: 70 * time.Second, Known: true}
			}
			return usual.Span{}
		}
	})
	for n := range 3 {
		p.tell(dag.Started, n, "")
	}
	p.Event(dag.Event{Type: dag.Progress, Key: key(0).String(), Count: 500_000, Total: 1_000_000, Unit: "bytes"})
	got := p.look(t)
	if !strings.Contains(got[0], "██████░░░░░░ 50 % (500.0 kB of 1.0 MB)") || !strings.Contains(got[2], "░░ about 1m00s left") && !strings.Contains(got[2], "about 59s left") || strings.Contains(got[4], "░") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// While somebody asks there is no frame, and lines go on; the keys are theirs.
func TestAside(t *testing.T) {
	p := perform(t, 80, 24, 1, 1, func(o *Options) { o.Keys, o.Raw = typing(nil), func() func() { return func() {} } })
	p.tell(dag.Started, 0, "")
	if p.look(t); p.keys.hints() == nil {
		t.Error("no keys are read")
	}
	back := p.Aside()
	render.NewLines(p.Display, render.Options{}).Warn("what now?")
	if got := p.look(t); !slices.Equal(got, []string{"==> what now?"}) || p.keys.hints() != nil || p.tm.e.CursorHidden() {
		t.Errorf("%q, keys %q", got, p.keys.hints())
	}
	back()
	if got := p.look(t); len(got) != 4 || p.keys.hints() == nil {
		t.Errorf("%q", got)
	}
}

// A fault of the view costs the view, and not the run.
func TestFault(t *testing.T) {
	p := perform(t, 80, 24, 1, 2, func(o *Options) { o.Usual = func(string, string) usual.Span { panic("oh no") } })
	p.tell(dag.Started, 0, "")
	p.draw()
	p.tell(dag.Finished, 0, "")
	p.draw()
	if got := p.tm.screen(); len(got) != 2 || !strings.Contains(got[0], "oh no") || !strings.HasPrefix(got[1], "==> build-0: Do the thing 0") {
		t.Errorf("%q", got)
	}
}

type broken struct{ io.Writer }

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

// A terminal that is gone ends nothing.
func TestClosedOutput(t *testing.T) {
	p := perform(t, 80, 24, 1, 1, func(o *Options) { o.Out = broken{} })
	p.tell(dag.Started, 0, "")
	p.draw()
	p.tell(dag.Finished, 0, "")
	p.Close()
}

// What has not changed is not written again, and nothing is written when nothing has.
func TestOnlyWhatChanged(t *testing.T) {
	s := screen{w: newTerminal(t, 80, 24)}
	raw := &s.w.(*terminal).raw
	s.update(80, 24, "", []string{"one", "two", "three"})
	raw.Reset()
	s.update(80, 24, "", []string{"one", "two", "three"})
	if raw.Len() > 0 {
		t.Errorf("the same again: %q", raw)
	}
	s.update(80, 24, "", []string{"one", "zwei", "three"})
	if got := raw.String(); strings.Contains(got, "one") || strings.Contains(got, "three") || !strings.Contains(got, "zwei") {
		t.Errorf("%q", got)
	}
	raw.Reset()
	s.update(79, 24, "", []string{"one", "zwei", "three"})
	if got := raw.String(); !strings.Contains(got, eraseBelow) || !strings.Contains(got, "one") || !strings.Contains(got, "three") {
		t.Errorf("in another window: %q", got)
	}
}

// A line that a terminal takes for wider than it was counted ends at its edge.
func TestNothingWraps(t *testing.T) {
	tm := newTerminal(t, 20, 5)
	s := screen{w: tm}
	for range 3 {
		s.update(20, 5, "", []string{strings.Repeat("x", 50), "end"})
		s.update(20, 5, "", []string{strings.Repeat("y", 50), "end"})
	}
	s.update(20, 5, "said\n", []string{"z", "end"})
	if got := tm.screen(); !slices.Equal(got, []string{"said", "z", "end"}) {
		t.Errorf("%q", got)
	}
}

// What runs stands by the order of the builds; what several share comes first.
func TestOrder(t *testing.T) {
	p := perform(t, 60, 24, 2, 0)
	for n, builds := range [][]string{{"a"}, {"b"}, {"a"}, {"a", "b"}, {"b"}} {
		p.Event(dag.Event{Type: dag.Planned, Key: key(n).String(), Step: itoa(n), Builds: builds})
		p.tell(dag.Started, n, "")
	}
	var got []string
	for _, l := range p.look(t) {
		if _, l, ok := strings.Cut(l, " "); ok && strings.Contains(l, ": ") {
			got = append(got, strings.Join(strings.Fields(l)[:2], " "))
		}
	}
	if want := []string{"a, b:", "a: 0", "a: 2", "b: 1", "b: 4"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFit(t *testing.T) {
	for _, s := range []string{"plain text", "漢字漢字漢字", "👩‍🚀👩‍🚀👩‍🚀", "e\u0301e\u0301e\u0301", "❤️❤️❤️", "\ttab", "🇩🇪🇩🇪"} {
		for cells := range 12 {
			got := fit(s, cells)
			if width(got) > cells {
				t.Errorf("fit(%q, %d) = %q takes %d", s, cells, got, width(got))
			}
			if both := spread(s, s, cells); width(both) > cells {
				t.Errorf("spread in %d: %q", cells, both)
			}
		}
	}
	if got := fit("a\tb", 9); got != "a b" {
		t.Errorf("%q", got)
	}
	if got := fit("漢字漢", 5); got != "漢字…" {
		t.Errorf("%q", got)
	}
}

// A removal is counted in the last line; what it says is written by somebody else.
func TestRemoval(t *testing.T) {
	p := perform(t, 80, 24, 1, 3, func(o *Options) { o.FrameOnly, o.Removal = true, true })
	for n := range 3 {
		p.tell(dag.Finished, n, "thing "+itoa(n))
	}
	p.tell(dag.Releasing, 0, "thing 0")
	p.tell(dag.Released, 0, "thing 0")
	p.tell(dag.Releasing, 1, "thing 1")
	e := dag.Event{Type: dag.Left, Key: key(2).String(), Time: time.Now(), Text: "thing 2", Err: "in use"}
	p.Event(e)
	got := p.look(t)
	if count(got, "Removing thing 1") != 1 || count(got, "1 of 3 removed · 1 under way · 1 could not be · ") != 1 || count(got, "thing 0")+count(got, "thing 2") != 0 {
		t.Errorf("it shows\n%s", strings.Join(got, "\n"))
	}
}
