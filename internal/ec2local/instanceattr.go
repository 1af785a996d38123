package ec2local

import (
	"encoding/base64"
	"slices"
)

type boolItem struct {
	Value bool `xml:"value"`
}

type instanceAttributeRequest struct{ InstanceId, Attribute string }

type instanceAttributeResponse struct {
	ID          string                `xml:"instanceId"`
	Type        *valueItem            `xml:"instanceType"`
	Kernel      *valueItem            `xml:"kernel"`
	Ramdisk     *valueItem            `xml:"ramdisk"`
	UserData    *valueItem            `xml:"userData"`
	NoTerminate *boolItem             `xml:"disableApiTermination"`
	NoStop      *boolItem             `xml:"disableApiStop"`
	Shutdown    *valueItem            `xml:"instanceInitiatedShutdownBehavior"`
	RootDevice  *valueItem            `xml:"rootDeviceName"`
	Devices     *set[instanceDevice]  `xml:"blockDeviceMapping"`
	Products    *set[productCodeItem] `xml:"productCodes"`
	Optimized   *boolItem             `xml:"ebsOptimized"`
	Sriov       *valueItem            `xml:"sriovNetSupport"`
	Check       *boolItem             `xml:"sourceDestCheck"`
	Groups      *set[groupIdentifier] `xml:"groupSet"`
	ENA         *boolItem             `xml:"enaSupport"`
	Enclave     *enclaveItem          `xml:"enclaveOptions"`
}

func describeInstanceAttribute(c *call, q *instanceAttributeRequest) (*instanceAttributeResponse, error) {
	i, err := c.oneInstance(q.InstanceId)
	if err != nil {
		return nil, err
	}
	r := &instanceAttributeResponse{ID: i.ID}
	switch q.Attribute {
	case "instanceType":
		r.Type = &valueItem{i.Type}
	case "kernel":
		r.Kernel = &valueItem{}
	case "ramdisk":
		r.Ramdisk = &valueItem{}
	case "userData":
		r.UserData = &valueItem{base64.StdEncoding.EncodeToString(i.UserData)}
	case "disableApiTermination":
		r.NoTerminate = &boolItem{i.NoTerminate}
	case "disableApiStop":
		r.NoStop = &boolItem{i.NoStop}
	case "instanceInitiatedShutdownBehavior":
		r.Shutdown = &valueItem{i.Shutdown}
	case "rootDeviceName":
		r.RootDevice = &valueItem{i.RootDevice}
	case "blockDeviceMapping":
		s := c.instanceItem(i).Devices
		r.Devices = &s
	case "productCodes":
		r.Products = &set[productCodeItem]{}
	case "ebsOptimized":
		r.Optimized = &boolItem{i.Optimized}
	case "sriovNetSupport":
		r.Sriov = &valueItem{i.Sriov}
	case "sourceDestCheck":
		r.Check = &boolItem{!i.NoCheck}
	case "groupSet":
		s := c.groupSet(i.Groups)
		r.Groups = &s
	case "enaSupport":
		r.ENA = &boolItem{i.ENA}
	case "enclaveOptions":
		r.Enclave = &enclaveItem{i.Enclave}
	}
	return r, nil
}

func (c *call) oneInstance(id string) (*instance, error) {
	is, err := c.ofState([]string{id})
	if err != nil {
		return nil, err
	}
	return is[0], nil
}

type stringValue struct{ Value string }

type boolValue struct{ Value bool }

type modifyInstanceAttributeRequest struct {
	InstanceId, Attribute, Value      string
	Groups                            []string
	InstanceType                      *stringValue
	UserData                          *struct{ Value []byte }
	InstanceInitiatedShutdownBehavior *stringValue
	SriovNetSupport                   *stringValue
	EnaSupport, EbsOptimized          *boolValue
	SourceDestCheck                   *boolValue
	DisableApiTermination             *boolValue
	DisableApiStop                    *boolValue
	BlockDeviceMappings               []struct {
		DeviceName string
		Ebs        *struct {
			DeleteOnTermination *bool
			VolumeId            string
		}
	}
}

func modifyInstanceAttribute(c *call, q *modifyInstanceAttributeRequest) (*empty, error) {
	i, err := c.oneInstance(q.InstanceId)
	if err != nil {
		return nil, err
	}
	if i.State == terminated || i.State == shuttingDown {
		return nil, incorrectState(i, "modified")
	}
	if err := namedAttribute(q); err != nil {
		return nil, err
	}
	changes := 0
	var first error
	change := func(is, mustStop bool, f func() error) {
		if !is || first != nil {
			return
		}
		changes++
		if mustStop && i.State != stopped {
			first = fail("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
			return
		}
		first = f()
	}
	change(q.InstanceType != nil, true, func() error { return c.changeType(i, q.InstanceType.Value) })
	change(q.UserData != nil, true, func() error {
		if len(q.UserData.Value) > maxUserData {
			return invalid("User data is limited to %d bytes", maxUserData)
		}
		i.UserData = q.UserData.Value
		return nil
	})
	change(q.InstanceInitiatedShutdownBehavior != nil, false, func() error {
		v := q.InstanceInitiatedShutdownBehavior.Value
		if v != "stop" && v != "terminate" {
			return invalid("Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid. It must be stop or terminate.", v)
		}
		i.Shutdown = v
		return nil
	})
	change(q.SriovNetSupport != nil, true, func() error {
		if q.SriovNetSupport.Value != "simple" {
			return invalid("Value (%s) for parameter sriovNetSupport is invalid. The only value is simple.", q.SriovNetSupport.Value)
		}
		i.Sriov = "simple"
		return nil
	})
	change(q.EnaSupport != nil, true, func() error { i.ENA = q.EnaSupport.Value; return nil })
	change(q.EbsOptimized != nil, true, func() error { i.Optimized = q.EbsOptimized.Value; return nil })
	change(q.SourceDestCheck != nil, false, func() error { i.NoCheck = !q.SourceDestCheck.Value; return nil })
	change(q.DisableApiTermination != nil, false, func() error {
		if i.Spot {
			return fail("UnsupportedOperation", "The attribute disableApiTermination cannot be changed for the Spot Instance '%s'.", i.ID)
		}
		i.NoTerminate = q.DisableApiTermination.Value
		return nil
	})
	change(q.DisableApiStop != nil, false, func() error { i.NoStop = q.DisableApiStop.Value; return nil })
	change(len(q.Groups) > 0, false, func() error { return c.changeGroups(i, q.Groups) })
	change(len(q.BlockDeviceMappings) > 0, false, func() error {
		for _, m := range q.BlockDeviceMappings {
			n := slices.IndexFunc(i.Devices, func(d device) bool { return d.Name == m.DeviceName })
			if n < 0 {
				return fail("InvalidInstanceAttributeValue", "No device is currently mapped at %s", m.DeviceName)
			}
			if m.Ebs == nil || m.Ebs.DeleteOnTermination == nil {
				continue
			}
			i.Devices[n].DeleteOnTermination = *m.Ebs.DeleteOnTermination
			if v := get[volume](c.txn, c.region, i.Devices[n].Volume); v != nil && v.Attach != nil {
				v.Attach.DeleteOnTermination = *m.Ebs.DeleteOnTermination
				put(c.txn, v)
			}
		}
		return nil
	})
	switch {
	case first != nil:
		return nil, first
	case changes == 0:
		return nil, fail("InvalidParameterCombination", "No attributes specified.")
	case changes > 1:
		return nil, fail("InvalidParameterCombination", "Fields for multiple attribute types specified")
	}
	put(c.txn, i)
	return nil, nil
}

// namedAttribute turns Attribute and Value into the field of that attribute.
func namedAttribute(q *modifyInstanceAttributeRequest) error {
	flag := func() (*boolValue, error) {
		if q.Value != "true" && q.Value != "false" {
			return nil, invalid("Value (%s) for parameter value is invalid. It must be true or false.", q.Value)
		}
		return &boolValue{q.Value == "true"}, nil
	}
	var err error
	switch q.Attribute {
	case "":
	case "instanceType":
		q.InstanceType = &stringValue{q.Value}
	case "userData":
		raw, bad := base64.StdEncoding.DecodeString(q.Value)
		if bad != nil {
			return invalid("Invalid BASE64 encoding of user data.")
		}
		q.UserData = &struct{ Value []byte }{raw}
	case "instanceInitiatedShutdownBehavior":
		q.InstanceInitiatedShutdownBehavior = &stringValue{q.Value}
	case "sriovNetSupport":
		q.SriovNetSupport = &stringValue{q.Value}
	case "enaSupport":
		q.EnaSupport, err = flag()
	case "ebsOptimized":
		q.EbsOptimized, err = flag()
	case "sourceDestCheck":
		q.SourceDestCheck, err = flag()
	case "disableApiTermination":
		q.DisableApiTermination, err = flag()
	case "disableApiStop":
		q.DisableApiStop, err = flag()
	default:
		return fail("UnsupportedOperation", "The attribute %s cannot be changed at this endpoint.", q.Attribute)
	}
	return err
}

func (c *call) changeType(i *instance, name string) error {
	t := typeNamed(name)
	if t == nil || !t.runs(i.Arch) {
		return fail("InvalidInstanceAttributeValue", "Invalid value '%s' for instanceType.", name)
	}
	if t.ena() == "required" && !i.ENA {
		return fail("InvalidParameterCombination", "Enhanced networking with the Elastic Network Adapter (ENA) is required for the '%s' instance type.", name)
	}
	i.Type = name
	return nil
}

func (c *call) changeGroups(i *instance, ids []string) error {
	var groups []string
	for _, id := range ids {
		g, err := c.findGroup(id)
		if err != nil {
			return err
		}
		if g.VPC != i.VPC {
			return invalid("You have specified two resources that belong to different networks.")
		}
		if !slices.Contains(groups, g.ID) {
			groups = append(groups, g.ID)
		}
	}
	i.Groups = groups
	if e := get[netInterface](c.txn, c.region, i.Interface); e != nil {
		e.Groups = groups
		put(c.txn, e)
	}
	return nil
}

type describeCreditsRequest struct {
	pageRequest
	InstanceIds []string
	Filters     []filter
}

type creditItem struct {
	ID      string `xml:"instanceId"`
	Credits string `xml:"cpuCredits"`
}

type describeCreditsResponse struct {
	Specifications set[creditItem] `xml:"instanceCreditSpecificationSet"`
	pageResponse
}

var creditFilters = filters[instance]{
	"instance-id": func(c *call, i *instance) []string { return one(i.ID) },
}

func describeCredits(c *call, q *describeCreditsRequest) (*describeCreditsResponse, error) {
	is, err := list[instance](c, q.InstanceIds)
	if err != nil {
		return nil, err
	}
	is = slices.DeleteFunc(is, func(i *instance) bool { return i.Credits == "" || len(q.InstanceIds) == 0 && i.Credits != "unlimited" })
	is, next, err := narrow(c, creditFilters.plain(), q.Filters, is, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeCreditsResponse{pageResponse: next}
	for _, i := range is {
		r.Specifications.Items = append(r.Specifications.Items, creditItem{i.ID, i.Credits})
	}
	return r, nil
}

type modifyCreditsRequest struct {
	ClientToken                  string
	InstanceCreditSpecifications []struct{ InstanceId, CpuCredits string }
}

type changedCredits struct {
	ID string `xml:"instanceId"`
}

type creditError struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

type unchangedCredits struct {
	ID    string      `xml:"instanceId"`
	Error creditError `xml:"error"`
}

type modifyCreditsResponse struct {
	Changed   set[changedCredits]   `xml:"successfulInstanceCreditSpecificationSet"`
	Unchanged set[unchangedCredits] `xml:"unsuccessfulInstanceCreditSpecificationSet"`
}

// modifyCredits answers for each instance, as EC2 does, instead of failing.
func modifyCredits(c *call, q *modifyCreditsRequest) (*modifyCreditsResponse, error) {
	r := &modifyCreditsResponse{}
	refuse := func(id, code, message string) {
		r.Unchanged.Items = append(r.Unchanged.Items, unchangedCredits{id, creditError{code, message}})
	}
	for _, s := range q.InstanceCreditSpecifications {
		i, err := c.oneInstance(s.InstanceId)
		switch {
		case err != nil:
			e := asAPI(err)
			code := "InvalidInstanceID.NotFound"
			if e.Code == "InvalidInstanceID.Malformed" {
				code = e.Code
			}
			refuse(s.InstanceId, code, e.Message)
		case i.State == terminated || i.State == shuttingDown:
			refuse(i.ID, "IncorrectInstanceState", "The instance is "+i.State+".")
		case i.Credits == "":
			refuse(i.ID, "InstanceCreditSpecification.NotSupported", "The instance type does not take a credit specification.")
		case s.CpuCredits != "standard" && s.CpuCredits != "unlimited":
			return nil, invalid("Value (%s) for parameter cpuCredits is invalid. It must be standard or unlimited.", s.CpuCredits)
		default:
			i.Credits = s.CpuCredits
			put(c.txn, i)
			r.Changed.Items = append(r.Changed.Items, changedCredits{i.ID})
		}
	}
	return r, nil
}
