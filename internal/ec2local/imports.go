package ec2local

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An importTask makes an image of a disk that lies in S3.
type importTask struct {
	base
	State       string    `json:"state"` // active, completed, deleted
	Due         time.Time `json:"due,omitzero"`
	Message     string    `json:"message,omitempty"`
	Bucket      string    `json:"bucket"`
	Key         string    `json:"key"`
	Format      string    `json:"format"`
	Size        int64     `json:"size,omitempty"` // bytes, of what lies in S3
	Description string    `json:"description,omitempty"`
	Arch        string    `json:"arch"`
	Platform    string    `json:"platform"`
	BootMode    string    `json:"boot_mode"`
	License     string    `json:"license,omitempty"`
	Encrypted   bool      `json:"encrypted,omitempty"`
	KMS         string    `json:"kms,omitempty"`
	Trouble     string    `json:"trouble,omitempty"` // with the key
	Image       string    `json:"image,omitempty"`
	Snapshot    string    `json:"snapshot,omitempty"`
}

const (
	importActive    = "active"
	importCompleted = "completed"
	importDeleted   = "deleted"
)

func (*importTask) table() string { return "import" }
func (*importTask) refer() (string, string, string) {
	return "import-ami", "InvalidConversionTaskId", "import task"
}

func (i *importTask) marks() []mark {
	if i.State != importActive {
		return nil
	}
	return []mark{dueMark(i.Due)}
}

type diskRequest struct {
	Description, DeviceName, Format string
	UserBucket                      *struct{ S3Bucket, S3Key string }
}

type importImageRequest struct {
	Architecture, BootMode, ClientToken, Description string
	KmsKeyId, LicenseType, Platform, RoleName        string
	Encrypted                                        *bool
	DiskContainers                                   []diskRequest
	TagSpecifications                                []tagSpec
}

type userBucketItem struct {
	Bucket string `xml:"s3Bucket"`
	Key    string `xml:"s3Key"`
}

type importedDiskItem struct {
	Size     float64        `xml:"diskImageSize,omitempty"`
	Format   string         `xml:"format"`
	Snapshot string         `xml:"snapshotId,omitempty"`
	Status   string         `xml:"status,omitempty"`
	Bucket   userBucketItem `xml:"userBucket"`
}

type importTaskItem struct {
	Arch        string                `xml:"architecture,omitempty"`
	Description string                `xml:"description,omitempty"`
	Encrypted   bool                  `xml:"encrypted"`
	Hypervisor  string                `xml:"hypervisor,omitempty"`
	Image       string                `xml:"imageId,omitempty"`
	ID          string                `xml:"importTaskId"`
	KMS         string                `xml:"kmsKeyId,omitempty"`
	License     string                `xml:"licenseType,omitempty"`
	Platform    string                `xml:"platform,omitempty"`
	Progress    string                `xml:"progress,omitempty"`
	Disks       set[importedDiskItem] `xml:"snapshotDetailSet"`
	Status      string                `xml:"status"`
	Message     string                `xml:"statusMessage,omitempty"`
	Tags        set[tag]              `xml:"tagSet"`
	BootMode    string                `xml:"bootMode,omitempty"`
}

type importImageResponse struct{ importTaskItem }

func (r *importImageResponse) summary() string { return r.ID }

// importStages are what a task says of itself, from how many percent on.
var importStages = []struct {
	from int
	text string
}{{0, "pending"}, {10, "validating"}, {20, "converting"}, {60, "updating"}, {80, "booting"}, {90, "preparing ami"}}

func (c *call) importTaskItem(i *importTask) importTaskItem {
	disk := importedDiskItem{Size: float64(i.Size), Format: strings.ToUpper(i.Format), Snapshot: i.Snapshot, Bucket: userBucketItem{i.Bucket, i.Key}}
	item := importTaskItem{
		Arch: i.Arch, Description: i.Description, Encrypted: i.Encrypted, Image: i.Image, ID: i.ID, KMS: i.KMS, License: i.License, Platform: i.Platform,
		Status: i.State, Message: i.Message, BootMode: i.BootMode, Tags: c.tagSet(i.ID),
	}
	switch i.State {
	case importActive:
		done := 0
		if whole := i.Due.Sub(i.Created); whole > 0 {
			done = max(0, min(99, int(100*c.now.Sub(i.Created)/whole)))
		}
		item.Progress = number(int64(done))[0]
		for _, s := range importStages {
			if done >= s.from {
				item.Message = s.text
			}
		}
		disk.Status = "active"
	case importCompleted:
		disk.Status = "completed"
	}
	item.Disks.Items = append(item.Disks.Items, disk)
	return item
}

func importImage(c *call, q *importImageRequest) (*importImageResponse, error) {
	if ids, err := c.replay(q.ClientToken); err != nil {
		return nil, err
	} else if ids != nil {
		i, err := find[importTask](c, ids[0])
		if err != nil {
			return nil, err
		}
		return c.begunImport(i), nil
	}
	i, err := c.newImport(q)
	if err != nil {
		return nil, err
	}
	tags, err := specTags(q.TagSpecifications, "import-image-task", "import-image-task")
	if err != nil {
		return nil, err
	}
	put(c.txn, i)
	if err := c.setTags(c.region, i.ID, tags); err != nil {
		return nil, err
	}
	c.remember(q.ClientToken, []string{i.ID})
	c.after = append(c.after, c.s.tick.ring)
	return c.begunImport(i), nil
}

// begunImport is a task as the call that begins it tells of it.
func (c *call) begunImport(i *importTask) *importImageResponse {
	r := &importImageResponse{c.importTaskItem(i)}
	r.BootMode = ""
	return r
}

// newImport checks what a request asks for. The service role is not looked for: nobody
// here needs its permissions.
func (c *call) newImport(q *importImageRequest) (*importTask, error) {
	if len(q.DiskContainers) != 1 {
		return nil, invalid("An import has one disk container here, and the request %d.", len(q.DiskContainers))
	}
	d := q.DiskContainers[0]
	if d.UserBucket == nil || d.UserBucket.S3Bucket == "" || d.UserBucket.S3Key == "" {
		return nil, missing("DiskContainer.UserBucket")
	}
	i := &importTask{
		base: c.newBase(newID("import-ami")), State: importActive, Due: c.now.Add(c.s.takes.imports), Bucket: d.UserBucket.S3Bucket, Key: d.UserBucket.S3Key,
		Format: strings.ToLower(d.Format), Description: q.Description, Arch: q.Architecture, Platform: strings.ToLower(q.Platform), BootMode: q.BootMode,
		License: q.LicenseType, Encrypted: q.Encrypted != nil && *q.Encrypted,
	}
	if i.Arch == "" {
		i.Arch = "x86_64"
	}
	if i.BootMode == "" {
		i.BootMode = "legacy-bios"
		if i.Arch == "arm64" {
			i.BootMode = "uefi"
		}
	}
	one := func(what, value string, of ...string) error {
		if value == "" || slices.Contains(of, value) {
			return nil
		}
		return fail("InvalidParameter", "The value %s of the parameter %s is invalid: it is one of %s.", value, what, strings.Join(of, ", "))
	}
	for _, err := range []error{
		one("Format", i.Format, "ova", "raw", "vhd", "vhdx", "vmdk"), one("Architecture", i.Arch, "i386", "x86_64", "arm64"), one("BootMode", i.BootMode, "legacy-bios", "uefi"),
		one("Platform", i.Platform, "windows", "linux"), one("LicenseType", i.License, "AWS", "BYOL"), describe(q.Description),
	} {
		if err != nil {
			return nil, err
		}
	}
	switch b := c.bucket(i.Bucket); {
	case i.Format == "":
		return nil, missing("DiskContainer.Format")
	case i.Arch == "arm64" && i.BootMode != "uefi":
		return nil, fail("InvalidParameter", "The architecture arm64 needs the boot mode uefi.")
	case i.BootMode == "uefi" && i.Platform == "":
		return nil, fail("InvalidParameter", "The boot mode uefi needs a platform.")
	case q.KmsKeyId != "" && !i.Encrypted:
		return nil, fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	case b == nil:
		return nil, fail("InvalidParameter", "S3 bucket does not exist: %s", i.Bucket)
	case b.Region != c.region:
		return nil, fail("InvalidParameter", "The given S3 object is not local to the region %s: its bucket is in %s.", c.region, b.Region)
	case c.object(i.Bucket, i.Key) == nil:
		return nil, fail("InvalidParameter", "The given S3 object does not exist: s3://%s/%s", i.Bucket, i.Key)
	}
	if i.Encrypted {
		i.KMS, i.Trouble = c.volumeKey(q.KmsKeyId)
	}
	return i, nil
}

// finishImport ends a task whose time has come: with an image, or with why there is none.
func (t *txn) finishImport(i *importTask) {
	i.State = importDeleted
	o := t.object(i.Bucket, i.Key)
	switch {
	case o == nil:
		i.Message = "ClientError: Unable to access the S3 object: it does not exist."
	case o.Size == 0:
		i.Message = "ClientError: Disk validation failed [The disk is empty]"
	case !t.s.looksLike(i.Format, o):
		i.Message = fmt.Sprintf("ClientError: Disk validation failed [Unsupported %s File Format]", strings.ToUpper(i.Format))
	case i.Trouble != "":
		i.Message = "ClientError: " + i.Trouble
	default:
		i.Size, i.State, i.Message = o.Size, importCompleted, ""
		t.imported(i)
	}
	put(t, i)
	t.after = append(t.after, func() { t.s.logf("%s %s active -> %s %s", i.Region, i.ID, i.State, i.Message) })
}

// imported makes the image of a task, and its snapshot.
func (t *txn) imported(i *importTask) {
	c := &call{txn: t, caller: caller{region: i.Region}}
	s := &snapshot{
		base: c.newBase(newID("snap")), Volume: noVolume, Size: int((i.Size + 1<<30 - 1) >> 30), State: "completed", Done: t.now.UTC(), Frozen: true,
		Description: "Created by AWS-VMImport service for " + i.ID, Encrypted: i.Encrypted, KMS: i.KMS, Disk: i.Format,
	}
	m := &image{
		base: c.newBase(newID("ami")), Name: i.ID, Description: "AWS-VMImport service: " + i.Platform, Owner: c.account(), State: "available", Arch: i.Arch,
		PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", RootDevice: "/dev/sda1", Virt: "hvm", ENA: true, BootMode: i.BootMode, Disk: i.Format,
	}
	if i.Platform == "windows" {
		m.Platform, m.PlatformDetails, m.UsageOperation = "windows", "Windows", "RunInstances:0002"
	}
	m.Mappings = []mapping{{Device: m.RootDevice, Snapshot: s.ID, Size: s.Size, Type: "gp2", Encrypted: s.Encrypted, KMS: s.KMS, DeleteOnTermination: true}}
	put(t, s)
	put(t, m)
	i.Image, i.Snapshot = m.ID, s.ID
}

// looksLike tells whether an object begins, or ends, as disks of a format do.
func (s *Server) looksLike(format string, o *s3Object) bool {
	at := func(offset int64, want string) bool {
		got := make([]byte, len(want))
		return s.readObject(o, got, offset) == nil && string(got) == want
	}
	switch format {
	case "ova":
		return at(257, "ustar")
	case "vmdk":
		head := make([]byte, 512)
		s.readObject(o, head, 0)
		return at(0, "KDMV") || bytes.HasPrefix(head, []byte("# Disk DescriptorFile"))
	case "vhd":
		return at(0, "conectix") || at(o.Size-512, "conectix")
	case "vhdx":
		return at(0, "vhdxfile")
	}
	return true
}

type describeImportTasksRequest struct {
	pageRequest
	ImportTaskIds []string
	Filters       []filter
}

type describeImportTasksResponse struct {
	Tasks set[importTaskItem] `xml:"importImageTaskSet"`
	pageResponse
}

var importFilters = filters[importTask]{
	"task-state": func(c *call, i *importTask) []string { return one(i.State) },
}.plain()

func describeImportTasks(c *call, q *describeImportTasksRequest) (*describeImportTasksResponse, error) {
	is, err := list[importTask](c, q.ImportTaskIds)
	if err != nil {
		return nil, err
	}
	if is, err = importFilters.apply(c, q.Filters, is); err != nil {
		return nil, err
	}
	r := &describeImportTasksResponse{}
	if is, r.NextToken, err = page(is, q.pageRequest, 1, 1000); err != nil {
		return nil, err
	}
	for _, i := range is {
		r.Tasks.Items = append(r.Tasks.Items, c.importTaskItem(i))
	}
	return r, nil
}

type cancelImportRequest struct{ ImportTaskId, CancelReason string }

type cancelImportResponse struct {
	ID       string `xml:"importTaskId"`
	State    string `xml:"state"`
	Previous string `xml:"previousState"`
}

func cancelImportTask(c *call, q *cancelImportRequest) (*cancelImportResponse, error) {
	i, err := find[importTask](c, q.ImportTaskId)
	if err != nil {
		return nil, err
	}
	if i.State != importActive {
		return nil, fail("IncorrectState", "The import task %s cannot be cancelled: it is %s.", i.ID, i.State)
	}
	i.State, i.Message = importDeleted, "Cancelled by the user"
	put(c.txn, i)
	return &cancelImportResponse{i.ID, "deleting", importActive}, nil
}

// importMemory is for how long a task that has ended is told of.
const importMemory = 7 * 24 * time.Hour

func (t *txn) pruneImports() {
	for _, i := range all[importTask](t, "") {
		if i.State != importActive && i.Due.Before(t.now.Add(-importMemory)) {
			drop(t, i)
		}
	}
}
