package hostile

import (
	"net/http"
	"slices"
)

// MaxMemory is how much memory imgflow may take, in bytes, whatever it is told.
const MaxMemory = 150 << 20

// An Attack is one thing that a machine or an endpoint does to who builds there.
type Attack struct {
	Name string // in words with hyphens
	Does string // in a line, for people

	// What attacks: one of these.
	Linux   *Linux
	Windows *Windows
	EC2     func(honest http.Handler) http.Handler

	// Provisioners are those of the template that runs into it, in JSON; Builder
	// are settings of its builder, each `"name": value,`, in place of a timeout of a
	// minute.
	Provisioners string
	Builder      string
	// Before makes what has to lie in the directory of the template; a file
	// "victim" and directories "dl" and "outside" are always there.
	Before func(dir string) error

	Fails bool     // the build has to fail; else it has to succeed
	Says  []string // texts that imgflow has to print
}

// Attacks are all that there are.
func Attacks() []Attack {
	return slices.Concat(pathAttacks(), floodAttacks(), ec2Attacks())
}

// Find is the attack of a name.
func Find(name string) (Attack, bool) {
	all := Attacks()
	i := slices.IndexFunc(all, func(a Attack) bool { return a.Name == name })
	if i < 0 {
		return Attack{}, false
	}
	return all[i], true
}
