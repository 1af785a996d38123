package aws

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Source finds the image that a build begins from.
type Source struct {
	Place
	SourceOptions
	NeedHVM     bool `json:"need_hvm,omitempty"`     // what is done to the instance needs full virtualization
	NeedWindows bool `json:"need_windows,omitempty"` // a password of its own is asked of the instance

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// SourceImage is an image to begin from, as it was found.
type SourceImage struct {
	Place
	ID           string            `json:"id"`
	Name         string            `json:"name,omitempty"`
	Owner        string            `json:"owner,omitempty"`      // an account
	OwnerName    string            `json:"owner_name,omitempty"` // such as amazon
	CreationDate string            `json:"creation_date,omitempty"`
	RootDevice   string            `json:"root_device,omitempty"`
	Platform     string            `json:"platform,omitempty"` // windows, or nothing
	Details      string            `json:"details,omitempty"`  // such as Linux/UNIX
	Architecture string            `json:"architecture,omitempty"`
	Leaves       []string          `json:"leaves,omitempty"` // devices whose volumes would outlive the instance
	Devices      []SourceDevice    `json:"devices,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Like         string            `json:"like,omitempty"` // owner of the image that this one was made from
}

// SourceDevice is a volume that an instance of the image has.
type SourceDevice struct {
	Name       string `json:"name"`
	Size       int    `json:"size,omitempty"` // GiB
	Encrypted  bool   `json:"encrypted,omitempty"`
	Type       string `json:"type,omitempty"` // such as gp3
	IOPS       int    `json:"iops,omitempty"`
	Throughput int    `json:"throughput,omitempty"` // MiB/s
}

func (Source) Kind() string    { return "aws.source" }
func (Source) Common()         {}
func (s Source) Title() string { return "find the source image" }

// Chooses tells whether the template describes the image, and does not name it.
func (s Source) Chooses() bool { return s.SourceAMI == "" }

// Do asks for the images that fit and chooses one.
func (s Source) Do(ctx context.Context, c *Cloud, t *dag.Task) (SourceImage, error) {
	id, err := filled(t, "source_ami", s.SourceAMI)
	if err != nil {
		return SourceImage{}, err
	}
	s.SourceAMI = dag.Text(id)
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return SourceImage{}, err
	}
	image, err := search{s.Place, s.SourceOptions, "the source image"}.do(ctx, at)
	if err != nil {
		return SourceImage{}, err
	}
	if s.NeedHVM && image.VirtualizationType != types.VirtualizationTypeHvm {
		return SourceImage{}, fmt.Errorf("cannot use %s: ena_support and sriov_support need an image with virtualization type hvm, and this one is %s", *image.ImageId, image.VirtualizationType)
	}
	if s.NeedWindows && !strings.EqualFold(string(image.Platform), "windows") {
		return SourceImage{}, fmt.Errorf("cannot use %s (%s) with the communicator winrm: EC2 asks only instances of Windows images for a password, and it takes this one for %s; choose a Windows image, or set winrm_password",
			*image.ImageId, text(image.Name), cmp.Or(text(image.PlatformDetails), "another system"))
	}
	if image.RootDeviceType != "" && image.RootDeviceType != types.DeviceTypeEbs {
		return SourceImage{}, fmt.Errorf("cannot use %s: its root device is an instance store, and only ebs can be imaged", *image.ImageId)
	}
	found := s.view(image)
	t.Say("found image %s (%s)", found.ID, found.Name)
	return found, nil
}

// search is for one image that a template describes.
type search struct {
	Place
	SourceOptions
	noun string // what it is to the user: the source image
}

// do asks for the images that fit and chooses one.
func (s search) do(ctx context.Context, at *site) (types.Image, error) {
	in := &ec2.DescribeImagesInput{Filters: filters(Filter{Filters: s.Filter.Filters}), Owners: s.Filter.Owners}
	if s.Filter.IncludeDeprecated {
		in.IncludeDeprecated = ptr(true)
	}
	if s.SourceAMI != "" {
		in.ImageIds = []string{string(s.SourceAMI)}
	}
	out, err := at.api.DescribeImages(ctx, in)
	if err != nil {
		return types.Image{}, wrapAPI("find "+s.noun+" "+s.what(), "DescribeImages", old, err)
	}
	return s.choose(out.Images)
}

// what names the image that is looked for.
func (s search) what() string {
	if s.SourceAMI != "" {
		return string(s.SourceAMI)
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s.Filter.Filters)) {
		parts = append(parts, k+"="+s.Filter.Filters[k])
	}
	return "with " + strings.Join(parts, ", ") + " of " + strings.Join(s.Filter.Owners, ", ")
}

// choose takes the one image that fits, or the newest if the template says so.
func (s search) choose(images []types.Image) (types.Image, error) {
	switch {
	case len(images) == 0:
		return types.Image{}, fmt.Errorf("cannot find %s %s in %s: no image fits; look at the filters, the owners and the region", s.noun, s.what(), s.Region)
	case len(images) == 1:
		return images[0], nil
	}
	slices.SortStableFunc(images, func(a, b types.Image) int {
		return cmp.Or(cmp.Compare(text(b.CreationDate), text(a.CreationDate)), cmp.Compare(text(b.ImageId), text(a.ImageId)))
	})
	if s.Filter.MostRecent {
		return images[0], nil
	}
	var names []string
	for _, i := range images {
		names = append(names, text(i.ImageId)+" ("+text(i.Name)+")")
	}
	return types.Image{}, fmt.Errorf("cannot choose %s: %d images fit: %s; narrow the filters or set most_recent", s.noun, len(images), list(names))
}

func (s Source) view(i types.Image) SourceImage {
	v := SourceImage{
		Place: s.Place, ID: text(i.ImageId), Name: text(i.Name), Owner: text(i.OwnerId), OwnerName: text(i.ImageOwnerAlias),
		CreationDate: text(i.CreationDate), RootDevice: text(i.RootDeviceName), Platform: string(i.Platform),
		Details: text(i.PlatformDetails), Architecture: string(i.Architecture),
	}
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs == nil {
			continue
		}
		volume := SourceDevice{Name: text(d.DeviceName), Type: string(d.Ebs.VolumeType)}
		if d.Ebs.Iops != nil {
			volume.IOPS = int(*d.Ebs.Iops)
		}
		if d.Ebs.Throughput != nil {
			volume.Throughput = int(*d.Ebs.Throughput)
		}
		if d.Ebs.VolumeSize != nil {
			volume.Size = int(*d.Ebs.VolumeSize)
		}
		if d.Ebs.Encrypted != nil {
			volume.Encrypted = *d.Ebs.Encrypted
		}
		v.Devices = append(v.Devices, volume)
		if d.Ebs.DeleteOnTermination != nil && !*d.Ebs.DeleteOnTermination {
			v.Leaves = append(v.Leaves, text(d.DeviceName))
		}
	}
	if len(i.Tags) > 0 {
		v.Tags = tagMap(i.Tags)
	}
	return v
}

// Text is what people want to know of the image: its id, name, owner, date and size.
func (s SourceImage) Text() string {
	owner := s.Owner
	if s.OwnerName != "" {
		owner += " (" + s.OwnerName + ")"
	}
	text := fmt.Sprintf("%s, %s, of %s, made %s", s.ID, cmp.Or(s.Name, "without a name"), cmp.Or(owner, "nobody known"), cmp.Or(s.CreationDate, "at a time that is not known"))
	if s.Architecture != "" {
		text += ", " + s.Architecture
	}
	size := 0
	for _, d := range s.Devices {
		size += d.Size
	}
	if size > 0 {
		text += fmt.Sprintf(", %d GiB", size)
	}
	return text
}

// cloudInit reports whether the image is known to run cloud-init, which takes a
// host key from user data.
func (s SourceImage) cloudInit() bool {
	if s.Platform != "" {
		return false
	}
	switch cmp.Or(s.Like, s.Owner) {
	case "099720109477", // Canonical
		"136693071363", // Debian
		"137112412989": // Amazon Linux
		return true
	}
	return false
}

// age is how long ago the image was made, as EC2 tells.
func (s SourceImage) age() time.Duration {
	made, err := time.Parse(time.RFC3339, s.CreationDate)
	if err != nil {
		return old
	}
	return since(made)
}

// filters puts a template's filters into EC2's form.
func filters(f Filter) (fs []types.Filter) {
	all := map[string]string{}
	maps.Copy(all, f.Filters)
	for _, b := range f.Filter {
		all[b.Name] = b.Value
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fs = append(fs, filter(name, strings.Split(all[name], ",")...))
	}
	return fs
}
