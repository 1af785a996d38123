package aws

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
	tmpl "github.com/imgflow/imgflow/template"
)

const home = "us-east-1"

var here = Place{Region: home}

// world is an EC2 of its own for one test, reached over HTTP by the real SDK.
type world struct {
	t     *testing.T
	cloud *Cloud
	front *front
	vault *memVault
}

// front stands before the endpoint: it counts calls and plays with them.
type front struct {
	next http.Handler

	mu    sync.Mutex
	calls map[string]int
	// play may answer a call itself; it says so by returning true.
	play func(w http.ResponseWriter, action string, n int, form url.Values) bool
	// cut says what happens to the answer of the nth call of an action.
	cut func(action string, n int) cut
}

// A call that was given up may still be on its way when a test changes what happens to calls.
func (f *front) setPlay(play func(w http.ResponseWriter, action string, n int, form url.Values) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.play = play
}

func (f *front) setCut(cut func(action string, n int) cut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = cut
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, _ := url.ParseQuery(string(body))
	_, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	action := form.Get("Action") + target + s3Action(r)
	f.mu.Lock()
	f.calls[action]++
	n := f.calls[action]
	play, cut := f.play, f.cut
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if cut != nil && cut(action, n) != nil {
		cut(action, n)(w, func(w http.ResponseWriter) {
			if play == nil || !play(w, action, n, form) {
				f.next.ServeHTTP(w, r)
			}
		})
		return
	}
	if play != nil && play(w, action, n, form) {
		return
	}
	f.next.ServeHTTP(w, r)
}

// s3Action is the call that a request of S3 is, or "".
func s3Action(r *http.Request) string {
	if !strings.Contains(r.Header.Get("Authorization"), "/s3/aws4_request") {
		return ""
	}
	q, object := r.URL.Query(), strings.Count(r.URL.Path, "/") > 1
	switch {
	case q.Has("partNumber"):
		return "UploadPart"
	case q.Has("uploadId"):
		return map[string]string{"GET": "ListParts", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}[r.Method]
	case q.Has("uploads"):
		return map[string]string{"GET": "ListMultipartUploads", "POST": "CreateMultipartUpload"}[r.Method]
	case object:
		return map[string]string{"HEAD": "HeadObject", "DELETE": "DeleteObject", "PUT": "PutObject", "GET": "GetObject"}[r.Method]
	}
	return map[string]string{"HEAD": "HeadBucket", "PUT": "CreateBucket"}[r.Method]
}

func (f *front) count(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[action]
}

func (f *front) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		n += c
	}
	return n
}

// refuse answers as EC2 does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	io.WriteString(w, `<?xml version="1.0"?><Response><Errors><Error><Code>`+code+`</Code><Message>`+message+`</Message></Error></Errors><RequestID>r</RequestID></Response>`)
}

type memVault struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (v *memVault) Get(name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if b, ok := v.m[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (v *memVault) Put(name string, b []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.m[name] = b
	return nil
}

func newWorld(t *testing.T, f ec2local.Faults) *world {
	t.Helper()
	return newWorldOf(t, ec2local.Options{Faults: f})
}

// newWorldOf is one whose endpoint has further options.
func newWorldOf(t *testing.T, o ec2local.Options) *world {
	t.Helper()
	o.Dir, o.Key = t.TempDir(), ec2local.Key{ID: "AKIDEXAMPLE", Secret: "not-a-secret"}
	f := o.Faults
	server, err := ec2local.New(o)
	if err != nil {
		t.Fatal(err)
	}
	front := &front{next: server, calls: map[string]int{}}
	h := httptest.NewUnstartedServer(front)
	h.Config.ErrorLog = nil
	h.Start()
	t.Cleanup(func() {
		h.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	window := 300 * time.Millisecond
	if f.Lag > 0 {
		window = 2*f.Lag + time.Second
	}
	vault := &memVault{m: map[string][]byte{}}
	return &world{t, NewCloud(CloudOptions{Endpoint: h.URL, AccessKey: "AKIDEXAMPLE", SecretKey: "not-a-secret", Vault: vault, ConsistencyWindow: window}), front, vault}
}

func (w *world) site() *site {
	w.t.Helper()
	s, err := w.cloud.at(w.t.Context(), here)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// engine is a new process of the run whose records are in the store.
func (w *world) engine(store dag.Store, log *events) *dag.Engine {
	w.t.Helper()

	e, err := dag.New(dag.Options{Run: "r1", Store: store, Kinds: w.kinds(), Sink: log})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// events keeps what steps say.
type events struct {
	mu   sync.Mutex
	list []dag.Event
}

func (l *events) Emit(e dag.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
	return nil
}
func (l *events) Sync() error                       { return nil }
func (l *events) Offset(token, stream string) int64 { return 0 }
func (l *events) Break(_ []byte, most int) int      { return most }

// ubuntu is the image that most tests begin from.
func ubuntu() SourceOptions {
	return SourceOptions{Filter: SourceFilter{MostRecent: true, Owners: []string{"099720109477"}, Filters: map[string]string{
		"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*", "virtualization-type": "hvm", "root-device-type": "ebs"}}}
}

// template is a build that needs no guest behind the instance.
func template() *EBS {
	b := &EBS{}
	b.Access.Region = home
	b.SourceOptions = ubuntu()
	b.InstanceType = "t2.micro"
	b.AMIName = "image-1"
	b.Communicator = "none"
	return b
}

// parsed is the text of an option as a template has it.
func parsed(source string) dag.Text {
	text, err := tmpl.ParseText(source)
	if err != nil {
		panic(err)
	}
	return text
}

// unprovisioned leaves a machine as it is.
func unprovisioned(m dag.Out[comm.Machine]) dag.Out[comm.Machine] { return m }

// graph is the template without provisioners.
func (w *world) graph(b *EBS) *dag.Graph {
	w.t.Helper()
	g := dag.NewGraph(nil)
	w.add(g, b, "amazon-ebs")
	return g
}

// add puts the template, without provisioners, into a graph as a build of that name.
func (w *world) add(g *dag.Graph, b *EBS, name string) {
	w.t.Helper()
	if optionErrors := b.Check(); len(optionErrors) > 0 {
		w.t.Fatal(optionErrors)
	}
	b.cloud = w.cloud
	if err := b.Prepare(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	b.Wire(g, dag.Build{Name: name, Type: "amazon-ebs"}, unprovisioned)
	if err := g.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// build solves the graph in a new process and insists on success.
func (w *world) build(store dag.Store, g *dag.Graph) *dag.Engine {
	w.t.Helper()
	log := &events{}
	e := w.engine(store, log)
	r, err := e.Solve(w.t.Context(), g)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range append(r.Failed, r.Left...) {
		w.t.Errorf("%s: %v", f.Name, f.Err)
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
	return e
}

// inventory is what the user would find in the account, of what is made here.
type inventory struct{ instances, volumes, keys, groups, images, snapshots []string }

func (w *world) inventory() (v inventory) {
	w.t.Helper()
	s, ctx := w.site(), context.Background()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	is, err := s.describeInstances(ctx, filter("instance-state-name", "pending", "running", "stopping", "stopped", "shutting-down"))
	must(err)
	for _, i := range is {
		v.instances = append(v.instances, *i.InstanceId)
	}
	vs, err := s.api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
	must(err)
	for _, i := range vs.Volumes {
		v.volumes = append(v.volumes, *i.VolumeId)
	}
	ks, err := s.api.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{})
	must(err)
	for _, i := range ks.KeyPairs {
		v.keys = append(v.keys, *i.KeyName)
	}
	gs, err := s.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})
	must(err)
	for _, i := range gs.SecurityGroups {
		if text(i.GroupName) != "default" {
			v.groups = append(v.groups, *i.GroupId)
		}
	}
	ms, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	must(err)
	for _, i := range ms.Images {
		v.images = append(v.images, *i.ImageId)
	}
	ss, err := s.api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	must(err)
	for _, i := range ss.Snapshots {
		v.snapshots = append(v.snapshots, *i.SnapshotId)
	}
	return v
}

// only insists that nothing but so many images, each with one snapshot, is left.
func (w *world) only(images int) {
	w.t.Helper()
	v := w.inventory()
	if len(v.instances)+len(v.volumes)+len(v.keys)+len(v.groups) > 0 || len(v.images) != images || len(v.snapshots) != images {
		w.t.Errorf("want %d images and nothing else, found %+v", images, v)
	}
}

func (w *world) describeImage(id string) types.Image {
	w.t.Helper()
	m, err := w.site().listImages(w.t.Context(), []string{id})
	if err != nil || len(m) != 1 {
		w.t.Fatalf("image %s: %v, %d found", id, err, len(m))
	}
	return m[id]
}

// kinds are all steps, with one that needs a guest replaced.
func (w *world) kinds() []dag.Kind {
	env := comm.NewEnv(w.vault)
	others := slices.DeleteFunc(comm.Kinds(env), func(k dag.Kind) bool { return k.Name == reached{}.Kind() })
	return slices.Concat(Kinds(w.cloud), others, []dag.Kind{dag.Bind[reached](env), dag.Bind[diskMade](w.cloud)})
}

// reached believes the endpoint: nobody stands behind it.
type reached struct {
	To dag.Take[comm.Endpoint] `json:"to"`
}

func (reached) Kind() string { return comm.Connect{}.Kind() }
func (s reached) Do(context.Context, *comm.Env, *dag.Task) (comm.Machine, error) {
	return comm.Machine{Endpoint: s.To.Value()}, nil
}

// fail has the endpoint refuse every call of an action.
func (w *world) fail(action string) {
	w.front.setPlay(func(rw http.ResponseWriter, a string, _ int, _ url.Values) bool {
		switch {
		case a == action && slices.Contains(iamCalls, a):
			rw.WriteHeader(400)
			io.WriteString(rw, "<ErrorResponse><Error><Code>OutOfOrder</Code><Message>The test says no.</Message></Error></ErrorResponse>")
		case a == action:
			refuse(rw, 400, "OutOfOrder", "The test says no.")
		}
		return a == action
	})
}

// suspend keeps everything after a failure.
func suspend(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }

// testThing is what every Thing owes the engine: it is found by the token of its
// making and by itself, making it again adopts it, removing it twice is no error,
// and then it is not there.
func testThing[T dag.Thing[*Cloud, T]](t *testing.T, w *world, s dag.Step[*Cloud, T], same func(a, b T) bool) T {
	t.Helper()
	ctx := t.Context()
	task := dag.NewTask("r1", "step", "imgflow-r1-0badcafe-1", nil, nil)
	made, err := s.Do(ctx, w.cloud, task)
	if err != nil {
		t.Fatalf("do: %v", err)
	}
	again, err := s.Do(ctx, w.cloud, task)
	if err != nil || !same(made, again) {
		t.Errorf("do again: %v, %v, want what was made: %v", again, err, made)
	}
	var unknown T
	found, err := unknown.Find(ctx, w.cloud, task)
	if err != nil || !same(made, found) {
		t.Errorf("find by token: %v, %v", found, err)
	}
	if found, err = made.Find(ctx, w.cloud, task); err != nil || !same(made, found) {
		t.Errorf("find itself: %v, %v", found, err)
	}
	other := dag.NewTask("r2", "step", "imgflow-r2-0badcafe-1", nil, nil)
	if found, err := unknown.Find(ctx, w.cloud, other); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find by another run's token: %v, %v", found, err)
	}
	if found, err := made.Find(ctx, w.cloud, other); err != nil || !same(made, found) {
		t.Errorf("find by what names it, whatever the token: %v, %v", found, err)
	}
	for range 2 {
		if err := made.Undo(ctx, w.cloud, task); err != nil {
			t.Errorf("undo: %v", err)
		}
	}
	if _, err := made.Find(ctx, w.cloud, task); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find after undo: %v", err)
	}
	if _, err := unknown.Find(ctx, w.cloud, task); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find by token after undo: %v", err)
	}
	return made
}

func task(token string) *dag.Task { return dag.NewTask("r1", "step", token, nil, nil) }

// rest is the instance stopped.
func (w *world) rest(i Instance) Stopped {
	w.t.Helper()
	ctx := context.Background()
	if _, err := (Wait{Instance: dag.Lit(i).Take(), Source: dag.Lit(SourceImage{}), Communicator: "none"}).Do(ctx, w.cloud, task("wait")); err != nil {
		w.t.Fatal(err)
	}
	s, err := Stop{Instance: dag.Lit(i), After: dag.Lit(comm.Machine{}).Take()}.Do(ctx, w.cloud, task("stop"))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// reachable is a template with all that a machine needs to be reached.
func reachable() *EBS {
	b := template()
	b.Communicator = "ssh"
	b.SSH.Username = "ubuntu"
	return b
}

// public is a key that any step may import.
const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVmPnPqMGOwIYBiCAnZR2PkBxpUUPNXQuS0Y9sqHnzy test"

// image is one that is being made of an instance at rest.
func (w *world) image(name string) Image {
	w.t.Helper()
	i, _ := w.launched(name)
	return must(CreateImage{From: dag.Lit(w.rest(i)), Name: name}.Do(w.t.Context(), w.cloud, task(name+"-image")))
}

// ready is an image that is finished.
func (w *world) ready(name string) ReadyImage {
	w.t.Helper()
	return must(ImageReady{Image: dag.Lit(w.image(name))}.Do(w.t.Context(), w.cloud, task(name+"-ready")))
}

// client is for the calls that no step makes.
func (w *world) client() *ec2.Client {
	w.t.Helper()
	client, _, err := w.cloud.client(w.t.Context(), Access{}, home)
	return must(client, err)
}

// refused insists that a step fails with those words while EC2 refuses the action.
func refused[T any](t *testing.T, w *world, action string, s dag.Step[*Cloud, T], want string) {
	t.Helper()
	w.fail(action)
	defer func() { w.front.setPlay(nil) }()
	if _, err := s.Do(t.Context(), w.cloud, task("refused")); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "OutOfOrder") {
		t.Errorf("%s is refused: %v, want %q", action, err, want)
	}
}

// twice does a step two times, of which the second must change nothing.
func twice[T any](t *testing.T, w *world, s dag.Step[*Cloud, T]) (out T) {
	t.Helper()
	for range 2 {
		var err error
		if out, err = s.Do(t.Context(), w.cloud, task("twice")); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
