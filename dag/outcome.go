package dag

import (
	"encoding/json"
	"errors"
)

// Outcome is how an order that is a call has ended.
type Outcome struct {
	Err     error    `json:"-"`                 // in JSON as data, which means the same to a pass
	There   bool     `json:"there,omitempty"`   // of a look: the thing was found, and that is in the records
	Out     []byte   `json:"-"`                 // of a look for a thing to be removed: what was found
	Verdict Decision `json:"verdict,omitempty"` // of a failure

	Elsewhere bool `json:"elsewhere,omitempty"` // of a step: another run is at it, and it was not begun
}

// OutcomeOf is the outcome of a call of which no other word has come: Stopped, Fail, Lost or NotKept.
func OutcomeOf(c Class, text string) Outcome {
	return Outcome{Err: (&Result{Class: c, Err: text}).failure()}
}

// Redacted is the outcome with its error in other words, as they are given back for its own.
func (o Outcome) Redacted(words func(string) string) Outcome {
	if o.Err != nil {
		r := failureOf(o.Err)
		r.Err = words(r.Err)
		o.Err = r.failure()
	}
	return o
}

// Stopped is the class of what was interrupted.
const Stopped Class = "stopped"

// failureOf is an error as data, nil for none.
func failureOf(err error) *Result {
	if err == nil {
		return nil
	}
	r := resultOf(nil, err)
	switch {
	case r.Class == NotKept:
	case errors.Is(err, errSuspended):
		r.Class = Stopped
	case errors.As(err, new(*lostError)):
		r.Class = Lost
	}
	return &r
}

// failure is the error that a result, nil for none, is the data of.
func (r *Result) failure() error {
	switch {
	case r == nil:
		return nil
	case r.Class == NotKept:
		return &storeError{errors.New(r.Err)}
	case r.Class == Stopped:
		return errSuspended
	}
	return r.err(nil)
}

type outcome Outcome // without methods

type outcomeData struct {
	outcome
	Failure *Result `json:"failure,omitempty"`
}

// MarshalJSON writes the outcome with its error.
func (o Outcome) MarshalJSON() ([]byte, error) {
	return json.Marshal(outcomeData{outcome(o), failureOf(o.Err)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (o *Outcome) UnmarshalJSON(p []byte) error {
	var d outcomeData
	if err := json.Unmarshal(p, &d); err != nil {
		return err
	}
	*o = Outcome(d.outcome)
	o.Err = d.Failure.failure()
	return nil
}

type order Order // without methods

type orderData struct {
	order
	Failure *Result `json:"failure,omitempty"`
}

// MarshalJSON writes the order with its error.
func (x Order) MarshalJSON() ([]byte, error) {
	return json.Marshal(orderData{order(x), failureOf(x.Err)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (x *Order) UnmarshalJSON(p []byte) error {
	var d orderData
	if err := json.Unmarshal(p, &d); err != nil {
		return err
	}
	*x = Order(d.order)
	x.Err = d.Failure.failure()
	return nil
}

type failureData struct {
	Node    Node    `json:"node"`
	Name    string  `json:"name"`
	Failure *Result `json:"failure"`
}

// MarshalJSON writes the failure with its error, and of its step what a skeleton has.
func (f Failure) MarshalJSON() ([]byte, error) {
	return json.Marshal(failureData{f.Node.slim(), f.Name, failureOf(f.Err)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (f *Failure) UnmarshalJSON(p []byte) error {
	var d failureData
	if err := json.Unmarshal(p, &d); err != nil {
		return err
	}
	*f = Failure{d.Node, d.Name, d.Failure.failure()}
	return nil
}
