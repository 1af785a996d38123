package ec2local

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// The owners of the public images.
const (
	canonical   = "099720109477"
	debian      = "136693071363"
	amazonLinux = "137112412989"
	windowsTeam = "801119661308"
)

// canonicalIn is Canonical's account where it has another, as the Ubuntu on AWS
// documentation has it.
var canonicalIn = map[string]string{"aws-cn": "837727238323", "aws-us-gov": "513442679011"}

// ownerAlias is what owners are called in requests, beside self.
var ownerAlias = map[string]string{amazonLinux: "amazon", windowsTeam: "amazon"}

// A product is a line of public images: the same thing, published again and again.
type product struct {
	owner, name string // name has %s for the date
	layout      string // of the date in the name
	description string
	arch        string
	user        string
	device      string
	size        int
	release     guest.Release
	windows     bool
	imdsV2      bool
	boot        string
	dates       []string // 2006-01-02
}

func ubuntu(code, version, arch, storage string, dates ...string) product {
	p := product{
		owner: canonical, layout: "20060102", arch: arch, user: "ubuntu", device: "/dev/sda1", size: 8, dates: dates,
		release: guest.Release{ID: "ubuntu", Version: version, Name: "Ubuntu " + version + " LTS"},
	}
	short := map[string]string{"x86_64": "amd64", "arm64": "arm64"}[arch]
	p.name = fmt.Sprintf("ubuntu/images/%s/ubuntu-%s-%s-%s-server-", storage, code, version, short) + "%s"
	p.description = fmt.Sprintf("Canonical, Ubuntu, %s LTS, %s %s image", version, short, code)
	if version >= "22.04" {
		p.boot = "uefi-preferred"
	}
	if arch == "arm64" {
		p.boot = "uefi"
	}
	return p
}

func debianImage(version, arch string, dates ...string) product {
	short := map[string]string{"x86_64": "amd64", "arm64": "arm64"}[arch]
	p := product{
		owner: debian, name: "debian-" + version + "-" + short + "-%s-1234", layout: "20060102", arch: arch, user: "admin",
		description: "Debian " + version, device: "/dev/xvda", size: 8, dates: dates,
		release: guest.Release{ID: "debian", Version: version, Name: "Debian GNU/Linux " + version},
	}
	p.boot = "uefi-preferred"
	if arch == "arm64" {
		p.boot = "uefi"
	}
	return p
}

func windows(year, text string, dates ...string) product {
	return product{
		owner: windowsTeam, name: "Windows_Server-" + text + "-English-" + "%s", layout: "2006.01.02", arch: "x86_64", user: "Administrator",
		description: "Microsoft Windows Server " + year + " English AMI provided by Amazon", device: "/dev/sda1", size: 30, windows: true, dates: dates,
		release: guest.Release{ID: "windows", Version: year, Name: "Windows Server " + year},
	}
}

var catalogueDates = []string{"2025-11-12", "2026-02-11", "2026-05-13"}

// products is the catalogue: what template authors name most.
var products = func() []product {
	list := []product{
		ubuntu("xenial", "16.04", "x86_64", "hvm-ssd", "2021-07-21", "2021-08-31", "2021-09-28"),
		ubuntu("bionic", "18.04", "x86_64", "hvm-ssd", "2023-04-28", "2023-05-16", "2023-05-31"),
		ubuntu("focal", "20.04", "x86_64", "hvm-ssd", "2025-03-13", "2025-04-09", "2025-05-21"),
		ubuntu("jammy", "22.04", "x86_64", "hvm-ssd", catalogueDates...),
		ubuntu("noble", "24.04", "x86_64", "hvm-ssd-gp3", catalogueDates...),
		ubuntu("focal", "20.04", "arm64", "hvm-ssd", "2025-03-13", "2025-04-09", "2025-05-21"),
		ubuntu("jammy", "22.04", "arm64", "hvm-ssd", catalogueDates...),
		ubuntu("noble", "24.04", "arm64", "hvm-ssd-gp3", catalogueDates...),
		debianImage("11", "x86_64", "2024-08-12", "2025-05-26", "2026-01-05"),
		debianImage("12", "x86_64", catalogueDates...),
		debianImage("12", "arm64", catalogueDates...),
	}
	for arch, name := range map[string]string{"x86_64": "x86_64", "arm64": "arm64"} {
		list = append(list, product{
			owner: amazonLinux, name: "al2023-ami-2023.9.%s.0-kernel-6.1-" + name, layout: "20060102", arch: arch, user: "ec2-user",
			description: "Amazon Linux 2023 AMI 2023.9 " + name + " HVM kernel-6.1", device: "/dev/xvda", size: 8, dates: catalogueDates,
			release: guest.Release{ID: "amzn", Version: "2023", Name: "Amazon Linux 2023"}, imdsV2: true, boot: "uefi-preferred",
		}, product{
			owner: amazonLinux, name: "amzn2-ami-hvm-2.0.%s.0-" + name + "-gp2", layout: "20060102", arch: arch, user: "ec2-user",
			description: "Amazon Linux 2 AMI 2.0 " + name + " HVM gp2", device: "/dev/xvda", size: 8, dates: catalogueDates,
			release: guest.Release{ID: "amzn", Version: "2", Name: "Amazon Linux 2"},
		})
	}
	for _, w := range []struct{ year, text string }{
		{"2012 R2", "2012-R2_RTM"}, {"2016", "2016"}, {"2019", "2019"}, {"2022", "2022"}, {"2025", "2025"},
	} {
		dates := catalogueDates
		if w.year == "2012 R2" {
			dates = []string{"2023-08-10", "2023-09-13", "2023-10-11"}
		}
		base := "64Bit-Base-"
		if w.year != "2012 R2" {
			base = "Full-Base-"
		}
		p := windows(w.year, w.text, dates...)
		p.name = strings.Replace(p.name, "%s", base+"%s", 1)
		list = append(list, p)
	}
	return list
}()

var catalogues sync.Map // region → []*image

// catalogue are the public images of a region. Ids and dates are the same in
// every endpoint.
func catalogue(region string) []*image {
	if c, ok := catalogues.Load(region); ok {
		return c.([]*image)
	}
	var list []*image
	for _, p := range products {
		for _, d := range p.dates {
			list = append(list, p.image(region, d))
		}
	}
	c, _ := catalogues.LoadOrStore(region, list)
	return c.([]*image)
}

func (p product) image(region, date string) *image {
	day, err := time.Parse("2006-01-02", date)
	if err != nil {
		panic("ec2local: the catalogue has a date that is none: " + date)
	}
	name := fmt.Sprintf(p.name, day.Format(p.layout))
	made := day.Add(20*time.Hour + 7*time.Minute)
	m := &image{
		base: base{ID: fixedID("ami", region+"/"+name), Region: region, Created: made},
		Name: name, Description: p.description, Owner: p.owner, OwnerAlias: ownerAlias[p.owner], State: "available",
		Arch: p.arch, PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", RootDevice: p.device, Virt: "hvm",
		ENA: true, Sriov: "simple", BootMode: p.boot, Public: true, User: p.user, Release: p.release,
	}
	if p.imdsV2 {
		m.Imds = "v2.0"
	}
	if p.windows {
		m.Platform, m.PlatformDetails, m.UsageOperation = "windows", "Windows", "RunInstances:0002"
	}
	kind := "gp2"
	if strings.Contains(name, "gp3") || p.imdsV2 {
		kind = "gp3"
	}
	m.Mappings = []mapping{{Device: p.device, Snapshot: fixedID("snap", region+"/"+name), Size: p.size, Type: kind, DeleteOnTermination: true}}
	if kind == "gp3" {
		m.Mappings[0].IOPS, m.Mappings[0].Throughput = 3000, 125
	}
	if p.owner == canonical {
		if o := canonicalIn[partitionOf(region).name]; o != "" {
			m.Owner = o
		}
		m.Mappings = append(m.Mappings, mapping{Device: "/dev/sdb", Virtual: "ephemeral0"}, mapping{Device: "/dev/sdc", Virtual: "ephemeral1"})
	}
	return m
}
