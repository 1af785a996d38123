package ec2local

import (
	"encoding/base64"
	"slices"
	"strings"
)

type interfaceRequest struct {
	DeviceIndex                                   *int
	SubnetId, NetworkInterfaceId, Description     string
	PrivateIpAddress, InterfaceType               string
	Groups                                        []string
	AssociatePublicIpAddress, DeleteOnTermination *bool
}

type metadataRequest struct {
	HttpEndpoint, HttpTokens, InstanceMetadataTags, HttpProtocolIpv6 string
	HttpPutResponseHopLimit                                          *int
}

type marketRequest struct {
	MarketType  string
	SpotOptions *struct {
		MaxPrice, SpotInstanceType, InstanceInterruptionBehavior string
	}
}

type placementRequest struct{ AvailabilityZone, GroupName, Tenancy, HostId, HostResourceGroupArn string }

type reservationRequest struct {
	CapacityReservationPreference string
	CapacityReservationTarget     *struct{ CapacityReservationId, CapacityReservationResourceGroupArn string }
}

type cpuRequest struct {
	CoreCount, ThreadsPerCore       *int
	AmdSevSnp, NestedVirtualization string
}

type templateReference struct{ LaunchTemplateId, LaunchTemplateName, Version string }

type enabledRequest struct{ Enabled bool }

type runRequest struct {
	launchRequest
	MinCount, MaxCount int
	SubnetId           string
	ClientToken        string
	LaunchTemplate     *templateReference
	MaintenanceOptions *struct{ AutoRecovery string }
}

// launchRequest is what a launch and a launch template have in common.
type launchRequest struct {
	ImageId, InstanceType, KeyName    string
	UserData                          string
	SecurityGroupIds, SecurityGroups  []string
	BlockDeviceMappings               []mappingRequest
	NetworkInterfaces                 []interfaceRequest
	TagSpecifications                 []tagSpec
	IamInstanceProfile                *struct{ Arn, Name string }
	InstanceInitiatedShutdownBehavior string
	InstanceMarketOptions             *marketRequest
	CreditSpecification               *struct{ CpuCredits string }
	CapacityReservationSpecification  *reservationRequest
	CpuOptions                        *cpuRequest
	LicenseSpecifications             []struct{ LicenseConfigurationArn string }
	MetadataOptions                   *metadataRequest
	EnclaveOptions                    *enabledRequest
	Monitoring                        *enabledRequest
	Placement                         *placementRequest
	DisableApiTermination             bool
	DisableApiStop                    bool
	EbsOptimized                      bool
}

type runResponse struct{ reservationItem }

func (r *runResponse) summary() string {
	var ids []string
	for _, i := range r.Instances.Items {
		ids = append(ids, i.ID)
	}
	return strings.Join(ids, " ")
}

func runInstances(c *call, q *runRequest) (*runResponse, error) {
	ids, err := c.replay(q.ClientToken)
	if err != nil {
		return nil, err
	}
	var is []*instance
	if ids != nil {
		for _, id := range ids {
			i := get[instance](c.txn, c.region, id)
			if i == nil {
				if d := get[departed](c.txn, c.region, id); d != nil {
					i = &d.instance
				}
			}
			if i != nil {
				is = append(is, i)
			}
		}
	} else {
		if is, err = c.launch(q); err != nil {
			return nil, err
		}
		for _, i := range is {
			ids = append(ids, i.ID)
		}
		c.remember(q.ClientToken, ids)
	}
	return &runResponse{c.reservations(is).Items[0]}, nil
}

// The quota of instances is a small account's, and more than one machine carries;
// instances that are records alone have those that there are addresses for.
const (
	maxInstances = 200
	maxRecords   = 4000
)

func (s *Server) quota() int {
	if !s.boots() {
		return maxRecords
	}
	return maxInstances
}

// boots tells whether instances are more than records.
func (s *Server) boots() bool { return s.guests != nil && s.guests.Name() != "none" }

// launch makes instances in the state pending; their lives begin once this is
// on disk.
func (c *call) launch(q *runRequest) ([]*instance, error) {
	if q.LaunchTemplate != nil {
		if err := c.fromTemplate(q); err != nil {
			return nil, err
		}
	}
	if q.ImageId == "" {
		return nil, missing("ImageId")
	}
	if q.MinCount < 1 || q.MaxCount < q.MinCount {
		return nil, invalid("Invalid values for minCount %d and maxCount %d: 1 <= minCount <= maxCount", q.MinCount, q.MaxCount)
	}
	alive := c.count("instance", mark{"alive", ""})
	quota := c.s.quota()
	if alive+q.MinCount > quota {
		return nil, fail("InstanceLimitExceeded", "You have requested more instances (%d) than your current instance limit of %d allows.", alive+q.MinCount, quota)
	}
	m, err := c.image(q.ImageId)
	if err != nil {
		return nil, err
	}
	if m.State != "available" {
		return nil, fail("InvalidAMIID.Unavailable", "The image ID '%s' is not available: it is %s.", m.ID, m.State)
	}
	if m.Disk != "" && c.s.boots() {
		return nil, fail("UnsupportedOperation", "The root of the image %s is a disk of the format %s, and no guest of this endpoint can boot a disk: launch it at AWS.", m.ID, m.Disk)
	}
	proto, tags, err := c.prototype(q, m)
	if err != nil {
		return nil, err
	}
	if err := c.hasRoom(proto, q.InstanceMarketOptions); err != nil {
		return nil, err
	}
	maps, err := c.deviceMappings(m.Mappings, q.BlockDeviceMappings, m.RootDevice)
	if err != nil {
		return nil, err
	}
	var is []*instance
	for n := range min(q.MaxCount, max(q.MinCount, quota-alive)) {
		i := *proto
		i.base = c.newBase(newID("i"))
		i.Index = n
		if i.Addr = ipv6Loopback; !i.IPv6 {
			i.Addr = c.s.net.pick(func(addr string) bool { return c.has("instance", mark{"addr", addr}) })
		}
		if i.Spot {
			i.SpotRequest = "sir-" + strings.TrimPrefix(newID("x"), "x-0")[:8]
			i.Reclaim = c.s.injector.reclaim(c.now)
		}
		if err := c.createInstanceResources(&i, maps, tags); err != nil {
			return nil, err
		}
		is = append(is, &i)
		c.wake(&i)
	}
	return is, nil
}

// createInstanceResources gives an instance its volumes, its network card and its tags.
func (c *call) createInstanceResources(i *instance, maps []mapping, tags map[string][]tagRequest) error {
	for _, d := range maps {
		if d.Virtual != "" {
			i.Ephemeral = append(i.Ephemeral, d)
			continue
		}
		v := c.newVolume(d, i.Zone)
		v.State = "in-use"
		if v.Trouble != "" {
			i.Trouble = v.Trouble
		}
		root := d.Device == i.RootDevice
		v.Attach = &attachment{Instance: i.ID, Device: d.Device, State: "attached", At: c.now.UTC(), DeleteOnTermination: d.DeleteOnTermination, Root: root}
		if s := c.content(d.Snapshot); s != nil {
			v.Layers = s.Layers
			if root {
				i.Layers = s.Layers
			}
		}
		put(c.txn, v)
		if err := c.setTags(c.region, v.ID, tags["volume"]); err != nil {
			return err
		}
		i.Devices = append(i.Devices, device{d.Device, v.ID, d.DeleteOnTermination, c.now.UTC()})
	}
	e := &netInterface{
		base: c.newBase(newID("eni")), Instance: i.ID, Attachment: "eni-attach-" + newID("x")[2:], Subnet: i.Subnet, VPC: i.VPC, Zone: i.Zone,
		Groups: i.Groups, Addr: i.Addr, IPv6: i.IPv6, Public: i.Public, At: c.now.UTC(),
	}
	put(c.txn, e)
	if err := c.setTags(c.region, e.ID, tags["network-interface"]); err != nil {
		return err
	}
	i.Interface = e.ID
	put(c.txn, i)
	return c.setTags(c.region, i.ID, tags["instance"])
}

// prototype checks a launch and returns what its instances have in common.
func (c *call) prototype(q *runRequest, m *image) (*instance, map[string][]tagRequest, error) {
	i := &instance{
		Reservation: newID("r"), ImageID: m.ID, Type: q.InstanceType, Arch: m.Arch, Platform: m.Platform, PlatformDetails: m.PlatformDetails,
		UsageOperation: m.UsageOperation, Virt: m.Virt, BootMode: m.BootMode, ENA: m.ENA, Sriov: m.Sriov, ImageImds: m.Imds, RootDevice: m.RootDevice,
		Token: q.ClientToken, Shutdown: q.InstanceInitiatedShutdownBehavior, NoTerminate: q.DisableApiTermination, NoStop: q.DisableApiStop,
		Optimized: q.EbsOptimized, State: pending, Due: c.now.Add(c.s.takes.launch), Launched: c.now.UTC(), User: m.User, Release: m.Release,
		Reserved: "open", Tenancy: "default",
	}
	if i.Type == "" {
		i.Type = "m1.small" // EC2's default, which no image of today runs on
	}
	t := typeNamed(i.Type)
	switch {
	case t == nil:
		return nil, nil, invalid("Invalid value '%s' for InstanceType.", i.Type)
	case !t.runs(m.Arch):
		return nil, nil, invalid("The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.", strings.Join(t.archs(), ","), m.Arch)
	case m.Virt == "hvm" && m.Platform != "windows" && t.has("pv"):
		return nil, nil, fail("InvalidParameterCombination", "Non-Windows instances with a virtualization type of 'hvm' are currently not supported for this instance type : %s", i.Type)
	case m.Virt == "paravirtual" && !slices.Contains(t.virt(), "paravirtual"):
		return nil, nil, fail("InvalidParameterCombination", "Non-Windows instances with a virtualization type of 'paravirtual' are not supported on instance type %s.", i.Type)
	case t.ena() == "required" && !m.ENA:
		return nil, nil, fail("InvalidParameterCombination", "Enhanced networking with the Elastic Network Adapter (ENA) is required for the '%s' instance type. Ensure that you are using an AMI that is enabled for ENA.", i.Type)
	}
	if i.Shutdown == "" {
		i.Shutdown = "stop"
	}
	if q.KeyName != "" {
		k := c.keyNamed(c.region, q.KeyName)
		if k == nil || !k.seen(c.txn) {
			return nil, nil, noKey(q.KeyName)
		}
		if m.Platform == "windows" && k.Type == "ed25519" {
			return nil, nil, fail("InvalidParameterCombination", "ED25519 key pairs are not supported with Windows instances; use an RSA key pair.")
		}
		i.KeyName, i.AuthorizedKey = k.Name, k.Public+" "+k.Name
	}
	if err := readUserData(i, q.UserData); err != nil {
		return nil, nil, err
	}
	if err := c.options(i, q, t); err != nil {
		return nil, nil, err
	}
	if err := c.place(i, q); err != nil {
		return nil, nil, err
	}
	tags := map[string][]tagRequest{}
	for _, kind := range []string{"instance", "volume", "network-interface", "spot-instances-request"} {
		list, err := specTags(q.TagSpecifications, kind, "instance", "volume", "network-interface", "spot-instances-request")
		if err != nil {
			return nil, nil, err
		}
		tags[kind] = list
	}
	if i.Metadata.Tags == "enabled" {
		if err := shownTags(tags["instance"]); err != nil {
			return nil, nil, err
		}
	}
	if len(tags["spot-instances-request"]) > 0 && !i.Spot {
		return nil, nil, invalid("'spot-instances-request' is not a valid taggable resource type for an on-demand launch.")
	}
	return i, tags, nil
}

const maxUserData = 16 << 10

func readUserData(i *instance, text string) error {
	if text == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return invalid("Invalid BASE64 encoding of user data.")
	}
	if len(raw) > maxUserData {
		return invalid("User data is limited to %d bytes", maxUserData)
	}
	i.UserData = raw
	return nil
}

func (c *call) options(i *instance, q *runRequest, t *instanceType) error {
	if q.Monitoring != nil {
		i.Monitoring = q.Monitoring.Enabled
	}
	if q.EnclaveOptions != nil && q.EnclaveOptions.Enabled {
		if t.has("burst") || t.has("xen") || t.cpus < 4 && t.arch == "x86_64" {
			return fail("UnsupportedOperation", "The instance type %s does not support AWS Nitro Enclaves.", i.Type)
		}
		i.Enclave = true
	}
	if err := i.reserve(q); err != nil {
		return err
	}
	if err := i.processors(q.CpuOptions, t); err != nil {
		return err
	}
	for _, l := range q.LicenseSpecifications {
		i.Licenses = append(i.Licenses, l.LicenseConfigurationArn)
	}
	i.Metadata = metadata{Endpoint: "enabled", Tokens: "optional", Hops: 1, Tags: "disabled", IPv6: "disabled"}
	if i.ImageImds == "v2.0" {
		i.Metadata.Tokens, i.Metadata.Hops = "required", 2
	}
	if o := q.MetadataOptions; o != nil {
		for _, x := range []struct {
			from string
			to   *string
		}{{o.HttpEndpoint, &i.Metadata.Endpoint}, {o.HttpTokens, &i.Metadata.Tokens}, {o.InstanceMetadataTags, &i.Metadata.Tags}, {o.HttpProtocolIpv6, &i.Metadata.IPv6}} {
			if x.from != "" {
				*x.to = x.from
			}
		}
		if h := o.HttpPutResponseHopLimit; h != nil {
			if *h < 1 || *h > 64 {
				return invalid("Invalid value '%d' for HttpPutResponseHopLimit. It must be between 1 and 64.", *h)
			}
			i.Metadata.Hops = *h
		}
		if o.HttpEndpoint == "disabled" && (o.HttpTokens != "" || o.HttpPutResponseHopLimit != nil) {
			return fail("InvalidParameterCombination", "Metadata options cannot be given while the endpoint is disabled.")
		}
	}
	if s := q.CreditSpecification; s != nil {
		if !t.has("burst") {
			return fail("InvalidParameterCombination", "The instance type %s does not take a credit specification.", i.Type)
		}
		if s.CpuCredits != "standard" && s.CpuCredits != "unlimited" {
			return invalid("Value (%s) for parameter cpuCredits is invalid. It must be standard or unlimited.", s.CpuCredits)
		}
		i.Credits = s.CpuCredits
	} else if t.has("burst") {
		i.Credits = "unlimited"
		if strings.HasPrefix(i.Type, "t2.") {
			i.Credits = "standard"
		}
	}
	if mo := q.InstanceMarketOptions; mo != nil {
		if mo.MarketType != "spot" {
			return fail("UnsupportedOperation", "The market type %s is not supported by this endpoint.", mo.MarketType)
		}
		i.Spot = true
		if so := mo.SpotOptions; so != nil && so.SpotInstanceType == "persistent" {
			return fail("UnsupportedOperation", "Persistent spot requests are not supported by this endpoint.")
		}
		if q.InstanceInitiatedShutdownBehavior == "stop" {
			return fail("InvalidParameterCombination", "Spot instances of one-time requests are terminated, not stopped.")
		}
		i.Shutdown = "terminate"
	}
	if p := q.IamInstanceProfile; p != nil && p.Arn+p.Name != "" {
		arn, err := c.profile(p.Arn, p.Name)
		if err != nil {
			return err
		}
		i.Profile = arn
	}
	return nil
}

// place finds subnet, zone, security groups and public address of a launch.
func (c *call) place(i *instance, q *runRequest) error {
	subnetID, groups, public := q.SubnetId, q.SecurityGroupIds, (*bool)(nil)
	if len(q.NetworkInterfaces) > 0 {
		if subnetID != "" || len(groups) > 0 || len(q.SecurityGroups) > 0 {
			return fail("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
		}
		if len(q.NetworkInterfaces) > 1 {
			return fail("UnsupportedOperation", "More than one network interface is not supported by this endpoint.")
		}
		n := q.NetworkInterfaces[0]
		switch {
		case n.DeviceIndex == nil:
			return missing("NetworkInterface.1.DeviceIndex")
		case *n.DeviceIndex != 0:
			return invalid("The device index of the first network interface must be 0.")
		case n.NetworkInterfaceId != "" || n.PrivateIpAddress != "":
			return fail("UnsupportedOperation", "A given network interface or private address is not supported by this endpoint.")
		}
		subnetID, groups, public = n.SubnetId, n.Groups, n.AssociatePublicIpAddress
	}
	zoneName := ""
	if p := q.Placement; p != nil {
		zoneName = p.AvailabilityZone
		if p.GroupName != "" {
			return fail("InvalidPlacementGroup.Unknown", "The placement group '%s' is unknown.", p.GroupName)
		}
		switch { // there are none of either here
		case p.HostId != "":
			return fail("InvalidHostID.NotFound", "The host ID '%s' does not exist", p.HostId)
		case p.HostResourceGroupArn != "":
			return invalid("Value (%s) for parameter hostResourceGroupArn is invalid. The resource group does not exist.", p.HostResourceGroupArn)
		case p.Tenancy == "host" && i.Spot:
			return fail("InvalidParameterCombination", "Spot instances cannot be launched on dedicated hosts.")
		case p.Tenancy == "host":
			return fail("InsufficientHostCapacity", "There is no dedicated host that matches and has capacity.")
		case p.Tenancy != "":
			i.Tenancy = p.Tenancy
		}
	}
	var s *subnet
	if subnetID != "" {
		var err error
		if s, err = find[subnet](c, subnetID); err != nil {
			return err
		}
		if zoneName != "" && s.Zone != zoneName {
			return invalid("Value (%s) for parameter subnetId is invalid: it is in %s, not in %s.", s.ID, s.Zone, zoneName)
		}
	} else {
		if zoneName != "" && !slices.ContainsFunc(zones(c.region), func(z *zone) bool { return z.Name == zoneName }) {
			return invalid("Invalid availability zone: [%s]", zoneName)
		}
		for _, x := range all[subnet](c.txn, c.region) {
			if x.Default && (zoneName == "" || x.Zone == zoneName) && (s == nil || x.Zone < s.Zone) {
				s = x
			}
		}
		if s == nil {
			return fail("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
		}
	}
	i.Subnet, i.VPC, i.Zone, i.Public, i.IPv6 = s.ID, s.VPC, s.Zone, s.PublicIP, s.IPv6 != ""
	if public != nil {
		i.Public = *public
	}
	if i.Public && i.IPv6 {
		return fail("InvalidParameterCombination", "The subnet %s has IPv6 alone, and no public addresses of IPv4.", s.ID)
	}
	for _, id := range groups {
		g, err := c.findGroup(id)
		if err != nil {
			return err
		}
		if g.VPC != s.VPC {
			return fail("InvalidParameter", "Security group %s and subnet %s belong to different networks.", g.ID, s.ID)
		}
		i.Groups = append(i.Groups, g.ID)
	}
	for _, name := range q.SecurityGroups {
		g, err := c.groupNamed("", name)
		if err != nil {
			return err
		}
		if g.VPC != s.VPC {
			return fail("InvalidParameterCombination", "The parameter groupName cannot be used with the parameter subnet")
		}
		i.Groups = append(i.Groups, g.ID)
	}
	if len(i.Groups) == 0 {
		g, err := c.groupNamed(s.VPC, "default")
		if err != nil {
			return err
		}
		i.Groups = []string{g.ID}
	}
	if len(i.Groups) > 5 {
		return fail("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
	}
	return nil
}
