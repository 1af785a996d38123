package temporal

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
)

// taskQueue is where workers of a namespace find what there is to do.
const taskQueue = "imgflow"

// waitQueue is where they find what is waited for: runs that make it need the places of the other one.
const waitQueue = taskQueue + "/waits"

// many is from how many builds on each has a workflow of its own. One workflow of 20 has about
// 2,000 events of the 51,200 that a history may have, and its decisions come one after the other.
const many = 20

// What a run can be found by on Temporal's own page.
var (
	templateKey = temporal.NewSearchAttributeKeyKeyword("ImgflowTemplate")
	buildsKey   = temporal.NewSearchAttributeKeyKeywordList("ImgflowBuilds")
	statusKey   = temporal.NewSearchAttributeKeyKeyword("ImgflowStatus")
	teamKey     = temporal.NewSearchAttributeKeyKeyword("ImgflowTeam")
)

// Client submits runs to the workers of a namespace.
type Client struct {
	c         client.Client
	host      string
	namespace string
}

// Name tells the namespace of a server from others.
func (t *Client) Name() string { return t.host + "/" + t.namespace }

// Dial connects to temporal://HOST:PORT/NAMESPACE, or, with TLS, to temporals://HOST:PORT/NAMESPACE. Who
// is calling, and whom it trusts, is said by the variables of Temporal's own tools, which getenv looks up. It makes the
// namespace know by what runs are found.
func Dial(ctx context.Context, address string, getenv func(string) string) (*Client, error) {
	o, err := options(address)
	if err == nil {
		err = authenticate(&o, getenv)
	}
	if err != nil {
		return nil, err
	}
	o.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler)) // what matters comes as an error, or as an event of a run
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, o)
	if err != nil {
		return nil, unreachable(o.HostPort, err)
	}
	t := &Client{c, o.HostPort, o.Namespace}
	if err := t.introduce(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

// options are what a URL says.
func options(address string) (o client.Options, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return o, fmt.Errorf("cannot read the address of Temporal: it is no URL; write temporal://HOST:PORT/NAMESPACE")
	}
	o.Namespace = cmp.Or(strings.Trim(u.Path, "/"), client.DefaultNamespace)
	switch {
	case u.Scheme != "temporal" && u.Scheme != "temporals", u.Hostname() == "", u.User != nil, u.RawQuery != "", u.Fragment != "", strings.Contains(o.Namespace, "/"):
		return o, fmt.Errorf("cannot use %s as the address of Temporal: write temporal://HOST:PORT/NAMESPACE, or temporals:// for TLS", u.Redacted())
	case u.Scheme == "temporals":
		o.ConnectionOptions.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o.HostPort = u.Hostname() + ":" + cmp.Or(u.Port(), "7233")
	if strings.Contains(u.Hostname(), ":") {
		o.HostPort = "[" + u.Hostname() + "]:" + cmp.Or(u.Port(), "7233")
	}
	return o, nil
}

// introduce makes the namespace know the search attributes.
func (t *Client) introduce(ctx context.Context) error {
	known, err := t.c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: t.namespace})
	if errors.As(err, new(*serviceerror.PermissionDenied)) || errors.As(err, new(*serviceerror.Unimplemented)) {
		// Whoever may not ask can work all the same, where an administrator has added them.
		if _, err = t.c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: t.namespace}); err == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("cannot learn what the namespace %s of Temporal knows: %w", t.namespace, err)
	}
	add := map[string]enums.IndexedValueType{}
	for _, k := range []temporal.SearchAttributeKey{templateKey, buildsKey, statusKey, teamKey} {
		if _, there := known.GetCustomAttributes()[k.GetName()]; !there {
			add[k.GetName()] = k.GetValueType()
		}
	}
	if len(add) == 0 {
		return nil
	}
	_, err = t.c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: t.namespace, SearchAttributes: add})
	if there := (*serviceerror.AlreadyExists)(nil); err != nil && !errors.As(err, &there) {
		return fmt.Errorf("cannot add the search attributes ImgflowTemplate, ImgflowStatus and ImgflowTeam (Keyword) and ImgflowBuilds (KeywordList) to the namespace %s: add them as its administrator: %w", t.namespace, err)
	}
	return nil
}

// Close ends the connection.
func (t *Client) Close() { t.c.Close() }

// Submission is what is known of a run beside its records.
type Submission struct {
	Template string
	Builds   []string
	Team     string // shares the workers fairly with others
	Priority int    // from 1, which comes first, to 5; 0 is 3
}

// mostNamed is how many builds of a run can be searched for, and mostText how long a value may be, in characters.
const mostNamed, mostWord = 50, 200

// start is how a workflow of a run begins. Nobody else can begin it a second time while it is open.
func (s Submission) start(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: id, TaskQueue: taskQueue,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		TypedSearchAttributes:                    s.attributes(running),
		Priority:                                 s.priority(),
	}
}

// running is how a run is that begins.
var running = statusKey.ValueSet("running")

// attributes are by what a run is found, and more.
func (s Submission) attributes(more ...temporal.SearchAttributeUpdate) temporal.SearchAttributes {
	names := make([]string, 0, mostNamed)
	for _, b := range s.Builds[:min(len(s.Builds), mostNamed)] {
		names = append(names, short(b))
	}
	found := append(more, templateKey.ValueSet(short(s.Template)))
	if len(names) > 0 {
		found = append(found, buildsKey.ValueSet(names))
	}
	if s.Team != "" {
		found = append(found, teamKey.ValueSet(short(s.Team)))
	}
	return temporal.NewSearchAttributes(found...)
}

// priority is how a run comes among others.
func (s Submission) priority() temporal.Priority {
	return temporal.Priority{PriorityKey: s.Priority, FairnessKey: fairness(s.Team)}
}

func short(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r := []rune(s); len(r) > mostWord {
		return string(r[:mostWord])
	}
	return s
}

// fairness is the key of a team, which has at most 64 bytes.
func fairness(team string) string {
	team = strings.ToValidUTF8(team, "\uFFFD")
	for len(team) > 64 {
		r := []rune(team)
		team = string(r[:len(r)-1])
	}
	return team
}

// Submit has a run driven by the workers, which must be assigned to them.
func (t *Client) Submit(ctx context.Context, ref Ref, s Submission) error {
	_, err := t.c.ExecuteWorkflow(ctx, s.start(ref.Run), runWorkflow, ref, many)
	return refused("submit", ref.Run, err)
}

// Undo has things of a run removed by the workers, which must be assigned to them. What are words for
// Work.Undo. The workflow of the run must have ended.
func (t *Client) Undo(ctx context.Context, ref Ref, s Submission, what json.RawMessage) error {
	_, err := t.c.ExecuteWorkflow(ctx, s.start(undoID(ref.Run)), undoWorkflow, ref, what)
	return refused("remove what was made by", ref.Run, err)
}

func undoID(run string) string { return run + "/undo" }

func refused(what, run string, err error) error {
	if there := (*serviceerror.WorkflowExecutionAlreadyStarted)(nil); errors.As(err, &there) {
		return fmt.Errorf("cannot %s run %s: a workflow is at work on it already", what, run)
	}
	if err != nil {
		return fmt.Errorf("cannot %s run %s: Temporal refuses: %w", what, run, err)
	}
	return nil
}

// Suspend has the workflow of a run end its calls, leave all that exists, and end. Without one
// that is open, nothing is to be done. A removal is suspended in the same way.
func (t *Client) Suspend(ctx context.Context, run string) error {
	for _, id := range []string{run, undoID(run)} {
		err := t.c.SignalWorkflow(ctx, id, "", suspendSignal, nil)
		if none := (*serviceerror.NotFound)(nil); err != nil && !errors.As(err, &none) {
			return fmt.Errorf("cannot suspend run %s: %w", run, err)
		}
	}
	return nil
}

// Open reports whether a workflow is at work on a run, or on the removal of what it has made.
func (t *Client) Open(ctx context.Context, run string) (bool, error) {
	for _, id := range []string{run, undoID(run)} {
		d, err := t.c.DescribeWorkflow(ctx, id, "")
		if none := (*serviceerror.NotFound)(nil); errors.As(err, &none) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("cannot learn from Temporal how run %s is: %w", run, err)
		}
		if d.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return true, nil
		}
	}
	return false, nil
}

// answering is how long a worker may take that decides for a run to say that it is there.
const answering = 20 * time.Second

// Adrift reports whether a workflow is at work on a run for which no worker decides any more: there is none, or none of
// the version that has begun it.
func (t *Client) Adrift(ctx context.Context, run string) (bool, error) {
	for _, id := range []string{run, undoID(run)} {
		asking, cancel := context.WithTimeout(ctx, answering)
		_, err := t.c.QueryWorkflow(asking, id, "", "__stack_trace") // any worker of the SDK answers it
		cancel()
		switch {
		case err == nil || errors.As(err, new(*serviceerror.NotFound)):
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded), errors.As(err, new(*serviceerror.DeadlineExceeded)), errors.As(err, new(*serviceerror.FailedPrecondition)), errors.As(err, new(*serviceerror.QueryFailed)):
			d, err := t.c.DescribeWorkflow(ctx, id, "") // one that has ended needs nobody
			if err != nil || d.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
				return err == nil, err
			}
		default:
			return false, fmt.Errorf("cannot learn from Temporal who decides for run %s: %w", run, err)
		}
	}
	return false, nil
}

// GiveUp ends the workflows of a run at once. What it has made is in its records.
func (t *Client) GiveUp(ctx context.Context, run string) error {
	for _, id := range []string{run, undoID(run)} {
		err := t.c.TerminateWorkflow(ctx, id, "", "no worker decides for it")
		if none := (*serviceerror.NotFound)(nil); err != nil && !errors.As(err, &none) {
			return fmt.Errorf("cannot end the workflow of run %s: %w", run, err)
		}
	}
	return nil
}

// Watch returns when no workflow is at work on a run any more. How it has ended is in the run's records.
func (t *Client) Watch(ctx context.Context, run string) error {
	for _, id := range []string{run, undoID(run)} {
		err := t.c.GetWorkflow(ctx, id, "").Get(ctx, nil)
		if none := (*serviceerror.NotFound)(nil); errors.As(err, &none) {
			continue
		}
		if ended := (*temporal.WorkflowExecutionError)(nil); err != nil && !errors.As(err, &ended) {
			return fmt.Errorf("cannot follow run %s at Temporal: %w", run, err)
		}
	}
	return ctx.Err()
}
