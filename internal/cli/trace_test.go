package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	traces "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/oteltest"
)

// traced is a desk at which all is told to a collector.
func traced(t *testing.T) (*desk, *oteltest.Collector) {
	t.Helper()
	d, c := newDesk(t), oteltest.Start()
	t.Cleanup(c.Close)
	d.env = append(d.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	return d, c
}

func (d *desk) file(name, text string) {
	d.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644); err != nil {
		d.Fatal(err)
	}
}

// said is what a collector was told.
type said struct {
	spans []*traces.Span
	byID  map[string]*traces.Span
}

func heardBy(t *testing.T, c *oteltest.Collector) said {
	t.Helper()
	if wrong := c.Wrong(); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	s := said{c.Spans(), map[string]*traces.Span{}}
	for _, x := range s.spans {
		s.byID[string(x.SpanId)] = x
	}
	return s
}

func (s said) parent(x *traces.Span) *traces.Span { return s.byID[string(x.ParentSpanId)] }

// roots are the spans of the drives, in the order in which they ended.
func (s said) roots() (all []*traces.Span) {
	for _, x := range s.spans {
		if oteltest.Attributes(x)["cicd.pipeline.action.name"] != "" {
			all = append(all, x)
		}
	}
	return all
}

// step is the first span of a step.
func (s said) step(t *testing.T, name string) *traces.Span {
	t.Helper()
	for _, x := range s.spans {
		if oteltest.Attributes(x)["cicd.pipeline.task.name"] == name {
			return x
		}
	}
	t.Fatalf("there is no span of %s", name)
	return nil
}

const twoTemplate = `{
  "builders": [%s, %s],
  "provisioners": [{"type": "shell", "inline": ["echo hello"]}]
}`

const oneBuilder = `{"type": "amazon-ebs", "name": %q, "region": "us-east-1", "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "%[1]s-{{timestamp}}",
    "source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}}`

// TestARunIsOneTrace holds a trace against the plan: each step is there once, below the run,
// with links to what it needs, and each call below a step or a removal.
func TestARunIsOneTrace(t *testing.T) {
	d, c := traced(t)
	d.file("two.json", fmt.Sprintf(twoTemplate, fmt.Sprintf(oneBuilder, "web"), fmt.Sprintf(oneBuilder, "db")))
	out, code := d.do("plan", "--json", "two.json")
	var plan render.PlanJSON
	if err := json.Unmarshal([]byte(out), &plan); code != 0 || err != nil {
		t.Fatalf("%d, %v\n%s", code, err, out)
	}
	if len(c.Headers()) > 0 {
		t.Error("a plan was told")
	}
	if out, code = d.do("run", "--local", "--json", "two.json"); code != 0 {
		t.Fatalf("%d\n%s", code, out)
	}
	s := heardBy(t, c)
	roots := s.roots()
	if len(roots) != 1 || roots[0].Name != "RUN two.json" || roots[0].Status.GetCode() != traces.Status_STATUS_CODE_UNSET {
		t.Fatalf("the roots are %v", roots)
	}
	root := roots[0]
	name := func(step string, builds []string) string {
		return strings.Join(slices.Sorted(slices.Values(builds)), ",") + "/" + step
	}
	key, planned := map[string]string{}, []string{}
	for _, p := range plan.Steps {
		key[p.Key.String()] = name(p.Name, p.Builds)
	}
	for _, p := range plan.Steps {
		var after []string
		for _, k := range p.Needs {
			after = append(after, key[k.String()])
		}
		slices.Sort(after)
		planned = append(planned, fmt.Sprint(name(p.Name, p.Builds), " after ", after))
	}
	spanName := func(x *traces.Span) string {
		a := oteltest.Attributes(x)
		return name(a["cicd.pipeline.task.name"], strings.Split(a["imgflow.builds"], ","))
	}
	var steps []string
	calls := map[string]int{}
	for _, x := range s.spans {
		a, up := oteltest.Attributes(x), s.parent(x)
		if string(x.TraceId) != string(root.TraceId) || x.EndTimeUnixNano < x.StartTimeUnixNano || x.StartTimeUnixNano < root.StartTimeUnixNano {
			t.Errorf("%s is in another trace, or at another time", x.Name)
		}
		switch {
		case x == root:
		case a["cicd.pipeline.task.name"] != "":
			var after []string
			for _, l := range x.Links {
				after = append(after, spanName(s.byID[string(l.SpanId)]))
			}
			slices.Sort(after)
			steps = append(steps, fmt.Sprint(spanName(x), " after ", after))
			if up != root || x.EndTimeUnixNano > root.EndTimeUnixNano || a["cicd.pipeline.task.run.result"] != "success" {
				t.Errorf("the step %s: %v", x.Name, a)
			}
		case a["imgflow.removed"] != "":
			if up != root {
				t.Errorf("%s is not below the run", x.Name)
			}
		case x.Kind == traces.Span_SPAN_KIND_CLIENT:
			if up == nil {
				t.Fatalf("%s is below nothing", x.Name)
			}
			calls[up.Name+" > "+x.Name]++
			if up != root && x.StartTimeUnixNano < up.StartTimeUnixNano || a["aws.request_id"] == "" || a["http.response.status_code"] == "" {
				t.Errorf("the call %s below %s: %v", x.Name, up.Name, a)
			}
		default:
			t.Errorf("nobody knows what %s is", x.Name)
		}
	}
	slices.Sort(steps)
	slices.Sort(planned)
	if !slices.Equal(steps, planned) {
		t.Errorf("the steps are\n%s\nand planned were\n%s", strings.Join(steps, "\n"), strings.Join(planned, "\n"))
	}
	for _, want := range []string{"launch > EC2/RunInstances", "image > EC2/CreateImage", "keypair > EC2/ImportKeyPair", "remove launch > EC2/TerminateInstances", "remove keypair > EC2/DeleteKeyPair"} {
		if calls[want] == 0 {
			t.Errorf("there is no %s in %v", want, calls)
		}
	}
	for call, n := range calls {
		if strings.HasPrefix(call, "RUN") && !strings.HasSuffix(call, "Tags") { // the lease is the run's
			t.Errorf("%d calls are of no step: %s", n, call)
		}
	}
	for line := range strings.Lines(out) {
		if want := fmt.Sprintf(`"trace":"%x"`, root.TraceId); strings.HasPrefix(line, "{") && !strings.Contains(line, want) {
			t.Errorf("%s is not in %s", want, line)
		}
	}
	if c.Metric("rpc.client.call.duration") == nil || c.Metric("imgflow.removal.duration") == nil {
		t.Error("calls and removals are not measured")
	}
}

const failingTemplate = `{"variables": {"password": "marlin-and-barracuda"}, "sensitive-variables": ["password"],
  "builders": [{"type": "null", "name": "web", "communicator": "none"}],
  "provisioners": [{"type": "shell-local", "inline": ["echo {{user ` + "`password`" + `}} >&2", "test -e mended"], "max_retries": 1}]}`

// What fails, goes on and is taken down is one trace, in which no secret is.
func TestAFailedRunGoesOnInItsTrace(t *testing.T) {
	d, c := traced(t)
	d.file("fails.json", failingTemplate)
	if out, code := d.do("run", "-on-error=suspend", "fails.json"); code != 1 {
		t.Fatalf("%d\n%s", code, out)
	}
	failed := heardBy(t, c)
	x := failed.step(t, "shell-local")
	if a := oteltest.Attributes(x); x.Status.GetCode() != traces.Status_STATUS_CODE_ERROR || !strings.Contains(x.Status.Message, "exited with status 1") || a["cicd.pipeline.task.run.result"] != "failure" {
		t.Errorf("the step is %v", x)
	}
	if len(x.Events) != 1 || x.Events[0].Name != "warning" || !strings.Contains(oteltest.Attributes(x.Events[0])["imgflow.message"], "trying again") {
		t.Errorf("its events are %v", x.Events)
	}
	if root := failed.roots()[0]; root.Status.GetCode() != traces.Status_STATUS_CODE_ERROR {
		t.Errorf("the run is %v", root)
	}
	d.file("mended", "")
	if out, code := d.do("resume", "-var", "password=marlin-and-barracuda"); code != 0 {
		t.Fatalf("%d\n%s", code, out)
	}
	all := heardBy(t, c)
	roots := all.roots()
	if len(roots) != 2 || all.parent(roots[1]) != roots[0] || string(roots[0].TraceId) != string(roots[1].TraceId) {
		t.Errorf("it goes on in %v", roots)
	}
	for _, x := range all.spans {
		if text, _ := json.Marshal(x); strings.Contains(string(text), "marlin") {
			t.Errorf("a secret is in %s", text)
		}
	}
}

// A collector that is gone in the middle, and one that speaks something else, cost a warning.
func TestACollectorThatDiesCostsAWarning(t *testing.T) {
	d, c := traced(t)
	cmd, rest := d.begin("web: line 3")
	c.Close()
	d.goOn.Store(true)
	out := rest()
	if code := status(t, cmd.Wait()); code != 0 {
		t.Fatalf("%d\n%s", code, out)
	}
	errs := fmt.Sprint(cmd.Stderr)
	if strings.Count(errs, "imgflow: a warning: cannot send") != 1 || !strings.Contains(errs, "spans of the trace to 127.0.0.1:") {
		t.Errorf("it says %q", errs)
	}
	d.whole()
	d.env = append(d.env, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	d.file("mended", "")
	d.file("fails.json", failingTemplate)
	if out, code := d.do("run", "fails.json"); code != 0 || !strings.Contains(out, "Tracing: cannot send traces by OTEL_EXPORTER_OTLP_PROTOCOL=grpc: http/protobuf is what is spoken here") {
		t.Errorf("%d\n%s", code, out)
	}
}
