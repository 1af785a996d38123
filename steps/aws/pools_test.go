package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// asked notes the pools that launches ask for, as the endpoint decodes them.
func (w *world) asked() *[]string {
	tried := &[]string{}
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "RunInstances" {
			market := form.Get("InstanceMarketOptions.MarketType")
			if price := form.Get("InstanceMarketOptions.SpotOptions.MaxPrice"); price != "" {
				market += " " + price
			}
			*tried = append(*tried, strings.TrimSpace(form.Get("InstanceType")+" "+form.Get("Placement.AvailabilityZone")+" "+market))
		}
		return false
	})
	return tried
}

// Types are tried in order where there is no room for those before, on demand last and
// only if the template says so; what is launched is one instance, of which the image is made.
func TestPoolsInOrder(t *testing.T) {
	for _, c := range []struct {
		name   string
		full   string
		change func(*EBS)
		tried  string
		fails  string
	}{
		{"the next type", "t2.micro", func(b *EBS) { b.InstanceType, b.InstanceTypes = "", []string{"t2.micro", "m5.large", "t2.small"} },
			"t2.micro, m5.large", ""},
		{"a spot instance", "", func(b *EBS) { b.Price = "auto" }, "t2.micro  spot", ""},
		{"a price", "", func(b *EBS) { b.Price = "0.5" }, "t2.micro  spot 0.5", ""},
		{"too low a price", "", func(b *EBS) { b.Price = "0.000001" }, "t2.micro  spot 0.000001", "raise spot_price"},
		{"spot types", "spot@us-east-1a", func(b *EBS) {
			b.Price, b.InstanceType, b.SpotTypes, b.AvailabilityZone = "auto", "", []string{"t2.micro", "m5.large"}, "us-east-1a"
		}, "t2.micro us-east-1a spot, m5.large us-east-1a spot", "InsufficientInstanceCapacity"},
		{"on demand as the last", "spot", func(b *EBS) {
			b.Price, b.InstanceType, b.SpotTypes, b.OnDemand = "auto", "", []string{"t2.micro", "m5.large"}, true
		}, "t2.micro  spot, m5.large  spot, t2.micro", ""},
		{"the cheapest first", "", func(b *EBS) {
			b.Price, b.InstanceType, b.SpotTypes, b.AllocationStrategy = "auto", "", []string{"m5.xlarge", "m5.large"}, "lowest-price"
		}, "m5.large  spot", ""},
		{"off", "", func(b *EBS) { b.Price = "0.00" }, "t2.micro", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, ec2local.Faults{Full: c.full})
			tried := w.asked()
			b := template()
			c.change(b)
			b.cloud = w.cloud
			if err := b.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Check() {
				if !e.Harmless {
					t.Fatal(e)
				}
			}
			if c.fails != "" {
				l := Launch{Place: here, MachineOptions: b.MachineOptions, Spot: b.SpotOptions, Network: dag.Lit(Network{Zone: b.AvailabilityZone}),
					Source: dag.Lit(must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("s"))))}
				if _, err := l.Do(t.Context(), w.cloud, task("t1")); err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v, want %q", err, c.fails)
				}
			} else {
				w.build(&dag.MemStore{}, w.graph(b))
				w.only(1)
			}
			if got := strings.Join(*tried, ", "); got != c.tried {
				t.Errorf("tried %q, want %q", got, c.tried)
			}
		})
	}
}

// Every subnet of a filter is tried with a type before the next type is.
func TestPools(t *testing.T) {
	l := Launch{MachineOptions: MachineOptions{InstanceTypes: []string{"a.b", "c.d"}}, Spot: SpotOptions{Price: "auto", OnDemand: true},
		Network: dag.Lit(Network{Subnets: []Subnet{{ID: "subnet-1", Zone: "z1"}, {ID: "subnet-2", Zone: "z2"}}})}
	show := func() (names []string) {
		for _, p := range l.pools() {
			names = append(names, p.name()+p.where())
		}
		return names
	}
	want := []string{"a.b (spot) in subnet-1", "a.b (spot) in subnet-2", "c.d (spot) in subnet-1", "c.d (spot) in subnet-2",
		"a.b in subnet-1", "a.b in subnet-2", "c.d in subnet-1", "c.d in subnet-2"}
	if got := show(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	l.Prices = dag.Lit(PricedPools{[]SpotPrice{{"c.d", "z2", 1}, {"a.b", "z1", 3}, {"a.b", "z2", 2}}})
	want = slices.Concat([]string{want[3], want[1], want[0], want[2]}, want[4:]) // that of which no price is known comes last
	if got := show(); !slices.Equal(got, want) {
		t.Errorf("by price: %q", got)
	}
}

// A launch whose process dies in any of its tries has one instance in the end: what goes on
// repeats that try, with its token, whether or not the call has had an effect.
func TestDeathInEachTry(t *testing.T) {
	types := []string{"t2.micro", "t2.small", "m5.large"}
	for at := range types {
		for _, served := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s served %v", types[at], served), func(t *testing.T) {
				w := newWorld(t, ec2local.Faults{Full: strings.Join(types[:at], "+")})
				l := Launch{Place: here, MachineOptions: MachineOptions{InstanceTypes: types}, Network: dag.Lit(Network{}),
					Source: dag.Lit(must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("s"))))}
				saved := map[string]json.RawMessage{}
				save := func(name string, v json.RawMessage) error { saved[name] = v; return nil }
				ctx, die := context.WithCancel(t.Context())
				w.front.setCut(func(action string, n int) cut {
					if action != "RunInstances" || n <= at {
						return nil
					}
					return func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
						if served {
							answered(serve)
						}
						die()
					}
				})
				if _, err := l.Do(ctx, w.cloud, task("t1").Keep(nil, save)); err == nil {
					t.Fatal("it lived")
				}
				w.front.setCut(nil)
				tried := w.asked()
				if _, err := l.Do(t.Context(), w.cloud, task("t1").Keep(saved, save)); err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(*tried, ", "); got != types[at] {
					t.Errorf("went on with %q, want %s", got, types[at])
				}
				if all, err := w.site().describeInstances(t.Context()); err != nil || len(all) != 1 {
					t.Errorf("%d instances, %v", len(all), err)
				}
			})
		}
	}
}

// What the processors are to be, and the licences, reach a spot instance as any other.
func TestHardwareReachesSpot(t *testing.T) {
	const arn = "arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-0123"
	for _, price := range []string{"", "auto"} {
		w := newWorld(t, ec2local.Faults{})
		b := template()
		b.Price, b.InstanceType, b.CPU, b.Placement.Tenancy = price, "m5.xlarge", CPUOptions{Cores: 1, Threads: 1, Nested: "enabled"}, "dedicated"
		b.Licenses = []License{{Request: LicenseRequest{ARN: arn}}}
		w.build(&dag.MemStore{}, w.graph(b))
		all := must(w.site().describeInstances(t.Context()))
		if len(all) != 1 {
			t.Fatalf("%d instances", len(all))
		}
		i := all[0]
		if *i.CpuOptions.CoreCount != 1 || *i.CpuOptions.ThreadsPerCore != 1 || i.CpuOptions.NestedVirtualization != "enabled" || i.CpuOptions.AmdSevSnp != "" {
			t.Errorf("%+v", i.CpuOptions)
		}
		if i.Placement.Tenancy != "dedicated" || len(i.Licenses) != 1 || text(i.Licenses[0].LicenseConfigurationArn) != arn || (i.InstanceLifecycle == "spot") != (price != "") {
			t.Errorf("%+v, %+v, %s", i.Placement, i.Licenses, i.InstanceLifecycle)
		}
	}
}

// The tags of a spot instance's request are those of the template, and ours.
func TestSpotTags(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var form url.Values
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, f url.Values) bool {
		if action == "RunInstances" {
			form = f
		}
		return false
	})
	b := template()
	b.Price, b.SpotTags, b.SpotTag, b.ShutdownBehavior = "auto", map[dag.Text]dag.Text{"base": parsed("{{ .SourceAMI }}")}, []KeyValue{{Key: "team", Value: "x"}}, "terminate"
	w.build(&dag.MemStore{}, w.graph(b))
	tags := map[string]string{}
	for i := 1; form.Get(tagKey(i, 0, "ResourceType")) != ""; i++ {
		for j := 1; form.Get(tagKey(i, 0, "ResourceType")) == "spot-instances-request" && form.Get(tagKey(i, j, "Key")) != ""; j++ {
			tags[form.Get(tagKey(i, j, "Key"))] = form.Get(tagKey(i, j, "Value"))
		}
	}
	if !strings.HasPrefix(tags["base"], "ami-") || tags["team"] != "x" || tags[TagRun] == "" {
		t.Errorf("%v", tags)
	}
	if form.Get("InstanceInitiatedShutdownBehavior") != "terminate" || form.Get("InstanceMarketOptions.SpotOptions.SpotInstanceType") != "one-time" {
		t.Errorf("%v", form)
	}
	if w.front.count("StopInstances") > 0 {
		t.Error("a spot instance was stopped")
	}
}
