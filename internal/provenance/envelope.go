package provenance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
)

// payloadType says that a statement of in-toto is inside.
const payloadType = "application/vnd.in-toto+json"

// MaxSize is how many bytes an envelope may have that is to be checked.
const MaxSize = 64 << 20

// Envelope is a statement with its signatures, as DSSE has them.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"` // base64 in JSON
	Signatures  []Signature `json:"signatures"`
}

// Signature is one of an envelope. DSSE allows for a hint whose it is. There is none: others
// pass over a signature whose hint is not as they themselves name the key.
type Signature struct {
	Sig []byte `json:"sig"`
}

// Seal puts a statement into an envelope and signs it; without a key it has no signature.
func Seal(s Statement, key crypto.Signer) (Envelope, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return Envelope{}, fmt.Errorf("cannot write the statement: %w", err)
	}
	e := Envelope{PayloadType: payloadType, Payload: text, Signatures: []Signature{}}
	if key == nil {
		return e, nil
	}
	signed, hash := preAuth(payloadType, text), crypto.Hash(0)
	if _, ok := key.Public().(*ecdsa.PublicKey); ok {
		sum := sha256.Sum256(signed)
		signed, hash = sum[:], crypto.SHA256
	}
	sig, err := key.Sign(rand.Reader, signed, hash)
	if err != nil {
		return Envelope{}, fmt.Errorf("cannot sign the statement: %w", err)
	}
	e.Signatures = append(e.Signatures, Signature{sig})
	return e, nil
}

// preAuth is what is signed: the payload and its type, so that neither can be taken for another.
func preAuth(kind string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
}

// errUnsigned is the error of an envelope that nobody has signed.
var errUnsigned = unsignedError{}

type unsignedError struct{}

func (unsignedError) Error() string {
	return "nobody has signed it; `" + self.Command("show --provenance --sign-key FILE") + "` signs"
}

// Open checks an envelope, and returns its statement and the fingerprint of the key, of those that are
// given, that has signed it. Whatever is not exactly as it was signed is refused.
func Open(text []byte, keys []crypto.PublicKey) (s Statement, by string, err error) {
	defer func() {
		if err != nil {
			s, by, err = Statement{}, "", errcode.With(errcode.StatementInvalid, fmt.Errorf("cannot verify the statement: %w", err))
		}
	}()
	var e Envelope
	if err := strictly(text, &e); err != nil {
		return s, "", fmt.Errorf("it is no envelope as DSSE has them: %w", err)
	}
	if e.PayloadType != payloadType {
		return s, "", fmt.Errorf("it holds %q, not %s", clip(e.PayloadType), payloadType)
	}
	if len(e.Signatures) == 0 {
		return s, "", errUnsigned
	}
	for _, k := range keys {
		for _, sig := range e.Signatures {
			if verified(k, preAuth(e.PayloadType, e.Payload), sig.Sig) {
				by = Fingerprint(k)
			}
		}
	}
	if by == "" {
		return s, "", errors.New("no signature is that of a key which was given: the statement is not what was signed, or somebody else has signed it")
	}
	if err := json.Unmarshal(e.Payload, &s); err != nil {
		return s, "", fmt.Errorf("what was signed is no statement: %w", err)
	}
	if s.Type != StatementType || s.PredicateType != PredicateType || s.Predicate.BuildDefinition.BuildType != BuildType {
		return s, "", fmt.Errorf("what was signed is a %q with a %q of a %q, not the provenance of a build of imgflow", clip(s.Type), clip(s.PredicateType), clip(s.Predicate.BuildDefinition.BuildType))
	}
	return s, by, nil
}

func verified(k crypto.PublicKey, text, sig []byte) bool {
	switch k := k.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, text, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(text)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	}
	return false
}

// strictly decodes one value that has nothing behind it.
func strictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is something behind it")
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), 100)] }

// Fingerprint is that of a public key, as OpenSSH shows it.
func Fingerprint(k crypto.PublicKey) string {
	p, err := ssh.NewPublicKey(k)
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(p)
}

const whichKeys = "it has to be an Ed25519 key, or an ECDSA key on P-256"

// PrivateKey reads the key of a file.
func PrivateKey(text []byte) (crypto.Signer, error) {
	k, err := ssh.ParseRawPrivateKey(text)
	if errors.As(err, new(*ssh.PassphraseMissingError)) {
		return nil, errors.New("it has a passphrase: take one without, for signing only")
	}
	if err != nil {
		return nil, fmt.Errorf("it is no private key in PEM: %w", err)
	}
	switch k := k.(type) {
	case ed25519.PrivateKey:
		return k, nil
	case *ed25519.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() {
			return k, nil
		}
	}
	return nil, errors.New(whichKeys)
}

// PublicKeys reads the keys of a file: several of OpenSSH's lines, or one in PEM.
func PublicKeys(text []byte) (ks []crypto.PublicKey, err error) {
	if b, _ := pem.Decode(text); b != nil {
		if b.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("it holds a %s, not a public key", clip(b.Type))
		}
		k, err := x509.ParsePKIXPublicKey(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("it is no public key: %w", err)
		}
		return usable(ks, k)
	}
	for len(bytes.TrimSpace(text)) > 0 {
		var p ssh.PublicKey
		if p, _, _, text, err = ssh.ParseAuthorizedKey(text); err != nil {
			return nil, errors.New("it is no public key, neither in PEM nor as OpenSSH has them")
		}
		k, ok := p.(ssh.CryptoPublicKey)
		if !ok {
			return nil, errors.New(whichKeys)
		}
		if ks, err = usable(ks, k.CryptoPublicKey()); err != nil {
			return nil, err
		}
	}
	if len(ks) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return ks, nil
}

func usable(ks []crypto.PublicKey, k crypto.PublicKey) ([]crypto.PublicKey, error) {
	switch k := k.(type) {
	case ed25519.PublicKey:
		return append(ks, k), nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return append(ks, k), nil
		}
	}
	return nil, errors.New(whichKeys)
}
