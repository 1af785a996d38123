package ec2local

import (
	"slices"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// An image is a name for snapshots. What its guests start from is in the
// snapshot of its root device.
type image struct {
	base
	Name            string        `json:"name"`
	Description     string        `json:"description,omitempty"`
	Owner           string        `json:"owner"`
	OwnerAlias      string        `json:"owner_alias,omitempty"`
	State           string        `json:"state"` // pending, available, failed
	Reason          string        `json:"reason,omitempty"`
	Due             time.Time     `json:"due,omitzero"`
	Arch            string        `json:"arch"`
	Platform        string        `json:"platform,omitempty"`
	PlatformDetails string        `json:"platform_details"`
	UsageOperation  string        `json:"usage_operation"`
	RootDevice      string        `json:"root_device"`
	Virt            string        `json:"virt"`
	ENA             bool          `json:"ena,omitempty"`
	Sriov           string        `json:"sriov,omitempty"`
	BootMode        string        `json:"boot_mode,omitempty"`
	Imds            string        `json:"imds,omitempty"`
	TPM             string        `json:"tpm,omitempty"`
	UEFI            string        `json:"uefi,omitempty"`
	Public          bool          `json:"public,omitempty"`
	Users           []string      `json:"users,omitempty"` // who may launch it
	Orgs            []string      `json:"orgs,omitempty"`
	Units           []string      `json:"units,omitempty"`
	ProductCodes    []string      `json:"product_codes,omitempty"`
	Mappings        []mapping     `json:"mappings"`
	Deprecation     time.Time     `json:"deprecation,omitzero"`
	Protection      string        `json:"protection,omitempty"`
	Cooldown        bool          `json:"cooldown,omitempty"`
	Fast            *fastLaunch   `json:"fast,omitempty"`
	SourceInstance  string        `json:"source_instance,omitempty"`
	SourceImage     string        `json:"source_image,omitempty"`
	SourceRegion    string        `json:"source_region,omitempty"`
	User            string        `json:"user,omitempty"`
	Release         guest.Release `json:"release"`
	Disk            string        `json:"disk,omitempty"` // as that of its snapshot
}

func (*image) table() string                   { return "image" }
func (*image) refer() (string, string, string) { return "ami", "InvalidAMIID", "image id" }

// A mapping is a device of an image, or of a launch.
type mapping struct {
	Device              string `json:"device"`
	Virtual             string `json:"virtual,omitempty"`
	Snapshot            string `json:"snapshot,omitempty"`
	Size                int    `json:"size,omitempty"` // GiB
	Type                string `json:"type,omitempty"`
	IOPS                int    `json:"iops,omitempty"`
	Throughput          int    `json:"throughput,omitempty"`
	Encrypted           bool   `json:"encrypted,omitempty"`
	KMS                 string `json:"kms,omitempty"`
	DeleteOnTermination bool   `json:"delete,omitempty"`
}

func (m *image) marks() []mark {
	ms := []mark{{"name", m.Name}}
	if m.State == "pending" {
		ms = append(ms, dueMark(m.Due))
	}
	for _, d := range m.Mappings {
		if d.Snapshot != "" {
			ms = append(ms, mark{"snapshot", d.Snapshot})
		}
	}
	return ms
}

// root is the mapping of the device that guests start from.
func (m *image) root() *mapping {
	for i := range m.Mappings {
		if m.Mappings[i].Device == m.RootDevice {
			return &m.Mappings[i]
		}
	}
	return nil
}

// image finds an image that a request names, one's own or a public one.
func (c *call) image(id string) (*image, error) {
	for _, m := range catalogue(regionOf(c.region)) {
		if m.ID == id {
			return m, nil
		}
	}
	m, err := find[image](c, id)
	if err != nil {
		if s := shared(c, id, func(m *image) bool { return m.openTo(c.account()) }); s != nil {
			return s, nil
		}
	}
	if err != nil && wellFormed("ami", id) {
		return nil, fail("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	}
	return m, err
}

// openTo tells whether another account may launch the image. Which accounts are of an
// organization is not looked at: all of this endpoint are.
func (m *image) openTo(account string) bool {
	return m.Public || slices.Contains(m.Users, account) || len(m.Orgs)+len(m.Units) > 0
}

// ownImage finds an image that the caller may change.
func (c *call) ownImage(id string) (*image, error) {
	if id == "" {
		return nil, missing("ImageId")
	}
	m, err := c.image(id)
	if err == nil && m.Owner != c.account() {
		return nil, fail("AuthFailure", "Not authorized for image:%s", id)
	}
	return m, err
}

var imageName = patternOf(`^[a-zA-Z0-9()\[\] ./\-'@_]{3,128}$`)

// newImageName checks the name of an image to be made: form and uniqueness.
func (c *call) newImageName(name, description string) error {
	if name == "" {
		return missing("Name")
	}
	if !imageName.MatchString(name) {
		return fail("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', ' ', '.', '-', '/', ''', '@' and '_'")
	}
	if err := describe(description); err != nil {
		return err
	}
	if ids := c.ids("image", c.region, mark{"name", name}); len(ids) > 0 {
		return fail("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, ids[0])
	}
	return nil
}

type describeImagesRequest struct {
	pageRequest
	ExecutableUsers, ImageIds, Owners  []string
	IncludeDeprecated, IncludeDisabled bool
	Filters                            []filter
}

type ebsItem struct {
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
	Snapshot            string `xml:"snapshotId,omitempty"`
	Size                int    `xml:"volumeSize,omitempty"`
	Type                string `xml:"volumeType,omitempty"`
	IOPS                int    `xml:"iops,omitempty"`
	Throughput          int    `xml:"throughput,omitempty"`
	KMS                 string `xml:"kmsKeyId,omitempty"`
	Encrypted           bool   `xml:"encrypted"`
}

type mappingItem struct {
	Device  string   `xml:"deviceName"`
	Virtual string   `xml:"virtualName,omitempty"`
	EBS     *ebsItem `xml:"ebs"`
}

type productCodeItem struct {
	Code string `xml:"productCode"`
	Type string `xml:"type"`
}

type reasonItem struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

type imageItem struct {
	ID              string                `xml:"imageId"`
	Location        string                `xml:"imageLocation"`
	State           string                `xml:"imageState"`
	Owner           string                `xml:"imageOwnerId"`
	OwnerAlias      string                `xml:"imageOwnerAlias,omitempty"`
	Created         string                `xml:"creationDate"`
	Public          bool                  `xml:"isPublic"`
	ProductCodes    *set[productCodeItem] `xml:"productCodes"`
	Arch            string                `xml:"architecture"`
	Type            string                `xml:"imageType"`
	Platform        string                `xml:"platform,omitempty"`
	PlatformDetails string                `xml:"platformDetails"`
	UsageOperation  string                `xml:"usageOperation"`
	Name            string                `xml:"name"`
	Description     string                `xml:"description,omitempty"`
	RootType        string                `xml:"rootDeviceType"`
	RootDevice      string                `xml:"rootDeviceName"`
	Mappings        set[mappingItem]      `xml:"blockDeviceMapping"`
	Virt            string                `xml:"virtualizationType"`
	Hypervisor      string                `xml:"hypervisor"`
	ENA             *bool                 `xml:"enaSupport"`
	Sriov           string                `xml:"sriovNetSupport,omitempty"`
	BootMode        string                `xml:"bootMode,omitempty"`
	Imds            string                `xml:"imdsSupport,omitempty"`
	TPM             string                `xml:"tpmSupport,omitempty"`
	Deprecation     string                `xml:"deprecationTime,omitempty"`
	Protection      string                `xml:"deregistrationProtection,omitempty"`
	SourceInstance  string                `xml:"sourceInstanceId,omitempty"`
	SourceImage     string                `xml:"sourceImageId,omitempty"`
	SourceRegion    string                `xml:"sourceImageRegion,omitempty"`
	Reason          *reasonItem           `xml:"stateReason"`
	Tags            set[tag]              `xml:"tagSet"`
}

type describeImagesResponse struct {
	Images set[imageItem] `xml:"imagesSet"`
	pageResponse
}

func mappingItems(ms []mapping) set[mappingItem] {
	var out set[mappingItem]
	for _, m := range ms {
		i := mappingItem{Device: m.Device, Virtual: m.Virtual}
		if m.Virtual == "" {
			i.EBS = &ebsItem{m.DeleteOnTermination, m.Snapshot, m.Size, m.Type, m.IOPS, m.Throughput, m.KMS, m.Encrypted}
		}
		out.Items = append(out.Items, i)
	}
	return out
}

func (c *call) imageItem(m *image) imageItem {
	i := imageItem{
		ID: m.ID, Location: m.Owner + "/" + m.Name, State: m.State, Owner: m.Owner, OwnerAlias: m.OwnerAlias, Created: stamp(m.Created),
		Public: m.Public, Arch: m.Arch, Type: "machine", Platform: m.Platform, PlatformDetails: m.PlatformDetails,
		UsageOperation: m.UsageOperation, Name: m.Name, Description: m.Description, RootType: "ebs", RootDevice: m.RootDevice,
		Mappings: mappingItems(m.Mappings), Virt: m.Virt, Hypervisor: "xen", Sriov: m.Sriov, BootMode: m.BootMode, Imds: m.Imds, TPM: m.TPM,
		Protection: m.Protection, SourceInstance: m.SourceInstance, SourceImage: m.SourceImage, SourceRegion: m.SourceRegion, Tags: c.tagSet(m.ID),
	}
	if m.OwnerAlias != "" {
		i.Location = m.OwnerAlias + "/" + m.Name
	}
	if m.ENA {
		i.ENA = &m.ENA
	}
	if !m.Deprecation.IsZero() {
		i.Deprecation = stamp(m.Deprecation)
	}
	if m.Reason != "" {
		i.Reason = &reasonItem{"Client.InternalError", m.Reason}
	}
	if len(m.ProductCodes) > 0 {
		i.ProductCodes = &set[productCodeItem]{}
		for _, p := range m.ProductCodes {
			i.ProductCodes.Items = append(i.ProductCodes.Items, productCodeItem{p, "marketplace"})
		}
	}
	return i
}

func mappingValues(f func(m *mapping) []string) func(c *call, x *image) []string {
	return func(c *call, x *image) []string {
		var v []string
		for i := range x.Mappings {
			v = append(v, f(&x.Mappings[i])...)
		}
		return v
	}
}

var imageFilters = filters[image]{
	"architecture":        func(c *call, m *image) []string { return one(m.Arch) },
	"boot-mode":           func(c *call, m *image) []string { return one(m.BootMode) },
	"creation-date":       func(c *call, m *image) []string { return one(stamp(m.Created)) },
	"description":         func(c *call, m *image) []string { return one(m.Description) },
	"ena-support":         func(c *call, m *image) []string { return yes(m.ENA) },
	"hypervisor":          func(c *call, m *image) []string { return one("xen") },
	"image-id":            func(c *call, m *image) []string { return one(m.ID) },
	"image-type":          func(c *call, m *image) []string { return one("machine") },
	"is-public":           func(c *call, m *image) []string { return yes(m.Public) },
	"manifest-location":   func(c *call, m *image) []string { return one(m.Owner + "/" + m.Name) },
	"name":                func(c *call, m *image) []string { return one(m.Name) },
	"owner-alias":         func(c *call, m *image) []string { return one(m.OwnerAlias) },
	"owner-id":            func(c *call, m *image) []string { return one(m.Owner) },
	"platform":            func(c *call, m *image) []string { return one(m.Platform) },
	"product-code":        func(c *call, m *image) []string { return m.ProductCodes },
	"root-device-name":    func(c *call, m *image) []string { return one(m.RootDevice) },
	"root-device-type":    func(c *call, m *image) []string { return one("ebs") },
	"source-image-id":     func(c *call, m *image) []string { return one(m.SourceImage) },
	"source-image-region": func(c *call, m *image) []string { return one(m.SourceRegion) },
	"source-instance-id":  func(c *call, m *image) []string { return one(m.SourceInstance) },
	"sriov-net-support":   func(c *call, m *image) []string { return one(m.Sriov) },
	"state":               func(c *call, m *image) []string { return one(m.State) },
	"virtualization-type": func(c *call, m *image) []string { return one(m.Virt) },

	"block-device-mapping.delete-on-termination": mappingValues(func(m *mapping) []string { return yes(m.DeleteOnTermination) }),
	"block-device-mapping.device-name":           mappingValues(func(m *mapping) []string { return one(m.Device) }),
	"block-device-mapping.encrypted":             mappingValues(func(m *mapping) []string { return yes(m.Encrypted) }),
	"block-device-mapping.snapshot-id":           mappingValues(func(m *mapping) []string { return one(m.Snapshot) }),
	"block-device-mapping.volume-size":           mappingValues(func(m *mapping) []string { return number(int64(m.Size)) }),
	"block-device-mapping.volume-type":           mappingValues(func(m *mapping) []string { return one(m.Type) }),
}.tagged(tagsOf[image]).found("image-id", "name")

// ownedBy tells whether an image has one of the owners that a request names.
func (m *image) ownedBy(owners []string, self string) bool {
	for _, o := range owners {
		if o == m.Owner || o == "self" && m.Owner == self || o == m.OwnerAlias && o != "" {
			return true
		}
	}
	return false
}

func (m *image) executableBy(users []string, self string) bool {
	for _, u := range users {
		if u == "all" && m.Public || u == "self" && slices.Contains(m.Users, self) || slices.Contains(m.Users, u) {
			return true
		}
	}
	return false
}

func describeImages(c *call, q *describeImagesRequest) (*describeImagesResponse, error) {
	if err := onePage(q.pageRequest, q.ImageIds, "imageIds"); err != nil {
		return nil, err
	}
	for _, o := range q.Owners {
		if o != "self" && o != "amazon" && o != "aws-marketplace" && o != "aws-backup-vault" && !accountID.MatchString(o) {
			return nil, fail("InvalidUserID.Malformed", "Invalid user id: \"%s\"", o)
		}
	}
	for _, u := range q.ExecutableUsers {
		if u != "self" && u != "all" && !accountID.MatchString(u) {
			return nil, fail("InvalidUserID.Malformed", "Invalid user id: \"%s\"", u)
		}
	}
	var ms []*image
	for _, id := range q.ImageIds {
		m, err := c.image(id)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	if len(q.ImageIds) == 0 {
		if len(q.Owners) == 0 || (&image{Owner: c.account()}).ownedBy(q.Owners, c.account()) {
			ms, _ = about(c, imageFilters, nil, q.Filters)
		}
		ms = append(ms, c.imagesShared(q.Owners)...)
		ms = append(ms, catalogue(regionOf(c.region))...)
	}
	ms = slices.DeleteFunc(slices.Clone(ms), func(m *image) bool {
		hidden := !q.IncludeDeprecated && len(q.ImageIds) == 0 && m.Owner != c.account() && !m.Deprecation.IsZero() && c.now.After(m.Deprecation)
		return hidden || len(q.Owners) > 0 && !m.ownedBy(q.Owners, c.account()) || len(q.ExecutableUsers) > 0 && !m.executableBy(q.ExecutableUsers, c.account())
	})
	ms, err := imageFilters.apply(c, q.Filters, ms)
	if err != nil {
		return nil, err
	}
	r := &describeImagesResponse{}
	if ms, r.NextToken, err = page(ms, q.pageRequest, 1, 1000); err != nil {
		return nil, err
	}
	for _, m := range ms {
		r.Images.Items = append(r.Images.Items, c.imageItem(m))
	}
	return r, nil
}

// imagesShared are the images of other accounts that are open to the caller, if calls about
// images of these owners are about them.
func (c *call) imagesShared(owners []string) (ms []*image) {
	for _, place := range c.s.inhabited.beside(c.region) {
		if len(owners) > 0 && !slices.Contains(owners, accountOf(place)) {
			continue
		}
		for _, m := range all[image](c.txn, place) {
			if m.seen(c.txn) && m.openTo(c.account()) {
				ms = append(ms, m)
			}
		}
	}
	return ms
}

type deregisterRequest struct {
	ImageId                   string
	DeleteAssociatedSnapshots bool
}

type deletedSnapshot struct {
	ID   string `xml:"snapshotId"`
	Code string `xml:"returnCode"`
}

type deregisterResponse struct {
	Return  bool                  `xml:"return"`
	Results *set[deletedSnapshot] `xml:"deleteSnapshotResultSet"`
}

func deregisterImage(c *call, q *deregisterRequest) (*deregisterResponse, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	if m.Protection == protectionOn || m.Protection == protectionCooldown {
		return nil, fail("OperationNotPermitted", "You cannot deregister the image '%s' because deregistration protection is enabled.", m.ID)
	}
	drop(c.txn, m)
	r := &deregisterResponse{Return: true}
	if !q.DeleteAssociatedSnapshots {
		return r, nil
	}
	r.Results = &set[deletedSnapshot]{}
	for _, d := range m.Mappings {
		s := get[snapshot](c.txn, c.region, d.Snapshot)
		if s == nil {
			continue
		}
		if user := c.imageOn(s.ID); user != "" {
			r.Results.Items = append(r.Results.Items, deletedSnapshot{s.ID, "skipped"})
			continue
		}
		drop(c.txn, s)
		r.Results.Items = append(r.Results.Items, deletedSnapshot{s.ID, "success"})
	}
	c.after = append(c.after, c.s.sweep.ring)
	return r, nil
}

// imageOn is the id of an image that stands on a snapshot, or "".
func (c *call) imageOn(snapshot string) string {
	if ids := c.ids("image", c.region, mark{"snapshot", snapshot}); len(ids) > 0 {
		return ids[0]
	}
	return ""
}

type imageIDRequest struct{ ImageId string }

type deprecateRequest struct {
	ImageId     string
	DeprecateAt time.Time
}

func enableDeprecation(c *call, q *deprecateRequest) (*empty, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	if q.DeprecateAt.Before(c.now) {
		return nil, invalid("The deprecation date must be in the future.")
	}
	if m.Public && q.DeprecateAt.After(m.Created.AddDate(2, 0, 0)) {
		return nil, invalid("The deprecation date of a public image must not be more than 2 years from its creation.")
	}
	if q.DeprecateAt.After(c.now.AddDate(10, 0, 0)) {
		return nil, invalid("The deprecation date must not be more than 10 years from now.")
	}
	m.Deprecation = q.DeprecateAt.UTC().Truncate(time.Minute)
	put(c.txn, m)
	return nil, nil
}

func disableDeprecation(c *call, q *imageIDRequest) (*empty, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	m.Deprecation = time.Time{}
	put(c.txn, m)
	return nil, nil
}

const (
	protectionOn       = "enabled-without-cooldown"
	protectionCooldown = "enabled-with-cooldown"
	protectionOff      = "disabled"
)

type protectRequest struct {
	ImageId      string
	WithCooldown bool
}

type stringReturn struct {
	Return string `xml:"return"`
}

func enableProtection(c *call, q *protectRequest) (*stringReturn, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	m.Protection, m.Cooldown = protectionOn, q.WithCooldown
	if q.WithCooldown {
		m.Protection = protectionCooldown
	}
	put(c.txn, m)
	return &stringReturn{m.Protection}, nil
}

// disableProtection of an image with a cooldown leaves it protected for a day.
func disableProtection(c *call, q *imageIDRequest) (*stringReturn, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	if m.Cooldown {
		return nil, fail("UnsupportedOperation", "The cooldown of deregistration protection lasts 24 hours; this endpoint does not play it for %s.", m.ID)
	}
	m.Protection = protectionOff
	put(c.txn, m)
	return &stringReturn{m.Protection}, nil
}
