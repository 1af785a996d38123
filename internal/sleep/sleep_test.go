package sleep_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		took := func(want time.Duration) {
			t.Helper()
			if got := time.Since(began); got != want {
				t.Errorf("it took %v, want %v", got, want)
			}
			began = time.Now()
		}
		for d, want := range map[time.Duration]time.Duration{time.Hour: time.Hour, 0: 0, -time.Hour: 0} {
			if err := sleep.For(t.Context(), d); err != nil {
				t.Errorf("%v: %v", d, err)
			}
			took(want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		if err := sleep.For(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		took(time.Minute)
		for _, d := range []time.Duration{time.Hour, 0, -1} {
			if err := sleep.For(ctx, d); !errors.Is(err, context.Canceled) {
				t.Errorf("%v with a context that has ended: %v", d, err)
			}
		}
		took(0)
	})
}
