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
	account := b.Access.name() + "\x00" + b.Access.AccessKey
	if b.cloud.o.Endpoint != "" {
		account = "" // all go to one endpoint
	}
	home := cmp.Or(b.place.Region, b.Access.Region, environ(b.cloud.o.Getenv).region())
	for _, region := range slices.Concat([]string{home}, b.AMIRegions) {
		where := cmp.Or(region, "the region of your AWS profile")
		cs = append(cs, steps.Claim{Field: "ami_name", What: "an image of that name in " + where,
			Key: strings.Join([]string{"image", account, region, b.AMIName}, "\x00")})
	}
	return cs
}
