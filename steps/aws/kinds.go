package aws

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// Sources are the builders of this package by the names that templates use. Force
// is the flag -force.
func Sources(c *Cloud, force bool) map[string]func() steps.Source {
	return map[string]func() steps.Source{
		"amazon-ebs": func() steps.Source {
			b := NewEBS(c)
			b.Force = force
			return b
		},
		"amazon-ebssurrogate": func() steps.Source { return &EBSSurrogate{Force: force, cloud: c} },
		"amazon-ebsvolume":    func() steps.Source { return &EBSVolume{cloud: c} },
	}
}

// Data are the data sources of this package by the names that templates use.
func Data(c *Cloud) map[string]func() steps.Data {
	return map[string]func() steps.Data{
		"amazon-ami":            func() steps.Data { return &AMIOptions{cloud: c} },
		"amazon-parameterstore": func() steps.Data { return &ParameterOptions{cloud: c} },
		"amazon-secretsmanager": func() steps.Data { return &SecretOptions{cloud: c} },
	}
}

// PostProcessors are the post-processors of this package by the names that templates use.
func PostProcessors(c *Cloud) map[string]func() steps.PostProcessor {
	return map[string]func() steps.PostProcessor{
		"amazon-import": func() steps.PostProcessor { return &ImportDisk{cloud: c} },
	}
}

// Kinds are the steps of this package. A new one is one file and one line here.
func Kinds(c *Cloud) []dag.Kind {
	return []dag.Kind{
		dag.Bind[CheckAccess](c),
		dag.Bind[Source](c),
		dag.Bind[NameCheck](c),
		dag.Bind[CheckValues](c),
		dag.Bind[FindNetwork](c),
		dag.Bind[FindConnectEndpoint](c),
		dag.Bind[ImportKey](c),
		dag.Bind[Group](c),
		dag.Bind[Admit](c),
		dag.Bind[MakeRole](c),
		dag.Bind[MakeProfile](c),
		dag.Bind[GrantPolicy](c),
		dag.Bind[SpotPrices](c),
		dag.Bind[Launch](c),
		dag.Bind[Wait](c),
		dag.Bind[OpenSession](c),
		dag.Bind[Password](c),
		dag.Bind[FindVolumes](c),
		dag.Bind[KeepVolumes](c),
		dag.Bind[Stop](c),
		dag.Bind[Regroup](c),
		dag.Bind[Enhance](c),
		dag.Bind[Deregister](c),
		dag.Bind[DropSnapshots](c),
		dag.Bind[CreateImage](c),
		dag.Bind[SwapRoot](c),
		dag.Bind[RegisterImage](c),
		dag.Bind[CreateSnapshot](c),
		dag.Bind[SnapshotReady](c),
		dag.Bind[Product](c),
		dag.Bind[VolumeProduct](c),
		dag.Bind[Candidate](c),
		dag.Bind[Pass](c),
		dag.Bind[ImageReady](c),
		dag.Bind[CopyImage](c),
		dag.Bind[CheckKeys](c),
		dag.Bind[Copied](c),
		dag.Bind[Share](c),
		dag.Bind[ShareSnapshots](c),
		dag.Bind[AddProductCodes](c),
		dag.Bind[FindTemplate](c),
		dag.Bind[EnableFastLaunch](c),
		dag.Bind[PublishParameter](c),
		dag.Bind[PublishTemplate](c),
		dag.Bind[Deprecate](c),
		dag.Bind[Protect](c),
		dag.Bind[RequireIMDSv2](c),
		dag.Bind[CheckBucket](c),
		dag.Bind[BeginUpload](c),
		dag.Bind[UploadObject](c),
		dag.Bind[ImportImage](c),
		dag.Bind[WaitImport](c),
		dag.Bind[NameImport](c),
		dag.Bind[DescribeImport](c),
		dag.Bind[ImportProduct](c),
		dag.Bind[DataAMI](c),
		dag.Bind[DataParameter](c),
		dag.Bind[DataSecret](c),
	}
}
