package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/httpbinding"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// s3Service is where and how S3 is called. Its calls are signed here: for nine of them its
// SDK package would be 1.2 MB of the program.
var s3Service = jsonService{signed: "s3", variable: "S3", id: "S3"}

// s3Permissions are those that the calls of S3 take.
var s3Permissions = map[string]string{
	"HeadBucket": "ListBucket", "HeadObject": "GetObject", "DeleteObject": "DeleteObject",
	"CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
	"AbortMultipartUpload": "AbortMultipartUpload", "ListParts": "ListMultipartUploadParts", "ListMultipartUploads": "ListBucketMultipartUploads",
}

// s3Call is a call of S3.
type s3Call struct {
	operation   string
	method      string
	bucket, key string
	query       url.Values
	header      map[string]string
	body        io.ReaderAt // nil: none. It is read anew by each attempt
	size        int64       // of the body, in bytes
	sum         [sha256.Size]byte
}

// text gives a call a short body.
func (c s3Call) text(body []byte) s3Call {
	c.body, c.size, c.sum = bytes.NewReader(body), int64(len(body)), sha256.Sum256(body)
	return c
}

// s3Reply is what S3 has answered.
type s3Reply struct {
	http.Header
	body     []byte
	attempts int // that were made, of which the last had this answer
}

// callS3 makes a call, and makes it again when what is answered is not whole, if whole is
// there to tell.
func (c *Cloud) callS3(ctx context.Context, p Place, call s3Call, whole func(s3Reply) bool) (reply s3Reply, err error) {
	at, err := c.at(ctx, p)
	if err != nil {
		return reply, err
	}
	target, err := c.s3URL(ctx, at, call)
	if err != nil {
		return reply, fmt.Errorf("cannot call %s: %w", call.operation, err)
	}
	attempts := 0
	err = at.attempts(ctx, s3Service.id, call.operation, func() error {
		attempts++
		if reply, err = at.sendS3(ctx, target, call); err == nil && whole != nil && !whole(reply) {
			err = &replyError{fmt.Sprintf("the reply to %s is not one of S3's, %d bytes", call.operation, len(reply.body)), true}
		}
		return err
	})
	reply.attempts = attempts
	return reply, err
}

// s3URL is where a call goes. AWS wants the bucket in the name of the host, where a
// certificate can have it; others have it in the path.
func (c *Cloud) s3URL(ctx context.Context, at *site, call s3Call) (*url.URL, error) {
	endpoint, err := c.ownEndpoint(ctx, at.Place, s3Service)
	amazon := err == nil && endpoint == ""
	if amazon {
		endpoint, err = amazonEndpoint(ctx, at.Place, s3Service.signed, at.options)
	}
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimSuffix(endpoint, "/"))
	if err != nil {
		return nil, err
	}
	if amazon && !strings.Contains(call.bucket, ".") {
		u.Host = call.bucket + "." + u.Host
	} else {
		u.Path += "/" + call.bucket
	}
	if u.Path += "/" + call.key; call.key == "" && u.Path != "/" {
		u.Path = strings.TrimSuffix(u.Path, "/")
	}
	u.RawPath = httpbinding.EscapePath(u.Path, false)
	u.RawQuery = strings.ReplaceAll(call.query.Encode(), "+", "%20")
	return u, nil
}

// stalled is after how long without a byte an attempt to send a long body has failed.
const stalled = time.Minute

// sendS3 makes one attempt of a call, and reads what is answered.
func (s *site) sendS3(ctx context.Context, target *url.URL, call s3Call) (reply s3Reply, err error) {
	keys, err := s.options.Credentials.Retrieve(ctx)
	if err != nil {
		return reply, fmt.Errorf("get identity: %w", err)
	}
	attempt, cancel := context.WithCancel(ctx)
	defer cancel()
	var body io.Reader
	client := s.options.HTTPClient
	if call.size > 0 {
		watch := time.AfterFunc(stalled, cancel)
		defer watch.Stop()
		body, client = &moving{io.NewSectionReader(call.body, 0, call.size), watch}, s.bulk
	}
	req, err := http.NewRequestWithContext(attempt, call.method, target.String(), body)
	if err != nil {
		return reply, err
	}
	own := *target // the escaped path is not parsed again, and signing writes into it
	req.URL = &own
	req.ContentLength = call.size
	sum := sha256.Sum256(nil)
	if call.size > 0 {
		sum = call.sum
	}
	digest := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", digest)
	for name, value := range call.header {
		req.Header.Set(name, value)
	}
	once := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true } // the path is escaped already
	if err := v4.NewSigner().SignHTTP(ctx, keys, req, digest, s3Service.signed, s.Region, s.clock.now(), once); err != nil {
		return reply, err
	}
	r, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return reply, &smithy.CanceledError{Err: ctx.Err()}
		}
		if attempt.Err() != nil {
			err = fmt.Errorf("nothing could be sent for %v", stalled)
		}
		return reply, &smithyhttp.RequestSendError{Err: err}
	}
	defer r.Body.Close()
	if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		s.clock.set(at)
	}
	text, err := readBody(ctx, r.Body, maxOther+1, func([]byte) bool { return false })
	switch {
	case ctx.Err() != nil:
		return reply, &smithy.CanceledError{Err: ctx.Err()}
	case len(text) > maxOther:
		return reply, &replyError{fmt.Sprintf("the reply to %s is longer than %d MiB", call.operation, maxOther>>20), false}
	case err != nil:
		return reply, &replyError{fmt.Sprintf("the reply to %s broke off after %d bytes", call.operation, len(text)), true}
	}
	if err := refusedS3(r, call, text); err != nil {
		return reply, err
	}
	return s3Reply{Header: r.Header, body: text}, nil
}

// refusedS3 is what S3 refuses a call with, or nil. The end of a long call may be a refusal
// though its status is good; and what answers a HEAD has no words.
func refusedS3(r *http.Response, call s3Call, text []byte) error {
	var e struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	refused := xml.Unmarshal(text, &e) == nil && e.Code != ""
	good, own := r.StatusCode/100 == 2, r.Header.Get(requestID) != ""
	switch {
	case good && own && !refused:
		return nil
	case !refused && brokenOffS3(text):
		return &replyError{fmt.Sprintf("the reply to %s broke off after %d bytes", call.operation, len(text)), true}
	case !refused && !good && own && call.method == http.MethodHead:
		e.Code = map[int]string{403: "AccessDenied", 404: "NotFound", 301: "PermanentRedirect"}[r.StatusCode]
		if e.Code == "" {
			e.Code = "BadRequest"
		}
	case !refused:
		return unexpectedReply(r, "S3's", text)
	}
	if where := r.Header.Get("X-Amz-Bucket-Region"); e.Code == "PermanentRedirect" && regions.MatchString(where) {
		e.Message = "the bucket is in " + where
	}
	status := r.StatusCode
	if good {
		status = http.StatusInternalServerError // a refusal at the end of a call says that it may be repeated
	}
	return &refusedCall{smithy.GenericAPIError{Code: clip(e.Code, 100), Message: e.Message}, status}
}

// requestID is a header that every answer of S3's has, and no proxy's page.
const requestID = "X-Amz-Request-Id"

// brokenOffS3 reports whether a body is the beginning of an answer of S3's.
func brokenOffS3(text []byte) bool {
	root, _, err := scanXML(text)
	return errors.Is(err, errTruncated) && (root == "Error" || strings.HasSuffix(root, "Result"))
}

// moving is a body that notes that it is being sent.
type moving struct {
	io.Reader
	watch *time.Timer
}

func (m *moving) Read(p []byte) (int, error) {
	m.watch.Reset(stalled)
	return m.Reader.Read(p)
}

// untimed is a client whose attempts may take as long as there is something to send.
func untimed(c awssdk.HTTPClient) awssdk.HTTPClient {
	if b, ok := c.(*awshttp.BuildableClient); ok {
		return b.WithTimeout(0)
	}
	return c
}

// decodeS3 reads a reply that is an element of a name.
func decodeS3(reply s3Reply, name string, into any) bool {
	root, _, err := scanXML(reply.body)
	return err == nil && root == name && xml.Unmarshal(reply.body, into) == nil
}
