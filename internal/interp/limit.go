package interp

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxText bounds every text that an evaluation makes, in bytes: templates are written by people, and a few short actions
// can ask for any amount.
const MaxText = 16 << 20

// bare is an error that quotes nothing.
type bare string

func (b bare) Error() string { return string(b) }

var errTooLong = bare(fmt.Sprintf("the text would be longer than %d MiB", MaxText>>20))

const (
	errNotUTF8 = bare("the value is not UTF-8")
	errDeep    = bare("too many functions are applied to the sensitive value, one to what another makes")
)

// maxName bounds the name of a derived secret, in bytes: one that is made of others holds their names, and quotes them.
const maxName = 64 << 10

// limited is a text that takes no more than MaxText bytes.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > MaxText {
		return 0, errTooLong
	}
	return l.Builder.Write(p)
}

func (l *limited) WriteString(s string) (int, error) {
	if l.Len()+len(s) > MaxText {
		return 0, errTooLong
	}
	return l.Builder.WriteString(s)
}

// invalidUTF8 returns where a text is not UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return -1
}

// fits fails when the texts among the values are longer than a text may be.
func fits(values ...any) error {
	n := 0
	for _, v := range values {
		if v := reflect.ValueOf(v); v.Kind() == reflect.String {
			n += v.Len()
		}
	}
	if n > MaxText {
		return errTooLong
	}
	return nil
}

// replace is strings.Replace with an eye on what comes out.
func replace(old, new string, n int, s string) (string, error) {
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if grown := len(new) - len(old); grown > 0 && count > (MaxText-min(len(s), MaxText))/grown {
		return "", errTooLong
	}
	return strings.Replace(s, old, new, n), nil
}

var digits = regexp.MustCompile(`[0-9]+`)

// printf is fmt.Sprintf with an eye on what comes out: a width can be a million, and an argument be used again.
func printf(format string, args ...any) (string, error) {
	verbs, longest, width := strings.Count(format, "%"), 0, 0
	for _, a := range args {
		longest = max(longest, len(fmt.Sprint(a)))
	}
	for _, d := range digits.FindAllString(format, -1) {
		if n, err := strconv.Atoi(d); err == nil {
			width = max(width, n)
		}
	}
	const widest = 1e6 // as package fmt has it
	if width > widest || strings.Contains(format, "*") {
		width = widest
	}
	if each := longest + width; verbs > 0 && each > 4*MaxText/verbs {
		return "", errTooLong
	}
	return fmt.Sprintf(format, args...), nil
}
