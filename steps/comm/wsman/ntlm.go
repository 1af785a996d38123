package wsman

import (
	"crypto"
	_ "crypto/sha256" // the hashes of channel bindings
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/bodgit/ntlmssp"
)

// Flags of NTLM.
const (
	ntlmUnicode     = 0x00000001
	ntlmSign        = 0x00000010
	ntlmSeal        = 0x00000020
	ntlmExtended    = 0x00080000 // session security
	ntlmTargetInfo  = 0x00800000
	ntlm128         = 0x20000000
	ntlmKeyExchange = 0x40000000

	ntlmMust   = ntlmUnicode | ntlmExtended | ntlmTargetInfo
	ntlmSealed = ntlmSign | ntlmSeal | ntlm128 | ntlmKeyExchange
)

// account takes a user name apart for NTLM. user@domain goes as it is, since its
// domain need not be the account's own; the domain of .\user is the machine.
func account(user string) (domain, name string) {
	domain, name, ok := strings.Cut(user, `\`)
	switch {
	case !ok:
		return "", user
	case domain == ".":
		return "", name
	}
	return domain, name
}

func (c *Client) ntlm() (*ntlmssp.Client, error) {
	domain, name := account(c.o.User)
	return ntlmssp.NewClient(ntlmssp.SetUserInfo(name, c.o.Password), ntlmssp.SetDomain(domain), ntlmssp.SetVersion(ntlmssp.DefaultVersion()))
}

// checkChallenge looks at the machine's message before the library does: it
// trusts in the sizes of what it reads.
func checkChallenge(m []byte) error {
	if len(m) < 48 || string(m[:8]) != "NTLMSSP\x00" || binary.LittleEndian.Uint32(m[8:]) != 2 {
		return errors.New("its NTLM challenge cannot be read")
	}
	if f := challengeFlags(m); f&ntlmMust != ntlmMust {
		return fmt.Errorf("it wants an older kind of NTLM (flags %08x) than the second, which is the only one that is safe", f)
	}
	size, at := int(binary.LittleEndian.Uint16(m[40:])), int64(binary.LittleEndian.Uint32(m[44:]))
	if at+int64(size) > int64(len(m)) {
		return errors.New("its NTLM challenge is cut off")
	}
	const eol, avFlags, timestamp = 0, 6, 7
	pairs := 0
	for info := m[at : at+int64(size)]; ; pairs++ {
		if len(info) < 4 {
			return errors.New("its NTLM challenge has no end")
		}
		id, n := binary.LittleEndian.Uint16(info), int(binary.LittleEndian.Uint16(info[2:]))
		if id == eol {
			break
		}
		if len(info) < 4+n || id == avFlags && n != 4 || id == timestamp && n != 8 {
			return errors.New("its NTLM challenge has parts of a wrong size")
		}
		info = info[4+n:]
	}
	if pairs == 0 {
		return errors.New("its NTLM challenge does not say who it is")
	}
	return nil
}

func challengeFlags(m []byte) uint32 { return binary.LittleEndian.Uint32(m[20:]) }

// canSeal tells whether the machine agrees to all that makes messages unreadable
// for others. The library would go on without.
func canSeal(m []byte) bool { return challengeFlags(m)&ntlmSealed == ntlmSealed }

// bindings tie a login to the TLS connection that it is made on, so that it
// cannot be passed on to another machine; nil for certificates whose algorithm
// has no binding (RFC 5929, section 4).
func bindings(cert *x509.Certificate) *ntlmssp.ChannelBindings {
	var h crypto.Hash
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		h = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	default:
		return nil
	}
	sum := h.New()
	sum.Write(cert.Raw)
	return &ntlmssp.ChannelBindings{ApplicationData: append([]byte(ntlmssp.TLSServerEndPoint+":"), sum.Sum(nil)...)}
}
