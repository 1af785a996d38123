package compile

import (
	"time"

	"github.com/google/uuid"
)

// Pins are the volatile values of a run: taken when first used, stored with the run, and
// the same whenever the run is resumed. The zero value has none. Not for concurrent use.
type Pins struct {
	Time  time.Time `json:"time"`
	UUIDs []string  `json:"uuids,omitempty"`
}

// Clock returns the run's instant, in UTC.
func (p *Pins) Clock() time.Time {
	if p.Time.IsZero() {
		p.Time = time.Now().UTC().Round(0)
	}
	return p.Time
}

// UUID returns a source that yields the stored ids from the first one on, then new ones, which
// it stores. They sort by time. Take one source for each evaluation of the template.
func (p *Pins) UUID() func() string {
	next := 0
	return func() string {
		if next == len(p.UUIDs) {
			p.UUIDs = append(p.UUIDs, uuid.Must(uuid.NewV7()).String())
		}
		next++
		return p.UUIDs[next-1]
	}
}
