package quote

import "strings"

// Sh is a line for sh that is these words again. No word may hold a NUL.
func Sh(words ...string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = "'" + InSh(w) + "'"
	}
	return strings.Join(q, " ")
}

// InSh is a text as it stands between single quotes of sh.
func InSh(text string) string { return strings.ReplaceAll(text, "'", `'\''`) }
