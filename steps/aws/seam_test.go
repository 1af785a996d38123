package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// thrower makes a thing, and fails as it is told.
type thrower struct{ Name string }
type thrown struct{ Name string }

func (thrower) Kind() string            { return "test.thrower" }
func (thrower) Patience() time.Duration { return time.Nanosecond }
func (s thrower) Do(_ context.Context, errs map[string]error, t *dag.Task) (thrown, error) {
	return thrown(s), errs[s.Name]
}
func (thrown) Find(_ context.Context, errs map[string]error, t *dag.Task) (thrown, error) {
	var s thrower
	if err := t.Settings(&s); err != nil {
		return thrown{}, err
	}
	return thrown(s), errs[s.Name]
}
func (o thrown) Undo(_ context.Context, errs map[string]error, t *dag.Task) error {
	return errs[o.Name]
}

// asJSON is a runner to which everything goes as JSON, and from which it comes so.
type asJSON struct {
	dag.Runner
	results *sync.Map
}

func again[T any](v T) (back T) {
	p, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(p, &back)
	}
	if err != nil {
		panic(err)
	}
	return back
}

func (r asJSON) Do(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	res := r.Runner.Do(ctx, again(c), h)
	r.results.Store(c.Name, res)
	return again(res)
}
func (r asJSON) Find(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	return again(r.Runner.Find(ctx, again(c), h))
}
func (r asJSON) Undo(ctx context.Context, c dag.Call, h dag.Host) dag.Result {
	return again(r.Runner.Undo(ctx, again(c), h))
}

// throughSeam are errors of every class that steps end with, and what the engine is to
// know of each.
func throughSeam() map[string]struct {
	err  error
	want dag.Result
} {
	type row = struct {
		err  error
		want dag.Result
	}
	api := func(code string) error {
		return &smithy.OperationError{ServiceID: "EC2", OperationName: "X", Err: &smithy.GenericAPIError{Code: code, Message: "words of EC2 <" + code + ">."}}
	}
	exit := exec.Command("sh", "-c", "exit 3").Run()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	rows := map[string]row{
		"plain":                  {errors.New("cannot do it: a <b> & \"c\""), dag.Result{Class: dag.Fail}},
		"of two lines":           {errors.New("cannot do it:\n\tfirst\n\tsecond"), dag.Result{Class: dag.Fail}},
		"no UTF-8":               {errors.New("cannot do it: caf\xe9"), dag.Result{Class: dag.Fail}},
		"joined":                 {errors.Join(errors.New("one"), dag.Retry(errors.New("two"), 0)), dag.Result{Class: dag.Passing}},
		"retry":                  {dag.Retry(errors.New("later"), 0), dag.Result{Class: dag.Passing}},
		"retry after":            {fmt.Errorf("cannot: %w", dag.Retry(errors.New("later"), 15*time.Second)), dag.Result{Class: dag.Passing, RetryAfter: 15 * time.Second}},
		"retry of what is gone":  {dag.Retry(fmt.Errorf("it: %w", dag.ErrNotFound), time.Millisecond), dag.Result{Class: dag.Passing, RetryAfter: time.Millisecond}},
		"not found":              {dag.ErrNotFound, dag.Result{Class: dag.NotFound}},
		"not found, wrapped":     {fmt.Errorf("cannot use vpc_id: vpc-1: %w", dag.ErrNotFound), dag.Result{Class: dag.NotFound}},
		"not made":               {dag.NotMade(errors.New("refused")), dag.Result{Class: dag.Fail, NotMade: true}},
		"not made, may pass":     {dag.NotMade(dag.Retry(errors.New("refused"), time.Second)), dag.Result{Class: dag.Passing, NotMade: true, RetryAfter: time.Second}},
		"not made, gone":         {dag.NotMade(fmt.Errorf("x: %w", dag.ErrNotFound)), dag.Result{Class: dag.NotFound, NotMade: true}},
		"cancelled":              {context.Canceled, dag.Result{Class: dag.Fail}},
		"deadline":               {fmt.Errorf("cannot wait: %w", context.DeadlineExceeded), dag.Result{Class: dag.Fail}},
		"EC2 fails":              {wrapAPI("do it", "X", old, api("VcpuLimitExceeded")), dag.Result{Class: dag.Fail, Code: "quota-reached"}},
		"EC2 refuses":            {wrapAPI("do it", "X", old, api("UnauthorizedOperation")), dag.Result{Class: dag.Fail, Code: "unauthorized"}},
		"EC2 refuses the making": {asNotMade("make it", "RunInstances", old, api("UnauthorizedOperation")), dag.Result{Class: dag.Fail, NotMade: true, Code: "unauthorized"}},
		"EC2 passes":             {wrapAPI("do it", "X", old, api("IncorrectState")), dag.Result{Class: dag.Passing, Code: "cloud-refused"}},
		"EC2 throttles":          {wrapAPI("do it", "X", old, api("RequestLimitExceeded")), dag.Result{Class: dag.Passing, Code: "throttled"}},
		"EC2 has none":           {wrapAPI("find it", "X", old, api("InvalidGroup.NotFound")), dag.Result{Class: dag.NotFound, Code: "cloud-not-found"}},
		"EC2 shows none yet":     {wrapAPI("find it", "X", 0, api("InvalidGroup.NotFound")), dag.Result{Class: dag.Passing, Code: "cloud-not-found"}},
		"EC2 has made it before": {wrapAPI("make it", "ImportKeyPair", old, api("InvalidKeyPair.Duplicate")), dag.Result{Class: dag.Fail, Code: "name-taken"}},
		"EC2 has no room":        {wrapAPI("launch it", "RunInstances", old, api("InsufficientInstanceCapacity")), dag.Result{Class: dag.Fail, Code: "no-capacity"}},
		"EC2 is not reached":     {wrapAPI("do it", "X", old, &smithy.OperationError{ServiceID: "EC2", OperationName: "X", Err: dial}), dag.Result{Class: dag.Passing, Code: "cloud-no-answer"}},
		"ambiguous":              {asNotMade("make it", "RunInstances", old, &ambiguousError{api("UnauthorizedOperation")}), dag.Result{Class: dag.Fail, Code: "unauthorized"}},
		"a reply that is none":   {wrapAPI("do it", "X", old, &replyError{text: "it is a page of a proxy", retryable: true}), dag.Result{Class: dag.Passing, Code: "cloud-no-answer"}},
		"an option":              {steps.OptionError{Field: "ami_name", Text: "is taken"}, dag.Result{Class: dag.Fail}},
		"the machine is down":    {fmt.Errorf("cannot connect: %w", &comm.DownError{Status: comm.Status{State: comm.Stopped, Why: "by its user"}}), dag.Result{Class: dag.Fail, Code: "machine-down"}},
		"another host key":       {&comm.HostKeyError{Host: "h", Got: "a", Want: []string{"b"}}, dag.Result{Class: dag.Fail, Code: "host-key-changed"}},
		"an exit status":         {fmt.Errorf("the script ended: %w", exit), dag.Result{Class: dag.Fail}},
		"a file":                 {&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, dag.Result{Class: dag.Fail}},
		"the network":            {dial, dag.Result{Class: dag.Fail}},
	}
	for name, r := range rows {
		r.want.Err = strings.ToValidUTF8(r.err.Error(), "\uFFFD")
		rows[name] = r
	}
	return rows
}

// told are the events of an engine, without their times.
type told struct {
	mu sync.Mutex
	ev []dag.Event
}

func (s *told) Emit(e dag.Event) error {
	e.Time, e.Took = time.Time{}, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ev = append(s.ev, e)
	return nil
}
func (*told) Sync() error                     { return nil }
func (*told) Offset(_, _ string) int64        { return 0 }
func (*told) Break(line []byte, most int) int { return most }

// noHost knows no secrets and keeps nothing.
type noHost struct{ *told }

func (noHost) Secret(string) (string, error)      { return "", errors.New("none") }
func (noHost) Save(string, json.RawMessage) error { return errors.New("nothing is kept") }

// TestErrorsThroughTheSeam sends every class of error through the JSON form of a
// result. Its class, its text and its wait come back, and the engine does, records and
// tells the same as with a runner in its own process.
func TestErrorsThroughTheSeam(t *testing.T) {
	for name, x := range throughSeam() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kinds := []dag.Kind{dag.Bind[thrower](map[string]error{name: x.err})}
			var results sync.Map
			type end struct {
				failed string
				events []dag.Event
				record dag.Record
			}
			solve := func(r dag.Runner) (e end) {
				sink := &told{}
				g := dag.NewGraph(nil)
				dag.Goal(g, dag.Add(g, dag.Build{Name: "b"}, "step", thrower{name}))
				engine, err := dag.New(dag.Options{Run: "r", Store: &dag.MemStore{}, Kinds: kinds, Runner: r, Sink: sink,
					OnFailure: func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }})
				if err != nil {
					t.Fatal(err)
				}
				report, err := engine.Solve(t.Context(), g)
				if err != nil || len(report.Failed) != 1 {
					t.Fatalf("%+v, %v", report, err)
				}
				e.failed, e.events, e.record = report.Failed[0].Err.Error(), sink.ev, engine.Records()[0]
				e.record.Begun, e.record.Ended = time.Time{}, time.Time{}
				return e
			}
			here, there := solve(nil), solve(asJSON{dag.InProcess(kinds), &results})
			if !reflect.DeepEqual(here, there) {
				t.Errorf("in its own process:\n%+v\nthrough JSON:\n%+v", here, there)
			}
			if got, _ := results.Load("step"); !reflect.DeepEqual(got, x.want) {
				t.Errorf("got  %+v\nwant %+v", got, x.want)
			}
			if !strings.HasPrefix(here.failed, x.want.Err) {
				t.Errorf("the user reads %q of %q", here.failed, x.want.Err)
			}
			for _, look := range []func(context.Context, dag.Call, dag.Host) dag.Result{dag.InProcess(kinds).Find, dag.InProcess(kinds).Undo} {
				p, err := json.Marshal(thrower{name})
				if err != nil {
					t.Fatal(err)
				}
				c := dag.Call{Name: "step", Kind: "test.thrower", Spec: p, Out: p}
				if got := again(look(t.Context(), again(c), noHost{&told{}})); !reflect.DeepEqual(got, x.want) {
					t.Errorf("looking for it: got %+v, want %+v", got, x.want)
				}
			}
		})
	}
}
