package aws

import "github.com/imgflow/imgflow/dag"

// Kinds are the steps of this package. A new one is one file and one line here.
func Kinds(c *Cloud) []dag.Kind {
	return []dag.Kind{
		dag.Bind[CheckAccess](c),
		dag.Bind[Source](c),
		dag.Bind[NameCheck](c),
		dag.Bind[CheckValues](c),
		dag.Bind[FindNetwork](c),
		dag.Bind[ImportKey](c),
		dag.Bind[Group](c),
		dag.Bind[Admit](c),
		dag.Bind[Launch](c),
		dag.Bind[Wait](c),
		dag.Bind[Password](c),
		dag.Bind[FindVolumes](c),
		dag.Bind[KeepVolumes](c),
		dag.Bind[Stop](c),
		dag.Bind[Regroup](c),
		dag.Bind[Enhance](c),
		dag.Bind[Deregister](c),
		dag.Bind[CreateImage](c),
		dag.Bind[ImageReady](c),
		dag.Bind[CopyImage](c),
		dag.Bind[Share](c),
		dag.Bind[Deprecate](c),
		dag.Bind[Protect](c),
		dag.Bind[RequireIMDSv2](c),
	}
}
