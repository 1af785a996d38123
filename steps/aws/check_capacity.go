package aws

import (
	"slices"
	"strconv"
	"strings"
)

// checkTypes looks at the types of which the instance may be.
func (b *EBS) checkTypes(f *optionErrors) {
	lists := []struct {
		field string
		given bool
	}{{"instance_type", b.InstanceType != ""}, {"instance_types", len(b.InstanceTypes) > 0}, {"spot_instance_types", len(b.SpotTypes) > 0}}
	for i, l := range lists {
		for _, before := range lists[:i] {
			f.exclusive(l.field, l.given, before.field, before.given)
		}
	}
	switch {
	case !lists[0].given && !lists[1].given && !lists[2].given:
		f.Add("instance_type", "must be set, such as t3.micro")
	case len(b.SpotTypes) > 0 && !b.Spot():
		f.Add("spot_instance_types", "needs spot_price, such as auto; for an instance on demand set instance_types")
	}
	f.given("instance_type", b.InstanceType, wrongInstanceType)
	f.each("instance_types", b.InstanceTypes, wrongInstanceType)
	f.each("spot_instance_types", b.SpotTypes, wrongInstanceType)
	for _, name := range b.types(b.SpotOptions) {
		if b.NitroEnclave && (burstable(name) || strings.HasPrefix(name, "t1.")) {
			f.Add("enable_nitro_enclave", "%s has no enclaves", name)
		}
		switch {
		case !b.UnlimitedCredits && !b.T2Unlimited:
		case !burstable(name) && len(b.types(b.SpotOptions)) == 1 && name != "":
			f.Add(b.credits(), "%s has no CPU credits; only t2, t3, t3a and t4g have", name)
		case strings.HasPrefix(name, "t2.") && b.Spot():
			f.Add(b.credits(), "a spot instance of the type %s cannot have it", name)
		}
	}
	if (b.UnlimitedCredits || b.T2Unlimited) && len(b.types(b.SpotOptions)) > 1 && !slices.ContainsFunc(b.types(b.SpotOptions), burstable) {
		f.Add(b.credits(), "none of the types has CPU credits; only t2, t3, t3a and t4g have")
	}
}

// mostCores is more than any instance has.
const mostCores = 10000

func (b *EBS) checkCPU(f *optionErrors) {
	c := b.CPU
	f.oneOf("cpu_options.amd_sev_snp", c.SevSnp, "enabled", "disabled")
	f.oneOf("cpu_options.nested_virtualization", c.Nested, "enabled", "disabled")
	for _, n := range []struct {
		field string
		value int
	}{{"cpu_options.core_count", c.Cores}, {"cpu_options.threads_per_core", c.Threads}} {
		if n.value < 0 || n.value > mostCores {
			f.Add(n.field, "must be a number such as 2")
		}
	}
	switch {
	case c.Cores != 0 && c.Threads == 0:
		f.Add("cpu_options.core_count", "needs threads_per_core, too")
	case c.Threads != 0 && c.Cores == 0:
		f.Add("cpu_options.threads_per_core", "needs core_count, too")
	}
}

// credits is the option that the template has set for unlimited credits.
func (b *EBS) credits() string {
	if b.T2Unlimited {
		return "enable_t2_unlimited"
	}
	return "enable_unlimited_credits"
}

// Spot reports whether the build asks for a spot instance.
func (b *EBS) Spot() bool { return b.SpotOptions.on() }

// strategies are the names that EC2 has for ways of choosing among pools.
var strategies = []string{"lowest-price", "diversified", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}

// checkSpot looks at the options of spot instances, and at those that such an instance
// cannot have.
func (b *EBS) checkSpot(f *optionErrors) {
	f.given("spot_price", b.Price, wrongSpotPrice)
	f.oneOf("spot_allocation_strategy", b.AllocationStrategy, strategies...)
	if b.BlockDuration != 0 {
		f.Idle("block_duration_minutes", "EC2 has no spot instances for a fixed time any more")
	}
	if b.PriceAutoProduct != "" {
		f.Idle("spot_price_auto_product", "auto is the price on demand of what is launched")
	}
	if len(b.FleetTags)+len(b.FleetTag) > 0 {
		f.Idle("fleet_tags", "no fleet is made: each type is asked for by itself")
	}
	if !b.Spot() {
		if len(b.SpotTags)+len(b.SpotTag) > 0 {
			f.Idle("spot_tags", "no spot instance is asked for")
		}
		if b.AllocationStrategy != "" {
			f.Idle("spot_allocation_strategy", "no spot instance is asked for")
		}
		if b.OnDemand {
			f.Idle("spot_on_demand_fallback", "no spot instance is asked for")
		}
		return
	}
	switch b.AllocationStrategy {
	case "capacity-optimized", "diversified":
		f.Idle("spot_allocation_strategy", "EC2 tells only fleets how much room it has: types are tried in the order in which they are given")
	}
	f.tags("spot_tags", b.SpotTags)
	f.tagBlocks("spot_tag", b.SpotTag)
	f.tooMany("spot_tags", "the request for a spot instance", withBlocks(b.SpotTags, b.SpotTag))
	if b.ENASupport != nil {
		f.Add("ena_support", "cannot be set for a spot instance: it has to be stopped for that, and EC2 stops none")
	}
	if b.SriovSupport {
		f.Add("sriov_support", "cannot be set for a spot instance: it has to be stopped for that, and EC2 stops none")
	}
	if b.ShutdownBehavior == "stop" {
		f.Idle("shutdown_behavior", "a spot instance that shuts itself down is terminated")
	}
	if b.DisableStop {
		f.Doubt("disable_stop_instance", "a spot instance is never stopped, and one that shuts itself down is terminated, and has no image")
	}
	for _, r := range []struct{ field, value string }{{"capacity_reservation_id", b.CapacityID}, {"capacity_reservation_group_arn", b.CapacityGroupARN}} {
		if r.value != "" {
			f.Add(r.field, "cannot be used by a spot instance: reservations are for instances on demand")
		}
	}
	switch b.CapacityPreference {
	case "open":
		f.Idle("capacity_reservation_preference", "a spot instance uses no reservation")
	case "capacity-reservations-only":
		f.Add("capacity_reservation_preference", "cannot be used by a spot instance: reservations are for instances on demand")
	}
	for field, tenancy := range map[string]string{"tenancy": b.Tenancy, "placement.tenancy": b.Placement.Tenancy} {
		if tenancy == "host" {
			f.Add(field, "cannot be host for a spot instance: EC2 puts none on dedicated hosts")
		}
	}
	for _, r := range []struct{ field, value string }{{"placement.host_id", b.Placement.HostID}, {"placement.host_resource_group_arn", b.Placement.HostResourceGroupARN}} {
		if r.value != "" {
			f.Add(r.field, "cannot be used by a spot instance: EC2 puts none on dedicated hosts")
		}
	}
}

// wrongSpotPrice is the rule for the most to pay for an hour.
func wrongSpotPrice(text string) string {
	if n, err := strconv.ParseFloat(text, 64); text == "auto" || err == nil && n >= 0 && n < 1e6 {
		return ""
	}
	return shown(text) + " is neither auto nor a price such as 0.05"
}
