package ec2local

import (
	"slices"
	"strings"
	"sync"
)

// A place is where things are stored and whence a call comes: a region of the first
// account, written us-east-1, or of another one, written us-east-1@210987654321. What is
// called region in this package is a place; regionOf is what EC2 shows of it.

// account is the first account of the endpoint: that of its key.
const account = "123456789012"

// placeIn is a region of an account.
func placeIn(region, owner string) string {
	if owner == account {
		return region
	}
	return region + "@" + owner
}

func regionOf(place string) string {
	region, _, _ := strings.Cut(place, "@")
	return region
}

func accountOf(place string) string {
	if _, owner, ok := strings.Cut(place, "@"); ok {
		return owner
	}
	return account
}

// account is whose things the call is about.
func (c *call) account() string { return accountOf(c.region) }

var accountID = patternOf(`^[0-9]{12}$`)

// accountOfKey is whose a request is: a role's that was taken, or that of an access key which
// is the number of an account.
func accountOfKey(id string, x *session) string {
	switch {
	case x != nil:
		return x.Account
	case accountID.MatchString(id):
		return id
	}
	return account
}

// inhabited are the places of other accounts than the first that have what an account finds there.
type inhabited struct {
	mu     sync.Mutex
	places []string
}

func (s *inhabited) has(place string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.places, place)
}

func (s *inhabited) add(place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.places, place) {
		s.places = append(s.places, place)
	}
}

// beside are the places of a region but the given one.
func (s *inhabited) beside(place string) (others []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range append([]string{regionOf(place)}, s.places...) {
		if p != place && regionOf(p) == regionOf(place) {
			others = append(others, p)
		}
	}
	return others
}

// inhabit gives another account what it finds in a region, before its first call there.
func (s *Server) inhabit(place string) error {
	if place == regionOf(place) || s.inhabited.has(place) {
		return nil
	}
	err := s.update(func(t *txn) error { return t.seedDefaults(place) })
	if err == nil {
		s.inhabited.add(place)
	}
	return err
}

// findInhabited remembers which places there are.
func (t *txn) findInhabited() {
	for _, v := range all[vpc](t, "") {
		if v.Region != regionOf(v.Region) {
			t.s.inhabited.add(v.Region)
		}
	}
}

// shared finds something of another account's in the call's region that is open to the caller.
func shared[T any, P recordOf[T]](c *call, id string, open func(P) bool) P {
	for _, place := range c.s.inhabited.beside(c.region) {
		if p := get[T, P](c.txn, place, id); p != nil && p.ident().seen(c.txn) && open(p) {
			return p
		}
	}
	return nil
}
