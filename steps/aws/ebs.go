package aws

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// EBS is the builder amazon-ebs: every option that templates may give it, under
// the names that they use. An option tagged "unsupported" is known and refused;
// one tagged "late" may hold words that only the build can replace.
type EBS struct {
	Access
	SourceOptions
	ImageOptions
	MachineOptions
	SpotOptions
	ProfileOptions
	NetworkOptions
	GroupOptions
	KeyOptions
	ReachOptions
	PasswordOptions
	comm.SSH
	comm.WinRM

	Force bool `json:"force,omitempty" option:"-"` // the flag -force: as if force_deregister were set

	cloud *Cloud
	place Place
	parts parts
}

// NewEBS returns options that are all unset, of a build in that cloud.
func NewEBS(c *Cloud) *EBS { return &EBS{cloud: c} }

// parts are what Machine hands to Capture.
type parts struct {
	source    dag.Out[SourceImage]
	key       dag.Out[comm.Key]
	instance  dag.Out[Instance]
	values    dag.Out[CheckedValues]
	volumes   dag.Out[Volumes]
	temporary bool // a group is to be left
}

// Machine adds the steps up to a machine that provisioners can work on. Supported
// must have been called before.
func (b *EBS) Machine(g *dag.Graph, bd dag.Build) dag.Out[comm.Machine] {
	p := &b.parts
	tags := merged(b.RunTags, b.RunTag)
	granted := func(region string) dag.Out[Granted] {
		return dag.Add(g, bd, named("access", region, b.place.Region), CheckAccess{Place{b.place.Account, region}})
	}
	here := granted(b.place.Region)
	p.source = dag.Add(g, bd, "source", Source{Place: b.place, SourceOptions: b.SourceOptions, NeedHVM: b.needHVM(), NeedWindows: b.askPassword(), Granted: here})
	late := dag.Out[SourceImage]{} // only who needs its words waits for it
	if hasLate(tags) {
		late = p.source
	}
	launch := Launch{Place: b.place, Build: bd.Name, MachineOptions: b.MachineOptions, PublicIP: b.PublicIP,
		Source: p.source, KeyName: b.KeyPairName, GroupIDs: b.groupIDs()}
	if !b.SkipCreateAMI {
		for _, r := range append([]string{b.place.Region}, b.copyRegions()...) {
			launch.Checked = append(launch.Checked, dag.Add(g, bd, named("name-check", r, b.place.Region),
				NameCheck{Place: Place{b.place.Account, r}, Name: b.AMIName, Force: b.force(), Granted: granted(r)}))
		}
	}
	p.values = b.values(g, bd)
	launch.Values = p.values
	launch.Network = dag.Add(g, bd, "network", FindNetwork{Place: b.place, NetworkOptions: b.NetworkOptions, InstanceType: b.InstanceType,
		GroupIDs: b.groupIDs(), KeyName: b.KeyPairName, Granted: here})
	if b.temporaryKey() {
		p.key = dag.Add(g, bd, "key", comm.GenerateKey{Type: b.keyType(), Bits: b.keyBits()})
		launch.KeyPair = dag.Add(g, bd, "keypair", ImportKey{Place: b.place, Key: p.key, Name: b.TemporaryKeyName, Tags: tags, Source: late, Granted: here})
	}
	if b.temporaryGroup() {
		group := dag.Add(g, bd, "group", Group{Place: b.place, Network: launch.Network, Tags: tags, Source: late, Granted: here})
		launch.Groups = []dag.Out[SecurityGroup]{group}
		launch.Admitted = dag.Add(g, bd, "admit", b.admit(group, launch.Network))
		p.temporary = true
	}
	if b.protocol() == "ssh" && !b.hasUserData() && (b.HostKey == "" || b.HostKey == "preset") {
		launch.HostKey = dag.Add(g, bd, "host-key", comm.GenerateHostKey{Scope: bd.Name})
	}
	p.instance = dag.Add(g, bd, "launch", launch)
	endpoint := dag.Add(g, bd, "wait", Wait{Instance: p.instance.Take(), Source: p.source, HostKey: launch.HostKey,
		KeyFrom: b.HostKey, Communicator: b.protocol(), TLS: b.winrm() && b.UseSSL, Interface: b.Interface, User: b.user()})
	if b.keepsVolumes() {
		p.volumes = dag.Add(g, bd, "volumes", FindVolumes{Instance: p.instance, Running: endpoint})
	}
	connect := comm.Connect{To: endpoint.Take(), SSH: b.SSH, Key: p.key, Pause: b.ReachOptions.Pause}
	if b.winrm() {
		connect.SSH, connect.Key, connect.WinRM = comm.SSH{}, dag.Out[comm.Key]{}, b.WinRM
	}
	if b.askPassword() {
		connect.Login = dag.Add(g, bd, "password", Password{Instance: p.instance, Key: p.key, KeyFile: b.SSH.PrivateKeyFile, Timeout: b.PasswordTimeout,
			Running: endpoint})
	}
	return dag.Add(g, bd, "connect", connect)
}

// Capture adds the steps from the provisioned machine to the finished image and
// all that is done to it. Machine must have been called before.
func (b *EBS) Capture(g *dag.Graph, bd dag.Build, m dag.Out[comm.Machine]) {
	p := &b.parts
	if b.SSH.ClearAuthorizedKeys && b.protocol() == "ssh" && p.key.Set() {
		m = dag.Add(g, bd, "clear-keys", comm.ClearKeys{On: m.Take(), Key: p.key})
	}
	stopped := dag.Add(g, bd, "stop", Stop{Instance: p.instance, After: m.Take(), Itself: b.DisableStop})
	if b.SkipCreateAMI {
		dag.Goal(g, stopped)
		b.keep(g, bd, KeepVolumes{Volumes: p.volumes, Stopped: stopped})
		return
	}
	image := CreateImage{Source: p.source, Name: b.AMIName, Description: b.AMIDescription, Tags: b.imageTags(),
		SnapshotTags: merged(b.SnapshotTags, b.SnapshotTag), Mappings: b.AMIMappings, Values: p.values}
	if p.temporary {
		image.Settled = dag.Add(g, bd, "regroup", Regroup{Instance: p.instance, After: m})
	}
	if b.ENASupport != nil || b.SriovSupport {
		stopped = dag.Add(g, bd, "enhance", Enhance{From: stopped, ENA: b.ENASupport, SRIOV: b.SriovSupport})
	}
	if b.force() {
		d := Deregister{After: stopped, Places: []Place{b.place}, Name: b.AMIName, Snapshots: b.ForceDeleteSnapshot}
		for _, r := range b.copyRegions() {
			d.Places = append(d.Places, Place{b.place.Account, r})
		}
		image.Free = dag.Add(g, bd, "deregister", d)
	}
	image.From = stopped
	made := dag.Add(g, bd, "image", image)
	ready := dag.Add(g, bd, "image-ready", b.ready(made))
	dag.Keep(g, made, ready)
	b.keep(g, bd, KeepVolumes{Volumes: p.volumes, Image: ready})
	b.finish(g, bd, b.place.Region, ready)
	for _, r := range b.copyRegions() {
		made := dag.Add(g, bd, "copy-"+r, CopyImage{Place: Place{b.place.Account, r}, Of: ready, Source: p.source, Description: b.AMIDescription,
			Tags: image.Tags, SnapshotTags: image.SnapshotTags, Minutes: b.SnapshotCopyMinutes})
		there := dag.Add(g, bd, "copy-ready-"+r, b.ready(made))
		dag.Keep(g, made, there)
		b.finish(g, bd, r, there)
	}
}

// ready waits for an image, and has the user's tags where some of them must wait.
func (b *EBS) ready(made dag.Out[Image]) ImageReady {
	s := ImageReady{Image: made}
	tags, of := b.imageTags(), merged(b.SnapshotTags, b.SnapshotTag)
	if crowded(tags) || crowded(over(tags, of)) {
		s.Tags, s.SnapshotTags, s.Source = tags, of, b.parts.source
	}
	return s
}

// keep makes volumes that outlive the instance results of a good build.
func (b *EBS) keep(g *dag.Graph, bd dag.Build, s KeepVolumes) {
	if s.Volumes.Set() {
		dag.Keep(g, s.Volumes, dag.Add(g, bd, "keep-volumes", s))
	}
}

// keepsVolumes reports whether the template has volumes outlive the instance.
func (b *EBS) keepsVolumes() bool {
	return slices.ContainsFunc(b.LaunchMappings, func(d BlockDevice) bool { return d.DeleteOnTermination != nil && !*d.DeleteOnTermination })
}

// finish adds what is done to a finished image, each a goal of its own: a late
// failure leaves the image and everything else that was reached.
func (b *EBS) finish(g *dag.Graph, bd dag.Build, region string, of dag.Out[Artifact]) {
	name := func(step string) string { return named(step, region, b.place.Region) }
	if !b.Sharing.empty() {
		dag.Goal(g, dag.Add(g, bd, name("share"), Share{Of: of, Sharing: b.Sharing}))
	}
	if b.IMDSSupport != "" {
		dag.Goal(g, dag.Add(g, bd, name("imds"), RequireIMDSv2{Of: of}))
	}
	if b.DeprecateAt != "" {
		dag.Goal(g, dag.Add(g, bd, name("deprecate"), Deprecate{Of: of, At: b.DeprecateAt}))
	}
	if b.Protection.Enabled || b.Protection.WithCooldown {
		dag.Goal(g, dag.Add(g, bd, name("protect"), Protect{Of: of, Cooldown: b.Protection.WithCooldown}))
	}
}

// named is the name of a step that every region has.
func named(step, region, home string) string {
	if region == home {
		return step
	}
	return step + "-" + region
}

func hasLate(tags map[string]string) bool {
	for k, v := range tags {
		if strings.Contains(k+v, "{{") {
			return true
		}
	}
	return false
}

func (b *EBS) force() bool { return b.ForceDeregister || b.Force }

func (b *EBS) needHVM() bool { return b.ENASupport != nil && *b.ENASupport || b.SriovSupport }

// protocol is the communicator, ssh by default.
func (b *EBS) protocol() string {
	if b.Communicator == "" {
		return "ssh"
	}
	return b.Communicator
}

func (b *EBS) winrm() bool { return b.protocol() == "winrm" }

func (b *EBS) hasUserData() bool { return b.UserData != "" || b.UserDataFile.Path != "" }

// askPassword reports whether the password is the one that the machine makes.
func (b *EBS) askPassword() bool { return b.winrm() && b.WinRM.Password == "" }

// user is who logs in.
func (b *EBS) user() string {
	if b.winrm() {
		return b.WinRM.Username
	}
	return b.SSH.Username
}

// port is what the communicator dials and the temporary group admits.
func (b *EBS) port() int {
	switch {
	case b.winrm() && b.WinRM.Port != 0:
		return b.WinRM.Port
	case b.winrm() && b.UseSSL:
		return 5986
	case b.winrm():
		return 5985
	case b.SSH.Port != 0:
		return b.SSH.Port
	}
	return 22
}

// admit opens the temporary group to whoever will reach the machine: at its
// private address if the template says so, or the machine gets no other.
func (b *EBS) admit(group dag.Out[SecurityGroup], n dag.Out[Network]) Admit {
	s := Admit{Group: group, Ports: []int{b.port()}, CIDRs: b.cidrs(), Insist: b.SourcePublicIP}
	switch {
	case b.SourcePublicIP || len(s.CIDRs) > 0:
	case strings.HasPrefix(b.Interface, "private_"):
		s.Inside = true
	case b.Interface != "":
	case b.PublicIP != nil:
		s.Inside = !*b.PublicIP
	default:
		s.Network = n
	}
	return s
}

// cidrs are those that may reach the machine; none is the caller alone. An IPv6
// caller cannot be told from outside, so every one is admitted.
func (b *EBS) cidrs() []string {
	if len(b.SourceCIDRs) == 0 && b.Interface == "ipv6" {
		return []string{"::/0"}
	}
	return b.SourceCIDRs
}

// temporaryKey reports whether a key is made for this build.
func (b *EBS) temporaryKey() bool {
	if b.winrm() {
		return b.askPassword() && b.KeyPairName == ""
	}
	return b.protocol() == "ssh" && b.KeyPairName == "" && b.SSH.PrivateKeyFile == "" && b.SSH.Password == "" && !b.SSH.AgentAuth
}

// keyType is rsa for a password, which nothing else can seal.
func (b *EBS) keyType() string {
	if b.winrm() {
		return "rsa"
	}
	return b.TemporaryKeyType
}

// keyBits is a size that only rsa has: that of the keys which EC2 itself makes,
// which every Windows machine knows, or another that EC2 imports.
func (b *EBS) keyBits() int {
	switch {
	case b.keyType() != "rsa":
		return 0
	case b.TemporaryKeyBits == 0:
		return 2048
	}
	return b.TemporaryKeyBits
}

func (b *EBS) groupIDs() []string {
	if b.GroupID != "" {
		return []string{b.GroupID}
	}
	return b.GroupIDs
}

// temporaryGroup reports whether a group is made for this build.
func (b *EBS) temporaryGroup() bool {
	return b.protocol() != "none" && len(b.groupIDs()) == 0 && b.GroupFilter.empty()
}

// copyRegions are the regions that get a copy.
func (b *EBS) copyRegions() []string {
	rs := slices.Clone(b.AMIRegions)
	slices.Sort(rs)
	return slices.DeleteFunc(slices.Compact(rs), func(r string) bool { return r == b.place.Region })
}

// imageTags are the tags of the image: its own over those of the run.
func (b *EBS) imageTags() map[string]string {
	own := merged(b.Tags, b.Tag)
	if b.SkipRunTags {
		return own
	}
	run := merged(b.RunTags, b.RunTag)
	maps.Copy(run, own)
	return run
}

// Supported says why the options cannot be built, though they are valid. It finds
// out where to build, in files and environment, and makes the access settings
// known to the cloud; it must be called before Machine.
func (b *EBS) Supported() error {
	if b.Interface == "session_manager" {
		return errors.New("ssh_interface session_manager is not supported yet")
	}
	region, err := b.Access.region(context.Background())
	if err != nil && b.cloud.o.Endpoint != "" {
		region, err = "us-east-1", nil // nothing of the user's own is asked for
	}
	if err != nil {
		return err
	}
	b.Access.Region = region
	b.place = Place{Account: b.cloud.Register(b.Access), Region: region}
	b.cloud.learn(b.place)
	return nil
}
