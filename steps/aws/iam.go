package aws

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// iamService is IAM, which speaks the query protocol. Its calls are signed here: for twelve of
// them its SDK package is too large.
var iamService = jsonService{signed: "iam", variable: "IAM", id: "IAM"}

// iamHome is where a partition has its IAM, which is one for all of its regions.
type iamHome struct {
	prefix string // of the names of regions
	region string // in signatures
	host   string
	ec2    string // what EC2 is called in policies
}

var iamHomes = []iamHome{
	{"cn-", "cn-north-1", "iam.cn-north-1.amazonaws.com.cn", "ec2.amazonaws.com.cn"},
	{"us-gov-", "us-gov-west-1", "iam.us-gov.amazonaws.com", "ec2.amazonaws.com"},
	{"us-isob-", "us-isob-east-1", "iam.us-isob-east-1.sc2s.sgov.gov", "ec2.sc2s.sgov.gov"},
	{"us-iso-", "us-iso-east-1", "iam.us-iso-east-1.c2s.ic.gov", "ec2.c2s.ic.gov"},
	{"", "us-east-1", "iam.amazonaws.com", "ec2.amazonaws.com"},
}

func iamOf(region string) iamHome {
	return iamHomes[slices.IndexFunc(iamHomes, func(h iamHome) bool { return strings.HasPrefix(region, h.prefix) })]
}

// iamPath is in the names of the roles and profiles that are made for builds in a region. By it
// they are listed, and policies name them before they are there.
func iamPath(region string) string { return iamRoot + region + "/" }

const iamRoot = "/imgflow/"

// iamCalls are those that are made.
var iamCalls = []string{"AddRoleToInstanceProfile", "CreateInstanceProfile", "CreateRole", "DeleteInstanceProfile", "DeleteRole", "DeleteRolePolicy",
	"GetInstanceProfile", "GetRole", "ListInstanceProfiles", "ListRoles", "PutRolePolicy", "RemoveRoleFromInstanceProfile"}

// callIAM calls an operation with the credentials, the pace and the patience of a place's EC2
// client, and decodes its reply.
func (c *Cloud) callIAM(ctx context.Context, p Place, operation string, in url.Values, out any) error {
	at, err := c.site(ctx, p)
	if err != nil {
		return err
	}
	home := iamOf(p.Region)
	endpoint, err := c.ownEndpoint(ctx, p, iamService)
	if err != nil {
		return fmt.Errorf("cannot call %s: %w", operation, err)
	}
	if endpoint == "" {
		host := home.host
		if home.prefix == "" && at.options.EndpointOptions.UseFIPSEndpoint == awssdk.FIPSEndpointStateEnabled {
			host = "iam-fips.amazonaws.com"
		}
		endpoint = "https://" + host
	}
	form := maps.Clone(in)
	form.Set("Action", operation)
	form.Set("Version", "2010-05-08")
	call := outgoing{url: strings.TrimSuffix(endpoint, "/") + "/", signed: iamService.signed, region: home.region, operation: operation, body: []byte(form.Encode())}
	return at.attempts(ctx, iamService.id, operation, func() error {
		call.header = http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
		reply, err := at.send(ctx, call, readQueryRefusal)
		if err != nil {
			return err
		}
		reflect.ValueOf(out).Elem().SetZero() // of an attempt before
		bad := xml.Unmarshal(reply, out) != nil
		if w, asks := out.(interface{ whole() bool }); asks && !bad {
			bad = !w.whole()
		}
		if bad {
			err = &replyError{fmt.Sprintf("the reply to %s is not XML as AWS's is, %d bytes", operation, len(reply)), true}
		}
		return err
	})
}

// readQueryRefusal reads the error of a service that speaks the query protocol.
func readQueryRefusal(reply []byte) (code, message string, whole bool) {
	var e struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if xml.Unmarshal(reply, &e) != nil {
		return "", "", !bytes.Contains(reply, []byte("<ErrorResponse"))
	}
	return e.Code, e.Message, true
}

// iamTags are tags as IAM takes them: fewer characters than EC2, and no two keys that
// differ in case alone.
func iamTags(form url.Values, tags map[string]string) {
	taken, n := map[string]bool{}, 0
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		key := notInTags.ReplaceAllString(k, "-")
		if taken[strings.ToLower(key)] {
			continue
		}
		taken[strings.ToLower(key)] = true
		n++
		form.Set(fmt.Sprintf("Tags.member.%d.Key", n), key)
		form.Set(fmt.Sprintf("Tags.member.%d.Value", n), notInTags.ReplaceAllString(tags[k], "-"))
	}
}

// iamThing is what IAM shows of a role or of an instance profile.
type iamThing struct {
	Role    string `xml:"RoleName"`
	Profile string `xml:"InstanceProfileName"`
	Path    string
	Roles   []iamThing `xml:"Roles>member"` // of a profile
	Tags    []struct {
		Key   string
		Value string
	} `xml:"Tags>member"`
}

func (i iamThing) tag(key string) string {
	for _, t := range i.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// iamShown is the reply to a look at one of them.
type iamShown struct {
	Role    iamThing `xml:"GetRoleResult>Role"`
	Profile iamThing `xml:"GetInstanceProfileResult>InstanceProfile"`
}

func (s *iamShown) whole() bool {
	return s.Role.Role+s.Profile.Profile != "" && s.Role.Path+s.Profile.Path != ""
}

// iamList is the reply to a listing.
type iamList struct {
	Roles    []iamThing `xml:"ListRolesResult>Roles>member"`
	Profiles []iamThing `xml:"ListInstanceProfilesResult>InstanceProfiles>member"`
	// A marker is that of the next page; each page says whether there is one.
	AfterRole    string `xml:"ListRolesResult>Marker"`
	AfterProfile string `xml:"ListInstanceProfilesResult>Marker"`
	MoreRoles    string `xml:"ListRolesResult>IsTruncated"`
	MoreProfiles string `xml:"ListInstanceProfilesResult>IsTruncated"`
}

func (l *iamList) whole() bool { return l.MoreRoles+l.MoreProfiles != "" }

// iamThing looks for a role or a profile by its name. One that is not of a build in this
// region is not found: the name is one for all regions.
func (c *Cloud) iamThing(ctx context.Context, p Place, operation, member, name, doing string) (iamThing, error) {
	var out iamShown
	if err := c.callIAM(ctx, p, operation, url.Values{member: {name}}, &out); err != nil {
		return iamThing{}, wrapAPI(doing, operation, old, err)
	}
	found := out.Role
	if operation == "GetInstanceProfile" {
		found = out.Profile
	}
	if found.Path != iamPath(p.Region) {
		return iamThing{}, dag.ErrNotFound
	}
	return found, nil
}

// iamLabels are the tags of the roles and profiles that were made for builds in a place, by their
// names. The path that they have in common tells where; whoever may not list them has made none.
func (c *Cloud) iamLabels(ctx context.Context, p Place) (map[string]*labels, error) {
	all := map[string]*labels{}
	for _, of := range []struct {
		list, get, member string
		kind              types.ResourceType
	}{{"ListInstanceProfiles", "GetInstanceProfile", "InstanceProfileName", typeProfile}, {"ListRoles", "GetRole", "RoleName", typeRole}} {
		names, err := c.iamNames(ctx, p, of.list)
		if code, _ := apiError(err); lacksPermission(code) {
			continue
		}
		if err != nil {
			return nil, wrapAPI("list what is left in IAM", of.list, old, err)
		}
		for _, name := range names { // a list has no tags
			found, err := c.iamThing(ctx, p, of.get, of.member, name, "look at "+name)
			if errors.Is(err, dag.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			l := &labels{kind: of.kind, tags: map[string]string{}}
			for _, t := range found.Tags {
				l.tags[t.Key] = t.Value
			}
			all[name] = l
		}
	}
	return all, nil
}

// iamNames are the names of the roles, or of the profiles, that were made for builds in a place.
func (c *Cloud) iamNames(ctx context.Context, p Place, operation string) (names []string, err error) {
	in := url.Values{"PathPrefix": {iamPath(p.Region)}, "MaxItems": {"1000"}}
	for range mostPages {
		var out iamList
		if err := c.callIAM(ctx, p, operation, in, &out); err != nil {
			return nil, err
		}
		for _, x := range slices.Concat(out.Roles, out.Profiles) {
			names = append(names, cmp.Or(x.Profile, x.Role))
		}
		marker := out.AfterRole + out.AfterProfile
		if marker == "" {
			break
		}
		in.Set("Marker", marker)
	}
	return names, nil
}
