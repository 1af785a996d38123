package wsman

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"regexp"
	"strconv"
	"strings"

	"github.com/bodgit/ntlmssp"
)

const (
	soapType     = "application/soap+xml;charset=UTF-8"
	sealProtocol = "application/HTTP-SPNEGO-session-encrypted"
	sealBoundary = "--Encrypted Boundary"
	sealType     = `multipart/encrypted;protocol="` + sealProtocol + `";boundary="Encrypted Boundary"`
	signSize     = 16
)

// seal wraps a message as [MS-WSMV] 2.2.9.1 has it: looks like MIME, but its
// headers are indented and no empty line ends them.
func seal(s *ntlmssp.SecuritySession, message []byte) ([]byte, error) {
	data, sign, err := s.Wrap(message)
	if err != nil {
		return nil, err
	}
	if len(sign) != signSize {
		return nil, errors.New("the message was not signed")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, sealBoundary+"\r\n\tContent-Type: "+sealProtocol+"\r\n\tOriginalContent: type="+soapType+";Length=%d\r\n", len(message))
	b.WriteString(sealBoundary + "\r\n\tContent-Type: application/octet-stream\r\n")
	b.Write(binary.LittleEndian.AppendUint32(nil, signSize))
	b.Write(sign)
	b.Write(data)
	b.WriteString(sealBoundary + "--\r\n")
	return b.Bytes(), nil
}

// isSealed tells by its type whether an answer claims to be sealed.
func isSealed(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "multipart/encrypted" && strings.EqualFold(params["protocol"], sealProtocol)
}

// unseal opens an answer.
func unseal(s *ntlmssp.SecuritySession, body []byte) ([]byte, error) {
	size, sealed, err := splitSealed(body)
	if err != nil {
		return nil, err
	}
	plain, err := s.Unwrap(sealed[4+signSize:], sealed[4:4+signSize])
	if err != nil || len(plain) != size {
		return nil, errors.New("it is not sealed with the keys of this connection")
	}
	return plain, nil
}

var contentLength = regexp.MustCompile(`(?i)length=\s*([0-9]+)\s*$`)

// splitSealed finds the length that the first part promises, and the second
// part: the signature's length, the signature, the data.
func splitSealed(body []byte) (size int, sealed []byte, err error) {
	bad := errors.New("it is not in the form of sealed answers")
	line := func() string {
		l, rest, ok := bytes.Cut(body, []byte("\r\n"))
		if !ok {
			body = nil
			return ""
		}
		body = rest
		return strings.TrimSpace(string(l))
	}
	if line() != sealBoundary {
		return 0, nil, bad
	}
	size = -1
	for l := line(); l != sealBoundary; l = line() {
		key, value, ok := strings.Cut(l, ":")
		if !ok {
			return 0, nil, bad
		}
		if strings.EqualFold(key, "OriginalContent") {
			m := contentLength.FindStringSubmatch(value)
			if m == nil {
				return 0, nil, bad
			}
			if size, err = strconv.Atoi(m[1]); err != nil {
				return 0, nil, bad
			}
		}
	}
	if !strings.EqualFold(line(), "Content-Type: application/octet-stream") {
		return 0, nil, bad
	}
	sealed, ok := bytes.CutSuffix(bytes.TrimSuffix(body, []byte("\r\n")), []byte(sealBoundary+"--"))
	if !ok || size < 0 || len(sealed) != 4+signSize+size || binary.LittleEndian.Uint32(sealed) != signSize {
		return 0, nil, bad
	}
	return size, sealed, nil
}
