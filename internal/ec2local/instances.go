package ec2local

import (
	"cmp"
	"slices"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// The states of an instance.
const (
	pending      = "pending"
	running      = "running"
	shuttingDown = "shutting-down"
	terminated   = "terminated"
	stopping     = "stopping"
	stopped      = "stopped"
)

var stateCodes = map[string]int{pending: 0, running: 16, shuttingDown: 32, terminated: 48, stopping: 64, stopped: 80}

type instance struct {
	base
	Reservation     string         `json:"reservation"`
	Index           int            `json:"index"`
	ImageID         string         `json:"image"`
	Type            string         `json:"type"`
	Arch            string         `json:"arch"`
	Platform        string         `json:"platform,omitempty"`
	PlatformDetails string         `json:"platform_details"`
	UsageOperation  string         `json:"usage_operation"`
	Virt            string         `json:"virt"`
	BootMode        string         `json:"boot_mode,omitempty"`
	ENA             bool           `json:"ena,omitempty"`
	Sriov           string         `json:"sriov,omitempty"`
	ImageImds       string         `json:"image_imds,omitempty"`
	RootDevice      string         `json:"root_device"`
	KeyName         string         `json:"key_name,omitempty"`
	Token           string         `json:"token,omitempty"`
	VPC             string         `json:"vpc"`
	Subnet          string         `json:"subnet"`
	Zone            string         `json:"zone"`
	Groups          []string       `json:"groups"`
	Interface       string         `json:"interface"`
	Public          bool           `json:"public"`
	Addr            string         `json:"addr"`
	IPv6            bool           `json:"ipv6,omitempty"` // which is of IPv6; there is no other
	Ports           map[string]int `json:"ports,omitempty"`
	Devices         []device       `json:"devices"`
	Ephemeral       []mapping      `json:"ephemeral,omitempty"`
	Shutdown        string         `json:"shutdown"` // stop or terminate, when the guest powers off
	NoTerminate     bool           `json:"no_terminate,omitempty"`
	NoStop          bool           `json:"no_stop,omitempty"`
	Optimized       bool           `json:"optimized,omitempty"`
	Monitoring      bool           `json:"monitoring,omitempty"`
	NoCheck         bool           `json:"no_check,omitempty"`
	Enclave         bool           `json:"enclave,omitempty"`
	Credits         string         `json:"credits,omitempty"`
	Tenancy         string         `json:"tenancy,omitempty"`
	Metadata        metadata       `json:"metadata"`
	Profile         string         `json:"profile,omitempty"`
	Reserved        string         `json:"reserved,omitempty"` // capacity reservation preference
	CPU             cpuOptions     `json:"cpu,omitzero"`
	Licenses        []string       `json:"licenses,omitempty"`
	Spot            bool           `json:"spot,omitempty"`
	SpotRequest     string         `json:"spot_request,omitempty"`
	UserData        []byte         `json:"user_data,omitempty"`
	Launched        time.Time      `json:"launched"`

	State    string    `json:"state"`
	Due      time.Time `json:"due,omitzero"`     // when a passing state may end; when a terminated one is forgotten
	Reclaim  time.Time `json:"reclaim,omitzero"` // of a spot instance
	Code     string    `json:"code,omitempty"`   // why the state is what it is
	Message  string    `json:"message,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Trouble  string    `json:"trouble,omitempty"` // why it will not run
	Reboot   bool      `json:"reboot,omitempty"`
	Impaired bool      `json:"impaired,omitempty"` // the guest died and was not booted again

	// What the guest is made of. Layers are those it stands on by now.
	User          string        `json:"user,omitempty"`
	AuthorizedKey string        `json:"authorized_key,omitempty"`
	Release       guest.Release `json:"release"`
	Layers        []string      `json:"layers,omitempty"`
	Rootless      bool          `json:"rootless,omitempty"` // the root volume that the guest stands for was taken away
}

type device struct {
	Name                string    `json:"name"`
	Volume              string    `json:"volume"`
	DeleteOnTermination bool      `json:"delete,omitempty"`
	At                  time.Time `json:"at"`
}

type metadata struct {
	Endpoint string `json:"endpoint"`
	Tokens   string `json:"tokens"`
	Hops     int    `json:"hops"`
	Tags     string `json:"tags"`
	IPv6     string `json:"ipv6"`
}

func (*instance) table() string { return "instance" }
func (*instance) refer() (string, string, string) {
	return "i", "InvalidInstanceID", "instance ID"
}

func (i *instance) marks() (ms []mark) {
	if i.State != terminated {
		ms = append(ms, mark{"alive", ""}, mark{"addr", i.Addr})
	}
	return layerMarks(ms, i.Layers)
}

// ofState are the instances that a call changing states names.
func (c *call) ofState(ids []string) ([]*instance, error) {
	if len(ids) == 0 {
		return nil, missing("InstanceId")
	}
	return list[instance](c, ids)
}

type stateItem struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

func stateOf(name string) stateItem { return stateItem{stateCodes[name], name} }

type placementItem struct {
	Zone    string `xml:"availabilityZone"`
	Group   string `xml:"groupName"`
	Tenancy string `xml:"tenancy"`
}

type monitoringItem struct {
	State string `xml:"state"`
}

type instanceEBS struct {
	Volume string `xml:"volumeId"`
	Status string `xml:"status"`
	At     string `xml:"attachTime"`
	Delete bool   `xml:"deleteOnTermination"`
}

type instanceDevice struct {
	Name string      `xml:"deviceName"`
	EBS  instanceEBS `xml:"ebs"`
}

type profileItem struct {
	ARN string `xml:"arn"`
	ID  string `xml:"id"`
}

type instanceInterface struct {
	ID          string               `xml:"networkInterfaceId"`
	Subnet      string               `xml:"subnetId"`
	VPC         string               `xml:"vpcId"`
	Description string               `xml:"description"`
	Owner       string               `xml:"ownerId"`
	Status      string               `xml:"status"`
	MAC         string               `xml:"macAddress"`
	Addr        string               `xml:"privateIpAddress,omitempty"`
	DNS         string               `xml:"privateDnsName,omitempty"`
	IPv6        set[ipv6Address]     `xml:"ipv6AddressesSet"`
	Check       bool                 `xml:"sourceDestCheck"`
	Groups      set[groupIdentifier] `xml:"groupSet"`
	Attachment  struct {
		ID     string `xml:"attachmentId"`
		Index  int    `xml:"deviceIndex"`
		Status string `xml:"status"`
		At     string `xml:"attachTime"`
		Delete bool   `xml:"deleteOnTermination"`
		Card   int    `xml:"networkCardIndex"`
	} `xml:"attachment"`
	Public *publicAddress      `xml:"association"`
	Addrs  set[privateAddress] `xml:"privateIpAddressesSet"`
	Type   string              `xml:"interfaceType"`
}

type cpuOptions struct {
	Cores   int    `json:"cores" xml:"coreCount"`
	Threads int    `json:"threads" xml:"threadsPerCore"`
	SevSnp  string `json:"sev_snp,omitempty" xml:"amdSevSnp,omitempty"`
	Nested  string `json:"nested,omitempty" xml:"nestedVirtualization,omitempty"`
}

type licenseItem struct {
	ARN string `xml:"licenseConfigurationArn"`
}

type metadataItem struct {
	State    string `xml:"state"`
	Tokens   string `xml:"httpTokens"`
	Hops     int    `xml:"httpPutResponseHopLimit"`
	Endpoint string `xml:"httpEndpoint"`
	IPv6     string `xml:"httpProtocolIpv6"`
	Tags     string `xml:"instanceMetadataTags"`
}

type reservationPreference struct {
	Preference string `xml:"capacityReservationPreference"`
}

type enclaveItem struct {
	Enabled bool `xml:"enabled"`
}

type maintenanceItem struct {
	Recovery string `xml:"autoRecovery"`
}

type instanceItem struct {
	ID              string                 `xml:"instanceId"`
	Image           string                 `xml:"imageId"`
	State           stateItem              `xml:"instanceState"`
	PrivateDNS      string                 `xml:"privateDnsName"`
	DNS             string                 `xml:"dnsName"`
	Reason          string                 `xml:"reason"`
	Key             string                 `xml:"keyName,omitempty"`
	Index           int                    `xml:"amiLaunchIndex"`
	Type            string                 `xml:"instanceType"`
	Launched        string                 `xml:"launchTime"`
	Placement       placementItem          `xml:"placement"`
	Platform        string                 `xml:"platform,omitempty"`
	Monitoring      monitoringItem         `xml:"monitoring"`
	Subnet          string                 `xml:"subnetId,omitempty"`
	VPC             string                 `xml:"vpcId,omitempty"`
	PrivateAddr     string                 `xml:"privateIpAddress,omitempty"`
	Addr            string                 `xml:"ipAddress,omitempty"`
	IPv6            string                 `xml:"ipv6Address,omitempty"`
	Check           bool                   `xml:"sourceDestCheck"`
	Groups          set[groupIdentifier]   `xml:"groupSet"`
	StateReason     *reasonItem            `xml:"stateReason"`
	Arch            string                 `xml:"architecture"`
	RootType        string                 `xml:"rootDeviceType"`
	RootDevice      string                 `xml:"rootDeviceName"`
	Devices         set[instanceDevice]    `xml:"blockDeviceMapping"`
	Virt            string                 `xml:"virtualizationType"`
	Lifecycle       string                 `xml:"instanceLifecycle,omitempty"`
	SpotRequest     string                 `xml:"spotInstanceRequestId,omitempty"`
	Token           string                 `xml:"clientToken"`
	Tags            set[tag]               `xml:"tagSet"`
	Hypervisor      string                 `xml:"hypervisor"`
	Interfaces      set[instanceInterface] `xml:"networkInterfaceSet"`
	Profile         *profileItem           `xml:"iamInstanceProfile"`
	Optimized       bool                   `xml:"ebsOptimized"`
	ENA             bool                   `xml:"enaSupport"`
	Sriov           string                 `xml:"sriovNetSupport,omitempty"`
	CPU             cpuOptions             `xml:"cpuOptions"`
	Licenses        set[licenseItem]       `xml:"licenseSet"`
	Reservation     reservationPreference  `xml:"capacityReservationSpecification"`
	Metadata        metadataItem           `xml:"metadataOptions"`
	Enclave         enclaveItem            `xml:"enclaveOptions"`
	BootMode        string                 `xml:"bootMode,omitempty"`
	PlatformDetails string                 `xml:"platformDetails"`
	UsageOperation  string                 `xml:"usageOperation"`
	UsageSince      string                 `xml:"usageOperationUpdateTime"`
	Maintenance     maintenanceItem        `xml:"maintenanceOptions"`
}

// gone tells whether an instance has lost its addresses.
func (i *instance) gone() bool { return i.State == terminated }

// publicAddr also stands where EC2 shows a name, for no resolver knows the
// names of this endpoint.
func (i *instance) publicAddr() string {
	if !i.Public || i.State == stopped || i.gone() {
		return ""
	}
	return i.Addr
}

func (c *call) instanceItem(i *instance) instanceItem {
	t := typeNamed(i.Type)
	n := instanceItem{
		ID: i.ID, Image: i.ImageID, State: stateOf(i.State), DNS: i.publicAddr(), Reason: i.Reason, Key: i.KeyName, Index: i.Index, Type: i.Type,
		Launched: stamp(i.Launched), Placement: placementItem{Zone: i.Zone, Tenancy: i.Tenancy}, Platform: i.Platform,
		Monitoring: monitoringItem{"disabled"}, Addr: i.publicAddr(), Check: !i.NoCheck, Arch: i.Arch, RootType: "ebs", RootDevice: i.RootDevice,
		Virt: i.Virt, Token: i.Token, Tags: c.tagSet(i.ID), Hypervisor: "xen", Optimized: i.Optimized, ENA: i.ENA, Sriov: i.Sriov,
		CPU: cmp.Or(i.CPU, t.processors()), Reservation: reservationPreference{i.Reserved},
		Metadata: metadataItem{"applied", i.Metadata.Tokens, i.Metadata.Hops, i.Metadata.Endpoint, i.Metadata.IPv6, i.Metadata.Tags},
		Enclave:  enclaveItem{i.Enclave}, BootMode: i.BootMode, PlatformDetails: i.PlatformDetails, UsageOperation: i.UsageOperation,
		UsageSince: stamp(i.Launched), Maintenance: maintenanceItem{"default"},
	}
	if i.Monitoring {
		n.Monitoring.State = "enabled"
	}
	if i.Spot {
		n.Lifecycle, n.SpotRequest = "spot", i.SpotRequest
	}
	for _, arn := range i.Licenses {
		n.Licenses.Items = append(n.Licenses.Items, licenseItem{arn})
	}
	if i.Code != "" {
		n.StateReason = &reasonItem{i.Code, i.Message}
	}
	if i.Profile != "" {
		n.Profile = &profileItem{i.Profile, profileID(i.Profile)}
	}
	if i.gone() {
		return n
	}
	n.PrivateDNS, n.PrivateAddr, n.Subnet, n.VPC = i.Addr, i.Addr, i.Subnet, i.VPC
	if i.IPv6 {
		n.PrivateDNS, n.PrivateAddr, n.IPv6 = "", "", i.Addr
	}
	n.Groups = c.groupSet(i.Groups)
	for _, d := range i.Devices {
		n.Devices.Items = append(n.Devices.Items, instanceDevice{d.Name, instanceEBS{d.Volume, "attached", stamp(d.At), d.DeleteOnTermination}})
	}
	if e := get[netInterface](c.txn, c.region, i.Interface); e != nil {
		var public *publicAddress
		if i.publicAddr() != "" {
			public = e.public()
		}
		x := instanceInterface{
			ID: e.ID, Subnet: e.Subnet, VPC: e.VPC, Description: e.Description, Owner: c.account(), Status: "in-use", MAC: e.mac(), Addr: e.ipv4(), DNS: e.ipv4(),
			Check: !e.NoCheck, Groups: c.groupSet(e.Groups), Public: public, Addrs: e.privates(public), IPv6: e.ipv6(), Type: "interface",
		}
		x.Attachment.ID, x.Attachment.Status, x.Attachment.At, x.Attachment.Delete = e.Attachment, "attached", stamp(e.At), true
		n.Interfaces.Items = append(n.Interfaces.Items, x)
	}
	return n
}

func deviceValues(f func(d *device) []string) func(c *call, i *instance) []string {
	return func(c *call, i *instance) []string {
		var v []string
		for n := range i.Devices {
			v = append(v, f(&i.Devices[n])...)
		}
		return v
	}
}

func (c *call) groupNames(ids []string) []string {
	var v []string
	for _, g := range c.groupSet(ids).Items {
		v = append(v, g.Name)
	}
	return v
}

var instanceFilters = filters[instance]{
	"architecture":                func(c *call, i *instance) []string { return one(i.Arch) },
	"availability-zone":           func(c *call, i *instance) []string { return one(i.Zone) },
	"client-token":                func(c *call, i *instance) []string { return one(i.Token) },
	"dns-name":                    func(c *call, i *instance) []string { return one(i.publicAddr()) },
	"hypervisor":                  func(c *call, i *instance) []string { return one("xen") },
	"iam-instance-profile.arn":    func(c *call, i *instance) []string { return one(i.Profile) },
	"image-id":                    func(c *call, i *instance) []string { return one(i.ImageID) },
	"instance-id":                 func(c *call, i *instance) []string { return one(i.ID) },
	"instance-state-code":         func(c *call, i *instance) []string { return number(int64(stateCodes[i.State])) },
	"instance-state-name":         func(c *call, i *instance) []string { return one(i.State) },
	"instance-type":               func(c *call, i *instance) []string { return one(i.Type) },
	"instance.group-id":           func(c *call, i *instance) []string { return i.Groups },
	"instance.group-name":         func(c *call, i *instance) []string { return c.groupNames(i.Groups) },
	"ip-address":                  func(c *call, i *instance) []string { return one(i.publicAddr()) },
	"key-name":                    func(c *call, i *instance) []string { return one(i.KeyName) },
	"launch-time":                 func(c *call, i *instance) []string { return one(stamp(i.Launched)) },
	"network-interface.subnet-id": func(c *call, i *instance) []string { return one(i.Subnet) },
	"network-interface.vpc-id":    func(c *call, i *instance) []string { return one(i.VPC) },
	"owner-id":                    func(c *call, i *instance) []string { return one(c.account()) },
	"platform":                    func(c *call, i *instance) []string { return one(i.Platform) },
	"private-ip-address":          func(c *call, i *instance) []string { return one(i.Addr) },
	"reservation-id":              func(c *call, i *instance) []string { return one(i.Reservation) },
	"root-device-name":            func(c *call, i *instance) []string { return one(i.RootDevice) },
	"root-device-type":            func(c *call, i *instance) []string { return one("ebs") },
	"spot-instance-request-id":    func(c *call, i *instance) []string { return one(i.SpotRequest) },
	"state-reason-code":           func(c *call, i *instance) []string { return one(i.Code) },
	"subnet-id":                   func(c *call, i *instance) []string { return one(i.Subnet) },
	"virtualization-type":         func(c *call, i *instance) []string { return one(i.Virt) },
	"vpc-id":                      func(c *call, i *instance) []string { return one(i.VPC) },
	"instance-lifecycle": func(c *call, i *instance) []string {
		if i.Spot {
			return one("spot")
		}
		return nil
	},
	"block-device-mapping.device-name":           deviceValues(func(d *device) []string { return one(d.Name) }),
	"block-device-mapping.volume-id":             deviceValues(func(d *device) []string { return one(d.Volume) }),
	"block-device-mapping.delete-on-termination": deviceValues(func(d *device) []string { return yes(d.DeleteOnTermination) }),
}.tagged(tagsOf[instance]).found("instance-id")

type describeInstancesRequest struct {
	pageRequest
	InstanceIds []string
	Filters     []filter
}

type reservationItem struct {
	ID        string               `xml:"reservationId"`
	Owner     string               `xml:"ownerId"`
	Groups    set[groupIdentifier] `xml:"groupSet"`
	Instances set[instanceItem]    `xml:"instancesSet"`
}

type describeInstancesResponse struct {
	Reservations set[reservationItem] `xml:"reservationSet"`
	pageResponse
}

func describeInstances(c *call, q *describeInstancesRequest) (*describeInstancesResponse, error) {
	if err := onePage(q.pageRequest, q.InstanceIds, "instancesSet"); err != nil {
		return nil, err
	}
	is, err := about(c, instanceFilters, q.InstanceIds, q.Filters)
	if err != nil {
		return nil, err
	}
	is, next, err := narrow(c, instanceFilters, q.Filters, is, q.pageRequest)
	if err != nil {
		return nil, err
	}
	return &describeInstancesResponse{c.reservations(is), next}, nil
}

func (c *call) reservations(is []*instance) set[reservationItem] {
	var out set[reservationItem]
	at := map[string]int{}
	for _, i := range is {
		n, ok := at[i.Reservation]
		if !ok {
			n = len(out.Items)
			at[i.Reservation] = n
			out.Items = append(out.Items, reservationItem{ID: i.Reservation, Owner: c.account()})
		}
		out.Items[n].Instances.Items = append(out.Items[n].Instances.Items, c.instanceItem(i))
	}
	return out
}

type describeStatusRequest struct {
	pageRequest
	InstanceIds         []string
	IncludeAllInstances bool
	Filters             []filter
}

type statusDetail struct {
	Name   string `xml:"name"`
	Status string `xml:"status"`
}

type statusSummary struct {
	Status  string            `xml:"status"`
	Details set[statusDetail] `xml:"details"`
}

type instanceStatusItem struct {
	ID       string        `xml:"instanceId"`
	Zone     string        `xml:"availabilityZone"`
	State    stateItem     `xml:"instanceState"`
	System   statusSummary `xml:"systemStatus"`
	Instance statusSummary `xml:"instanceStatus"`
}

type describeStatusResponse struct {
	Statuses set[instanceStatusItem] `xml:"instanceStatusSet"`
	pageResponse
}

func (i *instance) status() (word, detail string) {
	switch {
	case i.State != running:
		return "not-applicable", ""
	case i.Impaired:
		return "impaired", "failed"
	}
	return "ok", "passed"
}

var statusFilters = filters[instance]{
	"availability-zone":      func(c *call, i *instance) []string { return one(i.Zone) },
	"instance-state-code":    func(c *call, i *instance) []string { return number(int64(stateCodes[i.State])) },
	"instance-state-name":    func(c *call, i *instance) []string { return one(i.State) },
	"instance-status.status": func(c *call, i *instance) []string { s, _ := i.status(); return one(s) },
	"system-status.status":   func(c *call, i *instance) []string { s, _ := i.status(); return one(s) },
}.tagged(tagsOf[instance])

func describeInstanceStatus(c *call, q *describeStatusRequest) (*describeStatusResponse, error) {
	if err := onePage(q.pageRequest, q.InstanceIds, "instancesSet"); err != nil {
		return nil, err
	}
	is, err := list[instance](c, q.InstanceIds)
	if err != nil {
		return nil, err
	}
	if !q.IncludeAllInstances {
		is = slices.DeleteFunc(is, func(i *instance) bool { return i.State != running })
	}
	is, next, err := narrow(c, statusFilters, q.Filters, is, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeStatusResponse{pageResponse: next}
	for _, i := range is {
		word, detail := i.status()
		s := statusSummary{Status: word}
		if detail != "" {
			s.Details.Items = append(s.Details.Items, statusDetail{"reachability", detail})
		}
		system := s
		if i.Impaired {
			system = statusSummary{"ok", set[statusDetail]{[]statusDetail{{"reachability", "passed"}}}}
		}
		r.Statuses.Items = append(r.Statuses.Items, instanceStatusItem{i.ID, i.Zone, stateOf(i.State), system, s})
	}
	return r, nil
}
