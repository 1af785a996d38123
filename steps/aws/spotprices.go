package aws

import (
	"context"
	"math"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// SpotPrices looks up what spot instances cost now. It is a step of its own, so that the
// tries of a launch come in one order, however often it is repeated.
type SpotPrices struct {
	Place
	Types  []string             `json:"types"`
	Source dag.Out[SourceImage] `json:"source"`
}

// PricedPools are prices of spot instances, in US dollars an hour.
type PricedPools struct {
	Prices []SpotPrice `json:"prices,omitempty"`
}

// SpotPrice is the price of a type in a zone.
type SpotPrice struct {
	Type string  `json:"type"`
	Zone string  `json:"zone"`
	USD  float64 `json:"usd"`
}

func (SpotPrices) Kind() string  { return "aws.spot-prices" }
func (SpotPrices) Title() string { return "look up the prices of spot instances" }

// Do asks for the prices of this moment.
func (s SpotPrices) Do(ctx context.Context, c *Cloud, t *dag.Task) (PricedPools, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return PricedPools{}, err
	}
	product := "Linux/UNIX"
	if s.Source.Value().Platform == "windows" {
		product = "Windows"
	}
	in := &ec2.DescribeSpotPriceHistoryInput{ProductDescriptions: []string{product}, StartTime: ptr(at.clock.now())}
	for _, name := range s.Types {
		in.InstanceTypes = append(in.InstanceTypes, types.InstanceType(name))
	}
	var found PricedPools
	const mostPages = 10 // of a thousand prices each: more than there are pools
	for range mostPages {
		out, err := at.api.DescribeSpotPriceHistory(ctx, in)
		if err != nil {
			return PricedPools{}, wrapAPI("look up the prices of spot instances", "DescribeSpotPriceHistory", old, err)
		}
		for _, p := range out.SpotPriceHistory {
			if usd, err := strconv.ParseFloat(text(p.SpotPrice), 64); err == nil && usd > 0 && !math.IsInf(usd, 0) {
				found.Prices = append(found.Prices, SpotPrice{string(p.InstanceType), text(p.AvailabilityZone), usd})
			}
		}
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			break
		}
	}
	return found, nil
}

// price is that of a type in a zone, or where the zone is "", in the cheapest one. What
// nobody knows comes last.
func (p PricedPools) price(instanceType, zone string) float64 {
	least := math.Inf(1)
	for _, x := range p.Prices {
		if x.Type == instanceType && (zone == "" || x.Zone == zone) {
			least = min(least, x.USD)
		}
	}
	return least
}
