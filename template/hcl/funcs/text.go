package funcs

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

var (
	startsWith = of(cty.Bool, func(a []cty.Value) (cty.Value, error) {
		return cty.BoolVal(strings.HasPrefix(a[0].AsString(), a[1].AsString())), nil
	}, params(cty.String, "text", "prefix")...)

	endsWith = of(cty.Bool, func(a []cty.Value) (cty.Value, error) {
		return cty.BoolVal(strings.HasSuffix(a[0].AsString(), a[1].AsString())), nil
	}, params(cty.String, "text", "suffix")...)

	contains = of(cty.Bool, func(a []cty.Value) (cty.Value, error) {
		return cty.BoolVal(strings.Contains(a[0].AsString(), a[1].AsString())), nil
	}, params(cty.String, "text", "part")...)

	urlEncode = text(func(a []string) (string, error) { return url.QueryEscape(a[0]), nil }, "text")

	base64Encode = text(func(a []string) (string, error) {
		return base64.StdEncoding.EncodeToString([]byte(a[0])), nil
	}, "text")

	base64Decode = text(func(a []string) (string, error) {
		b, err := decode64(a[0])
		if err == nil && !utf8.Valid(b) {
			err = errors.New("the decoded bytes are no UTF-8 text")
		}
		return string(b), err
	}, "text")

	base64Gzip = text(func(a []string) (string, error) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b) // neither writing nor closing fails in memory
		z.Write([]byte(a[0]))
		z.Close()
		return base64.StdEncoding.EncodeToString(b.Bytes()), nil
	}, "text")

	textEncodeBase64 = text(func(a []string) (string, error) {
		e, err := charset(a[1])
		if err != nil {
			return "", err
		}
		b, err := e.NewEncoder().Bytes([]byte(a[0]))
		if err != nil {
			return "", fmt.Errorf("the text has a character that %s has not", a[1])
		}
		return base64.StdEncoding.EncodeToString(b), nil
	}, "text", "encoding")

	textDecodeBase64 = text(func(a []string) (string, error) {
		e, err := charset(a[1])
		if err != nil {
			return "", err
		}
		b, err := decode64(a[0])
		if err != nil {
			return "", err
		}
		b, err = e.NewDecoder().Bytes(b)
		if err != nil || bytes.ContainsRune(b, utf8.RuneError) {
			return "", fmt.Errorf("the decoded bytes are no text in %s", a[1])
		}
		return string(b), nil
	}, "text", "encoding")
)

// decode64 does not quote the text in its errors, which may be a secret.
func decode64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if at := base64.CorruptInputError(0); errors.As(err, &at) {
		return nil, fmt.Errorf("the text is not base64: at byte %d", int64(at))
	}
	return b, err
}

// charset finds what people still meet: Unicode, and the alphabets of one byte. The tables of Chinese, Japanese and Korean
// would weigh more than the rest of the language.
func charset(name string) (encoding.Encoding, error) {
	switch key := strings.ToLower(name); key {
	case "utf-8":
		return unicode.UTF8, nil
	case "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), nil
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), nil
	case "utf-16":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), nil
	default:
		if n, is := strings.CutPrefix(key, "cp125"); is {
			key = "windows-125" + n
		}
		for _, e := range charmap.All {
			if s, is := e.(fmt.Stringer); is && strings.ReplaceAll(strings.ToLower(s.String()), " ", "-") == key {
				return e, nil
			}
		}
	}
	return nil, fmt.Errorf("%q is no encoding that is known: UTF-8, UTF-16, UTF-16LE, UTF-16BE, ISO-8859-1 to -16 and windows-1250 to -1258 are", name)
}
