package aws

import (
	"math"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// Prices are those of the product that the image is; nonsense of an endpoint is no price.
func TestSpotPrices(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := func(platform string) PricedPools {
		return must(SpotPrices{Place: here, Types: []string{"m5.large", "t2.micro"}, Source: dag.Lit(SourceImage{Platform: platform})}.Do(t.Context(), w.cloud, task("p")))
	}
	linux, windows := of(""), of("windows")
	if got := linux.price("m5.large", "us-east-1b"); got != 0.022 {
		t.Errorf("m5.large costs %v", got)
	}
	if got := linux.price("m5.large", ""); got != 0.02 {
		t.Errorf("m5.large costs %v somewhere", got)
	}
	if a, b := linux.price("m5.large", ""), windows.price("m5.large", ""); a >= b {
		t.Errorf("with Windows it costs %v, and %v without", b, a)
	}
	if got := linux.price("m5.metal", ""); !math.IsInf(got, 1) {
		t.Errorf("what is not known costs %v", got)
	}
	refused(t, w, "DescribeSpotPriceHistory", SpotPrices{Place: here, Types: []string{"t2.micro"}, Source: dag.Lit(SourceImage{})}, "cannot look up the prices of spot instances: ")
}
