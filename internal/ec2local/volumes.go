package ec2local

import (
	"slices"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// A volume has content only as the root of an instance, whose guest holds it,
// or once it has left its instance, as Layers.
type volume struct {
	base
	Size       int           `json:"size"` // GiB
	Type       string        `json:"type"`
	IOPS       int           `json:"iops,omitempty"`
	Throughput int           `json:"throughput,omitempty"`
	Encrypted  bool          `json:"encrypted,omitempty"`
	KMS        string        `json:"kms,omitempty"`
	Trouble    string        `json:"trouble,omitempty"` // why it cannot be made
	Zone       string        `json:"zone"`
	Snapshot   string        `json:"snapshot,omitempty"`
	State      string        `json:"state"` // creating, available, in-use, deleting
	Due        time.Time     `json:"due,omitzero"`
	Attach     *attachment   `json:"attach,omitempty"`
	Layers     []string      `json:"layers,omitempty"`
	User       string        `json:"user,omitempty"`
	Release    guest.Release `json:"release"`
	Taken      string        `json:"taken,omitempty"` // the instance whose root it was: what its guest has written is with that
}

type attachment struct {
	Instance            string    `json:"instance"`
	Device              string    `json:"device"`
	State               string    `json:"state"` // attaching, attached, detaching
	At                  time.Time `json:"at"`
	DeleteOnTermination bool      `json:"delete,omitempty"`
	Root                bool      `json:"root,omitempty"`
}

func (*volume) table() string                   { return "volume" }
func (*volume) refer() (string, string, string) { return "vol", "InvalidVolume", "volume" }

func (v *volume) marks() (ms []mark) {
	if v.State == "creating" {
		ms = append(ms, dueMark(v.Due))
	}
	return layerMarks(ms, v.Layers)
}

type attachmentItem struct {
	Volume              string `xml:"volumeId"`
	Instance            string `xml:"instanceId"`
	Device              string `xml:"device"`
	State               string `xml:"status"`
	At                  string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

func (v *volume) attachmentItem() attachmentItem {
	a := v.Attach
	return attachmentItem{v.ID, a.Instance, a.Device, a.State, stamp(a.At), a.DeleteOnTermination}
}

type volumeItem struct {
	ID         string              `xml:"volumeId"`
	Size       int                 `xml:"size"`
	Snapshot   string              `xml:"snapshotId"`
	Zone       string              `xml:"availabilityZone"`
	State      string              `xml:"status"`
	Created    string              `xml:"createTime"`
	Attached   set[attachmentItem] `xml:"attachmentSet"`
	Type       string              `xml:"volumeType"`
	IOPS       int                 `xml:"iops,omitempty"`
	Throughput int                 `xml:"throughput,omitempty"`
	Encrypted  bool                `xml:"encrypted"`
	KMS        string              `xml:"kmsKeyId,omitempty"`
	Multi      bool                `xml:"multiAttachEnabled"`
	Tags       set[tag]            `xml:"tagSet"`
}

func (c *call) volumeItem(v *volume) volumeItem {
	i := volumeItem{
		ID: v.ID, Size: v.Size, Snapshot: v.Snapshot, Zone: v.Zone, State: v.State, Created: stamp(v.Created), Type: v.Type,
		IOPS: v.IOPS, Throughput: v.Throughput, Encrypted: v.Encrypted, KMS: v.KMS, Tags: c.tagSet(v.ID),
	}
	if v.Type == "gp2" {
		i.IOPS = min(max(3*v.Size, 100), 16000)
	}
	if v.Attach != nil {
		i.Attached.Items = append(i.Attached.Items, v.attachmentItem())
	}
	return i
}

func attachValues(f func(a *attachment) []string) func(c *call, v *volume) []string {
	return func(c *call, v *volume) []string {
		if v.Attach == nil {
			return nil
		}
		return f(v.Attach)
	}
}

var volumeFilters = filters[volume]{
	"attachment.attach-time":           attachValues(func(a *attachment) []string { return one(stamp(a.At)) }),
	"attachment.delete-on-termination": attachValues(func(a *attachment) []string { return yes(a.DeleteOnTermination) }),
	"attachment.device":                attachValues(func(a *attachment) []string { return one(a.Device) }),
	"attachment.instance-id":           attachValues(func(a *attachment) []string { return one(a.Instance) }),
	"attachment.status":                attachValues(func(a *attachment) []string { return one(a.State) }),
	"availability-zone":                func(c *call, v *volume) []string { return one(v.Zone) },
	"create-time":                      func(c *call, v *volume) []string { return one(stamp(v.Created)) },
	"encrypted":                        func(c *call, v *volume) []string { return yes(v.Encrypted) },
	"size":                             func(c *call, v *volume) []string { return number(int64(v.Size)) },
	"snapshot-id":                      func(c *call, v *volume) []string { return one(v.Snapshot) },
	"status":                           func(c *call, v *volume) []string { return one(v.State) },
	"volume-id":                        func(c *call, v *volume) []string { return one(v.ID) },
	"volume-type":                      func(c *call, v *volume) []string { return one(v.Type) },
}.tagged(tagsOf[volume]).found("volume-id")

type describeVolumesRequest struct {
	pageRequest
	VolumeIds []string
	Filters   []filter
}

type describeVolumesResponse struct {
	Volumes set[volumeItem] `xml:"volumeSet"`
	pageResponse
}

func describeVolumes(c *call, q *describeVolumesRequest) (*describeVolumesResponse, error) {
	if err := onePage(q.pageRequest, q.VolumeIds, "volumeIds"); err != nil {
		return nil, err
	}
	vs, err := about(c, volumeFilters, q.VolumeIds, q.Filters)
	if err != nil {
		return nil, err
	}
	vs, next, err := narrow(c, volumeFilters, q.Filters, vs, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeVolumesResponse{pageResponse: next}
	for _, v := range vs {
		r.Volumes.Items = append(r.Volumes.Items, c.volumeItem(v))
	}
	return r, nil
}

type createVolumeRequest struct {
	AvailabilityZone, SnapshotId, VolumeType, KmsKeyId, ClientToken string
	Size, Iops, Throughput                                          *int
	Encrypted                                                       *bool
	TagSpecifications                                               []tagSpec
}

func createVolume(c *call, q *createVolumeRequest) (*volumeItem, error) {
	if ids, err := c.replay(q.ClientToken); err != nil || ids != nil {
		if err != nil {
			return nil, err
		}
		v, err := find[volume](c, ids[0])
		if err != nil {
			return nil, err
		}
		i := c.volumeItem(v)
		return &i, nil
	}
	if q.AvailabilityZone == "" {
		return nil, missing("AvailabilityZone")
	}
	if !slices.ContainsFunc(zones(c.region), func(z *zone) bool { return z.Name == q.AvailabilityZone }) {
		return nil, fail("InvalidZone.NotFound", "The zone '%s' does not exist.", q.AvailabilityZone)
	}
	tags, err := specTags(q.TagSpecifications, "volume", "volume")
	if err != nil {
		return nil, err
	}
	m := mapping{Type: "gp2"}
	if err := c.ebs(&m, &ebsRequest{
		SnapshotId: q.SnapshotId, VolumeSize: q.Size, VolumeType: q.VolumeType, Iops: q.Iops, Throughput: q.Throughput,
		Encrypted: q.Encrypted, KmsKeyId: q.KmsKeyId,
	}, false); err != nil {
		return nil, err
	}
	v := c.newVolume(m, q.AvailabilityZone)
	v.State, v.Due = "creating", c.now.Add(c.s.takes.volume)
	if s := c.content(m.Snapshot); s != nil {
		if s.State != "completed" {
			return nil, fail("IncorrectState", "Snapshot '%s' is not in 'completed' state: it is %s.", s.ID, s.State)
		}
		v.Layers, v.User, v.Release = s.Layers, s.User, s.Release
	}
	put(c.txn, v)
	if err := c.setTags(c.region, v.ID, tags); err != nil {
		return nil, err
	}
	c.remember(q.ClientToken, []string{v.ID})
	c.after = append(c.after, c.s.tick.ring)
	i := c.volumeItem(v)
	return &i, nil
}

func (c *call) newVolume(m mapping, zone string) *volume {
	v := &volume{
		base: c.newBase(newID("vol")), Size: m.Size, Type: m.Type, IOPS: m.IOPS, Throughput: m.Throughput, Encrypted: m.Encrypted,
		KMS: m.KMS, Zone: zone, Snapshot: m.Snapshot, State: "available",
	}
	if v.Encrypted {
		v.KMS, v.Trouble = c.volumeKey(m.KMS)
	}
	return v
}

type volumeIDRequest struct{ VolumeId string }

func deleteVolume(c *call, q *volumeIDRequest) (*empty, error) {
	v, err := find[volume](c, q.VolumeId)
	if err != nil {
		return nil, err
	}
	if v.Attach != nil {
		return nil, fail("VolumeInUse", "Volume %s is currently attached to %s", v.ID, v.Attach.Instance)
	}
	if v.State != "available" && v.State != "error" {
		return nil, fail("IncorrectState", "The volume '%s' is '%s'.", v.ID, v.State)
	}
	drop(c.txn, v)
	c.after = append(c.after, c.s.sweep.ring)
	return nil, nil
}

type attachVolumeRequest struct{ Device, InstanceId, VolumeId string }

func attachVolume(c *call, q *attachVolumeRequest) (*attachmentItem, error) {
	v, err := find[volume](c, q.VolumeId)
	if err != nil {
		return nil, err
	}
	i, err := find[instance](c, q.InstanceId)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Device == "":
		return nil, missing("Device")
	case v.Attach != nil:
		return nil, fail("VolumeInUse", "%s is already attached to an instance", v.ID)
	case v.State != "available":
		return nil, fail("IncorrectState", "Volume '%s' is not available: it is %s.", v.ID, v.State)
	case v.Taken != "" && (v.Taken != i.ID || q.Device != i.RootDevice):
		return nil, fail("UnsupportedOperation", "This endpoint can put the root volume '%s' back into the instance '%s' alone, whose guest has its content.", v.ID, v.Taken)
	case q.Device == i.RootDevice && i.State != stopped:
		return nil, fail("IncorrectState", "Instance '%s' is not 'stopped'.", i.ID)
	case i.State != running && i.State != stopped:
		return nil, fail("IncorrectState", "Instance '%s' is not 'running'.", i.ID)
	case v.Zone != i.Zone:
		return nil, fail("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.ID, i.ID)
	case slices.ContainsFunc(i.Devices, func(d device) bool { return d.Name == q.Device }):
		return nil, invalid("Invalid value '%s' for unixDevice. Attachment point %s is already in use", q.Device, q.Device)
	}
	v.State = "in-use"
	root := q.Device == i.RootDevice
	v.Attach = &attachment{Instance: i.ID, Device: q.Device, State: "attached", At: c.now.UTC(), Root: root}
	if root {
		i.Rootless, v.Taken = v.Taken == "", ""
	}
	i.Devices = append(i.Devices, device{Name: q.Device, Volume: v.ID, At: c.now.UTC()})
	put(c.txn, v)
	put(c.txn, i)
	a := v.attachmentItem()
	return &a, nil
}

type detachVolumeRequest struct {
	Device, InstanceId, VolumeId string
	Force                        bool
}

func detachVolume(c *call, q *detachVolumeRequest) (*attachmentItem, error) {
	v, err := find[volume](c, q.VolumeId)
	if err != nil {
		return nil, err
	}
	if v.Attach == nil || q.InstanceId != "" && q.InstanceId != v.Attach.Instance || q.Device != "" && q.Device != v.Attach.Device {
		return nil, fail("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	}
	i := get[instance](c.txn, c.region, v.Attach.Instance)
	if v.Attach.Root {
		if i.State != stopped {
			return nil, fail("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.ID, i.ID)
		}
		if !i.Rootless {
			i.Rootless = true
			if c.s.hasGuest() {
				v.Taken = i.ID
			}
		}
	}
	i.Devices = slices.DeleteFunc(i.Devices, func(d device) bool { return d.Volume == v.ID })
	a := v.attachmentItem()
	a.State = "detached"
	v.State, v.Attach = "available", nil
	put(c.txn, v)
	put(c.txn, i)
	return &a, nil
}
