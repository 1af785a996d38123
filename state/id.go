package state

import (
	"crypto/rand"
	"strconv"
	"strings"
	"time"
)

const (
	idDigits = 12
	idClock  = 8 // digits of the clock, enough until 2059
	idAlpha  = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// newID returns an id of twelve digits and small letters: eight for the
// millisecond, so that ids sort by time, and four that are random, so that runs
// of different machines in one account differ.
func newID(now time.Time) string {
	id := idClockOf(now)
	var b [1]byte
	for len(id) < idDigits {
		rand.Read(b[:])
		if int(b[0]) < 252 { // the largest multiple of 36: every digit is equally likely
			id += string(idAlpha[int(b[0])%36])
		}
	}
	return id
}

// idOf is an id whose last digits follow from a digest instead.
func idOf(at time.Time, digest []byte) string {
	id := idClockOf(at)
	for _, b := range digest[:idDigits-idClock] {
		id += string(idAlpha[int(b)%36])
	}
	return id
}

// idClockOf are the digits of a time.
func idClockOf(at time.Time) string {
	id := strconv.FormatInt(at.UnixMilli(), 36)
	return strings.Repeat("0", max(0, idClock-len(id))) + id
}

// idTime is when the id was made.
func idTime(id string) time.Time {
	ms, err := strconv.ParseInt(id[:min(idClock, len(id))], 36, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func validID(s string) bool {
	return len(s) == idDigits && strings.Trim(s, idAlpha) == ""
}
