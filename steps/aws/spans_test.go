package aws

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// recorded is a context in the span of a step, and what becomes of the spans below it.
func recorded() (context.Context, trace.Span, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	ctx, step := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)).Tracer("").Start(context.Background(), "step")
	return ctx, step, r
}

func attributesOf(s sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

// TestCallsAreSpans: an answer, an error and a call that is sent again are told under their step, and no word of AWS's.
func TestCallsAreSpans(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	ctx, step, rec := recorded()
	s, err := w.cloud.site(ctx, here)
	if err != nil {
		t.Fatal(err)
	}
	w.front.setPlay(func(out http.ResponseWriter, action string, n int, _ url.Values) bool {
		switch {
		case action == "DescribeVpcs" && n <= 2:
			refuse(out, http.StatusServiceUnavailable, []string{"Unavailable", "RequestLimitExceeded"}[n-1], "later")
		case action == "DescribeSubnets":
			refuse(out, http.StatusForbidden, "UnauthorizedOperation", "no, for the secret is marlin")
		default:
			return false
		}
		return true
	})
	if _, err := s.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.api.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}); err == nil {
		t.Fatal("it was not refused")
	}
	spans := rec.Ended()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for i, want := range []map[string]string{
		{"rpc.system.name": "aws-api", "rpc.method": "EC2/DescribeVpcs", "cloud.provider": "aws", "cloud.region": home, "http.response.status_code": "200", "http.request.resend_count": "2", "imgflow.call.throttled": "1"},
		{"rpc.method": "EC2/DescribeSubnets", "http.response.status_code": "403", "aws.request_id": "r", "error.type": "UnauthorizedOperation"},
	} {
		s, got := spans[i], attributesOf(spans[i])
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s of %s is %q, want %q", key, s.Name(), got[key], value)
			}
		}
		if s.Parent().SpanID() != step.SpanContext().SpanID() || s.SpanKind() != trace.SpanKindClient || s.Name() != want["rpc.method"] || got["aws.request_id"] == "" {
			t.Errorf("the span %s of kind %s, %v", s.Name(), s.SpanKind(), got)
		}
		told, _ := json.Marshal(tracetest.SpanStubFromReadOnlySpan(s))
		if strings.Contains(string(told), "marlin") || (s.Status().Code == codes.Error) != (i == 1) {
			t.Errorf("it tells %s", told)
		}
	}
}

// A look of a poller is in the span of who waits, and says for how many it is.
func TestLooksAreInTheSpanOfWhoWaits(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	ctx, step, rec := recorded()
	s, err := w.cloud.site(ctx, here)
	if err != nil {
		t.Fatal(err)
	}
	images, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.api.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: images.Images[0].ImageId, InstanceType: types.InstanceTypeT3Micro, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1))})
	if err == nil {
		_, err = s.instances.wait(ctx, nil, *out.Instances[0].InstanceId, untilRunning, func(types.Instance) (bool, error) { return true, nil })
	}
	looked := false
	for _, s := range rec.Ended() {
		looked = looked || s.Name() == "EC2/DescribeInstances" && s.Parent().SpanID() == step.SpanContext().SpanID()
	}
	if err != nil || !looked {
		t.Errorf("%v, looked: %v", err, looked)
	}
	in := asOneOf(context.Background(), ctx, 7)
	_, end := beginCall(in, "EC2", "DescribeImages", home)
	end(callReply{}, nil)
	if got := attributesOf(rec.Ended()[len(rec.Ended())-1]); got["imgflow.call.shared"] != "7" {
		t.Errorf("a look for seven has %v", got)
	}
	if asOneOf(ctx, context.Background(), 7) != ctx {
		t.Error("without a span of who waits the context is another")
	}
}

// A data source's call, which is signed here, is a span, too.
func TestSignedCallsAreSpans(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	ctx, _, rec := recorded()
	w.cloud.callJSON(ctx, here, parameterStore, "GetParameter", map[string]string{"Name": "/none"}, nil)
	if spans := rec.Ended(); len(spans) != 1 || spans[0].Name() != "SSM/GetParameter" || attributesOf(spans[0])["error.type"] != "ParameterNotFound" {
		t.Errorf("%v", spans)
	}
}

// Where nothing is traced a call costs a look into its context.
func TestUntracedCallsCostNothing(t *testing.T) {
	next := middleware.InitializeHandlerFunc(func(context.Context, middleware.InitializeInput) (out middleware.InitializeOutput, meta middleware.Metadata, err error) {
		return out, meta, nil
	})
	handler := middleware.InitializeHandler(next)
	if n := testing.AllocsPerRun(100, func() {
		spanOfCall.HandleInitialize(context.Background(), middleware.InitializeInput{}, handler)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSpanNamesAreConventional(t *testing.T) {
	for ours, theirs := range map[attribute.Key]attribute.Key{spanSystem: semconv.RPCSystemNameKey, spanMethod: semconv.RPCMethodKey, spanProvider: semconv.CloudProviderKey, spanRegion: semconv.CloudRegionKey,
		spanRequest: semconv.AWSRequestIDKey, spanStatus: semconv.HTTPResponseStatusCodeKey, spanResends: semconv.HTTPRequestResendCountKey, spanErrorType: semconv.ErrorTypeKey} {
		if ours != theirs {
			t.Errorf("%s is called %s", ours, theirs)
		}
	}
}
