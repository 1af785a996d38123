package provenance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
	"golang.org/x/crypto/ssh"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// pair is a key as its owner has it in files.
type pair struct{ private, public []byte }

func pairs(t *testing.T) map[string]pair {
	t.Helper()
	_, ed := must2(ed25519.GenerateKey(rand.Reader))
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	all := map[string]pair{}
	for name, k := range map[string]crypto.Signer{"Ed25519": ed, "ECDSA": ec} {
		all[name+" in PEM"] = pair{inPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k))), inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(k.Public())))}
		all[name+" of OpenSSH"] = pair{pem.EncodeToMemory(must(ssh.MarshalPrivateKey(k, ""))), ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(k.Public())))}
	}
	return all
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func sealed(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	s, err := Of(aRun())
	if err != nil {
		t.Fatal(err)
	}
	return must(json.Marshal(must(Seal(s, key))))
}

// independent verifies by the library of those who made DSSE, and by its own reading of a key.
func independent(public []byte) (dsse.Verifier, error) {
	k, err := signerverifier.LoadKey(public)
	if err != nil {
		return nil, err
	}
	if k.KeyType == signerverifier.ED25519KeyType {
		return signerverifier.NewED25519SignerVerifierFromSSLibKey(k)
	}
	return signerverifier.NewECDSASignerVerifierFromSSLibKey(k)
}

// Keys of every form sign, and what they have signed is accepted, by others, too.
func TestSealAndOpen(t *testing.T) {
	for name, p := range pairs(t) {
		key, err := PrivateKey(p.private)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		public, err := PublicKeys(p.public)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := sealed(t, key)
		s, by, err := Open(text, public)
		if err != nil || by != Fingerprint(key.Public()) || len(s.Subject) != 1 || s.Subject[0].Name != "ami-1" {
			t.Errorf("%s: %+v by %q, %v", name, s.Subject, by, err)
		}
		var e dsse.Envelope
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		inSPKI := inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(public[0])))
		v := must(dsse.NewEnvelopeVerifier(must(independent(inSPKI))))
		if _, err := v.Verify(t.Context(), &e); err != nil {
			t.Errorf("%s: another implementation of DSSE: %v", name, err)
		}
		e.Payload = strings.Replace(e.Payload, "e", "f", 1)
		if _, err := v.Verify(t.Context(), &e); err == nil {
			t.Errorf("%s: another implementation of DSSE takes anything", name)
		}
	}
}

// Whatever byte is changed, the statement is not accepted any more, unless what was signed
// is the same.
func TestOpenRefusesChanges(t *testing.T) {
	p := pairs(t)["Ed25519 in PEM"]
	key, public := must(PrivateKey(p.private)), must(PublicKeys(p.public))
	text := sealed(t, key)
	whole, _, err := Open(text, public)
	if err != nil {
		t.Fatal(err)
	}
	same := string(must(json.Marshal(whole)))
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if s, _, err := Open(changed, public); err == nil && string(must(json.Marshal(s))) != same {
			t.Fatalf("byte %d of %d was changed, and another statement accepted", i, len(text))
		}
	}
	payload := bytes.Index(text, []byte(`"payload":"`)) + len(`"payload":"`)
	changed := bytes.Clone(text)
	changed[payload+10] ^= 1
	if _, _, err := Open(changed, public); err == nil || !strings.Contains(err.Error(), "cannot verify the statement: no signature is that of a key") {
		t.Error(err)
	}
}

// Others' keys, no signature, other things in an envelope, and garbage are errors that say so.
func TestOpenRefuses(t *testing.T) {
	all := pairs(t)
	key := must(PrivateKey(all["Ed25519 in PEM"].private))
	public := must(PublicKeys(all["Ed25519 in PEM"].public))
	sign := func(kind, payload string) string {
		sig := must(key.Sign(rand.Reader, preAuth(kind, []byte(payload)), crypto.Hash(0)))
		return string(must(json.Marshal(Envelope{kind, []byte(payload), []Signature{{sig}}})))
	}
	good, statement := string(sealed(t, key)), string(must(json.Marshal(must(Of(aRun())))))
	for _, c := range []struct {
		text string
		keys []crypto.PublicKey
		want string
	}{
		{good, must(PublicKeys(all["ECDSA in PEM"].public)), "no signature is that of a key which was given"},
		{good, nil, "no signature is that of a key which was given"},
		{string(sealed(t, nil)), public, "nobody has signed it"},
		{sign("text/plain", "{}"), public, `it holds "text/plain"`},
		{sign(payloadType, "{}"), public, "not the provenance of a build"},
		{sign(payloadType, "x"), public, "is no statement"},
		{sign(payloadType, `{"_type":"`+StatementType+`","predicateType":"https://other"}`), public, "https://other"},
		{sign(payloadType, strings.Replace(statement, StatementType, "https://another", 1)), public, "https://another"},
		{sign(payloadType, strings.Replace(statement, PredicateType, "https://another", 1)), public, "https://another"},
		{sign(payloadType, strings.Replace(statement, BuildType, "https://another", 1)), public, "https://another"},
		{good + "{}", public, "there is something behind it"},
		{"", public, "it is no envelope"},
		{"[]", public, "it is no envelope"},
	} {
		if _, _, err := Open([]byte(c.text), c.keys); err == nil || !strings.HasPrefix(err.Error(), "cannot verify the statement: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %q", c.text, err, c.want)
		}
	}
	hinted := strings.Replace(good, `{"sig"`, `{"keyid":"whoever","sig"`, 1)
	if _, _, err := Open([]byte(hinted), public); err != nil || hinted == good {
		t.Errorf("a hint that is not ours: %v", err)
	}
}

// What is no key of the right kind is refused.
func TestKeysRefused(t *testing.T) {
	weak := must(rsa.GenerateKey(rand.Reader, 2048))
	curve := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	ed := must(PrivateKey(pairs(t)["Ed25519 in PEM"].private))
	for _, c := range []struct{ text, want string }{
		{string(inPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(weak)))), whichKeys},
		{string(inPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(curve)))), whichKeys},
		{string(pem.EncodeToMemory(must(ssh.MarshalPrivateKeyWithPassphrase(ed, "", []byte("x"))))), "it has a passphrase"},
		{"nothing", "it is no private key in PEM"},
	} {
		if k, err := PrivateKey([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v, want %q", k, err, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{string(inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(weak.Public())))), whichKeys},
		{string(inPEM("PUBLIC KEY", []byte("x"))), "it is no public key"},
		{string(inPEM("CERTIFICATE", []byte("x"))), "it holds a CERTIFICATE"},
		{string(ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(weak.Public())))), whichKeys},
		{"", "there is no key in it"},
		{"nothing", "it is no public key"},
	} {
		if k, err := PublicKeys([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v, want %q", k, err, c.want)
		}
	}
	two := append(pairs(t)["Ed25519 of OpenSSH"].public, pairs(t)["ECDSA of OpenSSH"].public...)
	if ks, err := PublicKeys(two); err != nil || len(ks) != 2 {
		t.Errorf("%v, %v", ks, err)
	}
}

func FuzzOpen(f *testing.F) {
	public := must(PublicKeys([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVmPnPqMGOwIYBiCAnZR2PkBxpUUPNXQuS0Y9sqHnzy test")))
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, _, err := Open(text, public); err == nil {
			t.Errorf("accepted %+v", s)
		}
	})
}
