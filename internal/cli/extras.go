package cli

import "github.com/imgflow/imgflow/state"

// Extras are what a program can do besides what imgflow does. They are handed in, so
// that imgflow links none of it.
type Extras struct {
	// OpenState opens the home whose runs are in the database that a URL names, with a
	// directory of this machine for the rest.
	OpenState func(dir, url string) (*state.Home, error)
}

// extras are those of this program.
var extras Extras

// MainWith is Main for a program that can do more than imgflow.
func MainWith(args []string, x Extras) int {
	extras = x
	return Main(args)
}
