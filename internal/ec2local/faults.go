package ec2local

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Faults are what goes wrong, and how often. The zero value is an
// endpoint in which nothing does.
type Faults struct {
	Throttle  float64       // share of calls refused with RequestLimitExceeded
	Buckets   bool          // refuse what exceeds the published request rates
	Error     float64       // share of calls answered InternalError or Unavailable, without effect
	Reset     float64       // share of connections cut before the call has an effect
	LostReply float64       // share of connections cut after the call had its effect
	Capacity  float64       // share of launches refused with InsufficientInstanceCapacity
	Lag       time.Duration // new things and tags become visible within this time
	Full      string        // pools without room, with + between them: spot, TYPE or TYPE@ZONE
	Spot      time.Duration // spot instances are reclaimed after this time; 0 never
	Token     time.Duration // credentials of roles end after this time, whatever was asked for; 0: as asked for
	Reclaims  int           // so many of them; 0 is all
	Seed      uint64        // same seed, same faults for the nth call of an action
}

// ParseFaults reads text such as "throttle=0.2,error=0.05,lag=5s,seed=42".
// Throttle also takes "aws", for the published rates.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	if strings.TrimSpace(text) == "" {
		return f, nil
	}
	shares := map[string]*float64{
		"throttle": &f.Throttle, "error": &f.Error, "reset": &f.Reset, "lostreply": &f.LostReply, "capacity": &f.Capacity,
	}
	times := map[string]*time.Duration{"lag": &f.Lag, "spot": &f.Spot, "token": &f.Token}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return f, fmt.Errorf("cannot read the fault %q: it must be name=value", part)
		}
		switch {
		case name == "throttle" && value == "aws":
			f.Buckets = true
		case shares[name] != nil:
			p, err := strconv.ParseFloat(value, 64)
			if err != nil || !(p >= 0 && p <= 1) {
				return f, fmt.Errorf("cannot read the fault %s=%s: the value must be a share between 0 and 1", name, value)
			}
			*shares[name] = p
		case times[name] != nil:
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return f, fmt.Errorf("cannot read the fault %s=%s: the value must be a time such as 5s", name, value)
			}
			*times[name] = d
		case name == "full":
			for p := range strings.SplitSeq(value, "+") {
				if kind, _, _ := strings.Cut(p, "@"); kind != "spot" && typeNamed(kind) == nil {
					return f, fmt.Errorf("cannot read the fault full=%s: %q is neither spot nor a type, with or without @ and a zone", value, p)
				}
			}
			f.Full = value
		case name == "reclaims":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return f, fmt.Errorf("cannot read the fault reclaims=%s: the value must be a whole number from 1", value)
			}
			f.Reclaims = n
		case name == "seed":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return f, fmt.Errorf("cannot read the fault seed=%s: the value must be a whole number", value)
			}
			f.Seed = n
		default:
			known := []string{"full", "lag", "reclaims", "seed", "spot", "token"}
			for n := range shares {
				known = append(known, n)
			}
			sort.Strings(known)
			return f, fmt.Errorf("cannot read the fault %q: there is no such fault; there are %s", name, strings.Join(known, ", "))
		}
	}
	return f, nil
}

// injector draws the faults. Each draw depends on the seed, what is drawn for, and
// how often that was drawn before, and on nothing else: not on the order in
// which different actions arrive.
type injector struct {
	Faults
	mu      sync.Mutex
	drawn   map[string]uint64
	taken   int // spot instances that are to be reclaimed, or were
	buckets map[string]*bucket
}

func newInjector(f Faults) *injector {
	return &injector{Faults: f, drawn: map[string]uint64{}, buckets: map[string]*bucket{}}
}

// draw returns a number in [0, 1).
func (m *injector) draw(what string) float64 {
	m.mu.Lock()
	n := m.drawn[what]
	m.drawn[what] = n + 1
	m.mu.Unlock()
	h := fnv.New64a()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], m.Seed)
	binary.LittleEndian.PutUint64(b[8:], n)
	h.Write(b[:])
	h.Write([]byte(what))
	// FNV's upper bits are weak for short input; a final mix spreads them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

func (m *injector) happens(share float64, kind, action string) bool {
	return share > 0 && m.draw(kind+" "+action) < share
}

// full reports whether there is no room for an instance.
func (m *injector) full(i *instance) bool {
	for p := range strings.SplitSeq(m.Full, "+") {
		kind, zone, _ := strings.Cut(p, "@")
		if kind != "" && (kind == i.Type || kind == "spot" && i.Spot) && (zone == "" || zone == i.Zone) {
			return true
		}
	}
	return false
}

// reclaim is when a spot instance that is launched now is taken back, the zero time for never.
func (m *injector) reclaim(now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Spot == 0 || m.Reclaims > 0 && m.taken >= m.Reclaims {
		return time.Time{}
	}
	m.taken++
	return now.Add(m.Spot)
}

// visible is when something made now can be seen.
func (m *injector) visible(kind string, now time.Time) time.Time {
	if m.Lag == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(m.draw("lag "+kind) * float64(m.Lag)))
}

// before refuses a call that a fault befalls; cut means that the connection is
// cut instead of answered.
func (m *injector) before(action string, unfiltered bool, now time.Time) (err error, cut bool) {
	throttled := fail("RequestLimitExceeded", "Request limit exceeded.")
	switch {
	case m.Buckets && !m.take(action, unfiltered, now):
		return throttled, false
	case m.happens(m.Throttle, "throttle", action):
		return throttled, false
	case m.happens(m.Reset, "reset", action):
		return nil, true
	case m.happens(m.Error, "error", action):
		if m.draw("which "+action) < 0.5 {
			return fail("Unavailable", "The service is unavailable. Please try again shortly."), false
		}
		return fail("InternalError", "An internal error has occurred"), false
	case action == "RunInstances" && m.happens(m.Capacity, "capacity", action):
		return fail("InsufficientInstanceCapacity", "We currently do not have sufficient capacity in the Availability Zone you requested. Our system will be working on provisioning additional capacity."), false
	}
	return nil, false
}

// A bucket holds requests that may be made: at most burst, refill more a second.
type bucket struct {
	burst, refill, left float64
	at                  time.Time
}

// rates are the published buckets: size and refill a second of one action.
func rates(action string, unfiltered bool) (string, float64, float64) {
	switch action {
	case "RunInstances", "StartInstances":
		return action, 5, 2
	case "TerminateInstances":
		return action, 100, 5
	case "CopyImage":
		return action, 100, 1
	case "CreateSnapshot", "DeleteSnapshot", "CreateVolume", "DeleteVolume", "DeregisterImage", "ModifyImageAttribute", "ModifySnapshotAttribute":
		return action, 100, 5
	case "CreateTags", "DeleteTags":
		return action, 100, 10
	}
	if strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List") {
		if unfiltered {
			switch action {
			case "DescribeInstances", "DescribeInstanceStatus", "DescribeSnapshots", "DescribeVolumes", "DescribeSecurityGroups", "DescribeNetworkInterfaces":
				return action + " unfiltered", 50, 10
			}
		}
		return action, 100, 20
	}
	return action, 50, 5
}

func (m *injector) take(action string, unfiltered bool, now time.Time) bool {
	name, burst, refill := rates(action, unfiltered)
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.buckets[name]
	if b == nil {
		b = &bucket{burst: burst, refill: refill, left: burst, at: now}
		m.buckets[name] = b
	}
	b.left = min(b.burst, b.left+b.refill*now.Sub(b.at).Seconds())
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
