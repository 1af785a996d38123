package aws

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

// windows is a build of a Windows image with the machine's own password.
func windows() *EBS {
	b := template()
	b.SourceOptions = SourceOptions{Filter: SourceFilter{MostRecent: true, Owners: []string{"amazon"}, Filters: map[string]string{"name": "*Windows_Server-2012-R2*English-64Bit-Base*"}}}
	b.Communicator, b.WinRM.Username, b.PasswordTimeout = "winrm", "Administrator", 30*time.Second
	return b
}

// seal is what the machine does: PKCS #1 v1.5, in base64.
func seal(t *testing.T, key *rsa.PublicKey, password string) string {
	t.Helper()
	p, err := rsa.EncryptPKCS1v15(rand.Reader, key, []byte(password)) //lint:ignore SA1019 it is what Windows instances use
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(p)
}

// imported is the key of a call of ImportKeyPair.
func imported(t *testing.T, form url.Values) *rsa.PublicKey {
	line, err := base64.StdEncoding.DecodeString(form.Get("PublicKeyMaterial"))
	if err != nil {
		t.Error(err)
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		t.Error(err)
		return nil
	}
	key, _ := pub.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey)
	return key
}

func tell(w io.Writer, id, sealed string) {
	fmt.Fprintf(w, `<GetPasswordDataResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><instanceId>%s</instanceId><timestamp>2026-01-02T03:04:05Z</timestamp><passwordData>`+"\r\n%s\r\n"+`</passwordData></GetPasswordDataResponse>`, id, sealed)
}

// TestPasswordOfABuild has the machine make its password late, sealed for the key
// that the build has imported.
func TestPasswordOfABuild(t *testing.T) {
	const password = `p;W$&"'%^!äöü`
	w := newWorld(t, ec2local.Faults{})
	var mu sync.Mutex
	var key *rsa.PublicKey
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		mu.Lock()
		defer mu.Unlock()
		switch action {
		case "ImportKeyPair":
			key = imported(t, form)
			return false
		case "GetPasswordData":
			switch {
			case key == nil || key.Size() != 256:
				t.Error("the key is not one of rsa with 2048 bits")
			case n == 1:
				tell(rw, form.Get("InstanceId"), "")
			case n == 2:
				refuse(rw, 503, "RequestLimitExceeded", "slow down")
			default:
				tell(rw, form.Get("InstanceId"), seal(t, key, password))
			}
			return true
		}
		return false
	})
	store := &dag.MemStore{}
	w.build(store, w.graph(windows()))
	w.only(1)
	if got := w.password(); got != password {
		t.Errorf("the vault holds %q", got)
	}
	recs, err := store.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		if strings.Contains(string(r.Out)+string(r.Spec), "p;W") {
			t.Errorf("the record of %s holds the password", r.Kind)
		}
	}
}

// password is what the vault holds under the name of a password.
func (w *world) password() string {
	for name, value := range w.vault.m {
		if strings.HasPrefix(name, "password-") {
			return string(value)
		}
	}
	return ""
}

// get runs the step for an instance that the test plays.
func (w *world) get(s Password, made time.Time) (comm.Login, error) {
	s.Instance = dag.Lit(Instance{Place: here, ID: "i-0123456789abcdef0", Made: made})
	return s.Do(w.t.Context(), w.cloud, dag.NewTask("r1", "password", "token-1", nil, nil))
}

func pemFile(t *testing.T, name string, block *pem.Block) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPasswordForTheUsersKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block := func(b *pem.Block, err error) *pem.Block {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	eight, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	locked := &pem.Block{Type: pkcs1.Type, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: pkcs1.Bytes}
	for _, c := range []struct {
		name, wantErr string
		block         *pem.Block
	}{
		{"PKCS1", "", pkcs1},
		{"PKCS8", "", &pem.Block{Type: "PRIVATE KEY", Bytes: eight}},
		{"OpenSSH", "", block(ssh.MarshalPrivateKey(key, ""))},
		{"locked PKCS1", "has a passphrase", locked},
		{"locked PKCS8", "has a passphrase", &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: eight}},
		{"locked OpenSSH", "has a passphrase", block(ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("x")))},
		{"ed25519", "not of the type rsa", block(ssh.MarshalPrivateKey(other, ""))},
		{"broken", "cannot use the private key", &pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, ec2local.Faults{})
			w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
				tell(rw, form.Get("InstanceId"), seal(t, &key.PublicKey, "secret-1"))
				return true
			})
			file := pemFile(t, "key", c.block)
			_, err := w.get(Password{KeyFile: file}, now())
			b := windows()
			b.KeyPairName, b.SSH.PrivateKeyFile = "mine", file
			fs := b.Check()
			if c.wantErr == "" {
				if err != nil || w.password() != "secret-1" || len(fs) > 0 {
					t.Errorf("%q, %v, %v", w.password(), err, fs)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("got %v, want %q", err, c.wantErr)
			}
			if len(fs) != 1 || fs[0].Field != "ssh_private_key_file" || fs[0].Text != err.Error() {
				t.Errorf("before the run: %v", fs)
			}
		})
	}
	w := newWorld(t, ec2local.Faults{})
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		unexpectedReply, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Error(err)
			return false
		}
		tell(rw, form.Get("InstanceId"), seal(t, &unexpectedReply.PublicKey, "secret-1"))
		return true
	})
	if _, err := w.get(Password{KeyFile: pemFile(t, "key", pkcs1)}, now()); err == nil || !strings.Contains(err.Error(), "sealed for another key") {
		t.Errorf("for another key: %v", err)
	}
}

// TestPasswordThatNeverComes: an image that was not prepared makes none.
func TestPasswordThatNeverComes(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := pemFile(t, "key", &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	w := newWorld(t, ec2local.Faults{})
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		switch action {
		case "GetConsoleOutput":
			console := base64.StdEncoding.EncodeToString([]byte("1\r\n2\r\n3\r\n4\r\n5\r\n<Password>sealed</Password>\r\nWindows is Ready to use\r\n"))
			io.WriteString(rw, `<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><output>`+console+`</output></GetConsoleOutputResponse>`)
		default:
			tell(rw, form.Get("InstanceId"), "")
		}
		return true
	})
	start := time.Now()
	_, err = w.get(Password{KeyFile: file, Timeout: time.Second}, now())
	for _, want := range []string{"cannot get the password of i-0123456789abcdef0", "not made one in 1s", "Sysprep", "winrm_password", "windows_password_timeout", "\n  2\n", "Windows is Ready"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "sealed") {
		t.Errorf("the console's password is in the error: %v", err)
	}
	if d := time.Since(start); d < time.Second || w.front.count("GetPasswordData") < 3 {
		t.Errorf("ended after %s and %d looks", d, w.front.count("GetPasswordData"))
	}

	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		refuse(rw, 400, "InvalidInstanceID.NotFound", "no such instance")
		return true
	})
	if _, err := w.get(Password{KeyFile: file}, now().Add(-time.Hour)); err == nil || !strings.Contains(err.Error(), "InvalidInstanceID.NotFound") {
		t.Errorf("of an instance that has gone: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := Password{KeyFile: file, Instance: dag.Lit(Instance{Place: here, ID: "i-1", Made: now()})}
	if _, err := s.Do(ctx, w.cloud, dag.NewTask("r1", "password", "token-2", nil, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestPasswordIsAskedOnce(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.vault.Put("password-token-1", []byte("known"))
	login, err := w.get(Password{KeyFile: "nowhere"}, now())
	if err != nil || login.Password != "password-token-1" || w.front.total() > 0 {
		t.Errorf("%+v, %v, %d calls", login, err, w.front.total())
	}
}

// TestGraphOfWindows: what is made for the password is made only for it.
func TestGraphOfWindows(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := pemFile(t, "key", &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for _, c := range []struct {
		name, steps string
		change      func(*EBS)
	}{
		{"its own password", "connect key keypair password", func(*EBS) {}},
		{"its own password, for the user's key", "connect password", func(b *EBS) { b.KeyPairName, b.SSH.PrivateKeyFile = "mine", file }},
		{"a known password", "connect", func(b *EBS) { b.WinRM.Password, b.PasswordTimeout = "x", 0 }},
		{"a known password and a key pair", "connect", func(b *EBS) { b.WinRM.Password, b.KeyPairName, b.PasswordTimeout = "x", "mine", 0 }},
	} {
		b := windows()
		b.place = here
		c.change(b)
		if fs := b.Check(); len(fs) > 0 {
			t.Errorf("%s: %v", c.name, fs)
		}
		g := dag.NewGraph(nil)
		b.Wire(g, dag.Build{Name: "b"}, unprovisioned)
		var names []string
		for _, n := range g.Nodes {
			if slices.Contains([]string{"key", "keypair", "password", "connect", "host-key"}, n.Name) {
				names = append(names, n.Name)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.steps {
			t.Errorf("%s: %s, want %s", c.name, got, c.steps)
		}
	}
}

func TestCheckOfWindows(t *testing.T) {
	for _, c := range []struct {
		field, words string
		spoil        func(*EBS)
	}{
		{"winrm_username", "must be set", func(b *EBS) { b.WinRM.Username = "" }},
		{"temporary_key_pair_type", "winrm_password", func(b *EBS) { b.TemporaryKeyType = "ed25519" }},
		{"ssh_keypair_name", "ssh_private_key_file", func(b *EBS) { b.KeyPairName = "mine" }},
		{"ssh_private_key_file", "ssh_keypair_name", func(b *EBS) { b.SSH.PrivateKeyFile = "x" }},
		{"ssh_interface", "iam_instance_profile", func(b *EBS) { b.Interface = "session_manager" }},
		{"max_lifetime", "cannot be told to end itself", func(b *EBS) { b.MaxLifetime = time.Hour }},
		{"windows_password_timeout", "negative", func(b *EBS) { b.PasswordTimeout = -1 }},
	} {
		b := windows()
		c.spoil(b)
		if fs := b.Check(); len(fs) != 1 || fs[0].Field != c.field || !strings.Contains(fs[0].Text, c.words) {
			t.Errorf("%s: %v", c.field, fs)
		}
	}
}
