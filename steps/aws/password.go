package aws

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps/comm"
)

// The password of Windows.
//
// A Windows machine makes a password at its first boot and seals it for the key
// pair that it was launched with, which is one of type rsa, made for the build.
// [Password] asks for it until windows_password_timeout, 20 minutes by default,
// and puts it into the run's vault; no output, message or key of a step holds it.
// With winrm_password nothing is asked, and no key pair is made. Only an image
// that was prepared by Sysprep makes a new password: an image of a Windows build
// has the accounts and passwords of the machine that it was made from.

// Password waits until a Windows instance has made a password for its
// administrator, and decrypts it with the key that the instance was launched
// with. EC2 takes one instance a call; the calls are free of charge and share
// the pace of all others, and a build makes one every ten seconds.
type Password struct {
	Instance dag.Out[Instance] `json:"instance"`
	Key      dag.Out[comm.Key] `json:"key"`                // of this run
	KeyFile  string            `json:"key_file,omitempty"` // the user's own, in place of it
	Timeout  time.Duration     `json:"windows_password_timeout,omitempty" key:"-"`

	// What only has to come first. The key pair may go meanwhile: an instance has
	// its public half from the launch on.
	Running dag.Out[comm.Endpoint] `json:"running" key:"-"`
}

func (Password) Kind() string  { return "aws.password" }
func (Password) Title() string { return "get the password of Windows" }

// passwordTimeout is enough for any image of Amazon: they take 4 to 15 minutes.
const passwordTimeout = 20 * time.Minute

// Do returns the name under which the vault holds the password.
func (s Password) Do(ctx context.Context, c *Cloud, t *dag.Task) (comm.Login, error) {
	id := s.Instance.Value().ID
	login := comm.Login{Password: "password-" + t.Token}
	if c.o.Vault == nil {
		return login, fmt.Errorf("cannot get the password of %s: this run keeps no secrets", id)
	}
	switch _, err := c.o.Vault.Get(login.Password); {
	case err == nil:
		return login, nil // got by an earlier attempt
	case !errors.Is(err, fs.ErrNotExist):
		return login, fmt.Errorf("cannot get the password of %s: %w", id, err)
	}
	key, err := s.private(c)
	if err != nil {
		return login, err
	}
	at, err := c.at(ctx, s.Instance.Value().Place)
	if err != nil {
		return login, err
	}
	sealed, err := s.wait(ctx, at, t, id)
	if err != nil {
		return login, at.taken(ctx, id, s.Instance.Value().Spot, err)
	}
	password, err := decrypt(key, sealed)
	if err != nil {
		return login, fmt.Errorf("cannot decrypt the password of %s: %w", id, err)
	}
	if err := c.o.Vault.Put(login.Password, password); err != nil {
		return login, fmt.Errorf("cannot keep the password of %s: %w", id, err)
	}
	t.Say("%s has made its password", id)
	return login, nil
}

// wait asks for the password until there is one: soon at first, and every ten
// seconds later.
func (s Password) wait(ctx context.Context, at *site, t *dag.Task, id string) (sealed string, err error) {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = passwordTimeout
	}
	t.Say("waiting until %s has made its password", id)
	start, next := time.Now(), at.window/4
	for {
		left := timeout - time.Since(start)
		if left <= 0 {
			return "", s.never(ctx, at, id, timeout)
		}
		if err := sleep.For(ctx, min(next, left)); err != nil {
			return "", err
		}
		next = min(max(2*next, 100*time.Millisecond), 10*time.Second)
		out, err := at.api.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: &id})
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil && classify("GetPasswordData", since(s.Instance.Value().Made), err).class != transient:
			return "", wrapAPI("get the password of "+id, "GetPasswordData", old, err)
		case err != nil:
			t.Retrying(wrapAPI("get the password of "+id, "GetPasswordData", old, err), next)
		case strings.TrimSpace(text(out.PasswordData)) != "":
			return strings.TrimSpace(text(out.PasswordData)), nil
		}
	}
}

// never says what to look at when no password comes.
func (s Password) never(ctx context.Context, at *site, id string, timeout time.Duration) error {
	const advice = "an image sets one only if it was made with Sysprep by EC2Launch or EC2Config, so prepare the source image that way, " +
		"or set a password in user data and say it in winrm_password; windows_password_timeout gives a slow machine more time"
	err := fmt.Errorf("cannot get the password of %s: the machine has not made one in %s: %s", id, timeout, advice)
	if tail := at.consoleTail(ctx, id); tail != "" {
		err = fmt.Errorf("%w; its console ends with:\n%s", err, tail)
	}
	return err
}

// private is the key that the password is sealed for.
func (s Password) private(c *Cloud) (*rsa.PrivateKey, error) {
	if !s.Key.Set() {
		return rsaFile(s.KeyFile, environ(c.o.Getenv).first("HOME", "USERPROFILE"))
	}
	p, err := c.o.Vault.Get(s.Key.Value().Secret)
	if err != nil {
		return nil, fmt.Errorf("cannot use the key of this run: %w", err)
	}
	key, err := rsaKey(p)
	if err != nil {
		return nil, fmt.Errorf("cannot use the key of this run: %w", err)
	}
	return key, nil
}

// rsaFile reads the user's own key. Without a home directory it is the process's.
func rsaFile(path, home string) (*rsa.PrivateKey, error) {
	file := path
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		if dir, err := os.UserHomeDir(); home == "" && err == nil {
			home = dir
		}
		if home != "" {
			file = filepath.Join(home, rest)
		}
	}
	p, err := localfile.Read(file, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("cannot read the private key: %w", err)
	}
	key, err := rsaKey(p)
	if err != nil {
		return nil, fmt.Errorf("cannot use the private key %s: %w", path, err)
	}
	return key, nil
}

var errLocked = errors.New("it has a passphrase; the password of Windows needs it without one: write such a copy by ssh-keygen -p, or set winrm_password")

// rsaKey reads a key in any of the usual forms of PEM.
func rsaKey(p []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(p)
	if block == nil {
		return nil, errors.New("it is not in the form of PEM (-----BEGIN ...)")
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, errLocked
	}
	key, err := ssh.ParseRawPrivateKey(p)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, errLocked
	case err != nil:
		return nil, errors.New(strings.TrimPrefix(err.Error(), "ssh: "))
	}
	if key, ok := key.(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, errors.New("it is not of the type rsa, which the password of Windows is sealed with")
}

// decrypt opens what the machine has sealed.
func decrypt(key *rsa.PrivateKey, sealed string) ([]byte, error) {
	p, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("EC2 gave it in a form that is not base64")
	}
	// The padding is the machine's choice, and nobody asks us to decrypt a second text.
	password, err := rsa.DecryptPKCS1v15(nil, key, p) //lint:ignore SA1019 it is what Windows instances use
	if err != nil {
		return nil, errors.New("it was sealed for another key than this one")
	}
	return password, nil
}
