package dag

import "cmp"

// Build names one source of a template on its way to an image.
type Build struct {
	Name string // as the run calls it
	Type string // the kind of builder, such as amazon-ebs

	// What enters keys in place of the name, which depends on the template's language;
	// empty: the name.
	Label string `json:",omitempty"` // what the template calls it, and its scripts
	Scope string `json:",omitempty"` // keeps its machine from being that of another build
}

// Labelled is the build as its scripts know it.
func (b Build) Labelled() Build { return Build{Name: cmp.Or(b.Label, b.Name), Type: b.Type} }

// Own is a setting of steps that no two builds may share.
func (b Build) Own() string { return cmp.Or(b.Scope, b.Name) }

// Secret is a string that stays sealed in a step's settings: it holds only the
// marker of a secret until Task.Reveal is called.
type Secret string

// Mark returns the text that stands for the secret called name in a setting.
func Mark(name string) string { return MarkOpen + name + MarkClose }
