package wsman

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"errors"
)

// States of a negotiation.
const (
	acceptCompleted  = 0
	acceptIncomplete = 1
	requestMIC       = 3
)

var (
	oidSPNEGO = []byte{0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02}
	oidNTLM   = []byte{0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a}

	errSPNEGO = errors.New("not an acceptable SPNEGO token")
)

// spnego is what a client and we agreed upon about the mechanism.
type spnego struct {
	offers []byte // the client's list, as the integrity code covers it
	mustMI bool   // NTLM was not its first choice: the list must be proven
}

// token is one of SPNEGO.
type token struct {
	first    bool
	offers   []byte // the list of mechanisms
	ntlm     bool   // NTLM is among them
	ntlmBest bool   // and the first
	inner    []byte // of the mechanism
	mic      []byte // over the list
}

// tlv reads one value of DER.
func tlv(b []byte) (tag byte, content, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, errSPNEGO
	}
	tag, n, b := b[0], int(b[1]), b[2:]
	if n >= 0x80 {
		bytesOfLength := n & 0x7f
		if bytesOfLength == 0 || bytesOfLength > 3 || bytesOfLength > len(b) {
			return 0, nil, nil, errSPNEGO
		}
		n = 0
		for _, c := range b[:bytesOfLength] {
			n = n<<8 | int(c)
		}
		b = b[bytesOfLength:]
	}
	if n > len(b) {
		return 0, nil, nil, errSPNEGO
	}
	return tag, b[:n], b[n:], nil
}

// want reads one value that must have a tag.
func want(b []byte, tag byte) (content, rest []byte, err error) {
	got, content, rest, err := tlv(b)
	if err == nil && got != tag {
		err = errSPNEGO
	}
	return content, rest, err
}

// der writes one value.
func der(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	head := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		head = append(head, byte(n))
	case n < 0x100:
		head = append(head, 0x81, byte(n))
	default:
		head = append(head, 0x82, byte(n>>8), byte(n))
	}
	return append(head, content...)
}

// readToken reads what a client sends.
func readToken(b []byte) (t token, err error) {
	if len(b) > 0 && b[0] == 0x60 {
		t.first = true
		if b, _, err = want(b, 0x60); err != nil {
			return t, err
		}
		var ok bool
		if b, ok = bytes.CutPrefix(b, oidSPNEGO); !ok {
			return t, errSPNEGO
		}
		b, _, err = want(b, 0xa0)
	} else {
		b, _, err = want(b, 0xa1)
	}
	if err == nil {
		b, _, err = want(b, 0x30)
	}
	for err == nil && len(b) > 0 {
		var tag byte
		var v []byte
		if tag, v, b, err = tlv(b); err != nil {
			break
		}
		switch {
		case tag == 0xa0 && t.first:
			t.offers = v
			err = t.readOffers()
		case tag == 0xa2:
			t.inner, _, err = want(v, 0x04)
		case tag == 0xa3 && len(v) > 0 && v[0] == 0x04:
			t.mic, _, err = want(v, 0x04)
		}
	}
	if err == nil && t.first && t.offers == nil {
		err = errSPNEGO
	}
	return t, err
}

func (t *token) readOffers() error {
	list, _, err := want(t.offers, 0x30)
	for i := 0; err == nil && len(list) > 0; i++ {
		var oid, rest []byte
		if oid, rest, err = want(list, 0x06); err != nil {
			break
		}
		if bytes.Equal(oid, oidNTLM[2:]) {
			t.ntlm, t.ntlmBest = true, i == 0
			return nil
		}
		list = rest
	}
	return err
}

// reply is our side of a negotiation.
func reply(state byte, inner, mic []byte) []byte {
	parts := [][]byte{der(0xa0, der(0x0a, []byte{state}))}
	if state != acceptCompleted {
		parts = append(parts, der(0xa1, oidNTLM))
	}
	if inner != nil {
		parts = append(parts, der(0xa2, der(0x04, inner)))
	}
	if mic != nil {
		parts = append(parts, der(0xa3, der(0x04, mic)))
	}
	return der(0xa1, der(0x30, parts...))
}

func negotiateHeader(b []byte) string { return "Negotiate " + base64.StdEncoding.EncodeToString(b) }

// negotiate goes one step on, with a message of NTLM as it is or in SPNEGO.
func (c *conn) negotiate(m []byte, svc Service, b Backend) (user string, refused challenge) {
	answer, err := c.step(m, svc, b)
	switch {
	case err != nil:
		c.reset()
		return "", unauthorized(svc)
	case c.user == "":
		return "", challenge{answer}
	}
	c.final = answer
	return c.user, nil
}

// step is negotiate's: the answer goes into WWW-Authenticate, and the user is set
// when this was the last step.
func (c *conn) step(m []byte, svc Service, b Backend) (answer string, err error) {
	if ntlmType(m) != 0 {
		return c.stepNTLM(m, nil, svc, b)
	}
	t, err := readToken(m)
	if err != nil {
		return "", err
	}
	if t.first {
		c.reset()
		if !t.ntlm {
			return "", errSPNEGO // Kerberos alone: there is no domain here
		}
		c.wrap = &spnego{offers: t.offers, mustMI: !t.ntlmBest}
		if !t.ntlmBest || t.inner == nil {
			state := byte(acceptIncomplete)
			if !t.ntlmBest {
				state = requestMIC
			}
			return negotiateHeader(reply(state, nil, nil)), nil
		}
	}
	if c.wrap == nil || c.user != "" {
		return "", errSPNEGO
	}
	return c.stepNTLM(t.inner, &t, svc, b)
}

func (c *conn) stepNTLM(m []byte, t *token, svc Service, b Backend) (answer string, err error) {
	switch ntlmType(m) {
	case 1:
		wrap := c.wrap
		c.reset()
		if t != nil {
			c.wrap = wrap
		}
		if c.shake, err = challengeNTLM(m, svc); err != nil {
			return "", err
		}
		if t != nil {
			return negotiateHeader(reply(acceptIncomplete, c.shake.challenge, nil)), nil
		}
		return negotiateHeader(c.shake.challenge), nil
	case 3:
		if c.shake == nil || (t == nil) != (c.wrap == nil) {
			return "", errNTLM
		}
		user, s, err := c.shake.authenticate(m, svc, b, c.binding)
		if err != nil {
			return "", err
		}
		c.shake = nil
		if t != nil {
			mic, err := c.wrap.prove(t.mic, s)
			if err != nil {
				return "", err
			}
			answer = negotiateHeader(reply(acceptCompleted, nil, mic))
		}
		c.user, c.session, c.wrap = user, s, nil
		return answer, nil
	}
	return "", errNTLM
}

// prove checks a client's integrity code over its list of mechanisms and returns
// ours. The keys start anew behind it.
func (w *spnego) prove(mic []byte, s *session) ([]byte, error) {
	if mic == nil {
		if w.mustMI {
			return nil, errSPNEGO
		}
		return nil, nil
	}
	if !hmac.Equal(s.mac(&s.in, w.offers), mic) {
		return nil, errSPNEGO
	}
	ours := s.mac(&s.out, w.offers)
	if err := s.in.rewind(); err != nil {
		return nil, err
	}
	return ours, s.out.rewind()
}
