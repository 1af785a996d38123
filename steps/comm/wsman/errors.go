package wsman

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
)

// ErrUnencrypted is a machine that does not keep to NTLM's encryption: it does
// not agree to it, or answered in the clear. Nothing but the login went there
// since.
var ErrUnencrypted = errors.New("the machine does not keep to the encryption of NTLM")

// ErrInputClosed is input for a command that has ended, or that closed its input:
// nobody reads what was sent. Its output and its end can still be received.
var ErrInputClosed = errors.New("the command reads no more input")

var errLarge = fmt.Errorf("it sent an answer of more than %d MiB", maxReply>>20)

// AuthError is a login that the machine refused.
type AuthError struct {
	Address string
	User    string
	NTLM    bool // what was tried, else Basic
	TLS     bool
	Offers  []string // what the machine offers: "Basic", "Negotiate", "Kerberos", …
}

func (e *AuthError) offers(kinds ...string) bool {
	for _, o := range e.Offers {
		for _, k := range kinds {
			if strings.EqualFold(o, k) {
				return true
			}
		}
	}
	return false
}

func (e *AuthError) Error() string {
	offers := "nothing"
	if len(e.Offers) > 0 {
		offers = strings.Join(e.Offers, ", ")
	}
	tried, why := "Basic", ""
	if e.NTLM {
		tried = "NTLM"
	}
	switch {
	case !e.NTLM && !e.offers("Basic") && e.TLS:
		why = `the machine does not allow Basic: set winrm_use_ntlm, or let the user data run winrm set winrm/config/service/auth '@{Basic="true"}'`
	case !e.NTLM && !e.offers("Basic"):
		why = `the machine does not allow Basic: set winrm_use_ntlm, or let the user data run winrm set winrm/config/service/auth '@{Basic="true"}' and winrm set winrm/config/service '@{AllowUnencrypted="true"}'`
	case e.NTLM && !e.offers("Negotiate", "NTLM"):
		why = "the machine does not allow Negotiate, which NTLM needs: leave out winrm_use_ntlm, or let the user data enable it"
	case !e.NTLM && strings.ContainsAny(e.User, `\@`):
		why = "the user or the password is wrong; Basic is for the machine's own accounts only, others need winrm_use_ntlm"
	default:
		why = "the user or the password is wrong, or the account is disabled or locked"
	}
	return fmt.Sprintf("cannot log in to %s as %q with %s: %s (it offers %s)", e.Address, e.User, tried, why, offers)
}

// ErrCode is the code of the failure.
func (e *AuthError) ErrCode() errcode.Code { return errcode.AuthRefused }

// FaultError is the machine's refusal of a request.
type FaultError struct {
	Op      string // what was asked for: "start the command"
	Code    string // SOAP's code without its prefix: "Sender", "Receiver"
	Subcode string // WS-Management's: "TimedOut", "InvalidSelectors", "AccessDenied", …
	WSMan   uint32 // Windows' number, 0 if there is none
	Text    string // the machine's words
}

func (e *FaultError) Error() string {
	text := e.Text
	if text == "" {
		text = "the machine does not say why"
	}
	if e.WSMan != 0 {
		return fmt.Sprintf("cannot %s: %s (%s %d)", e.Op, text, e.Subcode, e.WSMan)
	}
	return fmt.Sprintf("cannot %s: %s (%s)", e.Op, text, e.Subcode)
}

// Is tells of a refusal whether it is ErrInputClosed.
func (e *FaultError) Is(target error) bool {
	switch e.WSMan {
	case codeBrokenPipe, codeNoData, codeBrokenPipe | facilityWindows, codeNoData | facilityWindows:
		return target == ErrInputClosed
	}
	return false
}

// HTTPError is an answer that comes from HTTP and not from WS-Management.
type HTTPError struct {
	Address string
	Status  int
	Why     string
}

func (e *HTTPError) Error() string {
	return fmt.Sprintf("cannot talk to %s: HTTP %d: %s", e.Address, e.Status, e.Why)
}

// CertificateError is a certificate that is not trusted.
type CertificateError struct {
	Address     string
	Fingerprint string // "sha256:<hex>" of what was shown
	Whose       string // its subject, and who signed it
	Why         string
	Advice      string
	Changed     bool // others were pinned, or seen before
}

func (e *CertificateError) Error() string {
	return fmt.Sprintf("cannot trust %s: it shows the certificate %s of %s: %s; %s", e.Address, e.Fingerprint, e.Whose, e.Why, e.Advice)
}

// ErrCode is the code of the failure.
func (e *CertificateError) ErrCode() errcode.Code { return errcode.CertUntrusted }

// NetError is a connection that could not be made, or broke. Whether the request
// arrived is not known, unless Refused.
type NetError struct {
	Address string
	Why     string
	Refused bool // nothing listens there
	Err     error
}

func (e *NetError) Error() string { return fmt.Sprintf("cannot reach %s: %s", e.Address, e.Why) }
func (e *NetError) Unwrap() error { return e.Err }

func (c *Client) unencrypted(format string, args ...any) error {
	return fmt.Errorf("cannot talk to %s: %s: %w; nothing was sent in the clear. Use HTTPS (winrm_use_ssl), or find out what is between you and the machine",
		c.address, fmt.Sprintf(format, args...), ErrUnencrypted)
}

func kindOf(r *http.Response) string {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		return name(kind)
	}
	return "of no type"
}

// refused is an answer that HTTP's own status explains.
func (c *Client) refused(r *http.Response, body []byte) error {
	e := &HTTPError{Address: c.address, Status: r.StatusCode}
	switch s := r.StatusCode; {
	case s == http.StatusUnauthorized:
		a := &AuthError{Address: c.address, User: c.o.User, NTLM: c.o.NTLM, TLS: c.o.TLS}
		for _, v := range r.Header.Values("WWW-Authenticate") {
			kind, _, _ := strings.Cut(v, " ")
			if len(a.Offers) < 10 && !a.offers(kind) {
				a.Offers = append(a.Offers, c.clean(name(kind)))
			}
		}
		return a
	case s == http.StatusInternalServerError && len(body) == 0 && !c.o.TLS && !c.o.NTLM:
		e.Why = `the machine refuses messages that are not encrypted: set winrm_use_ntlm or winrm_use_ssl, or let the user data run winrm set winrm/config/service '@{AllowUnencrypted="true"}'`
	case s == http.StatusInternalServerError && len(body) == 0:
		e.Why = "the machine's WinRM service failed without saying why"
	case s == http.StatusBadRequest && !c.o.TLS:
		e.Why = "the machine does not understand the request; if the port is one for HTTPS, set winrm_use_ssl"
	case s == http.StatusBadRequest:
		e.Why = "the machine does not understand the request"
	case s == http.StatusForbidden:
		e.Why = "the machine, or a proxy before it, forbids it"
	case s == http.StatusNotFound:
		e.Why = "there is a web server on this port, but no WinRM"
	case s == http.StatusProxyAuthRequired:
		e.Why = "the proxy wants a login: put it into HTTP_PROXY or HTTPS_PROXY, or set winrm_no_proxy"
	case s == http.StatusRequestEntityTooLarge:
		e.Why = "the message is larger than the machine's MaxEnvelopeSizekb allows"
	case s == http.StatusServiceUnavailable:
		e.Why = "WinRM is not running yet, or no more"
	case s == http.StatusOK || s == http.StatusInternalServerError:
		e.Why = "the answer is not one of WinRM: it is " + kindOf(r)
	default:
		e.Why = strings.ToLower(http.StatusText(s))
	}
	return e
}

// explain puts what happened to a connection into words. used says whether this
// connection had answered before.
func (c *Client) explain(err error, limit time.Duration, used bool) error {
	if errors.As(err, new(*CertificateError)) {
		return err
	}
	e := &NetError{Address: c.address, Err: err}
	var dns *net.DNSError
	var op *net.OpError
	dialing := errors.As(err, &op) && op.Op == "dial"
	timeout, _ := err.(interface{ Timeout() bool })
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Refused = true
		e.Why = "the connection is refused: nothing listens on this port, WinRM is not set up yet or the machine is starting"
	case errors.As(err, &dns):
		e.Why = fmt.Sprintf("the name %s cannot be looked up: %s", dns.Name, dns.Err)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.Why = "there is no way to this address from here"
	case dialing && (errors.Is(err, context.DeadlineExceeded) || op.Timeout()):
		e.Why = fmt.Sprintf("there was no connection within %v: does the security group, and the machine's firewall, let you in?", c.o.Timeout)
	case errors.Is(err, context.DeadlineExceeded), timeout != nil && timeout.Timeout():
		e.Why = fmt.Sprintf("it did not answer within %v", limit)
	case c.o.TLS && isNoTLS(err):
		e.Why = "what listens there does not speak TLS: leave out winrm_use_ssl, or set winrm_port to the port of the HTTPS listener (5986)"
	case c.o.TLS && isTLS(err):
		e.Why = "no TLS connection could be agreed upon: " + name(err.Error())
	case !c.o.TLS && strings.Contains(err.Error(), `malformed HTTP`):
		e.Why = "what listens there does not speak HTTP; if the port is one for HTTPS, set winrm_use_ssl"
	case errors.Is(err, errLarge):
		e.Why = errLarge.Error()
	case !used && isBroken(err) && !c.o.TLS:
		e.Why = "it closed the connection without an answer; if the port is one for HTTPS, set winrm_use_ssl"
	case isBroken(err):
		e.Why = "the connection broke before the answer had arrived"
	default:
		e.Why = c.clean(name(err.Error()))
	}
	return e
}

// brokenError is a request without an answer.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

func isBroken(err error) bool {
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, net.ErrClosed, errDropped} {
		if errors.Is(err, known) {
			return true
		}
	}
	return strings.Contains(err.Error(), "server closed idle connection")
}

func isNoTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

func isTLS(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert) || strings.HasPrefix(err.Error(), "tls: ") || strings.HasPrefix(err.Error(), "remote error: tls: ")
}
