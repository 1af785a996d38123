package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/internal/sleep"
)

// ender is an EC2 whose calls last a second. It does not know some instances.
type ender struct {
	mu      sync.Mutex
	calls   [][]string
	unknown []string
	fails   error // every call
}

func (e *ender) terminate(ctx context.Context, in *ec2.TerminateInstancesInput, _ ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error) {
	e.mu.Lock()
	e.calls = append(e.calls, in.InstanceIds)
	e.mu.Unlock()
	if err := sleep.For(ctx, time.Second); err != nil {
		return nil, err
	}
	out := &ec2.TerminateInstancesOutput{}
	for _, id := range in.InstanceIds {
		if slices.Contains(e.unknown, id) {
			return nil, ec2Error("InvalidInstanceID.NotFound")
		}
		out.TerminatingInstances = append(out.TerminatingInstances, types.InstanceStateChange{InstanceId: &id})
	}
	return out, e.fails
}

// end has n callers terminate an instance each.
func (e *ender) end(t *testing.T, n int) (errs []error) {
	api := API{TerminateInstances: e.terminate}
	newBatches(breath{}).put(&api)
	errs = make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := fmt.Sprintf("i-%d", i)
			out, err := api.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
			if errs[i] = err; err == nil && (len(out.TerminatingInstances) != 1 || text(out.TerminatingInstances[0].InstanceId) != id) {
				t.Errorf("the answer for %s is %v", id, out.TerminatingInstances)
			}
		})
	}
	wg.Wait()
	return errs
}

func TestCallsGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ender{}
		for i, err := range e.end(t, 2*maxBatch+2) {
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		var sizes []int
		for _, c := range e.calls {
			sizes = append(sizes, len(c))
		}
		if !slices.Equal(sizes, []int{1, maxBatch, maxBatch, 1}) {
			t.Errorf("calls about %v instances", sizes)
		}
	})
}

// In a fleet those who call the same come one after the other, so the one who calls waits for
// more of them.
func TestAFleetWaitsForMoreCalls(t *testing.T) {
	calls := func(fleet bool) (n int) {
		synctest.Test(t, func(t *testing.T) {
			e := &ender{}
			api := API{TerminateInstances: e.terminate}
			newBatches(breathOf(8*time.Second, fleet)).put(&api)
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * 80 * time.Millisecond)
					if _, err := api.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{fmt.Sprint(i)}}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			n = len(e.calls)
			time.Sleep(time.Minute) // the pause after the last
		})
		return n
	}
	if alone, fleet := calls(false), calls(true); fleet > 3 || alone <= fleet {
		t.Errorf("%d calls of a process alone, and %d of one in a fleet", alone, fleet)
	}
}

// One that is not there fails alone.
func TestOneOfManyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ender{unknown: []string{"i-7"}}
		for i, err := range e.end(t, 60) {
			if code, _ := apiError(err); (i == 7) != (code == "InvalidInstanceID.NotFound") {
				t.Errorf("i-%d: %v", i, err)
			}
		}
		if len(e.calls) > 15 {
			t.Errorf("%d calls to find one of 60", len(e.calls))
		}
	})
}

// What passes is everybody's: nobody calls again in a hurry.
func TestTroubleOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ender{fails: ec2Error("RequestLimitExceeded")}
		for i, err := range e.end(t, 60) {
			if !isThrottled(err) {
				t.Errorf("i-%d: %v", i, err)
			}
		}
		if len(e.calls) != 2 {
			t.Errorf("%d calls", len(e.calls))
		}
	})
}

// Whoever gives up is not waited for, and the others do not notice.
func TestOneOfManyGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ender{}
		api := API{TerminateInstances: e.terminate}
		newBatches(breath{}).put(&api)
		short, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		end := func(ctx context.Context, id string, want error) {
			wg.Go(func() {
				if _, err := api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); !errors.Is(err, want) {
					t.Errorf("%s: %v", id, err)
				}
			})
			synctest.Wait()
		}
		end(t.Context(), "first", nil)
		end(short, "hasty", context.DeadlineExceeded)
		end(t.Context(), "patient", nil)
		wg.Wait()
		if len(e.calls) != 2 {
			t.Errorf("%d calls", len(e.calls))
		}
		// Nor is a call made for nobody.
		start := time.Now()
		none, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		end(t.Context(), "first", nil)
		end(none, "hasty", context.DeadlineExceeded)
		end(none, "hasty, too", context.DeadlineExceeded)
		wg.Wait()
		end(t.Context(), "last", nil)
		wg.Wait()
		if took := time.Since(start); took != 2500*time.Millisecond {
			t.Errorf("the last has ended after %s", took)
		}
	})
}

// Builds that look whether their names are free look together, and each has what is
// its own.
func TestNamesAreLookedForTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		s := &site{api: API{DescribeImages: func(ctx context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
			mu.Lock()
			sizes = append(sizes, len(in.Filters[0].Values))
			mu.Unlock()
			out := &ec2.DescribeImagesOutput{}
			for _, name := range in.Filters[0].Values {
				if strings.HasSuffix(name, "7") {
					out.Images = append(out.Images, types.Image{Name: ptr(name), ImageId: ptr("ami-" + name)})
				}
			}
			return out, sleep.For(ctx, time.Second)
		}}}
		s.named = newBatches(breath{}).names.of(s.lookForNames)
		var wg sync.WaitGroup
		for i := range 2*maxBatch + 1 {
			wg.Go(func() {
				name, want := fmt.Sprint(i), "[]"
				if i%10 == 7 {
					want = fmt.Sprintf("[ami-%d]", i)
				}
				if ids, err := s.namesakes(t.Context(), name); err != nil || fmt.Sprint(ids) != want {
					t.Errorf("%s: %v, %v", name, ids, err)
				}
			})
		}
		wg.Wait()
		if !slices.Equal(sizes, []int{1, maxBatch, maxBatch}) {
			t.Errorf("calls about %v names", sizes)
		}
	})
}

// Calls that say something else go by themselves, as do those with options.
func TestOtherCallsGoAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []string
		api := API{CreateTags: func(ctx context.Context, in *ec2.CreateTagsInput, _ ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
			mu.Lock()
			calls = append(calls, fmt.Sprint(tagMap(in.Tags), in.Resources))
			mu.Unlock()
			return &ec2.CreateTagsOutput{}, sleep.For(ctx, time.Second)
		}}
		newBatches(breath{}).put(&api)
		s := &site{api: api}
		var wg sync.WaitGroup
		for _, of := range []struct{ tag, id string }{{"x", "1"}, {"x", "2"}, {"x", "3"}, {"y", "4"}, {"y", "5"}} {
			wg.Go(func() {
				if err := s.setTags(t.Context(), map[string]string{"k": of.tag}, of.id); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		slices.Sort(calls)
		if got := strings.Join(calls, " "); got != "map[k:x] [1] map[k:x] [2 3] map[k:y] [4] map[k:y] [5]" {
			t.Errorf("calls %s", got)
		}
		calls = nil
		for range 3 {
			wg.Go(func() {
				api.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{"6"}}, func(*ec2.Options) {})
			})
		}
		wg.Wait()
		if len(calls) != 3 {
			t.Errorf("calls %s", calls)
		}
	})
}
