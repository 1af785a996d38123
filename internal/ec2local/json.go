package ec2local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// A jsonService speaks the AWS JSON protocol 1.1: the action stands in the header
// X-Amz-Target, and what is said and answered is an object of JSON.
type jsonService struct {
	target     string // what its actions are called by in the header
	operations map[string]operation
	codes      map[string]string // what it calls errors that any service has
}

// jsonServices are those behind this port, by the names of signatures.
var jsonServices = map[string]jsonService{
	"ssm": {"AmazonSSM", ssmOperations, map[string]string{
		"InternalError": "InternalServerError", "InvalidPaginationToken": "InvalidNextToken",
	}},
	"kms": {"TrentService", kmsOperations, map[string]string{
		"InternalError": "KMSInternalException", "Unavailable": "DependencyTimeoutException",
	}},
	"servicequotas": {"ServiceQuotasV20190624", quotaOperations, map[string]string{
		"InternalError": "ServiceException", "Unavailable": "ServiceException", "RequestLimitExceeded": "TooManyRequestsException",
	}},
	"secretsmanager": {"secretsmanager", secretsOperations, map[string]string{
		"InternalError": "InternalServiceError", "InvalidPaginationToken": "InvalidNextTokenException",
	}},
}

const jsonType = "application/x-amz-json-1.1"

// read takes a request apart.
func (j jsonService) read(m *message, who caller) (order, error) {
	action, ours := strings.CutPrefix(m.Header.Get("X-Amz-Target"), j.target+".")
	op, ok := j.operations[action]
	o := order{op: op, call: call{caller: who, body: m.body}, reply: json.Marshal, replyType: jsonType}
	ct, _, _ := mime.ParseMediaType(m.Header.Get("Content-Type"))
	switch {
	case m.Method != http.MethodPost:
		return o, fail("MethodNotAllowed", "A call is sent by POST.")
	case !ours || !ok:
		return o, fail("UnknownOperationException", "The header X-Amz-Target names no operation that this endpoint has.")
	case ct != jsonType:
		return o, fail("SerializationException", "The request must be of type %s.", jsonType)
	}
	o.action = action
	return o, nil
}

// writeError answers with a refusal. Its message is this endpoint's own: it never
// repeats a value.
func (j jsonService) writeError(w http.ResponseWriter, id string, e *apiError) {
	common := map[string]string{
		"AuthFailure": "UnrecognizedClientException", "SignatureDoesNotMatch": "InvalidSignatureException", "ExpiredToken": "ExpiredTokenException",
		"AccessDenied": "AccessDeniedException", "RequestLimitExceeded": "ThrottlingException", "Unavailable": "ServiceUnavailableException",
		"InvalidParameterValue": "ValidationException",
	}
	code := e.Code
	if c := common[code]; c != "" {
		code = c
	}
	if c := j.codes[code]; c != "" {
		code = c
	}
	httpStatus := http.StatusBadRequest
	if e.Code == "InternalError" || e.Code == "Unavailable" || e.Code == "MethodNotAllowed" {
		httpStatus = status(e.Code)
	}
	body, _ := json.Marshal(struct { // strings always marshal
		Code    string `json:"__type"`
		Message string `json:"message"`
		Upper   string `json:"Message"` // Secrets Manager's
	}{code, e.Message, e.Message})
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("X-Amzn-Requestid", id)
	w.WriteHeader(httpStatus)
	w.Write(body)
}

func readsJSON[Q, R any](f func(*call, *Q) (*R, error)) operation { return defineJSON(f, false) }

func writesJSON[Q, R any](f func(*call, *Q) (*R, error)) operation { return defineJSON(f, true) }

func defineJSON[Q, R any](f func(*call, *Q) (*R, error), writes bool) operation {
	return operation{
		writes:  writes,
		request: reflect.TypeFor[Q](),
		run: func(c *call) (any, error) {
			q := new(Q)
			if err := decodeJSON(c.body, q); err != nil {
				return nil, err
			}
			return f(c, q)
		},
	}
}

// decodeJSON reads the object that a request is. What the endpoint does not know is
// refused, and no error repeats what was sent, but for the names of members.
func decodeJSON(body []byte, q any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(q)
	var kind *json.UnmarshalTypeError
	switch name, unknown := "", false; {
	case err == nil:
		if _, err := d.Token(); err != io.EOF {
			return fail("SerializationException", "The request must be one object of JSON.")
		}
		return nil
	case errors.As(err, &kind):
		return fail("SerializationException", "The member %s is a %s, and must be of another type.", kind.Field, strings.Fields(kind.Value)[0])
	default:
		if name, unknown = strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return fail("ValidationException", "This endpoint does not know the parameter %s of this operation.", name)
		}
	}
	return fail("SerializationException", "The request must be one object of JSON.")
}

// notValid refuses a member as AWS's validation of a model does.
func notValid(member, constraint string, a ...any) error {
	return fail("ValidationException", "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must %s", member, fmt.Sprintf(constraint, a...))
}

// epoch is a time as these services write it: seconds since 1970.
type epoch time.Time

func (e epoch) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", float64(time.Time(e).UnixMilli())/1000), nil
}

func (e epoch) IsZero() bool { return time.Time(e).IsZero() }

// A jsonTag is a tag as these services write it.
type jsonTag struct{ Key, Value string }

// newJSONTags checks the tags of a request.
func newJSONTags(tags []jsonTag) ([]jsonTag, error) {
	var list []tagRequest
	for _, g := range tags {
		list = append(list, tagRequest(g))
	}
	if err := checkTags(list); err != nil {
		return nil, fail("ValidationException", "%s", asAPI(err).Message)
	}
	if len(tags) > maxTags {
		return nil, fail("ValidationException", "A resource has at most %d tags.", maxTags)
	}
	return tags, nil
}
