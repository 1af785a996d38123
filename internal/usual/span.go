package usual

import "time"

// A Span is when something usually ends, counted from its beginning. The zero
// value is that of what ends at once.
type Span struct {
	Lo, Hi time.Duration
	// Known says that it was seen here before, and is not merely what others tell.
	Known bool
}

// Between two looks: the shortest while little time has passed, and later; the
// longest when what is usual is over.
const (
	first   = 100 * time.Millisecond
	closest = 250 * time.Millisecond
	longest = 10 * time.Second
)

// When the second look is, before the span: at what was seen here before, and at
// what was not.
const (
	secondKnown = time.Second
	secondNew   = 700 * time.Millisecond
)

// Next is how long to wait until the next look at what began so long ago and has
// not ended. Within the span, what has ended is seen after at most 3 % more of its
// time. Before it there are a few looks, each after four times as much time at most
// where nothing was seen here before: what usually takes its time may be done at
// once. None comes just before the span. No wait is longer than half of what is usual.
func (s Span) Next(elapsed time.Duration) time.Duration {
	short := min(max(first, elapsed/8), closest)
	switch {
	case elapsed < s.Lo:
		next := s.Lo / 3
		switch {
		case !s.Known:
			next = min(next, max(secondNew, 3*elapsed))
		case elapsed == 0:
			next = min(next, secondKnown)
		}
		next = max(short, next)
		if left := s.Lo - elapsed; left-next < next/2 {
			return left
		}
		return next
	case elapsed <= s.Hi:
		return max(short, min((s.Hi-s.Lo)/8, elapsed*3/100))
	}
	return min(max(short, elapsed/20), longest)
}
