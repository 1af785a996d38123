package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/internal/usual"
	"github.com/imgflow/imgflow/steps/comm"
)

// CloudOptions say how this process meets AWS.
type CloudOptions struct {
	// Endpoint, when set, takes every call of every region, signed with the key;
	// neither AWS nor the user's own credentials are touched then.
	Endpoint  string
	AccessKey string
	SecretKey string
	// Getenv reads the environment, in which credentials, profiles, proxies and
	// endpoints are looked for; nil is an empty one.
	Getenv func(name string) string
	// Secret gives the values of the secrets that access settings mark.
	Secret func(name string) (string, error)
	// Dir is where relative paths of local files begin.
	Dir  string
	Away comm.Away // where the files of who has submitted the run are; the zero one: here
	// Vault holds the host keys that are made for instances.
	Vault comm.Vault
	// MaxLifetime lets instances terminate themselves at that age when their
	// template does not say max_lifetime; 0 does not.
	MaxLifetime time.Duration
	// Lease is how long what is made counts as in use when nobody renews it; 0
	// is an hour.
	Lease time.Duration
	// ConsistencyWindow is how long EC2 may take to show what was made; 0 is 8 s. What was
	// not seen for that long does not exist.
	ConsistencyWindow time.Duration
	// Shared is what this cloud shares with all others of this process that have the same;
	// nil shares nothing.
	Shared *Shared
	// Times are how long waits took before; nil knows none, and learns none.
	Times *usual.Times
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
// and has one client for each of them and each region.
type Cloud struct {
	o CloudOptions

	mu       sync.Mutex
	accounts map[string]Access
	naming
	known []Place
	sites map[Place]*site
	told  map[Place]string // what Site has told

	tunnels tunnels
	issued  sync.Map // credentials that configure has made, by the settings
}

// NewCloud returns a cloud that knows no account yet. It makes no call.
func NewCloud(o CloudOptions) *Cloud {
	if o.Lease == 0 {
		o.Lease = time.Hour
	}
	if o.ConsistencyWindow == 0 {
		o.ConsistencyWindow = 8 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Shared == nil {
		o.Shared = NewShared()
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Secret == nil {
		o.Secret = func(name string) (string, error) { return "", fmt.Errorf("the value of %s is not known", name) }
	}
	return &Cloud{o: o, accounts: map[string]Access{}, naming: newNaming(), sites: map[Place]*site{}, told: map[Place]string{}}
}

// Direct sends every call of every region to an endpoint, signed with the key, as
// if the options had said so. A window other than 0 replaces
// CloudOptions.ConsistencyWindow. Direct must be called before the first call of EC2.
func (c *Cloud) Direct(endpoint, accessKey, secretKey string, window time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o.Endpoint, c.o.AccessKey, c.o.SecretKey = endpoint, accessKey, secretKey
	if window != 0 {
		c.o.ConsistencyWindow = window
	}
}

// Learn makes the places known in which the steps work. After a crash the
// things of interrupted steps are looked for in all places that are known, so
// it must be called before an engine is told to go on or to destroy. Where data sources
// look there is nothing of ours, and the credentials may be good for that look alone.
func (c *Cloud) Learn(nodes []dag.Node) {
	for _, n := range nodes {
		var p Place
		if !strings.HasPrefix(n.Kind, "aws.data-") && json.Unmarshal(n.Spec, &p) == nil && p.Region != "" {
			c.learn(p)
			c.adopt(p.Account, n)
		}
	}
}

// adopt makes the account of a copy known by the role that made it, where no template has said more.
func (c *Cloud) adopt(account string, n dag.Node) {
	var s struct{ Through AssumeRole }
	if n.Kind != (CopyImage{}).Kind() || json.Unmarshal(n.Spec, &s) != nil || s.Through.RoleARN == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.accounts[account]; !known {
		c.accounts[account] = Access{Then: s.Through}
	}
}

// Site is the account and the region in which a step with such settings calls.
func (c *Cloud) Site(spec json.RawMessage) string {
	var p Place
	if json.Unmarshal(spec, &p) != nil || p.Region == "" {
		return ""
	}
	return c.siteAt(p)
}

// siteAt is the word for the site of a place.
func (c *Cloud) siteAt(p Place) string {
	c.mu.Lock()
	site, a := c.told[p], c.accounts[p.Account]
	c.mu.Unlock()
	if site == "" {
		site = siteOf(a, c.meant(a), p.Region)
		c.mu.Lock()
		c.told[p] = site
		c.mu.Unlock()
	}
	return site
}

// siteOf is a word for the account that settings mean, in a region. Of what they mean the id
// of the access key goes into it, and nothing secret.
func siteOf(a, meant Access, region string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{a.name(), meant.AccessKey, region}, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func (c *Cloud) learn(p Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.known, p) {
		c.known = append(c.known, p)
	}
}

// places are all that are known, or the default one. Those of accounts that a role leads to are
// not among them: what was made there says where it is, and one that refuses is no matter of the others.
func (c *Cloud) places(ctx context.Context) ([]Place, error) {
	c.mu.Lock()
	known := slices.DeleteFunc(slices.Clone(c.known), func(p Place) bool { return c.accounts[p.Account].Then.RoleARN != "" })
	c.mu.Unlock()
	if len(known) > 0 {
		return known, nil
	}
	region, err := Access{}.region(ctx, c.o.Getenv)
	if err != nil {
		return nil, err
	}
	return []Place{{Region: region}}, nil
}

// site is one account in one region, as one cloud calls it.
type site struct {
	Place
	*pool
	api       API
	options   ec2.Options                   // of the client
	named     call[imageNames, imagesNamed] // looks for images by name
	loopback  bool                          // the endpoint is on this machine
	window    time.Duration
	relogin   string // how to get new credentials when these have expired
	instances *poller[types.Instance]
	images    *poller[types.Image]
	snapshots *poller[types.Snapshot]
	imports   *poller[types.ImportImageTask]
	fast      *poller[types.DescribeFastLaunchImagesSuccessItem]
	launches  *poller[types.Instance] // by the tokens of their making
	creations *poller[types.Image]    // by the tokens of their making
	bulk      awssdk.HTTPClient       // for long bodies: without a time for all of an attempt
	// first is what firstLook has seen. No other cloud may have it: the same settings, such as
	// a profile, may be those of another owner by now.
	first atomic.Pointer[defaultGroups]
}

// at returns the site of a place where things may be.
func (c *Cloud) at(ctx context.Context, p Place) (*site, error) {
	if p.Region != "" {
		c.learn(p)
	}
	return c.site(ctx, p)
}

// site returns the site of a place. An account that nobody registered is the
// SDK's own choice: a process that only removes things has no template.
func (c *Cloud) site(ctx context.Context, p Place) (*site, error) {
	if p.Region == "" {
		return nil, errors.New("cannot call AWS: the region is not known")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sites[p]; s != nil {
		return s, nil
	}
	client, pool, err := c.client(ctx, c.accounts[p.Account], p.Region)
	if err != nil {
		return nil, dag.NotMade(err)
	}
	renew := ""
	if c.o.Endpoint == "" {
		renew = c.accounts[p.Account].renewal(ctx, c.o.Getenv)
	}
	client = ec2.New(client.Options(), func(o *ec2.Options) {
		o.APIOptions = append(o.APIOptions, pool.clock.learn, pool.slots, tellExpired(renew))
		if a := c.accounts[p.Account]; a.DecodeAuthorizationMessages {
			o.APIOptions = append(o.APIOptions, tellDenied(c.decoder(*o, a.MaxRetries)))
		}
	})
	s := &site{Place: p, pool: pool, api: newAPI(client), options: client.Options(), window: c.o.ConsistencyWindow, relogin: renew}
	where := p.Region
	if e := client.Options().BaseEndpoint; e != nil {
		s.loopback = isLoopback(*e)
		where += " at " + endpointName(*e)
	}
	pool.put(&s.api)
	s.named = pool.names.of(s.lookForNames)
	s.instances = &poller[types.Instance]{s.window, s.listInstances, c.o.Times, where, sizeOfInstance, pool.instances}
	s.images = &poller[types.Image]{s.window, s.listImages, c.o.Times, where, sizeOfImage, pool.images}
	s.snapshots = &poller[types.Snapshot]{s.window, s.listSnapshots, c.o.Times, where, sizeOfSnapshot, pool.snapshots}
	s.imports = &poller[types.ImportImageTask]{s.window, s.listImports, c.o.Times, where, sizeOfImport, pool.imports}
	s.fast = &poller[types.DescribeFastLaunchImagesSuccessItem]{s.window, s.listFast, c.o.Times, where, sizeOfFast, pool.fast}
	s.launches = &poller[types.Instance]{s.window, s.listLaunches, nil, where, sizeOfInstance, pool.launches}
	s.creations = &poller[types.Image]{s.window, s.listCreations, nil, where, sizeOfImage, pool.creations}
	s.bulk = untimed(s.options.HTTPClient)
	c.sites[p] = s
	return s, nil
}

// locate finds out, in files and environment, where the calls of a template's access
// settings go, and makes them known.
func (c *Cloud) locate(ctx context.Context, a *Access, p *Place) error {
	region, err := a.region(ctx, c.o.Getenv)
	if err != nil && c.o.Endpoint != "" {
		region, err = "us-east-1", nil // nothing of the user's own is asked for
	}
	if err != nil {
		return err
	}
	a.Region = region
	*p = Place{Account: c.Register(*a), Region: region}
	return nil
}

// configure finds the credentials of an account. Those that are made for us, or had for a code that is
// good once, are the same in each region.
func (c *Cloud) configure(ctx context.Context, a Access, region string, env environ) (awssdk.Config, error) {
	then := a.Then
	a.Then = AssumeRole{}
	cfg, err := a.configure(ctx, region, env, c.o.Secret)
	if err != nil {
		return cfg, err
	}
	if a.MFACode != "" || a.VaultAWSEngine.Name != "" {
		own := a
		own.Region = ""
		all, _ := c.issued.LoadOrStore(own.digest(c.key), cfg.Credentials)
		cfg.Credentials = all.(awssdk.CredentialsProvider)
	}
	if then.RoleARN != "" {
		cfg.Credentials = awssdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(a.sts(cfg, env), then.RoleARN, then.options))
	}
	return cfg, nil
}

// client makes the EC2 client of an account in a region, and says with whom it shares.
func (c *Cloud) client(ctx context.Context, a Access, region string) (*ec2.Client, *pool, error) {
	pace, asked := newLimiter(a.MaxRetries), map[string]string{}
	env := environ(func(name string) string {
		asked[name] = c.o.Getenv(name)
		return asked[name]
	})
	meant := c.meant(a)
	site := siteOf(a, meant, region)
	var client *ec2.Client
	if c.o.Endpoint != "" {
		meant = Access{AccessKey: c.o.AccessKey, SecretKey: dag.Secret(c.o.SecretKey)}
		o := ec2.Options{
			Region: region, BaseEndpoint: &c.o.Endpoint, Retryer: pace, HTTPClient: meant.httpClient(env, nil), APIOptions: append([]func(*middleware.Stack) error{markAmbiguous}, everyClient...),
			Credentials: awssdk.CredentialsProvider(credentials.NewStaticCredentialsProvider(c.o.AccessKey, c.o.SecretKey, "")),
		}
		if meant.Then = a.Then; a.Then.RoleARN != "" { // the endpoint has other accounts, too
			asks := sts.New(sts.Options{Region: region, BaseEndpoint: &c.o.Endpoint, Retryer: newLimiter(a.MaxRetries), HTTPClient: o.HTTPClient, APIOptions: everyClient, Credentials: o.Credentials})
			o.Credentials = awssdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(asks, a.Then.RoleARN, a.Then.options))
		}
		client = ec2.New(o)
	} else {
		cfg, err := c.configure(ctx, a, region, env)
		if err != nil {
			return nil, nil, err
		}
		client = a.client(cfg, region, env, pace)
	}
	endpoint := ""
	if e := client.Options().BaseEndpoint; e != nil {
		endpoint = *e
	}
	pace.grant = c.o.Shared.grant(meant, site, region, endpoint)
	return client, c.o.Shared.pool(meant, region, endpoint, asked, c.o.ConsistencyWindow, c.o.Now), nil
}

// findAnywhere looks for what a task's token names, in the given place or, when that is
// not known, in every known one. It is not found only after EC2 had time to show
// it.
func findAnywhere[T any](ctx context.Context, c *Cloud, p Place, look func(*site) (T, error)) (T, error) {
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
			v, err := look(s)
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

// withID is the thing itself, or what the token of its making names where nobody
// knows its id: earlier versions kept things of a reply that named none.
func withID[T dag.Thing[*Cloud, T]](ctx context.Context, c *Cloud, t *dag.Task, thing T, id string) (T, error) {
	if id != "" {
		return thing, nil
	}
	return thing.Find(ctx, c, t)
}

// untilVisible repeats a look that finds nothing until EC2 must have shown it.
func untilVisible[T any](ctx context.Context, window time.Duration, look func() (T, error)) (T, error) {
	window = max(window, 0) // of what is older than any clock can tell
	for start, wait := time.Now(), window/32; ; wait = min(2*wait, time.Second) {
		v, err := look()
		left := window - time.Since(start)
		if !errors.Is(err, dag.ErrNotFound) || left <= 0 {
			return v, err
		}
		if err := sleep.For(ctx, min(wait, left)); err != nil {
			return v, err
		}
	}
}
