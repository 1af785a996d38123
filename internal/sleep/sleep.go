package sleep

import (
	"context"
	"time"
)

// For returns nil after d, at once if that is not positive. The error is the
// context's: a context that has ended always counts.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
