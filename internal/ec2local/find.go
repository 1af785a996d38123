package ec2local

// A referred record can be named in requests by its id.
type referred interface {
	record
	// refer returns the id's prefix, what EC2 calls the thing in error codes,
	// and what it calls it in messages.
	refer() (prefix, code, noun string)
}

func (b *base) seen(t *txn) bool { return !t.now.Before(b.Visible) }

// find returns the thing that a request names. It fails as EC2 does for an id
// that is none, and for a thing that does not exist or cannot be seen yet.
func find[T any, P interface {
	recordOf[T]
	referred
}](c *call, id string) (P, error) {
	prefix, code, noun := P(new(T)).refer()
	if !wellFormed(prefix, id) {
		return nil, fail(code+".Malformed", "Invalid id: \"%s\" (expecting \"%s-...\")", id, prefix)
	}
	p := get[T, P](c.txn, c.region, id)
	if p == nil || !p.ident().seen(c.txn) {
		return nil, fail(code+".NotFound", "The %s '%s' does not exist", noun, id)
	}
	return p, nil
}

// list returns the things that a describing call is about: those named, or all
// that can be seen.
func list[T any, P interface {
	recordOf[T]
	referred
}](c *call, ids []string) ([]P, error) {
	if len(ids) == 0 {
		var out []P
		for _, p := range all[T, P](c.txn, c.region) {
			if p.ident().seen(c.txn) {
				out = append(out, p)
			}
		}
		return out, nil
	}
	var out []P
	had := map[string]bool{}
	for _, id := range ids {
		if had[id] {
			continue
		}
		had[id] = true
		p, err := find[T, P](c, id)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// about returns the things that a describing call may be about: those named, those
// that its filters name, or all that can be seen.
func about[T any, P interface {
	recordOf[T]
	referred
}](c *call, s filterSet[T], ids []string, asked []filter) ([]P, error) {
	if len(ids) > 0 {
		return list[T, P](c, ids)
	}
	some, ok := s.candidates(c, P(new(T)).table(), asked)
	if !ok {
		return list[T, P](c, nil)
	}
	var out []P
	for _, id := range some {
		if p := get[T, P](c.txn, c.region, id); p != nil && p.ident().seen(c.txn) {
			out = append(out, p)
		}
	}
	return out, nil
}

// newBase fills in what every new thing has.
func (c *call) newBase(id string) base {
	return base{ID: id, Region: c.region, Created: c.now.UTC(), Visible: c.s.injector.visible(resourceType(id), c.now)}
}

// tagsOf are the tags of a stored thing, for filters and replies.
func tagsOf[T any, P recordOf[T]](c *call, p *T) []tag {
	return c.tags(P(p).ident().Region, P(p).ident().ID)
}

func (c *call) tagSet(id string) set[tag] { return set[tag]{c.tags(c.region, id)} }
