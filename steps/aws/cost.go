package aws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/steps/aws/prices"
)

// shortest is how long AWS counts an instance or a volume for at least.
const shortest = time.Minute

// Cost is what the instances of a run have cost with their volumes, and what its images
// and volumes cost that are kept, by its records and the public prices. An instance is
// paid for from its launch until it was stopped or removed, its volumes until it was
// removed.
func Cost(records []dag.Record, now time.Time) cost.Bill {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(x, y dag.Record) int { return cmp.Or(x.Begun.Compare(y.Begun), cmp.Compare(x.Name, y.Name)) })
	b := biller{by: map[dag.Key]*dag.Record{}, stopped: map[dag.Key]time.Time{}}
	for i := range records {
		r := &records[i]
		b.by[r.Key] = r
		if s := (Stop{}); r.Kind == s.Kind() && !r.Finished.IsZero() && json.Unmarshal(r.Spec, &s) == nil {
			b.stopped[s.Instance.Key()] = r.Finished
		}
	}
	bill := cost.Bill{Prices: prices.Date()}
	for _, r := range records {
		switch r.Kind {
		case Launch{}.Kind():
			bill.Items = append(bill.Items, b.launched(r, now)...)
		case CreateImage{}.Kind(), RegisterImage{}.Kind(), CopyImage{}.Kind():
			if r.Alive() && r.Kept {
				bill.Monthly = append(bill.Monthly, b.image(r))
			}
		case NameImport{}.Kind():
			if r.Alive() && r.Kept {
				bill.Monthly = append(bill.Monthly, cost.Item{Builds: r.Builds, What: r.Label, Unknown: "how large an imported image is"})
			}
		case FindVolumes{}.Kind():
			if r.Alive() && r.Kept {
				bill.Monthly = append(bill.Monthly, b.volumes(r))
			}
		}
	}
	return bill
}

// biller knows the records of a run.
type biller struct {
	by      map[dag.Key]*dag.Record
	stopped map[dag.Key]time.Time // by the launch
}

// launched is what the instance of a launch has cost, if it has made one.
func (b biller) launched(r dag.Record, now time.Time) (items []cost.Item) {
	if r.Gen > 1 {
		items = append(items, cost.Item{Builds: r.Builds, What: "earlier instances of " + r.Name, Unknown: "what earlier tries of " + r.Name + " have made"})
	}
	if r.Label == "" {
		return items
	}
	end := now
	if !r.Alive() {
		end = r.Ended
	}
	atWork := end
	if at := b.stopped[r.Key]; at.After(r.Begun) && at.Before(end) {
		atWork = at
	}
	m := b.machine(r.Node)
	m.took(r.Out)
	items = append(items, m.item(r, max(shortest, atWork.Sub(r.Begun))))
	if stood := max(shortest, end.Sub(r.Begun)); len(m.volumes) > 0 {
		x := cost.Item{Builds: r.Builds, What: "its volumes: " + gibs(m.volumes), For: stood}
		var monthly float64
		if monthly, x.Unknown = monthOf(m.Region, m.volumes); x.Unknown == "" {
			x.USD = monthly * stood.Hours() / prices.MonthHours
		}
		items = append(items, x)
	}
	return items
}

// image is what a month of an image's snapshots costs at most: EBS stores only what is
// used of a volume, which nobody here knows.
func (b biller) image(r dag.Record) cost.Item {
	x := cost.Item{Builds: r.Builds, What: r.Label}
	var made Image
	gib := b.stored(r.Node)
	if gib == 0 || json.Unmarshal(r.Out, &made) != nil {
		x.Unknown = "how large " + r.Label + " is"
		return x
	}
	x.What = fmt.Sprintf("%s in %s, for %d GiB", r.Label, made.Region, gib)
	var known bool
	if x.USD, known = prices.Snapshot(made.Region, gib); !known {
		x.Unknown = "no price of snapshots in " + made.Region
	}
	return x
}

// stored is how many GiB the volumes have that an image is made of, 0 if that is not known.
func (b biller) stored(n dag.Node) (gib int) {
	from := &n
	if n.Kind != (RegisterImage{}).Kind() {
		from = nearest(n, b.node, RegisterImage{}.Kind(), Launch{}.Kind())
	}
	var sizes []int
	var s RegisterImage
	switch {
	case from == nil:
	case from.Kind == (Launch{}).Kind():
		for _, v := range b.machine(*from).volumes {
			sizes = append(sizes, v.GiB)
		}
	case json.Unmarshal(from.Spec, &s) == nil:
		for _, p := range s.Parts {
			sizes = append(sizes, p.VolumeSize)
		}
	}
	for _, n := range sizes {
		if n == 0 {
			return 0
		}
		gib += n
	}
	return gib
}

// volumes is what a month of the volumes costs that outlive their instance.
func (b biller) volumes(r dag.Record) cost.Item {
	x := cost.Item{Builds: r.Builds, What: "kept volumes"}
	from := launchOf(r.Node, b.node)
	if from == nil {
		x.Unknown = "how large kept volumes are"
		return x
	}
	m := b.machine(*from)
	var kept []volume
	for _, v := range m.volumes {
		if v.stays {
			kept = append(kept, v)
		}
	}
	x.What = "kept volumes: " + gibs(kept)
	x.USD, x.Unknown = monthOf(m.Region, kept)
	return x
}

// node is that of a record.
func (b biller) node(k dag.Key) *dag.Node {
	if r := b.by[k]; r != nil {
		return &r.Node
	}
	return nil
}

// launchOf is the launch of the instance that a step comes from: the nearest of those that
// it needs.
func launchOf(n dag.Node, of func(dag.Key) *dag.Node) *dag.Node {
	return nearest(n, of, Launch{}.Kind())
}

// nearest is the nearest step of some kinds of those that a step needs.
func nearest(n dag.Node, of func(dag.Key) *dag.Node, kinds ...string) *dag.Node {
	seen := map[dag.Key]bool{}
	for next := n.Needs; len(next) > 0; {
		var after []dag.Key
		for _, k := range next {
			n := of(k)
			if n == nil || seen[k] {
				continue
			}
			if slices.Contains(kinds, n.Kind) {
				return n
			}
			seen[k] = true
			after = append(after, n.Needs...)
		}
		next = after
	}
	return nil
}

// machine is what is known of an instance that is launched.
type machine struct {
	Region  string
	Type    string
	System  string // as EC2 calls it; "" if nobody knows
	Shared  bool   // hardware
	Spot    bool
	volumes []volume
}

// volume is one of its volumes; a size of 0 is not known.
type volume struct {
	prices.Volume
	stays bool // when the instance goes
}

// machine puts together what the template says of an instance and what its source image
// does.
func (b biller) machine(n dag.Node) machine {
	var s Launch
	if json.Unmarshal(n.Spec, &s) != nil {
		return machine{}
	}
	m := machine{Region: s.Region, Type: s.types(s.Spot)[0], Spot: s.Spot.on()}
	m.Shared = slices.Contains([]string{"", "default"}, cmp.Or(s.Placement.Tenancy, s.Tenancy)) && s.Placement.HostID+s.Placement.HostResourceGroupARN == ""
	var source SourceImage
	if r := b.by[s.Source.Key()]; r != nil && json.Unmarshal(r.Out, &source) == nil {
		m.System = source.Details
	}
	m.volumes = s.paid(source)
	return m
}

// took puts in what was launched, of all that would have done.
func (m *machine) took(out json.RawMessage) {
	var i Instance
	if json.Unmarshal(out, &i) == nil && i.Type != "" {
		m.Type, m.Spot = i.Type, i.Spot
	}
}

// paid are the EBS volumes of the instance.
func (s Launch) paid(source SourceImage) (vs []volume) {
	own := map[string]BlockDevice{}
	for _, d := range s.LaunchMappings {
		own[d.DeviceName] = d
	}
	add := func(v prices.Volume, d BlockDevice) {
		if d.NoDevice || strings.HasPrefix(d.VirtualName, "ephemeral") {
			return
		}
		if d.VolumeType != "" && d.VolumeType != v.Type {
			v.Type, v.IOPS, v.Throughput = d.VolumeType, 0, 0
		}
		v.GiB, v.IOPS, v.Throughput = cmp.Or(d.VolumeSize, v.GiB), cmp.Or(d.IOPS, v.IOPS), cmp.Or(d.Throughput, v.Throughput)
		vs = append(vs, volume{v, d.DeleteOnTermination != nil && !*d.DeleteOnTermination})
	}
	for _, d := range source.Devices {
		add(prices.Volume{Type: d.Type, GiB: d.Size, IOPS: d.IOPS, Throughput: d.Throughput}, own[d.Name])
		delete(own, d.Name)
	}
	for _, d := range s.LaunchMappings {
		if _, more := own[d.DeviceName]; more {
			add(prices.Volume{}, d)
		}
	}
	return vs
}

// item is what an instance costs for a time.
func (m machine) item(r dag.Record, stood time.Duration) cost.Item {
	x := cost.Item{Builds: r.Builds, What: r.Label + ": " + m.what(), For: stood}
	var hourly float64
	hourly, x.Unknown = m.hourly(m.System)
	x.USD = hourly * stood.Hours()
	return x
}

func (m machine) what() string {
	what := m.Type + " in " + m.Region
	switch m.System {
	case "":
	case prices.Linux:
		what = m.Type + " with Linux in " + m.Region
	default:
		what = m.Type + " with " + m.System + " in " + m.Region
	}
	return what
}

// hourly is what an hour of it costs with a system, or why nobody knows.
func (m machine) hourly(system string) (usd float64, unknown string) {
	if m.Spot {
		return 0, "the price of spot instances moves"
	}
	if !m.Shared {
		return 0, "no price of hardware that is not shared"
	}
	if system == "" {
		return 0, "what runs on " + m.Type
	}
	usd, known := prices.Hour(m.Region, m.Type, system)
	if !known {
		m.System = system
		return 0, "no price of " + m.what()
	}
	return usd, ""
}

// monthOf is what a month of volumes costs, or why nobody knows.
func monthOf(region string, vs []volume) (usd float64, unknown string) {
	for _, v := range vs {
		switch each, known := prices.Month(region, v.Volume); {
		case v.GiB == 0 || v.Type == "":
			return 0, "how large volumes are, or of what type"
		case !known:
			return 0, "no price of such " + v.Type + " volumes in " + region
		default:
			usd += each
		}
	}
	return usd, ""
}

// gibs tells how large volumes are.
func gibs(vs []volume) string {
	var parts []string
	for _, v := range vs {
		size := "?"
		if v.GiB > 0 {
			size = fmt.Sprint(v.GiB)
		}
		parts = append(parts, strings.TrimSuffix(size+" GiB "+v.Type, " "))
	}
	return list(parts)
}
