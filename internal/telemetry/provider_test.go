package telemetry

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/oteltest"
)

var about = About{Run: "a", Template: "t", Action: "RUN"}

// What the collector does not take is one warning, names no secret, and holds nobody up.
func TestCollectorThatIsAway(t *testing.T) {
	const secret = "marlin"
	hangs := make(chan struct{})
	t.Cleanup(func() { close(hangs) })
	for name, x := range map[string]struct {
		answer func(*http.Request) int
		want   string
	}{
		"refuses": {func(*http.Request) int { return http.StatusUnauthorized }, "it answers 401"},
		"ends":    {func(*http.Request) int { panic(http.ErrAbortHandler) }, "EOF"},
		"busy":    {func(*http.Request) int { return http.StatusServiceUnavailable }, "it answers 503"},
		"hangs":   {func(r *http.Request) int { <-hangs; return http.StatusOK }, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			c := oteltest.Start()
			c.Answer = x.answer
			if name != "hangs" { // whose Close would wait for it
				t.Cleanup(c.Close)
			}
			p := New(&Options{Traces: &Target{URL: strings.Replace(c.URL, "http://", "http://u:"+secret+"@", 1) + "/v1/traces?key=" + secret, Headers: map[string]string{"Authorization": secret}}}, "")
			p.patience = time.Second / 2
			if name == "hangs" {
				p.o.Metrics = p.o.Traces
			}
			tell(context.Background(), p, about)
			err := p.Close()
			if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the warning is %v", err)
			}
		})
	}
}

// A collector that is gone in the middle costs the spans that it did not get, and nothing else.
func TestCollectorThatDies(t *testing.T) {
	p, c := collected(t, "OTEL_BSP_SCHEDULE_DELAY", "1")
	tell(context.Background(), p, about)
	p.spans.ForceFlush(context.Background())
	before := len(c.Spans())
	c.Close()
	tell(context.Background(), p, about)
	err := p.Close()
	if before != 8 || err == nil || !strings.Contains(err.Error(), "cannot send 8 spans of the trace to 127.0.0.1:") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%d spans came, then: %v", before, err)
	}
}

// What may pass is tried again, and as much later as the collector says.
func TestBatchesAreTriedAgain(t *testing.T) {
	p, c := collected(t, "OTEL_METRICS_EXPORTER", "none", "OTEL_BSP_SCHEDULE_DELAY", "1")
	var calls atomic.Int64
	c.Answer = func(*http.Request) int {
		if calls.Add(1) <= 2 {
			return http.StatusTooManyRequests
		}
		return http.StatusOK
	}
	tell(context.Background(), p, about)
	p.spans.ForceFlush(context.Background())
	if err := p.Close(); err != nil || len(c.Spans()) != 8 {
		t.Errorf("%d spans after %d calls, %v", len(c.Spans()), calls.Load(), err)
	}
}

// The headers are for whom was named, not for where that one sends us.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var got atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Store(true) }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	p := New(&Options{Traces: &Target{URL: srv.URL, Headers: map[string]string{"Authorization": "marlin"}}}, "")
	tell(context.Background(), p, about)
	if err := p.Close(); err == nil || !strings.Contains(err.Error(), "it answers 307") || got.Load() {
		t.Errorf("%v, followed: %v", err, got.Load())
	}
}

func TestHeadersAndCompression(t *testing.T) {
	p, c := collected(t, "OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20marlin,x-scope = a", "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	tell(context.Background(), p, about)
	if err := p.Close(); err != nil || len(c.Wrong()) > 0 || len(c.Spans()) != 8 {
		t.Fatalf("%v, %q", err, c.Wrong())
	}
	for _, h := range c.Headers() {
		if h.Get("Authorization") != "Bearer marlin" || h.Get("X-Scope") != "a" || h.Get("Content-Encoding") != "gzip" {
			t.Errorf("the headers are %v", h)
		}
	}
}

// The collector's own authority is taken from a file, and nobody else's word for it.
func TestTLS(t *testing.T) {
	c := oteltest.Start()
	defer c.Close()
	secure := httptest.NewTLSServer(c.Config.Handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer secure.Close()
	file := t.TempDir() + "/ca.pem"
	writePEM(t, file, secure.Certificate().Raw)
	for _, path := range []string{file, "", t.TempDir() + "/none.pem"} {
		p := New(&Options{Traces: &Target{URL: secure.URL + "/v1/traces", Authorities: path}}, "")
		tell(context.Background(), p, about)
		if err := p.Close(); (err == nil) != (path == file) {
			t.Errorf("with %q: %v", path, err)
		}
	}
}

// A queue that is full loses spans, and holds up nobody.
func TestQueueIsBounded(t *testing.T) {
	hangs := make(chan struct{})
	p, c := collected(t, "OTEL_METRICS_EXPORTER", "none")
	c.Answer = func(*http.Request) int { <-hangs; return http.StatusOK }
	ctx, r := p.Begin(context.Background(), about)
	for range 10_000 { // does not come back if the queue is waited for
		call(ctx, "call")
	}
	r.End(success, "")
	close(hangs)
	p.Close()
	if n := len(c.Spans()); n >= 10_000 || n < 100 {
		t.Errorf("%d spans came", n)
	}
}

// Without variables nothing is made, started or allocated.
func TestOff(t *testing.T) {
	none := func(string) string { return "" }
	o, warnings := FromEnv(none, nil)
	p := New(o, "")
	if p != nil || warnings != nil {
		t.Fatalf("%v, %q", p, warnings)
	}
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		in, r := p.Begin(ctx, about)
		if in != ctx || r != nil || r.TraceID() != "" || r.Parent() != "" {
			t.Error("something began")
		}
		r.End(success, "")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	before := runtime.NumGoroutine()
	on := New(&Options{Traces: &Target{URL: "http://127.0.0.1:1"}, Metrics: &Target{URL: "http://127.0.0.1:1"}}, "")
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before any run, and %d were there", now, before)
	}
	if err := on.Close(); err != nil {
		t.Errorf("nothing was to be sent: %v", err)
	}
}

func TestFromEnv(t *testing.T) {
	for _, x := range []struct {
		env  string
		want string // traces, metrics, warnings
	}{
		{"", "- -"},
		{"OTEL_SERVICE_NAME=x", "- -"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "http://c:4318/v1/traces http://c:4318/v1/metrics"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/base/", "http://c:4318/base/v1/traces http://c:4318/base/v1/metrics"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318 OTEL_SDK_DISABLED=TRUE", "- -"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://t/mine", "https://t/mine -"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=https://m/mine OTEL_TRACES_EXPORTER=otlp", "http://localhost:4318/v1/traces https://m/mine"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318 OTEL_METRICS_EXPORTER=none", "http://c:4318/v1/traces -"},
		{"OTEL_TRACES_EXPORTER=zipkin", "- - cannot send traces by OTEL_TRACES_EXPORTER=zipkin: otlp and none are the choice"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:4317 OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "- - cannot send traces by OTEL_EXPORTER_OTLP_PROTOCOL=grpc: http/protobuf is what is spoken here, and every collector takes it, mostly at port 4318"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "http://localhost:4318/v1/traces -"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=c:4318", "- - cannot send traces to OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: give it as http://HOST:PORT"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https:///v1", "- - cannot send traces to OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: give it as http://HOST:PORT"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_HEADERS=marlin,a=%zz,b%20=c", "http://localhost:4318/v1/traces - cannot use a part of OTEL_EXPORTER_OTLP_HEADERS: it is not NAME=VALUE with %XX for what is special cannot use a part of OTEL_EXPORTER_OTLP_HEADERS: it is not NAME=VALUE with %XX for what is special"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_HEADERS=a=b%0d%0ac:d", "http://localhost:4318/v1/traces - cannot use a header of OTEL_EXPORTER_OTLP_HEADERS: no header of HTTP is like that"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_TIMEOUT=soon", "http://localhost:4318/v1/traces - cannot use OTEL_EXPORTER_OTLP_TIMEOUT=soon: it is a number of milliseconds"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_TRACES_SAMPLER=jaeger_remote", "http://localhost:4318/v1/traces - cannot use OTEL_TRACES_SAMPLER=jaeger_remote: always_on, always_off, traceidratio, and each after parentbased_, are the choice"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=2", "http://localhost:4318/v1/traces - cannot use OTEL_TRACES_SAMPLER_ARG=2: it is a number from 0 to 1"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_COMPRESSION=zstd", "http://localhost:4318/v1/traces - cannot compress by OTEL_EXPORTER_OTLP_COMPRESSION=zstd: gzip and none are the choice"},
	} {
		env := map[string]string{}
		for _, kv := range strings.Fields(x.env) {
			name, value, _ := strings.Cut(kv, "=")
			env[name] = value
		}
		o, warnings := FromEnv(func(name string) string { return env[name] }, func(p string) string { return "/at/" + p })
		got := "- -"
		if o != nil {
			url := func(t *Target) string {
				if t == nil {
					return "-"
				}
				return t.URL
			}
			got = url(o.Traces) + " " + url(o.Metrics)
		}
		if got = strings.Join(append([]string{got}, warnings...), " "); got != x.want {
			t.Errorf("%s\ngot  %s\nwant %s", x.env, got, x.want)
		}
	}
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c", "OTEL_EXPORTER_OTLP_TIMEOUT": "1500", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "250", "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY": "k.pem"}
	o, _ := FromEnv(func(name string) string { return env[name] }, func(p string) string { return "/at/" + p })
	if o.Traces.Timeout != 250*time.Millisecond || o.Metrics.Timeout != 1500*time.Millisecond || o.Traces.Authorities != "/at/ca.pem" || o.Traces.Key != "" || o.Metrics.Key != "/at/k.pem" {
		t.Errorf("%+v %+v", o.Traces, o.Metrics)
	}
}

// An attribute names some of many builds.
func TestSome(t *testing.T) {
	var builds []string
	for i := range 1000 {
		builds = append(builds, fmt.Sprint(i))
	}
	if got := some(builds); len(got) != 33 || got[32] != "and 968 more" || !slices.Equal(some(builds[:3]), builds[:3]) {
		t.Errorf("%q", got)
	}
}

// Tracing of a step costs little beside a step.
func BenchmarkStep(b *testing.B) {
	p := New(&Options{Traces: &Target{URL: "http://127.0.0.1:1"}}, "")
	_, r := p.Begin(context.Background(), about)
	defer p.Close()
	for i := 0; b.Loop(); i++ {
		x := &teller{r, time.Now()}
		x.event(dag.Started, "shell")
		x.event(dag.Finished, "shell")
	}
}
