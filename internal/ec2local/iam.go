package ec2local

var iamOperations = map[string]operation{
	"AddRoleToInstanceProfile":      writes(addRoleToProfile),
	"CreateInstanceProfile":         writes(createProfile),
	"CreateRole":                    writes(createRole),
	"DeleteInstanceProfile":         writes(deleteProfile),
	"DeleteRole":                    writes(deleteRole),
	"DeleteRolePolicy":              writes(deleteRolePolicy),
	"GetInstanceProfile":            reads(getProfile),
	"GetRole":                       reads(getRole),
	"ListInstanceProfiles":          reads(listProfiles),
	"ListRolePolicies":              reads(listRolePolicies),
	"ListRoles":                     reads(listRoles),
	"PutRolePolicy":                 writes(putRolePolicy),
	"RemoveRoleFromInstanceProfile": writes(removeRoleFromProfile),
}

// home is the place of what has no region: the name of the partition, for the account.
func (c *call) home() string { return placeIn(partitionOf(c.region).name, c.account()) }

func iamBase(c *call, name string) base {
	b := c.newBase(name)
	b.Region, b.Visible = c.home(), c.s.injector.visible("iam", c.now)
	return b
}

var (
	iamName = patternOf(`^[\w+=,.@-]+$`)
	iamPath = patternOf(`^/([!-~]*/)?$`)
)

func checkIAM(kind, name, path string, most int) (string, error) {
	if len(name) > most || !iamName.MatchString(name) {
		return "", fail("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_- and at most %d of them", kind, most)
	}
	if path == "" {
		path = "/"
	}
	if len(path) > 512 || !iamPath.MatchString(path) {
		return "", fail("ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

type iamTag struct {
	Key   string
	Value string
}

type iamTags struct {
	Items []iamTag `xml:"member"`
}

func (c *call) iamTags(r record) *iamTags {
	tags := c.tags(c.home(), tagKey(r))
	if len(tags) == 0 {
		return nil
	}
	out := &iamTags{}
	for _, t := range tags {
		out.Items = append(out.Items, iamTag{t.Key, t.Value})
	}
	return out
}

// tagKey keeps a role and a profile of the same name apart.
func tagKey(r record) string { return r.table() + ":" + r.ident().ID }

func iamStamp(b base) string { return b.Created.UTC().Format("2006-01-02T15:04:05Z") }

type nothing struct{}

type iamPage struct {
	Marker     string
	MaxItems   *int
	PathPrefix string
}

// iamCut cuts a page; markers are the tokens of page.
func iamCut[T any](list []T, q iamPage) ([]T, string, error) {
	out, next, err := page(list, pageRequest{q.MaxItems, q.Marker}, 1, 1000)
	if err != nil {
		return nil, "", fail("ValidationError", "%s", asAPI(err).Message)
	}
	return out, next, nil
}
