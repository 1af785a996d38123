package aws

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxTogether is how many things one call is about at most. EC2 takes 1000; one
// that it does not like costs a few more calls for the others.
const maxBatch = 100

// batches let calls go together that are made at one time, say the same and can name many
// things, whichever site makes them. All must be safe to repeat.
type batches struct {
	stops        *batcher[ec2.StopInstancesInput, ec2.StopInstancesOutput]
	terminations *batcher[ec2.TerminateInstancesInput, ec2.TerminateInstancesOutput]
	tags         *batcher[ec2.CreateTagsInput, ec2.CreateTagsOutput]
	untags       *batcher[ec2.DeleteTagsInput, ec2.DeleteTagsOutput]
	names        *batcher[imageNames, imagesNamed]
}

func newBatches(b breath) batches {
	return batches{
		stops: newBatcher(b, func(in *ec2.StopInstancesInput) *[]string { return &in.InstanceIds },
			func(out ec2.StopInstancesOutput, ids []string) *ec2.StopInstancesOutput {
				out.StoppingInstances = changesOf(out.StoppingInstances, ids)
				return &out
			}),
		terminations: newBatcher(b, func(in *ec2.TerminateInstancesInput) *[]string { return &in.InstanceIds },
			func(out ec2.TerminateInstancesOutput, ids []string) *ec2.TerminateInstancesOutput {
				out.TerminatingInstances = changesOf(out.TerminatingInstances, ids)
				return &out
			}),
		tags:   newBatcher(b, func(in *ec2.CreateTagsInput) *[]string { return &in.Resources }, entire[ec2.CreateTagsOutput]),
		untags: newBatcher(b, func(in *ec2.DeleteTagsInput) *[]string { return &in.Resources }, entire[ec2.DeleteTagsOutput]),
		names:  newBatcher(b, func(in *imageNames) *[]string { return &in.Names }, entire[imagesNamed]),
	}
}

// entire is an answer that is everybody's.
func entire[Out any](out Out, _ []string) *Out { return &out }

// put has the calls of a client go together with others.
func (b batches) put(a *API) {
	a.StopInstances = b.stops.of(a.StopInstances)
	a.TerminateInstances = b.terminations.of(a.TerminateInstances)
	a.CreateTags = b.tags.of(a.CreateTags)
	a.DeleteTags = b.untags.of(a.DeleteTags)
}

// changesOf are the changes of some instances among others.
func changesOf(all []types.InstanceStateChange, ids []string) []types.InstanceStateChange {
	return slices.DeleteFunc(slices.Clone(all), func(c types.InstanceStateChange) bool { return !slices.Contains(ids, text(c.InstanceId)) })
}

// batcher makes one call for many callers. The first goes at once; whoever comes
// while it is on its way waits for its end, and all of them go then, in one call of one of
// them. So nobody waits for others that may not come.
//
// After a call of a kind there is a pause, in which others gather: as long as somebody comes in
// it, it is twice as long the next time, up to the longest.
type batcher[In, Out any] struct {
	breath breath
	ids    func(*In) *[]string              // the things that a call is about
	part   func(out Out, ids []string) *Out // of an answer, what is about some of them

	mu      sync.Mutex
	waiting map[string][]*caller[In, Out] // by what they say but for the things, while a call of that kind is on its way
}

// caller is one that waits.
type caller[In, Out any] struct {
	ctx  context.Context
	call call[In, Out]
	in   *In
	end  chan batchResult[Out]
}

type batchResult[Out any] struct {
	out *Out
	err error
}

func newBatcher[In, Out any](b breath, ids func(*In) *[]string, part func(Out, []string) *Out) *batcher[In, Out] {
	return &batcher[In, Out]{breath: b, ids: ids, part: part, waiting: map[string][]*caller[In, Out]{}}
}

// of is a call that goes together with others.
func (j *batcher[In, Out]) of(c call[In, Out]) call[In, Out] {
	return func(ctx context.Context, in *In, opts ...func(*ec2.Options)) (*Out, error) {
		if len(opts) > 0 {
			return c(ctx, in, opts...)
		}
		return j.do(&caller[In, Out]{ctx, c, in, make(chan batchResult[Out], 1)})
	}
}

func (j *batcher[In, Out]) do(p *caller[In, Out]) (*Out, error) {
	same := *p.in
	*j.ids(&same) = nil
	said, _ := json.Marshal(same) // plain data always marshals
	kind := string(said)
	j.mu.Lock()
	if _, busy := j.waiting[kind]; !busy {
		j.waiting[kind] = nil
		j.mu.Unlock()
		defer func() { go j.sendWaiting(kind) }()
		return p.call(j.about(p.ctx, p.in), p.in)
	}
	j.waiting[kind] = append(j.waiting[kind], p)
	j.mu.Unlock()
	select {
	case a := <-p.end:
		return a.out, a.err
	case <-p.ctx.Done():
		return nil, p.ctx.Err()
	}
}

// about tells the pace how many things a call is about.
func (j *batcher[In, Out]) about(ctx context.Context, in *In) context.Context {
	return context.WithValue(ctx, batchSizeKey{}, len(*j.ids(in)))
}

// sendWaiting sends what all want that wait, until nobody does.
func (j *batcher[In, Out]) sendWaiting(kind string) {
	for pause := j.breath.shortest; ; pause = min(2*pause, j.breath.longest) {
		time.Sleep(pause)
		j.mu.Lock()
		ps := slices.DeleteFunc(j.waiting[kind], func(p *caller[In, Out]) bool { return p.ctx.Err() != nil })
		if len(ps) == 0 {
			delete(j.waiting, kind)
			j.mu.Unlock()
			return
		}
		n, things := 0, 0
		for n < len(ps) && (n == 0 || things+len(*j.ids(ps[n].in)) <= maxBatch) {
			things += len(*j.ids(ps[n].in))
			n++
		}
		j.waiting[kind] = ps[n:]
		j.mu.Unlock()
		j.send(ps[:n])
	}
}

// send makes the call of some. One thing that EC2 does not like fails the call for
// all, so it is sought by halves. What has nothing to do with things is everybody's.
func (j *batcher[In, Out]) send(ps []*caller[In, Out]) {
	ctx, cancel := anyOf(ps)
	in := *ps[0].in
	var all []string
	for _, p := range ps {
		all = append(all, *j.ids(p.in)...)
	}
	slices.Sort(all)
	*j.ids(&in) = slices.Compact(all)
	out, err := ps[0].call(j.about(ctx, &in), &in)
	cancel()
	if err != nil && len(ps) > 1 && !isTransient(err) && !noCredentials(err) {
		j.send(ps[:len(ps)/2])
		j.send(ps[len(ps)/2:])
		return
	}
	for _, p := range ps {
		a := batchResult[Out]{err: err}
		if err == nil {
			a.out = j.part(*out, *j.ids(p.in))
		}
		p.end <- a
	}
}

// anyOf is a context that lasts as long as somebody waits.
func anyOf[In, Out any](ps []*caller[In, Out]) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ps[0].ctx))
	var left atomic.Int64
	left.Store(int64(len(ps)))
	stops := make([]func() bool, len(ps))
	for i, p := range ps {
		stops[i] = context.AfterFunc(p.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
