package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/trace"

	"github.com/imgflow/imgflow/internal/sleep"
)

// jsonService is a service that speaks the AWS JSON protocol 1.1. Of Systems Manager,
// Secrets Manager, KMS and Service Quotas few calls are made, for which their SDK packages
// are too large: the smallest in the program, sso, has 90 KB.
type jsonService struct {
	signed   string // in signatures and host names
	target   string // before the names of operations
	variable string // at the end of AWS_ENDPOINT_URL_...
	id       string // in profiles
}

var (
	parameterStore = jsonService{"ssm", "AmazonSSM", "SSM", "SSM"}
	keyService     = jsonService{"kms", "TrentService", "KMS", "KMS"}
	secretsManager = jsonService{"secretsmanager", "secretsmanager", "SECRETS_MANAGER", "Secrets Manager"}
	serviceQuotas  = jsonService{"servicequotas", "ServiceQuotasV20190624", "SERVICE_QUOTAS", "Service Quotas"}
)

// callJSON calls an operation with the credentials, the pace and the patience of a
// place's EC2 client, and decodes its reply.
func (c *Cloud) callJSON(ctx context.Context, p Place, s jsonService, operation string, in, out any) error {
	at, err := c.site(ctx, p)
	if err != nil {
		return err
	}
	endpoint, err := c.endpointOf(ctx, p, s, at.options)
	if err != nil {
		return fmt.Errorf("cannot call %s: %w", operation, err)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("cannot call %s: %w", operation, err)
	}
	return at.attempts(ctx, s.id, operation, func() error {
		reply, err := at.sendJSON(ctx, endpoint, s, operation, body)
		if err == nil {
			err = decodeReply(operation, reply, out)
		}
		return err
	})
}

// attempts makes a call of another service than EC2 with the pace and the patience of the
// place's EC2 client. As there, an error is ambiguous where an earlier attempt may have had an
// effect.
func (s *site) attempts(ctx context.Context, service, operation string, once func() error) error {
	if !trace.SpanFromContext(ctx).IsRecording() {
		_, err := s.tries(ctx, service, operation, once)
		return err
	}
	ctx, end := beginCall(ctx, service, operation, s.Region)
	reply, err := s.tries(ctx, service, operation, once)
	end(reply, err)
	return err
}

// tries is attempts without its span, and counts how often the call was made again, and refused as one too many.
func (s *site) tries(ctx context.Context, service, operation string, once func() error) (reply callReply, err error) {
	pace, ambiguous := s.options.Retryer.(*limiter), false
	for attempt := 1; ; attempt++ {
		reply.resends = attempt - 1
		done, err := pace.acquire(ctx, operation)
		if err == nil {
			err = once()
			done(err)
		}
		if err == nil {
			return reply, nil
		}
		if isThrottled(err) {
			reply.throttled++
		}
		err = &smithy.OperationError{ServiceID: service, OperationName: operation, Err: err}
		if attempt >= pace.MaxAttempts() || ctx.Err() != nil || !pace.IsErrorRetryable(err) {
			if ambiguous {
				err = &ambiguousError{err}
			}
			return reply, expired(s.relogin, err)
		}
		ambiguous = ambiguous || !isThrottled(err) && !noCredentials(err)
		wait, _ := pace.RetryDelay(attempt, err)
		if err := sleep.For(ctx, wait); err != nil {
			return reply, err
		}
	}
}

// sendJSON makes one attempt of a call, and reads what is answered.
func (s *site) sendJSON(ctx context.Context, endpoint string, to jsonService, operation string, body []byte) ([]byte, error) {
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {to.target + "." + operation}}
	return s.send(ctx, outgoing{strings.TrimSuffix(endpoint, "/") + "/", to.signed, s.Region, operation, header, body}, readJSONRefusal)
}

// readJSONRefusal reads the error of a service that speaks JSON.
func readJSONRefusal(reply []byte) (code, message string, whole bool) {
	if bytes.HasPrefix(reply, []byte("{")) && !json.Valid(reply) {
		return "", "", false
	}
	var e struct {
		Code    string `json:"__type"`
		Message string `json:"message"` // or Message
	}
	json.Unmarshal(reply, &e) // what is not JSON has no code
	if _, after, ok := strings.Cut(e.Code, "#"); ok {
		e.Code = after
	}
	return e.Code, e.Message, true
}

// outgoing is one attempt of a call of another service than EC2.
type outgoing struct {
	url            string
	signed, region string // in the signature
	operation      string
	header         http.Header
	body           []byte
}

// send signs and sends an attempt, and reads what is answered. Refusal reads an error of the
// service; it has no code if it is none, and is not whole if it broke off.
func (s *site) send(ctx context.Context, o outgoing, refusal func([]byte) (code, message string, whole bool)) ([]byte, error) {
	keys, err := s.options.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("get identity: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, struct{ io.Reader }{bytes.NewReader(o.body)})
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(o.body))
	req.Header = o.header
	sum := sha256.Sum256(o.body)
	if err := v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), o.signed, o.region, s.clock.now()); err != nil {
		return nil, err
	}
	r, err := s.options.HTTPClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, &smithy.CanceledError{Err: ctx.Err()}
		}
		return nil, &smithyhttp.RequestSendError{Err: err}
	}
	defer r.Body.Close()
	if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		s.clock.set(at)
	}
	good, limit := r.StatusCode/100 == 2, maxRefusal
	if good {
		limit = maxOther
	}
	reply, err := readBody(ctx, r.Body, limit+1, func([]byte) bool { return false })
	switch {
	case ctx.Err() != nil:
		return nil, &smithy.CanceledError{Err: ctx.Err()}
	case len(reply) > limit && good:
		return nil, &replyError{fmt.Sprintf("the reply to %s is longer than %d MiB", o.operation, limit>>20), false}
	case err != nil:
		return nil, &replyError{fmt.Sprintf("the reply to %s broke off after %d bytes", o.operation, len(reply)), true}
	case good:
		return reply, nil
	}
	code, message, whole := refusal(reply)
	switch {
	case !whole && len(reply) <= limit:
		return nil, &replyError{fmt.Sprintf("the refusal of %s broke off after %d bytes", o.operation, len(reply)), true}
	case code == "":
		return nil, unexpectedReply(r, "AWS's", reply)
	}
	return nil, &refusedCall{smithy.GenericAPIError{Code: clip(code, 100), Message: message}, r.StatusCode}
}

// decodeReply decodes what an operation answered. What is not JSON may be whole the
// next time; it is not shown, since there may be a secret in it.
func decodeReply(operation string, reply []byte, out any) error {
	if json.Unmarshal(reply, out) != nil {
		return &replyError{fmt.Sprintf("the reply to %s is not JSON as AWS's is, %d bytes", operation, len(reply)), true}
	}
	return nil
}

// refusedCall is an error that a service answered.
type refusedCall struct {
	smithy.GenericAPIError
	status int
}

func (e *refusedCall) HTTPStatusCode() int { return e.status }

// endpointOf is where the calls of a service go: where the session sends them all, or
// the environment or the profile those of this service, or else to AWS.
func (c *Cloud) endpointOf(ctx context.Context, p Place, s jsonService, o ec2.Options) (string, error) {
	if e, err := c.ownEndpoint(ctx, p, s); e != "" || err != nil {
		return e, err
	}
	return amazonEndpoint(ctx, p, s.signed, o)
}

// ownEndpoint is where somebody else than AWS has the calls of a service go, or "".
func (c *Cloud) ownEndpoint(ctx context.Context, p Place, s jsonService) (string, error) {
	c.mu.Lock()
	all, a := c.o.Endpoint, c.accounts[p.Account]
	c.mu.Unlock()
	env := environ(c.o.Getenv)
	if all != "" {
		return all, nil
	}
	if e := env.endpoint(s.variable); e != nil {
		return *e, nil
	}
	profile := a.profile(ctx, env)
	if profile == "" || env.ignoresEndpoints() {
		return "", nil
	}
	shared, err := a.shared(ctx, env, profile)
	if err != nil {
		return "", err
	}
	if e, ok, err := shared.GetServiceBaseEndpoint(ctx, s.id); ok && err == nil {
		return e, nil
	}
	return shared.BaseEndpoint, nil
}

// amazonEndpoint is where AWS has a service. It names its services alike in each of its
// partitions, but for S3 on both kinds of networks.
func amazonEndpoint(ctx context.Context, p Place, service string, o ec2.Options) (string, error) {
	fips, dual := o.EndpointOptions.UseFIPSEndpoint == awssdk.FIPSEndpointStateEnabled, o.EndpointOptions.UseDualStackEndpoint == awssdk.DualStackEndpointStateEnabled
	ofEC2 := dual && service != s3Service.signed
	e, err := ec2.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ec2.EndpointParameters{Region: &p.Region, UseFIPS: &fips, UseDualStack: &ofEC2})
	if err != nil {
		return "", err
	}
	e.URI.Host = service + strings.TrimPrefix(e.URI.Host, "ec2")
	if dual && !ofEC2 {
		e.URI.Host = strings.Replace(e.URI.Host, ".", ".dualstack.", 1)
	}
	return e.URI.String(), nil
}
