package wsman

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/md5"
	_ "crypto/sha256" // what certificates are hashed with
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"strings"
)

// channelBinding is what NTLM carries of RFC 5929's tls-server-end-point: by it
// a client says which certificate it saw.
func channelBinding(cert tls.Certificate) []byte {
	if len(cert.Certificate) == 0 {
		return make([]byte, md5.Size)
	}
	hash := crypto.SHA256 // also for what is weaker, and where the certificate does not say
	if leaf, err := x509.ParseCertificate(cert.Certificate[0]); err == nil {
		switch leaf.SignatureAlgorithm {
		case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
			hash = crypto.SHA384
		case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
			hash = crypto.SHA512
		}
	}
	h := hash.New()
	h.Write(cert.Certificate[0])
	data := append([]byte("tls-server-end-point:"), h.Sum(nil)...)
	// Four empty fields for the addresses of both sides come first.
	sum := md5.Sum(append(binary.LittleEndian.AppendUint32(make([]byte, 16), uint32(len(data))), data...))
	return sum[:]
}

// bindingFits says whether a client's binding is acceptable.
func bindingFits(got, want []byte, hardening string) bool {
	none := len(got) == 0 || bytes.Equal(got, make([]byte, md5.Size))
	switch {
	case strings.EqualFold(hardening, CbtNone):
		return true
	case none:
		return !strings.EqualFold(hardening, CbtStrict)
	}
	return hmac.Equal(got, want)
}
