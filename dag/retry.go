package dag

import (
	"errors"
	"time"
)

// RetryError is an error that may pass.
type RetryError struct {
	Err   error
	After time.Duration // wait at least this long; 0 lets the engine choose
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// Retry marks err as one that may pass.
func Retry(err error, after time.Duration) error { return &RetryError{err, after} }

// NotMadeError is an error that proves that the step's thing was not made.
type NotMadeError struct{ Err error }

func (e *NotMadeError) Error() string { return e.Err.Error() }
func (e *NotMadeError) Unwrap() error { return e.Err }

// NotMade marks err, which ends a Do, as proof that this Do has made no thing:
// nothing has to be found and removed then. It is for calls that were refused as
// such, never for one whose answer may have been lost.
func NotMade(err error) error { return &NotMadeError{err} }

// Patient is implemented by steps that may be retried for longer than the
// default of two minutes.
type Patient interface{ Patience() time.Duration }

const defaultPatience = 2 * time.Minute

// backoff is the wait before try n (from 1), when the error names none.
func backoff(n int) time.Duration { return min(time.Second<<min(n-1, 5), 20*time.Second) }

func retryAfter(err error, n int) (time.Duration, bool) {
	var r *RetryError
	if !errors.As(err, &r) {
		return 0, false
	}
	if r.After > 0 {
		return r.After, true
	}
	return backoff(n), true
}
