package wsman

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Codes of WS-Management faults, by the names that Windows' headers give them.
const (
	codeInvalidAction       = 0x80338001 // ERROR_WSMAN_INVALID_ACTIONURI
	codeInvalidMessage      = 0x8033800f // ERROR_WSMAN_INVALID_MESSAGE_INFORMATION_HEADER
	codeMustUnderstand      = 0x80338010 // ERROR_WSMAN_SOAP_FAULT_MUST_UNDERSTAND
	codeInvalidBody         = 0x80338027 // ERROR_WSMAN_INVALID_SOAP_BODY
	codeTimedOut            = 0x80338029 // ERROR_WSMAN_OPERATION_TIMEDOUT
	codeURILimit            = 0x8033802d // ERROR_WSMAN_URI_LIMIT
	codeAlreadyExists       = 0x80338033 // ERROR_WSMAN_ALREADY_EXISTS
	codeEncodingLimit       = 0x80338035 // ERROR_WSMAN_ENCODING_LIMIT
	codeInvalidResource     = 0x8033803b // ERROR_WSMAN_INVALID_RESOURCE_URI
	codeInvalidXML          = 0x80338043 // ERROR_WSMAN_INVALID_XML
	codeEnvelopeTooSmall    = 0x8033807e // ERROR_WSMAN_MIN_ENVELOPE_SIZE
	codeOptionName          = 0x80338052 // ERROR_WSMAN_OPTIONS_INVALID_NAME
	codeOptionValue         = 0x80338053 // ERROR_WSMAN_OPTIONS_INVALID_VALUE
	codeMissingSelectors    = 0x8033805a // ERROR_WSMAN_INSUFFCIENT_SELECTORS
	codeUnexpectedSelectors = 0x8033805b // ERROR_WSMAN_UNEXPECTED_SELECTORS
	codeAddressing          = 0x80338076 // ERROR_WSMAN_UNSUPPORTED_ADDRESSING_MODE
	codeTimeout             = 0x80338081 // ERROR_WSMAN_INVALID_TIMEOUT_HEADER
	codeMaxShells           = 0x803381a5 // ERROR_WSMAN_QUOTA_MAX_SHELLS
	codeMaxOperations       = 0x803381a6 // ERROR_WSMAN_QUOTA_MAX_OPERATIONS
	codeNoShells            = 0x803381ac // ERROR_WSMAN_REMOTESHELLS_NOT_ALLOWED
	codeMaxCommands         = 0x803381e9 // ERROR_WSMAN_QUOTA_MAX_COMMANDS_PER_SHELL_PPQ

	// Errors of Windows itself.
	codeAccessDenied     = 5
	codeInvalidParameter = 87
	codeNoData           = 232 // the pipe is being closed
	codeAborted          = 995

	// HRESULTs of starting a process.
	codeUnspecified  = 0x80004005
	codeFileNotFound = 0x80070002
	codeStartDenied  = 0x80070005
)

const detailBase = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

// fault is an operation's failure as the client sees it. It is always sent with
// status 500, as Windows does it.
type fault struct {
	code    string // of SOAP: Sender, Receiver, MustUnderstand, VersionMismatch
	subcode string // with the prefix of its namespace: w:, a:
	detail  string // what follows detailBase, or ""
	win     uint32
	plugin  bool // it comes from the shell, not from the service
	text    string
}

func (f *fault) Error() string { return f.text }

func sender(subcode, detail string, win uint32, format string, args ...any) *fault {
	return &fault{code: "Sender", subcode: subcode, detail: detail, win: win, text: fmt.Sprintf(format, args...)}
}

func invalidParameter(format string, args ...any) *fault {
	f := sender("w:InvalidParameter", "InvalidValue", codeInvalidParameter, format, args...)
	f.plugin = true
	return f
}

func denied(format string, args ...any) *fault {
	return sender("w:AccessDenied", "", codeAccessDenied, format, args...)
}

func quota(win uint32, format string, args ...any) *fault {
	return &fault{code: "Receiver", subcode: "w:QuotaLimit", win: win, text: fmt.Sprintf(format, args...)}
}

func aborted(why string) *fault {
	return &fault{code: "Receiver", subcode: "w:InternalError", win: codeAborted, text: "The operation was aborted: " + why + "."}
}

func timedOut() *fault {
	return &fault{code: "Receiver", subcode: "w:TimedOut", win: codeTimedOut,
		text: "The operation did not complete within the time that the request's OperationTimeout allows."}
}

func noShell(id string) *fault {
	return sender("w:InvalidSelectors", "UnexpectedSelectors", codeUnexpectedSelectors,
		"There is no shell with ShellId %s: it was never made, was deleted, or ended after it had been idle for too long. Make a new one.", id)
}

func noCommand(id string) *fault {
	f := sender("w:InvalidSelectors", "UnexpectedSelectors", codeUnexpectedSelectors,
		"There is no command with CommandId %s in this shell: it was never started or was terminated.", id)
	f.plugin = true
	return f
}

// cannotStart is why a process could not be made.
func cannotStart(err error) *fault {
	f := &fault{code: "Receiver", subcode: "w:InternalError", win: codeUnspecified, plugin: true, text: err.Error()}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.win, f.text = codeFileNotFound, "The system cannot find the file specified."
	case errors.Is(err, fs.ErrPermission):
		f.win, f.text = codeStartDenied, "Access is denied."
	}
	return f
}

// body is the fault as the body of a message.
func (f *fault) body(machine string) string {
	var b strings.Builder
	b.WriteString(`<s:Fault><s:Code><s:Value>s:` + f.code + `</s:Value>`)
	if f.subcode != "" {
		b.WriteString(`<s:Subcode><s:Value>` + f.subcode + `</s:Value></s:Subcode>`)
	}
	b.WriteString(`</s:Code><s:Reason><s:Text xml:lang="en-US">` + esc(f.text) + `</s:Text></s:Reason><s:Detail>`)
	if f.detail != "" {
		b.WriteString(`<w:FaultDetail>` + detailBase + f.detail + `</w:FaultDetail>`)
	}
	fmt.Fprintf(&b, `<f:WSManFault xmlns:f="%s" Code="%d" Machine="%s"><f:Message>`, nsFault, f.win, esc(machine))
	if f.plugin {
		b.WriteString(`<f:ProviderFault provider="Shell cmd plugin" path="%systemroot%\system32\winrscmd.dll">` + esc(f.text) + `</f:ProviderFault>`)
	} else {
		b.WriteString(esc(f.text))
	}
	b.WriteString(`</f:Message></f:WSManFault></s:Detail></s:Fault>`)
	return b.String()
}
