package dag

import "time"

// EventVersion is the version of the Event type. A reader that meets a higher
// one does not know all that it may mean.
const EventVersion = 2

// EventType says what happened.
type EventType string

const (
	Planned   EventType = "planned"   // a step of the graph, with its Key and Needs: all of them come before the rest
	Started   EventType = "started"   // a step begins; Text is its title
	Said      EventType = "said"      // a step tells what it does
	Detail    EventType = "detail"    // a lesser message of a step
	Warned    EventType = "warned"    // something the user should know
	Printed   EventType = "printed"   // one line of remote output, in Stream up to Offset
	Progress  EventType = "progress"  // Count of Total Unit are done
	Retrying  EventType = "retrying"  // Err may pass; the next try is in Wait
	Finished  EventType = "finished"  // a step has its checkpoint
	Adopted   EventType = "adopted"   // an interrupted step's thing was found
	Awaited   EventType = "awaited"   // another run makes what the step would: Text says which; "" is that none does any more
	Borrowed  EventType = "borrowed"  // that is there, and the step is not done
	Vanished  EventType = "vanished"  // a thing that a checkpoint claims is gone
	Failed    EventType = "failed"    // a step failed with Err
	Skipped   EventType = "skipped"   // a step cannot run since one before it has failed
	Suspended EventType = "suspended" // a step was interrupted and can be resumed
	Rebuilt   EventType = "rebuilt"   // a thing must be made again; Text says why
	Releasing EventType = "releasing" // a temporary thing is being removed
	Released  EventType = "released"  // it is gone
	Left      EventType = "left"      // it could not be removed: Err
	RunBegun  EventType = "run-begun" // of the whole run, emitted by the program
	RunEnded  EventType = "run-ended"
)

// Event is all that the engine tells. Every display and every log is a reader
// of events.
type Event struct {
	V       int           `json:"v"`
	Time    time.Time     `json:"time"`
	Type    EventType     `json:"type"`
	Builds  []string      `json:"builds,omitempty"` // more than one: a shared step
	Step    string        `json:"step,omitempty"`
	Kind    string        `json:"kind,omitempty"`
	Key     string        `json:"key,omitempty"`   // of the step; a printed line has only its token
	Needs   []Key         `json:"needs,omitempty"` // of a planned step
	Token   string        `json:"token,omitempty"`
	Attempt int           `json:"attempt,omitempty"` // of this making, from 1
	Text    string        `json:"text,omitempty"`
	Stream  string        `json:"stream,omitempty"` // stdout or stderr
	Offset  int64         `json:"offset,omitempty"` // bytes of the stream up to the end of this line
	Count   int64         `json:"count,omitempty"`
	Total   int64         `json:"total,omitempty"`
	Unit    string        `json:"unit,omitempty"`
	Err     string        `json:"err,omitempty"`
	Code    string        `json:"code,omitempty"`  // what kind of failure Err is, if it is known: see package errcode
	Wait    time.Duration `json:"wait,omitempty"`  // nanoseconds
	Took    time.Duration `json:"took,omitempty"`  // nanoseconds
	Trace   string        `json:"trace,omitempty"` // that the run is part of, where it is traced
}

// Sink takes the events of a run. Its methods are called from many goroutines.
type Sink interface {
	// Emit takes one event; an error says that it could not be kept.
	Emit(Event) error
	// Sync returns when everything emitted so far would survive a power cut.
	Sync() error
	// Offset is where a step's remote output goes on: the offset of the last
	// line of the stream that was emitted for the token, 0 for none.
	Offset(token, stream string) int64
	// Break says after how many bytes of an unfinished line, at most most if it
	// can be, the line may be broken without tearing a secret; 0 if that shows
	// only with what follows.
	Break(line []byte, most int) int
}
