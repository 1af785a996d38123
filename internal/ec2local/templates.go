package ec2local

import (
	"encoding/json"
)

// A launchTemplate has the data of its first version, and those that came later.
type launchTemplate struct {
	base
	Name    string            `json:"name"`
	Data    launchRequest     `json:"data"`
	About   string            `json:"about,omitempty"` // of the first version
	Later   []templateVersion `json:"later,omitempty"`
	Default int               `json:"default,omitempty"` // 0 is the first version
}

func (t *launchTemplate) latest() int { return 1 + len(t.Later) }

func (t *launchTemplate) standard() int { return max(1, t.Default) }

func (*launchTemplate) table() string { return "template" }
func (*launchTemplate) refer() (string, string, string) {
	return "lt", "InvalidLaunchTemplateId", "launch template"
}

var templateName = patternOf(`^[a-zA-Z0-9()./_-]{3,128}$`)

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
	return templateItem{t.ID, t.Name, stamp(t.Created), globalARN(c.home(), "iam", "user/ec2local"), t.standard(), t.latest(), c.tagSet(t.ID)}
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
	t := &launchTemplate{base: c.newBase(newID("lt")), Name: q.LaunchTemplateName, Data: q.LaunchTemplateData, About: q.VersionDescription}
	put(c.txn, t)
	if err := c.setTags(c.region, t.ID, tags); err != nil {
		return nil, err
	}
	c.remember(q.ClientToken, []string{t.ID})
	return &templateResponse{c.templateItem(t)}, nil
}

func (t *launchTemplate) marks() []mark { return []mark{{"launch-template-name", t.Name}} }

func (c *call) templateNamed(name string) *launchTemplate {
	for _, t := range having[launchTemplate](c.txn, c.region, mark{"launch-template-name", name}) {
		return t
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
	v, err := t.version(q.LaunchTemplate.Version)
	if err != nil {
		return err
	}
	merged, err := v.Data.under(q.launchRequest)
	if err != nil {
		return err
	}
	q.launchRequest = merged
	return nil
}

// under is the data of a version with those of a request over them.
func (d launchRequest) under(request launchRequest) (launchRequest, error) {
	own, err := json.Marshal(request)
	if err != nil {
		return d, err
	}
	var set map[string]json.RawMessage
	if err := json.Unmarshal(own, &set); err != nil {
		return d, err
	}
	for name, v := range set {
		if s := string(v); s == `""` || s == "null" || s == "false" {
			delete(set, name)
		}
	}
	merged, err := json.Marshal(set)
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(merged, &d)
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
