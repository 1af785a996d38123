package dag

// Build names one source of a template on its way to an image.
type Build struct {
	Name string // as the user named it
	Type string // the kind of builder, such as amazon-ebs
}

// Secret is a string that stays sealed in a step's settings: it holds only the
// marker of a secret until Task.Reveal is called.
type Secret string

// Mark returns the text that stands for the secret called name in a setting.
func Mark(name string) string { return MarkOpen + name + MarkClose }
