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
		client, err := NewCloud(CloudOptions{Endpoint: endpoint, AccessKey: "a", SecretKey: "b"}).client(t.Context(), Access{}, home)
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
