package aws

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// stage is what the calls that come after a launch are about.
type stage struct {
	*world
	ctx     context.Context
	source  SourceImage
	stopped Stopped
	image   ReadyImage
	n       int
}

func newStage(t *testing.T) *stage {
	w := newWorld(t, ec2local.Faults{})
	i, source := w.launched("launch")
	s := &stage{world: w, ctx: t.Context(), source: source, stopped: w.rest(i)}
	made, err := CreateImage{From: dag.Lit(s.stopped), Name: "stage"}.Do(s.ctx, w.cloud, task("image"))
	if err != nil {
		t.Fatal(err)
	}
	if s.image, err = (ImageReady{Image: dag.Lit(made)}).Do(s.ctx, w.cloud, task("ready")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) task() *dag.Task {
	s.n++
	return task(fmt.Sprintf("t-%d", s.n))
}

// These send what the options say, as the steps of a build do.

func (s *stage) create(b *EBS) error {
	_, err := CreateImage{From: dag.Lit(s.stopped), Name: b.AMIName, Description: b.AMIDescription, Tags: b.imageTags(),
		SnapshotTags: withBlocks(b.SnapshotTags, b.SnapshotTag), Mappings: b.AMIMappings}.Do(s.ctx, s.cloud, s.task())
	return err
}

func (s *stage) copy(b *EBS) error {
	of := s.image
	of.Name = b.AMIName
	_, err := CopyImage{Place: Place{Region: "us-west-2"}, Of: dag.Lit(of), Description: b.AMIDescription, Tags: b.imageTags(),
		SnapshotTags: withBlocks(b.SnapshotTags, b.SnapshotTag), Minutes: b.SnapshotCopyMinutes}.Do(s.ctx, s.cloud, s.task())
	return err
}

func (s *stage) share(b *EBS) error {
	of := dag.Lit(s.image)
	var errs []error
	do := func(step dag.Step[*Cloud, Attributed]) {
		_, err := step.Do(s.ctx, s.cloud, s.task())
		errs = append(errs, err)
	}
	if len(b.Sharing.launchers()) > 0 {
		do(Share{Of: of, Sharing: b.Sharing.launching()})
	}
	if len(b.Sharing.readers()) > 0 {
		do(ShareSnapshots{Of: of, Users: b.SnapshotUsers, Groups: b.SnapshotGroups})
	}
	if len(b.ProductCodes) > 0 {
		do(AddProductCodes{Of: of, Codes: b.ProductCodes})
	}
	return errors.Join(errs...)
}

func (s *stage) deprecate(b *EBS) error {
	_, err := Deprecate{Of: dag.Lit(s.image), At: b.DeprecateAt}.Do(s.ctx, s.cloud, s.task())
	return err
}

func (s *stage) imds(b *EBS) error {
	_, err := s.site().api.ModifyImageAttribute(s.ctx, &ec2.ModifyImageAttributeInput{ImageId: &s.image.ID, ImdsSupport: &types.AttributeValue{Value: &b.IMDSSupport}})
	return err
}

func (s *stage) start(b *EBS) error {
	l := s.launch(s.source)
	l.MachineOptions, l.KeyName, l.GroupIDs = b.MachineOptions, b.KeyPairName, b.groupIDs()
	_, err := l.Do(s.ctx, s.cloud, s.task())
	return err
}

func (s *stage) sendUserData(b *EBS) error {
	_, err := s.site().api.RunInstances(s.ctx, &ec2.RunInstancesInput{ImageId: &s.source.ID, InstanceType: "t2.micro", MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)),
		UserData: ptr(base64.StdEncoding.EncodeToString([]byte(b.UserData)))})
	return err
}

func (s *stage) find(b *EBS) error {
	_, err := Source{Place: here, SourceOptions: b.SourceOptions}.Do(s.ctx, s.cloud, s.task())
	return err
}

func (s *stage) network(b *EBS) error {
	_, err := FindNetwork{Place: here, NetworkOptions: b.NetworkOptions, GroupIDs: b.groupIDs()}.Do(s.ctx, s.cloud, s.task())
	return err
}

func (s *stage) key(b *EBS) error {
	_, err := ImportKey{Place: here, Name: b.TemporaryKeyName, Key: dag.Lit(comm.Key{Public: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVmPnPqMGOwIYBiCAnZR2PkBxpUUPNXQuS0Y9sqHnzy test"})}.Do(s.ctx, s.cloud, s.task())
	return err
}

// tag puts tags on the finished image alone, without ours.
func (s *stage) tag(b *EBS) error {
	tags, err := filledTags(s.task(), "tags", b.imageTags())
	if err != nil {
		return err
	}
	return s.site().setTags(s.ctx, tags, s.image.ID)
}

func volumes(ds ...BlockDevice) func(*EBS) { return func(b *EBS) { b.AMIMappings = ds } }

// later is a time in RFC 3339.
func later(years, days int) string {
	return time.Now().AddDate(years, 0, days).UTC().Format(time.RFC3339)
}

// limits are the rules of docs/limits.md. Each is broken once: the options are told
// so at a field, and the embedded EC2 refuses the call.
var limits = map[string]struct {
	field string
	spoil func(*EBS)
	send  func(*stage, *EBS) error
}{
	"name-length":        {"ami_name", func(b *EBS) { b.AMIName = strings.Repeat("n", 129) }, (*stage).create},
	"name-characters":    {"ami_name", func(b *EBS) { b.AMIName = "image:1" }, (*stage).create},
	"description-length": {"ami_description", func(b *EBS) { b.AMIDescription = dag.Text(strings.Repeat("d", 256)) }, (*stage).create},
	"description-ascii":  {"ami_description", func(b *EBS) { b.AMIDescription = "today – or tomorrow" }, (*stage).create},
	"copy-description":   {"ami_description", func(b *EBS) { b.AMIDescription = "今日" }, (*stage).copy},
	"copy-name":          {"ami_name", func(b *EBS) { b.AMIName = "ab" }, (*stage).copy},
	"copy-minutes":       {"snapshot_copy_duration_minutes", func(b *EBS) { b.AMIRegions, b.SnapshotCopyMinutes = []string{"us-west-2"}, 2895 }, (*stage).copy},
	"tag-key-length":     {"tags." + strings.Repeat("k", 129), func(b *EBS) { b.Tags = map[dag.Text]dag.Text{dag.Text(strings.Repeat("k", 129)): ""} }, (*stage).create},
	"tag-key-empty":      {"tag[0].key", func(b *EBS) { b.Tag = []KeyValue{{Value: "v"}} }, (*stage).create},
	"tag-value-length":   {"tags.k", func(b *EBS) { b.Tags = map[dag.Text]dag.Text{"k": dag.Text(strings.Repeat("ü", 257))} }, (*stage).create},
	"tag-aws":            {"tags.aws:name", func(b *EBS) { b.Tags = map[dag.Text]dag.Text{"aws:name": ""} }, (*stage).create},
	"tag-count":          {"tags", func(b *EBS) { b.Tags = many[dag.Text]("t", 51) }, (*stage).tag},
	"snapshot-tag":       {"snapshot_tags.AWS:name", func(b *EBS) { b.SnapshotTags = map[dag.Text]dag.Text{"AWS:name": ""} }, (*stage).create},
	"copy-tag":           {"snapshot_tag[0].value", func(b *EBS) { b.SnapshotTag = []KeyValue{{"k", dag.Text(strings.Repeat("v", 257))}} }, (*stage).copy},
	"run-tag":            {"run_tags.aws:x", func(b *EBS) { b.RunTags = map[dag.Text]dag.Text{"aws:x": ""} }, (*stage).start},
	"volume-tag":         {"run_volume_tag[0].key", func(b *EBS) { b.RunVolumeTag = []VolumeTag{{Key: "aws:x"}} }, (*stage).start},
	"metadata-tag":       {"run_tags.Patch Group", func(b *EBS) { b.RunTags, b.Metadata.Tags = map[dag.Text]dag.Text{"Patch Group": "x"}, "enabled" }, (*stage).start},
	"user":               {"ami_users[0]", func(b *EBS) { b.Users = []string{"12345678901"} }, (*stage).share},
	"user-empty":         {"ami_users[0]", func(b *EBS) { b.Users = []string{""} }, (*stage).share},
	"group":              {"ami_groups[0]", func(b *EBS) { b.Groups = []string{"everybody"} }, (*stage).share},
	"organization":       {"ami_org_arns[0]", func(b *EBS) { b.OrgARNs = []string{"arn:aws:organizations::123456789012:account/o-0123456789"} }, (*stage).share},
	"unit":               {"ami_ou_arns[0]", func(b *EBS) { b.OUARNs = []string{"arn:aws:organizations::123456789012:ou/path/to"} }, (*stage).share},
	"product-code":       {"ami_product_codes[0]", func(b *EBS) { b.ProductCodes = []string{"a b"} }, (*stage).share},
	"snapshot-user":      {"snapshot_users[0]", func(b *EBS) { b.SnapshotUsers = []string{"me"} }, (*stage).share},
	"snapshot-group":     {"snapshot_groups[0]", func(b *EBS) { b.SnapshotGroups = []string{"self"} }, (*stage).share},
	"imds":               {"imds_support", func(b *EBS) { b.IMDSSupport = "v1.0" }, (*stage).imds},
	"deprecate-past":     {"deprecate_at", func(b *EBS) { b.DeprecateAt = later(0, -1) }, (*stage).deprecate},
	"deprecate-far":      {"deprecate_at", func(b *EBS) { b.DeprecateAt = later(10, 2) }, (*stage).deprecate},
	"deprecate-public": {"deprecate_at", func(b *EBS) { b.DeprecateAt, b.Groups = later(2, 2), []string{"all"} }, func(s *stage, b *EBS) error {
		if err := s.share(b); err != nil {
			s.t.Fatal(err)
		}
		return s.deprecate(b)
	}},
	"device-name":       {"ami_block_device_mappings[0].device_name", volumes(BlockDevice{DeviceName: "/dev/nvme1n1", VolumeSize: 1}), (*stage).create},
	"device-missing":    {"ami_block_device_mappings[0].device_name", volumes(BlockDevice{VolumeSize: 1}), (*stage).create},
	"device-twice":      {"ami_block_device_mappings[1].device_name", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeSize: 1}, BlockDevice{DeviceName: "/dev/sdf", VolumeSize: 2}), (*stage).create},
	"virtual-name":      {"ami_block_device_mappings[0].virtual_name", volumes(BlockDevice{DeviceName: "/dev/sdf", VirtualName: "ephemeral24"}), (*stage).create},
	"size-missing":      {"ami_block_device_mappings[0].volume_size", volumes(BlockDevice{DeviceName: "/dev/sdf"}), (*stage).create},
	"size-range":        {"ami_block_device_mappings[0].volume_size", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "st1", VolumeSize: 124}), (*stage).create},
	"volume-type":       {"ami_block_device_mappings[0].volume_type", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "ssd", VolumeSize: 1}), (*stage).create},
	"snapshot-id":       {"ami_block_device_mappings[0].snapshot_id", volumes(BlockDevice{DeviceName: "/dev/sdf", SnapshotID: "snap-1"}), (*stage).create},
	"iops-missing":      {"ami_block_device_mappings[0].iops", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "io1", VolumeSize: 10}), (*stage).create},
	"iops-range":        {"ami_block_device_mappings[0].iops", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "gp3", VolumeSize: 1000, IOPS: 80001}), (*stage).create},
	"iops-ratio":        {"ami_block_device_mappings[0].iops", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "io2", VolumeSize: 10, IOPS: 10001}), (*stage).create},
	"throughput-type":   {"ami_block_device_mappings[0].throughput", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "gp2", VolumeSize: 1, Throughput: 200}), (*stage).create},
	"throughput-range":  {"ami_block_device_mappings[0].throughput", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "gp3", VolumeSize: 100, IOPS: 9000, Throughput: 2001}), (*stage).create},
	"throughput-ratio":  {"ami_block_device_mappings[0].throughput", volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "gp3", VolumeSize: 100, IOPS: 3000, Throughput: 751}), (*stage).create},
	"attached-snapshot": {"ami_block_device_mappings[0].snapshot_id", func(b *EBS) { attached(b).SnapshotID = "snap-0123456789abcdef0" }, (*stage).create},
	"attached-smaller":  {"ami_block_device_mappings[0].volume_size", func(b *EBS) { attached(b).VolumeSize = 7 }, (*stage).create},
	"launch-device-twice": {"launch_block_device_mappings[1].device_name", func(b *EBS) {
		b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1}, {DeviceName: "/dev/sdf", VolumeSize: 1}}
	}, (*stage).start},
	"user-data":         {"user_data", func(b *EBS) { b.UserData = strings.Repeat("#", maxUserData+1) }, (*stage).sendUserData},
	"shutdown-behavior": {"shutdown_behavior", func(b *EBS) { b.ShutdownBehavior = "hibernate" }, (*stage).start},
	"instance-type":     {"instance_type", func(b *EBS) { b.InstanceType = "t3micro" }, (*stage).start},
	"profile":           {"iam_instance_profile", func(b *EBS) { b.InstanceProfile = "arn:aws:iam::123456789012:instance-profile/x" }, (*stage).start},
	"hop-limit":         {"metadata_options.http_put_response_hop_limit", func(b *EBS) { b.Metadata.HopLimit = 65 }, (*stage).start},
	"metadata-disabled": {"metadata_options.http_endpoint", func(b *EBS) { b.Metadata.HTTPEndpoint, b.Metadata.HTTPTokens = "disabled", "required" }, (*stage).start},
	"source":            {"source_ami", func(b *EBS) { b.SourceOptions = SourceOptions{SourceAMI: "ubuntu-22.04"} }, (*stage).find},
	"owner":             {"source_ami_filter.owners[0]", func(b *EBS) { b.Filter.Owners = []string{"12345678901"} }, (*stage).find},
	"vpc":               {"vpc_id", func(b *EBS) { b.VPC = "vpc-1" }, (*stage).network},
	"subnet":            {"subnet_id", func(b *EBS) { b.Subnet = "mine" }, (*stage).network},
	"security-group":    {"security_group_ids[0]", func(b *EBS) { b.GroupIDs = []string{"default"} }, (*stage).network},
	"key-name":          {"temporary_key_pair_name", func(b *EBS) { b.TemporaryKeyName = "clé" }, (*stage).key},
}

// attached gives the image a block for a volume that the launch makes.
func attached(b *EBS) *BlockDevice {
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sda1", VolumeSize: 8}}
	b.AMIMappings = []BlockDevice{{DeviceName: "/dev/sda1"}}
	return &b.AMIMappings[0]
}

// Every rule is told by the options alone, at its place, and the endpoint is as strict.
func TestLimits(t *testing.T) {
	s := newStage(t)
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		l := limits[name]
		b := template()
		b.AMIName = name // what an endpoint took before does not stand in the way
		l.spoil(b)
		var fs []steps.OptionError
		for _, f := range b.Check() {
			if !f.Harmless || f.Doubtful {
				fs = append(fs, f)
			}
		}
		if len(fs) != 1 || fs[0].Field != l.field {
			t.Errorf("%s: the options say %v, want one fault at %s", name, fs, l.field)
		}
		err := l.send(s, b)
		if code, _ := apiError(err); code == "" {
			t.Errorf("%s: the endpoint says %v", name, err)
		}
	}
	for _, l := range []string{"user-data"} { // what is just small enough
		b := template()
		b.UserData = strings.Repeat("#", maxUserData)
		if err := limits[l].send(s, b); err != nil || len(b.Check()) > 0 {
			t.Errorf("%s: %v, %v", l, err, b.Check())
		}
	}
}

// More than EC2 took when its limits were read is a warning, and less than it takes is refused.
func TestBeyondTheLimits(t *testing.T) {
	for _, c := range []struct {
		d     BlockDevice
		field string
		doubt bool
	}{
		{BlockDevice{VolumeType: "gp3", VolumeSize: 65537}, "volume_size", true},
		{BlockDevice{VolumeType: "st1", VolumeSize: 124}, "volume_size", false},
		{BlockDevice{VolumeType: "gp3", VolumeSize: 1000, IOPS: 80001}, "iops", true},
		{BlockDevice{VolumeType: "io1", VolumeSize: 10, IOPS: 501}, "iops", true},
		{BlockDevice{VolumeType: "io1", VolumeSize: 10, IOPS: 99}, "iops", false},
		{BlockDevice{VolumeType: "gp3", VolumeSize: 100, IOPS: 10000, Throughput: 2001}, "throughput", true},
		{BlockDevice{VolumeType: "gp3", VolumeSize: 100, Throughput: 124}, "throughput", false},
	} {
		c.d.DeviceName = "/dev/sdf"
		b := template()
		b.LaunchMappings = []BlockDevice{c.d}
		fs := b.Check()
		if len(fs) != 1 || fs[0].Field != launchMappings+"[0]."+c.field || fs[0].Doubtful != c.doubt || c.doubt && !strings.Contains(fs[0].Text, limitsRead) {
			t.Errorf("%+v: %+v", c.d, fs)
		}
	}
}

// What is at the limit is no fault, and EC2 takes it.
func TestAtTheLimits(t *testing.T) {
	s := newStage(t)
	for name, c := range map[string]struct {
		set  func(*EBS)
		send func(*stage, *EBS) error
	}{
		"name": {func(b *EBS) { b.AMIName = strings.Repeat("n", 128) }, (*stage).create},
		"description": {func(b *EBS) {
			b.AMIName, b.AMIDescription = "d", dag.Text(strings.Repeat("d", 254)+"~")
			b.AMIName = "described"
		}, (*stage).create},
		"tag": {func(b *EBS) {
			b.AMIName, b.Tags = "tagged", map[dag.Text]dag.Text{dag.Text(strings.Repeat("ü", 128)): dag.Text(strings.Repeat("ü", 256)), "x-aws:": ""}
		}, (*stage).create},
		"tags": {func(b *EBS) { b.AMIName, b.Tags = "many", many[dag.Text]("t", 50) }, (*stage).create},
		"gp3": {func(b *EBS) {
			b.AMIName = "gp3"
			volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "gp3", VolumeSize: 65536, IOPS: 80000, Throughput: 2000})(b)
		}, (*stage).create},
		"gp3small": {func(b *EBS) {
			b.AMIName = "gp3small"
			volumes(BlockDevice{DeviceName: "xvdf", VolumeType: "gp3", VolumeSize: 1, IOPS: 3000, Throughput: 750})(b)
		}, (*stage).create},
		"io1": {func(b *EBS) {
			b.AMIName = "io1"
			volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "io1", VolumeSize: 10, IOPS: 500})(b)
		}, (*stage).create},
		"io2": {func(b *EBS) {
			b.AMIName = "io2"
			volumes(BlockDevice{DeviceName: "/dev/sdf", VolumeType: "io2", VolumeSize: 256, IOPS: 256000})(b)
		}, (*stage).create},
		"attached": {func(b *EBS) { b.AMIName = "attached"; attached(b).VolumeSize = 8 }, (*stage).create},
		"share": {func(b *EBS) {
			b.Sharing = Sharing{Users: []string{"012345678901"}, Groups: []string{"all"}, OrgARNs: []string{"arn:aws-us-gov:organizations::123456789012:organization/o-0123456789"},
				OUARNs: []string{"arn:aws:organizations::123456789012:ou/o-0123456789/ou-ab12-01234567"}, ProductCodes: []string{"774F4FF8"},
				SnapshotUsers: []string{"123456789012"}, SnapshotGroups: []string{"all"}}
		}, (*stage).share},
		"deprecate": {func(b *EBS) { b.DeprecateAt = later(1, 300) }, (*stage).deprecate},
	} {
		b := template()
		c.set(b)
		if fs := b.Check(); len(fs) > 0 {
			t.Errorf("%s: %v", name, fs)
		}
		if err := c.send(s, b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A limitsRow is one row of the table in docs/limits.md.
type limitsRow struct{ call, parameter, cases string }

func limitsTable(t *testing.T) (rows []limitsRow) {
	p, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(p)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 9 || !strings.Contains(cells[1], "`") {
			continue
		}
		for _, call := range code.FindAllStringSubmatch(cells[1], -1) {
			for _, parameter := range code.FindAllStringSubmatch(cells[2], -1) {
				rows = append(rows, limitsRow{call[1], parameter[1], cells[6]})
			}
		}
	}
	return rows
}

// Every rule of the table is tested, and every test is in the table.
func TestLimitsTable(t *testing.T) {
	named := map[string]bool{}
	for _, r := range limitsTable(t) {
		for _, name := range strings.Fields(r.cases) {
			name = strings.Trim(name, "`,")
			named[name] = true
			if _, ok := limits[name]; !ok {
				t.Errorf("%s %s: there is no test %s", r.call, r.parameter, name)
			}
		}
	}
	for name := range limits {
		if !named[name] {
			t.Errorf("docs/limits.md does not have %s", name)
		}
	}
}

// Every parameter that a build sends in a call which changes something is in the
// table, and no parameter of a call that comes after the launch is there in vain.
func TestLimitsTableHasEveryParameter(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var mu sync.Mutex
	sent := map[[2]string]bool{}
	number := regexp.MustCompile(`\.\d+`)
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, form url.Values) bool {
		mu.Lock()
		defer mu.Unlock()
		for p := range form {
			if p != "Action" && p != "Version" {
				sent[[2]string{action, number.ReplaceAllString(p, "")}] = true
			}
		}
		return false
	})
	b := template()
	b.Communicator, b.SSH.Username, b.InstanceType = "ssh", "ubuntu", "t2.micro"
	b.AMIDescription, b.IMDSSupport, b.DeprecateAt = "made from another", "v2.0", later(1, 0)
	b.AMIRegions, b.SnapshotCopyMinutes = []string{"us-west-2"}, 15
	b.Tags, b.SnapshotTags, b.RunTags, b.RunVolumeTags = many[dag.Text]("t", 46), many[dag.Text]("s", 1), many[dag.Text]("r", 1), many[dag.Text]("v", 1)
	b.Sharing = Sharing{Users: []string{"210987654321"}, Groups: []string{"all"}, OrgARNs: []string{"arn:aws:organizations::123456789012:organization/o-0123456789"},
		OUARNs: []string{"arn:aws:organizations::123456789012:ou/o-0123456789/ou-ab12-01234567"}, ProductCodes: []string{"774F4FF8"},
		SnapshotUsers: []string{"210987654321"}, SnapshotGroups: []string{"all"}}
	yes := true
	b.Protection, b.ENASupport, b.SriovSupport = Protection{Enabled: true, WithCooldown: true}, &yes, true
	b.ForceDeregister, b.ForceDeleteSnapshot, b.ShutdownBehavior = true, true, "terminate"
	b.Metadata = Metadata{HTTPEndpoint: "enabled", HTTPTokens: "required", HopLimit: 2, Tags: "enabled"}
	b.UserData, b.CapacityPreference, b.Tenancy, b.EBSOptimized, b.PublicIP = "#!/bin/sh\n", "open", "default", true, &yes
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 100, VolumeType: "gp3", IOPS: 3000, Throughput: 125, DeleteOnTermination: &yes}}
	no := false
	b.AMIMappings = []BlockDevice{{DeviceName: "/dev/sdg", VolumeSize: 100, VolumeType: "gp3", IOPS: 3000, Throughput: 125, DeleteOnTermination: &yes, Encrypted: &no},
		{DeviceName: "/dev/sdh", VirtualName: "ephemeral0"}, {DeviceName: "/dev/sdi", NoDevice: true}}
	w.build(&dag.MemStore{}, w.graph(b))

	// What is public cannot be encrypted, and only Windows has fast launch.
	more := template().encrypted("").regions(map[string]string{"eu-west-1": "alias/a"})
	more.AMIName, more.RegionKMSKeyIDs["eu-west-1"] = "image-3", awsKey
	more.KMSKeyID = awsKey
	more.SourceOptions, more.InstanceType = fromWindows().SourceOptions, "t3.medium"
	more.FastLaunch = FastLaunch{TemplateID: w.launchTemplate(home, "fast"), MaxParallelLaunches: 6, TargetResourceCount: 1}
	w.build(&dag.MemStore{}, w.graph(more))

	// An older image of the name gives way, and a block may name a snapshot.
	s := &stage{world: w, ctx: t.Context()}
	found := w.inventory()
	i, source := w.launched("again")
	s.source, s.stopped = source, w.rest(i)
	b.AMIName, b.AMIMappings = "image-2", []BlockDevice{{DeviceName: "/dev/sdj", SnapshotID: found.snapshots[0]}}
	if err := s.create(b); err != nil {
		t.Fatal(err)
	}

	table := map[[2]string]bool{}
	for _, r := range limitsTable(t) {
		table[[2]string{r.call, r.parameter}] = true
	}
	changes := func(call string) bool { return !strings.HasPrefix(call, "Describe") && !strings.HasPrefix(call, "Get") }
	for p := range sent {
		if changes(p[0]) && !table[p] && p[0] != "CreateLaunchTemplate" { // the test's own
			t.Errorf("docs/limits.md does not have %s of %s", p[1], p[0])
		}
	}
	before := []string{"RunInstances", "ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "DescribeImages", "DescribeSubnets", "DescribeVpcs", "DescribeSecurityGroups"}
	ending := []string{"DeregisterImage", "DeleteSnapshot", "DisableImageDeregistrationProtection", "DeleteVolume"}
	for p := range table {
		if !sent[p] && !slices.Contains(before, p[0]) && !slices.Contains(ending, p[0]) {
			t.Errorf("no build sends %s of %s", p[1], p[0])
		}
	}
}

// The words that the options take are those of the published model.
func TestWordsAreThoseOfTheModel(t *testing.T) {
	words := func(option string, spoil func(*EBS, string)) []string {
		b := template()
		spoil(b, "no such word")
		for _, f := range b.Check() {
			if f.Field == option {
				_, list, _ := strings.Cut(f.Text, "; use ")
				ws := strings.Split(list, ", ")
				slices.Sort(ws)
				return ws
			}
		}
		return nil
	}
	model := func(values any) (ws []string) {
		ws = strings.Fields(strings.Trim(fmt.Sprint(values), "[]"))
		slices.Sort(ws)
		return ws
	}
	for _, c := range []struct {
		option string
		spoil  func(*EBS, string)
		values any
	}{
		{"shutdown_behavior", func(b *EBS, s string) { b.ShutdownBehavior = s }, types.ShutdownBehavior("").Values()},
		{"tenancy", func(b *EBS, s string) { b.Tenancy = s }, types.Tenancy("").Values()},
		{"placement.tenancy", func(b *EBS, s string) { b.Placement.Tenancy = s }, types.Tenancy("").Values()},
		{"capacity_reservation_preference", func(b *EBS, s string) { b.CapacityPreference = s }, types.CapacityReservationPreference("").Values()},
		{"metadata_options.http_endpoint", func(b *EBS, s string) { b.Metadata.HTTPEndpoint = s }, types.InstanceMetadataEndpointState("").Values()},
		{"metadata_options.http_tokens", func(b *EBS, s string) { b.Metadata.HTTPTokens = s }, types.HttpTokensState("").Values()},
		{"metadata_options.instance_metadata_tags", func(b *EBS, s string) { b.Metadata.Tags = s }, types.InstanceMetadataTagsState("").Values()},
		{"ami_virtualization_type", func(b *EBS, s string) { b.VirtualizationType = s }, types.VirtualizationType("").Values()},
		{"imds_support", func(b *EBS, s string) { b.IMDSSupport = s }, types.ImdsSupportValues("").Values()},
		{"launch_block_device_mappings[0].volume_type", func(b *EBS, s string) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeType: s}}
		}, types.VolumeType("").Values()},
	} {
		if got, want := words(c.option, c.spoil), model(c.values); !slices.Equal(got, want) {
			t.Errorf("%s takes %q, the model has %q", c.option, got, want)
		}
	}
	if got := model(types.PermissionGroup("").Values()); !slices.Equal(got, []string{"all"}) {
		t.Errorf("groups are %q now", got)
	}
	if got := slices.Sorted(maps.Keys(volumeTypes)); !slices.Equal(got, model(types.VolumeType("").Values())) {
		t.Errorf("limits are known of the types %q", got)
	}
}
