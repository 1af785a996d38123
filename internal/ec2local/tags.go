package ec2local

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

type tag struct {
	Key   string `xml:"key" json:"key"`
	Value string `xml:"value" json:"value"`
	// Visible is when describing calls show the tag.
	Visible time.Time `xml:"-" json:"visible,omitzero"`
}

// tagList is what the table of tags holds of one thing.
type tagList []tag

func (l tagList) marks() (ms []mark) {
	for _, g := range l {
		ms = append(ms, tagMark(g.Key, g.Value))
	}
	return ms
}

func tagMark(key, value string) mark { return mark{"tag:" + key, value} }

type tagRequest struct{ Key, Value string }

type tagSpec struct {
	ResourceType string
	Tags         []tagRequest
}

func (t *txn) storedTags(region, id string) []tag {
	raw := t.Bucket([]byte("tags")).Get(rowKey(region, id))
	if raw == nil {
		return nil
	}
	var list []tag
	t.decode(raw, &list)
	return list
}

// tags are those that show by now, in the order of their keys.
func (t *txn) tags(region, id string) []tag {
	list := t.storedTags(region, id)
	return slices.DeleteFunc(list, func(g tag) bool { return t.now.Before(g.Visible) })
}

const maxTags = 50

func checkTags(tags []tagRequest) error {
	seen := map[string]bool{}
	for _, g := range tags {
		switch {
		case g.Key == "" || len([]rune(g.Key)) > 128:
			return invalid("Tag keys must be between 1 and 128 characters in length.")
		case len([]rune(g.Value)) > 256:
			return invalid("Tag value exceeds the maximum length of 256 characters.")
		case strings.HasPrefix(strings.ToLower(g.Key), "aws:"):
			return invalid("Tag keys starting with 'aws:' are reserved for internal use")
		case seen[g.Key]:
			return invalid("Duplicate tag key '%s' specified.", g.Key)
		}
		seen[g.Key] = true
	}
	return nil
}

// setTags adds or overwrites tags of one thing.
func (t *txn) setTags(region, id string, tags []tagRequest) error {
	if len(tags) == 0 {
		return nil
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	list := t.storedTags(region, id)
	for _, g := range tags {
		n := tag{Key: g.Key, Value: g.Value, Visible: t.s.injector.visible("tag", t.now)}
		if i := slices.IndexFunc(list, func(x tag) bool { return x.Key == g.Key }); i >= 0 {
			list[i] = n
		} else {
			list = append(list, n)
		}
	}
	if len(list) > maxTags {
		return fail("TagLimitExceeded", "The maximum number of tags for a resource, %d, has been reached.", maxTags)
	}
	slices.SortFunc(list, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	t.write("tags", rowKey(region, id), tagList(list))
	return nil
}

// specTags picks the tags for one type of resource; every specification must be
// for one of the types that the call makes.
func specTags(specs []tagSpec, want string, types ...string) ([]tagRequest, error) {
	var tags []tagRequest
	seen := map[string]bool{}
	for _, s := range specs {
		if s.ResourceType == "" {
			return nil, missing("TagSpecification.ResourceType")
		}
		if !slices.Contains(types, s.ResourceType) {
			return nil, invalid("'%s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		if seen[s.ResourceType] {
			return nil, fail("InvalidParameter", "Tag specification resource type must not be repeated: %s", s.ResourceType)
		}
		seen[s.ResourceType] = true
		if len(s.Tags) == 0 {
			return nil, fail("InvalidParameter", "Tag specification must have at least one tag")
		}
		if err := checkTags(s.Tags); err != nil {
			return nil, err
		}
		if s.ResourceType == want {
			tags = append(tags, s.Tags...)
		}
	}
	return tags, nil
}

type createTagsRequest struct {
	Resources []string
	Tags      []tagRequest
}

type deleteTagsRequest struct {
	Resources []string
	Tags      []struct{ Key, Value *string }
}

func createTags(c *call, q *createTagsRequest) (*empty, error) {
	if len(q.Resources) == 0 {
		return nil, missing("ResourceId")
	}
	if len(q.Tags) == 0 {
		return nil, missing("Tag")
	}
	for _, id := range q.Resources {
		if err := c.taggable(id); err != nil {
			return nil, err
		}
		if err := c.setTags(c.region, id, q.Tags); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func deleteTags(c *call, q *deleteTagsRequest) (*empty, error) {
	if len(q.Resources) == 0 {
		return nil, missing("ResourceId")
	}
	for _, id := range q.Resources {
		if err := c.taggable(id); err != nil {
			return nil, err
		}
		list := c.storedTags(c.region, id)
		list = slices.DeleteFunc(list, func(g tag) bool {
			if len(q.Tags) == 0 {
				return true
			}
			for _, d := range q.Tags {
				if d.Key != nil && *d.Key == g.Key && (d.Value == nil || *d.Value == g.Value) {
					return true
				}
			}
			return false
		})
		c.write("tags", rowKey(c.region, id), tagList(list))
	}
	return nil, nil
}

// taggable says whether a thing of that id can be seen.
func (c *call) taggable(id string) error {
	var err error
	switch resourceType(id) {
	case "instance":
		_, err = find[instance](c, id)
	case "image":
		_, err = c.image(id)
	case "import-image-task":
		_, err = find[importTask](c, id)
	case "volume":
		_, err = find[volume](c, id)
	case "snapshot":
		_, err = find[snapshot](c, id)
	case "security-group":
		_, err = find[group](c, id)
	case "security-group-rule":
		_, _, err = c.rule(id)
	case "network-interface":
		_, err = find[netInterface](c, id)
	case "key-pair":
		_, err = find[keyPair](c, id)
	case "vpc":
		_, err = find[vpc](c, id)
	case "subnet":
		_, err = find[subnet](c, id)
	case "instance-connect-endpoint":
		_, err = find[connectEndpoint](c, id)
	case "internet-gateway":
		_, err = find[gateway](c, id)
	case "route-table":
		_, err = find[routeTable](c, id)
	case "launch-template":
		_, err = find[launchTemplate](c, id)
	default:
		err = fail("InvalidID", "The ID '%s' is not valid", id)
	}
	return err
}

type describeTagsRequest struct {
	pageRequest
	Filters []filter
}

type tagDescription struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

type describeTagsResponse struct {
	Tags set[tagDescription] `xml:"tagSet"`
	pageResponse
}

var tagFilters = filters[tagDescription]{
	"key":           func(c *call, d *tagDescription) []string { return one(d.Key) },
	"value":         func(c *call, d *tagDescription) []string { return one(d.Value) },
	"resource-id":   func(c *call, d *tagDescription) []string { return one(d.ResourceID) },
	"resource-type": func(c *call, d *tagDescription) []string { return one(d.ResourceType) },
}

// taggedBy are the ids of all whose tags can pass the filters, where these say enough.
func (c *call) taggedBy(asked []filter) (ids []string, ok bool) {
	values := map[string][]string{}
	for _, f := range asked {
		if len(f.Values) > 0 && !f.wild() {
			values[f.Name] = f.Values
		}
	}
	ids = slices.Clone(values["resource-id"])
	if len(ids) == 0 {
		if len(values["key"]) == 0 || len(values["value"]) == 0 {
			return nil, false
		}
		for _, k := range values["key"] {
			for _, v := range values["value"] {
				ids = append(ids, c.ids("tags", c.region, tagMark(k, v))...)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), true
}

func describeTags(c *call, q *describeTagsRequest) (*describeTagsResponse, error) {
	ids, ok := c.taggedBy(q.Filters)
	if !ok {
		prefix := rowKey(c.region, "")
		cur := c.Bucket([]byte("tags")).Cursor()
		for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cur.Next() {
			ids = append(ids, string(k[len(prefix):]))
		}
	}
	var list []*tagDescription
	for _, id := range ids {
		for _, g := range c.tags(c.region, id) {
			list = append(list, &tagDescription{id, resourceType(id), g.Key, g.Value})
		}
	}
	list, err := tagFilters.plain().apply(c, q.Filters, list)
	if err != nil {
		return nil, err
	}
	r := &describeTagsResponse{}
	list, r.NextToken, err = page(list, q.pageRequest, 5, 1000)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		r.Tags.Items = append(r.Tags.Items, *d)
	}
	return r, nil
}
