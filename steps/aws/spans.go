package aws

import (
	"context"
	"errors"

	awsmiddle "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of a call's span, in the words of OpenTelemetry's conventions. No
// message of AWS is among them: it may repeat what it was sent.
const (
	spanSystem    = attribute.Key("rpc.system.name")
	spanMethod    = attribute.Key("rpc.method")
	spanProvider  = attribute.Key("cloud.provider")
	spanRegion    = attribute.Key("cloud.region")
	spanRequest   = attribute.Key("aws.request_id")
	spanStatus    = attribute.Key("http.response.status_code")
	spanResends   = attribute.Key("http.request.resend_count")
	spanErrorType = attribute.Key("error.type")
	spanShared    = attribute.Key("imgflow.call.shared")    // how many waits a look is for
	spanThrottled = attribute.Key("imgflow.call.throttled") // how many attempts were refused because calls were too many
)

// spans makes each call of a client a span, if whoever calls is in one that is recorded:
// a look into the context is all that it costs otherwise.
func spans(stack *middleware.Stack) error { return stack.Initialize.Add(spanOfCall, middleware.After) }

var spanOfCall = middleware.InitializeMiddlewareFunc("imgflow spans", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return next.HandleInitialize(ctx, in)
	}
	ctx, end := beginCall(ctx, awsmiddle.GetServiceID(ctx), awsmiddle.GetOperationName(ctx), awsmiddle.GetRegion(ctx))
	out, meta, err := next.HandleInitialize(ctx, in)
	reply := callReply{}
	if r, ok := awsmiddle.GetRawResponse(meta).(*smithyhttp.Response); ok && r != nil {
		reply.status = r.StatusCode
	}
	reply.request, _ = awsmiddle.GetRequestIDMetadata(meta)
	if all, ok := retry.GetAttemptResults(meta); ok {
		reply.resends = len(all.Results) - 1
		for _, a := range all.Results {
			if a.Err != nil && isThrottled(a.Err) {
				reply.throttled++
			}
		}
	}
	end(reply, err)
	return out, meta, err
})

// callReply is what a span tells of an answer, as far as there is one.
type callReply struct {
	status    int
	request   string // the id that AWS gave it
	resends   int
	throttled int // attempts
}

// beginCall begins the span of a call, under that of the context.
func beginCall(ctx context.Context, service, operation, region string) (context.Context, func(callReply, error)) {
	about := []attribute.KeyValue{spanSystem.String("aws-api"), spanMethod.String(service + "/" + operation), spanProvider.String("aws"), spanRegion.String(region)}
	if n, ok := ctx.Value(sharedKey{}).(int); ok && n > 1 {
		about = append(about, spanShared.Int(n))
	}
	ctx, s := trace.SpanFromContext(ctx).TracerProvider().Tracer("github.com/imgflow/imgflow/steps/aws").Start(ctx, service+"/"+operation,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(about...))
	return ctx, func(r callReply, err error) {
		var refused interface{ HTTPStatusCode() int }
		if errors.As(err, &refused) {
			r.status = refused.HTTPStatusCode()
		}
		var numbered interface{ ServiceRequestID() string }
		if errors.As(err, &numbered) {
			r.request = numbered.ServiceRequestID()
		}
		if r.status != 0 {
			s.SetAttributes(spanStatus.Int(r.status))
		}
		if r.request != "" {
			s.SetAttributes(spanRequest.String(clip(r.request, 100)))
		}
		if r.resends > 0 {
			s.SetAttributes(spanResends.Int(r.resends))
		}
		if r.throttled > 0 {
			s.SetAttributes(spanThrottled.Int(r.throttled))
		}
		if err != nil {
			code := codeOf(err)
			s.SetAttributes(spanErrorType.String(code))
			s.SetStatus(codes.Error, code)
		}
		s.End()
	}
}

// codeOf is what kind of error a call had, in a word.
func codeOf(err error) string {
	code, _ := apiError(err)
	switch {
	case code != "":
		return clip(code, 100)
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "_OTHER"
}

// sharedKey is of the context's value that says for how many waits a look is, an int.
type sharedKey struct{}

// asOneOf is ctx for a look that is for several waits: its calls are in the span of the
// first, since a span has one parent.
func asOneOf(ctx, first context.Context, waits int) context.Context {
	s := trace.SpanFromContext(first)
	if !s.IsRecording() {
		return ctx
	}
	return context.WithValue(trace.ContextWithSpan(ctx, s), sharedKey{}, waits)
}
