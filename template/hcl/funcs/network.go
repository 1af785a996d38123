package funcs

import (
	"fmt"
	"math/big"
	"net"

	"github.com/apparentlymart/go-cidr/cidr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"
)

func network(v cty.Value) (*net.IPNet, error) {
	_, n, err := net.ParseCIDR(v.AsString())
	if err != nil {
		return nil, function.NewArgErrorf(0, "%q is no network such as 10.0.0.0/16", v.AsString())
	}
	return n, nil
}

var prefix = function.Parameter{Name: "prefix", Type: cty.String}

var cidrHost = of(cty.String, func(a []cty.Value) (cty.Value, error) {
	n, err := network(a[0])
	if err != nil {
		return cty.NilVal, err
	}
	number, exact := a[1].AsBigFloat().Int(nil)
	if exact != big.Exact {
		return cty.NilVal, function.NewArgErrorf(1, "it is no whole number")
	}
	ip, err := cidr.HostBig(n, number)
	if err != nil {
		return cty.NilVal, fmt.Errorf("%s has no address with number %s", n, number)
	}
	return cty.StringVal(ip.String()), nil
}, prefix, function.Parameter{Name: "number", Type: cty.Number})

var cidrNetmask = of(cty.String, func(a []cty.Value) (cty.Value, error) {
	n, err := network(a[0])
	if err != nil {
		return cty.NilVal, err
	}
	if n.IP.To4() == nil {
		return cty.NilVal, function.NewArgErrorf(0, "%s is a network of IPv6, which has no netmask", n)
	}
	return cty.StringVal(net.IP(n.Mask).String()), nil
}, prefix)

var cidrSubnet = of(cty.String, func(a []cty.Value) (cty.Value, error) {
	n, err := network(a[0])
	if err != nil {
		return cty.NilVal, err
	}
	var bits int
	if err := gocty.FromCtyValue(a[1], &bits); err != nil || bits < 0 {
		return cty.NilVal, function.NewArgErrorf(1, "it is no whole number of bits")
	}
	number, exact := a[2].AsBigFloat().Int(nil)
	if exact != big.Exact || number.Sign() < 0 {
		return cty.NilVal, function.NewArgErrorf(2, "it is no whole number from 0")
	}
	if bits > 128 {
		return cty.NilVal, function.NewArgErrorf(1, "%s has no room for %d bits more", n, bits)
	}
	sub, err := cidr.SubnetBig(n, bits, number)
	if err != nil {
		return cty.NilVal, fmt.Errorf("%s has no subnet %s with %d bits more", n, number, bits)
	}
	return cty.StringVal(sub.String()), nil
}, prefix, function.Parameter{Name: "bits", Type: cty.Number}, function.Parameter{Name: "number", Type: cty.Number})

// cidrSubnets cuts a network into parts that follow each other, each with so many bits more.
var cidrSubnets = function.New(&function.Spec{
	Params:   []function.Parameter{prefix},
	VarParam: &function.Parameter{Name: "bits", Type: cty.Number},
	Type:     function.StaticReturnType(cty.List(cty.String)),
	Impl: func(a []cty.Value, _ cty.Type) (cty.Value, error) {
		whole, err := network(a[0])
		if err != nil {
			return cty.NilVal, err
		}
		first, size := whole.Mask.Size()
		var before *net.IPNet
		var parts []cty.Value
		for i, v := range a[1:] {
			var bits int
			if err := gocty.FromCtyValue(v, &bits); err != nil || bits < 1 || first+bits > size {
				return cty.NilVal, function.NewArgErrorf(i+1, "it must be a whole number of bits from 1 to %d", size-first)
			}
			var part *net.IPNet
			over := false
			if before == nil {
				part = &net.IPNet{IP: whole.IP, Mask: net.CIDRMask(first+bits, size)}
			} else {
				part, over = cidr.NextSubnet(before, first+bits)
			}
			if over || !whole.Contains(part.IP) {
				return cty.NilVal, function.NewArgErrorf(i+1, "%s has no room for this subnet behind the ones before", whole)
			}
			before = part
			parts = append(parts, cty.StringVal(part.String()))
		}
		if len(parts) == 0 {
			return cty.ListValEmpty(cty.String), nil
		}
		return cty.ListVal(parts), nil
	},
})
