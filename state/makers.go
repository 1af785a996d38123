package state

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Claimant is a run that makes common steps, as long as an engine drives it.
type Claimant struct {
	Run   string
	Epoch int64  // of its assignment
	Means []byte // a keyed digest of its secrets: it has nothing to do with runs of others
}

// Wait is a step that a run waits for, since another run makes it.
type Wait struct {
	Run  string
	Step dag.Key
	Seen int64 // the Changed of what is known of it
}

// Making is how far the run has come that is waited for.
type Making struct {
	Wait
	Maker   string     // which one that is; Run itself, if it is the maker by now
	Epoch   int64      // of its drive; 0: it makes the step no more
	Record  dag.Record // of the step, as that run has it; zero if it has none, or it was seen
	Changed int64
}

// Contend makes a run the maker of those of the steps that choose returns, in one go. It is told which
// other runs of the same means make some of the steps, and may be called more than once. For each of those the run
// is known to wait from then on, until it is given back. The error is a *FencedError if the
// run's epoch is over.
func (h *Home) Contend(c Claimant, steps []dag.Key, choose func(others map[dag.Key]string) []dag.Key) error {
	return h.backend.Contend(c, steps, choose)
}

// Makings are what the runs are at that are waited for, of those that are known to
// wait, in any order.
func (h *Home) Makings(waits []Wait) ([]Making, error) { return h.backend.Makings(waits) }

// Makers tells of steps which run makes each of them now, whatever its means are: one of several, if there are more.
func (h *Home) Makers(steps []dag.Key) (map[dag.Key]string, error) { return h.backend.Makers(steps) }

// Yield says that a run makes steps no more, or none at all if no step is named. If
// its epoch is over, that has been said.
func (h *Home) Yield(run string, epoch int64, steps ...dag.Key) error {
	return h.backend.Yield(run, epoch, steps)
}

// Lent returns the records of another run for some steps, as far as it has any.
func (h *Home) Lent(run string, steps []dag.Key) (rs []dag.Record, err error) {
	values, err := h.backend.Lent(run, steps)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		r, err := LentRecord(h.Place(), run, v)
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// LentRecord decodes the record of another run.
func LentRecord(place, run string, value []byte) (r dag.Record, err error) {
	if err := json.Unmarshal(value, &r); err != nil {
		return r, &CorruptError{Path: place, Run: run, Why: fmt.Sprintf("a record: %v", err)}
	}
	return r, nil
}

// SharedKey is a secret of all who seal to the same recipients in this place, and is made at first use. What
// is keyed with it can be compared by them, and tells others nothing.
func (h *Home) SharedKey() ([]byte, error) {
	to, err := h.sealsTo()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range to {
		name, ok := r.(fmt.Stringer)
		if !ok {
			return nil, errors.New("cannot name whom secrets are sealed to")
		}
		names = append(names, name.String())
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, ",")))
	key := make([]byte, 32)
	rand.Read(key)
	sealed, err := seal(key, to...)
	if err == nil {
		sealed, err = h.backend.SharedKey(hex.EncodeToString(sum[:]), sealed)
	}
	if err != nil {
		return nil, err
	}
	return h.Unseal(sealed)
}
