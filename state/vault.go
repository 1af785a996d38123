package state

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode"

	"filippo.io/age"

	"github.com/imgflow/imgflow/internal/localfile"
)

// identityEnv is what programs call the file that opens secrets in place of the
// home's own: see Home.WithIdentity.
const identityEnv = "IMGFLOW_IDENTITY"

const identityFile = "identity"

// recipientsEnv is what programs call those whom secrets are sealed to: see
// Home.WithRecipients.
const recipientsEnv = "IMGFLOW_RECIPIENTS"

// WithRecipients is the home that seals secrets to these age recipients in place of its
// own identity, such as $IMGFLOW_RECIPIENTS has them: separated by commas, or a file with
// one a line. Whoever has none of their identities opens only what this process has sealed.
func (h *Home) WithRecipients(list string) (*Home, error) {
	text := strings.Join(strings.FieldsFunc(list, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }), "\n")
	if !strings.HasPrefix(strings.TrimSpace(list), "age1") {
		p, err := readFile(list)
		if err != nil {
			return nil, fmt.Errorf("cannot read whom secrets are sealed to: %w (%s has recipients, such as age1..., or a file of them)", err, recipientsEnv)
		}
		text = string(p)
	}
	to, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("cannot tell whom secrets are sealed to: %w: %s has age recipients (age1...), separated by commas, or a file with one a line", err, recipientsEnv)
	}
	other := *h
	other.recipients = to
	return &other, nil
}

// Vault keeps the secrets of a run sealed. What is put in or taken out is from
// then on kept out of the run's events.
type Vault struct {
	home *Home
	run  *Run

	mu   sync.Mutex
	id   *age.X25519Identity
	mine map[string]secret // that this process has put: it may not be one that can open them
}

// secret is a value, and as what it was sealed.
type secret struct{ sealed, value []byte }

// Get returns a secret; the error is fs.ErrNotExist if it was never put.
func (v *Vault) Get(name string) ([]byte, error) {
	value, err := v.open(name)
	if err == nil {
		v.run.red.Add(string(value))
	}
	return value, err
}

// Put seals a secret, in the place of an earlier one of this name. When it returns it
// is on disk.
func (v *Vault) Put(name string, value []byte) error {
	v.run.red.Add(string(value))
	return v.seal(v.run.journal.Write, name, value)
}

// Later seals a secret, with the next that is written: it is for what is worth nothing
// without that.
func (v *Vault) Later(name string, value []byte) error {
	v.run.red.Add(string(value))
	return v.seal(v.run.journal.Later, name, value)
}

func (v *Vault) open(name string) ([]byte, error) {
	sealed, err := v.run.journal.Get(Secrets, name)
	if err != nil {
		return nil, err
	}
	if sealed == nil {
		return nil, fmt.Errorf("cannot find the secret %s of run %s: %w", name, v.run.id, fs.ErrNotExist)
	}
	v.mu.Lock()
	mine, ok := v.mine[name]
	v.mu.Unlock()
	if ok && bytes.Equal(mine.sealed, sealed) {
		return bytes.Clone(mine.value), nil
	}
	id, err := v.identity()
	if err != nil {
		return nil, err
	}
	value, err := unseal(sealed, id)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, fmt.Errorf("cannot open the secret %s of run %s: it was sealed for another identity than %s: set %s to the file that the run was started with", name, v.run.id, v.home.identityPath(), identityEnv)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the secret %s of run %s: %w", name, v.run.id, err)
	}
	return value, nil
}

func (v *Vault) seal(write func(...Put) error, name string, value []byte) error {
	if name == "" {
		return errors.New("cannot keep a secret without a name")
	}
	to := v.home.recipients
	if len(to) == 0 {
		id, err := v.identity()
		if err != nil {
			return err
		}
		to = []age.Recipient{id.Recipient()}
	}
	sealed, err := seal(value, to...)
	if err != nil {
		return fmt.Errorf("cannot seal the secret %s: %w", name, err)
	}
	v.mu.Lock()
	if v.mine == nil {
		v.mine = map[string]secret{}
	}
	v.mine[name] = secret{sealed, bytes.Clone(value)}
	v.mu.Unlock()
	return v.run.failed(write(Put{Secrets, name, sealed}))
}

func seal(value []byte, to ...age.Recipient) ([]byte, error) {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to...)
	if err == nil {
		_, err = w.Write(value)
	}
	if err == nil {
		err = w.Close()
	}
	return sealed.Bytes(), err
}

func unseal(sealed []byte, id *age.X25519Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Seal encrypts a text for the recipients of the home, or for whoever has its identity, and
// for no other.
func (h *Home) Seal(value []byte) ([]byte, error) {
	to, err := h.sealsTo()
	if err != nil {
		return nil, err
	}
	return seal(value, to...)
}

// sealsTo are those whom secrets are sealed to.
func (h *Home) sealsTo() ([]age.Recipient, error) {
	if len(h.recipients) > 0 {
		return h.recipients, nil
	}
	id, err := h.openIdentity()
	if err != nil {
		return nil, err
	}
	return []age.Recipient{id.Recipient()}, nil
}

// Unseal is the text that Seal has encrypted. The error says so if that was for
// another identity.
func (h *Home) Unseal(sealed []byte) ([]byte, error) {
	id, err := h.openIdentity()
	if err != nil {
		return nil, err
	}
	value, err := unseal(sealed, id)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, fmt.Errorf("it was sealed for another identity than %s: set %s to the file that it was made with", h.identityPath(), identityEnv)
	}
	return value, err
}

// salt returns the random bytes under this name, which are made at first use. What is
// keyed with them is written after them.
func (v *Vault) salt(name string) ([]byte, error) {
	salt, err := v.open(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return salt, err
	}
	salt = make([]byte, 32)
	rand.Read(salt)
	return salt, v.seal(v.run.journal.Later, name, salt)
}

func (v *Vault) identity() (*age.X25519Identity, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.id == nil {
		id, err := v.home.openIdentity()
		if err != nil {
			return nil, err
		}
		v.id = id
	}
	return v.id, nil
}

func (h *Home) identityPath() string {
	return cmp.Or(h.identity, filepath.Join(h.dir, identityFile))
}

// readIdentity reads an identity file. One that the user names may be a pipe, as
// shells make them for secrets.
func (h *Home) readIdentity(path string) ([]byte, error) {
	if h.identity == "" {
		return readFile(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return localfile.ReadAll(f, path, maxRecord)
}

// openIdentity reads what opens the secrets, and makes the home's own at first use.
func (h *Home) openIdentity() (*age.X25519Identity, error) {
	path := h.identityPath()
	p, err := h.readIdentity(path)
	if errors.Is(err, fs.ErrNotExist) && h.identity == "" {
		if err := h.makeIdentity(path); err != nil {
			return nil, fmt.Errorf("cannot make an identity to seal secrets: %w", err)
		}
		p, err = readFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the identity that opens secrets: %w (%s may name another age identity file)", err, identityEnv)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(p))
	if err != nil {
		// The parser's error may quote the line, which is the secret itself.
		return nil, fmt.Errorf("cannot read the identity in %s: it is not an age identity file, such as age-keygen makes", path)
	}
	for _, id := range ids {
		if id, ok := id.(*age.X25519Identity); ok {
			return id, nil
		}
	}
	return nil, fmt.Errorf("cannot use the identity in %s: it holds no X25519 identity (AGE-SECRET-KEY-1...)", path)
}

// makeIdentity leaves an identity at path, its own or that of a process that
// was faster.
func (h *Home) makeIdentity(path string) (err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(h.dir, ".identity-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "# opens the secrets of imgflow's runs\n# public key: %s\n%s\n", id.Recipient(), id)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, never takes the place of what is there.
	if err = os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(h.dir)
}
