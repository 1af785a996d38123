package wsman

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	soapType = "application/soap+xml"

	// Headers around a sealed message.
	sealRoom = 1024

	// What is read of a message that is too large, so that its client gets to
	// read the answer.
	maxDiscard = 64 << 20

	bodyTime = 2 * time.Minute
)

var errTooLarge = errors.New("the message is larger than MaxEnvelopeSizeKB allows")

// exchange is one request over HTTP and its answer.
type exchange struct {
	s         *Server
	c         *conn
	w         http.ResponseWriter
	r         *http.Request
	svc       Service
	anonymous bool // the address for those without a user

	sealed bool // the request was, so the answer is
	wide   bool // in UTF-16
}

func (e *exchange) answer() {
	body, err := e.read()
	if err != nil && err != errTooLarge {
		e.c.reset()
		e.refuse(http.StatusBadRequest)
		return
	}
	if e.anonymous || strings.EqualFold(e.r.Header.Get("WSMANIDENTIFY"), "unauthenticated") {
		e.identify(body, err)
		return
	}
	user, challenge := e.c.authenticate(e.r, e.svc, e.s.b)
	if challenge != nil {
		challenge.send(e.w)
		return
	}
	if e.c.final != "" {
		e.w.Header().Set("WWW-Authenticate", e.c.final)
		e.c.final = ""
	}
	media, params, _ := mime.ParseMediaType(e.r.Header.Get("Content-Type"))
	switch {
	case len(body) == 0 && err == nil:
		// How a client authenticates a connection before it sends anything.
		e.w.WriteHeader(http.StatusOK)
		return
	case media == "multipart/encrypted":
		if err == nil {
			body, err = e.c.open(params, body)
		}
		if err != nil {
			// Both sides' keys are out of step now.
			e.c.reset()
			status := http.StatusBadRequest
			if err == errTooLarge {
				status = http.StatusRequestEntityTooLarge
			}
			e.refuse(status)
			return
		}
		e.sealed = true
	case e.r.TLS == nil && !e.svc.AllowUnencrypted:
		e.w.WriteHeader(http.StatusInternalServerError)
		return
	case media != soapType:
		e.w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	e.serve(user, body, err)
}

// refuse ends the connection with an answer that has no content.
func (e *exchange) refuse(status int) {
	e.w.Header().Set("Connection", "close")
	e.w.WriteHeader(status)
}

// read takes the whole body, but no more of it than the service allows.
func (e *exchange) read() ([]byte, error) {
	deadline := http.NewResponseController(e.w)
	deadline.SetReadDeadline(time.Now().Add(bodyTime))
	defer deadline.SetReadDeadline(time.Time{})
	most := int64(e.svc.MaxEnvelopeSizeKB) << 10
	if strings.HasPrefix(e.r.Header.Get("Content-Type"), "multipart/") {
		most += sealRoom
	}
	body, err := io.ReadAll(io.LimitReader(e.r.Body, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) <= most {
		return body, nil
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(e.r.Body, maxDiscard)); err != nil || n == maxDiscard {
		return nil, errors.New("the body does not end")
	}
	return nil, errTooLarge
}

// serve does what an authenticated message asks.
func (e *exchange) serve(user string, body []byte, err error) {
	host, _, _ := net.SplitHostPort(e.r.RemoteAddr)
	if err != nil {
		e.fault("", sender("w:EncodingLimit", "MaxEnvelopeSizeExceeded", codeEncodingLimit, "The request is larger than %d KB, which is all that MaxEnvelopeSizekb allows.", e.svc.MaxEnvelopeSizeKB))
		return
	}
	order, _ := wide(body)
	e.wide = order != nil
	root, err := parse(body)
	if err != nil {
		e.fault("", sender("w:SchemaValidationError", "", codeInvalidXML, "The message is no XML that can be read."))
		return
	}
	if text, ok := identity(root, e.svc, true, e.r.TLS != nil); ok {
		e.send(http.StatusOK, text)
		return
	}
	r, f := readRequest(root, e.svc)
	if f != nil {
		e.fault(r.id, f)
		return
	}
	if g, ok := e.s.b.(Guard); ok && !g.MayUse(user) {
		e.fault(r.id, denied("Access is denied."))
		return
	}
	if e.wide {
		r.maxEnvelope = max(r.maxEnvelope/2, minEnvelope)
	}
	answer, text, f := e.s.operate(e.r.Context(), caller{user: user, ip: host, svc: e.svc}, &r)
	if e.r.Context().Err() != nil {
		// The client is gone; who has only said goodbye on TLS would yet be told that
		// his time was over, which it was not.
		panic(http.ErrAbortHandler)
	}
	if f != nil {
		e.fault(r.id, f)
		return
	}
	e.send(http.StatusOK, envelope(answer, r.id, text))
}

func (e *exchange) fault(id string, f *fault) {
	machine, _, err := net.SplitHostPort(e.r.Host)
	if err != nil {
		machine = e.r.Host
	}
	e.send(http.StatusInternalServerError, envelope(actionFault, id, f.body(machine)))
}

func (e *exchange) send(status int, text string) {
	charset, data := "UTF-8", []byte(text)
	if e.wide {
		charset, data = "UTF-16", encodeUTF16(text)
	}
	kind := soapType + ";charset=" + charset
	if e.sealed {
		kind, data = e.c.seal(kind, data)
	}
	e.w.Header().Set("Content-Type", kind)
	e.w.WriteHeader(status)
	e.w.Write(data) // a client that is gone misses its answer
}

// identify answers who does not say who he is.
func (e *exchange) identify(body []byte, err error) {
	if err == nil {
		order, _ := wide(body)
		e.wide = order != nil
		if root, err := parse(body); err == nil {
			if text, ok := identity(root, e.svc, false, e.r.TLS != nil); ok {
				e.send(http.StatusOK, text)
				return
			}
		}
	}
	unauthorized(e.svc).send(e.w)
}

// identity is the answer to Identify. What runs here is told to users only.
func identity(root *element, svc Service, known, https bool) (text string, ok bool) {
	_, body, f := readEnvelope(root)
	if f != nil || body.kid(nsIdentity, "Identify") == nil {
		return "", false
	}
	version, profiles := "OS: 0.0.0 SP: 0.0 Stack: 3.0", &bytes.Buffer{}
	if known {
		version = "OS: " + svc.Version + " SP: 0.0 Stack: 3.0"
		scheme := "http"
		if https {
			scheme = "https"
		}
		profiles.WriteString(`<wsmid:SecurityProfiles>`)
		for _, p := range []struct {
			on   bool
			name string
		}{{svc.Basic, "basic"}, {svc.Negotiate, "spnego-kerberos"}} {
			if p.on {
				profiles.WriteString(`<wsmid:SecurityProfileName>http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/` + scheme + `/` + p.name + `</wsmid:SecurityProfileName>`)
			}
		}
		profiles.WriteString(`</wsmid:SecurityProfiles>`)
	}
	return `<s:Envelope xml:lang="en-US" xmlns:s="` + nsSOAP + `"><s:Header></s:Header><s:Body><wsmid:IdentifyResponse xmlns:wsmid="` + nsIdentity + `">` +
		`<wsmid:ProtocolVersion>` + nsWSMan + `</wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>` +
		`<wsmid:ProductVersion>` + esc(version) + `</wsmid:ProductVersion>` + profiles.String() + `</wsmid:IdentifyResponse></s:Body></s:Envelope>`, true
}
