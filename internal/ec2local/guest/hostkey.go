package guest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostKey returns the key of a guest's SSH server. It lies beside the guest's
// file system, not in it, so no image carries it. The first call stores what
// user data injected, or a new ED25519 key.
func hostKey(path string, injected []byte, comment string) (ssh.Signer, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if b = injected; len(b) == 0 {
			if b, err = newHostKey(comment); err != nil {
				return nil, err
			}
		}
		err = writeFileAtomic(path, b)
	}
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(b)
}

func newHostKey(comment string) ([]byte, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// keyLines is how a console shows a host key, between the lines that tools look
// for.
func keyLines(k ssh.PublicKey, comment string) string {
	var w bytes.Buffer
	kind := strings.ToUpper(strings.TrimPrefix(k.Type(), "ssh-"))
	bits := 256
	if p, ok := k.(ssh.CryptoPublicKey); ok {
		if n, ok := p.CryptoPublicKey().(interface{ Size() int }); ok { // RSA tells bytes
			bits = n.Size() * 8
		}
	}
	fmt.Fprintf(&w, "-----BEGIN SSH HOST KEY FINGERPRINTS-----\n%d %s %s (%s)\n-----END SSH HOST KEY FINGERPRINTS-----\n",
		bits, ssh.FingerprintSHA256(k), comment, kind)
	fmt.Fprintf(&w, "-----BEGIN SSH HOST KEY KEYS-----\n%s %s\n-----END SSH HOST KEY KEYS-----\n",
		strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))), comment)
	return w.String()
}
