package aws

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// What has gone costs the others neither their lease nor a call for each.
func TestOneThatIsGoneHasNoLease(t *testing.T) {
	for _, gone := range []string{"", "i-0", "i-77", "i-99"} {
		calls, tagged := 0, map[string]bool{}
		s := &site{api: API{CreateTags: func(_ context.Context, in *ec2.CreateTagsInput, _ ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
			calls++
			if slices.Contains(in.Resources, gone) {
				return nil, ec2Error("InvalidInstanceID.NotFound")
			}
			for _, id := range in.Resources {
				tagged[id] = true
			}
			return &ec2.CreateTagsOutput{}, nil
		}}}
		var ids []string
		for i := range 100 {
			ids = append(ids, fmt.Sprintf("i-%d", i))
		}
		want := len(ids)
		if gone != "" {
			want--
		}
		if err := s.tagEach(t.Context(), map[string]string{TagExpires: "later"}, ids); (err == nil) != (gone == "") || len(tagged) != want || calls > 15 {
			t.Errorf("%q is gone: %d of 100 have a lease after %d calls: %v", gone, len(tagged), calls, err)
		}
	}
	// All wait where EC2 answers nobody.
	calls := 0
	s := &site{api: API{CreateTags: func(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
		calls++
		return nil, ec2Error("RequestLimitExceeded")
	}}}
	if err := s.tagEach(t.Context(), nil, []string{"i-0", "i-1"}); !isThrottled(err) || calls != 1 {
		t.Errorf("%d calls: %v", calls, err)
	}
}

// What a run makes has a lease from its making on, so that a young run has nothing to
// renew; one that is taken up again may have, at once.
func TestAYoungRunHasNothingToRenew(t *testing.T) {
	for age, want := range map[time.Duration]string{0: "[5m0s 10m0s 15m0s]", 3 * time.Minute: "[2m0s 7m0s 12m0s 17m0s]", time.Hour: "[0s 5m0s 10m0s 15m0s]"} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			var renewed []time.Duration
			c, here := NewCloud(CloudOptions{Lease: time.Hour}), Place{Region: "here"}
			c.sites[here] = &site{Place: here, pool: &pool{clock: &clock{own: time.Now}}, api: API{DescribeTags: func(context.Context, *ec2.DescribeTagsInput, ...func(*ec2.Options)) (*ec2.DescribeTagsOutput, error) {
				renewed = append(renewed, time.Since(begun))
				return &ec2.DescribeTagsOutput{}, nil
			}}}
			c.learn(here)
			ctx, cancel := context.WithTimeout(t.Context(), 18*time.Minute)
			defer cancel()
			c.KeepLease(ctx, "r1", begun.Add(-age))
			if got := fmt.Sprint(renewed); got != want {
				t.Errorf("the lease of a run that is %s old was renewed after %s, want %s", age, got, want)
			}
		})
	}
}

// Of several processes that drive a run the one renews its lease that the site belongs to, as it is then, and the others
// for the case that it does not.
func TestWhoRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var own [3]atomic.Bool
		var renewed [3]int
		own[1].Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 29*time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for i := range own {
			o := CloudOptions{Lease: time.Hour, Shared: NewShared()}
			c, here := NewCloud(o), Place{Region: "here"}
			c.sites[here] = &site{Place: here, pool: &pool{clock: &clock{own: time.Now}}, api: API{DescribeTags: func(context.Context, *ec2.DescribeTagsInput, ...func(*ec2.Options)) (*ec2.DescribeTagsOutput, error) {
				renewed[i]++
				return &ec2.DescribeTagsOutput{}, nil
			}}}
			c.learn(here)
			site := c.siteAt(here)
			o.Shared.Share(func(string) float64 { return 1 }, func(s string) bool { return s == site && own[i].Load() })
			all.Go(func() { c.KeepLease(ctx, "r1", time.Now()) })
		}
		time.Sleep(17 * time.Minute)
		own[1].Store(false) // it is gone
		own[2].Store(true)
		all.Wait()
		if renewed != [3]int{1, 3, 2} {
			t.Errorf("they have renewed %v times", renewed)
		}
	})
}
