package aws

import "github.com/imgflow/imgflow/dag"

// calling is what the steps of a kind call.
type calling struct {
	do   []string // at least once each, where nothing goes wrong
	undo []string // to remove what it has made
}

// callings are what each kind calls. Left out is what depends on what is found, such as the
// network's, and what waits look for again.
var callings = map[string]calling{
	CheckAccess{}.Kind():         {do: []string{"DescribeSecurityGroups"}},
	Source{}.Kind():              {do: []string{"DescribeImages"}},
	NameCheck{}.Kind():           {do: []string{"DescribeImages"}},
	CheckValues{}.Kind():         {},
	FindNetwork{}.Kind():         {},
	FindConnectEndpoint{}.Kind(): {do: []string{"DescribeInstanceConnectEndpoints"}},
	ImportKey{}.Kind():           {[]string{"ImportKeyPair"}, []string{"DeleteKeyPair"}},
	Group{}.Kind():               {[]string{"CreateSecurityGroup"}, []string{"DeleteSecurityGroup"}},
	Admit{}.Kind():               {do: []string{"AuthorizeSecurityGroupIngress"}},
	MakeRole{}.Kind():            {[]string{"CreateRole"}, []string{"DeleteRolePolicy", "DeleteRole"}},
	MakeProfile{}.Kind():         {[]string{"CreateInstanceProfile"}, []string{"GetInstanceProfile", "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"}},
	GrantPolicy{}.Kind():         {do: []string{"PutRolePolicy", "AddRoleToInstanceProfile"}},
	SpotPrices{}.Kind():          {do: []string{"DescribeSpotPriceHistory"}},
	Launch{}.Kind():              {[]string{"RunInstances"}, []string{"TerminateInstances"}},
	Wait{}.Kind():                {do: []string{"DescribeInstances"}},
	OpenSession{}.Kind():         {[]string{"StartSession"}, []string{"DescribeSessions"}},
	Password{}.Kind():            {do: []string{"GetPasswordData"}},
	FindVolumes{}.Kind():         {[]string{"DescribeInstances", "CreateTags"}, []string{"DeleteVolume"}},
	KeepVolumes{}.Kind():         {do: []string{"CreateTags", "DescribeVolumes"}},
	Stop{}.Kind():                {do: []string{"StopInstances"}},
	Regroup{}.Kind():             {do: []string{"ModifyInstanceAttribute"}},
	Enhance{}.Kind():             {do: []string{"ModifyInstanceAttribute"}},
	Deregister{}.Kind():          {do: []string{"DescribeImages"}},
	CreateImage{}.Kind():         {[]string{"CreateImage"}, []string{"DeregisterImage"}},
	SwapRoot{}.Kind():            {do: []string{"DescribeInstances", "DetachVolume", "DetachVolume", "AttachVolume"}},
	RegisterImage{}.Kind():       {[]string{"RegisterImage"}, []string{"DeregisterImage"}},
	CreateSnapshot{}.Kind():      {[]string{"CreateSnapshot"}, []string{"DeleteSnapshot"}},
	SnapshotReady{}.Kind():       {do: []string{"DescribeSnapshots"}},
	Product{}.Kind():             {},
	VolumeProduct{}.Kind():       {},
	Candidate{}.Kind():           {do: []string{"DescribeImages"}},
	Pass{}.Kind():                {},
	ImageReady{}.Kind():          {do: []string{"DescribeImages", "CreateTags"}},
	CopyImage{}.Kind():           {[]string{"CopyImage"}, []string{"DeregisterImage"}},
	CheckKeys{}.Kind():           {do: []string{"DescribeKey"}},
	Copied{}.Kind():              {},
	DropSnapshots{}.Kind():       {},
	Share{}.Kind():               {do: []string{"ModifyImageAttribute"}},
	ShareSnapshots{}.Kind():      {do: []string{"ModifySnapshotAttribute"}},
	AddProductCodes{}.Kind():     {do: []string{"ModifyImageAttribute"}},
	FindTemplate{}.Kind():        {do: []string{"DescribeLaunchTemplates"}},
	PublishParameter{}.Kind():    {do: []string{"GetParameter"}},
	PublishTemplate{}.Kind():     {do: []string{"DescribeLaunchTemplateVersions"}},
	EnableFastLaunch{}.Kind():    {do: []string{"EnableFastLaunch", "DescribeFastLaunchImages"}},
	Deprecate{}.Kind():           {do: []string{"EnableImageDeprecation"}},
	Protect{}.Kind():             {do: []string{"EnableImageDeregistrationProtection"}},
	RequireIMDSv2{}.Kind():       {do: []string{"ModifyImageAttribute"}},
	CheckBucket{}.Kind():         {do: []string{"HeadBucket"}},
	BeginUpload{}.Kind():         {[]string{"CreateMultipartUpload"}, []string{"AbortMultipartUpload"}},
	UploadObject{}.Kind():        {[]string{"UploadPart", "CompleteMultipartUpload"}, []string{"DeleteObject"}},
	ImportImage{}.Kind():         {[]string{"ImportImage"}, []string{"DeregisterImage"}},
	WaitImport{}.Kind():          {do: []string{"DescribeImportImageTasks", "CreateTags"}},
	NameImport{}.Kind():          {[]string{"CopyImage"}, []string{"DeregisterImage"}},
	DescribeImport{}.Kind():      {do: []string{"CreateTags"}},
	ImportProduct{}.Kind():       {},
	DataAMI{}.Kind():             {do: []string{"DescribeImages"}},
	DataParameter{}.Kind():       {do: []string{"GetParameter"}},
	DataSecret{}.Kind():          {do: []string{"GetSecretValue"}},
}

// Calls is roughly how often steps call AWS, by the action: those that are done, and those
// whose things are removed on the way. Waits call more often; of many builds, calls that
// can name many things go together.
func Calls(done, removed []dag.Node) map[string]int {
	n := map[string]int{}
	for _, s := range done {
		for _, action := range callings[s.Kind].do {
			n[action]++
		}
	}
	for _, s := range removed {
		for _, action := range callings[s.Kind].undo {
			n[action]++
		}
	}
	return n
}
