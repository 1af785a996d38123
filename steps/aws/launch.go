package aws

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Launch starts the instance that becomes the image.
type Launch struct {
	Place
	Build string `json:"build"` // two builds never share an instance
	MachineOptions
	Spot     SpotOptions               `json:"spot,omitzero"`
	Prices   dag.Out[PricedPools]      `json:"prices"` // of spot instances, where the cheapest comes first
	PublicIP *bool                     `json:"public_ip,omitempty"`
	Source   dag.Out[SourceImage]      `json:"source"`
	Network  dag.Out[Network]          `json:"network"`
	KeyName  string                    `json:"key_name,omitempty"` // an existing key pair
	KeyPair  dag.Out[KeyPair]          `json:"key_pair"`
	GroupIDs []string                  `json:"group_ids,omitempty"` // existing security groups
	Groups   []dag.Out[SecurityGroup]  `json:"groups,omitempty" dag:"attach"`
	HostKey  dag.Out[comm.Key]         `json:"host_key"` // the machine is to show, where it takes one
	Profile  dag.Out[TemporaryProfile] `json:"profile,omitzero" dag:"attach"`
	Granted  dag.Out[GrantedPolicy]    `json:"granted,omitzero"` // to the role of that profile
	Encrypt  Encrypt                   `json:"encrypt,omitzero"`

	// What only has to come first.
	Checked  []dag.Out[Namesakes]   `json:"checked,omitempty" key:"-"`
	Admitted dag.Out[Admitted]      `json:"admitted" key:"-"`
	Values   dag.Out[CheckedValues] `json:"values" key:"-"`
	Keys     []dag.Out[CheckedKeys] `json:"keys,omitempty" key:"-"`
}

// Instance is a launched machine.
type Instance struct {
	Place
	ID   string    `json:"id"`
	VPC  string    `json:"vpc,omitempty"`
	Made time.Time `json:"made"`
	Type string    `json:"type,omitempty"` // of those that would do
	Spot bool      `json:"spot,omitempty"` // it cannot be stopped, and EC2 may take it back
}

func (Launch) Kind() string    { return "aws.launch" }
func (s Launch) Title() string { return "launch " + either(s.types(s.Spot)) }

// Patience covers a capacity that comes and goes.
func (Launch) Patience() time.Duration { return 5 * time.Minute }

// Do launches one instance, in the first pool that has room. Every try has a client token of its own,
// derived from the task's, so that a repeated call gives back the instance that it made; and it is
// journaled, so that what goes on after a crash repeats the one call that may have made something.
func (s Launch) Do(ctx context.Context, c *Cloud, t *dag.Task) (Instance, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return Instance{}, err
	}
	source := s.Source.Value()
	in, err := s.request(c, t, source)
	if err != nil {
		return Instance{}, err
	}
	spotTags, err := filledTags(t, "spot_tags", withBlocks(s.Spot.SpotTags, s.Spot.SpotTag))
	if err != nil {
		return Instance{}, err
	}
	pools, groups := s.pools(), s.groups(s.Network.Value())
	first, err := tried(t, len(pools))
	if err != nil {
		return Instance{}, err
	}
	var failure error
	mayCome := false // room may come back within minutes
	for i := first; i < len(pools); i++ {
		p := pools[i]
		if i > first { // an attempt that comes after a crash begins with the try of which nobody knows how it ended
			if err := t.Save(tryOf, i); err != nil {
				return Instance{}, err
			}
		}
		s.ask(in, p, groups, c.tags(t, spotTags))
		t.Say("launching %s from %s (%s)%s", p.name(), source.ID, source.Name, p.where())
		made, err := at.run(ctx, in, t.Token, i)
		if err == nil {
			return at.launched(t, made), nil
		}
		failure = asNotMade("launch "+p.name(), "RunInstances", s.age(err), err)
		if s.unseenProfile(err) {
			return Instance{}, dag.Retry(failure, 2*time.Second)
		}
		switch classify("RunInstances", s.age(err), err).class {
		case alreadyExists:
			// The token was used, with other words: what it made is ours all the same.
			found, lookErr := at.launchOf(ctx, t)
			if lookErr == nil {
				return at.launched(t, found), nil
			}
			return Instance{}, failure
		case noCapacity:
			code, _ := apiError(err)
			mayCome = mayCome || strings.HasPrefix(code, "Insufficient") && code != "InsufficientFreeAddressesInSubnet"
			if i+1 < len(pools) {
				t.Warn("no room for %s%s (%s); trying %s%s", p.name(), p.where(), code, pools[i+1].name(), pools[i+1].where())
			}
			continue
		}
		return Instance{}, failure
	}
	if len(pools) > 1 {
		if err := t.Save(tryOf, 0); err != nil {
			return Instance{}, err
		}
	}
	if mayCome {
		failure = dag.Retry(failure, 15*time.Second)
	}
	return Instance{}, failure
}

// run launches one instance. A client token that was used before gives back what
// it made then, even if that has ended since: then the next token is taken.
func (s *site) run(ctx context.Context, in *ec2.RunInstancesInput, token string, try int) (types.Instance, error) {
	const ways = 10000 // more than a launch has pools
	for ; ; try += ways {
		in.ClientToken = ptr(clientToken(token, try))
		out, err := s.api.RunInstances(ctx, in)
		if err != nil {
			return types.Instance{}, err
		}
		if len(out.Instances) != 1 {
			return types.Instance{}, fmt.Errorf("EC2 launched %d instances instead of one", len(out.Instances))
		}
		i := out.Instances[0]
		if i.State == nil || !ended(*i.State) || try > 10*ways {
			return i, nil
		}
	}
}

// clientToken names one try; EC2 takes 64 characters.
func clientToken(token string, try int) string {
	if try == 0 {
		return token
	}
	suffix := fmt.Sprintf("-s%d", try)
	return token[:min(len(token), 64-len(suffix))] + suffix
}

// age is that of the thing that the error names, where its code tells; else that
// of the youngest that this run has made for the call. The user's own are old.
func (s Launch) age(err error) time.Duration {
	key, groups, image := time.Duration(old), time.Duration(old), time.Duration(old)
	if s.Source.Set() {
		image = s.Source.Value().age()
	}
	if s.KeyPair.Set() {
		key = since(s.KeyPair.Value().Made)
	}
	for _, g := range s.Groups {
		groups = min(groups, since(g.Value().Made))
	}
	switch code, _ := apiError(err); code {
	case "InvalidKeyPair.NotFound":
		return key
	case "InvalidGroup.NotFound":
		return groups
	case "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable":
		return image
	}
	return min(key, groups)
}

// IAM tells EC2 of profiles and roles a while after they were made: usually seconds, in reports
// minutes. Whether a role may be passed on is judged sooner.
const (
	profileSeen = 5 * time.Minute
	roleSeen    = 30 * time.Second
)

// unseenProfile reports whether a launch was refused since EC2 does not know the temporary
// profile yet, or not what its role may.
func (s Launch) unseenProfile(err error) bool {
	if !s.Profile.Set() {
		return false
	}
	age := since(s.Granted.Value().At)
	code, message := apiError(err)
	switch {
	case isProfile(message):
		return age < profileSeen
	case lacksPermission(code):
		return age < roleSeen && strings.Contains(message, "iam:PassRole")
	}
	return false
}

// isProfile reports whether a refusal is about an instance profile.
func isProfile(message string) bool {
	return strings.Contains(strings.ReplaceAll(strings.ToLower(message), " ", ""), "iaminstanceprofile")
}

func (s Launch) groups(n Network) (ids []string) {
	ids = append(ids, s.GroupIDs...)
	ids = append(ids, n.Groups...)
	for _, g := range s.Groups {
		ids = append(ids, g.Value().ID)
	}
	return ids
}

func (s Launch) placement(zone string) *types.Placement {
	p := types.Placement{Tenancy: types.Tenancy(s.Placement.Tenancy)}
	if p.Tenancy == "" {
		p.Tenancy = types.Tenancy(s.Tenancy)
	}
	p.AvailabilityZone = optional(zone)
	p.HostId = optional(s.Placement.HostID)
	p.HostResourceGroupArn = optional(s.Placement.HostResourceGroupARN)
	if p == (types.Placement{}) {
		return nil
	}
	return &p
}

// request is the call but for the pool.
func (s Launch) request(c *Cloud, t *dag.Task, source SourceImage) (*ec2.RunInstancesInput, error) {
	in, err := s.described(c, t, source)
	if err != nil {
		return nil, err
	}
	if s.KeyPair.Set() {
		in.KeyName = ptr(s.KeyPair.Value().Name)
	}
	if s.Profile.Set() {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: ptr(s.Profile.Value().Name)}
	}
	data, err := s.userData(c, t, source)
	if err != nil {
		return nil, err
	}
	if data != "" {
		in.UserData = ptr(base64.StdEncoding.EncodeToString([]byte(data)))
	}
	return in, nil
}

// described is the request without what the run makes for it.
func (s Launch) described(c *Cloud, t *dag.Task, source SourceImage) (*ec2.RunInstancesInput, error) {
	tags, err := filledTags(t, "run_tags", withBlocks(s.RunTags, s.RunTag))
	if err != nil {
		return nil, err
	}
	volumes, err := filledTags(t, "run_volume_tags", s.volumeTags())
	if err != nil {
		return nil, err
	}
	instance := c.tags(t, tags)
	if instance["Name"] == "" && len(instance) < maxTags {
		instance["Name"] = "imgflow builder"
	}
	for _, of := range []struct {
		option string
		tags   map[string]string
	}{{"run_tags", tags}, {"run_volume_tags", volumes}} {
		if out := leftOut(of.tags); len(out) > 0 {
			t.Warn("of %s only %d fit beside the tags by which imgflow finds what it made; while the build lasts there is no %s", of.option, maxTags-needed, list(out))
		}
	}
	in := &ec2.RunInstancesInput{
		ImageId: &source.ID, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)),
		KeyName:             optional(s.KeyName),
		BlockDeviceMappings: s.mappings(source),
		TagSpecifications: slices.Concat(
			tagged(instance, types.ResourceTypeInstance),
			tagged(c.tags(t, volumes), types.ResourceTypeVolume),
			tagged(c.tags(t, tags), types.ResourceTypeNetworkInterface)),
	}
	if !s.Spot.on() || s.ShutdownBehavior != "stop" { // a spot instance that is asked for once ends then, whatever is said
		in.InstanceInitiatedShutdownBehavior = types.ShutdownBehavior(s.ShutdownBehavior)
	}
	s.hardware(in)
	if s.lifetime(c) > 0 && s.ShutdownBehavior == "" {
		in.InstanceInitiatedShutdownBehavior = types.ShutdownBehaviorTerminate
	}
	return in, nil
}

// hardware sets what the template says of the machine itself.
func (s Launch) hardware(in *ec2.RunInstancesInput) {
	if s.EBSOptimized {
		in.EbsOptimized = ptr(true)
	}
	if s.NitroEnclave {
		in.EnclaveOptions = &types.EnclaveOptionsRequest{Enabled: ptr(true)}
	}
	if s.InstanceProfile != "" {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: &s.InstanceProfile}
	}
	if c := s.CPU; c != (CPUOptions{}) {
		in.CpuOptions = &types.CpuOptionsRequest{AmdSevSnp: types.AmdSevSnpSpecification(c.SevSnp), NestedVirtualization: types.NestedVirtualizationSpecification(c.Nested)}
		if c.Cores != 0 {
			in.CpuOptions.CoreCount, in.CpuOptions.ThreadsPerCore = ptr(int32(c.Cores)), ptr(int32(c.Threads))
		}
	}
	if m := s.Metadata; m != (Metadata{}) {
		in.MetadataOptions = &types.InstanceMetadataOptionsRequest{
			HttpEndpoint: types.InstanceMetadataEndpointState(m.HTTPEndpoint), HttpTokens: types.HttpTokensState(m.HTTPTokens),
			InstanceMetadataTags: types.InstanceMetadataTagsState(m.Tags)}
		if m.HopLimit != 0 {
			in.MetadataOptions.HttpPutResponseHopLimit = ptr(int32(m.HopLimit))
		}
	}
	for _, l := range s.Licenses {
		in.LicenseSpecifications = append(in.LicenseSpecifications, types.LicenseConfigurationRequest{LicenseConfigurationArn: &l.Request.ARN})
	}
	if s.CapacityPreference != "" || s.CapacityID != "" || s.CapacityGroupARN != "" {
		r := &types.CapacityReservationSpecification{CapacityReservationPreference: types.CapacityReservationPreference(s.CapacityPreference)}
		if s.CapacityID != "" || s.CapacityGroupARN != "" {
			r.CapacityReservationTarget = &types.CapacityReservationTarget{
				CapacityReservationId: optional(s.CapacityID), CapacityReservationResourceGroupArn: optional(s.CapacityGroupARN)}
		}
		in.CapacityReservationSpecification = r
	}
}

// optional leaves an empty text out of a call.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// launched is the output for an instance that EC2 shows.
func (s *site) launched(t *dag.Task, i types.Instance) Instance {
	t.Say("launched %s", text(i.InstanceId))
	return s.view(i)
}

func (s *site) view(i types.Instance) Instance {
	made := now()
	if i.LaunchTime != nil {
		made = i.LaunchTime.UTC().Truncate(time.Second)
	}
	return Instance{Place: s.Place, ID: text(i.InstanceId), VPC: text(i.VpcId), Made: made, Type: string(i.InstanceType), Spot: i.InstanceLifecycle == types.InstanceLifecycleTypeSpot}
}

// living are the states of an instance that is not ending.
var living = filter("instance-state-name", "pending", "running", "stopping", "stopped")

// launchOf is the instance that a task has made and that is not ending, when EC2 had time to
// show it. All who look for theirs look together.
func (s *site) launchOf(ctx context.Context, t *dag.Task) (types.Instance, error) {
	i, err := s.launches.wait(ctx, t, t.Token, untilShown(s.window), there)
	return i, lookFault("look for the instance", "DescribeInstances", err)
}

// alive is an instance that is not ending.
func (s *site) alive(ctx context.Context, t *dag.Task, id string) (types.Instance, error) {
	i, err := s.instances.wait(ctx, t, id, untilShown(s.window), there)
	if err == nil && i.State != nil && ended(*i.State) {
		err = dag.ErrNotFound
	}
	return i, lookFault("look for the instance", "DescribeInstances", err)
}

// listLaunches shows the instances that were made by tokens.
func (s *site) listLaunches(ctx context.Context, tokens []string) (map[string]types.Instance, error) {
	is, err := s.describeInstances(ctx, filter("tag:"+TagToken, tokens...), living)
	m := map[string]types.Instance{}
	for _, i := range is {
		m[tag(i.Tags, TagToken)] = i
	}
	return m, err
}

// Find looks for the instance by its id, or by the token of its launch. One that
// is ending counts as gone.
func (i Instance) Find(ctx context.Context, c *Cloud, t *dag.Task) (Instance, error) {
	return findAnywhere(ctx, c, i.Place, func(s *site) (Instance, error) {
		if i.ID == "" {
			found, err := s.launchOf(ctx, t)
			return s.view(found), err
		}
		_, err := s.alive(ctx, t, i.ID)
		return i, err
	})
}

// Undo terminates the instance and returns when EC2 has begun with it. It ends for
// certain then, nobody pays for it, and Find does not find it any more; what it
// still uses for a while waits by itself until it is free.
func (i Instance) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	i, err := withID(ctx, c, t, i, i.ID)
	if err != nil {
		return err
	}
	at, err := c.at(ctx, i.Place)
	if err != nil {
		return err
	}
	if err := at.takeVolumes(ctx, t, i); err != nil {
		return err
	}
	_, err = at.terminate(ctx, i.ID, i.Made)
	return err
}

// takeVolumes has EC2 delete with the instance the volumes that were to outlive it and that
// [FindVolumes] has not claimed: the run has died, or failed, before it could know of them.
func (s *site) takeVolumes(ctx context.Context, t *dag.Task, i Instance) error {
	var of Launch
	if err := t.Settings(&of); err != nil {
		return err
	}
	devices := outliving(of.LaunchMappings)
	if len(devices) == 0 {
		return nil
	}
	doing := "have the volumes of " + i.ID + " deleted with it"
	volumes, err := untilVisible(ctx, s.window-since(i.Made), func() ([]types.Volume, error) {
		out, err := s.api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{
			filter("attachment.instance-id", i.ID), filter("attachment.device", devices...)}})
		if err != nil {
			return nil, wrapAPI(doing, "DescribeVolumes", old, err)
		}
		if len(out.Volumes) < len(devices) {
			return out.Volumes, dag.ErrNotFound
		}
		return out.Volumes, nil
	})
	if err != nil && !errors.Is(err, dag.ErrNotFound) {
		return err
	}
	var with []types.InstanceBlockDeviceMappingSpecification
	for _, v := range volumes {
		if tag(v.Tags, TagToken) == t.Token && len(v.Attachments) == 1 {
			with = append(with, types.InstanceBlockDeviceMappingSpecification{DeviceName: v.Attachments[0].Device,
				Ebs: &types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: ptr(true)}})
		}
	}
	if len(with) == 0 {
		return nil
	}
	_, err = s.api.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &i.ID, BlockDeviceMappings: with})
	return gone(doing, "ModifyInstanceAttribute", err)
}

// Label is what messages call the instance.
func (i Instance) Label() string { return "instance " + i.ID }

// terminate has EC2 end an instance, which has begun when it returns. Ending is
// false for one that EC2 does not know any more.
func (s *site) terminate(ctx context.Context, id string, made time.Time) (ending bool, err error) {
	var out *ec2.TerminateInstancesOutput
	err = s.removeThing(ctx, "terminate "+id, "TerminateInstances", made, func() (err error) {
		out, err = s.api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
		return err
	})
	if err != nil || out == nil {
		return false, err
	}
	if slices.ContainsFunc(out.TerminatingInstances, func(c types.InstanceStateChange) bool { return c.CurrentState != nil && ended(*c.CurrentState) }) {
		return true, nil
	}
	return true, s.until(ctx, nil, id, ended) // the answer does not say so
}

// ended reports whether an instance in that state has ended or will for certain.
func ended(s types.InstanceState) bool {
	return s.Name == types.InstanceStateNameTerminated || s.Name == types.InstanceStateNameShuttingDown
}

// terminated reports whether nothing of it uses anything any more.
func terminated(s types.InstanceState) bool { return s.Name == types.InstanceStateNameTerminated }

// until waits for a state of an instance that ends, or until EC2 does not know it
// any more; the task may be nil.
func (s *site) until(ctx context.Context, t *dag.Task, id string, is func(types.InstanceState) bool) error {
	_, err := s.instances.wait(ctx, t, id, untilTerminated, func(i types.Instance) (bool, error) { return i.State != nil && is(*i.State), nil })
	if errors.Is(err, dag.ErrNotFound) {
		return nil
	}
	return gone("wait for the end of "+id, "TerminateInstances", err)
}

// removeWhenFree removes something that instances use. Where some of those that the filter
// hits are ending, it waits for them and tries again.
func (s *site) removeWhenFree(ctx context.Context, t *dag.Task, users types.Filter, remove func() error) error {
	err := remove()
	var used *dag.RetryError
	if !errors.As(err, &used) {
		return err
	}
	ending, lookErr := s.describeInstances(ctx, users, filter("instance-state-name", "shutting-down"))
	if lookErr != nil || len(ending) == 0 {
		return err
	}
	for _, i := range ending {
		if err := s.until(ctx, t, text(i.InstanceId), terminated); err != nil {
			return err
		}
	}
	return remove()
}
