package winguest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// Certificate is one of the machine's store LocalMachine\My, with its key.
type Certificate struct {
	Thumbprint string    `json:"thumbprint"`
	Subject    string    `json:"subject"`
	Names      []string  `json:"names,omitempty"`
	Friendly   string    `json:"friendly,omitempty"`
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	PEM        []byte    `json:"pem"` // the certificate, then its key
}

// DER is the certificate itself.
func (c Certificate) DER() []byte {
	b, _ := pem.Decode(c.PEM)
	if b == nil {
		return nil
	}
	return b.Bytes
}

// NewCertificate makes a certificate that signs itself, for a server of these
// names, the first of which is its subject unless that is given, and keeps it.
func (m *Machine) NewCertificate(subject string, names []string, until time.Time, friendly string) (Certificate, error) {
	if subject == "" && len(names) > 0 {
		subject = "CN=" + names[0]
	}
	common, ok := strings.CutPrefix(subject, "CN=")
	if !ok || common == "" || strings.ContainsAny(common, ",=") {
		return Certificate{}, fmt.Errorf("cannot make a certificate for %q: the subject is CN= and one name", subject)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return Certificate{}, err
	}
	from := m.now().Add(-10 * time.Minute)
	if until.IsZero() {
		until = from.AddDate(1, 0, 0)
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: common}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		t.DNSNames = append(t.DNSNames, n)
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return Certificate{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, err
	}
	c := Certificate{
		Thumbprint: fmt.Sprintf("%X", sha1.Sum(der)), Subject: subject, Names: names, Friendly: friendly, NotBefore: t.NotBefore, NotAfter: t.NotAfter,
		PEM: append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...),
	}
	return c, m.change(func(st *state) error {
		st.Certificates = append(st.Certificates, c)
		return nil
	})
}

// Certificates are those in the store.
func (m *Machine) Certificates() (list []Certificate) {
	m.read(func(st *state) { list = slices.Clone(st.Certificates) })
	return list
}

// Certificate is the one with that thumbprint, in any case.
func (m *Machine) Certificate(thumbprint string) (c Certificate, ok bool) {
	for _, c := range m.Certificates() {
		if strings.EqualFold(c.Thumbprint, thumbprint) {
			return c, true
		}
	}
	return c, false
}

// RemoveCertificate deletes a certificate with its key: CertNotFound.
func (m *Machine) RemoveCertificate(thumbprint string) error {
	err := m.change(func(st *state) error {
		n := len(st.Certificates)
		st.Certificates = slices.DeleteFunc(st.Certificates, func(c Certificate) bool { return strings.EqualFold(c.Thumbprint, thumbprint) })
		if len(st.Certificates) == n {
			return CertNotFound
		}
		return nil
	})
	m.listen()
	return err
}

func (c Certificate) pair() (tls.Certificate, error) { return tls.X509KeyPair(c.PEM, c.PEM) }
