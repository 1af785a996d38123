package aws

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awsmiddle "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// askTurn asks for the turn of a call, which is over at once.
func askTurn(ctx context.Context, g *limiter, op string) (err error) {
	next := middleware.InitializeHandlerFunc(func(ctx context.Context, _ middleware.InitializeInput) (out middleware.InitializeOutput, meta middleware.Metadata, _ error) {
		_, err = g.GetAttemptToken(ctx)
		return out, meta, nil
	})
	awsmiddle.RegisterServiceMetadata{OperationName: op}.HandleInitialize(ctx, middleware.InitializeInput{}, next)
	return err
}

// Where nobody has published a pace no call waits, until one was throttled.
func TestFreePace(t *testing.T) {
	g := newLimiter(0)
	g.free = true
	b := g.calls("RunInstances")
	for range 100 {
		if !b.tokens.Allow() {
			t.Fatal("a call waits that nobody would throttle")
		}
	}
	b.learn(nil)
	if b.tokens.Limit() != rate.Inf {
		t.Error("a good call brings a pace about")
	}
	b.learn(ec2Error("RequestLimitExceeded"))
	b.tokens.Allow()
	if b.tokens.Allow() || b.tokens.Limit() > b.refill {
		t.Error("throttling changes nothing")
	}
	for endpoint, free := range map[string]bool{"http://127.0.0.1:1": true, "https://ec2.example.com": false} {
		client, _, err := NewCloud(CloudOptions{Endpoint: endpoint, AccessKey: "a", SecretKey: "b"}).client(t.Context(), Access{}, home)
		if err != nil {
			t.Fatal(err)
		}
		if got := client.Options().Retryer.(*limiter).free; got != free {
			t.Errorf("%s: free %t", endpoint, got)
		}
	}
}

// However many call, so many calls are on their way; whoever gives up before is not
// sent.
func TestCallsInFlight(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var now, most, sent atomic.Int64
	full, once := make(chan struct{}), sync.Once{}
	w.front.setPlay(func(http.ResponseWriter, string, int, url.Values) bool {
		sent.Add(1)
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == maxInFlight {
			once.Do(func() { close(full) })
		}
		select {
		case <-full:
			time.Sleep(20 * time.Millisecond)
		case <-t.Context().Done():
		}
		return false
	})
	s := w.site()
	var wg sync.WaitGroup
	ask := func(ctx context.Context, fails bool) {
		wg.Go(func() {
			if _, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{}); (err != nil) != fails {
				t.Error(err)
			}
		})
	}
	mergeTags, cancel := context.WithCancel(t.Context())
	cancel()
	for range maxInFlight - 1 {
		ask(t.Context(), false)
	}
	for range 10 {
		ask(mergeTags, true)
	}
	for range 2 * maxInFlight {
		ask(t.Context(), false)
	}
	wg.Wait()
	if most.Load() != maxInFlight || sent.Load() != 3*maxInFlight-1 {
		t.Errorf("%d calls were on their way at once, %d in all", most.Load(), sent.Load())
	}
}

// A call that is about many instances takes a token for each of them.
func TestPaceOfResources(t *testing.T) {
	g := newLimiter(0)
	if err := askTurn(t.Context(), g, "TerminateInstances"); err != nil {
		t.Fatal(err)
	}
	many := context.WithValue(t.Context(), batchSizeKey{}, 900)
	if err := askTurn(many, g, "TerminateInstances"); err != nil {
		t.Fatal(err)
	}
	instances := g.bucket("TerminateInstances resources", resources["TerminateInstances"])
	if left := instances.tokens.Tokens(); left < 90 || left > 900 {
		t.Errorf("%.0f tokens are left of 1000 - 1 - 900", left)
	}
	// Nobody waits for the 40 s that the next 900 take; what was not used is given back.
	soon, cancel := context.WithTimeout(many, 10*time.Millisecond)
	defer cancel()
	if err := askTurn(soon, g, "TerminateInstances"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it was its turn at once: %v", err)
	}
	if left := instances.tokens.Tokens(); left < 0 {
		t.Errorf("%.0f tokens are left: a call that was given up has kept its own", left)
	}
}

// Clouds that have their paces in common share what one account is granted in a region,
// and no more.
func TestPacesAreShared(t *testing.T) {
	shared := NewShared()
	grantOf := func(o CloudOptions, a Access, region string) *grant {
		t.Helper()
		o.Shared = shared
		client, _, err := NewCloud(o).client(t.Context(), a, region)
		if err != nil {
			t.Fatal(err)
		}
		return client.Options().Retryer.(*limiter).grant
	}
	env := func(name string) string { return map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}[name] }
	secret := func(name string) (string, error) { return "value of " + name, nil }
	o := CloudOptions{Getenv: env, Secret: secret}
	keys := Access{AccessKey: "a", SecretKey: "s"}
	one := grantOf(o, keys, home)
	patient := keys
	patient.MaxRetries = 3
	other := Access{AccessKey: "b", SecretKey: "s"}
	for what, x := range map[string]struct {
		got    *grant
		shared bool
	}{
		"another cloud":           {grantOf(o, keys, home), true},
		"other patience":          {grantOf(o, patient, home), true},
		"another account":         {grantOf(o, other, home), false},
		"another region":          {grantOf(o, keys, "eu-west-1"), false},
		"an endpoint of its own":  {grantOf(CloudOptions{Endpoint: "https://ec2.example.com", AccessKey: "a", SecretKey: "s"}, Access{}, home), false},
		"a cloud with other ones": {newLimiter(0).grant, false},
	} {
		if (x.got == one) != x.shared {
			t.Errorf("%s: shared is %t", what, !x.shared)
		}
	}
}

// Processes that call one account take a part of what it is granted, from the moment on at
// which that is known, and what throttling has taught stays. A bucket that is new then is empty.
func TestAPartOfThePace(t *testing.T) {
	shared := NewShared()
	g := shared.grant(Access{AccessKey: "a"}, "ours", home, "")
	free := shared.grant(Access{AccessKey: "a"}, "ours", home, "http://127.0.0.1:1")
	other := shared.grant(Access{AccessKey: "b"}, "theirs", home, "")
	free.calls("DescribeImages")
	old, slow := g.calls("DescribeImages"), g.calls("RunInstances")
	slow.learn(ec2Error("RequestLimitExceeded"))
	taught := slow.tokens.Limit()
	part := 0.2
	share := func(site string) float64 { return map[string]float64{"ours": part, "theirs": 0.5}[site] }
	shared.Share(share, nil)
	fresh := g.calls("CreateTags")
	later := shared.grant(Access{AccessKey: "c"}, "ours", home, "").calls("CreateTags")
	for i, x := range []struct {
		b      *bucket
		limit  rate.Limit
		tokens int
	}{{old, 4, 20}, {fresh, 2, 20}, {later, 2, 20}, {other.calls("CreateTags"), 5, 50}, {slow, taught / 5, 1}, {free.calls("DescribeImages"), rate.Inf, 20}} {
		if got := x.b.tokens; got.Limit() != x.limit || got.Burst() != x.tokens {
			t.Errorf("%d: %v a second and %d at once, wanted %v and %d", i, got.Limit(), got.Burst(), x.limit, x.tokens)
		}
	}
	if full, empty := fresh.tokens.Tokens(), later.tokens.Tokens(); full < 19 || empty > 19 {
		t.Errorf("%v tokens are there where others did not call before, and %v where they may have", full, empty)
	}
	for range 100 {
		slow.learn(nil)
	}
	if got := slow.tokens.Limit(); got != 0.4 {
		t.Errorf("it recovers to %v a second", got)
	}
	many := context.WithValue(t.Context(), batchSizeKey{}, 1000)
	if err := askTurn(many, &limiter{1, g}, "TerminateInstances"); err != nil {
		t.Error(err)
	}
	part = 1
	shared.Share(share, nil)
	if got := old.tokens; got.Limit() != 20 || got.Burst() != 100 {
		t.Errorf("alone again it has %v a second and %d at once", got.Limit(), got.Burst())
	}
}

// Three processes that call one account are throttled when each takes all that AWS grants,
// and are not when each takes its part.
func TestProcessesShareWhatIsGranted(t *testing.T) {
	const processes, calls = 3, 40
	throttled := func(callers int) int64 {
		w := newWorld(t, ec2local.Faults{Buckets: true})
		var refused atomic.Int64
		var wg sync.WaitGroup
		for range processes {
			o := w.cloud.o
			o.Shared = NewShared()
			if callers > 1 {
				o.Shared.Share(func(string) float64 { return 0.8 / float64(callers) }, nil)
			}
			client, _, err := NewCloud(o).client(t.Context(), Access{}, home)
			if err != nil {
				t.Fatal(err)
			}
			client.Options().Retryer.(*limiter).free = false // as AWS's own endpoint
			client = ec2.New(client.Options(), func(o *ec2.Options) {
				o.Retryer = throttleCount{o.Retryer.(*limiter), &refused}
			})
			for range calls {
				wg.Go(func() {
					if _, err := client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}}); apiCode(err) != "InvalidInstanceID.NotFound" {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		return refused.Load()
	}
	alone := throttled(1)
	t.Logf("%d of %d calls were throttled when each takes all", alone, processes*calls)
	if alone == 0 {
		t.Error("nobody is throttled when each takes all: the test shows nothing")
	}
	if n := throttled(processes); n != 0 {
		t.Errorf("%d calls were throttled when each takes its part", n)
	}
}

// throttleCount counts what a limiter is told of throttling.
type throttleCount struct {
	*limiter
	refused *atomic.Int64
}

func (w throttleCount) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	done, err := w.limiter.GetAttemptToken(ctx)
	return func(err error) error {
		if isThrottled(err) {
			w.refused.Add(1)
		}
		return done(err)
	}, err
}

func apiCode(err error) string {
	code, _ := apiError(err)
	return code
}
