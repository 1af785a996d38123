package ec2local

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A launchTemplate has one version here: what a builder makes for one fleet.
type launchTemplate struct {
	base
	Name string        `json:"name"`
	Data launchRequest `json:"data"`
}

func (*launchTemplate) table() string { return "template" }
func (*launchTemplate) refer() (string, string, string) {
	return "lt", "InvalidLaunchTemplateId", "launch template"
}

var templateName = regexp.MustCompile(`^[a-zA-Z0-9()./_-]{3,128}$`)

type createTemplateRequest struct {
	ClientToken, LaunchTemplateName, VersionDescription string
	LaunchTemplateData                                  launchRequest
	TagSpecifications                                   []tagSpec
}

type templateItem struct {
	ID      string   `xml:"launchTemplateId"`
	Name    string   `xml:"launchTemplateName"`
	Created string   `xml:"createTime"`
	By      string   `xml:"createdBy"`
	Default int      `xml:"defaultVersionNumber"`
	Latest  int      `xml:"latestVersionNumber"`
	Tags    set[tag] `xml:"tagSet"`
}

func (c *call) templateItem(t *launchTemplate) templateItem {
	return templateItem{t.ID, t.Name, stamp(t.Created), globalARN(c.home(), "iam", "user/ec2local"), 1, 1, c.tagSet(t.ID)}
}

type templateResponse struct {
	Template templateItem `xml:"launchTemplate"`
}

func createLaunchTemplate(c *call, q *createTemplateRequest) (*templateResponse, error) {
	if ids, err := c.replay(q.ClientToken); err != nil || ids != nil {
		if err != nil {
			return nil, err
		}
		t, err := find[launchTemplate](c, ids[0])
		if err != nil {
			return nil, err
		}
		return &templateResponse{c.templateItem(t)}, nil
	}
	if !templateName.MatchString(q.LaunchTemplateName) {
		return nil, fail("InvalidLaunchTemplateName.MalformedException", "The launch template name must be 3 to 128 characters from a-z, A-Z, 0-9, and -()._/")
	}
	if c.templateNamed(q.LaunchTemplateName) != nil {
		return nil, fail("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	tags, err := specTags(q.TagSpecifications, "launch-template", "launch-template")
	if err != nil {
		return nil, err
	}
	t := &launchTemplate{base: c.born(newID("lt")), Name: q.LaunchTemplateName, Data: q.LaunchTemplateData}
	put(c.txn, t)
	if err := c.setTags(c.region, t.ID, tags); err != nil {
		return nil, err
	}
	c.remember(q.ClientToken, []string{t.ID})
	return &templateResponse{c.templateItem(t)}, nil
}

func (c *call) templateNamed(name string) *launchTemplate {
	for _, t := range all[launchTemplate](c.txn, c.region) {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func (c *call) template(id, name string) (*launchTemplate, error) {
	switch {
	case id != "" && name != "":
		return nil, fail("InvalidParameterCombination", "Specify the launch template ID or the launch template name, but not both.")
	case id != "":
		t, err := find[launchTemplate](c, id)
		if err != nil && wellFormed("lt", id) {
			return nil, fail("InvalidLaunchTemplateId.NotFoundException", "The specified launch template, with template ID %s, does not exist.", id)
		}
		return t, err
	case name != "":
		if t := c.templateNamed(name); t != nil && t.seen(c.txn) {
			return t, nil
		}
		return nil, fail("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
	}
	return nil, missing("LaunchTemplateId or LaunchTemplateName")
}

// fromTemplate fills in what a launch does not say itself.
func (c *call) fromTemplate(q *runRequest) error {
	t, err := c.template(q.LaunchTemplate.LaunchTemplateId, q.LaunchTemplate.LaunchTemplateName)
	if err != nil {
		return err
	}
	if v := q.LaunchTemplate.Version; v != "" && v != "1" && v != "$Latest" && v != "$Default" {
		return fail("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", v, t.ID)
	}
	// The template's fields first, the request's own over them.
	own, err := json.Marshal(q.launchRequest)
	if err != nil {
		return err
	}
	var set map[string]json.RawMessage
	if err := json.Unmarshal(own, &set); err != nil {
		return err
	}
	for name, v := range set {
		if s := string(v); s == `""` || s == "null" || s == "false" {
			delete(set, name)
		}
	}
	merged, err := json.Marshal(set)
	if err != nil {
		return err
	}
	q.launchRequest = t.Data
	return json.Unmarshal(merged, &q.launchRequest)
}

type describeTemplatesRequest struct {
	pageRequest
	LaunchTemplateIds, LaunchTemplateNames []string
	Filters                                []filter
}

type describeTemplatesResponse struct {
	Templates set[templateItem] `xml:"launchTemplates"`
	pageResponse
}

var templateFilters = filters[launchTemplate]{
	"create-time":          func(c *call, t *launchTemplate) []string { return one(stamp(t.Created)) },
	"launch-template-name": func(c *call, t *launchTemplate) []string { return one(t.Name) },
}.tagged(tagsOf[launchTemplate])

func describeLaunchTemplates(c *call, q *describeTemplatesRequest) (*describeTemplatesResponse, error) {
	var ts []*launchTemplate
	for _, id := range q.LaunchTemplateIds {
		t, err := c.template(id, "")
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
	}
	for _, name := range q.LaunchTemplateNames {
		t, err := c.template("", name)
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
	}
	if len(q.LaunchTemplateIds)+len(q.LaunchTemplateNames) == 0 {
		ts, _ = list[launchTemplate](c, nil)
	}
	ts, err := templateFilters.apply(c, q.Filters, ts)
	if err != nil {
		return nil, err
	}
	r := &describeTemplatesResponse{}
	if ts, r.NextToken, err = page(ts, q.pageRequest, 1, 200); err != nil {
		return nil, err
	}
	for _, t := range ts {
		r.Templates.Items = append(r.Templates.Items, c.templateItem(t))
	}
	return r, nil
}

type templateIDRequest struct{ LaunchTemplateId, LaunchTemplateName string }

func deleteLaunchTemplate(c *call, q *templateIDRequest) (*templateResponse, error) {
	t, err := c.template(q.LaunchTemplateId, q.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	r := &templateResponse{c.templateItem(t)}
	drop(c.txn, t)
	return r, nil
}

type fleetTarget struct {
	TotalTargetCapacity                               *int
	OnDemandTargetCapacity, SpotTargetCapacity        *int
	DefaultTargetCapacityType, TargetCapacityUnitType string
}

type fleetOverride struct {
	InstanceType, SubnetId, AvailabilityZone, MaxPrice, ImageId string
	Priority                                                    *float64
	WeightedCapacity                                            *float64
}

type createFleetRequest struct {
	ClientToken, Type           string
	TargetCapacitySpecification fleetTarget
	LaunchTemplateConfigs       []struct {
		LaunchTemplateSpecification *templateReference
		Overrides                   []fleetOverride
	}
	SpotOptions *struct {
		AllocationStrategy, InstanceInterruptionBehavior, MaxTotalPrice string
		SingleInstanceType, SingleAvailabilityZone                      bool
		MinTargetCapacity                                               *int
		InstancePoolsToUseCount                                         *int
	}
	OnDemandOptions *struct {
		AllocationStrategy, MaxTotalPrice          string
		SingleInstanceType, SingleAvailabilityZone bool
		MinTargetCapacity                          *int
	}
	TagSpecifications []tagSpec
}

type fleetTemplate struct {
	ID      string `xml:"launchTemplateId"`
	Version string `xml:"version"`
}

type fleetOverrideItem struct {
	Type   string `xml:"instanceType,omitempty"`
	Subnet string `xml:"subnetId,omitempty"`
	Zone   string `xml:"availabilityZone,omitempty"`
}

type fleetChoice struct {
	Template  fleetTemplate     `xml:"launchTemplateSpecification"`
	Overrides fleetOverrideItem `xml:"overrides"`
}

type fleetInstance struct {
	Choice    fleetChoice `xml:"launchTemplateAndOverrides"`
	Lifecycle string      `xml:"lifecycle"`
	IDs       set[string] `xml:"instanceIds"`
	Type      string      `xml:"instanceType"`
	Platform  string      `xml:"platform,omitempty"`
}

type fleetError struct {
	Choice    fleetChoice `xml:"launchTemplateAndOverrides"`
	Lifecycle string      `xml:"lifecycle"`
	Code      string      `xml:"errorCode"`
	Message   string      `xml:"errorMessage"`
}

type createFleetResponse struct {
	ID        string             `xml:"fleetId"`
	Errors    set[fleetError]    `xml:"errorSet"`
	Instances set[fleetInstance] `xml:"fleetInstanceSet"`
}

func (r *createFleetResponse) summary() string {
	out := []string{r.ID}
	for _, i := range r.Instances.Items {
		out = append(out, i.IDs.Items...)
	}
	return strings.Join(out, " ")
}

// createFleet launches at once what an instant fleet asks for, from the first
// template and override that works; what did not is told in the reply.
func createFleet(c *call, q *createFleetRequest) (*createFleetResponse, error) {
	if ids, err := c.replay(q.ClientToken); err != nil || ids != nil {
		if err != nil {
			return nil, err
		}
		return c.fleetAgain(ids)
	}
	if q.Type != "instant" {
		return nil, fail("UnsupportedOperation", "Fleets of the type %q are not supported by this endpoint; instant ones are.", q.Type)
	}
	t := q.TargetCapacitySpecification
	if t.TotalTargetCapacity == nil || *t.TotalTargetCapacity < 1 {
		return nil, invalid("The total target capacity must be at least 1.")
	}
	spot := t.DefaultTargetCapacityType == "spot"
	if n := t.SpotTargetCapacity; n != nil && *n > 0 {
		spot = true
	}
	if n := t.OnDemandTargetCapacity; n != nil && *n > 0 && spot {
		return nil, fail("UnsupportedOperation", "Fleets of spot and on-demand instances together are not supported by this endpoint.")
	}
	life := "on-demand"
	if spot {
		life = "spot"
	}
	tags, err := specTags(q.TagSpecifications, "fleet", "fleet", "instance", "volume", "network-interface", "spot-instances-request")
	if err != nil {
		return nil, err
	}
	r := &createFleetResponse{ID: "fleet-" + uuid()}
	for _, cfg := range q.LaunchTemplateConfigs {
		if cfg.LaunchTemplateSpecification == nil {
			return nil, missing("LaunchTemplateConfigs.LaunchTemplateSpecification")
		}
		overrides := cfg.Overrides
		if len(overrides) == 0 {
			overrides = []fleetOverride{{}}
		}
		lt, err := c.template(cfg.LaunchTemplateSpecification.LaunchTemplateId, cfg.LaunchTemplateSpecification.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		for _, o := range overrides {
			choice := fleetChoice{fleetTemplate{lt.ID, "1"}, fleetOverrideItem{o.InstanceType, o.SubnetId, o.AvailabilityZone}}
			if c.s.moods.happens(c.s.moods.Capacity, "capacity", "CreateFleet") {
				r.Errors.Items = append(r.Errors.Items, fleetError{choice, life, "InsufficientInstanceCapacity", "We currently do not have sufficient capacity in the Availability Zone you requested."})
				continue
			}
			is, err := c.launch(fleetLaunch(q, *cfg.LaunchTemplateSpecification, o, spot))
			if err != nil {
				e := asAPI(err)
				r.Errors.Items = append(r.Errors.Items, fleetError{choice, life, e.Code, e.Message})
				continue
			}
			f := fleetInstance{Choice: choice, Lifecycle: life, Type: is[0].Type, Platform: is[0].Platform}
			for _, i := range is {
				f.IDs.Items = append(f.IDs.Items, i.ID)
			}
			r.Instances.Items = append(r.Instances.Items, f)
			break
		}
		if len(r.Instances.Items) > 0 {
			break
		}
	}
	put(c.txn, &fleet{base: c.born(r.ID), Reply: *r})
	if err := c.setTags(c.region, r.ID, tags); err != nil {
		return nil, err
	}
	c.remember(q.ClientToken, []string{r.ID})
	return r, nil
}

// fleetLaunch is the launch that a fleet makes of a template and an override.
func fleetLaunch(q *createFleetRequest, t templateReference, o fleetOverride, spot bool) *runRequest {
	run := &runRequest{MinCount: 1, MaxCount: *q.TargetCapacitySpecification.TotalTargetCapacity, LaunchTemplate: &t, SubnetId: o.SubnetId}
	run.InstanceType, run.ImageId = o.InstanceType, o.ImageId
	if o.AvailabilityZone != "" {
		run.Placement = &placementRequest{AvailabilityZone: o.AvailabilityZone}
	}
	if spot {
		run.InstanceMarketOptions = &marketRequest{MarketType: "spot"}
	}
	run.TagSpecifications = slices.DeleteFunc(slices.Clone(q.TagSpecifications), func(s tagSpec) bool { return s.ResourceType == "fleet" })
	if len(run.TagSpecifications) == 0 {
		run.TagSpecifications = nil
	}
	return run
}

// A fleet is the answer that made it, for a repeated request.
type fleet struct {
	base
	Reply createFleetResponse `json:"reply"`
}

func (*fleet) table() string { return "fleet" }

func (c *call) fleetAgain(ids []string) (*createFleetResponse, error) {
	f := get[fleet](c.txn, c.region, ids[0])
	if f == nil {
		return nil, fail("InternalError", "The fleet %s is lost.", strconv.Quote(ids[0]))
	}
	return &f.Reply, nil
}
