package aws

import (
	"context"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddle "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"

	"github.com/imgflow/imgflow/internal/sleep"
)

// Share says that processes elsewhere call the same sites, in the words of Cloud.Site,
// which part of what AWS grants to each is this one's, and whether it is this one that makes
// the calls there which nobody waits for. It may be called again when that
// changes. What is granted at once is not there from the beginning then: whoever has called
// there before may just have used it.
func (p *Shared) Share(part func(site string) float64, own func(site string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part, p.own = part, own
	for _, g := range p.grants {
		g.take(part(g.site))
	}
}

// owns tells whether this process makes the calls at a site which nobody waits for.
func (p *Shared) owns(site string) bool {
	p.mu.Lock()
	own := p.own
	p.mu.Unlock()
	return own == nil || own(site)
}

// grant is what is granted to an account: to what its settings mean, at a site.
func (p *Shared) grant(meant Access, site, region, endpoint string) *grant {
	digest := p.digest(meant, region, endpoint)
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.grants[digest]
	if g == nil {
		g = newGrant(isLoopback(endpoint))
		if g.site = site; p.part != nil {
			g.empty, g.part = true, p.part(site)
		}
		p.grants[digest] = g
	}
	return g
}

// grant is the buckets of one account in one region, which have the sizes that AWS
// publishes, or this process's part of them.
type grant struct {
	free    bool // nobody has published a pace: calls wait for one another once they were throttled
	empty   bool // buckets fill from the beginning
	site    string
	mu      sync.Mutex
	buckets map[string]*bucket
	part    float64
}

func newGrant(free bool) *grant { return &grant{free: free, buckets: map[string]*bucket{}, part: 1} }

// take makes this process's part of the buckets another one.
func (g *grant) take(part float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.part = part
	for _, b := range g.buckets {
		b.take(part)
	}
}

// limiter is the SDK's retryer for one account in one region. A throttled call slows
// every caller of the same bucket down, and the pace recovers by and by.
type limiter struct {
	attempts int
	*grant
}

var _ awssdk.RetryerV2 = (*limiter)(nil)

// size is what AWS grants: tokens at once, and tokens a second after that.
type size struct {
	burst  int
	refill rate.Limit
}

// sizes of the buckets of calls, by operation; what is not here is a lookup or an
// ordinary change.
var sizes = map[string]size{
	"RunInstances":            {5, 2},
	"TerminateInstances":      {100, 5},
	"CopyImage":               {100, 1},
	"CreateTags":              {100, 10},
	"EnableFastLaunch":        {5, 2},
	"DeleteTags":              {100, 10},
	"DeleteSnapshot":          {100, 5},
	"DeleteVolume":            {100, 5},
	"DeregisterImage":         {100, 5},
	"ModifyImageAttribute":    {100, 5},
	"ModifySnapshotAttribute": {100, 5},
	"UploadPart":              {1000, 1000}, // of the 3,500 writes a second that S3 grants
}

// resources are the sizes of the buckets that have a token for each instance that
// a call is about, and not for each call.
var resources = map[string]size{
	"RunInstances":       {1000, 2},
	"TerminateInstances": {1000, 20},
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

// newLimiter returns one with buckets of its own.
func newLimiter(attempts int) *limiter {
	if attempts <= 0 {
		attempts = 10
	}
	return &limiter{attempts, newGrant(false)}
}

func (g *grant) bucket(name string, s size) *bucket {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.buckets[name]
	if b == nil {
		b = &bucket{whole: s, size: s, tokens: rate.NewLimiter(s.refill, s.burst)}
		b.take(g.part)
		if g.empty {
			b.tokens.AllowN(time.Now(), b.burst)
		}
		if g.free {
			b.tokens.SetLimit(rate.Inf)
		}
		g.buckets[name] = b
	}
	return b
}

// calls is the bucket of an operation.
func (g *grant) calls(op string) *bucket { return g.bucket(op, sizeOf(op)) }

// manyKey is of the context's value that says about how many instances a call is,
// an int; without it, about one.
type batchSizeKey struct{}

// GetAttemptToken waits for the operation's turn.
func (g *limiter) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	return g.acquire(ctx, awsmiddle.GetOperationName(ctx))
}

// acquire waits for an operation's turn, and returns what is told how the attempt has
// ended.
func (g *limiter) acquire(ctx context.Context, op string) (func(error) error, error) {
	b := g.calls(op)
	turns := []*rate.Reservation{b.tokens.Reserve()}
	if s, ok := resources[op]; ok {
		many, ok := ctx.Value(batchSizeKey{}).(int)
		if !ok {
			many = 1
		}
		tokens := g.bucket(op+" resources", s).tokens
		turns = append(turns, tokens.ReserveN(time.Now(), min(many, tokens.Burst())))
	}
	for _, r := range turns {
		if err := sleep.For(ctx, r.Delay()); err != nil {
			for _, r := range turns {
				r.Cancel()
			}
			return nil, err
		}
	}
	return func(err error) error { b.learn(err); return nil }, nil
}

func (g *limiter) GetInitialToken() func(error) error { return func(error) error { return nil } }

func (g *limiter) GetRetryToken(context.Context, error) (func(error) error, error) {
	return func(error) error { return nil }, nil
}

func (g *limiter) MaxAttempts() int { return g.attempts }

// IsErrorRetryable asks the same table as the steps do, but leaves to them what
// only their knowledge of ages and states can decide.
func (g *limiter) IsErrorRetryable(err error) bool {
	code, _ := apiError(err)
	for _, r := range rules {
		if r.code == code {
			return false
		}
	}
	return isTransient(err)
}

// RetryDelay grows with every attempt and is spread, so that many builds that
// were throttled together do not come back together.
func (g *limiter) RetryDelay(attempt int, err error) (time.Duration, error) {
	base := 100 * time.Millisecond
	if isThrottled(err) {
		base = 250 * time.Millisecond
	}
	d := min(base<<min(attempt, 7), 20*time.Second)
	return d/2 + mathrand.N(d/2+1), nil
}

// markAmbiguous marks the last error of a call when an earlier attempt of it may have
// had an effect, which that error does not tell.
func markAmbiguous(stack *middleware.Stack) error {
	mark := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleFinalize(ctx, in)
		if all, ok := retry.GetAttemptResults(meta); ok && err != nil {
			for _, a := range all.Results[:len(all.Results)-1] {
				if a.Err != nil && !isThrottled(a.Err) && !noCredentials(a.Err) {
					return out, meta, &ambiguousError{err}
				}
			}
		}
		return out, meta, err
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("imgflow doubt", mark), "Retry", middleware.Before)
}

// maxInFlight is how many calls of one account in one region are on their way at
// once. AWS grants less; an endpoint that takes them one by one would let the last
// of a thousand wait until it counts as lost, and is sent again.
const maxInFlight = 64

// atMost lets so many attempts of calls be on their way at once. The others wait
// before the time of an attempt begins.
func atMost(n int) func(*middleware.Stack) error {
	slots := make(chan struct{}, n)
	wait := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return middleware.FinalizeOutput{}, middleware.Metadata{}, ctx.Err()
		}
		defer func() { <-slots }()
		return next.HandleFinalize(ctx, in)
	}
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("imgflow slots", wait), "Retry", middleware.After)
	}
}

// bucket grants calls at a rate that throttling shrinks.
type bucket struct {
	whole  size       // what AWS grants
	mu     sync.Mutex // of what take and learn change
	size              // this process's part of it
	tokens *rate.Limiter
}

// take makes the bucket a part of what AWS grants.
func (b *bucket) take(part float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.refill
	b.size = size{max(1, int(float64(b.whole.burst)*part)), b.whole.refill * rate.Limit(part)}
	if pace := b.tokens.Limit(); pace != rate.Inf {
		b.tokens.SetLimit(pace * b.refill / was) // what throttling has taught stays
	}
	b.tokens.SetBurst(b.burst)
}

// learn slows down at throttling and takes heart again at success.
func (b *bucket) learn(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pace := min(b.tokens.Limit(), b.refill)
	switch {
	case isThrottled(err):
		b.tokens.SetLimit(max(b.refill/8, pace*0.7))
		b.tokens.ReserveN(time.Now(), max(0, int(b.tokens.Tokens())-1)) // what seemed to be left was not
	case err == nil && b.tokens.Limit() != rate.Inf:
		b.tokens.SetLimit(min(b.refill, pace+b.refill/20))
	}
}
