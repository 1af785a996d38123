package ec2local

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	bolt "go.etcd.io/bbolt"
)

// size is how large the store's file is, and how many rows it has.
func (b *bench) size() (bytes int64, rows map[string]int) {
	b.t.Helper()
	rows = map[string]int{}
	err := b.server.db.View(func(t *bolt.Tx) error {
		bytes = t.Size()
		for _, name := range tables {
			rows[name] = t.Bucket([]byte(name)).Stats().KeyN
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return bytes, rows
}

// TestTheStoreForgetsBuilds leaves of builds that have ended, and of which nothing
// is left, nothing for ever.
func TestTheStoreForgetsBuilds(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Guests, o.Latency = nil, "aws/1000000000" }) // all at once, forgetting too
	_, before := b.size()
	launch := func(token string) string {
		return b.run(func(in *ec2.RunInstancesInput) {
			in.ClientToken = &token
			in.UserData = aws.String("IyEvYmluL3NoCg==")
		})
	}
	terminate := func(ids ...string) {
		must1[*ec2.TerminateInstancesOutput](t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}))
	}
	first := launch("first")
	terminate(first)
	eventually(t, "the instance is forgotten", func() bool { return len(b.server.Inventory().Of("instance")) == 0 })
	_, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{first}})
	wantCode(t, err, "InvalidInstanceID.NotFound")
	if again := launch("first"); again != first {
		t.Errorf("the token made %s, then %s", first, again)
	}
	lasting := launch("lasting")
	ahead := func(d time.Duration) {
		b.stop()
		b.opts.Now = func() time.Time { return time.Now().Add(d) }
		b.opts.Key, b.opts.AnyKey = Key{}, true // its clients have another clock
		b.start()
	}
	ahead(23 * time.Hour)
	if again := launch("first"); again != first {
		t.Errorf("after 23 hours the token made %s", again)
	}
	ahead(25 * time.Hour)
	if again := launch("lasting"); again != lasting {
		t.Errorf("the token of what still runs made %s, then %s", lasting, again)
	}
	second := launch("first")
	if second == first {
		t.Errorf("after 25 hours the token still stands for %s", first)
	}
	terminate(second, lasting)
	eventually(t, "the instances are forgotten", func() bool { return len(b.server.Inventory().Of("instance")) == 0 })
	ahead(50 * time.Hour)
	if _, after := b.size(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("rows before %v, after %v", before, after)
	}
}

// TestTheStoreIsCompacted fills the store, empties it, and starts again.
func TestTheStoreIsCompacted(t *testing.T) {
	b := newBench(t)
	fill := func(n int) {
		err := b.server.update(func(t *txn) error {
			for i := range n {
				t.write("token", rowKey("us-east-1", fmt.Sprintf("RunInstances/%06d", i)), token{Params: fmt.Sprint(i), IDs: []string{"i-0123456789abcdef0"}})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(40_000)
	full, _ := b.size()
	b.stop()
	b.start() // prunes them
	b.stop()
	b.start()
	small, rows := b.size()
	if rows["token"] != 0 || small > full/4 {
		t.Errorf("the store had %d bytes, and has %d", full, small)
	}
	if left, _ := filepath.Glob(filepath.Join(b.opts.Dir, "*.compact")); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
	// What is in it is as it was, and nobody else can have it.
	b.source(xenial)
	if _, err := New(Options{Dir: b.opts.Dir, AnyKey: true}); err == nil {
		t.Error("a second endpoint has the store")
	}
	// A file that was replaced while it was waited for is not served from.
	b.stop()
	path := filepath.Join(b.opts.Dir, "ec2.db")
	waited := make(chan error)
	holder, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, err := lockStore(path); waited <- err }()
	time.Sleep(50 * time.Millisecond)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	holder.Close()
	if err := <-waited; err == nil {
		t.Error("a replaced store is served from")
	}
	os.Rename(path+".old", path)
	b.start()
}
