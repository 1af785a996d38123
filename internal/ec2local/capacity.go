package ec2local

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// hasRoom refuses a launch for which there is no room, or which pays too little.
func (c *call) hasRoom(i *instance, market *marketRequest) error {
	if i.Spot && market.SpotOptions != nil && market.SpotOptions.MaxPrice != "" {
		most, err := strconv.ParseFloat(market.SpotOptions.MaxPrice, 64)
		if err != nil || most <= 0 {
			return invalid("Value (%s) for parameter price is invalid. \"%s\" is an invalid spot instance price", market.SpotOptions.MaxPrice, market.SpotOptions.MaxPrice)
		}
		if least := spotPrice(typeNamed(i.Type), i.Zone, "Linux/UNIX"); most < least {
			return fail("SpotMaxPriceTooLow", "Your Spot request price of %s is lower than the minimum required Spot request fulfillment price of %s.", market.SpotOptions.MaxPrice, usd(least))
		}
	}
	if c.s.injector.full(i) {
		return fail("InsufficientInstanceCapacity", "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.", i.Type, i.Zone)
	}
	return nil
}

// reserve looks at the capacity reservation that a launch names: there are none here.
func (i *instance) reserve(q *runRequest) error {
	r := q.CapacityReservationSpecification
	if r == nil {
		return nil
	}
	if t := r.CapacityReservationTarget; t != nil {
		switch {
		case r.CapacityReservationPreference != "":
			return fail("InvalidParameterCombination", "You cannot specify both a capacity reservation preference and a capacity reservation target.")
		case t.CapacityReservationId != "":
			return fail("InvalidCapacityReservationId.NotFound", "The capacity reservation '%s' was not found.", t.CapacityReservationId)
		}
		return invalid("Value (%s) for parameter capacityReservationResourceGroupArn is invalid. The resource group does not exist.", t.CapacityReservationResourceGroupArn)
	}
	if p := r.CapacityReservationPreference; p != "" {
		i.Reserved = p
	}
	return nil
}

// processors are what an instance of the type has unless it is launched with fewer.
func (t *instanceType) processors() cpuOptions {
	return cpuOptions{Cores: max(1, t.cpus/2), Threads: min(2, t.cpus)}
}

// processors looks at the CPU options of a launch.
func (i *instance) processors(q *cpuRequest, t *instanceType) error {
	if q == nil {
		return nil
	}
	i.CPU = t.processors()
	switch most := i.CPU; {
	case t.has("burst") && t.has("xen"):
		return fail("InvalidParameterCombination", "The instance type %s does not support specifying CPU options.", t.name)
	case (q.CoreCount == nil) != (q.ThreadsPerCore == nil):
		return fail("InvalidParameterCombination", "CoreCount and ThreadsPerCore must be specified together.")
	case q.CoreCount == nil:
	case *q.CoreCount < 1 || *q.CoreCount > most.Cores:
		return invalid("CoreCount value must be from 1 to %d for %s.", most.Cores, t.name)
	case *q.ThreadsPerCore < 1 || *q.ThreadsPerCore > most.Threads:
		return invalid("ThreadsPerCore value must be from 1 to %d for %s.", most.Threads, t.name)
	default:
		i.CPU.Cores, i.CPU.Threads = *q.CoreCount, *q.ThreadsPerCore
	}
	i.CPU.SevSnp, i.CPU.Nested = q.AmdSevSnp, q.NestedVirtualization
	return nil
}

// spotPrice is what an hour of a type costs as a spot instance, in US dollars: the same
// every day, and a little more in each further zone.
func spotPrice(t *instanceType, zone, product string) float64 {
	price := 0.01 * float64(t.cpus) * (1 + 0.1*float64(zone[len(zone)-1]-'a'))
	if product == "Windows" {
		price *= 2
	}
	return math.Round(price*1e6) / 1e6 // as it is told
}

// usd is a price as EC2 writes it.
func usd(price float64) string { return fmt.Sprintf("%.6f", price) }

type describeSpotPricesRequest struct {
	pageRequest
	InstanceTypes, ProductDescriptions []string
	AvailabilityZone                   string
	StartTime, EndTime                 time.Time
	Filters                            []filter
}

type spotPriceItem struct {
	Type    string `xml:"instanceType"`
	Product string `xml:"productDescription"`
	Price   string `xml:"spotPrice"`
	At      string `xml:"timestamp"`
	Zone    string `xml:"availabilityZone"`
}

type describeSpotPricesResponse struct {
	Prices set[spotPriceItem] `xml:"spotPriceHistorySet"`
	pageResponse
}

var spotPriceFilters = filters[spotPriceItem]{
	"availability-zone":   func(c *call, p *spotPriceItem) []string { return one(p.Zone) },
	"instance-type":       func(c *call, p *spotPriceItem) []string { return one(p.Type) },
	"product-description": func(c *call, p *spotPriceItem) []string { return one(p.Product) },
	"spot-price":          func(c *call, p *spotPriceItem) []string { return one(p.Price) },
}

// describeSpotPrices tells today's prices, whatever time is asked for: they never change.
func describeSpotPrices(c *call, q *describeSpotPricesRequest) (*describeSpotPricesResponse, error) {
	for _, name := range q.InstanceTypes {
		if typeNamed(name) == nil {
			return nil, invalid("Invalid value '%s' for InstanceType.", name)
		}
	}
	var list []*spotPriceItem
	at := stamp(c.now.Truncate(24 * time.Hour))
	for _, t := range allTypes() {
		if len(q.InstanceTypes) > 0 && !slices.Contains(q.InstanceTypes, t.name) {
			continue
		}
		for _, z := range zones(c.region) {
			for _, product := range []string{"Linux/UNIX", "Windows"} {
				if (q.AvailabilityZone == "" || q.AvailabilityZone == z.Name) && (len(q.ProductDescriptions) == 0 || slices.Contains(q.ProductDescriptions, product)) {
					list = append(list, &spotPriceItem{t.name, product, usd(spotPrice(t, z.Name, product)), at, z.Name})
				}
			}
		}
	}
	list, err := spotPriceFilters.plain().apply(c, q.Filters, list)
	if err != nil {
		return nil, err
	}
	r := &describeSpotPricesResponse{}
	if list, r.NextToken, err = page(list, q.pageRequest, 1, 1000); err != nil {
		return nil, err
	}
	for _, p := range list {
		r.Prices.Items = append(r.Prices.Items, *p)
	}
	return r, nil
}
