package dag

import (
	"sync"
	"time"
)

// undoPatience bounds the retries of a removal for which a person has asked, or
// which a failed build has left behind: what is still in use after that long
// needs a person.
const undoPatience = 5 * time.Minute

// A build that is done is not held up by its scaffolding: a removal that fails is
// tried for lastPatience more, and one that merely takes its time, as the end of an
// instance does, has lastLimit.
const (
	lastPatience = time.Minute
	lastLimit    = 10 * time.Minute
)

// troubles is the last failure that was told and may pass.
type troubles struct {
	mu   sync.Mutex
	last string
	at   time.Time
}

func (t *troubles) set(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.at = err.Error(), time.Now()
}

// trouble is the last failure, or "" if it is so long ago that it has passed.
func (t *troubles) trouble(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.at) > lastPatience {
		return ""
	}
	return t.last
}
