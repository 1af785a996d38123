package ec2local

import (
	"slices"
	"sort"
	"strings"
)

// A family is a line of instance types: what they share, and what each has.
type family struct {
	arch  string // x86_64 or arm64
	xen   bool
	burst bool
	i386  bool // also runs 32-bit images
	sizes []size
}

type size struct {
	name string
	cpus int
	mem  int // MiB
}

func ladder(perCPU int, names ...string) []size {
	cpus := map[string]int{
		"medium": 1, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "9xlarge": 36, "10xlarge": 40,
		"12xlarge": 48, "16xlarge": 64, "18xlarge": 72, "24xlarge": 96, "48xlarge": 192,
	}
	var out []size
	for _, n := range names {
		out = append(out, size{n, cpus[n], cpus[n] * perCPU})
	}
	return out
}

var (
	nano = []size{
		{"nano", 2, 512}, {"micro", 2, 1024}, {"small", 2, 2048}, {"medium", 2, 4096}, {"large", 2, 8192}, {"xlarge", 4, 16384}, {"2xlarge", 8, 32768},
	}
	common = []string{"large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"}
)

// families are the instance types that builds are run on; EC2 has more.
var families = map[string]family{
	"t1": {arch: "x86_64", xen: true, i386: true, sizes: []size{{"micro", 1, 627}}},
	"t2": {arch: "x86_64", xen: true, burst: true, i386: true, sizes: []size{
		{"nano", 1, 512}, {"micro", 1, 1024}, {"small", 1, 2048}, {"medium", 2, 4096}, {"large", 2, 8192}, {"xlarge", 4, 16384}, {"2xlarge", 8, 32768},
	}},
	"t3":  {arch: "x86_64", burst: true, sizes: nano},
	"t3a": {arch: "x86_64", burst: true, sizes: nano},
	"t4g": {arch: "arm64", burst: true, sizes: nano},
	"m3":  {arch: "x86_64", xen: true, sizes: []size{{"medium", 1, 3840}, {"large", 2, 7680}, {"xlarge", 4, 15360}, {"2xlarge", 8, 30720}}},
	"m4":  {arch: "x86_64", xen: true, sizes: ladder(4096, "large", "xlarge", "2xlarge", "4xlarge", "10xlarge", "16xlarge")},
	"m5":  {arch: "x86_64", sizes: ladder(4096, common...)},
	"m5a": {arch: "x86_64", sizes: ladder(4096, common...)},
	"m6a": {arch: "x86_64", sizes: ladder(4096, common...)},
	"m6i": {arch: "x86_64", sizes: ladder(4096, common...)},
	"m6g": {arch: "arm64", sizes: ladder(4096, "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")},
	"m7a": {arch: "x86_64", sizes: ladder(4096, append([]string{"medium"}, common...)...)},
	"m7i": {arch: "x86_64", sizes: ladder(4096, common...)},
	"m7g": {arch: "arm64", sizes: ladder(4096, "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")},
	"c4":  {arch: "x86_64", xen: true, sizes: []size{{"large", 2, 3840}, {"xlarge", 4, 7680}, {"2xlarge", 8, 15360}, {"4xlarge", 16, 30720}, {"8xlarge", 36, 61440}}},
	"c5":  {arch: "x86_64", sizes: ladder(2048, "large", "xlarge", "2xlarge", "4xlarge", "9xlarge", "12xlarge", "18xlarge", "24xlarge")},
	"c5a": {arch: "x86_64", sizes: ladder(2048, common...)},
	"c6i": {arch: "x86_64", sizes: ladder(2048, common...)},
	"c6g": {arch: "arm64", sizes: ladder(2048, "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")},
	"c7i": {arch: "x86_64", sizes: ladder(2048, common...)},
	"c7g": {arch: "arm64", sizes: ladder(2048, "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")},
	"r4":  {arch: "x86_64", xen: true, sizes: ladder(7808, "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")},
	"r5":  {arch: "x86_64", sizes: ladder(8192, common...)},
	"r6i": {arch: "x86_64", sizes: ladder(8192, common...)},
	"r6g": {arch: "arm64", sizes: ladder(8192, "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")},
	"r7i": {arch: "x86_64", sizes: ladder(8192, common...)},
}

// An instanceType is one size of a family.
type instanceType struct {
	name string
	family
	size
}

func typeNamed(name string) *instanceType {
	f, s, _ := strings.Cut(name, ".")
	fam, ok := families[f]
	if !ok {
		return nil
	}
	for _, x := range fam.sizes {
		if x.name == s {
			return &instanceType{name, fam, x}
		}
	}
	return nil
}

func allTypes() []*instanceType {
	var out []*instanceType
	for f, fam := range families {
		for _, s := range fam.sizes {
			out = append(out, &instanceType{f + "." + s.name, fam, s})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

// runs tells whether images of that architecture run on the type.
func (t *instanceType) runs(arch string) bool { return slices.Contains(t.archs(), arch) }

func (t *instanceType) archs() []string {
	if t.i386 {
		return []string{"i386", t.arch}
	}
	return []string{t.arch}
}

func (t *instanceType) hypervisor() string {
	if t.xen {
		return "xen"
	}
	return "nitro"
}

// ena is how far a type needs enhanced networking.
func (t *instanceType) ena() string {
	if t.xen {
		return "unsupported"
	}
	return "required"
}

type processorItem struct {
	Archs set[string] `xml:"supportedArchitectures"`
}

type cpuItem struct {
	Default int `xml:"defaultVCpus"`
}

type memoryItem struct {
	MiB int `xml:"sizeInMiB"`
}

type ebsInfoItem struct {
	Optimized  string `xml:"ebsOptimizedSupport"`
	Encryption string `xml:"encryptionSupport"`
	NVMe       string `xml:"nvmeSupport"`
}

type networkInfoItem struct {
	ENA string `xml:"enaSupport"`
}

type typeItem struct {
	Name        string          `xml:"instanceType"`
	Current     bool            `xml:"currentGeneration"`
	Free        bool            `xml:"freeTierEligible"`
	Usage       set[string]     `xml:"supportedUsageClasses"`
	Roots       set[string]     `xml:"supportedRootDeviceTypes"`
	Virt        set[string]     `xml:"supportedVirtualizationTypes"`
	Metal       bool            `xml:"bareMetal"`
	Hypervisor  string          `xml:"hypervisor"`
	Processor   processorItem   `xml:"processorInfo"`
	CPU         cpuItem         `xml:"vCpuInfo"`
	Memory      memoryItem      `xml:"memoryInfo"`
	Storage     bool            `xml:"instanceStorageSupported"`
	EBS         ebsInfoItem     `xml:"ebsInfo"`
	Network     networkInfoItem `xml:"networkInfo"`
	Hibernation bool            `xml:"hibernationSupported"`
	Burstable   bool            `xml:"burstablePerformanceSupported"`
	Hosts       bool            `xml:"dedicatedHostsSupported"`
	Recovery    bool            `xml:"autoRecoverySupported"`
}

func items(v ...string) set[string] { return set[string]{v} }

func (t *instanceType) usage() []string { return []string{"on-demand", "spot"} }

func (t *instanceType) current() bool {
	return !slices.Contains([]string{"t1", "m3"}, strings.SplitN(t.name, ".", 2)[0])
}

func (t *instanceType) item() typeItem {
	i := typeItem{
		Name: t.name, Current: t.current(), Free: t.free(), Usage: items(t.usage()...), Roots: items("ebs"), Virt: items("hvm"),
		Hypervisor: t.hypervisor(), Processor: processorItem{items(t.archs()...)}, CPU: cpuItem{t.cpus}, Memory: memoryItem{t.mem},
		EBS: ebsInfoItem{"default", "supported", "required"}, Network: networkInfoItem{t.ena()}, Burstable: t.burst, Hosts: !t.burst, Recovery: true,
	}
	if t.xen {
		i.EBS.Optimized, i.EBS.NVMe = "unsupported", "unsupported"
	}
	return i
}

func (t *instanceType) free() bool { return t.name == "t2.micro" || t.name == "t3.micro" }

var typeFilters = filters[instanceType]{
	"instance-type":                         func(c *call, t *instanceType) []string { return one(t.name) },
	"processor-info.supported-architecture": func(c *call, t *instanceType) []string { return t.archs() },
	"current-generation":                    func(c *call, t *instanceType) []string { return yes(t.current()) },
	"free-tier-eligible":                    func(c *call, t *instanceType) []string { return yes(t.free()) },
	"burstable-performance-supported":       func(c *call, t *instanceType) []string { return yes(t.burst) },
	"hypervisor":                            func(c *call, t *instanceType) []string { return one(t.hypervisor()) },
	"memory-info.size-in-mib":               func(c *call, t *instanceType) []string { return number(int64(t.mem)) },
	"vcpu-info.default-vcpus":               func(c *call, t *instanceType) []string { return number(int64(t.cpus)) },
	"supported-usage-class":                 func(c *call, t *instanceType) []string { return t.usage() },
	"supported-root-device-type":            func(c *call, t *instanceType) []string { return one("ebs") },
	"supported-virtualization-type":         func(c *call, t *instanceType) []string { return one("hvm") },
	"network-info.ena-support":              func(c *call, t *instanceType) []string { return one(t.ena()) },
	"bare-metal":                            func(c *call, t *instanceType) []string { return yes(false) },
}

type describeTypesRequest struct {
	pageRequest
	InstanceTypes []string
	Filters       []filter
}

type describeTypesResponse struct {
	Types set[typeItem] `xml:"instanceTypeSet"`
	pageResponse
}

func describeInstanceTypes(c *call, q *describeTypesRequest) (*describeTypesResponse, error) {
	var ts []*instanceType
	for _, name := range q.InstanceTypes {
		t := typeNamed(name)
		if t == nil {
			return nil, fail("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
		ts = append(ts, t)
	}
	if len(q.InstanceTypes) == 0 {
		ts = allTypes()
	}
	ts, next, err := narrow(c, typeFilters.plain(), q.Filters, ts, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeTypesResponse{pageResponse: next}
	for _, t := range ts {
		r.Types.Items = append(r.Types.Items, t.item())
	}
	return r, nil
}

type describeOfferingsRequest struct {
	pageRequest
	LocationType string
	Filters      []filter
}

type offering struct {
	Type         string `xml:"instanceType"`
	LocationType string `xml:"locationType"`
	Location     string `xml:"location"`
}

type describeOfferingsResponse struct {
	Offerings set[offering] `xml:"instanceTypeOfferingSet"`
	pageResponse
}

var offeringFilters = filters[offering]{
	"instance-type": func(c *call, o *offering) []string { return one(o.Type) },
	"location":      func(c *call, o *offering) []string { return one(o.Location) },
}

func describeInstanceTypeOfferings(c *call, q *describeOfferingsRequest) (*describeOfferingsResponse, error) {
	if q.LocationType == "" {
		q.LocationType = "region"
	}
	var places []string
	switch q.LocationType {
	case "region":
		places = []string{c.region}
	case "availability-zone":
		for _, z := range zones(c.region) {
			places = append(places, z.Name)
		}
	case "availability-zone-id":
		for _, z := range zones(c.region) {
			places = append(places, z.ID)
		}
	default:
		return nil, fail("UnsupportedOperation", "This endpoint has no outposts.")
	}
	var all []*offering
	for _, t := range allTypes() {
		for _, p := range places {
			all = append(all, &offering{t.name, q.LocationType, p})
		}
	}
	all, next, err := narrow(c, offeringFilters.plain(), q.Filters, all, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeOfferingsResponse{pageResponse: next}
	for _, o := range all {
		r.Offerings.Items = append(r.Offerings.Items, *o)
	}
	return r, nil
}
