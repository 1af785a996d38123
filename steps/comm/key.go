package comm

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
)

// Key is a generated key pair whose private half lies in the vault.
type Key struct {
	Public string `json:"public"` // one authorized_keys line
	Secret string `json:"secret"` // name of the private half in Vault: PEM in OpenSSH's form
	Type   string `json:"type"`   // ed25519 or rsa
}

// GenerateKey makes a key pair to log in with.
type GenerateKey struct {
	Type  string `json:"type,omitempty"`  // ed25519 (default) or rsa
	Bits  int    `json:"bits,omitempty"`  // of rsa: default 3072, at least 2048
	Scope string `json:"scope,omitempty"` // keys of different scopes differ
}

func (GenerateKey) Kind() string  { return "comm.key" }
func (GenerateKey) Title() string { return "generate a key pair" }

// Do makes the key pair, or gives back the one that an earlier call has made.
func (s GenerateKey) Do(ctx context.Context, e *Env, t *dag.Task) (Key, error) {
	return e.generate("key-"+t.Token, s.Type, s.Bits, t.Token)
}

// generate puts the private half into the vault before it returns, so that a
// public key that anybody has seen always has its private one.
func (e *Env) generate(name, typ string, bits int, comment string) (Key, error) {
	if e.vault == nil {
		return Key{}, errors.New("cannot generate a key: this run keeps no secrets")
	}
	if typ == "" {
		typ = "ed25519"
	}
	_, err := e.vault.Get(name)
	if errors.Is(err, fs.ErrNotExist) {
		var b []byte
		if b, err = newPrivateKey(typ, bits, comment); err == nil {
			err = e.vault.Put(name, b)
		}
	}
	if err != nil {
		return Key{}, fmt.Errorf("cannot generate a key: %w", err)
	}
	s, err := e.vaultSigner(name)
	if err != nil {
		return Key{}, err
	}
	return Key{Public: authorizedLine(s.PublicKey(), comment), Secret: name, Type: typ}, nil
}

func newPrivateKey(typ string, bits int, comment string) ([]byte, error) {
	var priv crypto.PrivateKey
	var err error
	switch typ {
	case "ed25519":
		_, priv, err = ed25519.GenerateKey(rand.Reader)
	case "rsa":
		if bits == 0 {
			bits = 3072
		}
		if bits < 2048 {
			return nil, fmt.Errorf("%d bits are too few for rsa: use at least 2048", bits)
		}
		priv, err = rsa.GenerateKey(rand.Reader, bits)
	default:
		return nil, fmt.Errorf("the type %q is not known: use ed25519 or rsa", typ)
	}
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}
