package ec2local

import (
	"slices"
	"strings"
)

// parameterFilter is one of a list that a request narrows its parameters by.
type parameterFilter struct {
	Key, Option string
	Values      []string
}

func (f parameterFilter) fits(p *parameter) (bool, error) {
	var have []string
	v := p.newest()
	switch f.Key {
	case "Name":
		have = []string{p.ID}
	case "Type":
		have = []string{v.Type}
	case "Tier":
		have = []string{v.Tier}
	case "DataType":
		have = []string{v.DataType}
	case "KeyId":
		have = []string{v.KeyID}
	case "Label":
		have = v.Labels
	case "Path":
		return slices.ContainsFunc(f.Values, func(path string) bool { return under(p.ID, path, f.Option == "Recursive") }), nil
	default:
		name, ok := strings.CutPrefix(f.Key, "tag:")
		if !ok {
			return false, fail("InvalidFilterKey", "The specified filter key isn't valid: %s.", f.Key)
		}
		for _, g := range p.Tags {
			if g.Key == name {
				have = append(have, g.Value)
				if len(f.Values) == 0 {
					return true, nil
				}
			}
		}
	}
	compare := map[string]func(have, want string) bool{
		"": func(a, b string) bool { return a == b }, "Equals": func(a, b string) bool { return a == b }, "BeginsWith": strings.HasPrefix, "Contains": strings.Contains,
	}[f.Option]
	if compare == nil {
		return false, fail("InvalidFilterOption", "The specified filter option isn't valid. Valid options are Equals, BeginsWith and Contains.")
	}
	return slices.ContainsFunc(f.Values, func(want string) bool {
		return slices.ContainsFunc(have, func(have string) bool { return compare(have, want) })
	}), nil
}

// filterParameters are those that fit all filters.
func filterParameters(list []*parameter, fs []parameterFilter) ([]*parameter, error) {
	var out []*parameter
	for _, p := range list {
		fits := true
		for _, f := range fs {
			ok, err := f.fits(p)
			if err != nil {
				return nil, err
			}
			fits = fits && ok
		}
		if fits {
			out = append(out, p)
		}
	}
	return out, nil
}

// under tells whether a name is below a path, directly or at any depth.
func under(name, path string, recursive bool) bool {
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(path, "/")+"/")
	return ok && (recursive || !strings.Contains(rest, "/"))
}

// pageJSON cuts a page, of the given length at most if the request names none.
func pageJSON[T any](list []T, q jsonPage, most int) ([]T, string, error) {
	n := most
	if q.MaxResults != nil {
		n = *q.MaxResults
	}
	if n < 1 || n > most {
		return nil, "", notValid("maxResults", "have value from 1 to %d", most)
	}
	return page(list, pageRequest{&n, q.NextToken}, 1, most)
}

type jsonPage struct {
	MaxResults *int
	NextToken  string
}

type getParametersByPathRequest struct {
	jsonPage
	Path                      string
	Recursive, WithDecryption bool
	ParameterFilters          []parameterFilter
}

type parametersResponse struct {
	Parameters []parameterItem
	NextToken  string `json:",omitempty"`
}

func getParametersByPath(c *call, q *getParametersByPathRequest) (*parametersResponse, error) {
	if !strings.HasPrefix(q.Path, "/") {
		return nil, fail("ValidationException", "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".")
	}
	list := slices.DeleteFunc(slices.Concat(all[parameter](c.txn, c.region), publicParameters(c.region)), func(p *parameter) bool { return !under(p.ID, q.Path, q.Recursive) })
	list, err := filterParameters(list, q.ParameterFilters)
	if err != nil {
		return nil, err
	}
	r := &parametersResponse{Parameters: []parameterItem{}}
	if list, r.NextToken, err = pageJSON(list, q.jsonPage, 10); err != nil {
		return nil, err
	}
	for _, p := range list {
		r.Parameters = append(r.Parameters, p.item(p.newest(), "", q.WithDecryption))
	}
	return r, nil
}

// parameterMetadata is a parameter as calls show it that give no values.
type parameterMetadata struct {
	Name, Type       string
	ARN              string
	KeyId            string `json:",omitempty"`
	Description      string `json:",omitempty"`
	AllowedPattern   string `json:",omitempty"`
	LastModifiedDate epoch
	LastModifiedUser string
	Version          int
	Tier             string
	DataType         string
	Policies         []string
}

func (p *parameter) metadata(v *parameterVersion) parameterMetadata {
	return parameterMetadata{p.ID, v.Type, p.arn(), v.KeyID, v.Description, v.Pattern, epoch(v.Modified),
		globalARN(placeIn(partitionOf(p.Region).name, accountOf(p.Region)), "iam", "user/ec2local"), v.Number, v.Tier, v.DataType, []string{}}
}

type describeParametersRequest struct {
	jsonPage
	ParameterFilters []parameterFilter
}

type describeParametersResponse struct {
	Parameters []parameterMetadata
	NextToken  string `json:",omitempty"`
}

func describeParameters(c *call, q *describeParametersRequest) (*describeParametersResponse, error) {
	list, err := filterParameters(all[parameter](c.txn, c.region), q.ParameterFilters)
	if err != nil {
		return nil, err
	}
	r := &describeParametersResponse{Parameters: []parameterMetadata{}}
	if list, r.NextToken, err = pageJSON(list, q.jsonPage, 50); err != nil {
		return nil, err
	}
	for _, p := range list {
		r.Parameters = append(r.Parameters, p.metadata(p.newest()))
	}
	return r, nil
}
