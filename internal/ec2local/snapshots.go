package ec2local

import (
	"slices"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// A snapshot holds what a volume held, as layers of a guest.
type snapshot struct {
	base
	Volume      string    `json:"volume"`
	Size        int       `json:"size"` // GiB, of the volume
	Description string    `json:"description,omitempty"`
	State       string    `json:"state"` // pending, completed, error
	Message     string    `json:"message,omitempty"`
	Trouble     string    `json:"trouble,omitempty"` // why it will not be completed
	Due         time.Time `json:"due,omitzero"`
	Done        time.Time `json:"done,omitzero"`
	Encrypted   bool      `json:"encrypted,omitempty"`
	KMS         string    `json:"kms,omitempty"`
	Public      bool      `json:"public,omitempty"`
	Users       []string  `json:"users,omitempty"` // who may make volumes of it

	// Freeze is the instance whose guest is still to be frozen for this
	// snapshot; Quiet that it is stopped for that, and booted again.
	Freeze  string        `json:"freeze,omitempty"`
	Quiet   bool          `json:"quiet,omitempty"`
	Frozen  bool          `json:"frozen,omitempty"`
	Layers  []string      `json:"layers,omitempty"`
	User    string        `json:"user,omitempty"`
	Release guest.Release `json:"release"`
	Disk    string        `json:"disk,omitempty"` // the format of the disk that was imported, which no guest can boot
}

// noVolume is what EC2 says of copies.
const noVolume = "vol-ffffffff"

func (*snapshot) table() string                   { return "snapshot" }
func (*snapshot) refer() (string, string, string) { return "snap", "InvalidSnapshot", "snapshot" }

func (s *snapshot) marks() []mark {
	ms := []mark{{"volume-id", s.Volume}}
	switch {
	case s.State != "pending":
	case s.Frozen:
		ms = append(ms, dueMark(s.Due))
	case s.Freeze != "":
		ms = append(ms, mark{"freeze", s.Freeze})
	}
	return layerMarks(ms, s.Layers)
}

// newSnapshot makes a pending snapshot of a volume. The guest of the volume's
// instance is frozen by the instance's own life, after this is on disk.
func (c *call) newSnapshot(v *volume, description string) *snapshot {
	s := &snapshot{
		base: c.newBase(newID("snap")), Volume: v.ID, Size: v.Size, Description: description, State: "pending",
		Due: c.now.Add(c.s.takes.snapshot), Encrypted: v.Encrypted, KMS: v.KMS, Layers: v.Layers, User: v.User, Release: v.Release, Frozen: true,
	}
	if v.Attach != nil && v.Attach.Root && !get[instance](c.txn, c.region, v.Attach.Instance).Rootless {
		i := get[instance](c.txn, c.region, v.Attach.Instance)
		s.User, s.Release = i.User, i.Release
		if c.s.hasGuest() {
			s.Freeze, s.Frozen = i.ID, false
		}
	}
	return s
}

type snapshotItem struct {
	ID          string   `xml:"snapshotId"`
	Volume      string   `xml:"volumeId"`
	State       string   `xml:"status"`
	Message     string   `xml:"statusMessage,omitempty"`
	Started     string   `xml:"startTime"`
	Completed   string   `xml:"completionTime,omitempty"`
	Progress    string   `xml:"progress"`
	Owner       string   `xml:"ownerId"`
	Size        int      `xml:"volumeSize"`
	Description string   `xml:"description"`
	Encrypted   bool     `xml:"encrypted"`
	KMS         string   `xml:"kmsKeyId,omitempty"`
	Tier        string   `xml:"storageTier,omitempty"`
	Tags        set[tag] `xml:"tagSet"`
}

func (c *call) snapshotItem(s *snapshot) snapshotItem {
	i := snapshotItem{
		ID: s.ID, Volume: s.Volume, State: s.State, Message: s.Message, Started: stamp(s.Created), Progress: c.progress(s), Owner: c.account(), Size: s.Size,
		Description: s.Description, Encrypted: s.Encrypted, KMS: s.KMS, Tier: "standard", Tags: c.tagSet(s.ID),
	}
	if !s.Done.IsZero() {
		i.Completed = stamp(s.Done)
	}
	return i
}

func (c *call) progress(s *snapshot) string {
	if s.State == "completed" {
		return "100%"
	}
	whole := s.Due.Sub(s.Created)
	if whole <= 0 {
		return "0%"
	}
	n := int(100 * c.now.Sub(s.Created) / whole)
	return number(int64(max(0, min(n, 99))))[0] + "%"
}

var snapshotFilters = filters[snapshot]{
	"description":  func(c *call, s *snapshot) []string { return one(s.Description) },
	"encrypted":    func(c *call, s *snapshot) []string { return yes(s.Encrypted) },
	"owner-id":     func(c *call, s *snapshot) []string { return one(c.account()) },
	"owner-alias":  func(c *call, s *snapshot) []string { return nil },
	"progress":     func(c *call, s *snapshot) []string { return one(c.progress(s)) },
	"snapshot-id":  func(c *call, s *snapshot) []string { return one(s.ID) },
	"start-time":   func(c *call, s *snapshot) []string { return one(stamp(s.Created)) },
	"status":       func(c *call, s *snapshot) []string { return one(s.State) },
	"storage-tier": func(c *call, s *snapshot) []string { return one("standard") },
	"volume-id":    func(c *call, s *snapshot) []string { return one(s.Volume) },
	"volume-size":  func(c *call, s *snapshot) []string { return number(int64(s.Size)) },
}.tagged(tagsOf[snapshot]).found("snapshot-id", "volume-id")

type describeSnapshotsRequest struct {
	pageRequest
	OwnerIds, RestorableByUserIds, SnapshotIds []string
	Filters                                    []filter
}

type describeSnapshotsResponse struct {
	Snapshots set[snapshotItem] `xml:"snapshotSet"`
	pageResponse
}

func describeSnapshots(c *call, q *describeSnapshotsRequest) (*describeSnapshotsResponse, error) {
	if err := onePage(q.pageRequest, q.SnapshotIds, "snapshotIds"); err != nil {
		return nil, err
	}
	ss, err := about(c, snapshotFilters, q.SnapshotIds, q.Filters)
	if err != nil {
		return nil, err
	}
	ss = slices.DeleteFunc(ss, func(s *snapshot) bool {
		if len(q.OwnerIds) > 0 && !slices.Contains(q.OwnerIds, "self") && !slices.Contains(q.OwnerIds, c.account()) {
			return true
		}
		if len(q.RestorableByUserIds) == 0 {
			return false
		}
		for _, u := range q.RestorableByUserIds {
			if u == "all" && s.Public || u == "self" || u == c.account() && s.Region == c.region || slices.Contains(s.Users, u) {
				return false
			}
		}
		return true
	})
	ss, next, err := narrow(c, snapshotFilters, q.Filters, ss, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeSnapshotsResponse{pageResponse: next}
	for _, s := range ss {
		r.Snapshots.Items = append(r.Snapshots.Items, c.snapshotItem(s))
	}
	return r, nil
}

type createSnapshotRequest struct {
	VolumeId, Description string
	TagSpecifications     []tagSpec
}

// maxPending is how many snapshots of one volume may be pending.
const maxPending = 5

func createSnapshot(c *call, q *createSnapshotRequest) (*snapshotItem, error) {
	v, err := find[volume](c, q.VolumeId)
	if err != nil {
		return nil, err
	}
	if v.State != "available" && v.State != "in-use" {
		return nil, fail("IncorrectState", "The volume '%s' is %s.", v.ID, v.State)
	}
	if v.Taken != "" {
		return nil, fail("UnsupportedOperation", "This endpoint makes no snapshot of '%s': the guest of '%s', whose root it was, has its content.", v.ID, v.Taken)
	}
	if err := describe(q.Description); err != nil {
		return nil, err
	}
	pending, most := 0, maxPending
	if v.Type == "st1" || v.Type == "sc1" {
		most = 1
	}
	for _, s := range having[snapshot](c.txn, c.region, mark{"volume-id", v.ID}) {
		if s.State == "pending" {
			pending++
		}
	}
	if pending >= most {
		return nil, fail("ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded.")
	}
	tags, err := specTags(q.TagSpecifications, "snapshot", "snapshot")
	if err != nil {
		return nil, err
	}
	s := c.newSnapshot(v, q.Description)
	put(c.txn, s)
	if err := c.setTags(c.region, s.ID, tags); err != nil {
		return nil, err
	}
	c.after = append(c.after, c.s.tick.ring)
	if s.Freeze != "" {
		c.wake(get[instance](c.txn, c.region, s.Freeze))
	}
	i := c.snapshotItem(s)
	i.Tier = "" // the reply of this call has none
	return &i, nil
}

type copySnapshotRequest struct {
	Description, DestinationRegion, KmsKeyId, PresignedUrl string
	SourceRegion, SourceSnapshotId                         string
	Encrypted                                              *bool
	CompletionDurationMinutes                              *int
	TagSpecifications                                      []tagSpec
}

type copySnapshotResponse struct {
	ID   string   `xml:"snapshotId"`
	Tags set[tag] `xml:"tagSet"`
}

func (r *copySnapshotResponse) summary() string { return r.ID }

func copySnapshot(c *call, q *copySnapshotRequest) (*copySnapshotResponse, error) {
	if !partitionOf(c.region).has(q.SourceRegion) {
		return nil, invalid("Invalid source region: %s", q.SourceRegion)
	}
	if q.DestinationRegion != "" && q.DestinationRegion != regionOf(c.region) {
		return nil, invalid("The destination region %s is not the region of the request.", q.DestinationRegion)
	}
	there := *c
	there.region = placeIn(q.SourceRegion, c.account())
	from, err := there.readable(q.SourceSnapshotId)
	if err != nil {
		return nil, err
	}
	if from.State != "completed" {
		return nil, fail("IncorrectState", "Snapshot %s is not completed: it is %s.", from.ID, from.State)
	}
	if err := describe(q.Description); err != nil {
		return nil, err
	}
	tags, err := specTags(q.TagSpecifications, "snapshot", "snapshot")
	if err != nil {
		return nil, err
	}
	s := &snapshot{
		base: c.newBase(newID("snap")), Volume: noVolume, Size: from.Size, Description: q.Description, State: "pending", Frozen: true,
		Due: c.now.Add(c.s.takes.copy), Encrypted: from.Encrypted, Layers: from.Layers, User: from.User, Release: from.Release, Disk: from.Disk,
	}
	if s.Description == "" {
		s.Description = "[Copied " + from.ID + " from " + regionOf(from.Region) + "]"
	}
	if err := c.encryptCopy(s, q.Encrypted, q.KmsKeyId); err != nil {
		return nil, err
	}
	put(c.txn, s)
	if err := c.setTags(c.region, s.ID, tags); err != nil {
		return nil, err
	}
	c.after = append(c.after, c.s.tick.ring)
	return &copySnapshotResponse{s.ID, c.tagSet(s.ID)}, nil
}

// encryptCopy has a copy encrypted as its request says; what was encrypted stays so, with
// the account's own key where none is named. Whether the key serves shows later.
func (c *call) encryptCopy(s *snapshot, asked *bool, key string) error {
	switch {
	case asked != nil && *asked:
		s.Encrypted = true
	case key != "":
		return fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	case asked != nil && s.Encrypted:
		return invalid("Invalid value 'false' for encrypted. The snapshot is encrypted.")
	}
	if s.Encrypted {
		s.KMS, s.Trouble = c.volumeKey(key)
	}
	return nil
}

// openTo tells whether another account may make volumes and copies of the snapshot.
func (s *snapshot) openTo(account string) bool { return s.Public || slices.Contains(s.Users, account) }

// readable finds a snapshot of which the caller may make volumes and copies.
func (c *call) readable(id string) (*snapshot, error) {
	s, err := find[snapshot](c, id)
	if err != nil {
		if other := shared(c, id, func(s *snapshot) bool { return s.openTo(c.account()) }); other != nil {
			return other, nil
		}
	}
	return s, err
}

// content is the snapshot that a volume begins from, whosever it is: whether it may was asked
// before. It is nil of a public image.
func (c *call) content(id string) *snapshot {
	if s := get[snapshot](c.txn, c.region, id); s != nil {
		return s
	}
	return shared(c, id, func(*snapshot) bool { return true })
}

type snapshotIDRequest struct{ SnapshotId string }

func deleteSnapshot(c *call, q *snapshotIDRequest) (*empty, error) {
	s, err := find[snapshot](c, q.SnapshotId)
	if err != nil {
		return nil, err
	}
	if m := c.imageOn(s.ID); m != "" {
		return nil, fail("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", s.ID, m)
	}
	drop(c.txn, s)
	c.after = append(c.after, c.s.sweep.ring)
	return nil, nil
}

type volumePermission struct {
	Group string `xml:"group,omitempty"`
	User  string `xml:"userId,omitempty"`
}

type snapshotAttributeRequest struct{ Attribute, SnapshotId string }

type snapshotAttributeResponse struct {
	ID           string                 `xml:"snapshotId"`
	Permissions  *set[volumePermission] `xml:"createVolumePermission"`
	ProductCodes *set[productCodeItem]  `xml:"productCodes"`
}

func describeSnapshotAttribute(c *call, q *snapshotAttributeRequest) (*snapshotAttributeResponse, error) {
	s, err := find[snapshot](c, q.SnapshotId)
	if err != nil {
		return nil, err
	}
	r := &snapshotAttributeResponse{ID: s.ID}
	if q.Attribute == "productCodes" {
		r.ProductCodes = &set[productCodeItem]{}
		return r, nil
	}
	r.Permissions = &set[volumePermission]{}
	if s.Public {
		r.Permissions.Items = append(r.Permissions.Items, volumePermission{Group: "all"})
	}
	for _, u := range s.Users {
		r.Permissions.Items = append(r.Permissions.Items, volumePermission{User: u})
	}
	return r, nil
}

type volumePermissionChange struct{ Group, UserId string }

type modifySnapshotAttributeRequest struct {
	Attribute, OperationType, SnapshotId string
	GroupNames, UserIds                  []string
	CreateVolumePermission               *struct{ Add, Remove []volumePermissionChange }
}

func modifySnapshotAttribute(c *call, q *modifySnapshotAttributeRequest) (*empty, error) {
	s, err := find[snapshot](c, q.SnapshotId)
	if err != nil {
		return nil, err
	}
	if q.Attribute != "" && q.Attribute != "createVolumePermission" {
		return nil, invalid("Value (%s) for parameter attribute is invalid. Only createVolumePermission can be changed.", q.Attribute)
	}
	var add, remove []volumePermissionChange
	if p := q.CreateVolumePermission; p != nil {
		add, remove = p.Add, p.Remove
	} else {
		var all []volumePermissionChange
		for _, u := range q.UserIds {
			all = append(all, volumePermissionChange{UserId: u})
		}
		for _, g := range q.GroupNames {
			all = append(all, volumePermissionChange{Group: g})
		}
		switch q.OperationType {
		case "add":
			add = all
		case "remove":
			remove = all
		default:
			return nil, missing("OperationType")
		}
	}
	if len(add)+len(remove) == 0 {
		return nil, missing("CreateVolumePermission")
	}
	if len(add) > 0 && s.Encrypted && ownKeyARN(s.KMS, s.Region) {
		return nil, fail("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.")
	}
	apply := func(p volumePermissionChange, on bool) error {
		switch {
		case p.Group == "all":
			if on && s.Encrypted {
				return fail("OperationNotPermitted", "Encrypted snapshots cannot be shared publicly")
			}
			s.Public = on
		case p.Group != "":
			return invalid("Value (%s) for parameter group is invalid. The only group is all.", p.Group)
		case !accountID.MatchString(p.UserId):
			return fail("InvalidUserID.Malformed", "Invalid user id: \"%s\"", p.UserId)
		default:
			s.Users = slices.DeleteFunc(s.Users, func(u string) bool { return u == p.UserId })
			if on {
				s.Users = append(s.Users, p.UserId)
			}
		}
		return nil
	}
	for _, p := range add {
		if err := apply(p, true); err != nil {
			return nil, err
		}
	}
	for _, p := range remove {
		if err := apply(p, false); err != nil {
			return nil, err
		}
	}
	put(c.txn, s)
	return nil, nil
}
