package errcode

import (
	"errors"

	"github.com/imgflow/imgflow/internal/self"
)

// Code is the code of a failure; "" is none.
type Code string

// coder is a failure that has a code.
type coder interface{ ErrCode() Code }

// Of is the code of err, or "" if it has none.
func Of(err error) Code {
	for err != nil {
		var c coder
		if !errors.As(err, &c) {
			return ""
		}
		if code := c.ErrCode(); code != "" {
			return code
		}
		err = errors.Unwrap(c.(error))
	}
	return ""
}

// coded is a failure that was given a code.
type coded struct {
	error
	code Code
}

func (e *coded) ErrCode() Code { return e.code }
func (e *coded) Unwrap() error { return e.error }

// With gives err a code. It says nothing of what err is, or of its words.
func With(code Code, err error) error {
	if err == nil || code == "" {
		return err
	}
	return &coded{err, code}
}

// Info tells of a code.
type Info struct {
	Code    Code
	Summary string // in a few words
	Means   string // when it comes
	Do      string // what to do
}

// Lookup is what is known of a code.
func Lookup(c Code) (Info, bool) {
	for _, i := range Table {
		if i.Code == c {
			i.Means, i.Do = self.Text(i.Means), self.Text(i.Do)
			return i, true
		}
	}
	return Info{}, false
}
