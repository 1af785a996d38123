package prices

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// The figures are worked out by hand from table.txt.
func TestHour(t *testing.T) {
	for _, c := range []struct {
		region, of, system string
		usd                float64 // 0: not known
	}{
		{"us-east-1", "t3.micro", Linux, .0104},
		{"us-east-1", "t2.nano", Linux, .0058},
		{"eu-west-1", "m5.large", Linux, .107},
		{"eu-central-1", "c5.9xlarge", Linux, 1.746}, // .097 × 18
		{"ap-south-1", "m7g.medium", Linux, .0291625},
		{"us-east-1", "m5.large", Windows, .188},     // .096 + 2 × .046
		{"us-east-1", "m5.xlarge", Windows, .376},    // as AWS lists it
		{"us-east-1", "r5.12xlarge", Windows, 5.232}, // .126 × 24 + 48 × .046
		{"us-east-1", "t2.micro", Windows, .0162},    // as AWS lists it
		{"eu-west-1", "t3.medium", Windows, .064},    // as AWS bills it

		{"sa-east-1", "m5.large", Linux, 0},    // no price, and none of another region
		{"us-east-9", "m5.large", Linux, 0},    // no such region
		{"us-east-1", "m99.large", Linux, 0},   // no such family
		{"us-east-1", "m5.metal", Linux, 0},    // priced on its own
		{"us-east-1", "m5.0xlarge", Linux, 0},  // no such size
		{"us-east-1", "m5.-2xlarge", Linux, 0}, //
		{"us-east-1", "m5", Linux, 0},          //
		{"us-east-1", "", Linux, 0},            //
		{"us-east-1", "t3.large", Windows, 0},  // a licence that follows no rule
		{"us-east-1", "m7g.large", Windows, 0}, // there is none
		{"us-east-1", "m5.large", "", 0},       // nobody knows what runs there
		{"us-east-1", "m5.large", "SUSE Linux", 0},
		{"us-gov-west-1", "t3.micro", Linux, 0},
		{"", "t3.micro", Linux, 0},
		{"me-south-1", "m7i.large", Linux, 0}, // a dash
	} {
		usd, known := Hour(c.region, c.of, c.system)
		if known != (c.usd > 0) || known && !near(usd, c.usd) {
			t.Errorf("%s in %s with %s: %v, %v; want %v", c.of, c.region, c.system, usd, known, c.usd)
		}
	}
}

func TestMonth(t *testing.T) {
	for _, c := range []struct {
		region string
		v      Volume
		usd    float64
	}{
		{"us-east-1", Volume{Type: "gp3", GiB: 100}, 8},
		{"us-east-1", Volume{Type: "gp3", GiB: 100, IOPS: 3000, Throughput: 125}, 8},
		{"us-east-1", Volume{Type: "gp3", GiB: 100, IOPS: 4000, Throughput: 225}, 17}, // 8 + 1000 × .005 + 100 × .04
		{"eu-central-1", Volume{Type: "gp2", GiB: 8}, .952},
		{"sa-east-1", Volume{Type: "st1", GiB: 500}, 43},
		{"us-west-1", Volume{Type: "io1", GiB: 10, IOPS: 500}, 37.38}, // 1.38 + 36
		{"us-east-1", Volume{Type: "io2", GiB: 10, IOPS: 32000}, 2081.25},
		{"us-east-1", Volume{Type: "standard", GiB: 8}, .4},

		{"us-east-1", Volume{Type: "io2", GiB: 10, IOPS: 32001}, 0},     // the next ones cost less
		{"us-east-1", Volume{Type: "io1", GiB: 10}, 0},                  // without its IOPS
		{"eu-west-1", Volume{Type: "io2", GiB: 10, IOPS: 100}, 0},       // a dash
		{"eu-west-1", Volume{Type: "gp3", GiB: 10, Throughput: 126}, 0}, // a dash
		{"me-central-1", Volume{Type: "gp3", GiB: 10}, 0},               // no row
		{"us-east-1", Volume{Type: "gp3"}, 0},                           // no size
		{"us-east-1", Volume{Type: "", GiB: 8}, 0},                      //
		{"us-east-1", Volume{Type: "snapshot", GiB: 8}, 0},              // no types
		{"us-east-1", Volume{Type: "gp3.iops", GiB: 8}, 0},              //
	} {
		usd, known := Month(c.region, c.v)
		if known != (c.usd > 0) || known && !near(usd, c.usd) {
			t.Errorf("%+v in %s: %v, %v; want %v", c.v, c.region, usd, known, c.usd)
		}
	}
}

func TestSnapshot(t *testing.T) {
	if usd, known := Snapshot("eu-central-1", 8); !known || !near(usd, .432) {
		t.Errorf("%v, %v", usd, known)
	}
	if usd, known := Snapshot("eu-north-1", 8); known {
		t.Errorf("a price that is not in the table: %v", usd)
	}
}

// The table says of which day it is, has all regions in order, and nothing twice.
func TestTable(t *testing.T) {
	table, err := parse(source)
	if err != nil {
		t.Fatal(err)
	}
	if day, err := time.Parse(time.DateOnly, Date()); err != nil || day.Year() < 2026 {
		t.Errorf("the prices are of %q: %v", Date(), err)
	}
	if len(table.instances) < 20 || len(table.volumes) < 20 || len(table.windows) < 2 {
		t.Errorf("%d regions with instances, %d with volumes, %d prices of Windows", len(table.instances), len(table.volumes), len(table.windows))
	}
	if n := len(source); n > 60_000 {
		t.Errorf("the table has %d bytes", n)
	}
	var rows []string
	for _, line := range append(strings.Split(source, "\n"), "") {
		f := strings.Fields(line)
		if len(f) == 0 {
			if !slices.IsSorted(rows) {
				t.Errorf("out of order: %v", rows)
			}
			rows = nil
		} else if strings.Count(f[0], "-") == 2 {
			rows = append(rows, f[0])
		}
	}
	for region, prices := range table.volumes {
		if prices["gp3"] >= prices["gp2"] || prices["sc1"] >= prices["st1"] || prices["snapshot"] >= prices["gp3"] {
			t.Errorf("the prices of volumes in %s cannot be right: %v", region, prices)
		}
	}
	for region, prices := range table.instances {
		for family, usd := range prices {
			if east := table.instances["us-east-1"][family]; usd < east/2 || usd > 2*east {
				t.Errorf("%s costs %v in %s, and %v in us-east-1", family, usd, region, east)
			}
		}
	}
}

func TestABadTableIsRefused(t *testing.T) {
	const head = "date 2026-11-30\ninstance t3 m5\n"
	for text, want := range map[string]string{
		"":                                      "no date",
		"date soon":                             "line 1",
		head + "us-east-1 .1":                   "line 3: us-east-1 has 1 prices for 2 columns",
		head + "us-east-1 .1 0":                 `"0" is no price`,
		head + "us-east-1 .1 -1":                `"-1" is no price`,
		head + "us-east-1 .1 NaN":               `"NaN" is no price`,
		head + "us-east-1 .1 .2\nus-east-1 - -": "us-east-1 is there twice",
		"date 2026-11-30\ninstance t3 t3\nus-east-1 .1 .2\n": "t3 is there twice",
		"date 2026-11-30\nwindows\nvcpu .1\nvcpu .1":         "vcpu is there twice",
		"date 2026-11-30\nelsewhere .1":                      "what is it?",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestVCPUs(t *testing.T) {
	for name, want := range map[string]int{
		"t2.micro": 1, "t2.medium": 2, "t3.nano": 2, "t4g.small": 2, "m7g.medium": 1, "m5.large": 2, "g4dn.xlarge": 4, "c5.9xlarge": 36, "c4.8xlarge": 36, "m5.24xlarge": 96, "trn1.32xlarge": 128,
		"m5.metal": 0, "hpc6a.48xlarge": 0, "u-6tb1.56xlarge": 0, "m5": 0, "": 0,
	} {
		if n, known := VCPUs(name); n != want || known != (want > 0) {
			t.Errorf("%s: %d, %v; want %d", name, n, known, want)
		}
	}
}
