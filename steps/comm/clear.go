package comm

import (
	"context"
	"fmt"

	"github.com/imgflow/imgflow/dag"
)

// ClearKeys takes a public key out of the machine's authorized_keys, the
// user's and root's, so that it is not part of the image.
type ClearKeys struct {
	On  dag.Take[Machine] `json:"on"`
	Key dag.Out[Key]      `json:"key"`
}

func (ClearKeys) Kind() string  { return "comm.clear" }
func (ClearKeys) Title() string { return "remove the temporary key from the machine" }

// clearKeys reads the key's base64 text and writes each file in place, so that
// owner, mode and SELinux label stay. Root's file is tried with sudo.
const clearKeys = `IFS= read -r k
edit='f=$1; [ -f "$f" ] && grep -qF -- "$2" "$f" || exit 0; t=$(grep -vF -- "$2" "$f"); printf "%s\n" "$t" >"$f"'
sh -c "$edit" edit "$HOME/.ssh/authorized_keys" "$k" || exit 1
[ "$(id -u)" != 0 ] || exit 0
command -v sudo >/dev/null && sudo -n true 2>/dev/null || exit 0
sudo -n sh -c "$edit" edit /root/.ssh/authorized_keys "$k"
`

// Do removes the key; one that is not there is no error. The live connection
// stays good.
func (s ClearKeys) Do(ctx context.Context, e *Env, t *dag.Task) (Machine, error) {
	m := s.On.Value()
	keys, err := parseHostKeys([]string{s.Key.Value().Public})
	if err != nil {
		return Machine{}, fmt.Errorf("cannot remove the temporary key from the machine: %w", err)
	}
	r := &remote{env: e, t: t, m: m}
	_, x, err := r.shell(ctx, clearKeys, base64Key(keys[0])+"\n")
	if err == nil {
		err = x.err()
	}
	if err != nil {
		return Machine{}, fmt.Errorf("cannot remove the temporary key from %s: %w", m.label(), err)
	}
	return m, nil
}
