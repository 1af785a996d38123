package ec2local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/ec2local/model"
	bolt "go.etcd.io/bbolt"
)

// Options are what an endpoint is made of.
type Options struct {
	// Dir holds the state. One server at a time; it survives any end.
	Dir string
	// Key is the one whose signatures are taken. With AnyKey every well-formed
	// signature is: whoever reaches the endpoint runs programs on this machine.
	// One of the two must be set.
	Key    Key
	AnyKey bool
	// Guests stand behind the instances. Without, instances are records only.
	Guests guest.Host
	// Latency is how long things take, as CheckLatency has it.
	Latency string
	// Faults are what goes wrong.
	Faults Faults
	// Seed is a file of parameters and secrets, which is read at the start and, once
	// it has changed, before the next call that asks for some. If it is empty, it is
	// seed.json in Dir, which need not be there.
	Seed string
	// Policy is a file with a policy of IAM that binds whoever has the key. It is read again
	// once it has changed. If it is empty, it is policy.json in Dir, which need not be there:
	// without one everything is allowed.
	Policy string
	// Log gets one line a call and one a change of state, without secrets.
	Log io.Writer
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// A Server is the endpoint. It is an http.Handler that speaks EC2, and the few
// calls of STS, IAM, Systems Manager, Secrets Manager and S3 that builds need, for every
// region.
type Server struct {
	dir      string
	key      Key
	anyKey   bool
	db       *bolt.DB
	guests   guest.Host
	takes    durations
	injector *injector
	now      func() time.Time
	net      addresses

	commits     commits
	bulletin    bulletin
	seeding     seeding
	agents      agents
	openTunnels openTunnels
	inhabited   inhabited
	policing    policing

	logMu sync.Mutex
	log   io.Writer

	ctx    context.Context
	cancel context.CancelFunc
	life   lives
	work   sync.WaitGroup
	leases atomic.Int64
	tick   bell // something is due now, or is later
	sweep  bell // there may be layers that nothing stands on any more
}

// New opens the state directory, boots the instances that were running, and
// takes up what was under way. The error says what is wrong with the options
// or with the directory.
func New(o Options) (*Server, error) {
	takes, err := parseLatency(o.Latency)
	if err != nil {
		return nil, err
	}
	if o.Dir == "" {
		return nil, errors.New("cannot start the EC2 endpoint: it has no state directory")
	}
	if o.AnyKey == (o.Key != Key{}) || !o.AnyKey && (o.Key.ID == "" || o.Key.Secret == "") {
		return nil, errors.New("cannot start the EC2 endpoint: it takes either one key, with id and secret, or any")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the EC2 endpoint's directory: %w", err)
	}
	db, err := openStore(filepath.Join(o.Dir, "ec2.db"))
	if err != nil {
		return nil, err
	}
	s := &Server{
		dir: o.Dir, key: o.Key, anyKey: o.AnyKey, db: db, guests: o.Guests, takes: takes, injector: newInjector(o.Faults),
		now: o.Now, log: o.Log, net: newAddresses(o.Dir), tick: newBell(), sweep: newBell(),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.life.s = s
	s.seeding.path, s.seeding.must = cmp.Or(o.Seed, filepath.Join(o.Dir, "seed.json")), o.Seed != ""
	s.policing.path, s.policing.must = cmp.Or(o.Policy, filepath.Join(o.Dir, "policy.json")), o.Policy != ""
	err = db.Update(func(b *bolt.Tx) error { return guard(&txn{Tx: b, s: s, now: s.now()}, (*txn).open) })
	if err == nil {
		err = s.update(func(t *txn) error { return t.seedDefaults(regions...) })
	}
	if err == nil {
		err = s.sow()
	}
	if err == nil {
		_, err = s.policing.policy()
	}
	if err == nil {
		err = s.sweepS3()
	}
	if err == nil {
		err = s.resume()
	}
	if err != nil {
		s.cancel()
		db.Close()
		return nil, fmt.Errorf("cannot start the EC2 endpoint in %s: %w", o.Dir, err)
	}
	return s, nil
}

// open makes what is missing in the store, and the index.
func (t *txn) open() error {
	for _, name := range tables {
		if _, err := t.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	if err := t.upgrade(); err != nil {
		return err
	}
	if err := t.index(); err != nil {
		return err
	}
	t.endSessions()
	t.findInhabited()
	t.prune()
	return nil
}

// level is the version of what the tables hold.
const level = "1"

func (t *txn) upgrade() error {
	b := t.Bucket([]byte("meta"))
	switch v := string(b.Get([]byte("level"))); v {
	case level:
		return nil
	case "":
		return b.Put([]byte("level"), []byte(level))
	default:
		return fmt.Errorf("its state is of version %s; this program knows version %s: use a newer one", v, level)
	}
}

// Close stops the guests and closes the state. Instances keep their state: the
// next server on the directory boots those that were running.
func (s *Server) Close() error {
	s.life.mu.Lock() // nothing is started after this
	s.cancel()
	s.life.mu.Unlock()
	s.work.Wait()
	var err error
	if s.guests != nil {
		err = s.guests.Close()
	}
	return errors.Join(err, s.db.Close())
}

func (s *Server) logf(format string, a ...any) {
	if s.log == nil {
		return
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	fmt.Fprintf(s.log, "%s %s\n", s.now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, a...))
}

// A call is one request being carried out.
type call struct {
	*txn
	caller
	action string
	values model.Values // as sent, but for DryRun; nil of what comes as JSON
	body   []byte       // of what comes as JSON
}

// empty is the answer of calls that only say that they were done.
type empty struct {
	Return bool `xml:"return"`
}

// An operation carries out one action.
type operation struct {
	run     func(*call) (any, error)
	request reflect.Type
	writes  bool
}

func reads[Q, R any](f func(*call, *Q) (*R, error)) operation { return define(f, false) }

func writes[Q, R any](f func(*call, *Q) (*R, error)) operation { return define(f, true) }

func define[Q, R any](f func(*call, *Q) (*R, error), writes bool) operation {
	return operation{
		writes:  writes,
		request: reflect.TypeFor[Q](),
		run: func(c *call) (any, error) {
			q := new(Q)
			if err := model.Decode(c.values, q); err != nil {
				return nil, err
			}
			r, err := f(c, q)
			if err != nil {
				return nil, err
			}
			if r == nil {
				return empty{true}, nil
			}
			return r, nil
		},
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := uuid.NewString()
	service := "ec2"
	note := ""
	defer func() {
		if note != "" {
			s.logf("%s %.0fms", note, float64(time.Since(start).Microseconds())/1000)
		}
	}()
	refuse := func(err error) {
		e := asAPI(err)
		note += " " + e.Code
		if e.Code != "DryRunOperation" {
			note += fmt.Sprintf(" %q", e.Message)
		}
		writeError(w, service, id, e)
	}
	if why := stranger(r); why != "" {
		note = "?"
		refuse(fail("AccessDenied", "The request is refused: %s.", why))
		return
	}
	if strings.HasPrefix(r.URL.Path, channelPrefix) {
		if err := s.serveChannel(w, r); err != nil {
			note = "? " + err.Error()
		}
		return
	}
	if r.URL.Path == openTunnelPath {
		service, note = connectService, "OpenTunnel"
		if err := s.serveTunnel(w, r); err != nil {
			note += fmt.Sprintf(" %q", err.Error())
		}
		return
	}
	if q := s.readS3(w, r, id); q != nil {
		note = s.serveS3(q)
		return
	}
	m, err := readMessage(r)
	if err != nil {
		note = "?"
		refuse(err)
		return
	}
	who, err := s.authenticate(m)
	service = who.service
	if err != nil {
		note = "?"
		refuse(err)
		return
	}
	if strings.HasPrefix(r.URL.Path, adminPrefix) {
		s.serveAdmin(w, r, who)
		return
	}
	if r.URL.Path != "/" && r.URL.Path != "" {
		http.NotFound(w, r)
		return
	}
	o, err := readOrder(m, who, id)
	note = who.region + " " + o.action
	if err != nil {
		refuse(err)
		return
	}
	err, cut := s.injector.before(o.action, len(o.values) == 0, s.now())
	if cut {
		note += " (connection cut before)"
		hangUp(w)
		return
	}
	if err != nil {
		refuse(err)
		return
	}
	if _, seeded := jsonServices[service]; seeded {
		if err := s.sow(); err != nil {
			refuse(fail("ValidationException", "The embedded endpoint %v", err))
			return
		}
	}
	result, what, err := s.perform(r.Context(), o)
	note += what
	if err != nil {
		refuse(err)
		return
	}
	if s.injector.happens(s.injector.LostReply, "lostreply", o.action) {
		note += " (reply lost)"
		hangUp(w)
		return
	}
	reply, err := o.reply(result)
	if err != nil {
		refuse(err)
		return
	}
	if len(reply) > oneSegment {
		time.Sleep(time.Until(start.Add(breath)))
	}
	w.Header().Set("Content-Type", o.replyType)
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	w.Write(reply)
}

// Amazon's Go SDK closes a request's body when the header of the reply comes. If
// net/http has not looked for the body's end by then, it takes the body's answer
// for a failure, closes the connection, and what of the reply is not in the
// client's buffer yet is lost. Clients can do better, but most of those that are
// out there do not: a long reply gives them a moment.
const (
	oneSegment = 3000 // bytes that the buffer certainly holds besides the header
	breath     = 3 * time.Millisecond
)

// An order is a request that was understood.
type order struct {
	op operation
	call
	reply     func(result any) ([]byte, error)
	replyType string // its media type
}

// readOrder reads a request in the form of its service. The order has its action
// even when the error says why it is none.
func readOrder(m *message, who caller, id string) (order, error) {
	if j, ok := jsonServices[who.service]; ok {
		return j.read(m, who)
	}
	form, err := m.form()
	if err != nil {
		return order{}, err
	}
	svc, table := services(who.service)
	action := form.Get("Action")
	o, in := order{call: call{caller: who, action: action}, replyType: "text/xml;charset=UTF-8"}, svc.Operations[action]
	known := false
	o.op, known = table[action]
	switch {
	case action == "":
		return o, fail("MissingAction", "The request must contain the parameter Action")
	case !known || in == nil:
		return o, fail("InvalidAction", "The action %s is not valid for this web service.", action)
	case !versionOK(svc, form.Get("Version")):
		return o, fail("InvalidAction", "The action %s is not valid for version %s of this web service; this endpoint has version %s.", action, form.Get("Version"), svc.Version)
	case m.Method != http.MethodPost && (m.Method != http.MethodGet || o.op.writes):
		return o, fail("MethodNotAllowed", "The action %s is refused by %s: send it by POST.", action, m.Method)
	}
	o.reply = func(result any) ([]byte, error) { return marshal(svc, in, id, result) }
	o.values, err = in.Parse(form)
	return o, err
}

// perform runs an operation in a transaction of its own, and waits for what it
// began and takes no time. A dry run is a real one that is not committed.
func (s *Server) perform(ctx context.Context, o order) (result any, what string, err error) {
	dry, _ := o.values["DryRun"].(bool)
	delete(o.values, "DryRun")
	do := s.view
	if o.op.writes {
		do = s.update
	}
	var begun []brief
	err = do(func(t *txn) error {
		defer func() { begun = t.begun }()
		c := o.call
		c.txn = t
		if err = c.authorize(c.demands); err != nil {
			return err
		}
		result, err = o.op.run(&c)
		if err == nil && dry {
			err = fail("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
		return err
	})
	if err == nil {
		s.settle(ctx, begun)
	}
	if r, ok := result.(interface{ summary() string }); ok && err == nil {
		what = " " + r.summary()
	}
	return result, what, err
}

func services(name string) (*model.Service, map[string]operation) {
	switch name {
	case "ec2":
		return model.EC2(), ec2Operations
	case "sts":
		return model.STS(), stsOperations
	case "iam":
		return model.IAM(), iamOperations
	}
	return nil, nil
}

// versionOK accepts the API version of the model.
func versionOK(svc *model.Service, v string) bool { return v == svc.Version }

// hangUp cuts the connection without an answer.
func hangUp(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the server cuts it
	}
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0) // a reset, not an orderly end
	}
	c.Close()
}
