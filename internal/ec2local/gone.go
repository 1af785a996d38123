package ec2local

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// A departed instance is one that describing calls have forgotten. The token that
// made it still answers with it.
type departed struct{ instance }

func (*departed) table() string { return "gone" }

// EC2 remembers client tokens for at least a day after the end of what they made.
// Instances are remembered that long, and no more of them than builds of one day
// leave behind.
const (
	memory   = 24 * time.Hour
	mostGone = 1000
)

// pruneEvery is after how many instances that departed the store is pruned.
const pruneEvery = 100

// depart forgets an instance for all calls but a repeated launch.
func (t *txn) depart(i *instance) {
	drop(t, i)
	i.Due = t.now
	put(t, &departed{*i})
}

// prune forgets what no client can mean any more, so that the store does not grow
// with every build that there ever was.
func (t *txn) prune() {
	gone := all[departed](t, "")
	slices.SortFunc(gone, func(a, b *departed) int { return b.Due.Compare(a.Due) })
	for n, i := range gone {
		if n >= mostGone || i.Due.Before(t.now.Add(-memory)) {
			drop(t, i)
		}
	}
	t.pruneSecrets()
	t.pruneSessions()
	t.pruneImports()
	t.pruneUploads()
	old := func(at time.Time) bool { return at.Before(t.now.Add(-memory)) }
	for _, f := range all[fleet](t, "") {
		if old(f.Created) {
			drop(t, f)
		}
	}
	var stale [][]byte
	c := t.Bucket([]byte("token")).Cursor()
	for k, raw := c.First(); k != nil; k, raw = c.Next() {
		var x token
		t.decode(raw, &x)
		region, _, _ := strings.Cut(string(k), "/")
		launch := len(x.IDs) > 0 && strings.HasPrefix(x.IDs[0], "i-")
		if (launch || old(x.At)) && !slices.ContainsFunc(x.IDs, func(id string) bool { return t.exists(region, id) }) {
			stale = append(stale, bytes.Clone(k))
		}
	}
	for _, k := range stale {
		t.remove("token", k)
	}
}

// exists tells whether a thing of that id is stored, of whatever kind.
func (t *txn) exists(region, id string) bool {
	return slices.ContainsFunc(tables, func(name string) bool {
		return name != "tags" && t.Bucket([]byte(name)).Get(rowKey(region, id)) != nil
	})
}
