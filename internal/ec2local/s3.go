package ec2local

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// s3Request is a request of S3, which names a bucket and an object by its path. Its body
// may be long, so it is read last, to the disk.
type s3Request struct {
	*http.Request
	s           *Server
	w           http.ResponseWriter
	who         caller
	query       url.Values
	bucket, key string
	payload     string // SHA-256 of the body as it is signed, or that it is not
	id          string
}

const (
	s3Namespace     = "http://s3.amazonaws.com/doc/2006-03-01/"
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// s3Operations are the calls of S3 that this endpoint has. One that writes has done so
// when it returns; what it returns then answers.
var s3Operations = map[string]func(*s3Request) (answer func(), err error){
	"ListBuckets":             listBuckets,
	"CreateBucket":            createBucket,
	"HeadBucket":              headBucket,
	"DeleteBucket":            deleteBucket,
	"GetBucketLocation":       getBucketLocation,
	"ListObjectsV2":           listObjects,
	"PutObject":               putObject,
	"GetObject":               getObject,
	"HeadObject":              getObject,
	"DeleteObject":            deleteObject,
	"CreateMultipartUpload":   createUpload,
	"UploadPart":              uploadPart,
	"ListParts":               listParts,
	"CompleteMultipartUpload": completeUpload,
	"AbortMultipartUpload":    abortUpload,
	"ListMultipartUploads":    listUploads,
}

// operation is what a request asks for, "" if that is not here.
func (q *s3Request) operation() string {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !q.query.Has(n) })
	}
	of := func(byMethod map[string]string) string { return byMethod[q.Method] }
	switch {
	case q.bucket == "":
		return of(map[string]string{"GET": "ListBuckets"})
	case q.key == "" && has("location"):
		return of(map[string]string{"GET": "GetBucketLocation"})
	case q.key == "" && has("uploads"):
		return of(map[string]string{"GET": "ListMultipartUploads"})
	case q.key == "" && has("list-type"):
		return of(map[string]string{"GET": "ListObjectsV2"})
	case q.key == "":
		return of(map[string]string{"PUT": "CreateBucket", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"})
	case has("uploads"):
		return of(map[string]string{"POST": "CreateMultipartUpload"})
	case has("uploadId", "partNumber"):
		return of(map[string]string{"PUT": "UploadPart"})
	case has("uploadId"):
		return of(map[string]string{"GET": "ListParts", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"})
	}
	return of(map[string]string{"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"})
}

// What requests may say besides. All else changes what S3 does, and is refused.
var (
	s3Queries = []string{"location", "uploads", "uploadId", "partNumber", "list-type", "prefix", "delimiter", "max-keys", "encoding-type", "max-uploads", "max-parts", "x-id"}
	s3Headers = []string{"date", "content-sha256", "security-token", "user-agent", "server-side-encryption", "server-side-encryption-aws-kms-key-id",
		"sdk-checksum-algorithm", "checksum-algorithm", "checksum-type", "checksum-mode", "expected-bucket-owner", "bucket-region"}
)

func (q *s3Request) check() error {
	for name := range q.query {
		if !slices.Contains(s3Queries, name) && !strings.HasPrefix(name, "X-Amz-") {
			return fail("NotImplemented", "The parameter %s is not supported by this endpoint.", name)
		}
	}
	for name := range q.Header {
		name, ours := strings.CutPrefix(strings.ToLower(name), "x-amz-")
		if !ours || slices.Contains(s3Headers, name) || strings.HasPrefix(name, "meta-") || s3Checksums[name] != nil {
			continue
		}
		return fail("NotImplemented", "The header x-amz-%s is not supported by this endpoint.", name)
	}
	if owner := q.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != accountOf(q.who.region) {
		return fail("AccessDenied", "Access Denied")
	}
	if strings.HasPrefix(q.payload, "STREAMING-") {
		return fail("NotImplemented", "A body that is signed in chunks is not supported by this endpoint.")
	}
	return nil
}

// readS3 takes a request apart if it is one of S3; else it is nil.
func (s *Server) readS3(w http.ResponseWriter, r *http.Request, id string) *s3Request {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil
	}
	m := &message{Request: r, query: query}
	if sig := readSignature(m); sig == nil || sig.service != "s3" {
		return nil
	}
	q := &s3Request{Request: r, s: s, w: w, query: query, payload: r.Header.Get("X-Amz-Content-Sha256"), id: id}
	if q.payload == "" {
		q.payload = unsignedPayload
	}
	q.bucket, q.key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return q
}

// serveS3 answers a request of S3, and says what is to be noted of it.
func (s *Server) serveS3(q *s3Request) (note string) {
	refuse := func(err error) string {
		e := asAPI(err)
		q.refuse(e)
		return fmt.Sprintf(" %s %q", e.Code, e.Message)
	}
	who, err := s.authenticate(&message{Request: q.Request, query: q.query, payload: q.payload})
	if err != nil {
		return "?" + refuse(err)
	}
	q.who = who
	name := q.operation()
	note = who.region + " s3 " + name
	run := s3Operations[name]
	if run == nil {
		return note + refuse(fail("NotImplemented", "This endpoint has no such call of S3: %s %s", q.Method, path.Clean(q.URL.Path)))
	}
	if err := q.check(); err != nil {
		return note + refuse(err)
	}
	err, cut := s.injector.before(name, false, s.now())
	switch {
	case cut:
		hangUp(q.w)
		return note + " (connection cut before)"
	case err == nil:
		err = s.sow()
	}
	if err == nil {
		err = q.authorize(name)
	}
	if err != nil {
		return note + refuse(err)
	}
	answer, err := run(q)
	switch {
	case err != nil:
		return note + refuse(err)
	case s.injector.happens(s.injector.LostReply, "lostreply", name):
		hangUp(q.w)
		return note + " (reply lost)"
	}
	q.w.Header().Set("X-Amz-Request-Id", q.id)
	answer()
	return note
}

// s3Codes are what S3 calls errors that every service has, and s3Statuses those that have
// another status than 400.
var (
	s3Codes    = map[string]string{"RequestLimitExceeded": "SlowDown", "Unavailable": "ServiceUnavailable", "AuthFailure": "InvalidAccessKeyId", "RequestExpired": "RequestTimeTooSkewed"}
	s3Statuses = map[string]int{
		"SlowDown": 503, "ServiceUnavailable": 503, "InternalError": 500, "NotImplemented": 501, "InvalidAccessKeyId": 403, "SignatureDoesNotMatch": 403,
		"RequestTimeTooSkewed": 403, "AccessDenied": 403, "NoSuchBucket": 404, "NoSuchKey": 404, "NoSuchUpload": 404, "BucketAlreadyExists": 409,
		"BucketAlreadyOwnedByYou": 409, "BucketNotEmpty": 409, "PermanentRedirect": 301, "InvalidRange": 416,
	}
)

// refuse answers in S3's form. To a HEAD there is no body.
func (q *s3Request) refuse(e *apiError) {
	code := e.Code
	if c := s3Codes[code]; c != "" {
		code = c
	}
	status := s3Statuses[code]
	if status == 0 {
		status = http.StatusBadRequest
	}
	q.w.Header().Set("X-Amz-Request-Id", q.id)
	q.xml(status, "Error", struct {
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}{code, e.Message, q.id})
}

// xml answers with a struct as the element of a name.
func (q *s3Request) xml(status int, name string, v any) {
	inner, err := fields(v)
	if err != nil {
		inner = nil // a struct of texts always marshals
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if name == "Error" {
		fmt.Fprintf(&b, "<Error>%s</Error>", inner)
	} else {
		fmt.Fprintf(&b, "<%s xmlns=%q>%s</%s>", name, s3Namespace, inner, name)
	}
	q.w.Header().Set("Content-Type", "application/xml")
	q.w.WriteHeader(status)
	if q.Method != http.MethodHead {
		io.Copy(q.w, &b)
	}
}

// answers is the answer of a struct.
func (q *s3Request) answers(name string, v any) (func(), error) {
	return func() { q.xml(http.StatusOK, name, v) }, nil
}

// done is an answer without a body.
func (q *s3Request) done(status int) (func(), error) {
	return func() { q.w.WriteHeader(status) }, nil
}

// view and update are transactions in the request's place.
func (q *s3Request) view(f func(*call) error) error {
	return q.s.view(func(t *txn) error { return f(&call{txn: t, caller: q.who}) })
}

func (q *s3Request) update(f func(*call) error) error {
	return q.s.update(func(t *txn) error { return f(&call{txn: t, caller: q.who}) })
}

func newS3ID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }
