package ec2local

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/imgflow/imgflow/steps/aws/ec2local/model"
)

// account is the one account of the endpoint.
const account = "123456789012"

// maxBody is more than the largest request EC2 takes.
const maxBody = 1 << 20

// A scope is where a signature says that a request belongs.
type scope struct {
	keyID, region, service string
}

var (
	credential = regexp.MustCompile(`^([A-Za-z0-9_]{1,128})/([0-9]{8})/([a-z0-9-]+)/([a-z0-9]+)/aws4_request$`)
	signature  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// readScope takes region and service from a signature of version 4, which must
// be well formed; whether it is right cannot be known without the secret.
func readScope(r *http.Request, form url.Values) (scope, error) {
	var cred, sig, signed string
	if h := r.Header.Get("Authorization"); h != "" {
		rest, ok := strings.CutPrefix(h, "AWS4-HMAC-SHA256 ")
		if !ok {
			return scope{}, authFailure()
		}
		for part := range strings.SplitSeq(rest, ",") {
			k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch k {
			case "Credential":
				cred = v
			case "Signature":
				sig = v
			case "SignedHeaders":
				signed = v
			}
		}
	} else {
		cred, sig, signed = form.Get("X-Amz-Credential"), form.Get("X-Amz-Signature"), form.Get("X-Amz-SignedHeaders")
	}
	m := credential.FindStringSubmatch(cred)
	if m == nil || !signature.MatchString(sig) || signed == "" {
		return scope{}, authFailure()
	}
	s := scope{keyID: m[1], region: m[3], service: m[4]}
	if !knownRegion(s.region) {
		return s, fail("AuthFailure", "Credential should be scoped to a valid region.")
	}
	return s, nil
}

func authFailure() error {
	return fail("AuthFailure", "AWS was not able to validate the provided access credentials")
}

// readForm returns the parameters of a request, from the query and the body.
func readForm(r *http.Request) (url.Values, error) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fail("MalformedQueryString", "The query string contains a syntax error.")
	}
	if r.Method != http.MethodPost {
		return form, nil
	}
	if ct, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); ct != "application/x-www-form-urlencoded" {
		return nil, fail("InvalidRequest", "The request must be a form of type application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, fail("InvalidRequest", "The request body is incomplete or too long.")
	}
	more, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fail("MalformedQueryString", "The query string contains a syntax error.")
	}
	for k, v := range more {
		form[k] = append(form[k], v...)
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
