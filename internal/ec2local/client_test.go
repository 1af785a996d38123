package ec2local

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/imgflow/imgflow/internal/ec2local/conform"
)

// TestMain insists that every operation was exercised, and its reply compared
// with the model, when all tests were run.
func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		fmt.Fprintln(os.Stderr, serveForTest(dir))
		os.Exit(1)
	}
	code := m.Run()
	flag.Parse()
	if run := flag.Lookup("test.run").Value.String(); code == 0 && run == "" && flag.Lookup("test.list").Value.String() == "" && !testing.Short() {
		seen := conform.Seen()
		var left []string
		for _, table := range []map[string]operation{ec2Operations, stsOperations, iamOperations} {
			for name := range table {
				if seen[name] == 0 {
					left = append(left, name)
				}
			}
		}
		if len(left) > 0 {
			sort.Strings(left)
			fmt.Fprintf(os.Stderr, "FAIL: operations whose replies no test compared with the model: %s\n", strings.Join(left, ", "))
			code = 1
		}
	}
	os.Exit(code)
}

var keyOfTests = Key{ID: "AKIDEXAMPLE", Secret: "not-a-secret"}

// credentialsOf are what the SDK signs with.
func credentialsOf(k Key) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(k.ID, k.Secret, "")
}

// readOnly hides all of a request's body but that it can be read: the SDK closes
// it early, and net/http cuts the reply if a closed body's WriteTo says io.EOF.
func readOnly(stack *middleware.Stack) error {
	return stack.Build.Add(middleware.BuildMiddlewareFunc("read only", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (out middleware.BuildOutput, meta middleware.Metadata, err error) {
		req := in.Request.(*smithyhttp.Request)
		if body, ok := req.GetStream().(io.ReadSeeker); ok {
			if in.Request, err = req.SetStream(struct{ io.ReadSeeker }{body}); err != nil {
				return out, meta, err
			}
		}
		return next.HandleBuild(ctx, in)
	}), middleware.After)
}

// A bench is an endpoint with its clients.
type bench struct {
	t      *testing.T
	host   *fakeHost
	opts   Options
	server *Server
	http   *httptest.Server
	clock  *testClock // of a slow one
	*ec2.Client
}

var ctx = context.Background()

func newBench(t *testing.T, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, host: newFakeHost()}
	b.opts = Options{Dir: t.TempDir(), Guests: b.host, Key: keyOfTests}
	if testing.Verbose() {
		b.opts.Log = t.Output()
	}
	for _, f := range change {
		f(&b.opts)
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

// newSlowBench is one where things take the time that they take at AWS. It passes
// while the test waits for a state, and at no other time.
func newSlowBench(t *testing.T) *bench {
	clock := newTestClock()
	b := newBench(t, func(o *Options) {
		o.Latency, o.Now = "aws", clock.now
		o.Key, o.AnyKey = Key{}, true // its clients have another clock
	})
	b.clock = clock
	return b
}

// pass lets some of a slow bench's time pass.
func (b *bench) pass(id string) {
	if b.clock == nil {
		return
	}
	b.clock.add(5 * time.Second)
	if strings.HasPrefix(id, "i-") {
		b.server.life.ring("us-east-1", id)
	}
	b.server.tick.ring()
}

func (b *bench) start() {
	b.t.Helper()
	s, err := New(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = s
	b.http = httptest.NewServer(conform.Check(b.t, s))
	b.Client = b.client("us-east-1")
}

func (b *bench) stop() {
	if b.http == nil {
		return
	}
	b.http.CloseClientConnections()
	b.http.Close()
	b.http = nil
	b.checkIndex()
	if err := b.server.Close(); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) config(region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(b.http.URL), RetryMaxAttempts: 1,
		Credentials: credentialsOf(keyOfTests), APIOptions: []func(*middleware.Stack) error{readOnly},
	}
}

func (b *bench) client(region string) *ec2.Client { return ec2.NewFromConfig(b.config(region)) }

// code is the error code of an answer, "" for none.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func wantCode(t *testing.T, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("error code %q, want %q (%v)", got, want, err)
	}
}

// must1 takes the value of a call that has to work.
func must1[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// eventually waits for something that happens by itself.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func (b *bench) source(pattern string) types.Image {
	b.t.Helper()
	out, err := b.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("name"), Values: []string{pattern}}}})
	if err != nil || len(out.Images) == 0 {
		b.t.Fatalf("no image like %s: %v", pattern, err)
	}
	sort.Slice(out.Images, func(i, j int) bool { return *out.Images[i].CreationDate > *out.Images[j].CreationDate })
	return out.Images[0]
}

const xenial = "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"

func (b *bench) run(change ...func(*ec2.RunInstancesInput)) string {
	b.t.Helper()
	in := &ec2.RunInstancesInput{ImageId: b.source(xenial).ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	for _, f := range change {
		f(in)
	}
	out, err := b.RunInstances(ctx, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return *out.Instances[0].InstanceId
}

func (b *bench) instance(id string) types.Instance {
	b.t.Helper()
	out, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Reservations[0].Instances[0]
}

func (b *bench) until(id string, state types.InstanceStateName) types.Instance {
	b.t.Helper()
	var i types.Instance
	eventually(b.t, id+" "+string(state), func() bool {
		b.pass(id)
		i = b.instance(id)
		return i.State.Name == state
	})
	return i
}

func (b *bench) imageUntil(id string, state types.ImageState) types.Image {
	b.t.Helper()
	var m types.Image
	eventually(b.t, id+" "+string(state), func() bool {
		b.pass(id)
		out, err := b.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
		if err != nil {
			b.t.Fatal(err)
		}
		m = out.Images[0]
		return m.State == state
	})
	return m
}
