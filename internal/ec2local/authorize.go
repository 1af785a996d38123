package ec2local

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/ec2local/model"
)

// made are the types of resources that calls of EC2 make, which IAM is asked about before they are
// there, or choose by themselves where the caller names none.
var made = map[string][]string{
	"CopyImage":                     {"image", "snapshot"},
	"CopySnapshot":                  {"snapshot"},
	"CreateFleet":                   {"fleet", "instance", "volume", "network-interface", "image", "subnet"},
	"CreateImage":                   {"image", "snapshot"},
	"CreateInstanceConnectEndpoint": {"instance-connect-endpoint"},
	"CreateKeyPair":                 {"key-pair"},
	"CreateLaunchTemplate":          {"launch-template"},
	"CreateSecurityGroup":           {"security-group", "vpc"},
	"CreateSnapshot":                {"snapshot"},
	"CreateSubnet":                  {"subnet"},
	"CreateVolume":                  {"volume"},
	"CreateVpc":                     {"vpc"},
	"ImportImage":                   {"image", "import-image-task", "snapshot"},
	"ImportKeyPair":                 {"key-pair"},
	"RegisterImage":                 {"image"},
	"RunInstances":                  {"instance", "network-interface", "security-group", "subnet", "volume"},
}

// free are the calls that everybody may make.
var free = []string{"sts:GetCallerIdentity"}

// policies bind the caller: the endpoint's file whoever has the key, and a role's own what was
// taken of it. Without any there is no bound.
func (c *call) policies() ([]*policy, error) {
	if c.session == nil {
		if c.account() != account {
			return nil, nil // whoever has another account's key is not bound
		}
		p, err := c.s.policing.policy()
		if p == nil {
			return nil, err
		}
		return []*policy{p}, nil
	}
	_, rest, _ := strings.Cut(c.session.ARN, ":assumed-role/")
	name, _, _ := strings.Cut(rest, "/")
	r := get[role](c.txn, c.home(), name)
	if r == nil {
		return nil, nil
	}
	bound := []*policy{} // a role without a policy may nothing
	for _, name := range slices.Sorted(maps.Keys(r.Policies)) {
		p, err := parsePolicy([]byte(r.Policies[name]))
		if err != nil {
			return nil, fmt.Errorf("cannot use the policy %s of the role %s: %w", name, r.ID, err)
		}
		bound = append(bound, p)
	}
	return bound, nil
}

// authorize refuses a call that the policies do not allow.
func (c *call) authorize(demands func() []demand) error {
	bound, err := c.policies()
	if err != nil {
		return fail("ValidationError", "The embedded endpoint %v", err)
	}
	if bound == nil {
		return nil
	}
	for _, d := range demands() {
		if v := judge(d, bound); v != allowed && !slices.Contains(free, d.action) {
			return c.refusal(d, v)
		}
	}
	return nil
}

// refusal is how a service says that a demand was not met.
func (c *call) refusal(d demand, v verdict) error {
	why := "because no identity-based policy allows the " + d.action + " action"
	if v == denied {
		why = "with an explicit deny in an identity-based policy"
	}
	text := fmt.Sprintf("User: %s is not authorized to perform: %s %s", c.principal(), d.text(), why)
	if c.service != "ec2" {
		return fail("AccessDenied", "%s", text)
	}
	return fail("UnauthorizedOperation", "You are not authorized to perform this operation. %s. Encoded authorization failure message: %s", text, c.s.encode(c.failure(d, v)))
}

// principal is the ARN of who calls.
func (c *call) principal() string {
	if c.session != nil {
		return c.session.ARN
	}
	return globalARN(c.home(), "iam", "user/ec2local")
}

// A failure is what STS decodes of the message of a refused call.
type failure struct {
	Allowed      bool     `json:"allowed"`
	ExplicitDeny bool     `json:"explicitDeny"`
	Matched      struct{} `json:"matchedStatements"`
	Context      struct {
		Principal struct {
			ARN string `json:"arn"`
		} `json:"principal"`
		Action     string `json:"action"`
		Resource   string `json:"resource"`
		Conditions struct {
			Items []failureKey `json:"items"`
		} `json:"conditions"`
	} `json:"context"`
}

type failureKey struct {
	Key    string `json:"key"`
	Values struct {
		Items []failureValue `json:"items"`
	} `json:"values"`
}

type failureValue struct {
	Value string `json:"value"`
}

func (c *call) failure(d demand, v verdict) failure {
	f := failure{ExplicitDeny: v == denied}
	f.Context.Principal.ARN, f.Context.Action, f.Context.Resource = c.principal(), d.action, d.resource
	for _, k := range slices.Sorted(maps.Keys(d.keys)) {
		x := failureKey{Key: k}
		for _, value := range d.keys[k] {
			x.Values.Items = append(x.Values.Items, failureValue{value})
		}
		f.Context.Conditions.Items = append(f.Context.Conditions.Items, x)
	}
	return f
}

// encode seals what a refused caller may have decoded, and others may not forge.
func (s *Server) encode(f failure) string {
	raw, _ := json.Marshal(f) // plain data always marshals
	e := base64.RawURLEncoding
	return e.EncodeToString(slices.Concat(mac([]byte(s.key.Secret), "refusal "+string(raw)), raw))
}

func (s *Server) decode(message string) (string, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(message)
	if err != nil || len(raw) < 32 || !bytes.Equal(raw[:32], mac([]byte(s.key.Secret), "refusal "+string(raw[32:]))) {
		return "", false
	}
	return string(raw[32:]), true
}

// demands are what IAM asks about a call of any service but S3.
func (c *call) demands() []demand {
	switch c.service {
	case "ec2":
		return c.ec2Demands()
	case "iam":
		return c.iamDemands()
	case "sts":
		resource := "*"
		if role := c.word("RoleArn"); role != "" {
			resource = role
		}
		return []demand{c.demand(resource, nil)}
	}
	return c.jsonDemands()
}

// demand is one with the action of the call.
func (c *call) demand(resource string, more map[string][]string) demand {
	keys := map[string][]string{"aws:requestedregion": {regionOf(c.region)}}
	if c.service == "ec2" {
		keys["ec2:region"] = keys["aws:requestedregion"]
	}
	maps.Copy(keys, more)
	return demand{c.service + ":" + c.action, resource, keys}
}

// word is a text of the request, or "".
func (c *call) word(member string) string {
	text, _ := c.values[member].(string)
	return text
}

// ec2Demands ask about each thing that the request names, about those that it makes, about their
// tags, and about what is handed to EC2: a role, a key. What only looks, looks at everything.
func (c *call) ec2Demands() (ds []demand) {
	if !ec2Operations[c.action].writes && c.action != "GetConsoleOutput" && c.action != "GetPasswordData" {
		return []demand{c.demand("*", nil)}
	}
	specs := requestTags(c.values["TagSpecifications"])
	named := map[string]bool{} // types
	request := maps.Clone(c.values)
	delete(request, "LaunchTemplateData") // who launches by it is asked about what it says
	delete(request, "IpPermissions")      // a rule is of its own group, and names others
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids(request)))) {
		kind, region := resourceType(id), c.region
		if id == c.word("SourceImageId") || id == c.word("SourceSnapshotId") {
			region = placeIn(c.word("SourceRegion"), c.account())
		} else {
			named[kind] = true
		}
		more := c.resourceTags(region, id)
		if kind == "image" {
			elsewhere := *c
			elsewhere.region = region
			if i, err := elsewhere.image(id); err == nil {
				more["ec2:owner"] = []string{i.Owner}
			}
		}
		if c.action == "CreateTags" || c.action == "DeleteTags" {
			maps.Copy(more, tagKeys("aws:requesttag/", requestPairs(c.values["Tags"])))
		}
		ds = append(ds, c.demand(c.ec2ARN(region, kind, id), more))
	}
	if name := c.word("KeyName"); name != "" && c.action != "ImportKeyPair" && c.action != "CreateKeyPair" {
		more := map[string][]string{}
		for _, k := range all[keyPair](c.txn, c.region) {
			if k.Name == name {
				more = c.resourceTags(c.region, k.ID)
			}
		}
		ds = append(ds, c.demand(c.ec2ARN(c.region, "key-pair", name), more))
	}
	makes := made[c.action]
	for _, kind := range makes {
		if !named[kind] || specs[kind] != nil {
			more := tagKeys("aws:requesttag/", specs[kind])
			if kind == "instance" {
				more["ec2:instancetype"] = []string{c.word("InstanceType")}
			}
			ds = append(ds, c.demand(c.ec2ARN(c.region, kind, "*"), more))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(specs)) {
		d := c.demand(c.ec2ARN(c.region, kind, "*"), tagKeys("aws:requesttag/", specs[kind]))
		d.action, d.keys["ec2:createaction"] = "ec2:CreateTags", []string{c.action}
		ds = append(ds, d)
		if kind == "spot-instances-request" {
			ds = append(ds, c.demand(d.resource, d.keys))
		}
	}
	switch {
	case len(ds) > 0:
	case c.word("LaunchTemplateName") != "":
		ds = append(ds, c.demand(c.ec2ARN(c.region, "launch-template", "*"), nil))
	default:
		ds = append(ds, c.demand("*", nil))
	}
	return append(ds, c.handedOver()...)
}

// handedOver are the demands about a role that an instance gets, and keys that volumes are
// encrypted with, but for AWS's own.
func (c *call) handedOver() (ds []demand) {
	if v, ok := c.values["IamInstanceProfile"].(model.Values); ok {
		name, _ := v["Name"].(string)
		arn, _ := v["Arn"].(string)
		for _, p := range all[profile](c.txn, c.home()) {
			if p.ID != name && p.arn() != arn {
				continue
			}
			if r := get[role](c.txn, c.home(), p.Role); r != nil {
				ds = append(ds, demand{"iam:PassRole", r.arn(), map[string][]string{"iam:passedtoservice": {"ec2.amazonaws.com"}}})
			}
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(members(c.values, "KmsKeyId")))) {
		arn, _ := c.volumeKey(name)
		if arn == "" || ownKeyARN(arn, c.region) {
			continue
		}
		for _, action := range []string{"CreateGrant", "DescribeKey", "GenerateDataKeyWithoutPlaintext"} {
			more := c.aliases(name)
			more["aws:requestedregion"], more["kms:viaservice"] = []string{regionOf(c.region)}, []string{"ec2." + regionOf(c.region) + ".amazonaws.com"}
			ds = append(ds, demand{"kms:" + action, arn, more})
		}
	}
	return ds
}

// aliases are the condition key of what a key of KMS is called.
func (c *call) aliases(name string) map[string][]string {
	if k := c.key(c.region, name); k != nil && len(k.Aliases) > 0 {
		return map[string][]string{"kms:resourcealiases": k.Aliases}
	}
	return map[string][]string{}
}

// ec2ARN names a resource of EC2. Images and snapshots have no account in theirs.
func (c *call) ec2ARN(region, kind, id string) string {
	if !knownRegion(region) {
		region = c.region
	}
	if kind == "image" || kind == "snapshot" {
		return "arn:" + partitionOf(region).name + ":ec2:" + regionOf(region) + "::" + kind + "/" + id
	}
	return arn("ec2", region, kind+"/"+id)
}

// resourceTags are the condition keys of a thing's tags.
func (c *call) resourceTags(region, id string) map[string][]string {
	var list []tagRequest
	for _, g := range c.storedTags(region, id) {
		list = append(list, tagRequest{g.Key, g.Value})
	}
	m := tagKeys("aws:resourcetag/", list)
	delete(m, "aws:tagkeys")
	maps.Copy(m, tagKeys("ec2:resourcetag/", list))
	delete(m, "aws:tagkeys")
	return m
}

// tagKeys are the condition keys of tags, below a prefix.
func tagKeys(prefix string, tags []tagRequest) map[string][]string {
	m := map[string][]string{}
	for _, g := range tags {
		m[prefix+strings.ToLower(g.Key)] = []string{g.Value}
		m["aws:tagkeys"] = append(m["aws:tagkeys"], g.Key)
	}
	return m
}

// requestTags are the tags of a request by the type of what gets them.
func requestTags(specs any) map[string][]tagRequest {
	m := map[string][]tagRequest{}
	list, _ := specs.([]any)
	for _, x := range list {
		if v, ok := x.(model.Values); ok {
			kind, _ := v["ResourceType"].(string)
			m[kind] = requestPairs(v["Tags"])
		}
	}
	return m
}

func requestPairs(tags any) (out []tagRequest) {
	list, _ := tags.([]any)
	for _, x := range list {
		if v, ok := x.(model.Values); ok {
			key, _ := v["Key"].(string)
			value, _ := v["Value"].(string)
			out = append(out, tagRequest{key, value})
		}
	}
	return out
}

// saying are members of requests whose texts name nothing, whatever they look like.
var saying = []string{"TagSpecifications", "Tags", "Description", "Name", "ClientToken", "UserData", "KeyName", "GroupName"}

// ids are those of EC2's that a request names.
func ids(v any) (out []string) {
	switch v := v.(type) {
	case string:
		if idPattern.MatchString(v) && resourceType(v) != "" {
			out = append(out, v)
		}
	case []any:
		for _, x := range v {
			out = append(out, ids(x)...)
		}
	case model.Values:
		for name, x := range v {
			if !slices.Contains(saying, name) {
				out = append(out, ids(x)...)
			}
		}
	}
	return out
}

// members are the texts of a name anywhere in a request.
func members(v any, name string) (out []string) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out = append(out, members(x, name)...)
		}
	case model.Values:
		for n, x := range v {
			if text, ok := x.(string); ok && n == name {
				out = append(out, text)
			}
			out = append(out, members(x, name)...)
		}
	}
	return out
}

// iamDemands ask about the role or the profile that a call of IAM names. Whoever puts a role into
// a profile passes it.
func (c *call) iamDemands() (ds []demand) {
	roleName, profileName := c.word("RoleName"), c.word("InstanceProfileName")
	more := tagKeys("aws:requesttag/", requestPairs(c.values["Tags"]))
	path := "/"
	if p := c.word("Path"); p != "" {
		path = p
	}
	if profileName != "" {
		r := globalARN(c.home(), "iam", "instance-profile"+path+profileName)
		if p := get[profile](c.txn, c.home(), profileName); p != nil {
			r = p.arn()
			maps.Copy(more, c.resourceTags(c.home(), tagKey(p)))
		}
		ds = append(ds, c.demand(r, more))
	}
	if roleName != "" {
		r := globalARN(c.home(), "iam", "role"+path+roleName)
		if p := get[role](c.txn, c.home(), roleName); p != nil {
			r = p.arn()
			maps.Copy(more, c.resourceTags(c.home(), tagKey(p)))
		}
		switch {
		case profileName == "":
			ds = append(ds, c.demand(r, more))
		case c.action == "AddRoleToInstanceProfile":
			ds = append(ds, demand{"iam:PassRole", r, nil})
		}
	}
	if ds == nil {
		ds = append(ds, c.demand("*", nil))
	}
	if kind, ok := strings.CutPrefix(c.action, "Create"); ok && c.values["Tags"] != nil {
		d := ds[0]
		d.action = "iam:Tag" + kind
		ds = append(ds, d)
	}
	return ds
}

// jsonDemands ask about what the services name that speak JSON.
func (c *call) jsonDemands() (ds []demand) {
	var q struct {
		Name, SecretId, KeyId, Target, DocumentName, SessionId string
		Names                                                  []string
	}
	json.Unmarshal(c.body, &q) // what is wrong with it is told by the operation
	switch c.service {
	case "ssm":
		for _, name := range append(q.Names, q.Name) {
			if name != "" {
				name, _, _ = strings.Cut(name, ":")
				ds = append(ds, c.demand(arn("ssm", c.region, "parameter/"+strings.TrimPrefix(name, "/")), nil))
			}
		}
		if q.Target != "" {
			ds = append(ds, c.demand(c.ec2ARN(c.region, "instance", q.Target), c.resourceTags(c.region, q.Target)),
				c.demand("arn:"+partitionOf(c.region).name+":ssm:"+regionOf(c.region)+"::document/"+q.DocumentName, nil))
		}
		if q.SessionId != "" {
			ds = append(ds, c.demand(arn("ssm", c.region, "session/"+q.SessionId), nil))
		}
	case "secretsmanager":
		if q.SecretId != "" {
			r := q.SecretId
			if !strings.HasPrefix(r, "arn:") {
				r = arn("secretsmanager", c.region, "secret:"+r+"-??????")
				if s := get[secret](c.txn, c.region, q.SecretId); s != nil {
					r = s.arn()
				}
			}
			ds = append(ds, c.demand(r, nil))
		}
	case "kms":
		if k := c.key(c.region, q.KeyId); k != nil {
			ds = append(ds, c.demand(k.arn(), c.aliases(q.KeyId)))
		}
	}
	if ds == nil {
		ds = append(ds, c.demand("*", nil))
	}
	return ds
}

// s3Actions are what IAM calls the calls of S3 that it has another name for.
var s3Actions = map[string]string{
	"HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "ListBuckets": "ListAllMyBuckets", "HeadObject": "GetObject",
	"CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
	"ListParts": "ListMultipartUploadParts", "ListMultipartUploads": "ListBucketMultipartUploads",
}

// authorize refuses what the policies do not allow of S3.
func (q *s3Request) authorize(operation string) error {
	return q.s.view(func(t *txn) error {
		c := &call{txn: t, caller: q.who, action: operation}
		if name := s3Actions[operation]; name != "" {
			c.action = name
		}
		return c.authorize(func() []demand {
			resource := "arn:" + partitionOf(q.who.region).name + ":s3:::" + q.bucket
			switch {
			case q.bucket == "":
				resource = "*"
			case q.key != "":
				resource += "/" + q.key
			}
			return []demand{c.demand(resource, nil)}
		})
	})
}
