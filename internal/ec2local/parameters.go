package ec2local

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ssmOperations are the actions of Systems Manager that this endpoint has: those of
// its Parameter Store, and of Session Manager.
var ssmOperations = map[string]operation{
	"DeleteParameter":       writesJSON(deleteParameter),
	"DeleteParameters":      writesJSON(deleteParameters),
	"DescribeParameters":    readsJSON(describeParameters),
	"DescribeSessions":      readsJSON(describeSessions),
	"GetParameter":          readsJSON(getParameter),
	"GetParameterHistory":   readsJSON(getParameterHistory),
	"GetParameters":         readsJSON(getParameters),
	"GetParametersByPath":   readsJSON(getParametersByPath),
	"LabelParameterVersion": writesJSON(labelParameterVersion),
	"ListTagsForResource":   readsJSON(listParameterTags),
	"PutParameter":          writesJSON(putParameter),
	"ResumeSession":         writesJSON(resumeSession),
	"StartSession":          writesJSON(startSession),
	"TerminateSession":      writesJSON(terminateSession),
}

// A parameter is a name for values, of which the newest counts. Its id is the name.
type parameter struct {
	base
	Tags     []jsonTag          `json:"tags,omitempty"`
	Versions []parameterVersion `json:"versions"` // the newest is the last

	public bool // it is its publisher's, and never stored
}

type parameterVersion struct {
	Number      int       `json:"number"`
	Type        string    `json:"type"`
	Value       string    `json:"value"`
	Sealed      string    `json:"sealed,omitempty"` // what a SecureString shows to those who do not ask for the value
	Modified    time.Time `json:"modified"`
	Description string    `json:"description,omitempty"`
	Pattern     string    `json:"pattern,omitempty"`
	KeyID       string    `json:"key_id,omitempty"`
	DataType    string    `json:"data_type"`
	Tier        string    `json:"tier"`
	Labels      []string  `json:"labels,omitempty"`
}

func (*parameter) table() string { return "parameter" }

// arn is the name of a parameter everywhere. Public ones have no account.
func (p *parameter) arn() string {
	name := "parameter/" + strings.TrimPrefix(p.ID, "/")
	if p.public {
		return "arn:" + partitionOf(p.Region).name + ":ssm:" + regionOf(p.Region) + "::" + name
	}
	return arn("ssm", p.Region, name)
}

func (p *parameter) newest() *parameterVersion { return &p.Versions[len(p.Versions)-1] }

// The limits of Parameter Store, from the quotas of Systems Manager in the AWS
// General Reference.
const (
	standardValue  = 4096 // characters
	advancedValue  = 8192
	mostVersions   = 100
	mostLabels     = 10
	deepest        = 15 // levels of a name
	longestName    = 1011
	mostParameters = 10 // that a call names
)

const (
	secureString = "SecureString"
	stringList   = "StringList"
	plainString  = "String"
)

var (
	parameterName  = patternOf(`^[a-zA-Z0-9_.\-/]+$`)
	parameterLabel = patternOf(`^[a-zA-Z_.\-][a-zA-Z0-9_.\-]{0,99}$`)
)

// checkParameterName checks the name of a parameter to be made.
func checkParameterName(name string) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	first = strings.ToLower(first)
	switch {
	case name == "":
		return notValid("name", "have length greater than or equal to 1")
	case strings.HasPrefix(first, "aws"):
		return fail("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	case strings.HasPrefix(first, "ssm"), !parameterName.MatchString(name), strings.Contains(name, "//"), strings.HasSuffix(name, "/"):
		return fail("ValidationException", `Parameter name: can't be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`)
	case strings.Contains(name, "/") && !strings.HasPrefix(name, "/"):
		return fail("ValidationException", "Parameter name must be a fully qualified name.")
	case len(name) > longestName:
		return notValid("name", "have length less than or equal to %d", longestName)
	case strings.Count(name, "/") > deepest:
		return fail("HierarchyLevelLimitExceededException", "A parameter name has at most %d levels.", deepest)
	}
	return nil
}

// parameter returns one of the caller's own, or a public one; nil if there is none.
func (c *call) parameter(name string) *parameter {
	if p := get[parameter](c.txn, c.region, name); p != nil {
		return p
	}
	list := publicParameters(regionOf(c.region))
	if n, ok := slices.BinarySearchFunc(list, name, func(p *parameter, name string) int { return cmp.Compare(p.ID, name) }); ok {
		return list[n]
	}
	return nil
}

// ownName is what a request names by name or by ARN, without a selector.
func (c *call) ownName(name string) string {
	rest, ok := strings.CutPrefix(name, arn("ssm", c.region, "parameter/"))
	public, isPublic := strings.CutPrefix(name, "arn:"+partitionOf(c.region).name+":ssm:"+regionOf(c.region)+"::parameter/")
	switch {
	case isPublic:
		return "/" + public
	case !ok:
		return name
	case strings.Contains(rest, "/"):
		return "/" + rest
	}
	return rest
}

// selected is the version that a name such as /a, /a:3 or /a:label means, with the
// selector.
func (c *call) selected(name string) (p *parameter, v *parameterVersion, selector string, err error) {
	base := c.ownName(name)
	if p = c.parameter(base); p != nil {
		return p, p.newest(), "", nil
	}
	stem, chosen, ok := cutLast(base, ":")
	if p = c.parameter(stem); !ok || p == nil {
		return nil, nil, "", fail("ParameterNotFound", "")
	}
	number, err := strconv.Atoi(chosen)
	n := slices.IndexFunc(p.Versions, func(v parameterVersion) bool {
		return err == nil && v.Number == number || err != nil && slices.Contains(v.Labels, chosen)
	})
	if n < 0 {
		if err == nil {
			return nil, nil, "", fail("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", chosen, stem)
		}
		return nil, nil, "", fail("ParameterVersionNotFound", "Systems Manager could not find the label %s of %s. Verify the label and try again.", chosen, stem)
	}
	return p, &p.Versions[n], ":" + chosen, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	n := strings.LastIndex(s, sep)
	if n < 0 {
		return s, "", false
	}
	return s[:n], s[n+len(sep):], true
}

type putParameterRequest struct {
	Name, Description, Value, Type, KeyId, AllowedPattern, Tier, DataType string
	Overwrite                                                             bool
	Tags                                                                  []jsonTag
}

type putParameterResponse struct {
	Version int
	Tier    string
}

func putParameter(c *call, q *putParameterRequest) (*putParameterResponse, error) {
	q.Name = c.ownName(q.Name)
	if err := checkParameterName(q.Name); err != nil {
		return nil, err
	}
	p := get[parameter](c.txn, c.region, q.Name)
	v := parameterVersion{Number: 1, Type: q.Type, Value: q.Value, Modified: c.now.UTC(), Description: q.Description, Pattern: q.AllowedPattern, KeyID: q.KeyId, DataType: q.DataType, Tier: q.Tier}
	if p != nil {
		was := p.newest()
		if !q.Overwrite {
			return nil, fail("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
		}
		if v.Type != "" && v.Type != was.Type {
			return nil, fail("HierarchyTypeMismatchException", "Parameter Store doesn't support changing a parameter type: %s is a %s. Create a new parameter.", q.Name, was.Type)
		}
		if len(q.Tags) > 0 {
			return nil, fail("ValidationException", "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
		}
		v.Number, v.Type = was.Number+1, was.Type
		v.Description, v.Pattern, v.KeyID = cmp.Or(v.Description, was.Description), cmp.Or(v.Pattern, was.Pattern), cmp.Or(v.KeyID, was.KeyID)
		v.DataType, v.Tier = cmp.Or(v.DataType, was.DataType), cmp.Or(v.Tier, was.Tier)
	}
	if err := v.complete(); err != nil {
		return nil, err
	}
	tags, err := newJSONTags(q.Tags)
	if err != nil {
		return nil, err
	}
	if p == nil {
		p = &parameter{base: base{ID: q.Name, Region: c.region, Created: c.now.UTC()}, Tags: tags}
	}
	if p.Versions = append(p.Versions, v); len(p.Versions) > mostVersions {
		if len(p.Versions[0].Labels) > 0 {
			return nil, fail("ParameterMaxVersionLimitExceeded", "The oldest version of %s can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", q.Name)
		}
		p.Versions = p.Versions[1:]
	}
	put(c.txn, p)
	return &putParameterResponse{v.Number, v.Tier}, nil
}

// complete checks a new version, and fills in what was not given.
func (v *parameterVersion) complete() error {
	v.Tier, v.DataType = cmp.Or(v.Tier, "Standard"), cmp.Or(v.DataType, "text")
	size := len([]rune(v.Value))
	switch {
	case v.Value == "":
		return notValid("value", "have length greater than or equal to 1")
	case v.Type == "":
		return fail("ValidationException", "A parameter type is required when you create a parameter.")
	case !slices.Contains([]string{secureString, stringList, plainString}, v.Type):
		return notValid("type", "satisfy enum value set: [SecureString, StringList, String]")
	case !slices.Contains([]string{"Standard", "Advanced", "Intelligent-Tiering"}, v.Tier):
		return notValid("tier", "satisfy enum value set: [Standard, Advanced, Intelligent-Tiering]")
	case v.DataType != "text" && v.DataType != "aws:ec2:image":
		return fail("ValidationException", "The data type is not supported by this endpoint: it has text and aws:ec2:image.")
	case v.KeyID != "" && v.Type != secureString:
		return fail("ValidationException", "KeyId is required for SecureString type parameter only.")
	case len([]rune(v.Description)) > 1024:
		return notValid("description", "have length less than or equal to 1024")
	case size > advancedValue && v.Tier != "Standard":
		return fail("ValidationException", "Advanced tier parameters support a maximum parameter value of %d characters.", advancedValue)
	case size > standardValue && v.Tier == "Standard":
		return fail("ValidationException", "Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html", standardValue)
	}
	if v.Tier == "Intelligent-Tiering" {
		v.Tier = "Standard"
		if size > standardValue {
			v.Tier = "Advanced"
		}
	}
	if v.Pattern != "" {
		pattern, err := regexp.Compile(v.Pattern)
		if err != nil || len(v.Pattern) > 1024 {
			return fail("InvalidAllowedPatternException", "The allowed pattern is no regular expression.")
		}
		if !pattern.MatchString(v.Value) {
			return fail("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", v.Pattern)
		}
	}
	if v.Type == secureString {
		sealed := make([]byte, 96)
		rand.Read(sealed)
		v.KeyID, v.Sealed = cmp.Or(v.KeyID, "alias/aws/ssm"), base64.StdEncoding.EncodeToString(sealed)
	}
	return nil
}

// parameterItem is a parameter as calls show it that give values.
type parameterItem struct {
	Name, Type, Value string
	Version           int
	Selector          string `json:",omitempty"`
	LastModifiedDate  epoch
	ARN               string
	DataType          string
}

func (p *parameter) item(v *parameterVersion, selector string, decrypt bool) parameterItem {
	i := parameterItem{p.ID, v.Type, v.Value, v.Number, selector, epoch(v.Modified), p.arn(), v.DataType}
	if v.Type == secureString && !decrypt {
		i.Value = v.Sealed
	}
	return i
}

type getParameterRequest struct {
	Name           string
	WithDecryption bool
}

type getParameterResponse struct{ Parameter parameterItem }

func getParameter(c *call, q *getParameterRequest) (*getParameterResponse, error) {
	if q.Name == "" {
		return nil, notValid("name", "have length greater than or equal to 1")
	}
	p, v, selector, err := c.selected(q.Name)
	if err != nil {
		return nil, err
	}
	return &getParameterResponse{p.item(v, selector, q.WithDecryption)}, nil
}

type getParametersRequest struct {
	Names          []string
	WithDecryption bool
}

type getParametersResponse struct {
	Parameters        []parameterItem
	InvalidParameters []string
}

func checkNames(names []string) error {
	if len(names) == 0 || len(names) > mostParameters {
		return notValid("names", "have length from 1 to %d", mostParameters)
	}
	return nil
}

func getParameters(c *call, q *getParametersRequest) (*getParametersResponse, error) {
	if err := checkNames(q.Names); err != nil {
		return nil, err
	}
	r := &getParametersResponse{[]parameterItem{}, []string{}}
	for n, name := range q.Names {
		if slices.Contains(q.Names[:n], name) {
			return nil, fail("ValidationException", "Duplicate parameter names in the request.")
		}
		if p, v, selector, err := c.selected(name); err != nil {
			r.InvalidParameters = append(r.InvalidParameters, name)
		} else {
			r.Parameters = append(r.Parameters, p.item(v, selector, q.WithDecryption))
		}
	}
	return r, nil
}

type getParameterHistoryRequest struct {
	jsonPage
	Name           string
	WithDecryption bool
}

type parameterHistory struct {
	parameterMetadata
	Value  string
	Labels []string
}

type getParameterHistoryResponse struct {
	Parameters []parameterHistory
	NextToken  string `json:",omitempty"`
}

func getParameterHistory(c *call, q *getParameterHistoryRequest) (*getParameterHistoryResponse, error) {
	p := c.parameter(c.ownName(q.Name))
	if p == nil {
		return nil, fail("ParameterNotFound", "")
	}
	versions, next, err := pageJSON(p.Versions, q.jsonPage, 50)
	if err != nil {
		return nil, err
	}
	r := &getParameterHistoryResponse{NextToken: next}
	for _, v := range versions {
		r.Parameters = append(r.Parameters, parameterHistory{p.metadata(&v), p.item(&v, "", q.WithDecryption).Value, append([]string{}, v.Labels...)})
	}
	return r, nil
}

type deleteParameterRequest struct{ Name string }

func deleteParameter(c *call, q *deleteParameterRequest) (*nothing, error) {
	p := get[parameter](c.txn, c.region, c.ownName(q.Name))
	if p == nil {
		return nil, fail("ParameterNotFound", "")
	}
	c.remove(p.table(), rowKey(p.Region, p.ID))
	return &nothing{}, nil
}

type deleteParametersRequest struct{ Names []string }

type deleteParametersResponse struct{ DeletedParameters, InvalidParameters []string }

func deleteParameters(c *call, q *deleteParametersRequest) (*deleteParametersResponse, error) {
	if err := checkNames(q.Names); err != nil {
		return nil, err
	}
	r := &deleteParametersResponse{[]string{}, []string{}}
	for _, name := range q.Names {
		if p := get[parameter](c.txn, c.region, c.ownName(name)); p != nil {
			c.remove(p.table(), rowKey(p.Region, p.ID))
			r.DeletedParameters = append(r.DeletedParameters, name)
		} else {
			r.InvalidParameters = append(r.InvalidParameters, name)
		}
	}
	return r, nil
}

type labelParameterVersionRequest struct {
	Name             string
	ParameterVersion *int
	Labels           []string
}

type labelParameterVersionResponse struct {
	InvalidLabels    []string
	ParameterVersion int
}

// labelParameterVersion moves labels: each belongs to one version.
func labelParameterVersion(c *call, q *labelParameterVersionRequest) (*labelParameterVersionResponse, error) {
	p := get[parameter](c.txn, c.region, c.ownName(q.Name))
	if p == nil {
		return nil, fail("ParameterNotFound", "")
	}
	if len(q.Labels) == 0 || len(q.Labels) > mostLabels {
		return nil, notValid("labels", "have length from 1 to %d", mostLabels)
	}
	v := p.newest()
	if q.ParameterVersion != nil {
		n := slices.IndexFunc(p.Versions, func(v parameterVersion) bool { return v.Number == *q.ParameterVersion })
		if n < 0 {
			return nil, fail("ParameterVersionNotFound", "Systems Manager could not find version %d of %s. Verify the version and try again.", *q.ParameterVersion, q.Name)
		}
		v = &p.Versions[n]
	}
	r := &labelParameterVersionResponse{[]string{}, v.Number}
	for _, l := range q.Labels {
		lower := strings.ToLower(l)
		if !parameterLabel.MatchString(l) || strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm") {
			r.InvalidLabels = append(r.InvalidLabels, l)
			continue
		}
		for n := range p.Versions {
			p.Versions[n].Labels = slices.DeleteFunc(p.Versions[n].Labels, func(x string) bool { return x == l })
		}
		v.Labels = append(v.Labels, l)
	}
	if len(v.Labels) > mostLabels {
		return nil, fail("ParameterVersionLabelLimitExceeded", "A parameter version can have maximum %d labels.", mostLabels)
	}
	put(c.txn, p)
	return r, nil
}

type listParameterTagsRequest struct{ ResourceType, ResourceId string }

type listParameterTagsResponse struct{ TagList []jsonTag }

func listParameterTags(c *call, q *listParameterTagsRequest) (*listParameterTagsResponse, error) {
	if q.ResourceType != "Parameter" {
		return nil, fail("InvalidResourceType", "The resource type is not valid: this endpoint has Parameter.")
	}
	p := get[parameter](c.txn, c.region, c.ownName(q.ResourceId))
	if p == nil {
		return nil, fail("InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again.")
	}
	return &listParameterTagsResponse{append([]jsonTag{}, p.Tags...)}, nil
}
