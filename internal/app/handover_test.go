package app

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// mapVault keeps secrets in memory.
type mapVault map[string]string

func (v mapVault) Get(name string) ([]byte, error) {
	if s, ok := v[name]; ok {
		return []byte(s), nil
	}
	return nil, fs.ErrNotExist
}

func (v mapVault) Put(name string, value []byte) error { v[name] = string(value); return nil }

// silent is a host that nobody asks.
type silent struct{ dag.Host }

func (silent) Secret(string) (string, error)      { return "", errors.New("none") }
func (silent) Save(string, json.RawMessage) error { return nil }

// toldWorld keeps what it takes over.
type toldWorld struct {
	toyWorld
	told string
}

func (w *toldWorld) Handover() (json.RawMessage, error) {
	return json.RawMessage(`"what it was told"`), nil
}
func (w *toldWorld) TakeOver(p json.RawMessage) error { w.told = string(p); return nil }

// The world of another process is made of data by the same function, and reaches the
// secrets of the session by asking for them: what is not there is not there, too.
func TestHandover(t *testing.T) {
	vault := mapVault{"sealed": "caf\xe9"}
	h := &Handover{WorldOptions{
		Env: NewEnv([]string{"A=1", "SECRET=x"}, "/home/me"), Dir: "/templates", MaxLifetime: time.Hour, Times: "/home/me/times.json",
		Secret: func(name string) (string, error) {
			if name == "none" {
				return "", errors.New("cannot use none: give it again")
			}
			return "the " + name + "\xff", nil
		},
		Vault: vault,
	}, &toldWorld{}}
	given, err := h.Setup()
	if err != nil {
		t.Fatal(err)
	}
	var there *toldWorld
	r, err := TakenOver(given, h.Asked, func(o WorldOptions) World {
		there = &toldWorld{toyWorld: toyWorld{WorldOptions: o}}
		return there
	})
	if err != nil {
		t.Fatal(err)
	}
	o := there.WorldOptions
	if there.told != `"what it was told"` || o.Env.Get("SECRET") != "x" || o.Env.Dir() != "/home/me" || o.Dir != "/templates" || o.MaxLifetime != time.Hour || o.Times != "/home/me/times.json" {
		t.Errorf("it was made of %+v, and told %s", o, there.told)
	}
	if s, err := o.Secret("key"); s != "the key\xff" || err != nil {
		t.Errorf("the secret is %q, %v", s, err)
	}
	if _, err := o.Secret("none"); err == nil || err.Error() != "cannot use none: give it again" {
		t.Error(err)
	}
	if v, err := o.Vault.Get("sealed"); string(v) != "caf\xe9" || err != nil {
		t.Errorf("the vault holds %q, %v", v, err)
	}
	if _, err := o.Vault.Get("never"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was never put: %v", err)
	}
	if err := o.Vault.Put("new", []byte("n\x00")); err != nil || vault["new"] != "n\x00" {
		t.Errorf("it was put as %q, %v", vault["new"], err)
	}
	if _, err := h.Asked("other", nil); err == nil {
		t.Error("anything is answered")
	}
	if r := r.Do(context.Background(), dag.Call{Name: "x", Kind: "nobody.knows"}, silent{}); r.Class != dag.Fail {
		t.Errorf("%+v", r)
	}
}
