package provision

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/comm/sshproxy"
)

// proxyOptions say what the server is like by which a program of this computer gets to the machine, over
// the connection that is there.
type proxyOptions struct {
	KeyType string     // of new keys; "": ECDSA
	HostKey steps.File // the server's private key; none: a new one
	Client  steps.File // the public key that may enter; none: a new one
	SFTP    string     // see sshproxy.Options
	Address string
	Port    uint16
}

// proxy is such a server.
type proxy struct {
	*sshproxy.Server
	hostKey ssh.PublicKey
	keyFile string      // the client's private key; "": it is the user's
	lost    func() bool // has the connection been lost since this was asked last
}

// listen starts the server, whose files lie in a directory.
func (p proxyOptions) listen(e *comm.Env, v values, dir string) (*proxy, error) {
	o := sshproxy.Options{SFTP: p.SFTP, Address: p.Address, Port: int(p.Port),
		Open: func(ctx context.Context) (sshproxy.Channel, error) { return e.Channel(ctx, v.t, v.m) }}
	var err error
	if file := p.HostKey.Path; file != "" {
		var text []byte
		if text, err = localfile.Read(file, 1<<20); err == nil {
			o.HostKey, err = ssh.ParsePrivateKey(text)
		}
		if err != nil {
			return nil, fmt.Errorf("ssh_host_key_file cannot be read: %w", err)
		}
	} else if o.HostKey, _, err = newProxyKey(p.KeyType); err != nil {
		return nil, err
	}
	s := &proxy{hostKey: o.HostKey.PublicKey()}
	if file := p.Client.Path; file != "" {
		var text []byte
		if text, err = localfile.Read(file, 1<<20); err == nil {
			o.Client, _, _, _, err = ssh.ParseAuthorizedKey(text)
		}
		if err != nil {
			return nil, fmt.Errorf("ssh_authorized_key_file cannot be read: %w", err)
		}
	} else {
		client, text, err := newProxyKey(p.KeyType)
		if err != nil {
			return nil, err
		}
		s.keyFile = filepath.Join(dir, "key")
		if err := os.WriteFile(s.keyFile, text, 0o600); err != nil {
			return nil, err
		}
		o.Client = client.PublicKey()
	}
	if s.Server, err = sshproxy.Listen(o); err != nil {
		return nil, fmt.Errorf("the proxy cannot listen: %w", err)
	}
	seen := 0
	s.lost = func() bool {
		before := seen
		seen = s.Lost()
		return seen > before
	}
	return s, nil
}

// newProxyKey makes a key that is good for one run, in the older form of a file: the SSH of Ruby reads
// the newer one only with libraries that it may lack.
func newProxyKey(typ string) (ssh.Signer, []byte, error) {
	if strings.EqualFold(typ, "RSA") {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, nil, err
		}
		signer, err := ssh.NewSignerFromKey(key)
		return signer, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return signer, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

// userHere is the user of this computer, as far as the environment tells.
func userHere(e *comm.Env) string { return cmp.Or(environment(e, "USER"), environment(e, "LOGNAME")) }

func environment(e *comm.Env, name string) string {
	for _, kv := range e.Environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
