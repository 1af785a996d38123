package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
)

// Runner does, finds and undoes steps. The engine decides what is done, and when;
// a runner does it. Only data crosses this line, so that a runner may be another
// process, and nothing that a step keeps in memory is there for the next call.
//
// A call may be cut off at any moment, and made again.
type Runner interface {
	// Do makes what the step makes.
	Do(ctx context.Context, c Call, h Host) Result
	// Find looks for the thing of the call's token, or, where the call has an
	// output, for that very thing.
	Find(ctx context.Context, c Call, h Host) Result
	// Undo removes the thing that the call's output is.
	Undo(ctx context.Context, c Call, h Host) Result
}

// Call is one step to do, to find or to undo.
type Call struct {
	Run     string                     `json:"run"`
	Key     Key                        `json:"key"`
	Name    string                     `json:"name"`
	Builds  []string                   `json:"builds"`
	Kind    string                     `json:"kind"`
	Spec    json.RawMessage            `json:"spec"`
	Inputs  map[Key]json.RawMessage    `json:"inputs,omitempty"` // the outputs of what a step to be done reads
	Texts   []Evaluated                `json:"texts,omitempty"`  // what the texts of a step to be done refer to
	Out     json.RawMessage            `json:"out,omitempty"`    // the output of a thing to be found or undone, where it is known
	Token   string                     `json:"token"`
	Attempt int                        `json:"attempt"` // how many attempts of this making have failed before
	Resumed bool                       `json:"resumed"` // an earlier attempt may have begun the work
	Begun   time.Time                  `json:"begun"`   // when the intent was journaled
	State   map[string]json.RawMessage `json:"state,omitempty"`
}

// Class is how a call ended.
type Class string

const (
	OK       Class = "ok"
	Fail     Class = "failed"    // for good
	Passing  Class = "passing"   // it may succeed when it is tried again
	NotFound Class = "not-found" // it is sure that the thing does not exist
	NotKept  Class = "not-kept"  // the host could not keep what the step told it
	Lost     Class = "lost"      // nobody knows how it ended: whoever did it is gone
)

// Result is what a call ended with.
type Result struct {
	Class      Class           `json:"class"`
	Out        json.RawMessage `json:"out,omitempty"`        // of a step that was done, or a thing that was found
	Err        string          `json:"err,omitempty"`        // why it failed, for people
	Code       errcode.Code    `json:"code,omitempty"`       // and for programs
	RetryAfter time.Duration   `json:"retryAfter,omitempty"` // nanoseconds; 0 lets the engine choose
	NotMade    bool            `json:"notMade,omitempty"`    // the failure proves that this call has made nothing
	Taken      bool            `json:"taken,omitempty"`      // its machine was taken away
}

// Host is what a step can ask of the engine while it is at work.
type Host interface {
	Sink
	// Secret gives the value of a named secret.
	Secret(name string) (string, error)
	// Save keeps a value of the step's own under a name. When it returns, it is on
	// disk, and the calls that follow have it in their state.
	Save(name string, value json.RawMessage) error
}

// local is the runner of steps that are bound in this process.
type local map[string]Kind

// InProcess is the runner of steps that are bound in this process, which an engine
// has if it is given none.
func InProcess(kinds []Kind) Runner {
	l := make(local, len(kinds))
	for _, k := range kinds {
		l[k.Name] = k
	}
	return l
}

func (l local) Do(ctx context.Context, c Call, h Host) Result {
	return l.call(c, h, func(k Kind, t *Task) (json.RawMessage, error) {
		return k.do(ctx, c.Spec, t, func(key Key) (json.RawMessage, error) {
			out, ok := c.Inputs[key]
			if !ok {
				return nil, fmt.Errorf("cannot read the output of a step that is not done: %s", key.Short())
			}
			return out, nil
		})
	})
}

func (l local) Find(ctx context.Context, c Call, h Host) Result {
	return l.call(c, h, func(k Kind, t *Task) (json.RawMessage, error) { return k.find(ctx, t, c.Out) })
}

func (l local) Undo(ctx context.Context, c Call, h Host) Result {
	return l.call(c, h, func(k Kind, t *Task) (json.RawMessage, error) { return nil, k.undo(ctx, t, c.Out) })
}

// call turns a panic into an error: a defect of one step must not cost the others
// their checkpoints.
func (l local) call(c Call, h Host, do func(Kind, *Task) (json.RawMessage, error)) (r Result) {
	t := &Task{Run: c.Run, Name: c.Name, Builds: c.Builds, Token: c.Token, Attempt: c.Attempt, Resumed: c.Resumed,
		key: c.Key, kind: c.Kind, spec: c.Spec, begun: c.Begun, sink: h, secret: h.Secret, texts: c.Texts, state: c.State, save: h.Save}
	k, ok := l[c.Kind]
	if !ok {
		return resultOf(nil, unknownKind(c.Name, c.Kind))
	}
	defer func() {
		if p := recover(); p != nil {
			t.Detail("%s", debug.Stack())
			r = Result{Class: Fail, Code: errcode.Defect, Err: fmt.Sprintf("cannot go on with %s: a fault in imgflow itself: %v", c.Name, p)}
		}
	}()
	out, err := do(k, t)
	return resultOf(out, err)
}

// resultOf says in data how a call ended.
func resultOf(out json.RawMessage, err error) Result {
	if err == nil {
		return Result{Class: OK, Out: out}
	}
	var retry *RetryError
	var kept *storeError
	r := Result{Class: Fail, Err: validText(err.Error()), Code: errcode.Of(err), NotMade: errors.As(err, new(*NotMadeError)), Taken: errors.As(err, new(*TakenError))}
	switch {
	case errors.As(err, &kept):
		r.Class = NotKept
	case errors.As(err, &retry):
		r.Class, r.RetryAfter = Passing, retry.After
	case errors.Is(err, ErrNotFound):
		r.Class = NotFound
	}
	return r
}

// missing says what was not found; it is ErrNotFound.
type missing string

func (m missing) Error() string { return string(m) }
func (missing) Unwrap() error   { return ErrNotFound }

// lostError is the end of a call of which nobody knows what it has done.
type lostError struct{ text string }

func (e *lostError) Error() string { return e.text }

// err is what a result means to the engine.
func (r Result) err(h *host) error {
	var err error
	switch r.Class {
	case OK:
		return nil
	case NotFound:
		err = missing(r.Err)
	case NotKept:
		return h.notKept(r.Err)
	case Passing:
		err = &RetryError{errors.New(r.Err), r.RetryAfter}
	case Lost:
		err = &RetryError{Err: &lostError{r.Err}}
	default:
		err = errors.New(r.Err)
	}
	err = errcode.With(r.Code, err)
	if r.NotMade {
		err = &NotMadeError{err}
	}
	if r.Taken {
		err = &TakenError{err}
	}
	return err
}
