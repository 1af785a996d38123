package wsman

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// trust decides about the certificates of one machine.
type trust struct {
	address string
	host    string
	pins    []string
	any     bool                // what is seen first
	roots   *x509.CertPool      // nil: the system's
	exact   []*x509.Certificate // trusted as they are

	mu    sync.Mutex
	last  string // what was shown
	first string // what answered first, where any is trusted
}

func (t *trust) init(address string, o Options) error {
	t.address, t.host, t.any = address, o.Host, o.Insecure
	for _, p := range o.Pins {
		digest, ok := strings.CutPrefix(strings.ToLower(p), "sha256:")
		if raw, err := hex.DecodeString(digest); !ok || err != nil || len(raw) != sha256.Size {
			return fmt.Errorf("cannot reach %s: the pinned certificate %q is not written as sha256: and 64 hexadecimal digits", address, p)
		}
		t.pins = append(t.pins, "sha256:"+digest)
	}
	if len(o.CAs) == 0 {
		return nil
	}
	t.roots = x509.NewCertPool()
	for rest := o.CAs; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("cannot reach %s: a certificate of winrm_ca_file cannot be read: %w", address, err)
		}
		t.roots.AddCert(cert)
		t.exact = append(t.exact, cert)
	}
	if len(t.exact) == 0 {
		return fmt.Errorf("cannot reach %s: winrm_ca_file holds no certificate in PEM", address)
	}
	return nil
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (t *trust) shown() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// config leaves all verifying to us: a pin or the certificate itself says more
// than its names.
func (t *trust) config() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, VerifyConnection: t.verify}
}

func (t *trust) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the machine shows no certificate")
	}
	leaf := s.PeerCertificates[0]
	shown := fingerprint(leaf)
	t.mu.Lock()
	t.last = shown
	pins := t.pins
	if t.any && len(pins) == 0 && t.first != "" {
		pins = []string{t.first}
	}
	t.mu.Unlock()
	switch {
	case len(pins) > 0 && slices.Contains(pins, shown):
		return nil
	case len(pins) > 0:
		e := t.refuse(leaf, "it is another one than before ("+strings.Join(pins, ", ")+")",
			"either the machine was given a new one, which pause_before_connecting leaves its user data time for, or somebody is between you and it: find out which before you build again")
		e.Changed = true
		return e
	case t.any, slices.ContainsFunc(t.exact, leaf.Equal):
		return nil
	}
	others := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		others.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: others, DNSName: t.host})
	if err == nil {
		return nil
	}
	return t.refuse(leaf, t.why(leaf, err), "set winrm_ca_file to this certificate or to the authority that signed it, or winrm_insecure to trust the one that is seen first")
}

// answered is told what the machine showed when it first answered to us: where
// any certificate is trusted, only that one is from then on.
func (t *trust) answered(s *tls.ConnectionState) {
	if s == nil || len(s.PeerCertificates) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == "" {
		t.first = fingerprint(s.PeerCertificates[0])
	}
}

func (t *trust) refuse(leaf *x509.Certificate, why, advice string) *CertificateError {
	whose := name(leaf.Subject.String())
	if isOwn(leaf) {
		whose += ", signed by itself"
	} else {
		whose += ", signed by " + name(leaf.Issuer.String())
	}
	return &CertificateError{Address: t.address, Fingerprint: fingerprint(leaf), Whose: whose, Why: why, Advice: advice}
}

func isOwn(c *x509.Certificate) bool { return string(c.RawSubject) == string(c.RawIssuer) }

// name bounds what a stranger chose.
func name(s string) string {
	if s == "" {
		return "nobody"
	}
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), "")
}

func (t *trust) why(leaf *x509.Certificate, err error) string {
	now := time.Now()
	switch {
	case now.After(leaf.NotAfter):
		return "it ran out on " + leaf.NotAfter.UTC().Format(time.DateOnly)
	case now.Before(leaf.NotBefore):
		return "it is not valid before " + leaf.NotBefore.UTC().Format(time.DateTime) + " UTC"
	case errors.As(err, new(x509.UnknownAuthorityError)) && isOwn(leaf):
		return "it is signed by itself, and by nobody whom this computer trusts"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "nobody whom this computer trusts signed it"
	case errors.As(err, new(x509.HostnameError)):
		names := slices.Clone(leaf.DNSNames)
		for _, ip := range leaf.IPAddresses {
			names = append(names, net.IP(ip).String())
		}
		if len(names) == 0 {
			return "it names no host, so not " + t.host + " either"
		}
		return "it is for " + name(strings.Join(names, ", ")) + " and not for " + t.host
	}
	return name(err.Error())
}
