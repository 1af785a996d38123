package aws

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// ImportDisk makes an image of a disk that was made: it uploads the file to a bucket of S3, has EC2 import it from there, and
// removes it from the bucket.
type ImportDisk struct {
	Access
	steps.InputOptions
	ImportOptions

	// The bucket that the file is uploaded to, which has to be there, and in the region.
	Bucket string `json:"s3_bucket_name,omitempty" option:"required"`
	// The key of the object in the bucket. Default: `packer-import-` and a name of its own, with the ending of the format.
	Object dag.Text `json:"s3_key_name,omitempty" option:"late=build"`
	// How S3 encrypts the object, `AES256` or `aws:kms`. Default: as the bucket says.
	Encryption string `json:"s3_encryption,omitempty"`
	// The KMS key of the object, where `s3_encryption` is `aws:kms`. Default: the account's.
	EncryptionKey string `json:"s3_encryption_key,omitempty"`
	// Leaves the object in the bucket. Default: `false`.
	SkipClean bool `json:"skip_clean,omitempty"`
	// The format of the disk, and the ending of its file: `ova`, `raw`, `vmdk`, `vhd` or `vhdx`. Default: that of the first
	// file which has one of these endings.
	Format string `json:"format,omitempty"`

	// The name of the image. An imported image has a name of AWS's, so a copy gets this one, and the imported one goes.
	// Default: AWS's name.
	Name string `json:"ami_name,omitempty"`
	// The description of the image. Default: AWS's.
	Description dag.Text `json:"ami_description,omitempty"`
	// Tags of the image and its snapshots. Default: none.
	Tags map[dag.Text]dag.Text `json:"tags,omitempty"`
	// Ids of accounts that may launch the image. Default: the owner alone.
	Users []string `json:"ami_users,omitempty"`
	// Groups that may launch the image; `all` makes it public. Default: none.
	Groups []string `json:"ami_groups,omitempty"`
	// ARNs of organizations that may launch the image. Default: none.
	OrgARNs []string `json:"ami_org_arns,omitempty"`
	// ARNs of organizational units that may launch the image. Default: none.
	OUARNs []string `json:"ami_ou_arns,omitempty"`
	// `v2.0` makes instances of the image ask for IMDSv2. Default: no demand.
	IMDSSupport string `json:"imds_support,omitempty"`

	cloud *Cloud
	place Place // since Prepare
}

// ImportOptions are those that EC2 is told with the import.
type ImportOptions struct {
	// The architecture of the disk's system: `x86_64`, `arm64`, which needs `boot_mode` `uefi`, or `i386`. Default: `x86_64`.
	Architecture string `json:"architecture,omitempty"`
	// How the image boots, `legacy-bios` or `uefi`, which needs `platform`. Default: `legacy-bios`, of arm64 `uefi`.
	BootMode string `json:"boot_mode,omitempty"`
	// The system on the disk, `linux` or `windows`. Default: VM Import looks for it.
	Platform string `json:"platform,omitempty"`
	// Where the licence of the system comes from, `AWS` or `BYOL`, one's own. Default: VM Import's.
	LicenseType string `json:"license_type,omitempty"`
	// The service role that VM Import takes to read the bucket. Default: `vmimport`.
	RoleName string `json:"role_name,omitempty"`
	// Encrypts the snapshots of the image. Default: `false`.
	Encrypt bool `json:"ami_encrypt,omitempty"`
	// The KMS key of the snapshots, with `ami_encrypt`. Default: the account's.
	KMSKey string `json:"ami_kms_key,omitempty"`
}

// Prepare finds out where to import to.
func (o *ImportDisk) Prepare(ctx context.Context) error {
	return o.cloud.locate(ctx, &o.Access, &o.place)
}

// Gives is an image.
func (*ImportDisk) Gives() steps.Gives { return steps.GivesOwn }

// Add adds the steps, and returns what gathers their result:
//
//	access ─ bucket, name-check ─ upload ─ object ─ import ─ imported ┬─ ready ───────┬─ result, share, imds
//	                                                                  └ copy ─ ready ─┘
//
// The imported image belongs to the task that has made it. With a name the copy is the result.
func (o *ImportDisk) Add(g *dag.Graph, b dag.Build, name string, in dag.Out[steps.Product]) dag.Out[steps.Product] {
	step := func(of string) string { return name + "." + of }
	access := dag.Add(g, b, step("access"), CheckAccess{o.place})
	begin := BeginUpload{Place: o.place, Of: in, Bucket: o.Bucket, Object: o.Object, Format: o.Format, Encryption: o.Encryption, EncryptionKey: o.EncryptionKey, Repeat: o.Repeat}
	begin.Checked = dag.Add(g, b, step("bucket"), CheckBucket{Place: o.place, Bucket: o.Bucket, Access: access})
	if o.Name != "" {
		begin.Free = dag.Add(g, b, step("name-check"), NameCheck{Place: o.place, Name: o.Name, Access: access})
	}
	upload := dag.Add(g, b, step("upload"), begin)
	object := dag.Add(g, b, step("object"), UploadObject{Upload: upload})
	task := dag.Add(g, b, step("import"), ImportImage{Place: o.place, Object: object, ImportOptions: o.ImportOptions, Description: o.Description})
	imported := dag.Add(g, b, step("imported"), WaitImport{Task: task})
	if o.SkipClean {
		dag.Keep(g, object, imported)
	}
	var ready dag.Out[ReadyImage]
	product := func() dag.Out[steps.Product] {
		return dag.Add(g, b, name, ImportProduct{Of: in, Image: ready})
	}
	var made dag.Out[steps.Product]
	if o.Name == "" {
		ready = dag.Add(g, b, step("ready"), DescribeImport{Of: imported, Description: o.Description, Tags: o.Tags})
		made = product()
		dag.Keep(g, task, made)
	} else {
		named := dag.Add(g, b, step("copy"), NameImport{Of: imported, Name: o.Name, Description: o.Description, Tags: o.Tags, Encrypt: Encrypt{All: o.Encrypt, Key: o.KMSKey}})
		wait := ImageReady{Image: named}
		if exceedsTagLimit(o.Tags) {
			wait.Tags = o.Tags
		}
		ready = dag.Add(g, b, step("ready"), wait)
		made = product()
		dag.Keep(g, named, made)
	}
	if s := o.sharing(); len(s.launchers()) > 0 {
		dag.Goal(g, dag.Add(g, b, step("share"), Share{Of: ready, Sharing: s}))
	}
	if o.IMDSSupport != "" {
		dag.Goal(g, dag.Add(g, b, step("imds"), RequireIMDSv2{Of: ready}))
	}
	return made
}

// sharing says who else may launch the image.
func (o *ImportDisk) sharing() Sharing {
	return Sharing{Users: o.Users, Groups: o.Groups, OrgARNs: o.OrgARNs, OUARNs: o.OUARNs}
}
