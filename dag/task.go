package dag

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/internal/errcode"
)

// Task is what a step knows about its own making.
type Task struct {
	Run     string   // the run's id
	Name    string   // the step's name in its build
	Builds  []string // the builds that it works for
	Token   string   // unique to this making; at most 64 letters, digits and hyphens
	Attempt int      // how many attempts of this making have failed before
	Resumed bool     // an earlier attempt may have begun the work

	key    Key
	kind   string
	spec   json.RawMessage
	begun  time.Time
	sink   Sink
	secret func(name string) (string, error)
	texts  []Evaluated // what texts of the settings refer to
	state  map[string]json.RawMessage
	save   func(name string, value json.RawMessage) error

	troubles
}

// Age is the time since the intent to make this was journaled: nothing of it
// can be older.
func (t *Task) Age() time.Duration { return time.Since(t.begun) }

// Settings decodes the settings of the step whose making this is, without the
// values of its references and secrets. Find needs them to know where to look.
func (t *Task) Settings(into any) error {
	if t.spec == nil {
		return nil
	}
	if err := json.Unmarshal(t.spec, into); err != nil {
		return fmt.Errorf("cannot read the settings of %s: %w", t.Name, err)
	}
	return nil
}

func (t *Task) event(typ EventType) Event {
	e := Event{V: EventVersion, Time: time.Now(), Type: typ, Builds: t.Builds, Step: t.Name, Kind: t.kind, Token: t.Token, Attempt: t.Attempt + 1}
	if t.key != (Key{}) {
		e.Key = t.key.String()
	}
	return e
}

// validText is a text as every file and every other process has it, too: what is no
// UTF-8 is replaced once, in the form in which secrets are known there.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (t *Task) emit(e Event) error {
	if t.sink == nil {
		return nil
	}
	e.Text, e.Err = validText(e.Text), validText(e.Err)
	return t.sink.Emit(e)
}

// Say tells the user what is being done.
func (t *Task) Say(format string, a ...any) { t.text(Said, format, a...) }

// Detail tells what is worth less attention.
func (t *Task) Detail(format string, a ...any) { t.text(Detail, format, a...) }

// Warn tells what the user should know before it hurts.
func (t *Task) Warn(format string, a ...any) { t.text(Warned, format, a...) }

func (t *Task) text(typ EventType, format string, a ...any) {
	e := t.event(typ)
	e.Text = fmt.Sprintf(format, a...)
	t.emit(e) // a message that cannot be kept is no reason to fail the work
}

// Print keeps one line of remote output. Offset counts the bytes of the stream
// up to and including the line's end. An error means that it was not kept; a step
// must return it, wrapped or not.
func (t *Task) Print(stream string, offset int64, line string) error {
	e := t.event(Printed)
	e.Key, e.Attempt = "", 0 // there are many lines, and the token says as much
	e.Stream, e.Offset, e.Text = stream, offset, line
	return unkept(t.emit(e))
}

// maxLine is where a line without end is broken, in bytes.
const maxLine = 64 << 10

// Break says after how many bytes a line is to be printed that has no end yet;
// 0: with more of it, ask again. Long lines are broken between two characters,
// and never inside of a secret, of which no half would be known again.
func (t *Task) Break(line []byte) int {
	if len(line) <= maxLine {
		return 0
	}
	most := maxLine
	for most > maxLine-utf8.UTFMax && !utf8.RuneStart(line[most]) {
		most--
	}
	if t.sink == nil {
		return most
	}
	return t.sink.Break(line, most)
}

// Printed is the offset up to which the stream's lines have been kept, by this
// process or by one before it.
func (t *Task) Printed(stream string) int64 {
	if t.sink == nil {
		return 0
	}
	return t.sink.Offset(t.Token, stream)
}

// Sync returns when every line printed so far is on disk.
func (t *Task) Sync() error {
	if t.sink == nil {
		return nil
	}
	return unkept(t.sink.Sync())
}

func unkept(err error) error {
	if err == nil {
		return nil
	}
	return &storeError{err}
}

// StoreFailed reports whether an error says that something could not be kept on disk. A step
// must return such a one.
func StoreFailed(err error) bool { return errors.As(err, new(*storeError)) }

// Save keeps a small value under a name for the attempts of this making that
// follow: when it returns, it is on disk. A step must return the error, wrapped or
// not. It is for what Do finds out and must not forget, such as how far it came.
func (t *Task) Save(name string, v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot keep %q of %s: %w", name, t.Name, err)
	}
	if t.save != nil {
		if err := unkept(t.save(name, p)); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	state := maps.Clone(t.state)
	if state == nil {
		state = map[string]json.RawMessage{}
	}
	state[name] = p
	t.state = state
	return nil
}

// Load gives back what this attempt or an earlier one has saved under a name.
func (t *Task) Load(name string, into any) (found bool, err error) {
	t.mu.Lock()
	p, ok := t.state[name]
	t.mu.Unlock()
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(p, into); err != nil {
		return false, fmt.Errorf("cannot read %q of %s: %w", name, t.Name, err)
	}
	return true, nil
}

// Progress tells how much of the work is done; total 0 is unknown.
func (t *Task) Progress(done, total int64, unit string) {
	e := t.event(Progress)
	e.Count, e.Total, e.Unit = done, total, unit
	t.emit(e)
}

// Retrying tells that err may pass and that the step tries again after wait.
func (t *Task) Retrying(err error, wait time.Duration) {
	t.set(err)
	e := t.event(Retrying)
	e.Err, e.Code, e.Wait = err.Error(), string(errcode.Of(err)), wait
	t.emit(e)
}

// Reveal returns the real text of a setting that holds a secret. The error
// names a secret that nobody has given to this process.
func (t *Task) Reveal(s Secret) (string, error) {
	var first error
	text := expandMarks(string(s), func(name string) string {
		if t.secret == nil {
			first = fmt.Errorf("cannot use %s: its value is not known", name)
			return ""
		}
		v, err := t.secret(name)
		if err != nil && first == nil {
			first = err
		}
		return v
	})
	return text, first
}

// NewTask makes a Task outside an engine, for programs that use steps' code
// alone, such as a shell on a machine, and for tests.
func NewTask(run, name, token string, sink Sink, secret func(string) (string, error)) *Task {
	return &Task{Run: run, Name: name, Token: token, begun: time.Now(), sink: sink, secret: secret}
}

// Keep gives a task outside an engine what earlier ones have saved, and who keeps
// what it saves; without, that ends with the process.
func (t *Task) Keep(saved map[string]json.RawMessage, save func(name string, value json.RawMessage) error) *Task {
	t.state, t.save = saved, save
	return t
}
