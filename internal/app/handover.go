package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Handover lets another process do the steps of a session.
type Handover struct {
	o     WorldOptions
	world World
}

// setup is what a world in another process is made of.
type setup struct {
	Environ     []string        `json:"environ"`
	Cwd         string          `json:"cwd"`
	Dir         string          `json:"dir"`
	Away        comm.Away       `json:"away"`
	MaxLifetime time.Duration   `json:"max_lifetime,omitempty"`
	Times       string          `json:"times,omitempty"`
	Told        json.RawMessage `json:"told,omitempty"`
}

// Setup is what [Serve] has to be given, as it stands now. It holds the session's
// environment, so it is for a private pipe and nothing else.
func (h *Handover) Setup() (json.RawMessage, error) {
	told, err := h.world.Handover()
	if err != nil {
		return nil, err
	}
	o := h.o
	return json.Marshal(setup{o.Env.Vars(), o.Env.Dir(), o.Dir, o.Away, o.MaxLifetime, o.Times, told})
}

// What the other process may ask for.
const (
	askSecret = "secret"
	askSealed = "sealed" // a name of the vault: the answer is kept
	askSeal   = "seal"
)

// kept is what the vault holds, or is to hold, under a name.
type kept struct {
	Name  string `json:"name,omitempty"`
	None  bool   `json:"none,omitempty"` // it was never put
	Value []byte `json:"value,omitempty"`
}

// Asked answers the other process.
func (h *Handover) Asked(name string, value []byte) ([]byte, error) {
	switch name {
	case askSecret:
		s, err := h.o.Secret(string(value))
		return []byte(s), err
	case askSealed:
		v, err := h.o.Vault.Get(string(value))
		if errors.Is(err, fs.ErrNotExist) {
			return json.Marshal(kept{None: true})
		}
		if err != nil {
			return nil, err
		}
		return json.Marshal(kept{Value: v})
	case askSeal:
		var k kept
		if err := json.Unmarshal(value, &k); err != nil {
			return nil, err
		}
		return nil, h.o.Vault.Put(k.Name, k.Value)
	}
	return nil, fmt.Errorf("cannot answer %q", name)
}

// TakenOver is the runner of a world that was made from a Setup and puts its
// questions to ask, which leads to Asked. Both processes make worlds by the same
// function.
func TakenOver(given json.RawMessage, ask dag.Asked, newWorld func(WorldOptions) World) (dag.Runner, error) {
	var s setup
	if err := json.Unmarshal(given, &s); err != nil {
		return nil, fmt.Errorf("cannot read what steps are to be done with: %w", err)
	}
	w := newWorld(WorldOptions{
		Env: NewEnv(s.Environ, s.Cwd), Dir: s.Dir, Away: s.Away, MaxLifetime: s.MaxLifetime, Times: s.Times,
		Secret: func(name string) (string, error) { v, err := ask(askSecret, []byte(name)); return string(v), err },
		Vault:  askedVault(ask),
	})
	if err := w.TakeOver(s.Told); err != nil {
		return nil, err
	}
	return dag.InProcess(w.Kinds()), nil
}

// askedVault is the vault of another process.
type askedVault dag.Asked

var _ comm.Vault = askedVault(nil)

func (ask askedVault) Get(name string) ([]byte, error) {
	v, err := ask(askSealed, []byte(name))
	if err != nil {
		return nil, err
	}
	var k kept
	if err := json.Unmarshal(v, &k); err != nil {
		return nil, err
	}
	if k.None {
		return nil, fs.ErrNotExist
	}
	return k.Value, nil
}

func (ask askedVault) Put(name string, value []byte) error {
	p, err := json.Marshal(kept{Name: name, Value: value})
	if err != nil {
		return err
	}
	_, err = ask(askSeal, p)
	return err
}
