package compile

import (
	"crypto/rand"
	"encoding/hex"
	"time"
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
// it stores. Take one source for each evaluation of the template.
func (p *Pins) UUID() func() string {
	next := 0
	return func() string {
		if next == len(p.UUIDs) {
			p.UUIDs = append(p.UUIDs, newUUID(time.Now()))
		}
		next++
		return p.UUIDs[next-1]
	}
}

// newUUID returns a UUID of version 7, which sorts by time.
func newUUID(t time.Time) string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
