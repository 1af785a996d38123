// Package sleep waits for a while, unless the context ends first.
//
//	if err := sleep.For(ctx, time.Second); err != nil {
//		return err // the context's
//	}
package sleep
