package hostile

import "io"

// floodAttacks ask for more memory than there is.
func floodAttacks() []Attack {
	return []Attack{
		{
			Name: "flood-before-frame", Does: "an rc file prints for ever, without a newline, before a script is followed",
			Linux:        &Linux{RC: func(w io.Writer) { flood(w, "x") }},
			Provisioners: `[{"type": "shell", "inline": ["true"]}]`,
			Fails:        true,
			Says:         []string{"more than 1 MiB before it runs our commands"},
		},
	}
}
