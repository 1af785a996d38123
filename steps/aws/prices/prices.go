package prices

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed table.txt
var source string

// What runs on an instance, as EC2 calls it in PlatformDetails.
const (
	Linux   = "Linux/UNIX"
	Windows = "Windows"
)

// MonthHours is how many hours AWS counts a month as.
const MonthHours = 730

// table is what table.txt says, by the names of its rows and columns.
type table struct {
	date      string
	instances map[string]map[string]float64 // by region and family, of the size large
	windows   map[string]float64            // by type, or "vcpu"
	volumes   map[string]map[string]float64 // by region and column
}

var current = sync.OnceValue(func() *table {
	t, err := parse(source)
	if err != nil { // the test of the table finds it; without it nothing is known
		return &table{}
	}
	return t
})

// Date is the day of the prices, such as 2026-11-30.
func Date() string { return current().date }

// parse reads a table: parts with blank lines between them, whose first word says what
// they are.
func parse(text string) (*table, error) {
	t := &table{instances: map[string]map[string]float64{}, windows: map[string]float64{}, volumes: map[string]map[string]float64{}}
	var part string
	var columns []string
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		var err error
		switch {
		case len(f) == 0:
		case f[0] == "date":
			t.date = strings.Join(f[1:], " ")
			_, err = time.Parse(time.DateOnly, t.date)
		case f[0] == "instance", f[0] == "windows", f[0] == "volume":
			part, columns = f[0], f[1:]
		case part == "instance":
			err = row(t.instances, f, columns)
		case part == "volume":
			err = row(t.volumes, f, columns)
		case part == "windows" && len(f) == 2:
			err = put(t.windows, f[0], f[1])
		default:
			err = errors.New("what is it?")
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the table of prices: line %d: %w", n+1, err)
		}
	}
	if t.date == "" {
		return nil, errors.New("cannot read the table of prices: it has no date")
	}
	return t, nil
}

// row takes the prices of a region.
func row(to map[string]map[string]float64, fields, columns []string) error {
	region := fields[0]
	if len(fields) != len(columns)+1 {
		return fmt.Errorf("%s has %d prices for %d columns", region, len(fields)-1, len(columns))
	}
	if to[region] != nil {
		return fmt.Errorf("%s is there twice", region)
	}
	to[region] = map[string]float64{}
	for i, c := range columns {
		if err := put(to[region], c, fields[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// put takes one price; a dash is none.
func put(to map[string]float64, name, price string) error {
	if _, twice := to[name]; twice {
		return fmt.Errorf("%s is there twice", name)
	}
	if price == "-" {
		return nil
	}
	usd, err := strconv.ParseFloat(price, 64)
	if err != nil || !(usd > 0 && usd < 100) {
		return fmt.Errorf("%q is no price", price)
	}
	to[name] = usd
	return nil
}

// Hour is what an hour of an instance costs, on demand and on shared hardware. The system
// is Linux or Windows; no other is known.
func Hour(region, instanceType, system string) (usd float64, known bool) {
	t := current()
	family, size, _ := strings.Cut(instanceType, ".")
	times, sized := larges(size)
	usd, known = t.instances[region][family]
	if !sized || !known {
		return 0, false
	}
	usd *= times
	switch {
	case system == Linux:
		return usd, true
	case system != Windows:
		return 0, false
	case strings.HasPrefix(family, "t"): // burstable
		licence, known := t.windows[instanceType]
		return usd + licence, known
	case strings.HasSuffix(family, "g"): // Graviton, for which there is no Windows
		return 0, false
	}
	return usd + t.windows["vcpu"]*2*times, true // large has two vCPUs
}

// VCPUs is how many virtual processors an instance has, by the name of its size.
func VCPUs(instanceType string) (n int, known bool) {
	family, size, _ := strings.Cut(instanceType, ".")
	times, sized := larges(size)
	switch {
	case !sized || strings.HasPrefix(family, "hpc") || strings.HasPrefix(family, "u"): // whose sizes say something else
		return 0, false
	case size == "8xlarge" && (family == "c4" || family == "d2"):
		return 36, true
	case times < 1 && family != "t3" && family != "t3a" && family != "t4g":
		if family == "t2" && size == "medium" {
			return 2, true
		}
		return 1, true
	case times < 1:
		return 2, true
	}
	return int(2 * times), true // large has two
}

// larges is how many times the size large a size is.
func larges(size string) (times float64, known bool) {
	switch size {
	case "nano":
		return 1. / 16, true
	case "micro":
		return 1. / 8, true
	case "small":
		return 1. / 4, true
	case "medium":
		return 1. / 2, true
	case "large":
		return 1, true
	case "xlarge":
		return 2, true
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge"))
	if err != nil || !strings.HasSuffix(size, "xlarge") || n < 2 || n > 64 {
		return 0, false // such as metal, which is priced on its own
	}
	return 2 * float64(n), true
}

// Volume is an EBS volume.
type Volume struct {
	Type       string // such as gp3
	GiB        int
	IOPS       int // 0: what its type includes
	Throughput int // MiB/s; 0: what its type includes
}

// What gp3 includes, and up to how many IOPS of io2 the price is the same.
const (
	gp3IOPS       = 3000
	gp3Throughput = 125
	io2Tier       = 32000
)

// Month is what a month of a volume costs.
func Month(region string, v Volume) (usd float64, known bool) {
	column := current().volumes[region]
	gib, known := column[v.Type]
	if !known || v.GiB <= 0 || strings.Contains(v.Type, ".") || v.Type == "snapshot" {
		return 0, false
	}
	usd = gib * float64(v.GiB)
	more := func(what string, n int) {
		if n <= 0 || !known {
			return
		}
		var each float64
		each, known = column[what]
		usd += each * float64(n)
	}
	switch v.Type {
	case "gp3":
		more("gp3.iops", v.IOPS-gp3IOPS)
		more("gp3.mibps", v.Throughput-gp3Throughput)
	case "io1", "io2":
		if v.IOPS <= 0 || v.Type == "io2" && v.IOPS > io2Tier {
			return 0, false
		}
		more(v.Type+".iops", v.IOPS)
	}
	if !known {
		return 0, false
	}
	return usd, true
}

// Snapshot is what a month of a snapshot costs that stores so many GiB.
func Snapshot(region string, gib int) (usd float64, known bool) {
	each, known := current().volumes[region]["snapshot"]
	return each * float64(gib), known
}
