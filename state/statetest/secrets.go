package statetest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

func secrets(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	if err := errors.Join(r.Vault().Put("ssh-key", []byte("hunter2 hunter2")), r.Vault().Put("empty", nil)); err != nil {
		t.Fatal(err)
	}
	failed := Record(1)
	failed.Err = "bad key hunter2 hunter2"
	if err := r.Put(failed); err != nil {
		t.Fatal(err)
	}
	emit(t, r, said("the key is hunter2 hunter2"), dag.Event{Type: dag.Failed, Err: "bad key hunter2 hunter2"})
	if rs, err := r.All(); err != nil || rs[0].Err != "bad key "+state.Redacted {
		t.Errorf("%q, %v", rs[0].Err, err)
	}
	r.Close()
	r = open(t, p.home(t), r.ID())
	if got, err := r.Vault().Get("ssh-key"); err != nil || string(got) != "hunter2 hunter2" {
		t.Errorf("the key came back as %q, %v", got, err)
	}
	if got, err := r.Vault().Get("empty"); err != nil || len(got) != 0 {
		t.Errorf("an empty secret: %q, %v", got, err)
	}
	if _, err := r.Vault().Get("nosuch"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a secret that was never put: %v", err)
	}
	emit(t, r, said("again hunter2 hunter2"))
	if all := texts(t, h, r.ID()); all != "the key is "+state.Redacted+"||again "+state.Redacted {
		t.Errorf("shown: %s", all)
	}
	r.Close()
	// Whoever has another identity opens nothing, and is told what is missing.
	other, err := p.b.Open(p.at, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, other.WithIdentity(identity(t)), r.ID()).Vault().Get("ssh-key"); err == nil || !strings.Contains(err.Error(), "IMGFLOW_IDENTITY") {
		t.Errorf("with another identity: %v", err)
	}
}

// identity makes an identity file.
func identity(t testing.TB) string {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(path, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// recipients: who seals to others reads what it has sealed itself, as long as it lives, and
// the others read it always.
func recipients(t *testing.T, p *place) {
	file := identity(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "recipients")
	if err := os.WriteFile(list, []byte("# the fleet\n"+id.Recipient().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	another, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{id.Recipient().String(), another.Recipient().String() + ", " + id.Recipient().String(), list} {
		h, err := p.home(t).WithRecipients(to)
		if err != nil {
			t.Fatal(err)
		}
		r := create(t, h)
		salt, err := r.Salt()
		if err != nil || len(salt) == 0 {
			t.Fatalf("who seals has no salt: %v", err)
		}
		if err := r.Vault().Put("key", []byte("hunter22")); err != nil {
			t.Fatal(err)
		}
		if v, err := r.Vault().Get("key"); err != nil || string(v) != "hunter22" {
			t.Errorf("who has sealed it reads %q, %v", v, err)
		}
		r.Close()
		r = open(t, h, r.ID())
		if _, err := r.Vault().Get("key"); err == nil {
			t.Error("who has no identity of theirs opens it")
		}
		r.Close()
		worker := open(t, p.home(t).WithIdentity(file), r.ID())
		if v, err := worker.Vault().Get("key"); err != nil || string(v) != "hunter22" {
			t.Errorf("the recipient reads %q, %v", v, err)
		}
		if same, err := worker.Salt(); err != nil || !bytes.Equal(same, salt) {
			t.Errorf("the recipient has another salt, %v", err)
		}
	}
	for _, bad := range []string{"age1nobody", filepath.Join(p.dir, "nosuch"), ""} {
		if _, err := p.home(t).WithRecipients(bad); err == nil || !strings.Contains(err.Error(), "IMGFLOW_RECIPIENTS") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
