package ec2local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// base is what every stored thing has.
type base struct {
	ID      string    `json:"id"`
	Region  string    `json:"region"`
	Created time.Time `json:"created"`
	// Visible is when calls other than the one that made the thing see it.
	Visible time.Time `json:"visible,omitzero"`
}

func (b *base) ident() *base { return b }

// A record is a kind of thing with a table of its own.
type record interface {
	ident() *base
	table() string
}

type recordOf[T any] interface {
	*T
	record
}

// A txn is one atomic look at, or change of, everything that exists. What a
// request changes is on disk before it is answered, or did not happen.
type txn struct {
	*bolt.Tx
	s   *Server
	now time.Time
	// after runs once the change is on disk.
	after []func()
	// begun are the things that it has set passing.
	begun []brief
	// changed are the rows that it has written or deleted.
	changed []string
}

// tables are all there are; they are made when the store is opened.
var tables = []string{
	"bucket", "eice", "fleet", "gateway", "gone", "group", "image", "import", "instance", "interface", "key", "kms", "layer", "meta", "object", "parameter", "profile", "quota",
	"role", "route", "secret", "session", "snapshot", "subnet", "tags", "template", "token", "upload", "volume", "vpc",
}

func rowKey(region, id string) []byte { return []byte(region + "/" + id) }

// get returns the thing of that id, or nil.
func get[T any, P recordOf[T]](t *txn, region, id string) P {
	p := P(new(T))
	raw := t.Bucket([]byte(p.table())).Get(rowKey(region, id))
	if raw == nil {
		return nil
	}
	t.decode(raw, p)
	return p
}

// all returns the things of a region in the order of their ids; of every
// region if region is empty.
func all[T any, P recordOf[T]](t *txn, region string) []P {
	var list []P
	prefix := []byte{}
	if region != "" {
		prefix = rowKey(region, "")
	}
	c := t.Bucket([]byte(P(new(T)).table())).Cursor()
	for k, raw := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, raw = c.Next() {
		p := P(new(T))
		t.decode(raw, p)
		list = append(list, p)
	}
	return list
}

// put writes a thing, new or changed.
func put(t *txn, r record) {
	b := r.ident()
	if p, ok := r.(brief); ok && p.passing(t.now) {
		t.begun = append(t.begun, p)
	}
	t.write(r.table(), rowKey(b.Region, b.ID), r)
}

// drop deletes a thing and its tags.
func drop(t *txn, r record) {
	b := r.ident()
	t.remove(r.table(), rowKey(b.Region, b.ID))
	t.remove("tags", rowKey(b.Region, b.ID))
}

func (t *txn) write(table string, key []byte, v any) {
	b := t.Bucket([]byte(table))
	raw, err := json.Marshal(v)
	if err == nil {
		was := b.Get(key)
		if bytes.Equal(was, raw) {
			return
		}
		t.reindex(table, key, was, v)
		err = b.Put(key, raw)
	}
	if err != nil {
		panic(storeError{fmt.Errorf("cannot store %s %s: %w", table, key, err)})
	}
	t.changed = append(t.changed, row(table, key))
}

func (t *txn) remove(table string, key []byte) {
	b := t.Bucket([]byte(table))
	was := b.Get(key)
	if was == nil {
		return
	}
	t.reindex(table, key, was, nil)
	if err := b.Delete(key); err != nil {
		panic(storeError{fmt.Errorf("cannot delete %s %s: %w", table, key, err)})
	}
	t.changed = append(t.changed, row(table, key))
}

// row names one thing of all that are stored.
func row(table string, key []byte) string { return table + " " + string(key) }

func (t *txn) decode(raw []byte, v any) {
	if err := json.Unmarshal(raw, v); err != nil {
		panic(storeError{fmt.Errorf("cannot read the state: %w", err)})
	}
}

// A storeError unwinds a transaction whose store failed; view and update turn
// it back into an error, so that no handler has to pass it along.
type storeError struct{ err error }

func (s *Server) view(f func(*txn) error) error {
	return s.db.View(func(b *bolt.Tx) error {
		return guard(&txn{Tx: b, s: s, now: s.now()}, f)
	})
}

func guard(t *txn, f func(*txn) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			se, ok := r.(storeError)
			if !ok {
				panic(r)
			}
			err = se.err
		}
	}()
	return f(t)
}
