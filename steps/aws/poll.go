package aws

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// poller serves all waits for one type of thing in one site with one call a
// round. A wait has no deadline: what makes progress on AWS is never given up.
type poller[T any] struct {
	settle time.Duration
	list   func(ctx context.Context, ids []string) (map[string]T, error)

	mu      sync.Mutex
	watches map[*watch[T]]bool
	wake    chan struct{}      // a watch was added; nil when nobody polls
	stop    context.CancelFunc // ends the polling when nobody waits
}

type watch[T any] struct {
	id    string
	task  *dag.Task // hears of trouble; may be nil
	since time.Time
	round int
	done  func(T) (bool, error)
	end   chan result[T]
}

type result[T any] struct {
	v   T
	err error
}

func newPoller[T any](settle time.Duration, list func(context.Context, []string) (map[string]T, error)) *poller[T] {
	return &poller[T]{settle: settle, list: list, watches: map[*watch[T]]bool{}}
}

// wait returns when done says so of the thing called id. Done is called after
// every look and must be quick. The error is dag.ErrNotFound when the thing did
// not show itself for the time that EC2 may need, done's, the context's, or one
// of EC2's that does not pass. Trouble that passes is told to the task, if any.
func (p *poller[T]) wait(ctx context.Context, t *dag.Task, id string, done func(T) (bool, error)) (T, error) {
	w := &watch[T]{id: id, task: t, since: time.Now(), done: done, end: make(chan result[T], 1)}
	p.mu.Lock()
	p.watches[w] = true
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
		var loop context.Context
		loop, p.stop = context.WithCancel(context.Background())
		go p.poll(loop, p.wake)
	} else {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.mu.Unlock()
	select {
	case r := <-w.end:
		return r.v, r.err
	case <-ctx.Done():
		p.drop(w)
		var zero T
		return zero, ctx.Err()
	}
}

// drop forgets a watch, and stops the polling after the last.
func (p *poller[T]) drop(w *watch[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watches, w)
	if len(p.watches) == 0 && p.stop != nil {
		p.stop()
		p.wake, p.stop = nil, nil
	}
}

func (p *poller[T]) poll(ctx context.Context, wake <-chan struct{}) {
	for ctx.Err() == nil {
		p.mu.Lock()
		var ws []*watch[T]
		var ids []string
		for w := range p.watches {
			ws = append(ws, w)
			if !slices.Contains(ids, w.id) {
				ids = append(ids, w.id)
			}
		}
		p.mu.Unlock()
		seen := map[string]T{}
		var err error
		for batch := range slices.Chunk(ids, 200) { // the most values of a filter
			if err = p.collect(ctx, batch, seen); err != nil {
				break
			}
		}
		if ctx.Err() != nil {
			return // a new poller may be at work already
		}
		next := time.Minute
		for _, w := range ws {
			if r, ended := p.look(w, seen, err); ended {
				select {
				case w.end <- r:
				default: // it has its answer
				}
				p.drop(w)
				continue
			}
			w.round++
			again := interval(w.round, time.Since(w.since))
			if err != nil && w.task != nil {
				w.task.Retrying(fault("ask how far it is", "", old, err), again)
			}
			next = min(next, again)
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (p *poller[T]) collect(ctx context.Context, ids []string, into map[string]T) error {
	m, err := p.list(ctx, ids)
	for id, v := range m {
		into[id] = v
	}
	return err
}

// look tells whether a watch has ended.
func (p *poller[T]) look(w *watch[T], seen map[string]T, err error) (r result[T], ended bool) {
	if err != nil {
		r.err = err
		return r, judge("", old, err).is != passes
	}
	v, ok := seen[w.id]
	if !ok {
		r.err = dag.ErrNotFound
		return r, time.Since(w.since) > p.settle
	}
	done, err := w.done(v)
	return result[T]{v, err}, done || err != nil
}

// interval is short while news is likely, and never long: one call serves all.
func interval(round int, waited time.Duration) time.Duration {
	switch {
	case waited > 10*time.Minute:
		return 10 * time.Second
	case waited > time.Minute:
		return 5 * time.Second
	}
	return min(100*time.Millisecond<<min(round-1, 5), 2*time.Second)
}

// listInstances shows instances by id. It asks by filter, since one unknown id
// fails a call that names them.
func (s *site) listInstances(ctx context.Context, ids []string) (map[string]types.Instance, error) {
	is, err := s.describeInstances(ctx, filter("instance-id", ids...))
	m := map[string]types.Instance{}
	for _, i := range is {
		m[*i.InstanceId] = i
	}
	return m, err
}

func (s *site) describeInstances(ctx context.Context, filters ...types.Filter) (all []types.Instance, err error) {
	ctx = ofPages(ctx, 32<<20, 20_000)
	pages := ec2.NewDescribeInstancesPaginator(s.api, &ec2.DescribeInstancesInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			all = append(all, r.Instances...)
		}
	}
	return all, nil
}

func (s *site) listImages(ctx context.Context, ids []string) (map[string]types.Image, error) {
	out, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: []types.Filter{filter("image-id", ids...)}, IncludeDeprecated: ptr(true)})
	if err != nil {
		return nil, err
	}
	m := map[string]types.Image{}
	for _, i := range out.Images {
		m[*i.ImageId] = i
	}
	return m, nil
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

func ptr[T any](v T) *T { return &v }

// text is what an optional string of the SDK holds.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
