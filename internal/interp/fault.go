package interp

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Fault is one thing wrong in a template string.
type Fault struct {
	Offset int    // in bytes, from the start of the string
	Text   string // why it cannot be evaluated, lowercase, without position
	Hint   string // what to do, or empty
	Err    error  // the error of Env.User behind it, if any
	Bare   bool   // nothing of the string or of a value stands in Text
}

func (f *Fault) Error() string {
	if f.Hint != "" {
		return f.Text + " (" + f.Hint + ")"
	}
	return f.Text
}

func (f *Fault) Unwrap() error { return f.Err }

// Faults is the error of every function of this package that evaluates.
type Faults []*Fault

func (fs Faults) Error() string {
	texts := make([]string, len(fs))
	for i, f := range fs {
		texts[i] = f.Error()
	}
	return strings.Join(texts, "; ")
}

// AsFaults returns the faults in err, or err as one fault at offset 0.
func AsFaults(err error) Faults {
	if err == nil {
		return nil
	}
	var fs Faults
	if errors.As(err, &fs) {
		return fs
	}
	return Faults{{Text: err.Error(), Err: err}}
}

// err avoids an error that holds no fault.
func (fs Faults) err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// Nearest returns the known name that name was most likely meant to be, or "" if none is near. A near name has
// something in common with it: no letter is near another one.
func Nearest(name string, known []string) string {
	n := utf8.RuneCountInString(name)
	best, least := "", min(1+max(1, n/3), max(1, n))
	for _, k := range known {
		if d := utf8.RuneCountInString(k) - n; max(d, -d) > least {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range y {
		d[0][j+1] = j + 1
		for i := range x {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			n := min(d[i][j+1]+1, d[i+1][j]+1, d[i][j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				n = min(n, d[i-1][j-1]+1)
			}
			d[i+1][j+1] = n
		}
	}
	return d[len(x)][len(y)]
}
