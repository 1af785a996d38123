package aws

import (
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"
)

// Shared is what clouds of one process share that are given the same one: how fast the calls
// of an account may go, and what of them goes together.
type Shared struct {
	key    [32]byte // of the digests of accounts, random
	mu     sync.Mutex
	grants map[string]*grant
	pools  map[string]*pool
	part   func(site string) float64 // nil: all; see Share
	own    func(site string) bool    // nil: all; see Share
}

// NewShared returns that of a process that calls its accounts alone.
func NewShared() *Shared {
	p := &Shared{grants: map[string]*grant{}, pools: map[string]*pool{}}
	rand.Read(p.key[:])
	return p
}

// digest is one of an account, which is what its access settings mean, in a region at an
// endpoint, which is empty where AWS's own is called.
func (p *Shared) digest(a Access, region, endpoint string) string {
	a.MaxRetries = 0
	return region + " " + endpoint + " " + a.digest(p.key)
}

// pool is what all sites of one account, region and endpoint share, whichever clouds they
// are of. It calls nobody: what goes together is called with the client of one of those who
// wait for the answer, so that nobody depends on a run that has ended, and no credentials
// are used but those of somebody who asks.
type pool struct {
	batches
	clock     *clock
	slots     func(*middleware.Stack) error // bounds how many calls are on their way
	instances *waits[types.Instance]
	images    *waits[types.Image]
	snapshots *waits[types.Snapshot]
	imports   *waits[types.ImportImageTask]
	fast      *waits[types.DescribeFastLaunchImagesSuccessItem]
	launches  *waits[types.Instance]
	creations *waits[types.Image]
	progress  *progress
}

// pool is that of an account: of all whose settings mean the same in the light of what was
// asked of the environment for them. Window is that of CloudOptions, and now this computer's
// clock.
func (p *Shared) pool(a Access, region, endpoint string, asked map[string]string, window time.Duration, now func() time.Time) *pool {
	text, _ := json.Marshal(asked) // texts always marshal
	a.Profile += " " + string(text)
	digest := p.digest(a, region, endpoint)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.pools[digest]
	if s == nil {
		breath := breathOf(window, p.part != nil)
		s = &pool{batches: newBatches(breath), clock: &clock{own: now}, slots: atMost(maxInFlight), instances: newWaits[types.Instance](breath), images: newWaits[types.Image](breath), snapshots: newWaits[types.Snapshot](breath),
			imports: newWaits[types.ImportImageTask](breath), fast: newWaits[types.DescribeFastLaunchImagesSuccessItem](breath), launches: newWaits[types.Instance](breath), creations: newWaits[types.Image](breath), progress: newProgress()}
		p.pools[digest] = s
	}
	return s
}
