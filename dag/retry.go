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
