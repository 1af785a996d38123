package state

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/imgflow/imgflow/dag"
)

// Backend is where the runs of a home are kept: a directory of this machine, or a
// database that many machines reach. It is handed whole runs' ids, and values that
// hold no secret in clear text.
type Backend interface {
	// Place says where the runs are. It holds no password.
	Place() string
	// IDs are those of the runs that begin so, oldest first.
	IDs(prefix string) ([]string, error)
	// Summary is that of one run, Interrupted where it says Running and nobody drives
	// the run. Summaries are those of all, in any order.
	Summary(id string) (Summary, error)
	Summaries() ([]Summary, error)
	// Driven reports whether somebody drives the run.
	Driven(id string) bool
	// Drawn is what Journal.SetDrawn has kept; the error is fs.ErrNotExist before.
	Drawn(id string) ([]byte, error)
	// Events reads the events of a run.
	Events(id string) (Events, error)

	// Create begins the run of this summary, which its journal drives. The error is
	// fs.ErrExist if there is one of this id.
	Create(s Summary) (Journal, error)
	// Open takes a run to drive it; the error is a *BusyError if it is driven. Whoever is
	// patient waits for a sign of life of the process that has it.
	Open(id string, patient bool) (Journal, Summary, error)
	// Assign, Release, Join and those that tell of it are those of a Home.
	Assign(id string, o Owner) (epoch int64, err error)
	Release(id string, epoch int64) error
	Join(id string, epoch int64) (Journal, Summary, error)
	Assigned(id string) (epoch int64, err error)
	Assignments() ([]Assignment, error)

	// Contend, Makings, Yield and Lent, which returns the values of records, are those of a Home.
	Contend(c Claimant, steps []dag.Key, choose func(others map[dag.Key]string) []dag.Key) error
	Makings(waits []Wait) ([]Making, error)
	Yield(run string, epoch int64, steps []dag.Key) error
	Lent(run string, steps []dag.Key) (values [][]byte, err error)
	// Makers are those of a Home.
	Makers(steps []dag.Key) (map[dag.Key]string, error)
	// SharedKey keeps a sealed key under a name, unless there is one, and returns the one that is kept.
	SharedKey(name string, sealed []byte) ([]byte, error)

	// Sweep removes what an interrupted Prune has left.
	Sweep() error
	// Size is how much the run takes, in bytes.
	Size(id string) int64
}

// Journal is one run as its backend keeps it. A write that fails is a *WriteError, a
// *CorruptError or a *FencedError, of which Run completes the first.
type Journal interface {
	// Place says where the records are. It holds no password.
	Place() string
	// Write keeps all of the values or none, durably, and all that was put off before.
	Write(...Put) error
	// Later keeps all of the values or none, with the next Write, or soon without one.
	Later(...Put) error
	// Flush returns when all that was put off is kept.
	Flush() error
	// Get returns a value, of what was put off, too; nil if there is none.
	Get(b Bucket, key string) ([]byte, error)
	// Each calls fn for every value of a bucket; value is valid only in fn.
	Each(b Bucket, fn func(key string, value []byte) error) error
	// Changed is Each for the records that were kept since it was called last, by
	// whomever, without those that are put off.
	Changed(fn func(key string, value []byte) error) error

	// Emit, Sync and Offset are those of a Run.
	Emit(e dag.Event) error
	Sync() error
	Offset(token, stream string) int64

	// Summarize replaces the summary by what change makes of it, unless that says that
	// it is no news.
	Summarize(change func(*Summary) (news bool)) error
	// SetDrawn keeps the graph as it is drawn.
	SetDrawn(graph []byte) error
	// PutBlob keeps content by its sum. Blob returns it as it is kept; nil if it is not.
	PutBlob(sum string, content []byte) error
	Blob(sum string) ([]byte, error)

	// Adopt and Assign are those of a Run.
	Adopt(sums []string) error
	Assign(o Owner) (epoch int64, err error)

	// Claim makes this journal's writes those of whoever does a step from now on. The
	// journal that it returns is another view of the same run, which is not closed.
	Claim(key dag.Key) (Journal, error)
	// Lost is closed when this journal may write no more; nil if that cannot happen.
	Lost() <-chan struct{}
	// Prune forgets the run.
	Prune() error
	// Close keeps what was put off and gives the run back.
	Close() error
}

// Events are the events of a run as others read them, while they come.
type Events interface {
	// End is the position behind the last event that is there.
	End() (int64, error)
	// Each calls fn with the events behind a position, and the position behind each.
	Each(from int64, fn func(e dag.Event, next int64) error) error
	Close()
}

// Bucket is a kind of values. Each has keys of its own.
type Bucket string

// The buckets of a run.
const (
	Records Bucket = "records" // by the key of their step, as JSON
	Docs    Bucket = "docs"    // by name, as JSON
	Secrets Bucket = "vault"   // by name, sealed
)

// Put is one value that is to be kept.
type Put struct {
	Bucket Bucket
	Key    string
	Value  []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Frame puts a checksum before a value.
func Frame(p []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(p)), crc32.Checksum(p, castagnoli))
	return append(b, p...)
}

// Unframe is the value that Frame was given, if that is what it was.
func Unframe(p []byte) (value []byte, ok bool) {
	if len(p) < 4 || binary.BigEndian.Uint32(p) != crc32.Checksum(p[4:], castagnoli) {
		return nil, false
	}
	return p[4:], true
}
