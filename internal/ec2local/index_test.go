package ec2local

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	bolt "go.etcd.io/bbolt"
)

// checkIndex compares the index with what is stored. Every bench does so in its end.
func (b *bench) checkIndex() {
	b.t.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	err := b.server.view(func(t *txn) error {
		for table, read := range marksOf {
			t.Bucket([]byte(table)).ForEach(func(key, raw []byte) error {
				for _, m := range read(t, raw) {
					want[m.prefix(table)+string(key)] = true
				}
				return nil
			})
		}
		return t.Bucket([]byte(index)).ForEach(func(key, _ []byte) error {
			got[string(key)] = true
			return nil
		})
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		for key := range want {
			if !got[key] {
				b.t.Errorf("the index has no %q", key)
			}
		}
		for key := range got {
			if !want[key] {
				b.t.Errorf("the index has %q, which nothing has", key)
			}
		}
	}
}

// A store that an earlier server has left, which knew no index or another one, has
// the right one from the beginning.
func TestTheIndexIsMadeAnew(t *testing.T) {
	b := newBench(t)
	name := "a name"
	if _, err := b.RegisterImage(ctx, &ec2.RegisterImageInput{Name: &name, RootDeviceName: aws.String("/dev/sda1"), BlockDeviceMappings: []types.BlockDeviceMapping{{
		DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{SnapshotId: b.snapshot()},
	}}}); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*bolt.Tx) error{
		func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(index)) },
		func(tx *bolt.Tx) error { return tx.Bucket([]byte(index)).Put([]byte("image\x00name\x00x"), nil) },
	} {
		b.stop()
		db, err := bolt.Open(b.opts.Dir+"/ec2.db", 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(spoil); err != nil {
			t.Fatal(err)
		}
		db.Close()
		b.start()
		b.checkIndex()
		if ms := b.mustImages(&ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("name"), Values: []string{name}}}}); len(ms) != 1 {
			t.Errorf("%d images are called %q", len(ms), name)
		}
	}
}

// snapshot makes one of an empty volume.
func (b *bench) snapshot() *string {
	b.t.Helper()
	v := must1[*ec2.CreateVolumeOutput](b.t)(b.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(1)}))
	return must1[*ec2.CreateSnapshotOutput](b.t)(b.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: v.VolumeId})).SnapshotId
}

// What a filter finds by the index is what it finds among all: a value with a
// wildcard is looked for there.
func TestFiltersFindTheSameByTheIndex(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Guests = nil })
	tags := func(kind types.ResourceType, v string) []types.TagSpecification {
		return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: aws.String("k"), Value: &v}, {Key: aws.String("all"), Value: aws.String("x")}}}}
	}
	var groups []string
	for _, v := range []string{"", "one", "two", `t\o`, "t*o", "t\x00o"} {
		g := must1[*ec2.CreateSecurityGroupOutput](t)(b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			GroupName: aws.String(fmt.Sprintf("group %d", len(groups))), Description: aws.String("d"), TagSpecifications: tags(types.ResourceTypeSecurityGroup, strings.ReplaceAll(v, "\x00", "\u0001")),
		}))
		groups = append(groups, *g.GroupId)
	}
	b.run(func(in *ec2.RunInstancesInput) { in.TagSpecifications = tags(types.ResourceTypeInstance, "one") })
	find := func(fs ...string) (ids []string) {
		t.Helper()
		in := &ec2.DescribeSecurityGroupsInput{}
		for i := 0; i < len(fs); i += 2 {
			in.Filters = append(in.Filters, types.Filter{Name: &fs[i], Values: strings.Split(fs[i+1], "|")})
		}
		for _, g := range must1[*ec2.DescribeSecurityGroupsOutput](t)(b.DescribeSecurityGroups(ctx, in)).SecurityGroups {
			ids = append(ids, *g.GroupId)
		}
		return ids
	}
	type search struct {
		filters []string
		want    []int
	}
	check := func(cases ...search) {
		t.Helper()
		for _, c := range cases {
			var want []string
			for _, n := range c.want {
				want = append(want, groups[n])
			}
			slices.Sort(want)
			if got := find(c.filters...); !slices.Equal(got, want) {
				t.Errorf("%q: %v, want %v", c.filters, got, want)
			}
		}
	}
	check([]search{
		{[]string{"tag:k", "one"}, []int{1}},
		{[]string{"tag:k", "one|two"}, []int{1, 2}},
		{[]string{"tag:k", "one", "tag:k", "two"}, nil},
		{[]string{"tag:k", "t*o"}, []int{2, 3, 4, 5}},
		{[]string{"tag:k", `t\\o`}, []int{3}},
		{[]string{"tag:k", `t\*o`}, []int{4}},
		{[]string{"tag:k", ""}, []int{0}},
		{[]string{"tag:all", "x", "group-name", "group 2"}, []int{2}},
		{[]string{"group-name", "group 2|group 4"}, []int{2, 4}},
		{[]string{"group-name", "group ?"}, []int{0, 1, 2, 3, 4, 5}},
		{[]string{"group-id", groups[3] + "|" + groups[1] + "|sg-0123456789abcdef0|nonsense"}, []int{1, 3}},
		{[]string{"group-id", groups[3], "tag:k", "one"}, nil},
	}...)
	described := func(fs ...string) (n int) {
		t.Helper()
		in := &ec2.DescribeTagsInput{}
		for i := 0; i < len(fs); i += 2 {
			in.Filters = append(in.Filters, types.Filter{Name: &fs[i], Values: []string{fs[i+1]}})
		}
		return len(must1[*ec2.DescribeTagsOutput](t)(b.DescribeTags(ctx, in)).Tags)
	}
	for _, c := range []struct {
		filters []string
		want    int
	}{
		{[]string{"key", "k", "value", "one"}, 2}, {[]string{"key", "k", "value", "t*"}, 4}, {[]string{"resource-id", groups[0]}, 2}, {nil, 14},
		{[]string{"key", "k", "value", "one", "resource-id", groups[1]}, 1}, {[]string{"key", "k", "value", "one", "resource-type", "instance"}, 1},
	} {
		if got := described(c.filters...); got != c.want {
			t.Errorf("%q: %d tags, want %d", c.filters, got, c.want)
		}
	}

	// And when things have changed. That nothing of what they were is in the index is
	// looked for in the end.
	must1[*ec2.CreateTagsOutput](t)(b.CreateTags(ctx, &ec2.CreateTagsInput{Resources: groups[1:2], Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("two")}}}))
	must1[*ec2.DeleteTagsOutput](t)(b.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: groups[2:3], Tags: []types.Tag{{Key: aws.String("k")}}}))
	must1[*ec2.DeleteSecurityGroupOutput](t)(b.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &groups[4]}))
	check(
		search{[]string{"tag:k", "one"}, nil}, search{[]string{"tag:k", "two"}, []int{1}}, search{[]string{"tag:k", `t\*o`}, nil},
		search{[]string{"group-name", "group 2|group 4"}, []int{2}}, search{[]string{"tag:all", "x"}, []int{0, 1, 2, 3, 5}},
	)
	if n := described("key", "k", "value", "two"); n != 1 {
		t.Errorf("%d tags have the new value", n)
	}
}

// What a build costs does not depend on how many there were and are: what its calls
// allocate among 300 instances and their images is about what it is among 30.
func TestABuildCostsTheSameAmongMany(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Guests = nil })
	n, source := 0, b.source(xenial).ImageId
	build := func() {
		n++
		name, token := fmt.Sprintf("image-%d", n), fmt.Sprintf("token-%d", n)
		tags := func(kind types.ResourceType) types.TagSpecification {
			return types.TagSpecification{ResourceType: kind, Tags: []types.Tag{{Key: aws.String("token"), Value: &token}, {Key: aws.String("run"), Value: aws.String("r1")}}}
		}
		id := *must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: source, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ClientToken: &token,
			TagSpecifications: []types.TagSpecification{tags(types.ResourceTypeInstance), tags(types.ResourceTypeVolume)},
		})).Instances[0].InstanceId
		for _, f := range []types.Filter{{Name: aws.String("instance-id"), Values: []string{id}}, {Name: aws.String("tag:token"), Values: []string{token}}} {
			if out, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{f}}); err != nil || len(out.Reservations) != 1 {
				t.Fatalf("%d, %v", len(out.Reservations), err)
			}
		}
		must1[*ec2.StopInstancesOutput](t)(b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))
		m := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: &name, TagSpecifications: []types.TagSpecification{tags(types.ResourceTypeImage), tags(types.ResourceTypeSnapshot)}}))
		for _, f := range []types.Filter{{Name: aws.String("image-id"), Values: []string{*m.ImageId}}, {Name: aws.String("name"), Values: []string{name}}} {
			if ms := b.mustImages(&ec2.DescribeImagesInput{Filters: []types.Filter{f}, Owners: []string{"self"}}); len(ms) != 1 || ms[0].State != "available" {
				t.Fatalf("%+v", ms)
			}
		}
		if out, err := b.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{Filters: []types.Filter{{Name: aws.String("tag:token"), Values: []string{token}}}}); err != nil || len(out.Snapshots) != 1 {
			t.Fatalf("%d, %v", len(out.Snapshots), err)
		}
		must1[*ec2.CreateTagsOutput](t)(b.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{*m.ImageId}, Tags: []types.Tag{{Key: aws.String("ready"), Value: aws.String("yes")}}}))
		if n%2 == 0 { // the others stay
			must1[*ec2.TerminateInstancesOutput](t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))
		}
	}
	cost := func() float64 {
		const builds = 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range builds {
			build()
		}
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc-before.TotalAlloc) / builds
	}
	b.server.db.NoSync = true // that is not what is measured
	fill := func(to int) {
		for n < to {
			build()
		}
	}
	fill(30)
	few := cost()
	fill(300)
	many := cost()
	t.Logf("a build allocates %.0f KiB among 30, %.0f KiB among 300", few/1024, many/1024)
	if many > 1.6*few {
		t.Errorf("a build allocates %.0f KiB among 30, and %.0f KiB among 300", few/1024, many/1024)
	}
}

// A name that is a prefix of another one, or looks like two values, is no other.
func TestMarksAreExact(t *testing.T) {
	a, b := mark{"n", "a"}, mark{"n", "a\x00b"}
	if p := []byte(a.prefix("t")); bytes.HasPrefix([]byte(b.prefix("t")), p) || bytes.HasPrefix([]byte(mark{"n", "ab"}.prefix("t")), p) || bytes.HasPrefix([]byte(mark{"n", `a"`}.prefix("t")), p) {
		t.Error("one mark begins with another one")
	}
	now := dueMark(time.Unix(1e9, 0)).value
	if later := dueMark(time.Unix(1e9, 0).Add(1)).value; later <= now {
		t.Errorf("%s is not before %s", now, later)
	}
}
