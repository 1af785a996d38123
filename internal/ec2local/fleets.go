package ec2local

import (
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

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
	r := &createFleetResponse{ID: "fleet-" + uuid.NewString()}
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
			if c.s.injector.happens(c.s.injector.Capacity, "capacity", "CreateFleet") {
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
	put(c.txn, &fleet{base: c.newBase(r.ID), Reply: *r})
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
