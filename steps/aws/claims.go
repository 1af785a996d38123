package aws

import (
	"cmp"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/steps"
)

// Claims are the names of the images that the build makes: an account has a name
// once in a region. Whether two ways to log in lead to the same account is not
// known here, so only what is the same way to log in is compared.
func (b *EBS) Claims() (cs []steps.Claim) {
	if b.SkipCreateAMI || b.AMIName == "" {
		return nil
	}
	home, regions := b.home(), b.AMIRegions
	if b.SkipSaveBuildRegion {
		regions = slices.DeleteFunc(slices.Clone(regions), func(r string) bool { return r == home })
	} else {
		regions = slices.Concat([]string{home}, regions)
	}
	for _, region := range regions {
		cs = append(cs, imageClaim(b.cloud, b.Access, region, b.AMIName))
		for _, a := range b.Accounts {
			if owner := ownerOf(a.RoleARN); owner != "" && a.in(region) {
				there := imageClaim(b.cloud, Access{AccessKey: owner}, region, b.AMIName)
				there.What += " of the account " + owner
				there.Key += "\x00" + owner
				cs = append(cs, there)
			}
		}
	}
	return cs
}

// imageClaim is the name of an image in a region.
func imageClaim(c *Cloud, a Access, region, name string) steps.Claim {
	account := a.name() + "\x00" + a.AccessKey
	if c.o.Endpoint != "" {
		account = "" // all go to one endpoint
	}
	where := cmp.Or(region, "the region of your AWS profile")
	return steps.Claim{Field: "ami_name", What: "an image of that name in " + where, Key: strings.Join([]string{"image", account, region, name}, "\x00")}
}
