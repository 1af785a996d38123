package ec2local

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/imgflow/imgflow/internal/ec2local/model"
)

// maxBody is more than the largest request EC2 takes.
const maxBody = 1 << 20

// A message is a request as it came.
type message struct {
	*http.Request
	query   url.Values
	body    []byte
	payload string // what stands for the digest of a body that is not read yet
}

func readMessage(r *http.Request) (*message, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformedQuery()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, fail("InvalidRequest", "The request body is incomplete or too long.")
	}
	return &message{Request: r, query: query, body: body}, nil
}

func malformedQuery() error {
	return fail("MalformedQueryString", "The query string contains a syntax error.")
}

// form returns the parameters of a request, from the query and the body.
func (m *message) form() (url.Values, error) {
	if m.Method != http.MethodPost {
		return m.query, nil
	}
	if ct, _, _ := mime.ParseMediaType(m.Header.Get("Content-Type")); ct != "application/x-www-form-urlencoded" {
		return nil, fail("InvalidRequest", "The request must be a form of type application/x-www-form-urlencoded.")
	}
	form, err := url.ParseQuery(string(m.body))
	if err != nil {
		return nil, malformedQuery()
	}
	for k, v := range m.query {
		form[k] = append(v, form[k]...)
	}
	return form, nil
}

// marshal writes what an operation returned in the form of the service.
func marshal(svc *model.Service, o *model.Operation, id string, result any) ([]byte, error) {
	inner, err := fields(result)
	if err != nil {
		return nil, fmt.Errorf("cannot write the reply: %w", err)
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	fmt.Fprintf(&b, "<%sResponse xmlns=%q>", o.Name, svc.Namespace)
	if svc.EC2 {
		fmt.Fprintf(&b, "<requestId>%s</requestId>%s", id, inner)
	} else {
		if o.Wrapper != "" {
			fmt.Fprintf(&b, "<%s>%s</%s>", o.Wrapper, inner, o.Wrapper)
		}
		fmt.Fprintf(&b, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>", id)
	}
	fmt.Fprintf(&b, "</%sResponse>", o.Name)
	return b.Bytes(), nil
}

// fields is what stands between the tags of a marshalled struct.
func fields(v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	if err := e.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: "x"}}); err != nil {
		return nil, err
	}
	out := bytes.TrimPrefix(b.Bytes(), []byte("<x>"))
	return bytes.TrimSuffix(out, []byte("</x>")), nil
}

// writeError answers with a refusal, in the form of the service.
func writeError(w http.ResponseWriter, service, id string, e *apiError) {
	if j, ok := jsonServices[service]; ok {
		j.writeError(w, id, e)
		return
	}
	var msg bytes.Buffer
	xml.EscapeText(&msg, []byte(e.Message))
	var body string
	if service == "ec2" {
		body = fmt.Sprintf("<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>",
			e.Code, msg.String(), id)
	} else {
		kind, ns := "Sender", model.STS().Namespace
		if service == "iam" {
			ns = model.IAM().Namespace
		}
		if status(e.Code) >= 500 {
			kind = "Receiver"
		}
		body = fmt.Sprintf("<ErrorResponse xmlns=%q><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>",
			ns, kind, e.Code, msg.String(), id)
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Header().Set("X-Amzn-Requestid", id)
	w.WriteHeader(status(e.Code))
	io.WriteString(w, xml.Header+body)
}
