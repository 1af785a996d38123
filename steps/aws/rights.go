package aws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Policy is one of IAM.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement is one of a policy: actions that may be done to resources, if conditions hold.
type Statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// needing is what the steps of a kind need to be allowed, to do them, to find what they have made
// after a crash, and to remove it. Actions are those of EC2.
type needing struct {
	look []string                 // what only looks, at anything
	make []string                 // what makes things; they have the tag of the run from their first instant
	own  []string                 // what is done to things that have it
	more func(n dag.Node) permits // what depends on the settings
}

// A permit is what settings need beside that.
type permit struct {
	sid       string
	actions   []string // with their services
	on        []string // ARNs, with REGION where that of the step belongs
	condition map[string]map[string][]string
}

type permits []permit

// tagRun is the condition that what is made, or is there, has the tag of a run.
func tagRun(of string) map[string]map[string][]string {
	return map[string]map[string][]string{"StringLike": {"aws:" + of + "Tag/" + TagRun: {"*"}}}
}

// ofEC2 is an ARN of EC2's, in the region of the step.
func ofEC2(kinds ...string) (on []string) {
	for _, k := range kinds {
		account := "*"
		if k == "image" || k == "snapshot" {
			account = ""
		}
		on = append(on, "arn:aws:ec2:REGION:"+account+":"+k+"/*")
	}
	return on
}

var (
	removesImages = []string{"DeleteSnapshot", "DeregisterImage", "DisableImageDeregistrationProtection"}
	looksAtImages = []string{"DescribeImages", "DescribeSnapshots"}
)

// needs is what each kind needs.
var needs = map[string]needing{
	CheckAccess{}.Kind():         {look: []string{"DescribeSecurityGroups"}},
	Source{}.Kind():              {look: []string{"DescribeImages"}},
	NameCheck{}.Kind():           {look: []string{"DescribeImages"}},
	CheckValues{}.Kind():         {},
	FindNetwork{}.Kind():         {look: []string{"DescribeInstanceTypeOfferings", "DescribeKeyPairs", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs"}},
	FindConnectEndpoint{}.Kind(): {look: []string{"DescribeInstanceConnectEndpoints", "DescribeVpcs"}, more: tunnelNeeds},
	ImportKey{}.Kind():           {look: []string{"DescribeKeyPairs"}, make: []string{"ImportKeyPair"}, own: []string{"DeleteKeyPair"}},
	Group{}.Kind(): {look: []string{"DescribeInstances", "DescribeSecurityGroups"}, make: []string{"CreateSecurityGroup"}, own: []string{"DeleteSecurityGroup"}, more: func(dag.Node) permits {
		return permits{{sid: "PutGroupsIntoNetworks", actions: []string{"ec2:CreateSecurityGroup"}, on: ofEC2("vpc")}}
	}},
	Admit{}.Kind():       {own: []string{"AuthorizeSecurityGroupIngress"}},
	MakeRole{}.Kind():    {more: roleNeeds},
	MakeProfile{}.Kind(): {more: profileNeeds},
	GrantPolicy{}.Kind(): {},
	SpotPrices{}.Kind():  {look: []string{"DescribeSpotPriceHistory"}},
	Launch{}.Kind():      {look: []string{"DescribeInstances"}, make: []string{"RunInstances"}, own: []string{"RunInstances", "TerminateInstances"}, more: launchNeeds},
	Wait{}.Kind():        {look: []string{"DescribeInstances"}, own: []string{"GetConsoleOutput"}},
	OpenSession{}.Kind(): {look: []string{"DescribeInstances"}, more: sessionNeeds},
	Password{}.Kind():    {own: []string{"GetPasswordData"}},
	FindVolumes{}.Kind(): {look: []string{"DescribeInstances", "DescribeVolumes"}, own: []string{"CreateTags", "DeleteVolume", "ModifyInstanceAttribute"}}, // the last for the end of the instance
	KeepVolumes{}.Kind(): {look: []string{"DescribeVolumes"}, own: []string{"DeleteTags", "DeleteVolume"}},
	Stop{}.Kind():        {look: []string{"DescribeInstances"}, own: []string{"StopInstances"}},
	Regroup{}.Kind(): {look: []string{"DescribeSecurityGroups"}, own: []string{"ModifyInstanceAttribute"}, more: func(dag.Node) permits {
		return permits{{sid: "MoveIntoGroups", actions: []string{"ec2:ModifyInstanceAttribute"}, on: ofEC2("security-group")}}
	}},
	Enhance{}.Kind(): {own: []string{"ModifyInstanceAttribute"}},
	Deregister{}.Kind(): {look: looksAtImages, more: func(dag.Node) permits {
		return permits{{sid: "ReplaceImages", actions: []string{"ec2:DeregisterImage"}, on: ofEC2("image")}}
	}},
	DropSnapshots{}.Kind(): {look: looksAtImages, more: func(dag.Node) permits {
		return permits{{sid: "ReplaceSnapshots", actions: []string{"ec2:DeleteSnapshot"}, on: ofEC2("snapshot")}}
	}},
	CreateImage{}.Kind():     {look: looksAtImages, make: []string{"CreateImage"}, own: append([]string{"CreateImage"}, removesImages...)},
	SwapRoot{}.Kind():        {look: []string{"DescribeInstances"}, own: []string{"AttachVolume", "DetachVolume"}},
	RegisterImage{}.Kind():   {look: looksAtImages, make: []string{"RegisterImage"}, own: append([]string{"RegisterImage"}, removesImages...), more: registerNeeds},
	CreateSnapshot{}.Kind():  {look: []string{"DescribeInstances", "DescribeSnapshots"}, make: []string{"CreateSnapshot"}, own: []string{"CreateSnapshot", "DeleteSnapshot"}},
	SnapshotReady{}.Kind():   {look: []string{"DescribeSnapshots"}, own: []string{"DeleteTags"}},
	VolumeProduct{}.Kind():   {},
	Product{}.Kind():         {},
	Candidate{}.Kind():       {look: []string{"DescribeImages"}},
	Pass{}.Kind():            {look: []string{"DescribeInstances"}},
	ImageReady{}.Kind():      {look: looksAtImages, own: []string{"DeleteTags"}},
	CopyImage{}.Kind():       {look: looksAtImages, make: []string{"CopyImage"}, own: append([]string{"CopyImage"}, removesImages...), more: copyNeeds},
	CheckKeys{}.Kind():       {more: checkKeysNeeds},
	Copied{}.Kind():          {},
	Share{}.Kind():           {own: []string{"ModifyImageAttribute"}},
	ShareSnapshots{}.Kind():  {look: []string{"DescribeSnapshots"}, own: []string{"ModifySnapshotAttribute"}},
	AddProductCodes{}.Kind(): {own: []string{"ModifyImageAttribute"}},
	FindTemplate{}.Kind():    {look: []string{"DescribeLaunchTemplates"}},
	EnableFastLaunch{}.Kind(): {look: []string{"DescribeFastLaunchImages"}, own: []string{"EnableFastLaunch"}, more: func(dag.Node) permits {
		return permits{{sid: "LaunchFast", actions: []string{"ec2:EnableFastLaunch"}, on: ofEC2("launch-template")}}
	}},
	Deprecate{}.Kind():        {own: []string{"EnableImageDeprecation"}},
	Protect{}.Kind():          {own: []string{"DisableImageDeregistrationProtection", "EnableImageDeregistrationProtection"}},
	RequireIMDSv2{}.Kind():    {own: []string{"ModifyImageAttribute"}},
	PublishParameter{}.Kind(): {look: []string{"DescribeImages"}, more: publishParameterNeeds}, // Systems Manager looks whether there is the image
	PublishTemplate{}.Kind():  {look: []string{"DescribeLaunchTemplateVersions"}, more: publishTemplateNeeds},
	CheckBucket{}.Kind():      {more: bucketNeeds},
	BeginUpload{}.Kind():      {more: bucketNeeds},
	UploadObject{}.Kind():     {},
	ImportImage{}.Kind():      {look: append([]string{"DescribeImportImageTasks"}, looksAtImages...), make: []string{"ImportImage"}, own: append([]string{"CancelImportTask"}, removesImages...), more: importNeeds},
	WaitImport{}.Kind():       {look: append([]string{"DescribeImportImageTasks"}, looksAtImages...)},
	NameImport{}.Kind():       {look: looksAtImages, make: []string{"CopyImage"}, own: append([]string{"CopyImage"}, removesImages...), more: copyNeeds},
	DescribeImport{}.Kind():   {own: []string{"ModifyImageAttribute"}},
	ImportProduct{}.Kind():    {},
	DataAMI{}.Kind():          {look: []string{"DescribeImages"}},
	DataParameter{}.Kind(): {more: func(n dag.Node) permits {
		s := settings[DataParameter](n)
		name, _, _ := strings.Cut(s.Name, ":")
		return permits{{sid: "ReadParameters", actions: []string{"ssm:GetParameter"}, on: []string{"arn:aws:ssm:REGION:*:parameter/" + strings.TrimPrefix(name, "/")}}}
	}},
	DataSecret{}.Kind(): {more: func(n dag.Node) permits {
		name := settings[DataSecret](n).Name
		if !strings.HasPrefix(name, "arn:") {
			name = "arn:aws:secretsmanager:REGION:*:secret:" + name + "-??????"
		}
		return permits{{sid: "ReadSecrets", actions: []string{"secretsmanager:GetSecretValue"}, on: []string{name}}}
	}},
}

func settings[T any](n dag.Node) (s T) {
	json.Unmarshal(n.Spec, &s) // a node's own settings always read; what was made by a later version has less
	return s
}

// launchNeeds are what a launch uses that no run has made, and what it hands to EC2.
func launchNeeds(n dag.Node) permits {
	s := settings[Launch](n)
	on := ofEC2("image", "network-interface", "security-group", "subnet")
	for kind, needed := range map[string]bool{
		"key-pair": s.KeyName != "", "spot-instances-request": s.Spot.on(), "capacity-reservation": s.CapacityID != "",
		"dedicated-host": s.Placement.HostID != "", "license-configuration": len(s.Licenses) > 0,
	} {
		if needed {
			on = append(on, ofEC2(kind)...)
		}
	}
	gs := permits{}
	for _, m := range s.LaunchMappings {
		if m.SnapshotID != "" {
			on = append(on, "arn:aws:ec2:REGION::snapshot/"+m.SnapshotID)
		}
		gs = append(gs, keyNeeds(m.KMSKeyID)...)
	}
	slices.Sort(on)
	gs = append(gs, permit{sid: "LaunchWith", actions: []string{"ec2:RunInstances"}, on: slices.Compact(on)})
	if s.InstanceProfile != "" {
		gs = append(gs, permit{sid: "PassRoles", actions: []string{"iam:PassRole"}, on: []string{"arn:aws:iam::*:role/" + s.InstanceProfile},
			condition: map[string]map[string][]string{"StringEquals": {"iam:PassedToService": {"ec2.amazonaws.com"}}}})
	}
	return append(gs, keyNeeds(s.Encrypt.Key)...)
}

// registerNeeds are the snapshots of an image that no run has made.
func registerNeeds(n dag.Node) (gs permits) {
	for _, id := range given(settings[RegisterImage](n).Mappings) {
		gs = append(gs, permit{sid: "RegisterWith", actions: []string{"ec2:RegisterImage"}, on: []string{"arn:aws:ec2:REGION::snapshot/" + id}})
	}
	return gs
}

// roleNeeds are those of all that is done to a temporary role, its policy among it. It is passed on to the profile, and to EC2.
func roleNeeds(n dag.Node) permits {
	region := settings[MakeRole](n).Region
	on := ofIAM("role", region)
	return permits{
		{sid: "MakeRoles", actions: []string{"iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:GetRole", "iam:PutRolePolicy", "iam:TagRole"}, on: on},
		{sid: "PassOwnRoles", actions: []string{"iam:PassRole"}, on: on[:1],
			condition: map[string]map[string][]string{"StringEqualsIfExists": {"iam:PassedToService": {iamOf(region).ec2}}}},
	}
}

// ofIAM are ARNs of what is made for builds in a region. What there is not has no path: it is looked
// for by its name, which is a token.
func ofIAM(kind, region string) []string {
	return []string{"arn:aws:iam::*:" + kind + iamPath(region) + "*", "arn:aws:iam::*:" + kind + "/imgflow-*"}
}

// profileNeeds are those of all that is done to a temporary profile.
func profileNeeds(n dag.Node) permits {
	return permits{{sid: "MakeProfiles", on: ofIAM("instance-profile", settings[MakeProfile](n).Region),
		actions: []string{"iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:GetInstanceProfile",
			"iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile"}}}
}

func copyNeeds(n dag.Node) permits { return keyNeeds(settings[CopyImage](n).Encrypt.Key) }

// sessionNeeds are sessions to machines of a run, and their ends, whoever began them.
func sessionNeeds(dag.Node) permits {
	return permits{
		{sid: "FindSessions", actions: []string{"ssm:DescribeSessions"}, on: []string{"*"}},
		{sid: "BeginSessions", actions: []string{"ssm:StartSession"}, on: ofEC2("instance"), condition: tagRun("Resource")},
		{sid: "ForwardPorts", actions: []string{"ssm:StartSession"}, on: []string{"arn:aws:ssm:REGION:*:document/AWS-StartPortForwardingSession"}},
		{sid: "UseSessions", actions: []string{"ssm:ResumeSession", "ssm:TerminateSession", "ssmmessages:OpenDataChannel"}, on: []string{"arn:aws:ssm:REGION:*:session/*"}},
	}
}

// tunnelNeeds are tunnels to the port of SSH.
func tunnelNeeds(n dag.Node) permits {
	on := "*"
	if s := settings[FindConnectEndpoint](n); s.ID != "" {
		on = s.ID
	}
	return permits{{sid: "OpenTunnels", actions: []string{"ec2-instance-connect:OpenTunnel"}, on: []string{"arn:aws:ec2:REGION:*:instance-connect-endpoint/" + on},
		condition: map[string]map[string][]string{"NumericEquals": {"ec2-instance-connect:remotePort": {strconv.Itoa(tunnelPort)}}}}}
}

// keyNeeds are what EBS does with a key of the user's in their name.
func keyNeeds(key string) permits {
	if key == "" || isAWSKey(key) {
		return nil
	}
	g := onKey(key, "EncryptWith", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo")
	if g.condition == nil {
		g.condition = map[string]map[string][]string{}
	}
	g.condition["StringLike"] = map[string][]string{"kms:ViaService": {"ec2.REGION.amazonaws.com*"}}
	return permits{g}
}

func checkKeysNeeds(n dag.Node) (gs permits) {
	for _, key := range settings[CheckKeys](n).Keys {
		if !isAWSKey(key) {
			gs = append(gs, onKey(key, "LookAtKeys", "kms:DescribeKey"))
		}
	}
	return gs
}

// onKey names a key as KMS asks for it: never by an alias, which is a condition.
func onKey(key, sid string, actions ...string) permit {
	g := permit{sid: sid, actions: actions, on: []string{key}}
	alias := key[strings.LastIndex(key, ":")+1:]
	switch {
	case strings.HasPrefix(alias, "alias/"):
		g.on = []string{"arn:aws:kms:REGION:*:key/*"}
		g.condition = map[string]map[string][]string{"ForAnyValue:StringEquals": {"kms:ResourceAliases": {alias}}}
	case !strings.HasPrefix(key, "arn:"):
		g.on = []string{"arn:aws:kms:REGION:*:key/" + key}
	}
	return g
}

// bucketNeeds are the upload of a disk and its end.
func bucketNeeds(n dag.Node) permits {
	bucket := "arn:aws:s3:::" + cmp.Or(settings[CheckBucket](n).Bucket, settings[BeginUpload](n).Bucket)
	return permits{
		{sid: "UploadDisks", on: []string{bucket, bucket + "/*"}, actions: []string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject",
			"s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:PutObject"}},
	}
}

// importNeeds: EC2 tags no image that it imports, so what is done to it first has no condition.
func importNeeds(n dag.Node) permits {
	return append(permits{{sid: "ImportImages", actions: []string{"ec2:CreateTags", "ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:ImportImage"}, on: ofEC2("image", "snapshot")}},
		keyNeeds(settings[ImportImage](n).KMSKey)...)
}

func publishParameterNeeds(n dag.Node) permits {
	return permits{{sid: "PublishParameters", actions: []string{"ssm:GetParameter", "ssm:LabelParameterVersion", "ssm:PutParameter"},
		on: []string{"arn:aws:ssm:REGION:*:parameter/" + strings.TrimPrefix(settings[PublishParameter](n).Name, "/")}}}
}

func publishTemplateNeeds(n dag.Node) permits {
	s, on := settings[PublishTemplate](n), ofEC2("launch-template")
	if strings.HasPrefix(s.Template, "lt-") {
		on = []string{"arn:aws:ec2:REGION:*:launch-template/" + s.Template}
	}
	return permits{{sid: "PublishTemplates", actions: []string{"ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"}, on: on}}
}

// Roles are those of other accounts that steps of a graph take.
func Roles(nodes []dag.Node) (arns []string) {
	t := takersOf(nodes)
	for _, n := range nodes {
		if r := t.roleOf(n); r != "" {
			arns = union(arns, []string{r})
		}
	}
	return arns
}

// PolicyFor is the least that whoever makes a graph's steps must be allowed: to make them, to resume
// after a crash, and to remove what was made. With a role it is the least that this one must be, which some of
// the steps take. Notes say what of it nobody can know from the graph.
func PolicyFor(nodes []dag.Node, role string) (p Policy, notes []string) {
	b := builder{role: role, by: map[dag.Key]dag.Node{}, look: map[string]bool{}, make: map[string]map[string]bool{}, own: map[string]map[string]bool{}, more: map[string]*Statement{}, roles: map[string]bool{}}
	for _, n := range nodes {
		b.by[n.Key] = n
	}
	b.takers = takersOf(nodes)
	for _, n := range nodes {
		b.add(n)
	}
	return b.policy()
}

// builder gathers what steps need.
type builder struct {
	role      string // whose policy it is; "" that of the build's own credentials
	by        map[dag.Key]dag.Node
	takers    *takers
	look      map[string]bool
	make, own map[string]map[string]bool // actions by region
	more      map[string]*Statement
	regions   []string
	roles     map[string]bool // that are taken to be called as their profiles
}

// regionsOf is where a step works: in its own place, or where what it reads was made.
func (b *builder) regionsOf(n dag.Node) []string {
	var p Place
	if json.Unmarshal(n.Spec, &p) == nil && p.Region != "" {
		return []string{p.Region}
	}
	var rs []string
	for _, k := range n.Needs {
		if _, ours := needs[b.by[k].Kind]; ours {
			rs = append(rs, b.regionsOf(b.by[k])...)
		}
	}
	slices.Sort(rs)
	return slices.Compact(rs)
}

func (b *builder) add(n dag.Node) {
	of, ours := needs[n.Kind]
	switch taken := b.takers.roleOf(n); {
	case !ours || taken != b.role && b.role != "":
		return
	case taken != b.role:
		b.permit(permit{sid: "TakeRoles", actions: []string{"sts:AssumeRole"}, on: []string{taken}}, "")
		return
	}
	for _, region := range b.regionsOf(n) {
		if !slices.Contains(b.regions, region) {
			b.regions = append(b.regions, region)
		}
		for _, a := range of.look {
			b.look["ec2:"+a] = true
		}
		into(b.make, region, of.make)
		into(b.own, region, of.own)
		if len(of.make) > 0 { // leases of what was made are renewed
			into(b.own, region, []string{"CreateTags"})
			b.look["ec2:DescribeTags"] = true
		}
		if n.Kind == (CopyImage{}).Kind() { // the original is asked about as well
			for _, k := range n.Needs {
				for _, from := range b.regionsOf(b.by[k]) {
					if b.role != "" { // tags of what another account owns are not seen
						b.permit(permit{sid: "CopySharedImages", actions: []string{"ec2:CopyImage"}, on: ofEC2("image", "snapshot")}, from)
						for _, key := range b.keysOf(k, map[dag.Key]bool{}) {
							for _, g := range keyNeeds(key) {
								b.permit(g, from)
							}
						}
						continue
					}
					into(b.own, from, []string{"CopyImage"})
				}
			}
		}
		if of.more == nil {
			continue
		}
		for _, g := range of.more(n) {
			b.permit(g, region)
		}
	}
	if s := settings[Launch](n); n.Kind == (Launch{}).Kind() && s.InstanceProfile != "" {
		b.roles[s.InstanceProfile] = true
	}
}

// keysOf are the keys that an image is encrypted with which a step makes, or waits for. Steps that were seen
// are not looked at again: there may be many ways from an image to its launch.
func (b *builder) keysOf(k dag.Key, seen map[dag.Key]bool) (keys []string) {
	if seen[k] {
		return nil
	}
	seen[k] = true
	switch n := b.by[k]; n.Kind {
	case (CopyImage{}).Kind():
		return []string{settings[CopyImage](n).Encrypt.Key}
	case (Launch{}).Kind():
		s := settings[Launch](n)
		keys = append(keys, s.Encrypt.Key)
		for _, m := range s.LaunchMappings {
			keys = append(keys, m.KMSKeyID)
		}
		return keys
	default:
		for _, k := range n.Needs {
			keys = union(keys, b.keysOf(k, seen))
		}
		return keys
	}
}

func into(m map[string]map[string]bool, region string, actions []string) {
	for _, a := range actions {
		if m[region] == nil {
			m[region] = map[string]bool{}
		}
		m[region]["ec2:"+a] = true
	}
}

// permit adds to the statement of the same name and condition.
func (b *builder) permit(g permit, region string) {
	in := func(text string) string {
		text = strings.ReplaceAll(text, "REGION", region)
		return strings.Replace(text, "arn:aws:", "arn:"+partitionOf(region)+":", 1)
	}
	condition := map[string]map[string][]string{}
	for operator, keys := range g.condition {
		condition[operator] = map[string][]string{}
		for k, values := range keys {
			for _, v := range values {
				condition[operator][k] = append(condition[operator][k], in(v))
			}
		}
	}
	key := g.sid + fmt.Sprint(condition)
	s := b.more[key]
	if s == nil {
		s = &Statement{Sid: g.sid, Effect: "Allow", Condition: condition}
		b.more[key] = s
	}
	s.Action = union(s.Action, g.actions)
	for _, r := range g.on {
		s.Resource = union(s.Resource, []string{in(r)})
	}
}

func union(a, b []string) []string {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	return slices.Compact(all)
}

// policy writes what was gathered as statements, few and in one order.
func (b *builder) policy() (p Policy, notes []string) {
	p = Policy{Version: "2012-10-17", Statement: []Statement{}}
	slices.Sort(b.regions)
	if len(b.look) > 0 {
		p.Statement = append(p.Statement, Statement{Sid: "Look", Effect: "Allow", Action: slices.Sorted(maps.Keys(b.look)), Resource: []string{"*"},
			Condition: map[string]map[string][]string{"StringEquals": {"aws:RequestedRegion": b.regions}}})
	}
	p.Statement = append(p.Statement, b.byRegion("Make", b.make, tagRun("Request"), false)...)
	p.Statement = append(p.Statement, b.byRegion("TagWhatIsMade", b.make, tagRun("Request"), true)...)
	p.Statement = append(p.Statement, b.byRegion("ChangeOwn", b.own, tagRun("Resource"), false)...)
	rest := slices.SortedFunc(maps.Values(b.more), func(x, y *Statement) int {
		return cmp.Or(cmp.Compare(x.Sid, y.Sid), slices.Compare(x.Resource, y.Resource), cmp.Compare(fmt.Sprint(x.Condition), fmt.Sprint(y.Condition)))
	})
	for _, s := range rest {
		p.Statement = append(p.Statement, *s)
	}
	seen := map[string]int{}
	for i := range p.Statement { // a Sid is there once
		s := &p.Statement[i]
		if seen[s.Sid]++; seen[s.Sid] > 1 {
			s.Sid += fmt.Sprint(seen[s.Sid])
		}
	}
	for _, r := range slices.Sorted(maps.Keys(b.roles)) {
		notes = append(notes, fmt.Sprintf("the role of the instance profile %s is taken to be called so, too: if it is not, name it in the statement PassRoles", r))
	}
	return p, notes
}

// byRegion has one statement for all regions in which the same is done.
func (b *builder) byRegion(sid string, in map[string]map[string]bool, condition map[string]map[string][]string, tagging bool) (list []Statement) {
	at := map[string]int{}
	for _, region := range b.regions {
		if len(in[region]) == 0 {
			continue
		}
		actions := slices.Sorted(maps.Keys(in[region]))
		key := strings.Join(actions, " ")
		i, there := at[key]
		if !there {
			s := Statement{Sid: sid, Effect: "Allow", Action: actions, Condition: maps.Clone(condition)}
			if tagging {
				var calls []string
				for _, a := range actions {
					calls = append(calls, strings.TrimPrefix(a, "ec2:"))
				}
				s.Action = []string{"ec2:CreateTags"}
				s.Condition["StringEquals"] = map[string][]string{"ec2:CreateAction": calls}
			}
			i = len(list)
			at[key], list = i, append(list, s)
		}
		list[i].Resource = append(list[i].Resource, "arn:"+partitionOf(region)+":ec2:"+region+":*:*/*")
	}
	return list
}
