package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// CloudOptions say how this process meets AWS.
type CloudOptions struct {
	// Endpoint, when set, takes every call of every region, signed with the key;
	// neither AWS nor the user's own credentials are touched then.
	Endpoint  string
	AccessKey string
	SecretKey string
	// Secret gives the values of the secrets that access settings mark.
	Secret func(name string) (string, error)
	// Vault holds the host keys that are made for instances.
	Vault comm.Vault
	// MaxLifetime lets instances terminate themselves at that age when their
	// template does not say max_lifetime; 0 does not.
	MaxLifetime time.Duration
	// Lease is how long what is made counts as in use when nobody renews it; 0
	// is an hour.
	Lease time.Duration
	// Settle is how long EC2 may take to show what was made; 0 is 8 s. What was
	// not seen for that long does not exist.
	Settle time.Duration
	// Now is this computer's clock; nil is time.Now.
	Now func() time.Time
}

// Place is where something is: who owns it and in which region. Account is a
// name that Cloud.Register gave, empty for the SDK's own choice.
type Place struct {
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
}

// text is a place in one word, for placeOf.
func (p Place) text() string { return p.Region + "/" + p.Account }

func placeOf(text string) Place {
	region, account, _ := strings.Cut(text, "/")
	return Place{Account: account, Region: region}
}

// Cloud is the environment of every kind of step here: it knows the accounts
// and has one client, one pace and one poller for each of them and each region.
type Cloud struct {
	o CloudOptions

	mu       sync.Mutex
	accounts map[string]Access
	known    []Place
	sites    map[Place]*site
}

// NewCloud returns a cloud that knows no account yet. It makes no call.
func NewCloud(o CloudOptions) *Cloud {
	if o.Lease == 0 {
		o.Lease = time.Hour
	}
	if o.Settle == 0 {
		o.Settle = 8 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Secret == nil {
		o.Secret = func(name string) (string, error) { return "", fmt.Errorf("the value of %s is not known", name) }
	}
	return &Cloud{o: o, accounts: map[string]Access{}, sites: map[Place]*site{}}
}

// Register makes access settings known and returns the name of the account that
// steps carry. The same settings have the same name in every process.
func (c *Cloud) Register(a Access) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	base := a.name()
	for i, name := 2, base; ; i++ {
		old, taken := c.accounts[name]
		if !taken || sameAccess(old, a) {
			c.accounts[name] = a
			return name
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
}

func sameAccess(a, b Access) bool {
	a.Region, b.Region = "", ""
	p, _ := json.Marshal(a) // plain data always marshals
	q, _ := json.Marshal(b)
	return string(p) == string(q)
}

// Learn makes the places known in which the steps work. After a crash the
// things of interrupted steps are looked for in all places that are known, so
// it must be called before an engine is told to go on or to destroy.
func (c *Cloud) Learn(nodes []dag.Node) {
	for _, n := range nodes {
		var p Place
		if json.Unmarshal(n.Spec, &p) == nil && p.Region != "" {
			c.learn(p)
		}
	}
}

func (c *Cloud) learn(p Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.known, p) {
		c.known = append(c.known, p)
	}
}

// places are all that are known, or the default one.
func (c *Cloud) places(ctx context.Context) ([]Place, error) {
	c.mu.Lock()
	known := slices.Clone(c.known)
	c.mu.Unlock()
	if len(known) > 0 {
		return known, nil
	}
	region, err := Access{}.region(ctx)
	if err != nil {
		return nil, err
	}
	return []Place{{Region: region}}, nil
}

// site is one account in one region.
type site struct {
	Place
	api       API
	loopback  bool // the endpoint is on this machine
	settle    time.Duration
	clock     *clock
	instances *poller[types.Instance]
	images    *poller[types.Image]
}

// at returns the site of a place. An account that nobody registered is the
// SDK's own choice: a process that only removes things has no template.
func (c *Cloud) at(ctx context.Context, p Place) (*site, error) {
	if p.Region == "" {
		return nil, errors.New("cannot call AWS: the region is not known")
	}
	c.learn(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sites[p]; s != nil {
		return s, nil
	}
	a := c.accounts[p.Account]
	pace := newGovernor(a.MaxRetries)
	var client *ec2.Client
	if c.o.Endpoint != "" {
		client = ec2.New(ec2.Options{
			Region: p.Region, BaseEndpoint: &c.o.Endpoint, Retryer: pace, HTTPClient: Access{}.httpClient(), APIOptions: append([]func(*middleware.Stack) error{doubtful}, everyClient...),
			Credentials: awssdk.CredentialsProvider(credentials.NewStaticCredentialsProvider(c.o.AccessKey, c.o.SecretKey, "")),
		})
	} else {
		cfg, err := a.configure(ctx, p.Region, c.o.Secret)
		if err != nil {
			return nil, dag.NotMade(err)
		}
		client = a.client(cfg, p.Region, pace)
	}
	clock := &clock{own: c.o.Now}
	client = ec2.New(client.Options(), func(o *ec2.Options) { o.APIOptions = append(o.APIOptions, clock.learn) })
	s := &site{Place: p, api: client, settle: c.o.Settle, clock: clock}
	if e := client.Options().BaseEndpoint; e != nil {
		s.loopback = isLoopback(*e)
	}
	s.instances = newPoller(s.settle, s.listInstances)
	s.images = newPoller(s.settle, s.listImages)
	c.sites[p] = s
	return s, nil
}

// seek looks for what a task's token names, in the given place or, when that is
// not known, in every known one. It is not found only after EC2 had time to show
// it.
func seek[T any](ctx context.Context, c *Cloud, p Place, look func(*site) (T, error)) (T, error) {
	places := []Place{p}
	var zero T
	if p.Region == "" {
		var err error
		if places, err = c.places(ctx); err != nil {
			return zero, err
		}
	}
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, len(places))
	for _, p := range places {
		go func() {
			s, err := c.at(ctx, p)
			if err != nil {
				answers <- answer{zero, err}
				return
			}
			v, err := patient(ctx, c.o.Settle, func() (T, error) { return look(s) })
			answers <- answer{v, err}
		}()
	}
	failure := error(dag.ErrNotFound)
	for range places {
		a := <-answers
		if a.err == nil {
			return a.v, nil
		}
		if !errors.Is(a.err, dag.ErrNotFound) {
			failure = a.err
		}
	}
	return zero, failure
}

// known is the thing itself, or what the token of its making names where nobody
// knows its id: earlier versions kept things of a reply that named none.
func known[T dag.Thing[*Cloud, T]](ctx context.Context, c *Cloud, t *dag.Task, thing T, id string) (T, error) {
	if id != "" {
		return thing, nil
	}
	return thing.Find(ctx, c, t)
}

// patient repeats a look that finds nothing until EC2 must have shown it.
func patient[T any](ctx context.Context, settle time.Duration, look func() (T, error)) (T, error) {
	settle = max(settle, 0) // of what is older than any clock can tell
	for start, wait := time.Now(), settle/32; ; wait = min(2*wait, time.Second) {
		v, err := look()
		left := settle - time.Since(start)
		if !errors.Is(err, dag.ErrNotFound) || left <= 0 {
			return v, err
		}
		if err := pause(ctx, min(wait, left)); err != nil {
			return v, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
