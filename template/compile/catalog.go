package compile

import (
	"maps"
	"slices"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// Catalog maps the type names of templates to makers of their options, each a pointer to a new struct.
type Catalog struct {
	Builders     map[string]func() steps.Source
	Provisioners map[string]func() steps.Provisioner
	Data         map[string]func() steps.Data

	PostProcessors map[string]func() steps.PostProcessor

	// Scan looks for secrets on a machine before it is imaged, in what was written since then. No template names it.
	Scan func(secrets []dag.Secret, since time.Time) steps.Provisioner

	// Types that are known and cannot run, with why: "not supported yet".
	LaterBuilders       map[string]string
	LaterProvisioners   map[string]string
	LaterPostProcessors map[string]string
	LaterData           map[string]string
}

// known returns the names in both maps.
func known[V any](a map[string]V, b map[string]string) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return names
}
