package ec2local

import (
	"slices"
	"time"
)

// Fast launch of a Windows image: EC2 launches instances of it in advance, and keeps
// snapshots of them. Here it is a state alone.
type fastLaunch struct {
	State    string    `json:"state"` // enabling, enabled, enabling-failed
	Reason   string    `json:"reason,omitempty"`
	At       time.Time `json:"at"`
	Due      time.Time `json:"due,omitzero"` // when it is enabled, or fails
	Target   int       `json:"target"`
	Parallel int       `json:"parallel"`
	Template string    `json:"template,omitempty"` // the id of a launch template
	Name     string    `json:"name,omitempty"`     // or its name
	Version  string    `json:"version,omitempty"`
	Trouble  string    `json:"trouble,omitempty"` // why it will fail
}

// What EC2 takes where nothing is said.
const (
	fastTarget   = 5
	fastParallel = 6
)

type fastTemplate struct {
	ID      string `xml:"launchTemplateId,omitempty"`
	Name    string `xml:"launchTemplateName,omitempty"`
	Version string `xml:"version"`
}

type fastSnapshots struct {
	Target int `xml:"targetResourceCount"`
}

type fastLaunchItem struct {
	Image     string        `xml:"imageId"`
	Type      string        `xml:"resourceType"`
	Snapshots fastSnapshots `xml:"snapshotConfiguration"`
	Template  *fastTemplate `xml:"launchTemplate"`
	Parallel  int           `xml:"maxParallelLaunches"`
	Owner     string        `xml:"ownerId"`
	State     string        `xml:"state"`
	Reason    string        `xml:"stateTransitionReason,omitempty"`
	At        string        `xml:"stateTransitionTime"`
}

// now is how it stands: nothing but time passes between its states.
func (f fastLaunch) now(at time.Time) fastLaunch {
	if f.State != "enabling" || f.Due.After(at) {
		return f
	}
	f.State, f.At = "enabled", f.Due
	if f.Trouble != "" {
		f.State, f.Reason = "enabling-failed", f.Trouble
	}
	return f
}

func (c *call) fastLaunchItem(m *image) fastLaunchItem {
	f := m.Fast.now(c.now)
	i := fastLaunchItem{Image: m.ID, Type: "snapshot", Snapshots: fastSnapshots{f.Target}, Parallel: f.Parallel, Owner: c.account(), State: f.State, Reason: f.Reason, At: stamp(f.At)}
	if f.Template+f.Name != "" {
		i.Template = &fastTemplate{f.Template, f.Name, f.Version}
	}
	return i
}

type enableFastLaunchRequest struct {
	ImageId, ResourceType string
	SnapshotConfiguration *struct{ TargetResourceCount *int }
	LaunchTemplate        *templateReference
	MaxParallelLaunches   *int
}

func enableFastLaunch(c *call, q *enableFastLaunchRequest) (*fastLaunchItem, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	switch {
	case m.State != "available":
		return nil, fail("InvalidAMIID.Unavailable", "The image ID '%s' is not available", m.ID)
	case m.Platform != "windows":
		return nil, fail("InvalidRequest", "Fast launch is supported only for Windows images, and %s is none.", m.ID)
	case q.ResourceType != "" && q.ResourceType != "snapshot":
		return nil, invalid("Value (%s) for parameter resourceType is invalid. The only value is snapshot.", q.ResourceType)
	}
	f := fastLaunch{State: "enabling", At: c.now.UTC(), Due: c.now.Add(c.s.takes.fast), Target: fastTarget, Parallel: fastParallel}
	if s := q.SnapshotConfiguration; s != nil && s.TargetResourceCount != nil {
		if f.Target = *s.TargetResourceCount; f.Target < 1 {
			return nil, invalid("Value (%d) for parameter targetResourceCount is invalid. It must be 1 or more.", f.Target)
		}
	}
	if p := q.MaxParallelLaunches; p != nil {
		if f.Parallel = *p; f.Parallel < 6 {
			return nil, invalid("Value (%d) for parameter maxParallelLaunches is invalid. It must be 6 or more.", f.Parallel)
		}
	}
	if r := q.LaunchTemplate; r != nil {
		t, err := c.template(r.LaunchTemplateId, r.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		f.Template, f.Name, f.Version = r.LaunchTemplateId, r.LaunchTemplateName, r.Version
		if _, err := t.version(r.Version); err != nil {
			return nil, err
		}
	}
	f.Trouble = c.noPlace(q)
	m.Fast = &f
	put(c.txn, m)
	i := c.fastLaunchItem(m)
	return &i, nil
}

// noPlace is why instances cannot be launched in advance: without a template
// they need the default VPC of the region.
func (c *call) noPlace(q *enableFastLaunchRequest) string {
	if q.LaunchTemplate != nil || slices.ContainsFunc(all[vpc](c.txn, c.region), func(v *vpc) bool { return v.Default }) {
		return ""
	}
	return "VPCIdNotSpecified: No default VPC for this user"
}

type disableFastLaunchRequest struct {
	ImageId string
	Force   bool
}

func disableFastLaunch(c *call, q *disableFastLaunchRequest) (*fastLaunchItem, error) {
	m, err := c.ownImage(q.ImageId)
	if err != nil {
		return nil, err
	}
	if m.Fast == nil {
		return nil, fail("InvalidRequest", "Fast launch is not enabled for %s.", m.ID)
	}
	i := c.fastLaunchItem(m)
	i.State = "disabling"
	m.Fast = nil
	put(c.txn, m)
	return &i, nil
}

type describeFastLaunchRequest struct {
	pageRequest
	ImageIds []string
	Filters  []filter
}

type describeFastLaunchResponse struct {
	Images set[fastLaunchItem] `xml:"fastLaunchImageSet"`
	pageResponse
}

var fastLaunchFilters = filters[image]{
	"resource-type": func(c *call, m *image) []string { return one("snapshot") },
	"owner-id":      func(c *call, m *image) []string { return one(m.Owner) },
	"state":         func(c *call, m *image) []string { return one(m.Fast.now(c.now).State) },
}

// describeFastLaunch says nothing of images that have none.
func describeFastLaunch(c *call, q *describeFastLaunchRequest) (*describeFastLaunchResponse, error) {
	for _, id := range q.ImageIds {
		if !wellFormed("ami", id) {
			return nil, fail("InvalidAMIID.Malformed", "Invalid id: \"%s\"", id)
		}
	}
	ms := slices.DeleteFunc(all[image](c.txn, c.region), func(m *image) bool {
		return m.Fast == nil || len(q.ImageIds) > 0 && !slices.Contains(q.ImageIds, m.ID)
	})
	ms, err := fastLaunchFilters.plain().apply(c, q.Filters, ms)
	if err != nil {
		return nil, err
	}
	r := &describeFastLaunchResponse{}
	if ms, r.NextToken, err = page(ms, q.pageRequest, 1, 200); err != nil {
		return nil, err
	}
	for _, m := range ms {
		r.Images.Items = append(r.Images.Items, c.fastLaunchItem(m))
	}
	return r, nil
}
