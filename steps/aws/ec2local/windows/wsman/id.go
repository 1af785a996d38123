package wsman

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// newID is a random GUID as Windows writes it.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// chosenID is the GUID that a client chose itself, or a new one.
func chosenID(id string) (string, bool) {
	if id == "" {
		return newID(), true
	}
	id = strings.ToUpper(id)
	if len(id) != 36 || strings.Trim(id, "0123456789ABCDEF-") != "" {
		return "", false
	}
	for i, c := range id {
		if (c == '-') != (i == 8 || i == 13 || i == 18 || i == 23) {
			return "", false
		}
	}
	return id, true
}
