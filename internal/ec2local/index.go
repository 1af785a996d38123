package ec2local

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A mark is something by which things are found without reading all of them: the
// name of an image, the group of a network card. Some marks have no value.
type mark struct{ name, value string }

// marked is what has marks.
type marked interface{ marks() []mark }

// The index is a table of keys alone, each of a mark and the thing that has it. It
// is derived: New makes it anew, and whatever changes a thing changes its marks in
// the same transaction.
const index = "index"

// marksOf reads the marks of what is stored in a table.
var marksOf = map[string]func(t *txn, raw []byte) []mark{
	"group": marksIn[group], "image": marksIn[image], "import": marksIn[importTask], "instance": marksIn[instance], "interface": marksIn[netInterface], "key": marksIn[keyPair],
	"snapshot": marksIn[snapshot], "tags": marksIn[tagList], "template": marksIn[launchTemplate], "volume": marksIn[volume],
}

func marksIn[T any, P interface {
	*T
	marked
}](t *txn, raw []byte) []mark {
	p := P(new(T))
	t.decode(raw, p)
	return p.marks()
}

// prefix is where the entries of a mark begin, in the order of regions and ids.
func (m mark) prefix(table string) string {
	return table + "\x00" + m.name + "\x00" + strconv.Quote(m.value) + "\x00"
}

// reindex has the index follow a thing that was and is, either of which may be nil.
func (t *txn) reindex(table string, key, was []byte, is any) {
	read := marksOf[table]
	if read == nil {
		return
	}
	var old, new []mark
	if was != nil {
		old = read(t, was)
	}
	if m, ok := is.(marked); ok {
		new = m.marks()
	}
	b := t.Bucket([]byte(index))
	for _, m := range old {
		if !slices.Contains(new, m) {
			t.check(b.Delete([]byte(m.prefix(table) + string(key))))
		}
	}
	for _, m := range new {
		if !slices.Contains(old, m) {
			t.check(b.Put([]byte(m.prefix(table)+string(key)), []byte{}))
		}
	}
}

// index makes the index of everything that is stored.
func (t *txn) index() error {
	if t.Bucket([]byte(index)) != nil {
		if err := t.DeleteBucket([]byte(index)); err != nil {
			return err
		}
	}
	b, err := t.CreateBucket([]byte(index))
	if err != nil {
		return err
	}
	for _, table := range tables {
		read := marksOf[table]
		if read == nil {
			continue
		}
		err := t.Bucket([]byte(table)).ForEach(func(key, raw []byte) error {
			for _, m := range read(t, raw) {
				if err := b.Put([]byte(m.prefix(table)+string(key)), []byte{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ids are those of the things of a table and region that have a mark, in their
// order.
func (t *txn) ids(table, region string, m mark) (ids []string) {
	prefix := []byte(m.prefix(table) + string(rowKey(region, "")))
	c := t.Bucket([]byte(index)).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		ids = append(ids, string(k[len(prefix):]))
	}
	return ids
}

// having returns the things of a region that have a mark, in the order of their ids.
func having[T any, P recordOf[T]](t *txn, region string, m mark) (list []P) {
	for _, id := range t.ids(P(new(T)).table(), region, m) {
		list = append(list, get[T, P](t, region, id))
	}
	return list
}

// has tells whether something of a table has a mark, in any region.
func (t *txn) has(table string, m mark) bool {
	prefix := []byte(m.prefix(table))
	k, _ := t.Bucket([]byte(index)).Cursor().Seek(prefix)
	return bytes.HasPrefix(k, prefix)
}

// count is how many of a table have a mark, in all regions.
func (t *txn) count(table string, m mark) (n int) {
	prefix := []byte(m.prefix(table))
	c := t.Bucket([]byte(index)).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		n++
	}
	return n
}

// layerMarks adds those of the layers that something stands on.
func layerMarks(ms []mark, layers []string) []mark {
	for _, l := range layers {
		ms = append(ms, mark{"layer", l})
	}
	return ms
}

// dueMark is of what changes by itself at a time. Its values are in the order of
// the times.
func dueMark(at time.Time) mark { return mark{"due", at.UTC().Format(dueFormat)} }

const dueFormat = "2006-01-02T15:04:05.000000000Z"

// due returns the things of a table whose time has come, and when that of the next
// one comes; zero is never.
func due[T any, P recordOf[T]](t *txn) (list []P, next time.Time) {
	prefix := []byte(P(new(T)).table() + "\x00due\x00")
	var rows []string
	c := t.Bucket([]byte(index)).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		value, row, _ := strings.Cut(string(k[len(prefix):]), "\x00")
		if at, err := time.Parse(strconv.Quote(dueFormat), value); err == nil && at.After(t.now) {
			next = at
			break
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		region, id, _ := strings.Cut(row, "/")
		list = append(list, get[T, P](t, region, id))
	}
	return list, next
}

// check unwinds the transaction when the store fails.
func (t *txn) check(err error) {
	if err != nil {
		panic(storeError{err})
	}
}
