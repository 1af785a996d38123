package aws

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
)

// progressEvery is how often those who wait for an image hear how far it is.
const progressEvery = 30 * time.Second

// progress tells all who wait for images of one account and region how much of the
// snapshots is there, with one call of one of them.
type progress struct {
	mu   sync.Mutex
	of   map[string]asker   // by the token that the snapshots carry
	stop context.CancelFunc // when nobody waits
}

// asker is one who waits for an image.
type asker struct {
	task *dag.Task
	list func(ctx context.Context, tokens []string) (map[string]int64, error) // in percent
}

func newProgress() *progress { return &progress{of: map[string]asker{}} }

// watch has a task told until the function that it returns is called.
func (p *progress) watch(ctx context.Context, a asker, token string) (enough func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[token] = a; p.stop == nil {
		ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
		go p.look(ctx)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if delete(p.of, token); len(p.of) == 0 && p.stop != nil {
			p.stop()
			p.stop = nil
		}
	}
}

// look looks for all that are watched. That it cannot be told how far they are is no
// reason to worry anybody.
func (p *progress) look(ctx context.Context) {
	for sleep.For(ctx, progressEvery) == nil {
		p.mu.Lock()
		tokens := make([]string, 0, len(p.of))
		var first asker
		for token, a := range p.of {
			tokens, first = append(tokens, token), a
		}
		p.mu.Unlock()
		slices.Sort(tokens)
		for some := range slices.Chunk(tokens, mostIDs) {
			percent, err := first.list(ctx, some)
			if err != nil {
				break
			}
			for _, token := range some {
				n, known := percent[token]
				p.mu.Lock()
				t := p.of[token].task
				p.mu.Unlock()
				if known && t != nil && ctx.Err() == nil {
					t.Progress(n, 100, "%")
				}
			}
		}
	}
}

// listProgress is how much of the snapshots there is that carry each token, in percent.
func (s *site) listProgress(ctx context.Context, tokens []string) (map[string]int64, error) {
	ctx = ofPages(ctx, 32<<20, 20_000)
	in := &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("tag:"+TagToken, tokens...)}}
	sum, n := map[string]int64{}, map[string]int64{}
	for {
		page, err := s.api.DescribeSnapshots(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, sn := range page.Snapshots {
			percent, _ := strconv.ParseInt(strings.TrimSuffix(text(sn.Progress), "%"), 10, 64) // empty is 0
			token := tag(sn.Tags, TagToken)
			sum[token], n[token] = sum[token]+percent, n[token]+1
		}
		if in.NextToken = page.NextToken; text(in.NextToken) == "" {
			break
		}
	}
	for token := range sum {
		sum[token] /= n[token]
	}
	return sum, nil
}
