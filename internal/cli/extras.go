package cli

// Extras are what a program can do besides what imgflow does. They are handed in, so
// that imgflow links none of it.
type Extras struct{}

// extras are those of this program.
var extras Extras

// MainWith is Main for a program that can do more than imgflow.
func MainWith(args []string, x Extras) int {
	extras = x
	return Main(args)
}
