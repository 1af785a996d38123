package dag

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Status is how far the making of a step has come.
type Status string

const (
	Doing        Status = "doing"   // the intent is journaled: it may exist
	StatusFailed Status = "broken"  // an attempt failed: it may exist
	Done         Status = "done"    // the checkpoint holds its output
	Undoing      Status = "undoing" // its removal has begun
	Gone         Status = "gone"    // it does not exist: removed, or certainly never made
)

// Record is what the store remembers about one step. A removed step leaves a
// record too: its generation must never be used again.
type Record struct {
	Node
	Gen    int                        `json:"gen"`              // counts the makings of this step, from 1
	Status Status                     `json:"status"`           //
	Tries  int                        `json:"tries,omitempty"`  // attempts of this making that failed
	Begun  time.Time                  `json:"begun"`            // when the intent of this making was journaled
	Ended  time.Time                  `json:"ended,omitzero"`   // when it was done, broken or gone
	Kept   bool                       `json:"kept,omitempty"`   // outlives the run
	Spent  bool                       `json:"spent,omitempty"`  // it has served, or shows what has, and that goes: see Discard
	Parted bool                       `json:"parted,omitempty"` // a guard was done on it, so that no step goes on with it
	Out    json.RawMessage            `json:"out,omitempty"`    // the output, when done
	Err    string                     `json:"err,omitempty"`    // of the last failure
	State  map[string]json.RawMessage `json:"state,omitempty"`  // what the step keeps for its own next attempt
	Label  string                     `json:"label,omitempty"`  // what the thing is called outside, such as an instance id
	Lender Lender                     `json:"lender,omitzero"`  // of what another run has made, and this one only has

	Artifacts []Artifact `json:"artifacts,omitempty"` // that the output holds, when done

	// What stays, whatever becomes of the output.
	Finished time.Time `json:"finished,omitzero"` // when it was last done
	Report   string    `json:"report,omitempty"`  // what the output had to report then
}

// Token is unique to this making of this step in this run, and the same after
// any crash. That of what is borrowed is the lender's.
func (r Record) Token(run string) string {
	if r.Borrowed() {
		return fmt.Sprintf("imgflow-%s-%s-%d", r.Lender.Run, r.Key.Short(), r.Lender.Gen)
	}
	return fmt.Sprintf("imgflow-%s-%s-%d", run, r.Key.Short(), r.Gen)
}

// Alive reports whether the record's thing may exist, and is the run's own.
func (r Record) Alive() bool { return r.Thing && r.Status != Gone && r.Status != "" && !r.Borrowed() }

// Borrowed reports whether another run has made it.
func (r Record) Borrowed() bool { return r.Lender.Run != "" }

// Store keeps the records of one run, in the order in which they come. Put is atomic
// and durable: when it returns, all of the records are kept, and all that came
// before them; when it fails or the process dies, either all or none of them are.
// Later is as atomic, but keeps the records with the next Put, or soon without one:
// if the process dies first they are lost, and all that came after them is, too.
// Put without records keeps what has come so far.
type Store interface {
	All() ([]Record, error)
	Put(...Record) error
	Later(...Record) error
}

// MemStore is a Store in memory.
type MemStore struct {
	mu sync.Mutex
	m  map[Key]Record
}

// All returns every record, in no order.
func (s *MemStore) All() (rs []Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.m {
		rs = append(rs, r)
	}
	return rs, nil
}

// Put keeps the records.
func (s *MemStore) Put(rs ...Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[Key]Record{}
	}
	for _, r := range rs {
		s.m[r.Key] = r
	}
	return nil
}

// Later keeps the records.
func (s *MemStore) Later(rs ...Record) error { return s.Put(rs...) }
