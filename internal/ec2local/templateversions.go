package ec2local

import (
	"slices"
	"strconv"
	"time"
)

// A templateVersion is one state of a launch template.
type templateVersion struct {
	Number  int           `json:"number"`
	About   string        `json:"about,omitempty"`
	Created time.Time     `json:"created"`
	Data    launchRequest `json:"data"`
}

// maxVersions is how many versions one template may have.
const maxVersions = 10000

// versions are all of a template, in the order of their numbers.
func (t *launchTemplate) versions() []templateVersion {
	return append([]templateVersion{{1, t.About, t.Created, t.Data}}, t.Later...)
}

// version is the one that a request means, the default one where it names none.
func (t *launchTemplate) version(asked string) (templateVersion, error) {
	n, err := strconv.Atoi(asked)
	switch asked {
	case "", "$Default":
		n, err = t.standard(), nil
	case "$Latest":
		n, err = t.latest(), nil
	}
	if err != nil || n < 1 || n > t.latest() {
		return templateVersion{}, fail("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", asked, t.ID)
	}
	return t.versions()[n-1], nil
}

type createVersionRequest struct {
	ClientToken, LaunchTemplateId, LaunchTemplateName, SourceVersion, VersionDescription string
	LaunchTemplateData                                                                   launchRequest
}

// versionData is what a version says, as far as this endpoint shows it.
type versionData struct {
	Image string `xml:"imageId,omitempty"`
	Type  string `xml:"instanceType,omitempty"`
	Key   string `xml:"keyName,omitempty"`
}

type versionItem struct {
	ID      string      `xml:"launchTemplateId"`
	Name    string      `xml:"launchTemplateName"`
	Number  int         `xml:"versionNumber"`
	About   string      `xml:"versionDescription,omitempty"`
	Created string      `xml:"createTime"`
	By      string      `xml:"createdBy"`
	Default bool        `xml:"defaultVersion"`
	Data    versionData `xml:"launchTemplateData"`
}

func (c *call) versionItem(t *launchTemplate, v templateVersion) versionItem {
	return versionItem{t.ID, t.Name, v.Number, v.About, stamp(v.Created), globalARN(c.home(), "iam", "user/ec2local"), v.Number == t.standard(),
		versionData{v.Data.ImageId, v.Data.InstanceType, v.Data.KeyName}}
}

type versionResponse struct {
	Version versionItem `xml:"launchTemplateVersion"`
}

// createTemplateVersion adds a version: what it says over that of the source version.
func createTemplateVersion(c *call, q *createVersionRequest) (*versionResponse, error) {
	t, err := c.template(q.LaunchTemplateId, q.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if made, err := c.replay(q.ClientToken); err != nil || made != nil {
		if err != nil {
			return nil, err
		}
		v, err := t.version(made[0])
		return &versionResponse{c.versionItem(t, v)}, err
	}
	data := q.LaunchTemplateData
	if q.SourceVersion != "" {
		from, err := t.version(q.SourceVersion)
		if err != nil {
			return nil, err
		}
		if data, err = from.Data.under(data); err != nil {
			return nil, err
		}
	}
	if t.latest() >= maxVersions {
		return nil, fail("VersionLimitExceeded", "A launch template has at most %d versions.", maxVersions)
	}
	v := templateVersion{t.latest() + 1, q.VersionDescription, c.now.UTC(), data}
	t.Later = append(t.Later, v)
	put(c.txn, t)
	c.remember(q.ClientToken, []string{strconv.Itoa(v.Number)})
	return &versionResponse{c.versionItem(t, v)}, nil
}

type describeVersionsRequest struct {
	pageRequest
	LaunchTemplateId, LaunchTemplateName, MinVersion, MaxVersion string
	Versions                                                     []string
}

type describeVersionsResponse struct {
	Versions set[versionItem] `xml:"launchTemplateVersionSet"`
	pageResponse
}

// describeTemplateVersions shows versions of a template, the newest first.
func describeTemplateVersions(c *call, q *describeVersionsRequest) (*describeVersionsResponse, error) {
	t, err := c.template(q.LaunchTemplateId, q.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	var vs []templateVersion
	for _, asked := range q.Versions {
		v, err := t.version(asked)
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
	if len(q.Versions) == 0 {
		least, err := bound(t, q.MinVersion, 1)
		if err != nil {
			return nil, err
		}
		most, err := bound(t, q.MaxVersion, t.latest())
		if err != nil {
			return nil, err
		}
		for _, v := range slices.Backward(t.versions()) {
			if least <= v.Number && v.Number <= most {
				vs = append(vs, v)
			}
		}
	}
	r := &describeVersionsResponse{}
	if vs, r.NextToken, err = page(vs, q.pageRequest, 1, 200); err != nil {
		return nil, err
	}
	for _, v := range vs {
		r.Versions.Items = append(r.Versions.Items, c.versionItem(t, v))
	}
	return r, nil
}

// bound is the number of a version that a request has as the first or the last.
func bound(t *launchTemplate, asked string, none int) (int, error) {
	if asked == "" {
		return none, nil
	}
	v, err := t.version(asked)
	return v.Number, err
}

type modifyTemplateRequest struct {
	ClientToken, LaunchTemplateId, LaunchTemplateName string
	DefaultVersion                                    string
}

// modifyLaunchTemplate makes a version the default one.
func modifyLaunchTemplate(c *call, q *modifyTemplateRequest) (*templateResponse, error) {
	t, err := c.template(q.LaunchTemplateId, q.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if q.DefaultVersion == "" {
		return nil, missing("SetDefaultVersion")
	}
	v, err := t.version(q.DefaultVersion)
	if err != nil {
		return nil, err
	}
	t.Default = v.Number
	put(c.txn, t)
	return &templateResponse{c.templateItem(t)}, nil
}
