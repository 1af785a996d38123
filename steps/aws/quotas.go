package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/prices"
)

// A vcpuQuota is one of how many vCPUs instances of some families may have at once in a region.
type vcpuQuota struct {
	of       string   // in words
	families []string // what the names of their families have before the first digit; none: all others
	onDemand string   // codes of Service Quotas
	spot     string   // "" where there are no spot instances
}

// vcpuQuotas are those of EC2, as Service Quotas listed them in November 2026. The other quotas of a
// build (images, snapshots, groups, key pairs) are thousands of times what it needs, and how many
// snapshots are copied at once is waited for.
var vcpuQuotas = []vcpuQuota{
	{"G and VT", []string{"g", "gr", "vt"}, "L-DB2E81BA", "L-3819A6DF"},
	{"P", []string{"p"}, "L-417A185B", "L-7212CCBC"},
	{"F", []string{"f"}, "L-74FC7D96", "L-88CF9481"},
	{"Inf", []string{"inf"}, "L-1945791B", "L-B5D1601B"},
	{"Trn", []string{"trn"}, "L-2C3B7624", "L-6B0D517C"},
	{"DL", []string{"dl"}, "L-6E869C2A", "L-85EED4F7"},
	{"X", []string{"x"}, "L-7295265B", "L-E3A00192"},
	{"High Memory", []string{"u", "u-"}, "L-43DA4232", ""},
	{"HPC", []string{"hpc"}, "L-F7808C92", ""},
	{"Standard", nil, "L-1216C47A", "L-34B43A08"},
}

// quotaOf is the quota of a type on demand, or of its spot instances; "" for none.
func quotaOf(instanceType string, spot bool) (code, of string) {
	first := instanceType[:len(instanceType)-len(strings.TrimLeft(instanceType, "abcdefghijklmnopqrstuvwxyz-"))]
	if first == "mac" || first == "" { // Macs are hosts
		return "", ""
	}
	i := slices.IndexFunc(vcpuQuotas, func(q vcpuQuota) bool { return q.families == nil || slices.Contains(q.families, first) })
	if spot {
		return vcpuQuotas[i].spot, "spot instances of the families " + vcpuQuotas[i].of
	}
	return vcpuQuotas[i].onDemand, "instances of the families " + vcpuQuotas[i].of
}

// A demand is what builds need of a quota at once.
type demand struct {
	of      string
	builds  map[string]int // the vCPUs of each build's machine, the largest that may be launched
	unknown string         // a type of which they are not known
}

// all are the vCPUs of all builds, and most those of the build that needs most.
func (d *demand) all() (all, most int, heavy string) {
	for _, b := range slices.Sorted(maps.Keys(d.builds)) {
		n := d.builds[b]
		if all += n; n > most {
			most, heavy = n, b
		}
	}
	return all, most, heavy
}

// quotasNeeded are the quotas of each place that launches among steps can hit. The machine of a build's
// test is launched when its own is at rest, or nearly, so a build counts once.
func quotasNeeded(nodes []dag.Node) map[Place]map[string]*demand {
	need := map[Place]map[string]*demand{}
	for _, n := range nodes {
		if n.Kind != (Launch{}).Kind() {
			continue
		}
		s := settings[Launch](n)
		if s.Placement.Tenancy == "host" || s.Tenancy == "host" {
			continue // it takes the room of a host
		}
		for _, spot := range []bool{true, false} {
			if spot != s.Spot.on() && (spot || !s.Spot.OnDemand) {
				continue
			}
			for _, name := range s.types(s.Spot) {
				code, of := quotaOf(name, spot)
				if code == "" {
					continue
				}
				if need[s.Place] == nil {
					need[s.Place] = map[string]*demand{}
				}
				d := need[s.Place][code]
				if d == nil {
					d = &demand{of: of, builds: map[string]int{}}
					need[s.Place][code] = d
				}
				vcpus, known := prices.VCPUs(name)
				if !known {
					d.unknown = name
				}
				for _, b := range n.Builds {
					d.builds[b] = max(d.builds[b], vcpus)
				}
			}
		}
	}
	return need
}

// quotaReply is what Service Quotas says of a quota.
type quotaReply struct{ Quota struct{ Value float64 } }

// askQuota finds out whether a quota is enough for what launches need at once. Nothing but this asks
// for it, so whoever may not is not told of a fault.
func (c *Cloud) askQuota(ctx context.Context, p Place, code string, d *demand) Finding {
	f := Finding{Status: "unknown", Region: p.Region, What: "quota " + code}
	ask := map[string]string{"ServiceCode": "ec2", "QuotaCode": code}
	var out quotaReply
	err := c.callJSON(ctx, p, serviceQuotas, "GetServiceQuota", ask, &out)
	if said, _ := apiError(err); said == "NoSuchResourceException" { // the account has AWS's value
		err = c.callJSON(ctx, p, serviceQuotas, "GetAWSDefaultServiceQuota", ask, &out)
	}
	said, _ := apiError(err)
	all, most, heavy := d.all()
	switch n := int(out.Quota.Value); {
	case lacksPermission(said):
		f.Why = "not asked: the credentials lack servicequotas:GetServiceQuota or servicequotas:GetAWSDefaultServiceQuota, which nothing else needs"
	case err != nil:
		f.Why = "not asked: " + clip(innermost(err), 200)
	case most > n:
		f.Status, f.Why = "wrong", fmt.Sprintf("%s needs %d vCPUs of %s, and the account may have %d: have the quota raised, or choose a smaller type", heavy, most, d.of, n)
	case all > n:
		f.Status, f.Why = "wrong", fmt.Sprintf("the builds together need %d vCPUs of %s, and the account may have %d: have the quota raised, or build fewer at once with -parallel-builds", all, d.of, n)
	case d.unknown != "":
		f.Why = fmt.Sprintf("the account may have %d vCPUs of %s, and how many %s has is not known", n, d.of, d.unknown)
	default:
		f.Status, f.Why = "ok", fmt.Sprintf("%d of %d vCPUs of %s, if nothing else runs there", all, n, d.of)
	}
	return f
}

// askQuotas are the looks at quotas that launches among the steps can hit.
func (c *Cloud) askQuotas(ctx context.Context, nodes []dag.Node, do func(builds []string, ask func() Finding)) {
	for p, quotas := range quotasNeeded(nodes) {
		for code, d := range quotas {
			do(slices.Sorted(maps.Keys(d.builds)), func() Finding { return c.askQuota(ctx, p, code, d) })
		}
	}
}
