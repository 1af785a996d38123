package state

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state/internal/queue"
)

const dbFile = "state.db"

var (
	metaBucket = []byte("meta")
	levelKey   = []byte("level")
)

// schema is the form of the database: its level, and how to bring an older
// level one up.
type schema struct {
	level int
	asIs  int                           // databases of levels from this on are read as they are; 0: of no other
	up    map[int]func(*bbolt.Tx) error // from this level to the next
}

// Level 2 tells programs of level 1 that they would misread what is there: that a
// script has run stands in the record of its step, and they look for it among the
// events. What they have written reads as ever.
var current = schema{level: 2, asIs: 1}

// lockWait is how long an opener waits for the lock: long enough to outlast a
// reader that only looks whether it is held.
const lockWait = 250 * time.Millisecond

// firstSize is what most databases never outgrow, in bytes: each growth would have a
// sync of its own. The file has holes for what is not used.
const firstSize = 256 << 10

// database is a bbolt file in which damage shows as an error. bbolt trusts what
// it reads and panics when that is wrong, or reads beyond the end of its map.
type database struct {
	path, run string
	file      *os.File // bbolt's own, to give the lock back when bbolt cannot
	db        *bbolt.DB

	queue queue.Queue[Put]

	mu     sync.Mutex
	broken error
}

// What is put off waits for so long at most, and not in larger numbers.
// (bbolt's Batch would make a lone writer wait, and commits on a goroutine of its own,
// where a panic of a damaged file could not be caught.)
const (
	putOff     = 200 * time.Millisecond
	mostPutOff = 256
)

// opening says what an opener expects.
type opening int

const (
	existing        opening = iota
	fresh                   // there must be none yet
	maybeIncomplete         // its maker may have died at any moment of making it
)

// openDB opens the database of a run, or makes it. The error is os.ErrDeadlineExceeded
// when another process holds it.
func openDB(path, run string, as opening, s schema) (*database, error) {
	d := &database{path: path, run: run}
	d.queue = queue.Queue[Put]{Commit: d.commit, Wait: putOff, Most: mostPutOff}
	opt := &bbolt.Options{Timeout: lockWait, InitialMmapSize: firstSize, OpenFile: func(name string, flag int, _ os.FileMode) (*os.File, error) {
		switch as {
		case fresh:
			flag |= os.O_EXCL
		case existing:
			flag &^= os.O_CREATE
		}
		f, err := openFile(name, flag)
		if err != nil {
			return nil, err
		}
		if fi, err := f.Stat(); err == nil && fi.Size() == 0 && as == existing {
			f.Close()
			return nil, bolterr.ErrInvalid // bbolt would take it for a new one
		}
		d.file = f
		return f, nil
	}}
	err := d.safely(func() (err error) {
		d.db, err = bbolt.Open(path, 0o600, opt)
		return err
	})
	var corrupt *CorruptError
	switch {
	case err == nil:
	case errors.Is(err, bolterr.ErrTimeout):
		return nil, os.ErrDeadlineExceeded
	case errors.As(err, &corrupt):
		d.abandon()
		return nil, err
	case d.file == nil && !errors.Is(err, bolterr.ErrInvalid), errors.As(err, new(*fs.PathError)):
		return nil, fmt.Errorf("cannot open the state of run %s: %w; `%s` finds by tags what it made, without this file", run, err, self.Command("destroy", "--orphans"))
	default:
		return nil, d.corrupt(err)
	}
	if err := d.prepare(as, s); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// prepare makes the buckets of a new database, and brings an old one up to the
// level of the schema, in one transaction.
func (d *database) prepare(as opening, s schema) error {
	unchanged := errors.New("it is up to date")
	err := d.transact(func(tx *bbolt.Tx) error {
		level := s.level
		create := as == fresh || as == maybeIncomplete && tx.Bucket(metaBucket) == nil
		if create {
			for _, name := range [][]byte{metaBucket, []byte(Records), []byte(Docs), []byte(Secrets)} {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
		} else {
			meta := tx.Bucket(metaBucket)
			if meta == nil {
				return d.corrupt(errors.New("it has no schema level"))
			}
			var err error
			if level, err = strconv.Atoi(string(meta.Get(levelKey))); err != nil || level < 1 {
				return d.corrupt(errors.New("its schema level is not a number"))
			}
		}
		if level > s.level {
			return errcode.With(errcode.StateNewer, fmt.Errorf("cannot open run %s: %s was made by a newer imgflow (level %d; this one knows up to %d): use that version", d.run, d.path, level, s.level))
		}
		if !create && (level == s.level || s.asIs > 0 && level >= s.asIs) {
			return unchanged // even an empty commit would need room on the disk
		}
		for ; level < s.level; level++ {
			if s.up[level] == nil {
				return fmt.Errorf("cannot open run %s: nothing brings %s from level %d to %d: use the version of imgflow that made it", d.run, d.path, level, level+1)
			}
			if err := s.up[level](tx); err != nil {
				return fmt.Errorf("cannot bring %s from level %d to %d: %w", d.path, level, level+1, err)
			}
		}
		return tx.Bucket(metaBucket).Put(levelKey, strconv.AppendInt(nil, int64(s.level), 10))
	})
	if errors.Is(err, unchanged) {
		return nil
	}
	return err
}

// safely turns panics and memory faults of bbolt into errors. After one, the
// database is not used any more: bbolt may hold its locks for ever.
func (d *database) safely(fn func() error) (err error) {
	d.mu.Lock()
	broken := d.broken
	d.mu.Unlock()
	if broken != nil {
		return broken
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = d.corrupt(fmt.Errorf("%v", p))
			d.mu.Lock()
			d.broken = err
			d.mu.Unlock()
		}
	}()
	return fn()
}

func (d *database) corrupt(why error) error {
	return &CorruptError{Path: d.path, Run: d.run, Why: why.Error()}
}

func (d *database) view(fn func(*bbolt.Tx) error) error {
	return d.safely(func() error { return d.db.View(fn) })
}

func (d *database) transact(fn func(*bbolt.Tx) error) error {
	return d.safely(func() error { return d.db.Update(fn) })
}

// commit stores all of the values, or none.
func (d *database) commit(puts []Put) error {
	return d.transact(func(tx *bbolt.Tx) error {
		for _, p := range puts {
			b := tx.Bucket([]byte(p.Bucket))
			if b == nil {
				return d.corrupt(fmt.Errorf("bucket %s is missing", p.Bucket))
			}
			if err := b.Put([]byte(p.Key), Frame(p.Value)); err != nil {
				return err
			}
		}
		return nil
	})
}

// later puts values off, unless they can never be stored.
func (d *database) later(puts ...Put) error {
	d.mu.Lock()
	broken := d.broken
	d.mu.Unlock()
	if broken != nil {
		return broken
	}
	return d.queue.Later(puts...)
}

// get returns a copy of a value; nil if there is none.
func (d *database) get(bucket Bucket, key string) (value []byte, err error) {
	if p, ok := d.waiting(bucket)[key]; ok {
		return bytes.Clone(p), nil
	}
	err = d.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return d.corrupt(fmt.Errorf("bucket %s is missing", bucket))
		}
		p := b.Get([]byte(key))
		if p == nil {
			return nil
		}
		p, err := d.unframe(p)
		value = append([]byte{}, p...)
		return err
	})
	return value, err
}

// each calls fn for every value of a bucket; the slices are valid only in fn. What
// was put off is read from memory: it may not come to a disk that is full.
func (d *database) each(bucket Bucket, fn func(key string, value []byte) error) error {
	waiting := d.waiting(bucket)
	return d.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return d.corrupt(fmt.Errorf("bucket %s is missing", bucket))
		}
		err := b.ForEach(func(k, v []byte) error {
			if newer, ok := waiting[string(k)]; ok {
				delete(waiting, string(k))
				return fn(string(k), newer)
			}
			v, err := d.unframe(v)
			if err != nil {
				return err
			}
			return fn(string(k), v)
		})
		for k, v := range waiting {
			err = cmp.Or(err, fn(k, v))
		}
		return err
	})
}

// waiting are the values of a bucket that have not come to the disk yet.
func (d *database) waiting(bucket Bucket) map[string][]byte {
	values := map[string][]byte{}
	for _, p := range d.queue.Waiting() {
		if p.Bucket == bucket {
			values[p.Key] = p.Value
		}
	}
	return values
}

// close brings what was put off to the disk, and gives the lock back.
func (d *database) close() error {
	err := d.queue.Flush()
	err = errors.Join(err, d.safely(func() error { return d.db.Close() }))
	d.mu.Lock()
	broken := d.broken != nil
	d.broken = errors.New("cannot use a run that is closed")
	d.mu.Unlock()
	if broken {
		d.abandon()
		return nil // whoever met the damage has been told
	}
	return err
}

// abandon gives the lock of a broken database back without bbolt, which may hold
// its own locks for ever.
func (d *database) abandon() {
	unlock(d.file)
	d.file.Close()
}

func (d *database) unframe(p []byte) ([]byte, error) {
	value, ok := Unframe(p)
	if !ok {
		return nil, d.corrupt(errors.New("a value does not match its checksum"))
	}
	return value, nil
}
