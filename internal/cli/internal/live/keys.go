package live

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/imgflow/imgflow/internal/runview"
)

// keyboard reads keys while nobody holds it.
type keyboard struct {
	mu    sync.Mutex
	holds int // how many want the keys for themselves
	end   func()

	reading atomic.Bool
	asked   atomic.Bool // to suspend
}

// hints name the keys, where they are read, the longest first.
func (k *keyboard) hints() []string {
	switch {
	case !k.reading.Load():
		return nil
	case k.asked.Load():
		return []string{"suspending ..."}
	}
	return []string{"l log  s shell  q suspend  ? help", "? help"}
}

// start begins to read when as many have started as have stopped.
func (k *keyboard) start(d *Display) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holds--; k.holds > 0 || d.o.Keys == nil {
		return
	}
	restore := d.o.Raw()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	k.reading.Store(true)
	k.end = func() {
		cancel()
		<-done
		restore()
		k.reading.Store(false)
	}
	go func() {
		defer close(done)
		for {
			b, err := d.o.Keys(ctx)
			if err != nil {
				return
			}
			for _, key := range decode(b) {
				d.key(key)
			}
		}
	}()
}

// stop leaves the keys to somebody else. It must not be called by what a key does.
func (k *keyboard) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds++
	if k.end != nil {
		k.end()
		k.end = nil
	}
}

// The keys that are no characters, as terminals send them.
var sequences = map[string]string{
	"\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left",
	"\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left",
	"\x1b[5~": "pgup", "\x1b[6~": "pgdown", "\x1b[H": "home", "\x1b[F": "end", "\x1b[1~": "home", "\x1b[4~": "end",
	"\x1b": "esc", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\t": "tab",
}

// decode names the keys that were typed. What is not known is passed over.
func decode(b []byte) (keys []string) {
	for s := string(b); s != ""; {
		n := 1
		if s[0] == '\x1b' {
			n = sequence(s)
		} else {
			_, n = utf8.DecodeRuneInString(s)
		}
		key := s[:n]
		s = s[n:]
		if name := sequences[key]; name != "" {
			keys = append(keys, name)
		} else if key[0] >= ' ' && utf8.ValidString(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// sequence is the length of the sequence that s begins with.
func sequence(s string) int {
	if len(s) < 3 || s[1] != '[' && s[1] != 'O' {
		return 1
	}
	if i := strings.IndexFunc(s[2:], func(r rune) bool { return r >= '@' && r <= '~' }); i >= 0 {
		return 3 + i
	}
	return len(s)
}

// key does what a key means.
func (d *Display) key(k string) {
	d.out.Lock()
	defer d.out.Unlock()
	if d.page != nil {
		d.show(d.page.key(k))
		return
	}
	switch k {
	case "q":
		if d.o.Suspend != nil && !d.keys.asked.Swap(true) {
			d.o.Suspend()
		}
	case "l":
		d.show(d.chooseStep())
	case "s":
		d.show(d.chooseMachine())
	case "?":
		d.show(newHelp())
	}
}

// chooseStep lists the steps that have something to show: what is under way or has
// failed before the rest, the latest first.
func (d *Display) chooseStep() page {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := &list{title: "The log of which step?", empty: "No step has begun.", color: d.o.Color}
	for _, first := range []bool{true, false} {
		for i := len(d.view.Steps) - 1; i >= 0; i-- {
			s := d.view.Steps[i]
			if s.Began.IsZero() || (s.Status == runview.Running || s.Status == runview.Failed) != first {
				continue
			}
			name := strings.Join(s.Builds, ", ") + ": " + s.Name
			l.items = append(l.items, item{name + " (" + string(s.Status) + ")", func() page { return d.newLog(s.Key, name) }})
		}
	}
	return l
}

// chooseMachine lists the machines that a shell can be opened on.
func (d *Display) chooseMachine() page {
	l := &list{title: "A shell on which machine?", empty: "No machine has been reached so far.", color: d.o.Color}
	if d.o.Machines == nil || d.o.Shell == nil {
		return l
	}
	for _, name := range d.o.Machines() {
		l.items = append(l.items, item{name, func() page { d.shell(name); return nil }})
	}
	if len(l.items) == 1 {
		return l.items[0].choose()
	}
	return l
}

// shell gives the terminal to a shell until it ends.
func (d *Display) shell(machine string) {
	d.shells.Add(1)
	go func() {
		defer d.shells.Done()
		d.Stop()
		err := d.o.Shell(context.Background(), machine)
		d.Go()
		if err != nil {
			d.lines.Wrong("%v", err)
		}
	}()
}
