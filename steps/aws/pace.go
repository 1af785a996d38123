package aws

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddle "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

// governor is the SDK's retryer for one account in one region. All callers share
// its buckets, which have the sizes that AWS publishes; a throttled call slows
// every caller of the same bucket down, and the pace recovers by and by.
type governor struct {
	attempts int
	mu       sync.Mutex
	buckets  map[string]*bucket
}

var _ awssdk.RetryerV2 = (*governor)(nil)

// size is what AWS grants: calls at once, and calls a second after that.
type size struct{ burst, refill float64 }

// sizes by operation; what is not here is a lookup or an ordinary change.
var sizes = map[string]size{
	"RunInstances":            {5, 2},
	"TerminateInstances":      {100, 5},
	"CopyImage":               {100, 1},
	"CreateTags":              {100, 10},
	"DeleteSnapshot":          {100, 5},
	"DeleteVolume":            {100, 5},
	"DeregisterImage":         {100, 5},
	"ModifyImageAttribute":    {100, 5},
	"ModifySnapshotAttribute": {100, 5},
}

func sizeOf(op string) size {
	if s, ok := sizes[op]; ok {
		return s
	}
	if strings.HasPrefix(op, "Describe") || strings.HasPrefix(op, "Get") {
		return size{100, 20}
	}
	return size{50, 5}
}

func newGovernor(attempts int) *governor {
	if attempts <= 0 {
		attempts = 10
	}
	return &governor{attempts: attempts, buckets: map[string]*bucket{}}
}

func (g *governor) bucket(op string) *bucket {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.buckets[op]
	if b == nil {
		s := sizeOf(op)
		b = &bucket{size: s, rate: s.refill, tokens: s.burst, last: time.Now()}
		g.buckets[op] = b
	}
	return b
}

// GetAttemptToken waits for the operation's turn.
func (g *governor) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	b := g.bucket(awsmiddle.GetOperationName(ctx))
	if err := pause(ctx, b.take()); err != nil {
		return nil, err
	}
	return func(err error) error { b.learn(err); return nil }, nil
}

func (g *governor) GetInitialToken() func(error) error { return func(error) error { return nil } }

func (g *governor) GetRetryToken(context.Context, error) (func(error) error, error) {
	return func(error) error { return nil }, nil
}

func (g *governor) MaxAttempts() int { return g.attempts }

// IsErrorRetryable asks the same table as the steps do, but leaves to them what
// only their knowledge of ages and states can decide.
func (g *governor) IsErrorRetryable(err error) bool {
	code, _ := apiError(err)
	for _, r := range rules {
		if r.code == code {
			return false
		}
	}
	return transient(err)
}

// RetryDelay grows with every attempt and is spread, so that many builds that
// were throttled together do not come back together.
func (g *governor) RetryDelay(attempt int, err error) (time.Duration, error) {
	base := 100 * time.Millisecond
	if throttled(err) {
		base = 250 * time.Millisecond
	}
	d := min(base<<min(attempt, 7), 20*time.Second)
	return d/2 + rand.N(d/2+1), nil
}

// doubtful marks the last error of a call when an earlier attempt of it may have
// had an effect, which that error does not tell.
func doubtful(stack *middleware.Stack) error {
	mark := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleFinalize(ctx, in)
		if all, ok := retry.GetAttemptResults(meta); ok && err != nil {
			for _, a := range all.Results[:len(all.Results)-1] {
				if a.Err != nil && !throttled(a.Err) && !noCredentials(a.Err) {
					return out, meta, &afterDoubt{err}
				}
			}
		}
		return out, meta, err
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("imgflow doubt", mark), "Retry", middleware.Before)
}

// bucket grants calls at a rate that throttling shrinks.
type bucket struct {
	size
	mu     sync.Mutex
	rate   float64 // a second, at most refill
	tokens float64 // below 0: promised to callers that wait
	last   time.Time
}

// take returns how long to wait before the call.
func (b *bucket) take() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	b.last = now
	b.tokens--
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / b.rate * float64(time.Second))
}

// learn slows down at throttling and takes heart again at success.
func (b *bucket) learn(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.rate = min(b.refill, b.rate+b.refill/20)
	case throttled(err):
		b.rate = max(b.refill/8, b.rate*0.7)
		b.tokens = min(b.tokens, 1) // what seemed to be left was not
	}
}
