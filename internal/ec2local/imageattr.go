package ec2local

import "slices"

type valueItem struct {
	Value string `xml:"value"`
}

type launchPermission struct {
	Group string `xml:"group,omitempty"`
	User  string `xml:"userId,omitempty"`
	Org   string `xml:"organizationArn,omitempty"`
	Unit  string `xml:"organizationalUnitArn,omitempty"`
}

type imageAttributeRequest struct{ ImageId, Attribute string }

type imageAttributeResponse struct {
	ID           string                 `xml:"imageId"`
	Launch       *set[launchPermission] `xml:"launchPermission"`
	ProductCodes *set[productCodeItem]  `xml:"productCodes"`
	Description  *valueItem             `xml:"description"`
	Mappings     *set[mappingItem]      `xml:"blockDeviceMapping"`
	Kernel       *valueItem             `xml:"kernel"`
	Ramdisk      *valueItem             `xml:"ramdisk"`
	Sriov        *valueItem             `xml:"sriovNetSupport"`
	BootMode     *valueItem             `xml:"bootMode"`
	TPM          *valueItem             `xml:"tpmSupport"`
	UEFI         *valueItem             `xml:"uefiData"`
	Launched     *valueItem             `xml:"lastLaunchedTime"`
	Imds         *valueItem             `xml:"imdsSupport"`
	Protection   *valueItem             `xml:"deregistrationProtection"`
}

func describeImageAttribute(c *call, q *imageAttributeRequest) (*imageAttributeResponse, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	r := &imageAttributeResponse{ID: m.ID}
	switch q.Attribute {
	case "launchPermission":
		r.Launch = &set[launchPermission]{}
		if m.Public {
			r.Launch.Items = append(r.Launch.Items, launchPermission{Group: "all"})
		}
		for _, u := range m.Users {
			r.Launch.Items = append(r.Launch.Items, launchPermission{User: u})
		}
		for _, o := range m.Orgs {
			r.Launch.Items = append(r.Launch.Items, launchPermission{Org: o})
		}
		for _, u := range m.Units {
			r.Launch.Items = append(r.Launch.Items, launchPermission{Unit: u})
		}
	case "productCodes":
		r.ProductCodes = &set[productCodeItem]{}
		for _, p := range m.ProductCodes {
			r.ProductCodes.Items = append(r.ProductCodes.Items, productCodeItem{p, "marketplace"})
		}
	case "description":
		r.Description = &valueItem{m.Description}
	case "blockDeviceMapping":
		s := mappingItems(m.Mappings)
		r.Mappings = &s
	case "kernel":
		r.Kernel = &valueItem{}
	case "ramdisk":
		r.Ramdisk = &valueItem{}
	case "sriovNetSupport":
		r.Sriov = &valueItem{m.Sriov}
	case "bootMode":
		r.BootMode = &valueItem{m.BootMode}
	case "tpmSupport":
		r.TPM = &valueItem{m.TPM}
	case "uefiData":
		r.UEFI = &valueItem{m.UEFI}
	case "lastLaunchedTime":
		r.Launched = &valueItem{}
	case "imdsSupport":
		r.Imds = &valueItem{m.Imds}
	case "deregistrationProtection":
		r.Protection = &valueItem{m.Protection}
	}
	return r, nil
}

type permissionChange struct {
	Group, UserId, OrganizationArn, OrganizationalUnitArn string
}

type modifyImageAttributeRequest struct {
	ImageId, Attribute, OperationType, Value string
	UserIds, UserGroups                      []string
	OrganizationArns, OrganizationalUnitArns []string
	ProductCodes                             []string
	Description, ImdsSupport                 *struct{ Value string }
	LaunchPermission                         *struct{ Add, Remove []permissionChange }
}

func modifyImageAttribute(c *call, q *modifyImageAttributeRequest) (*empty, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	given := 0
	for _, is := range []bool{q.Attribute != "", q.Description != nil, q.ImdsSupport != nil, q.LaunchPermission != nil} {
		if is {
			given++
		}
	}
	if given == 0 && (len(q.UserIds) > 0 || len(q.UserGroups) > 0 || len(q.OrganizationArns) > 0 || len(q.OrganizationalUnitArns) > 0) {
		q.Attribute, given = "launchPermission", 1
	}
	if given == 0 && len(q.ProductCodes) > 0 {
		q.Attribute, given = "productCodes", 1
	}
	if given != 1 {
		return nil, fail("InvalidParameterCombination", "Exactly one attribute must be specified.")
	}
	switch {
	case q.Description != nil:
		q.Attribute, q.Value = "description", q.Description.Value
	case q.ImdsSupport != nil:
		q.Attribute, q.Value = "imdsSupport", q.ImdsSupport.Value
	case q.LaunchPermission != nil:
		q.Attribute = "launchPermission"
	}
	switch q.Attribute {
	case "description":
		if err := describe(q.Value); err != nil {
			return nil, err
		}
		m.Description = q.Value
	case "imdsSupport":
		if q.Value != "v2.0" {
			return nil, invalid("Value (%s) for parameter imdsSupport is invalid. The only value is v2.0.", q.Value)
		}
		m.Imds = q.Value
	case "productCodes":
		for _, p := range q.ProductCodes {
			if !productCode.MatchString(p) {
				return nil, noSuchItem(p, "productCode")
			}
			if !slices.Contains(m.ProductCodes, p) {
				m.ProductCodes = append(m.ProductCodes, p)
			}
		}
	case "launchPermission":
		add, remove, err := permissionChanges(q)
		if err != nil {
			return nil, err
		}
		if m.State != "available" {
			return nil, fail("InvalidAMIID.Unavailable", "The image ID '%s' is not available", m.ID)
		}
		if len(add) > 0 {
			if err := c.sharable(m); err != nil {
				return nil, err
			}
		}
		if err := m.permit(add, remove); err != nil {
			return nil, err
		}
	default:
		return nil, invalid("Value (%s) for parameter attribute is invalid. Unknown attribute.", q.Attribute)
	}
	put(c.txn, m)
	return nil, nil
}

// permissionChanges reads the two ways of writing a change of launch permission.
func permissionChanges(q *modifyImageAttributeRequest) (add, remove []permissionChange, err error) {
	if q.LaunchPermission != nil {
		add, remove = q.LaunchPermission.Add, q.LaunchPermission.Remove
	} else {
		var all []permissionChange
		for _, u := range q.UserIds {
			all = append(all, permissionChange{UserId: u})
		}
		for _, g := range q.UserGroups {
			all = append(all, permissionChange{Group: g})
		}
		for _, o := range q.OrganizationArns {
			all = append(all, permissionChange{OrganizationArn: o})
		}
		for _, u := range q.OrganizationalUnitArns {
			all = append(all, permissionChange{OrganizationalUnitArn: u})
		}
		switch q.OperationType {
		case "add":
			add = all
		case "remove":
			remove = all
		default:
			return nil, nil, missing("OperationType")
		}
	}
	if len(add)+len(remove) == 0 {
		return nil, nil, fail("InvalidAttributeValue", "Value (null) for parameter launchPermission is invalid.")
	}
	return add, remove, nil
}

func (m *image) permit(add, remove []permissionChange) error {
	change := func(list *[]string, v string, on bool) {
		*list = slices.DeleteFunc(slices.Clone(*list), func(x string) bool { return x == v })
		if on {
			*list = append(*list, v)
			slices.Sort(*list)
		}
	}
	apply := func(p permissionChange, on bool) error {
		if err := permitted(p); err != nil {
			return err
		}
		switch {
		case p.Group != "":
			if on && slices.ContainsFunc(m.Mappings, func(d mapping) bool { return d.Encrypted }) {
				return fail("InvalidParameter", "Images with encrypted snapshots cannot be made public.")
			}
			m.Public = on
		case p.UserId != "":
			change(&m.Users, p.UserId, on)
		case p.OrganizationArn != "":
			change(&m.Orgs, p.OrganizationArn, on)
		case p.OrganizationalUnitArn != "":
			change(&m.Units, p.OrganizationalUnitArn, on)
		}
		return nil
	}
	for _, p := range add {
		if err := apply(p, true); err != nil {
			return err
		}
	}
	for _, p := range remove {
		if err := apply(p, false); err != nil {
			return err
		}
	}
	return nil
}

func resetImageAttribute(c *call, q *imageAttributeRequest) (*empty, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	m.Public, m.Users, m.Orgs, m.Units = false, nil, nil, nil
	put(c.txn, m)
	return nil, nil
}
