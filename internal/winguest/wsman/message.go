package wsman

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	anonymous   = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
	actionFault = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
	cmdResource = nsShell + "/cmd"

	// Any answer but one to Receive and Get fits into this, with texts of the
	// request's that are as long as they may be.
	minEnvelope = 8192
	maxURI      = 1024
)

// request is one message of a client.
type request struct {
	id          string
	action      string
	resource    string
	to          string
	selectors   map[string]string
	options     map[string]string
	maxEnvelope int           // bytes of the answer
	timeout     time.Duration // until which an answer must be given
	body        *element
}

// understood are the headers that may be marked mustUnderstand.
var understood = map[[2]string]bool{
	{nsAddress, "To"}: true, {nsAddress, "Action"}: true, {nsAddress, "MessageID"}: true, {nsAddress, "ReplyTo"}: true,
	{nsAddress, "From"}: true, {nsAddress, "FaultTo"}: true, {nsAddress, "RelatesTo"}: true,
	{nsWSMan, "ResourceURI"}: true, {nsWSMan, "SelectorSet"}: true, {nsWSMan, "OptionSet"}: true,
	{nsWSMan, "MaxEnvelopeSize"}: true, {nsWSMan, "OperationTimeout"}: true, {nsWSMan, "Locale"}: true,
	{nsWSMV, "DataLocale"}: true, {nsWSMV, "SessionId"}: true, {nsWSMV, "OperationID"}: true, {nsWSMV, "SequenceId"}: true, {nsWSMV, "ActivityId"}: true,
}

// knownOptions are those of the shell; a client may demand that any other is
// obeyed, and is refused then.
var knownOptions = map[string]bool{
	"WINRS_NOPROFILE": true, "WINRS_CODEPAGE": true, "WINRS_CONSOLEMODE_STDIN": true, "WINRS_SKIP_CMD_SHELL": true,
	"WSMAN_CMDSHELL_OPTION_KEEPALIVE": true,
}

// readEnvelope separates a message's header from its body. The header is there even
// when the body is not.
func readEnvelope(root *element) (header, body *element, f *fault) {
	header = &element{}
	switch {
	case root.is(nsSOAP11, "Envelope"):
		return header, nil, &fault{code: "VersionMismatch", win: codeInvalidXML, text: "The message is SOAP 1.1, only SOAP 1.2 is spoken."}
	case !root.is(nsSOAP, "Envelope"):
		return header, nil, sender("w:SchemaValidationError", "", codeInvalidXML, "The message is no SOAP envelope.")
	}
	if h := root.kid(nsSOAP, "Header"); h != nil {
		header = h
	}
	body = root.kid(nsSOAP, "Body")
	if body == nil {
		return header, nil, sender("w:SchemaValidationError", "", codeInvalidBody, "The message has no SOAP body.")
	}
	return header, body, nil
}

// readRequest reads what a message asks. Its id is set even if it is refused.
func readRequest(root *element, svc Service) (request, *fault) {
	header, body, f := readEnvelope(root)
	r := request{
		id: header.value(nsAddress, "MessageID"), action: header.value(nsAddress, "Action"), to: header.value(nsAddress, "To"),
		resource: header.value(nsWSMan, "ResourceURI"), selectors: map[string]string{}, options: map[string]string{},
		maxEnvelope: svc.MaxEnvelopeSizeKB << 10, timeout: svc.MaxTimeout, body: body,
	}
	if f != nil {
		return r, f
	}
	for _, text := range []*string{&r.id, &r.action, &r.to, &r.resource} {
		if len(*text) > maxURI {
			r.id = ""
			return r, sender("w:EncodingLimit", "URILimitExceeded", codeURILimit, "An address, action or message ID is longer than %d bytes.", maxURI)
		}
	}
	for _, h := range header.kids {
		must := h.attr(nsSOAP, "mustUnderstand")
		if (must == "true" || must == "1") && !understood[[2]string{h.name.Space, h.name.Local}] {
			return r, &fault{code: "MustUnderstand", win: codeMustUnderstand, text: "The header " + h.name.Local + " must be understood and is not."}
		}
	}
	for _, need := range []struct{ name, value string }{{"Action", r.action}, {"MessageID", r.id}, {"To", r.to}} {
		if need.value == "" {
			return r, sender("a:MessageInformationHeaderRequired", "", codeInvalidMessage, "The header %s is missing.", need.name)
		}
	}
	if to := header.kid(nsAddress, "ReplyTo"); to == nil || to.value(nsAddress, "Address") != anonymous {
		return r, sender("w:UnsupportedFeature", "AddressingMode", codeAddressing, "ReplyTo must be the anonymous address: answers go back over the connection of the request.")
	}
	if r.resource == "" {
		return r, sender("a:DestinationUnreachable", "InvalidResourceURI", codeInvalidResource, "The header ResourceURI is missing.")
	}
	return r, r.readLimits(header, svc)
}

func (r *request) readLimits(header *element, svc Service) *fault {
	if h := header.kid(nsWSMan, "MaxEnvelopeSize"); h != nil {
		n, err := strconv.ParseUint(strings.TrimSpace(h.text), 10, 32)
		switch {
		case err != nil:
			return sender("a:InvalidMessageInformationHeader", "", codeInvalidMessage, "MaxEnvelopeSize %q is not a number of bytes.", h.text)
		case n < minEnvelope:
			return sender("w:EncodingLimit", "MinimumEnvelopeLimit", codeEnvelopeTooSmall, "MaxEnvelopeSize %d is below %d bytes, into which any answer fits.", n, minEnvelope)
		}
		r.maxEnvelope = min(r.maxEnvelope, int(n))
	}
	if h := header.kid(nsWSMan, "OperationTimeout"); h != nil {
		d, ok := parseDuration(strings.TrimSpace(h.text))
		if !ok || d <= 0 {
			return sender("w:InvalidParameter", "InvalidTimeout", codeTimeout, "OperationTimeout %q is not a duration above zero, such as PT60S.", h.text)
		}
		r.timeout = min(r.timeout, d)
	}
	if set := header.kid(nsWSMan, "SelectorSet"); set != nil {
		for _, s := range set.kids {
			if s.is(nsWSMan, "Selector") {
				r.selectors[s.attr("", "Name")] = strings.TrimSpace(s.text)
			}
		}
	}
	if set := header.kid(nsWSMan, "OptionSet"); set != nil {
		for _, o := range set.kids {
			if !o.is(nsWSMan, "Option") {
				continue
			}
			name := strings.ToUpper(o.attr("", "Name"))
			if must := o.attr("", "MustComply"); (must == "true" || must == "1") && !knownOptions[name] {
				return sender("w:InvalidOptions", "InvalidName", codeOptionName, "The option %s must be complied with and is not known.", name)
			}
			r.options[name] = strings.TrimSpace(o.text)
		}
	}
	return nil
}

// flag is an option that is TRUE or FALSE.
func (r *request) flag(name string) (bool, *fault) {
	switch v := r.options[name]; strings.ToLower(v) {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, sender("w:InvalidOptions", "InvalidValue", codeOptionValue, "The option %s is %q, not TRUE or FALSE.", name, v)
	}
}

// envelope is a whole answer. A message that could not be read has no id.
func envelope(action, relatesTo, body string) string {
	if relatesTo != "" {
		relatesTo = `<a:RelatesTo>` + esc(relatesTo) + `</a:RelatesTo>`
	}
	return fmt.Sprintf(`<s:Envelope xml:lang="en-US" xmlns:s="%s" xmlns:a="%s" xmlns:x="%s" xmlns:w="%s" xmlns:rsp="%s" xmlns:p="%s">`+
		`<s:Header><a:Action>%s</a:Action><a:MessageID>uuid:%s</a:MessageID><a:To>%s</a:To>%s</s:Header><s:Body>%s</s:Body></s:Envelope>`,
		nsSOAP, nsAddress, nsTransfer, nsWSMan, nsShell, nsWSMV, esc(action), newID(), anonymous, relatesTo, body)
}
