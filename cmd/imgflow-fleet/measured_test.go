package main

import (
	"encoding/hex"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	traces "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/imgflow/imgflow/internal/oteltest"
	"github.com/imgflow/imgflow/internal/secrettest"
)

// Workers send what they do to a collector: of themselves, of steps and calls, and a run as one trace, which is part of the one
// that its submitter is in. One that goes on with what another has begun says so. None of it holds a secret.
func TestWorkersAreMeasured(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	collector := oteltest.Start()
	defer collector.Close()
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "OTEL_METRIC_EXPORT_INTERVAL=200", "OTEL_SERVICE_NAME=fleet"}
	start := func(name string) (*lockedBuffer, *os.Process) {
		cmd, said := b.machine(name, "worker", "--on", b.engine, "--dir", b.dir+"/"+name+"/files", "--concurrency", "7"), new(lockedBuffer)
		cmd.Stdout, cmd.Stderr, cmd.Env = said, said, append(cmd.Env, env...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
		return said, cmd.Process
	}
	_, first := start("one")
	run := b.machine("me", "run", "--on", b.engine, "-var", "word=hunTer2", b.slow("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 1; done"))
	out := new(lockedBuffer)
	run.Stdout, run.Stderr = out, out
	run.Env = append(run.Env, env...)
	run.Env = append(run.Env, "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	b.await(out, "line 2")
	first.Kill()
	first.Wait()
	_, second := start("two")
	if err := run.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	second.Signal(syscall.SIGTERM) // it sends the rest
	second.Wait()
	if wrong := collector.Wrong(); len(wrong) > 0 {
		t.Fatal(wrong)
	}

	levels := map[string]float64{}
	for _, name := range []string{"places", "lanes", "others", "heartbeat.age", "runs"} {
		m := collector.Metric("imgflow.worker." + name)
		if m == nil || len(m.GetGauge().GetDataPoints()) != 1 {
			t.Errorf("of %s it tells %v", name, m)
			continue
		}
		levels[name] = m.GetGauge().DataPoints[0].GetAsDouble()
	}
	if levels["places"] != 7 || levels["heartbeat.age"] > 3600 {
		t.Errorf("it tells %v", levels)
	}
	if n := len(collector.Metric("imgflow.worker.busy").GetGauge().GetDataPoints()); n != 3 {
		t.Errorf("it is busy with %d queues", n)
	}
	for name, least := range map[string]float64{"takeovers": 1, "lanes.taken": 16} {
		if m := collector.Metric("imgflow.worker." + name); m == nil || m.GetSum().DataPoints[0].GetAsDouble() < least {
			t.Errorf("of %s it tells %v, want %v at least", name, m, least)
		}
	}
	kinds := map[string]bool{}
	for _, p := range collector.Metric("imgflow.step.duration").GetHistogram().GetDataPoints() {
		kinds[oteltest.Attributes(p)["imgflow.step.kind"]] = true
	}
	calls := map[string]bool{}
	for _, p := range collector.Metric("rpc.client.call.duration").GetHistogram().GetDataPoints() {
		calls[oteltest.Attributes(p)["rpc.method"]] = true
	}
	if !kinds["provision.shell"] || !calls["EC2/CreateImage"] || len(collector.Metric("cicd.pipeline.run.duration").GetHistogram().GetDataPoints()) != 1 || collector.Resource()["service.name"] != "fleet" {
		t.Errorf("it tells of the steps %v and of the calls %v", kinds, calls)
	}

	var root *traces.Span
	steps, inSteps := map[string]bool{}, 0
	for _, s := range collector.Spans() {
		p, err := proto.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		secrettest.Check(t, "what a worker sends", p)
		if hex.EncodeToString(s.TraceId) != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in another trace", s.Name)
		}
		if s.Name == "RUN t.json" {
			root = s
		}
		steps[string(s.SpanId)] = oteltest.Attributes(s)["imgflow.step"] != ""
	}
	if root == nil || hex.EncodeToString(root.ParentSpanId) != "b7ad6b7169203331" || oteltest.Attributes(root)["cicd.pipeline.result"] != "success" || time.Duration(root.EndTimeUnixNano-root.StartTimeUnixNano) < 2*time.Second {
		t.Fatalf("the root is %v", root)
	}
	for _, s := range collector.Spans() {
		switch {
		case s == root:
		case steps[string(s.SpanId)] && string(s.ParentSpanId) != string(root.SpanId):
			t.Errorf("the step %s is not below the root", s.Name)
		case strings.HasPrefix(s.Name, "EC2/") && steps[string(s.ParentSpanId)]:
			inSteps++
		}
	}
	if inSteps == 0 {
		t.Error("no call is below its step")
	}
}
