package ec2local

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestParseFaults(t *testing.T) {
	got, err := ParseFaults("throttle=0.2, error=0.05,reset=0.03,lag=5s,capacity=0.1,lostreply=0.02,spot=1m,reclaims=2,token=1h,full=spot+t2.micro@us-east-1a,seed=42")
	want := Faults{Throttle: 0.2, Error: 0.05, Reset: 0.03, Lag: 5 * time.Second, Capacity: 0.1, LostReply: 0.02, Spot: time.Minute, Reclaims: 2, Token: time.Hour, Full: "spot+t2.micro@us-east-1a", Seed: 42}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if f, err := ParseFaults("throttle=aws"); err != nil || !f.Buckets {
		t.Errorf("%+v, %v", f, err)
	}
	for text, why := range map[string]string{
		"throttle": "name=value", "throttle=2": "between 0 and 1", "lag=soon": "a time such as", "seed=x": "whole number",
		"weather=bad": "there are capacity, error, full, lag", "full=t9.huge": "neither spot nor a type", "reclaims=0": "a whole number from 1", "error=NaN": "between 0 and 1", "spot=-1s": "a time such as",
	} {
		if _, err := ParseFaults(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", text, err, why)
		}
	}
}

// TestFaultsRepeat makes the same calls against endpoints of the same seed.
func TestFaultsRepeat(t *testing.T) {
	run := func(seed uint64) (codes []string) {
		b := newBench(t, func(o *Options) {
			o.Faults = Faults{Throttle: 0.2, Error: 0.2, Reset: 0.1, LostReply: 0.1, Capacity: 0.3, Seed: seed}
		})
		note := func(err error) {
			c := code(err)
			if strings.Contains(c, "reset by peer") || strings.Contains(c, "EOF") {
				c = "cut"
			}
			codes = append(codes, c)
		}
		for range 40 {
			_, err := b.DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
			note(err)
			_, err = b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &catalogue("us-east-1")[0].ID, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			note(err)
		}
		return codes
	}
	a, again, other := run(1), run(1), run(2)
	if !reflect.DeepEqual(a, again) {
		t.Errorf("the same seed made\n%v\n%v", a, again)
	}
	if reflect.DeepEqual(a, other) {
		t.Error("another seed made the same faults")
	}
	seen := strings.Join(a, " ")
	for _, want := range []string{"RequestLimitExceeded", "InternalError", "Unavailable", "InsufficientInstanceCapacity", "cut"} {
		if !strings.Contains(seen, want) {
			t.Errorf("no %s in %v", want, a)
		}
	}
}

// TestLostReply finds the effect of a call whose answer never came, and none of
// a call whose connection was cut before.
func TestLostReply(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Faults = Faults{LostReply: 1} })
	if _, err := b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("d")}); err == nil || code(err) == "g" {
		t.Error("the answer came")
	}
	if made := b.server.Inventory().Made(); len(made) != 1 {
		t.Errorf("there are %+v", made)
	}
	c := newBench(t, func(o *Options) { o.Faults = Faults{Reset: 1} })
	if _, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("d")}); err == nil {
		t.Error("the answer came")
	}
	if made := c.server.Inventory().Made(); len(made) != 0 {
		t.Errorf("there are %+v", made)
	}
}

// A testClock stands still but for its test.
type testClock struct{ at atomic.Int64 }

func newTestClock() *testClock {
	c := &testClock{}
	c.at.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *testClock) now() time.Time      { return time.Unix(0, c.at.Load()) }
func (c *testClock) add(d time.Duration) { c.at.Add(int64(d)) }

// TestLag sees new things and tags late, and never twice differently.
func TestLag(t *testing.T) {
	clock := newTestClock()
	b := newBench(t, func(o *Options) {
		o.Faults = Faults{Lag: 10 * time.Second, Seed: 3}
		o.Now, o.Key, o.AnyKey = clock.now, Key{}, true // its clients have another clock
		o.Guests = nil
	})
	g := must1[*ec2.CreateSecurityGroupOutput](t)(b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("g"), Description: aws.String("d"),
		TagSpecifications: []types.TagSpecification{{ResourceType: "security-group", Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}},
	}))
	see := func() error {
		_, err := b.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*g.GroupId}})
		return err
	}
	wantCode(t, see(), "InvalidGroup.NotFound")
	_, err := b.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, IpProtocol: aws.String("tcp"), FromPort: aws.Int32(1), ToPort: aws.Int32(1), CidrIp: aws.String("0.0.0.0/0")})
	wantCode(t, err, "InvalidGroup.NotFound")
	_, err = b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("d")})
	wantCode(t, err, "InvalidGroup.Duplicate")
	clock.add(10 * time.Second)
	wantCode(t, see(), "")
	must1[*ec2.CreateTagsOutput](t)(b.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{*g.GroupId}, Tags: []types.Tag{{Key: aws.String("late"), Value: aws.String("v")}}}))
	find := func() int {
		out := must1[*ec2.DescribeSecurityGroupsOutput](t)(b.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filterBy("tag:late", "v")}))
		return len(out.SecurityGroups)
	}
	if find() != 0 {
		t.Error("the tag shows at once")
	}
	clock.add(10 * time.Second)
	if find() != 1 {
		t.Error("the tag does not show")
	}
	if id := b.run(); code(func() error {
		_, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		return err
	}()) != "InvalidInstanceID.NotFound" {
		t.Error("the instance shows at once")
	}
}

// TestProfilesAreKnownLate: EC2 hears of a profile after IAM shows it with its role.
func TestProfilesAreKnownLate(t *testing.T) {
	clock := newTestClock()
	b := newBench(t, func(o *Options) {
		o.Faults = Faults{Lag: 10 * time.Second, Seed: 3}
		o.Now, o.Key, o.AnyKey = clock.now, Key{}, true // its clients have another clock
		o.Guests = nil
	})
	iam := func(pairs ...string) string {
		t.Helper()
		status, body := b.raw("iam", "2010-05-08", pairs...)
		if status != 200 {
			t.Fatalf("%v: %d %s", pairs, status, body)
		}
		return body
	}
	iam("Action", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", "{}", "Tags.member.1.Key", "a", "Tags.member.1.Value", "b")
	iam("Action", "CreateInstanceProfile", "InstanceProfileName", "p", "Path", "/x/")
	clock.add(10 * time.Second)
	iam("Action", "AddRoleToInstanceProfile", "InstanceProfileName", "p", "RoleName", "r")
	if body := iam("Action", "GetInstanceProfile", "InstanceProfileName", "p"); !strings.Contains(body, "<RoleName>r</RoleName>") {
		t.Error(body)
	}
	run := func() (int, string) {
		return b.ec2("Action", "RunInstances", "MinCount", "1", "MaxCount", "1", "InstanceType", "t2.micro", "ImageId", *b.source(xenial).ImageId, "IamInstanceProfile.Name", "p")
	}
	if status, body := run(); status != 400 || !strings.Contains(body, "Invalid IAM Instance Profile name") {
		t.Errorf("EC2 knows the profile at once: %d %s", status, body)
	}
	clock.add(10 * time.Second)
	if status, body := run(); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	for _, i := range b.server.Inventory().Of("role") {
		if i.Tags["a"] != "b" {
			t.Errorf("the role in the inventory has the tags %v", i.Tags)
		}
	}
}

// TestBuckets exceeds the published rate of launches, and of nothing else.
func TestBuckets(t *testing.T) {
	clock := newTestClock()
	b := newBench(t, func(o *Options) {
		o.Faults = Faults{Buckets: true}
		o.Now, o.Key, o.AnyKey = clock.now, Key{}, true // its clients have another clock
		o.Guests = nil
	})
	run := func() error {
		_, err := b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &catalogue("us-east-1")[0].ID, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
		return err
	}
	for range 5 {
		wantCode(t, run(), "")
	}
	wantCode(t, run(), "RequestLimitExceeded")
	clock.add(time.Second)
	wantCode(t, run(), "")
	wantCode(t, run(), "")
	wantCode(t, run(), "RequestLimitExceeded")
	for i := range 60 {
		_, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
		if want := map[bool]string{true: "RequestLimitExceeded"}[i >= 50]; code(err) != want {
			t.Fatalf("unfiltered call %d: %v", i, err)
		}
	}
	_, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: filterBy("instance-type", "t2.micro")})
	wantCode(t, err, "")
}

func TestSpotReclaim(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Faults = Faults{Spot: 50 * time.Millisecond} })
	stays := b.run()
	id := b.run(func(in *ec2.RunInstancesInput) {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: "spot"}
	})
	if i := b.until(id, "terminated"); *i.StateReason.Code != "Server.SpotInstanceTermination" {
		t.Errorf("%+v", i.StateReason)
	}
	b.until(stays, "running")
}

func TestAdmin(t *testing.T) {
	b := newBench(t)
	id := b.run()
	get := func(path string, header ...string) *http.Response {
		req, _ := http.NewRequest(http.MethodGet, b.http.URL+path, nil)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		sign(t, req, nil, keyOfTests, "ec2", time.Now())
		return must1[*http.Response](t)(http.DefaultClient.Do(req))
	}
	resp := get("/_ec2local/inventory")
	var v Inventory
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := v.Of("instance"); len(got) != 1 || got[0].ID != id || got[0].Region != "us-east-1" {
		t.Errorf("%+v", got)
	}
	if resp := get("/_ec2local/inventory", "Origin", "http://example.com"); resp.StatusCode != 403 {
		t.Errorf("a page of a browser got %s", resp.Status)
	}
	if resp := get("/_ec2local/else"); resp.StatusCode != 404 {
		t.Errorf("%s", resp.Status)
	}
	lease := get("/_ec2local/lease")
	if b.server.Leases() != 1 {
		t.Errorf("%d leases", b.server.Leases())
	}
	lease.Body.Close()
	eventually(t, "the lease is given back", func() bool { return b.server.Leases() == 0 })
	second := get("/_ec2local/lease")
	b.server.cancel()
	io.Copy(io.Discard, second.Body) // ends with the server
}
