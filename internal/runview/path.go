package runview

import (
	"slices"
	"time"
)

// CriticalPath is the chain of steps of the last drive that decided how long it
// took, the first of them first: each began when the one before it, of all that it
// needs the last, had ended. It begins at the step that ended last.
func (v *View) CriticalPath() (path []*Step) {
	var last *Step
	for _, s := range v.Steps {
		if v.Drove(s) && (last == nil || s.end().After(last.end())) {
			last = s
		}
	}
	seen := map[*Step]bool{}
	for last != nil && !seen[last] { // a damaged file may hold a circle
		path, seen[last] = append(path, last), true
		var before *Step
		for _, k := range last.Needs {
			if s := v.byKey[k]; s != nil && v.Drove(s) && (before == nil || s.end().After(before.end())) {
				before = s
			}
		}
		last = before
	}
	slices.Reverse(path)
	return path
}

// Drove tells whether the last drive has begun the step.
func (v *View) Drove(s *Step) bool { return !s.Reused && !s.Began.IsZero() && !s.Began.Before(v.Began) }

// end is when the step ended, for one that goes on, never.
func (s *Step) end() time.Time {
	if s.Ended.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return s.Ended
}

// Saved is how long the steps took that the last drive did not have to do again.
func (v *View) Saved() (d time.Duration) {
	for _, s := range v.Steps {
		if s.Reused {
			d += s.Took(s.Ended)
		}
	}
	return d
}

// Counts are how many steps stand how. Reused ones are Done, too.
func (v *View) Counts() (by map[Status]int, reused int) {
	by = map[Status]int{}
	for _, s := range v.Steps {
		by[s.Status]++
		if s.Reused {
			reused++
		}
	}
	return by, reused
}

// Of is the step with a key, nil if none was planned.
func (v *View) Of(key string) *Step { return v.byKey[key] }

// BuildStatuses are how all builds stand, by the steps that are theirs: failed if
// one has failed, running if one is under way, done if all are.
func (v *View) BuildStatuses() map[string]Status {
	all := map[string]Status{}
	for _, s := range v.Steps {
		for _, b := range s.Builds {
			if at, known := all[b]; !known || rank(s.Status) > rank(at) {
				all[b] = s.Status
			}
			if all[b] == Waiting && s.Status == Done || all[b] == Done && s.Status == Waiting {
				all[b] = Running // some of it is done
			}
		}
	}
	return all
}

// rank says which status of a step speaks for its build.
func rank(s Status) int {
	return slices.Index([]Status{Waiting, Done, Skipped, Suspended, Running, Failed}, s)
}
