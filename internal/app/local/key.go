package local

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Key is what calls to a server are signed with.
type Key struct{ ID, Secret string }

const keyFile = "credentials"

// KeyPath is where the key of the directory is. AWS tools read the file as
// AWS_SHARED_CREDENTIALS_FILE.
func KeyPath(dir string) string { return filepath.Join(dir, keyFile) }

// EnsureKey returns the key of the directory, made if there is none: only the
// owner of the directory may call it. The file is for its user alone.
func EnsureKey(dir string) (Key, error) {
	k, err := ReadKey(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	var random [30]byte
	rand.Read(random[:])
	k = Key{"EC2LOCAL" + strings.ToUpper(hex.EncodeToString(random[:6])), hex.EncodeToString(random[6:])}
	text := "# Whoever has this may run programs on this machine as its owner.\n[default]\n" +
		"aws_access_key_id = " + k.ID + "\naws_secret_access_key = " + k.Secret + "\n"
	tmp, err := os.CreateTemp(dir, "."+keyFile+"-*") // mode 0600
	if err == nil {
		defer os.Remove(tmp.Name())
		_, err = io.WriteString(tmp, text)
		err = errors.Join(err, tmp.Close())
	}
	if err == nil {
		err = os.Rename(tmp.Name(), KeyPath(dir))
	}
	if err != nil {
		return Key{}, fmt.Errorf("cannot keep the key of the embedded EC2: %w", err)
	}
	return k, nil
}

// ReadKey reads the key of the directory; fs.ErrNotExist if there is none. A
// file that others can read or have made is an error.
func ReadKey(dir string) (Key, error) {
	path := KeyPath(dir)
	f, err := openRegular(path)
	if err != nil {
		return Key{}, fmt.Errorf("cannot read the key of the embedded EC2: %w", err)
	}
	defer f.Close()
	if err := private(f); err != nil {
		return Key{}, fmt.Errorf("cannot use the key in %s: %w; remove the file, and the next server makes another", path, err)
	}
	p, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return Key{}, fmt.Errorf("cannot read the key of the embedded EC2: %w", err)
	}
	var k Key
	for line := range bytes.Lines(p) {
		name, value, _ := strings.Cut(string(line), "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			k.ID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			k.Secret = strings.TrimSpace(value)
		}
	}
	if k.ID == "" || k.Secret == "" {
		return Key{}, fmt.Errorf("cannot use the key in %s: there is none; remove the file, and the next server makes one", path)
	}
	return k, nil
}

// openRegular opens a file that is one: nothing else is waited for.
func openRegular(path string) (*os.File, error) {
	if fi, err := os.Lstat(path); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	return os.Open(path)
}

// proofHeader is where a server shows that it has the key, too; see proof.
const proofHeader = "Ec2local-Proof"

// proof is what only a server with the secret can answer to a signed request.
// Without it whoever listens where a server was before would get the calls.
func (k Key) proof(req *http.Request) string {
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	h := hmac.New(sha256.New, []byte(k.Secret))
	io.WriteString(h, "lease "+signature)
	return hex.EncodeToString(h.Sum(nil))
}
