package wsman

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnencrypted is a sealed connection on which the machine answered, or
// wanted to be talked to, in the clear.
var ErrUnencrypted = errors.New("the machine does not keep to NTLM's encryption")

// AuthError is a login that was refused.
type AuthError struct {
	Address string
	User    string
	NTLM    bool     // what was tried; else Basic
	TLS     bool     //
	Offers  []string // what the machine offers: "Basic", "Negotiate", "Kerberos", …
}

// FaultError is the machine's refusal of a request.
type FaultError struct {
	Op      string // what was asked for: "start the command"
	Code    string // SOAP's code without its prefix: "Sender", "Receiver"
	Subcode string // WS-Management's: "TimedOut", "InvalidSelectors", "AccessDenied", …
	WSMan   uint32 // Windows' number, 0 if there is none
	Text    string
}

// CertificateError is a certificate that is not trusted.
type CertificateError struct {
	Address     string
	Fingerprint string // "sha256:<hex>" of what was shown
	Whose       string // its subject and issuer, in words
	Why         string
	Advice      string
	Changed     bool // others were pinned
}

// NetError is a connection that could not be made, or broke: whether the
// request arrived is not known unless Refused.
type NetError struct {
	Address string
	Why     string
	Refused bool // nothing listens
	Err     error
}

func (e *AuthError) Error() string {
	return fmt.Sprintf("cannot log in to %s as %q: it offers %s", e.Address, e.User, strings.Join(e.Offers, ", "))
}

func (e *FaultError) Error() string { return fmt.Sprintf("cannot %s: %s", e.Op, e.Text) }
func (e *CertificateError) Error() string {
	return fmt.Sprintf("cannot trust %s: %s", e.Address, e.Why)
}
func (e *NetError) Error() string { return fmt.Sprintf("cannot reach %s: %s", e.Address, e.Why) }
func (e *NetError) Unwrap() error { return e.Err }
