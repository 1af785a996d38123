package ec2local

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed types.txt
var typesText string

// An instanceType is one size of a family.
type instanceType struct {
	name     string
	arch     string   // x86_64, arm64, or one of them with _mac
	features []string // as in types.txt
	cpus     int
	mem      int // MiB
}

func (t *instanceType) has(feature string) bool { return slices.Contains(t.features, feature) }

func (t *instanceType) metal() bool {
	_, size, _ := strings.Cut(t.name, ".")
	return strings.HasPrefix(size, "metal")
}

// instanceTypes are all that there are, in the order of their names.
var instanceTypes = sync.OnceValues(func() (list []*instanceType, named map[string]*instanceType) {
	named = map[string]*instanceType{}
	for line := range strings.Lines(typesText) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(f) == 0 {
			continue
		}
		perCPU, err := strconv.Atoi(f[3])
		if err != nil {
			panic("ec2local: types.txt: " + line)
		}
		for _, s := range f[4:] {
			size, what, given := strings.Cut(s, "=")
			t := &instanceType{name: f[0] + "." + size, arch: f[1], features: strings.Split(f[2], ","), cpus: cpusOf(size)}
			if given {
				cpus, mem, _ := strings.Cut(what, "/")
				t.cpus, _ = strconv.Atoi(cpus)
				t.mem, _ = strconv.Atoi(mem)
			}
			if t.mem == 0 {
				t.mem = t.cpus * perCPU
			}
			if t.cpus == 0 || t.mem == 0 {
				panic("ec2local: types.txt: " + t.name + " has neither processors nor memory")
			}
			list, named[t.name] = append(list, t), t
		}
	}
	slices.SortFunc(list, func(a, b *instanceType) int { return strings.Compare(a.name, b.name) })
	return list, named
})

// cpusOf is how many processors a size has unless its family says otherwise.
func cpusOf(size string) int {
	switch size {
	case "medium":
		return 1
	case "large":
		return 2
	case "xlarge":
		return 4
	}
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(size, "metal-"), "xlarge"), "xl"))
	return 4 * n
}

func typeNamed(name string) *instanceType {
	_, named := instanceTypes()
	return named[name]
}

func allTypes() []*instanceType {
	list, _ := instanceTypes()
	return slices.Clone(list)
}

// runs tells whether images of that architecture run on the type.
func (t *instanceType) runs(arch string) bool { return slices.Contains(t.archs(), arch) }

func (t *instanceType) archs() []string {
	if t.has("i386") {
		return []string{"i386", t.arch}
	}
	return []string{t.arch}
}

// hypervisor is empty for bare metal.
func (t *instanceType) hypervisor() string {
	switch {
	case t.metal():
		return ""
	case t.has("xen"):
		return "xen"
	}
	return "nitro"
}

func (t *instanceType) virt() []string {
	switch {
	case t.has("pv"):
		return []string{"paravirtual"}
	case t.has("xen") && t.has("old"):
		return []string{"hvm", "paravirtual"}
	}
	return []string{"hvm"}
}

// ena is how far a type needs enhanced networking.
func (t *instanceType) ena() string {
	if t.has("xen") && !t.metal() {
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
	Hypervisor  string          `xml:"hypervisor,omitempty"`
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

func (t *instanceType) current() bool { return !t.has("old") }

func (t *instanceType) item() typeItem {
	i := typeItem{
		Name: t.name, Current: t.current(), Free: t.free(), Usage: items(t.usage()...), Roots: items("ebs"), Virt: items(t.virt()...), Metal: t.metal(),
		Hypervisor: t.hypervisor(), Processor: processorItem{items(t.archs()...)}, CPU: cpuItem{t.cpus}, Memory: memoryItem{t.mem},
		EBS: ebsInfoItem{"default", "supported", "required"}, Network: networkInfoItem{t.ena()}, Burstable: t.has("burst"), Hosts: !t.has("burst"), Recovery: true,
	}
	if t.has("xen") && !t.metal() {
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
	"burstable-performance-supported":       func(c *call, t *instanceType) []string { return yes(t.has("burst")) },
	"hypervisor":                            func(c *call, t *instanceType) []string { return one(t.hypervisor()) },
	"memory-info.size-in-mib":               func(c *call, t *instanceType) []string { return number(int64(t.mem)) },
	"vcpu-info.default-vcpus":               func(c *call, t *instanceType) []string { return number(int64(t.cpus)) },
	"supported-usage-class":                 func(c *call, t *instanceType) []string { return t.usage() },
	"supported-root-device-type":            func(c *call, t *instanceType) []string { return one("ebs") },
	"supported-virtualization-type":         func(c *call, t *instanceType) []string { return t.virt() },
	"network-info.ena-support":              func(c *call, t *instanceType) []string { return one(t.ena()) },
	"bare-metal":                            func(c *call, t *instanceType) []string { return yes(t.metal()) },
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
		places = []string{regionOf(c.region)}
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
