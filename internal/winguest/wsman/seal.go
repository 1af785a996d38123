package wsman

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
)

const (
	sealProtocol = "application/HTTP-SPNEGO-session-encrypted"
	sealBoundary = "Encrypted Boundary"
	signSize     = 16
)

var errSeal = errors.New("the message was not sealed by the other side of this connection")

// half is one direction of a session.
type half struct {
	sign    []byte
	sealKey []byte
	cipher  *rc4.Cipher
	seq     uint32
}

// session seals and unseals what a connection carries after an NTLM handshake,
// with extended session security.
type session struct {
	in, out half
	flags   uint32
}

func newSession(key []byte, flags uint32) (*session, error) {
	s := &session{flags: flags}
	for _, d := range []struct {
		h   *half
		way string
	}{{&s.in, "client-to-server"}, {&s.out, "server-to-client"}} {
		d.h.sign = magic(key, d.way+" signing")
		d.h.sealKey = magic(key, d.way+" sealing")
		if err := d.h.rewind(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func magic(key []byte, what string) []byte {
	sum := md5.Sum(append(bytes.Clone(key), "session key to "+what+" key magic constant\x00"...))
	return sum[:]
}

// rewind sets the cipher back to its start, as SPNEGO does it after its own
// integrity code.
func (h *half) rewind() (err error) {
	h.cipher, err = rc4.NewCipher(h.sealKey)
	return err
}

// mac is the signature of the next message of a direction.
func (s *session) mac(h *half, message []byte) []byte {
	seq := binary.LittleEndian.AppendUint32(nil, h.seq)
	h.seq++
	sum := hmacMD5(h.sign, seq, message)[:8]
	if s.flags&ntlmKeyExchange != 0 {
		h.cipher.XORKeyStream(sum, sum)
	}
	return append(append([]byte{1, 0, 0, 0}, sum...), seq...)
}

func (s *session) unseal(signature, data []byte) ([]byte, error) {
	plain := make([]byte, len(data))
	s.in.cipher.XORKeyStream(plain, data)
	if !hmac.Equal(s.mac(&s.in, plain), signature) {
		return nil, errSeal
	}
	return plain, nil
}

// open takes a sealed body out of its two parts.
func (c *conn) open(params map[string]string, body []byte) ([]byte, error) {
	if c.session == nil || c.session.flags&ntlmSeal == 0 || !strings.EqualFold(params["protocol"], sealProtocol) {
		return nil, errSeal
	}
	size, sealed, err := splitSealed(params["boundary"], body)
	if err != nil {
		return nil, err
	}
	plain, err := c.session.unseal(sealed[4:4+signSize], sealed[4+signSize:])
	if err != nil {
		return nil, err
	}
	if len(plain) != size {
		return nil, errSeal
	}
	c.sealed = true
	return plain, nil
}

// splitSealed finds the length that the first part of a body promises, and the
// signature and the data of the second. Its headers are indented and followed by
// no empty line, so no reader of MIME can be used.
func splitSealed(boundary string, body []byte) (size int, sealed []byte, err error) {
	if boundary == "" {
		return 0, nil, errSeal
	}
	line := func() string {
		l, rest, ok := bytes.Cut(body, []byte("\r\n"))
		if !ok {
			return ""
		}
		body = rest
		return strings.TrimSpace(string(l))
	}
	isBoundary := func(l string) bool {
		mark, ok := strings.CutPrefix(l, "--")
		return ok && strings.TrimSpace(mark) == boundary
	}
	header := func(l, name string) (value string) {
		n, v, ok := strings.Cut(l, ":")
		if !ok || !strings.EqualFold(strings.TrimSpace(n), name) {
			return ""
		}
		return strings.TrimSpace(v)
	}
	if !isBoundary(line()) || !strings.EqualFold(header(line(), "Content-Type"), sealProtocol) {
		return 0, nil, errSeal
	}
	size = -1
	for _, p := range strings.Split(header(line(), "OriginalContent"), ";") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(p), "Length="); ok {
			if size, err = strconv.Atoi(v); err != nil || size < 0 {
				return 0, nil, errSeal
			}
		}
	}
	if size < 0 || !isBoundary(line()) || !strings.EqualFold(header(line(), "Content-Type"), "application/octet-stream") {
		return 0, nil, errSeal
	}
	sealed = bytes.TrimSuffix(body, []byte("\r\n"))
	sealed, ok := bytes.CutSuffix(sealed, []byte("--"+boundary+"--"))
	if !ok {
		sealed, ok = bytes.CutSuffix(sealed, []byte("-- "+boundary+"--"))
	}
	if !ok || len(sealed) < 4+signSize || binary.LittleEndian.Uint32(sealed) != signSize {
		return 0, nil, errSeal
	}
	return size, sealed, nil
}

// seal is an answer's type and content after sealing.
func (c *conn) seal(kind string, data []byte) (sealedKind string, sealed []byte) {
	content, charset := kind, ""
	if media, params, err := mime.ParseMediaType(kind); err == nil {
		content, charset = media, params["charset"]
	}
	cipher := make([]byte, len(data))
	out := &c.session.out
	out.cipher.XORKeyStream(cipher, data)
	signature := c.session.mac(out, data)
	var b bytes.Buffer
	fmt.Fprintf(&b, "--%s\r\n\tContent-Type: %s\r\n\tOriginalContent: type=%s;charset=%s;Length=%d\r\n--%s\r\n\tContent-Type: application/octet-stream\r\n",
		sealBoundary, sealProtocol, content, charset, len(data), sealBoundary)
	b.Write(binary.LittleEndian.AppendUint32(nil, signSize))
	b.Write(signature)
	b.Write(cipher)
	b.WriteString("--" + sealBoundary + "--\r\n")
	return `multipart/encrypted;protocol="` + sealProtocol + `";boundary="` + sealBoundary + `"`, b.Bytes()
}
