package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"github.com/imgflow/imgflow/internal/errcode"
)

const dbFile = "state.db"

var (
	metaBucket    = []byte("meta")
	recordsBucket = []byte("records")
	docsBucket    = []byte("docs")
	vaultBucket   = []byte("vault")
	levelKey      = []byte("level")
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

	writing sync.Mutex // held by the one who commits
	mu      sync.Mutex // guards what follows
	next    *commit    // that is being gathered
	flying  *commit    // that is being carried out
	timer   *time.Timer
	broken  error
}

// commit is a transaction.
type commit struct {
	puts []put
	led  bool // somebody carries it out, or is about to
	done chan struct{}
	err  error
}

type put struct {
	bucket, key []byte
	value       []byte
	later       bool // nobody waits for it
}

// What is put off waits for so long at most, and not in larger numbers.
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
		return nil, fmt.Errorf("cannot open the state of run %s: %w; `imgflow destroy --orphans` finds by tags what it made, without this file", run, err)
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
			for _, name := range [][]byte{metaBucket, recordsBucket, docsBucket, vaultBucket} {
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

// write stores all of the values or none, and returns when they are on disk.
// Those who come while a commit is under way share the next one. (bbolt's Batch
// would make a lone writer wait, and commits on a goroutine of its own, where a
// panic of a damaged file could not be caught.)
func (d *database) write(puts ...put) error {
	defer crashPoint(d.flush)()
	d.mu.Lock()
	return d.commit(d.gather(puts))
}

// later stores all of the values or none, with the next commit or after a moment. If
// that fails they are tried again with the one after it, so that on the disk nothing
// is ever ahead of them.
func (d *database) later(puts ...put) error {
	defer crashPoint(d.flush)()
	for i := range puts {
		puts[i].later = true
	}
	d.mu.Lock()
	if d.broken != nil {
		defer d.mu.Unlock()
		return d.broken
	}
	c := d.gather(puts)
	if len(c.puts) >= mostPutOff {
		return d.commit(c)
	}
	if d.timer == nil {
		d.timer = time.AfterFunc(putOff, func() { d.flush() }) // whoever writes next is told what fails
	}
	d.mu.Unlock()
	return nil
}

// flush returns when all that was put off is on disk.
func (d *database) flush() error {
	d.mu.Lock()
	if d.next != nil {
		return d.commit(d.next)
	}
	c := d.flying
	d.mu.Unlock()
	if c == nil {
		return nil
	}
	<-c.done
	return c.err
}

// gather adds values to the next commit. Whoever calls it holds mu.
func (d *database) gather(puts []put) *commit {
	if d.next == nil {
		d.next = &commit{done: make(chan struct{})}
	}
	d.next.puts = append(d.next.puts, puts...)
	return d.next
}

// commit carries the next commit out, or waits for who does. It gives mu back, which
// whoever calls it holds.
func (d *database) commit(c *commit) error {
	lead := !c.led
	c.led = true
	d.mu.Unlock()
	if !lead {
		<-c.done
		return c.err
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	defer close(c.done)
	d.mu.Lock()
	d.next, d.flying = nil, c
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.mu.Unlock()
	c.err = d.transact(func(tx *bbolt.Tx) error {
		for _, p := range c.puts {
			b := tx.Bucket(p.bucket)
			if b == nil {
				return d.corrupt(fmt.Errorf("bucket %s is missing", p.bucket))
			}
			if err := b.Put(p.key, frame(p.value)); err != nil {
				return err
			}
		}
		return nil
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flying = nil
	if c.err != nil {
		if again := slices.DeleteFunc(c.puts, func(p put) bool { return !p.later }); len(again) > 0 {
			next := d.gather(nil)
			next.puts = append(again, next.puts...)
		}
	}
	return c.err
}

// get returns a copy of a value; nil if there is none.
func (d *database) get(bucket []byte, key string) (value []byte, err error) {
	if p, ok := d.waiting(bucket)[key]; ok {
		return bytes.Clone(p), nil
	}
	err = d.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
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
func (d *database) each(bucket []byte, fn func(key, value []byte) error) error {
	waiting := d.waiting(bucket)
	return d.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b == nil {
			return d.corrupt(fmt.Errorf("bucket %s is missing", bucket))
		}
		err := b.ForEach(func(k, v []byte) error {
			if newer, ok := waiting[string(k)]; ok {
				delete(waiting, string(k))
				return fn(k, newer)
			}
			v, err := d.unframe(v)
			if err != nil {
				return err
			}
			return fn(k, v)
		})
		for k, v := range waiting {
			err = cmp.Or(err, fn([]byte(k), v))
		}
		return err
	})
}

// waiting are the values of a bucket that have not come to the disk yet.
func (d *database) waiting(bucket []byte) map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	values := map[string][]byte{}
	for _, c := range []*commit{d.flying, d.next} {
		if c == nil {
			continue
		}
		for _, p := range c.puts {
			if bytes.Equal(p.bucket, bucket) {
				values[string(p.key)] = p.value
			}
		}
	}
	return values
}

// close brings what was put off to the disk, and gives the lock back.
func (d *database) close() error {
	err := d.flush()
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

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame puts a checksum before a value.
func frame(p []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(p)), crc32.Checksum(p, castagnoli))
	return append(b, p...)
}

func (d *database) unframe(p []byte) ([]byte, error) {
	if len(p) < 4 || binary.BigEndian.Uint32(p) != crc32.Checksum(p[4:], castagnoli) {
		return nil, d.corrupt(errors.New("a value does not match its checksum"))
	}
	return p[4:], nil
}
