package dag

// Build names one source of a template on its way to an image.
type Build struct {
	Name string // as the user named it
	Type string // the kind of builder, such as amazon-ebs
}

// Fault is a setting that cannot be, named by its option.
type Fault struct {
	Field string // the option's name; list items as name[0].sub
	Text  string // why, in the user's words

	// Among are, for a fault of no one option, those of which one is wanted: what
	// is wrong with any of them may be the cause.
	Among []string

	// Harmless is set for what only has no effect: a word to the user, and no
	// reason to refuse.
	Harmless bool

	// Doubtful is set for what is allowed and hardly meant: a word to the user, told
	// as it is, and no reason to refuse. It is harmless, too.
	Doubtful bool
}

func (f Fault) Error() string {
	if f.Field == "" {
		return f.Text
	}
	return f.Field + ": " + f.Text
}

// Secret is a string that stays sealed in a step's settings: it holds only the
// marker of a secret until Task.Reveal is called.
type Secret string

// Claim is a name that only one build of a run can take.
type Claim struct {
	Field string // the option that gives the name, as in a Fault
	Key   string // the same for whatever cannot be there twice
	What  string // for a message: an image of that name in us-east-1
}

// Mark returns the text that stands for the secret called name in a setting.
func Mark(name string) string { return MarkOpen + name + MarkClose }
