package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/self"
)

// Finding is what an examination has found.
type Finding struct {
	Status string   // ok, wrong, or unknown: it could not be found out
	Owner  string   // the account that it is about, if that is another one than the build's
	Region string   // "" for what is everywhere
	What   string   // it is about: credentials, ec2:CreateImage
	Why    string   // in words; of what is ok it may be ""
	Builds []string // that need it; none: all
}

// Ids of things that there are not: whether a call may be made is told before
// its things are looked for.
const (
	noInstance = "i-00000000000000000"
	noImage    = "ami-00000000000000000"
	noSnapshot = "snap-00000000000000000"
	noVolume   = "vol-00000000000000000"
	noGroup    = "sg-00000000000000000"
)

// ofDoctor is the tag with which a run makes things, as a dry run has it.
func ofDoctor(kinds ...types.ResourceType) (specs []types.TagSpecification) {
	for _, k := range kinds {
		specs = append(specs, types.TagSpecification{ResourceType: k, Tags: []types.Tag{{Key: ptr(TagRun), Value: ptr("doctor")}}})
	}
	return specs
}

// makes are the calls that make things and name none that a run has made before, but for a
// launch. All others but those that look are about things with the run's tag.
var makes = []string{"CreateSecurityGroup", "ImportKeyPair", "ImportImage"}

// dryRuns ask whether a call would be let through, of those that EC2 tells it of.
var dryRuns = map[string]func(context.Context, API) error{
	"AuthorizeSecurityGroupIngress": func(ctx context.Context, a API) error {
		_, err := a.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{DryRun: ptr(true), GroupId: ptr(noGroup),
			IpPermissions: []types.IpPermission{{IpProtocol: ptr("tcp"), FromPort: ptr(int32(22)), ToPort: ptr(int32(22)), IpRanges: []types.IpRange{{CidrIp: ptr("192.0.2.1/32")}}}}})
		return err
	},
	"CopyImage": func(ctx context.Context, a API) error {
		_, err := a.CopyImage(ctx, &ec2.CopyImageInput{DryRun: ptr(true), TagSpecifications: ofDoctor(types.ResourceTypeImage, types.ResourceTypeSnapshot), Name: ptr("imgflow-doctor"), SourceImageId: ptr(noImage), SourceRegion: ptr("us-east-1")})
		return err
	},
	"CreateImage": func(ctx context.Context, a API) error {
		_, err := a.CreateImage(ctx, &ec2.CreateImageInput{DryRun: ptr(true), TagSpecifications: ofDoctor(types.ResourceTypeImage, types.ResourceTypeSnapshot), Name: ptr("imgflow-doctor"), InstanceId: ptr(noInstance)})
		return err
	},
	"AttachVolume": func(ctx context.Context, a API) error {
		_, err := a.AttachVolume(ctx, &ec2.AttachVolumeInput{DryRun: ptr(true), VolumeId: ptr(noVolume), InstanceId: ptr(noInstance), Device: ptr("/dev/xvda")})
		return err
	},
	"DetachVolume": func(ctx context.Context, a API) error {
		_, err := a.DetachVolume(ctx, &ec2.DetachVolumeInput{DryRun: ptr(true), VolumeId: ptr(noVolume)})
		return err
	},
	"CreateSecurityGroup": func(ctx context.Context, a API) error {
		_, err := a.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{DryRun: ptr(true), TagSpecifications: ofDoctor(types.ResourceTypeSecurityGroup), GroupName: ptr("imgflow-doctor"), Description: ptr("imgflow-doctor")})
		return err
	},
	"CreateSnapshot": func(ctx context.Context, a API) error {
		_, err := a.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{DryRun: ptr(true), VolumeId: ptr(noVolume), TagSpecifications: ofDoctor(types.ResourceTypeSnapshot)})
		return err
	},
	"CreateTags": func(ctx context.Context, a API) error {
		_, err := a.CreateTags(ctx, &ec2.CreateTagsInput{DryRun: ptr(true), Resources: []string{noInstance}, Tags: []types.Tag{{Key: ptr(TagRun), Value: ptr("doctor")}}})
		return err
	},
	"DeleteKeyPair": func(ctx context.Context, a API) error {
		_, err := a.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{DryRun: ptr(true), KeyName: ptr("imgflow-doctor")})
		return err
	},
	"DeleteSecurityGroup": func(ctx context.Context, a API) error {
		_, err := a.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{DryRun: ptr(true), GroupId: ptr(noGroup)})
		return err
	},
	"DeleteSnapshot": func(ctx context.Context, a API) error {
		_, err := a.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{DryRun: ptr(true), SnapshotId: ptr(noSnapshot)})
		return err
	},
	"DeleteVolume": func(ctx context.Context, a API) error {
		_, err := a.DeleteVolume(ctx, &ec2.DeleteVolumeInput{DryRun: ptr(true), VolumeId: ptr(noVolume)})
		return err
	},
	"DeregisterImage": func(ctx context.Context, a API) error {
		_, err := a.DeregisterImage(ctx, &ec2.DeregisterImageInput{DryRun: ptr(true), ImageId: ptr(noImage)})
		return err
	},
	"DescribeFastLaunchImages": func(ctx context.Context, a API) error {
		_, err := a.DescribeFastLaunchImages(ctx, &ec2.DescribeFastLaunchImagesInput{DryRun: ptr(true)})
		return err
	},
	"DescribeImportImageTasks": func(ctx context.Context, a API) error {
		_, err := a.DescribeImportImageTasks(ctx, &ec2.DescribeImportImageTasksInput{DryRun: ptr(true)})
		return err
	},
	"DescribeInstances": func(ctx context.Context, a API) error {
		_, err := a.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: ptr(true)})
		return err
	},
	"DescribeImages": func(ctx context.Context, a API) error {
		_, err := a.DescribeImages(ctx, &ec2.DescribeImagesInput{DryRun: ptr(true), Owners: []string{"self"}})
		return err
	},
	"DescribeSnapshots": func(ctx context.Context, a API) error {
		_, err := a.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{DryRun: ptr(true), OwnerIds: []string{"self"}})
		return err
	},
	"DescribeSpotPriceHistory": func(ctx context.Context, a API) error {
		_, err := a.DescribeSpotPriceHistory(ctx, &ec2.DescribeSpotPriceHistoryInput{DryRun: ptr(true)})
		return err
	},
	"EnableFastLaunch": func(ctx context.Context, a API) error {
		_, err := a.EnableFastLaunch(ctx, &ec2.EnableFastLaunchInput{DryRun: ptr(true), ImageId: ptr(noImage)})
		return err
	},
	"EnableImageDeprecation": func(ctx context.Context, a API) error {
		_, err := a.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{DryRun: ptr(true), ImageId: ptr(noImage), DeprecateAt: ptr(time.Now().Add(48 * time.Hour))})
		return err
	},
	"EnableImageDeregistrationProtection": func(ctx context.Context, a API) error {
		_, err := a.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{DryRun: ptr(true), ImageId: ptr(noImage)})
		return err
	},
	"GetPasswordData": func(ctx context.Context, a API) error {
		_, err := a.GetPasswordData(ctx, &ec2.GetPasswordDataInput{DryRun: ptr(true), InstanceId: ptr(noInstance)})
		return err
	},
	"ImportImage": func(ctx context.Context, a API) error {
		_, err := a.ImportImage(ctx, &ec2.ImportImageInput{DryRun: ptr(true), DiskContainers: []types.ImageDiskContainer{{Format: ptr("raw"), UserBucket: &types.UserBucket{S3Bucket: ptr("imgflow-doctor"), S3Key: ptr("disk.raw")}}}})
		return err
	},
	"ImportKeyPair": func(ctx context.Context, a API) error {
		_, err := a.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{DryRun: ptr(true), TagSpecifications: ofDoctor(types.ResourceTypeKeyPair), KeyName: ptr("imgflow-doctor"),
			PublicKeyMaterial: []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f")})
		return err
	},
	"ModifyImageAttribute": func(ctx context.Context, a API) error {
		_, err := a.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{DryRun: ptr(true), ImageId: ptr(noImage), Description: &types.AttributeValue{Value: ptr("imgflow-doctor")}})
		return err
	},
	"ModifyInstanceAttribute": func(ctx context.Context, a API) error {
		_, err := a.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{DryRun: ptr(true), InstanceId: ptr(noInstance), Groups: []string{noGroup}})
		return err
	},
	"ModifySnapshotAttribute": func(ctx context.Context, a API) error {
		_, err := a.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{DryRun: ptr(true), SnapshotId: ptr(noSnapshot),
			Attribute: types.SnapshotAttributeNameCreateVolumePermission, OperationType: types.OperationTypeAdd, UserIds: []string{"123456789012"}})
		return err
	},
	"RegisterImage": func(ctx context.Context, a API) error {
		_, err := a.RegisterImage(ctx, &ec2.RegisterImageInput{DryRun: ptr(true), TagSpecifications: ofDoctor(types.ResourceTypeImage), Name: ptr("imgflow-doctor"), RootDeviceName: ptr("/dev/xvda"),
			Architecture: types.ArchitectureValuesX8664, VirtualizationType: ptr("hvm"), BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: ptr("/dev/xvda"), Ebs: &types.EbsBlockDevice{SnapshotId: ptr(noSnapshot)}}}})
		return err
	},
	"StopInstances": func(ctx context.Context, a API) error {
		_, err := a.StopInstances(ctx, &ec2.StopInstancesInput{DryRun: ptr(true), InstanceIds: []string{noInstance}})
		return err
	},
	"TerminateInstances": func(ctx context.Context, a API) error {
		_, err := a.TerminateInstances(ctx, &ec2.TerminateInstancesInput{DryRun: ptr(true), InstanceIds: []string{noInstance}})
		return err
	},
}

// dryRun is a call that is to be asked for once, whoever needs it.
type dryRun struct {
	Place
	action string
	launch dag.Key // whose it is with all that the template says; the zero key: nobody's
}

// Examine finds out whether steps would be let do what they are for. Found is what lookups
// among them have found already. Launches are asked for as they will be; other calls name things
// that there are not, as long as EC2 tells whether they may be made. What is asked is asked side by side.
func (c *Cloud) Examine(ctx context.Context, nodes []dag.Node, found map[dag.Key]json.RawMessage) []Finding {
	need, launches := c.asks(nodes)
	places := map[Place]func() Finding{}
	var all []Finding
	var mu sync.Mutex
	var wg sync.WaitGroup
	free := make(chan struct{}, 8)
	do := func(builds []string, ask func() Finding) {
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			f := ask()
			f.Builds = builds
			mu.Lock()
			defer mu.Unlock()
			if f.Status != "" {
				all = append(all, f)
			}
		})
	}
	for q, builds := range need {
		if places[q.Place] == nil {
			places[q.Place] = sync.OnceValue(func() Finding { return c.askOwner(ctx, q.Place) })
			do(nil, places[q.Place])
		}
		if first := places[q.Place]; q.launch == (dag.Key{}) {
			do(builds, func() Finding {
				if c.ownerAt(q.Place) != "" && first().Status == "wrong" { // nothing more is to be asked by a role that cannot be taken
					return Finding{}
				}
				return c.askDry(ctx, q.Place, q.action)
			})
		} else {
			do(builds, func() Finding { return c.askLaunch(ctx, launches[q.launch], found) })
		}
	}
	c.askQuotas(ctx, nodes, do)
	wg.Wait()
	tellTagged(all)
	for _, n := range nodes {
		if s := settings[MakeRole](n); n.Kind == s.Kind() {
			all = append(all, Finding{Status: "unknown", Region: s.Region, What: "iam:CreateRole", Builds: n.Builds,
				Why: "IAM has no dry runs: hold what the caller may against the statements MakeRoles, MakeProfiles and PassOwnRoles that " + self.Command("policy", "TEMPLATE") + " prints"})
		}
	}
	for p := range places {
		if c.ownerAt(p) == "" {
			all = append(all, c.askClock(ctx, p))
		}
	}
	slices.SortFunc(all, func(a, b Finding) int {
		return strings.Compare(a.Owner+"\x00"+a.Region+"\x00"+a.What+"\x00"+strings.Join(a.Builds, ","), b.Owner+"\x00"+b.Region+"\x00"+b.What+"\x00"+strings.Join(b.Builds, ","))
	})
	return all
}

// asks are the calls of steps that can be asked for, each with the builds that need it, and
// the launches among the steps.
func (c *Cloud) asks(nodes []dag.Node) (need map[dryRun][]string, launches map[dag.Key]Launch) {
	need, launches = map[dryRun][]string{}, map[dag.Key]Launch{}
	at := map[string]Place{} // where the machine of a build is
	add := func(q dryRun, builds []string) {
		for _, b := range builds {
			if !slices.Contains(need[q], b) {
				need[q] = append(need[q], b)
			}
		}
	}
	for _, n := range nodes {
		var s Launch
		if n.Kind == s.Kind() && json.Unmarshal(n.Spec, &s) == nil {
			launches[n.Key] = s
			for _, b := range n.Builds {
				at[b] = s.Place
			}
		}
	}
	for _, n := range nodes {
		of, ours := callings[n.Kind]
		var p Place
		if !ours || len(n.Builds) == 0 || json.Unmarshal(n.Spec, &p) != nil {
			continue
		}
		if p.Region == "" {
			p = at[n.Builds[0]]
		}
		if p.Region == "" {
			continue
		}
		if n.Kind == (Launch{}).Kind() {
			add(dryRun{p, "RunInstances", n.Key}, n.Builds)
		}
		actions := slices.Concat(of.do, of.undo)
		if n.Thing && len(of.do) > 0 && dryRuns[of.do[0]] != nil {
			actions = append(actions, "CreateTags") // in the same call
		}
		for _, action := range actions {
			if dryRuns[action] != nil {
				add(dryRun{Place: p, action: action}, n.Builds)
			}
		}
	}
	return need, launches
}

// ownerAt is the account of a place that a role leads to, or "".
func (c *Cloud) ownerAt(p Place) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ownerOf(c.accounts[p.Account].Then.RoleARN)
}

// askOwner finds out whether a region is reached, and whose the credentials are there.
func (c *Cloud) askOwner(ctx context.Context, p Place) Finding {
	f := Finding{Status: "ok", Owner: c.ownerAt(p), Region: p.Region, What: "credentials"}
	c.mu.Lock()
	a := c.accounts[p.Account]
	c.mu.Unlock()
	if f.Owner != "" {
		f.What = "the role " + a.Then.RoleARN
	}
	owner, err := c.owner(ctx, p, a)
	switch {
	case err != nil:
		f.Status, f.Why = "wrong", err.Error()
	default:
		f.Why = "those of the account " + owner
	}
	return f
}

// askClock tells how far this computer's clock is from that of AWS.
func (c *Cloud) askClock(ctx context.Context, p Place) Finding {
	f := Finding{Status: "unknown", Region: p.Region, What: "clock", Why: "AWS was not reached"}
	at, err := c.at(ctx, p)
	if err != nil {
		return f
	}
	if skew := time.Duration(at.clock.skew.Load()).Round(time.Second); skew != 0 {
		f.Status, f.Why = "wrong", fmt.Sprintf("this computer's clock is off by %s: AWS refuses signatures that are 5 minutes old; set the clock", skew.Abs())
		if skew.Abs() < 4*time.Minute {
			f.Status = "ok"
		}
		return f
	}
	f.Status, f.Why = "ok", ""
	return f
}

// askDry finds out whether a call may be made.
func (c *Cloud) askDry(ctx context.Context, p Place, action string) Finding {
	at, err := c.at(ctx, p)
	if err == nil {
		err = dryRuns[action](ctx, at.api)
	}
	f := dryFinding(p, action, err)
	f.Owner = c.ownerAt(p)
	if f.Status == "unknown" {
		if code, _ := apiError(err); code != "" && !isThrottled(err) && classify(action, old, err).class != unauthorized {
			f.Status, f.Why = "ok", "" // it is looked for what there is not
		}
	}
	return f
}

// tellTagged looks at the calls about things that a run has made. A dry run names one that there is
// not, so a policy that allows such calls only where the run's tag is, as that of `imgflow policy` does,
// refuses all of them. Where one is allowed without a tag, the others are wrong.
func tellTagged(all []Finding) {
	own := func(f Finding) bool {
		action, is := strings.CutPrefix(f.What, "ec2:")
		return is && action != "RunInstances" && dryRuns[action] != nil && !strings.HasPrefix(action, "Describe") && !slices.Contains(makes, action)
	}
	allowed := map[string]bool{} // by account
	for _, f := range all {
		allowed[f.Owner] = allowed[f.Owner] || own(f) && f.Status == "ok"
	}
	for i, f := range all {
		if own(f) && f.Status == "wrong" && !allowed[f.Owner] {
			all[i].Status = "unknown"
			all[i].Why = "it is refused for what has no tag, as all calls about the run's own things are: a policy that allows them only where the tag " + TagRun + " is says the same"
		}
	}
}

// askLaunch finds out whether a machine would be launched, with all that the template says of it.
func (c *Cloud) askLaunch(ctx context.Context, s Launch, found map[dag.Key]json.RawMessage) Finding {
	var source SourceImage
	var network Network
	look := func(k dag.Key, into any) bool { return found[k] != nil && json.Unmarshal(found[k], into) == nil }
	f := Finding{Status: "unknown", Region: s.Region, What: "ec2:RunInstances", Why: "its source image is not known"}
	if !look(s.Source.Key(), &source) {
		return f
	}
	if s.Network.Set() && !look(s.Network.Key(), &network) {
		f.Why = "its network is not known"
		return f
	}
	s.Network, s.Prices, s.Groups, s.Profile = dag.Lit(network), dag.Out[PricedPools]{}, nil, dag.Out[TemporaryProfile]{}
	t := dag.NewTask("doctor", "launch", "doctor", nil, c.o.Secret)
	in, err := s.described(c, t, source)
	if err != nil { // of what is known only in a run
		s.RunTags, s.RunTag, s.RunVolumeTags, s.RunVolumeTag = nil, nil, nil, nil
		in, err = s.described(c, t, source)
	}
	if err != nil {
		f.Why = err.Error()
		return f
	}
	at, err := c.at(ctx, s.Place)
	if err == nil {
		s.ask(in, s.pools()[0], s.groups(network), c.tags(t, nil))
		in.DryRun = ptr(true)
		_, err = at.api.RunInstances(ctx, in)
	}
	f = dryFinding(s.Place, "RunInstances", err)
	if code, _ := apiError(err); f.Status == "unknown" && code != "" && !isThrottled(err) {
		f.Status = "wrong"
	}
	return f
}

// dryFinding is what the answer to a dry run says.
func dryFinding(p Place, action string, err error) Finding {
	f := Finding{Status: "ok", Region: p.Region, What: (&Error{Call: action}).permission()}
	switch code, _ := apiError(err); {
	case err == nil, code == "DryRunOperation":
	case lacksPermission(code):
		f.Status, f.Why = "wrong", wrapAPI("call "+action, action, old, err).Error()
	default:
		f.Status, f.Why = "unknown", wrapAPI("call "+action, action, old, err).Error()
	}
	return f
}
