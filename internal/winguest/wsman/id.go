package wsman

import (
	"strings"

	"github.com/google/uuid"
)

// newID is a random GUID as Windows writes it.
func newID() string {
	return strings.ToUpper(uuid.NewString())
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
