package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// encodedPart is what EC2 writes before the sealed part of a refusal.
const encodedPart = " Encoded authorization failure message: "

// deniedError is the refusal of a call in the words that STS has decoded, or with why it has not.
type deniedError struct {
	error
	code, message string
}

func (e *deniedError) ErrorCode() string             { return e.code }
func (e *deniedError) ErrorMessage() string          { return e.message }
func (e *deniedError) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }
func (e *deniedError) Unwrap() error                 { return e.error }

// tellDenied has what EC2 has sealed in its refusals of a client's calls decoded by asks.
func tellDenied(asks func(ctx context.Context, sealed string) (string, error)) func(*middleware.Stack) error {
	tell := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleInitialize(ctx, in)
		return out, meta, decodeDenied(ctx, err, asks)
	}
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("imgflow refusals", tell), middleware.Before)
	}
}

func decodeDenied(ctx context.Context, err error, asks func(ctx context.Context, sealed string) (string, error)) error {
	code, message := apiError(err)
	said, sealed, ok := strings.Cut(message, encodedPart)
	if !ok || !lacksPermission(code) {
		return err
	}
	plain, failed := asks(ctx, sealed)
	var d struct {
		ExplicitDeny bool
		Context      struct{ Action, Resource string }
	}
	if failed == nil {
		failed = json.Unmarshal([]byte(plain), &d)
	}
	switch {
	case failed != nil:
		said += " It could not be decoded: " + clip(innermost(failed), 300)
	case strings.Contains(said, "is not authorized to perform: "): // it has said so already
	case d.Context.Action != "":
		said = fmt.Sprintf("The caller is not authorized to perform: %s on resource: %s", d.Context.Action, d.Context.Resource)
		if d.ExplicitDeny {
			said += " with an explicit deny in a policy"
		}
	}
	return &deniedError{err, code, said}
}

// decoder asks STS, with the credentials of a client of EC2.
func (c *Cloud) decoder(of ec2.Options, retries int) func(ctx context.Context, sealed string) (string, error) {
	o := sts.Options{Region: of.Region, Credentials: of.Credentials, HTTPClient: of.HTTPClient, Retryer: newLimiter(retries), APIOptions: everyClient}
	if o.BaseEndpoint = environ(c.o.Getenv).endpoint("STS"); c.o.Endpoint != "" {
		o.BaseEndpoint = &c.o.Endpoint
	}
	client := sts.New(o)
	return func(ctx context.Context, sealed string) (string, error) {
		out, err := client.DecodeAuthorizationMessage(ctx, &sts.DecodeAuthorizationMessageInput{EncodedMessage: &sealed})
		if err != nil {
			return "", err
		}
		return text(out.DecodedMessage), nil
	}
}
