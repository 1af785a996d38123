package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/internal/usual"
)

// poller waits for one type of thing in one site. A wait has no deadline: what makes
// progress on AWS is never given up.
type poller[T any] struct {
	window time.Duration
	list   func(ctx context.Context, ids []string) (map[string]T, error)
	times  *usual.Times
	where  string         // whose times they are
	size   func(T) string // what else they depend on; "" is not known yet
	*waits[T]
}

// waits are those of all pollers that look for the same: what is due at the same time is
// asked for in one call, by one of those who wait for it.
type waits[T any] struct {
	breath breath

	mu      sync.Mutex
	watches map[*watch[T]]bool
	wake    chan struct{}      // a watch was added; nil when nobody polls
	stop    context.CancelFunc // ends the polling when nobody waits
	next    time.Time          // when there may be the next call, also for who begins to wait when nobody did
}

// expected is what is known of a wait before it begins. The zero value is for what
// is there already.
type expected struct {
	what string     // of which kind it is, to learn from it; "" is of none
	span usual.Span // as published
	// begun is when that was asked for which is waited for; not set, it is now. What
	// began some time ago, in another process perhaps, is not learned from.
	begun time.Time
}

// What the waits of a build usually take on AWS, as people have published it of
// small Linux instances. Spans begin a tenth before the medians: before its span a
// thing is seen later.
var (
	untilRunning    = expected{what: "running", span: usual.Span{Lo: 6500 * time.Millisecond, Hi: 18 * time.Second}}
	untilStopped    = expected{what: "stopped", span: usual.Span{Lo: 15 * time.Second, Hi: 60 * time.Second}}
	untilAvailable  = expected{what: "image", span: usual.Span{Lo: 56 * time.Second, Hi: 170 * time.Second}}
	untilRegistered = expected{what: "registered image", span: usual.Span{Lo: time.Second, Hi: 10 * time.Second}}
	untilSnapshot   = expected{what: "snapshot", span: usual.Span{Lo: 56 * time.Second, Hi: 170 * time.Second}}
	untilImported   = expected{what: "import", span: usual.Span{Lo: 5 * time.Minute, Hi: 40 * time.Minute}}
	untilTerminated = expected{what: "terminated", span: usual.Span{Lo: 20 * time.Second, Hi: 60 * time.Second}}
)

// untilShown is the wait for what is there already, if it exists: EC2 shows it at once, or
// some time within the window.
func untilShown(window time.Duration) expected {
	return expected{span: usual.Span{Lo: window, Hi: window}}
}

// there says that a thing which EC2 shows is all that was waited for.
func there[T any](T) (bool, error) { return true, nil }

// lookFault words the end of a look that is none of dag.ErrNotFound.
func lookFault(doing, call string, err error) error {
	if err == nil || errors.Is(err, dag.ErrNotFound) {
		return err
	}
	return wrapAPI(doing, call, old, err)
}

// since is the same wait for what was asked for at that time.
func (e expected) since(t time.Time) expected {
	e.begun = t
	return e
}

type watch[T any] struct {
	by    *poller[T]
	ctx   context.Context // of who waits
	id    string
	task  *dag.Task // hears of trouble; may be nil
	what  expected
	names []string // to learn from, the closest first
	learn bool
	span  usual.Span
	begun time.Time // that for which it waits
	since time.Time
	due   time.Time
	done  func(T) (bool, error)
	end   chan result[T]
}

type result[T any] struct {
	v   T
	err error
}

func newWaits[T any](breath breath) *waits[T] {
	return &waits[T]{breath: breath, watches: map[*watch[T]]bool{}}
}

// fresh is how long ago something may have been asked for so that the wait for it
// tells how long that takes: times in records have whole seconds, and those of EC2
// are of another clock.
const fresh = 5 * time.Second

// wait returns when done says so of the thing called id. Done is called after
// every look and must be quick. The error is dag.ErrNotFound when the thing did
// not show itself for the time that EC2 may need, done's, the context's, or one
// of EC2's that does not pass. Trouble that passes is told to the task, if any.
func (p *poller[T]) wait(ctx context.Context, t *dag.Task, id string, e expected, done func(T) (bool, error)) (T, error) {
	now := time.Now()
	w := &watch[T]{by: p, ctx: ctx, id: id, task: t, what: e, span: e.span, begun: now, since: now, due: now, done: done, end: make(chan result[T], 1)}
	if e.what != "" {
		w.learn = true
		w.expect(e.what + " " + p.where)
	}
	if !e.begun.IsZero() && now.Sub(e.begun) > fresh {
		w.learn, w.begun = false, e.begun
	}
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

// expect has a watch go by the times of what has these names.
func (w *watch[T]) expect(names ...string) {
	w.names, w.span = names, w.by.times.Of(names, w.what.span)
}

// drop forgets a watch, and stops the polling after the last.
func (p *waits[T]) drop(w *watch[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watches, w)
	if len(p.watches) == 0 && p.stop != nil {
		p.stop()
		p.wake, p.stop = nil, nil
	}
}

// mostIDs is how many values a filter takes.
const mostIDs = 200

// breath is how long there is at least between two calls that are made for many, and how long
// at most.
type breath struct{ shortest, longest time.Duration }

// breathOf is the breath where EC2 shows things within a window. Steps of a fleet get to the
// process that calls a site one after the other, not together, so that it waits for more of them.
func breathOf(window time.Duration, fleet bool) breath {
	b := breath{perWait, window / 4}
	if fleet {
		b.shortest = time.Second
	}
	b.shortest = min(b.shortest, b.longest)
	return b
}

// perWait is by how much the pause between two looks grows with each that waits, so that those
// that have begun one by one share a look, and however many there are cost few.
const perWait = 100 * time.Millisecond

// of is the pause between two looks for so many.
func (b breath) of(waits int) time.Duration {
	return max(b.shortest, min(time.Duration(waits)*perWait, b.longest))
}

func (p *waits[T]) poll(ctx context.Context, wake <-chan struct{}) {
	for sleep.For(ctx, p.pause()) == nil {
		ws, all, next := p.due(time.Now())
		if len(ws) == 0 {
			timer := time.NewTimer(next)
			select {
			case <-ctx.Done():
			case <-wake:
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		var ids []string
		for _, w := range ws {
			ids = append(ids, w.id)
		}
		slices.Sort(ids)
		seen := map[string]T{}
		calls := time.Duration(0)
		var err error
		for batch := range slices.Chunk(slices.Compact(ids), mostIDs) {
			calls++
			var found map[string]T
			if found, err = ws[0].by.list(asOneOf(ctx, ws[0].ctx, len(ws)), batch); err != nil {
				break
			}
			maps.Copy(seen, found)
		}
		p.mu.Lock()
		p.next = time.Now().Add(calls * p.breath.of(all))
		p.mu.Unlock()
		if ctx.Err() != nil {
			return // a new poller may be at work already
		}
		for _, w := range ws {
			p.tell(w, seen, err)
		}
	}
}

// pause is how long it is until the next call may be made.
func (p *waits[T]) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.next)
}

// due are the watches whose turn it is, with those whose turn is next as far as the calls for
// the first have room, of how many in all. Where there are none, next is how long that will be
// so.
func (p *waits[T]) due(now time.Time) (ws []*watch[T], all int, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.watches {
		ws = append(ws, w)
	}
	slices.SortFunc(ws, func(a, b *watch[T]) int { return a.due.Compare(b.due) })
	n := 0
	for n < len(ws) && !ws[n].due.After(now) {
		n++
	}
	switch {
	case len(ws) == 0:
		return nil, 0, time.Minute
	case n == 0:
		return nil, len(ws), ws[0].due.Sub(now)
	}
	calls := (n + mostIDs - 1) / mostIDs
	return ws[:min(calls*mostIDs, len(ws))], len(ws), 0
}

// tell gives a watch what was seen, and ends it or makes its next turn.
func (p *waits[T]) tell(w *watch[T], seen map[string]T, err error) {
	r, ended := w.look(seen, err)
	now := time.Now()
	if v, ok := seen[w.id]; ok && len(w.names) == 1 {
		if size := w.by.size(v); size != "" {
			w.expect(w.names[0]+" "+size, w.names[0])
		}
	}
	if ended {
		if r.err == nil && w.learn {
			w.by.times.Note(w.names, now.Sub(w.begun))
		}
		select {
		case w.end <- r:
		default: // it has its answer
		}
		p.drop(w)
		return
	}
	gap := w.span.Next(now.Sub(w.begun))
	if err != nil && w.task != nil {
		w.task.Retrying(wrapAPI("ask how far it is", "", old, err), gap)
	}
	p.mu.Lock()
	w.due = now.Add(gap)
	p.mu.Unlock()
}

// look tells whether a watch has ended.
func (w *watch[T]) look(seen map[string]T, err error) (r result[T], ended bool) {
	if err != nil {
		r.err = err
		return r, classify("", old, err).class != transient
	}
	v, ok := seen[w.id]
	if !ok {
		r.err = dag.ErrNotFound
		return r, time.Since(w.since) > w.by.window
	}
	done, err := w.done(v)
	return result[T]{v, err}, done || err != nil
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

// sizeOfInstance is what the times of an instance depend on.
func sizeOfInstance(i types.Instance) string {
	if i.Platform == types.PlatformValuesWindows {
		return string(i.InstanceType) + " windows"
	}
	return string(i.InstanceType)
}

// sizeOfImage is what the time to make an image depends on: how much its volumes
// hold at most.
func sizeOfImage(i types.Image) string {
	sum := int32(0)
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil && d.Ebs.VolumeSize != nil {
			sum += *d.Ebs.VolumeSize
		}
	}
	if sum <= 0 {
		return ""
	}
	return fmt.Sprintf("%d GiB", sum)
}

func (s *site) describeInstances(ctx context.Context, filters ...types.Filter) (all []types.Instance, err error) {
	ctx = ofPages(ctx, 32<<20, 20_000)
	for in := (&ec2.DescribeInstancesInput{Filters: filters}); ; {
		page, err := s.api.DescribeInstances(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			all = append(all, r.Instances...)
		}
		if in.NextToken = page.NextToken; text(in.NextToken) == "" {
			return all, nil
		}
	}
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
