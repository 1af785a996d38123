package aws

import (
	"strings"
	"testing"
)

// What EC2 does not take for a spot instance is refused or has no effect, and what asks for
// nothing is neither.
func TestCheckCapacity(t *testing.T) {
	yes := true
	spot := func(b *EBS) { b.Price = "auto" }
	for _, c := range []struct {
		name   string
		change func(*EBS)
		want   string // the option, with ! where it is refused; "" for nothing
	}{
		{"nothing", func(b *EBS) {}, ""},
		{"off", func(b *EBS) { b.Price = "0" }, ""},
		{"off in another form", func(b *EBS) { b.Price = "0.00" }, ""},
		{"spot", spot, ""},
		{"no price", func(b *EBS) { b.Price = "cheap" }, "spot_price!"},
		{"a price that is none", func(b *EBS) { b.Price = "NaN" }, "spot_price!"},
		{"two types", func(b *EBS) { b.InstanceTypes = []string{"t3.micro"} }, "instance_types!"},
		{"spot types as well", func(b *EBS) { b.Price, b.SpotTypes = "auto", []string{"t3.micro"} }, "spot_instance_types!"},
		{"spot types alone", func(b *EBS) { b.InstanceType, b.SpotTypes = "", []string{"t3.micro"} }, "spot_instance_types!"},
		{"no type", func(b *EBS) { b.InstanceType = "" }, "instance_type!"},
		{"a type that is none", func(b *EBS) { b.InstanceType, b.InstanceTypes = "", []string{"t3.micro", "big"} }, "instance_types[1]!"},
		{"strategy", func(b *EBS) { b.Price, b.AllocationStrategy = "auto", "price-capacity-optimized" }, ""},
		{"an unknown strategy", func(b *EBS) { b.Price, b.AllocationStrategy = "auto", "luck" }, "spot_allocation_strategy!"},
		{"what only fleets know", func(b *EBS) { b.Price, b.AllocationStrategy = "auto", "capacity-optimized" }, "spot_allocation_strategy"},
		{"strategy without spot", func(b *EBS) { b.AllocationStrategy = "lowest-price" }, "spot_allocation_strategy"},
		{"tags without spot", func(b *EBS) { b.SpotTag = []KeyValue{{"a", "b"}} }, "spot_tags"},
		{"a tag of ours", func(b *EBS) { b.Price, b.SpotTag = "auto", []KeyValue{{"imgflow:run", "b"}} }, "spot_tag[0].key!"},
		{"fleet tags", func(b *EBS) { b.Price, b.FleetTags = "auto", map[string]string{"a": "b"} }, "fleet_tags"},
		{"fixed time", func(b *EBS) { b.Price, b.BlockDuration = "auto", 60 }, "block_duration_minutes"},
		{"product", func(b *EBS) { b.Price, b.PriceAutoProduct = "auto", "Linux/UNIX" }, "spot_price_auto_product"},
		{"fallback without spot", func(b *EBS) { b.OnDemand = true }, "spot_on_demand_fallback"},
		{"ena", func(b *EBS) { spot(b); b.ENASupport = &yes }, "ena_support!"},
		{"sriov", func(b *EBS) { spot(b); b.SriovSupport = true }, "sriov_support!"},
		{"stop", func(b *EBS) { spot(b); b.ShutdownBehavior = "stop" }, "shutdown_behavior"},
		{"no stop", func(b *EBS) { spot(b); b.DisableStop = true }, "disable_stop_instance"},
		{"a reservation", func(b *EBS) { spot(b); b.CapacityID = "cr-0123456789abcdef0" }, "capacity_reservation_id!"},
		{"no reservation", func(b *EBS) { spot(b); b.CapacityPreference = "none" }, ""},
		{"any reservation", func(b *EBS) { spot(b); b.CapacityPreference = "open" }, "capacity_reservation_preference"},
		{"a host", func(b *EBS) { spot(b); b.Placement.HostID = "h-0123456789abcdef0" }, "placement.host_id!"},
		{"hosts", func(b *EBS) { spot(b); b.Tenancy = "host" }, "tenancy!"},
		{"dedicated", func(b *EBS) { spot(b); b.Placement.Tenancy = "dedicated" }, ""},
		{"cores", func(b *EBS) { b.CPU.Cores, b.CPU.Threads = 1, 1 }, ""},
		{"cores alone", func(b *EBS) { b.CPU.Cores = 1 }, "cpu_options.core_count!"},
		{"threads alone", func(b *EBS) { b.CPU.Threads = 1 }, "cpu_options.threads_per_core!"},
		{"fewer than none", func(b *EBS) { b.CPU.Cores, b.CPU.Threads = -1, 1 }, "cpu_options.core_count!"},
		{"encrypted memory", func(b *EBS) { b.CPU.SevSnp = "enabled" }, ""},
		{"neither on nor off", func(b *EBS) { b.CPU.Nested = "maybe" }, "cpu_options.nested_virtualization!"},
		{"enclaves of a type that begins with t", func(b *EBS) { b.InstanceType, b.NitroEnclave = "trn1.32xlarge", true }, ""},
		{"enclaves of t4g", func(b *EBS) { b.InstanceType, b.NitroEnclave = "t4g.large", true }, "enable_nitro_enclave!"},
		{"credits of t2", func(b *EBS) { spot(b); b.UnlimitedCredits = true }, "enable_unlimited_credits!"},
		{"credits of some", func(b *EBS) {
			b.InstanceType, b.InstanceTypes, b.T2Unlimited = "", []string{"m5.large", "t3.micro"}, true
		}, ""},
		{"credits of none", func(b *EBS) {
			b.InstanceType, b.InstanceTypes, b.T2Unlimited = "", []string{"m5.large", "c5.large"}, true
		}, "enable_t2_unlimited!"},
	} {
		b := template()
		c.change(b)
		var got []string
		for _, e := range b.Check() {
			field := e.Field
			if !e.Harmless {
				field += "!"
			}
			got = append(got, field)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
