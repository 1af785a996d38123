package ec2local

import (
	"slices"
	"strings"
)

// describe checks what a request gives as the description of an image or a
// snapshot.
func describe(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
		return invalid("Value (%s) for parameter Description is invalid. Character sets beyond ASCII are not supported.", text)
	}
	if len(text) > 255 {
		return invalid("Value for parameter Description is invalid. It must not be longer than 255 characters.")
	}
	return nil
}

var (
	organization = patternOf(`^arn:aws[a-z-]*:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}$`)
	unit         = patternOf(`^arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$`)
	productCode  = patternOf(`^[a-zA-Z0-9]+$`)
)

// noSuchItem refuses a value of an image's attribute.
func noSuchItem(value, item string) error {
	return fail("InvalidAMIAttributeItemValue", "Invalid attribute item value \"%s\" for %s item type.", value, item)
}

// permitted checks one launch permission of a request.
func permitted(p permissionChange) error {
	switch {
	case p.Group != "" && p.Group != "all":
		return noSuchItem(p.Group, "userGroup")
	case p.UserId != "" && !accountID.MatchString(p.UserId):
		return noSuchItem(p.UserId, "userId")
	case p.OrganizationArn != "" && !organization.MatchString(p.OrganizationArn):
		return noSuchItem(p.OrganizationArn, "organizationArn")
	case p.OrganizationalUnitArn != "" && !unit.MatchString(p.OrganizationalUnitArn):
		return noSuchItem(p.OrganizationalUnitArn, "organizationalUnitArn")
	case p == permissionChange{}:
		return noSuchItem("", "userId")
	}
	return nil
}

// sharable refuses to share with anybody what is encrypted with AWS's own key.
func (c *call) sharable(m *image) error {
	for _, d := range m.Mappings {
		if s := get[snapshot](c.txn, c.region, d.Snapshot); s != nil && s.Encrypted && ownKeyARN(s.KMS, s.Region) {
			return fail("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.")
		}
	}
	return nil
}

var deviceName = patternOf(`^(/dev/)?(sd|hd|xvd)[a-z]{1,2}([1-9]|1[0-5])?$`)

var virtualName = patternOf(`^ephemeral([0-9]|1[0-9]|2[0-3])$`)

var metadataKey = patternOf(`^[0-9a-zA-Z\-_+=,.@:]{1,255}$`)

// shownTags refuses keys that instance metadata cannot show.
func shownTags(tags []tagRequest) error {
	for _, g := range tags {
		if !metadataKey.MatchString(g.Key) || slices.Contains([]string{".", "..", "_index"}, g.Key) {
			return invalid("'%s' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{1,255}), and must not be a reserved name ('.', '..', '_index')", g.Key)
		}
	}
	return nil
}

// A volumeType is what EC2 says of a type: sizes in GiB, and the IOPS that can be
// chosen.
type volumeType struct{ least, most, leastIOPS, mostIOPS, perGiB int }

var volumeTypes = map[string]volumeType{
	"gp2": {least: 1, most: 16384}, "st1": {least: 125, most: 16384}, "sc1": {least: 125, most: 16384}, "standard": {least: 1, most: 1024},
	"gp3": {1, 65536, 3000, 80000, 500},
	"io1": {4, 16384, 100, 64000, 50},
	"io2": {4, 65536, 100, 256000, 1000},
}

// volumeLimits checks size and performance against the type, and fills in the
// performance that a type has by default.
func volumeLimits(m *mapping) error {
	t := volumeTypes[m.Type]
	if m.Size < t.least || m.Size > t.most {
		return invalid("Volume of %dGiB is outside the sizes of volume type %s: from %dGiB to %dGiB.", m.Size, m.Type, t.least, t.most)
	}
	free := 0 // that every volume of the type has
	if m.Type == "gp3" {
		free = 3000
		if m.IOPS == 0 {
			m.IOPS = free
		}
		if m.Throughput == 0 {
			m.Throughput = 125
		}
	}
	switch {
	case t.mostIOPS == 0 && m.IOPS != 0:
		return fail("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", m.Type)
	case m.Type != "gp3" && m.Throughput != 0:
		return fail("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", m.Type)
	case t.mostIOPS == 0:
		return nil
	case m.IOPS == 0:
		return fail("MissingParameter", "The parameter iops must be specified for %s volumes.", m.Type)
	case m.IOPS < t.leastIOPS || m.IOPS > t.mostIOPS:
		return invalid("Volume iops of %d is outside what %s has: from %d to %d.", m.IOPS, m.Type, t.leastIOPS, t.mostIOPS)
	case m.IOPS > max(t.perGiB*m.Size, free):
		return invalid("Iops to volume size ratio of %d is too high: %s has at most %d IOPS per GiB.", m.IOPS/m.Size, m.Type, t.perGiB)
	case m.Type != "gp3":
		return nil
	case m.Throughput < 125 || m.Throughput > 2000:
		return invalid("Throughput of %d MiB/s is outside what gp3 has: from 125 to 2000.", m.Throughput)
	case 4*m.Throughput > m.IOPS:
		return invalid("Throughput (MiBps) to iops ratio of %d/%d is too high: it can be at most 0.25.", m.Throughput, m.IOPS)
	}
	return nil
}
