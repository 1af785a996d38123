package comm

import (
	"context"

	"github.com/imgflow/imgflow/dag"
)

// GenerateHostKey makes a key pair for a machine to show as its own, so that
// its key is known before it boots.
type GenerateHostKey struct {
	Scope string `json:"scope,omitempty"`
}

func (GenerateHostKey) Kind() string  { return "comm.hostkey" }
func (GenerateHostKey) Title() string { return "generate a host key" }

// Do makes the key pair, or gives back the one that an earlier call has made.
func (s GenerateHostKey) Do(ctx context.Context, e *Env, t *dag.Task) (Key, error) {
	return e.generate("hostkey-"+t.Token, "ed25519", 0, t.Token)
}
