package wsman

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
)

// Namespaces of the protocol.
const (
	nsSOAP     = "http://www.w3.org/2003/05/soap-envelope"
	nsSOAP11   = "http://schemas.xmlsoap.org/soap/envelope/"
	nsAddress  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsTransfer = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	nsWSMan    = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	nsWSMV     = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
	nsShell    = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
	nsFault    = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
	nsConfig   = "http://schemas.microsoft.com/wbem/wsman/1/config"
	nsIdentity = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
)

// Limits of what is parsed, besides the size of the envelope.
const (
	maxDepth    = 32
	maxElements = 10000
)

// element is one of a document, with the text that stands directly in it.
type element struct {
	name  xml.Name
	attrs []xml.Attr
	text  string
	kids  []*element

	raw []byte // the text as far as it was read
}

func (e *element) is(space, local string) bool {
	return e.name.Space == space && e.name.Local == local
}

// kid is the first child of a name, or nil.
func (e *element) kid(space, local string) *element {
	for _, k := range e.kids {
		if k.is(space, local) {
			return k
		}
	}
	return nil
}

// value is the text of the first child of a name without the space around it.
func (e *element) value(space, local string) string {
	if k := e.kid(space, local); k != nil {
		return strings.TrimSpace(k.text)
	}
	return ""
}

func (e *element) attr(space, local string) string {
	for _, a := range e.attrs {
		if a.Name.Space == space && a.Name.Local == local {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

var errDocument = errors.New("not a document that can be read")

// parse reads one document, which may be in UTF-8 or UTF-16.
func parse(data []byte) (*element, error) {
	data, err := decodeText(data)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	// The text is UTF-8 by now, whatever its declaration says.
	d.CharsetReader = func(name string, r io.Reader) (io.Reader, error) {
		if strings.EqualFold(name, "utf-16") {
			return r, nil
		}
		return nil, errDocument
	}
	var root *element
	var open []*element
	for n := 0; ; {
		t, err := d.Token()
		if err == io.EOF && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if n++; n > maxElements || len(open) == maxDepth || len(t.Attr) > 64 {
				return nil, errDocument
			}
			e := &element{name: t.Name, attrs: t.Attr}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.kids = append(parent.kids, e)
			case root == nil:
				root = e
			default:
				return nil, errDocument
			}
			open = append(open, e)
		case xml.EndElement:
			last := open[len(open)-1]
			last.text, last.raw = string(last.raw), nil
			open = open[:len(open)-1]
		case xml.CharData:
			switch {
			case len(open) > 0:
				last := open[len(open)-1]
				last.raw = append(last.raw, t...)
			case strings.TrimSpace(string(t)) != "":
				return nil, errDocument
			}
		case xml.Directive:
			return nil, errDocument // a document type: SOAP forbids it
		}
	}
}

// wide tells UTF-16 from UTF-8 by the first bytes, as XML demands it.
func wide(data []byte) (order binary.ByteOrder, mark int) {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return binary.LittleEndian, 2
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return binary.BigEndian, 2
	case bytes.HasPrefix(data, []byte{'<', 0}):
		return binary.LittleEndian, 0
	case bytes.HasPrefix(data, []byte{0, '<'}):
		return binary.BigEndian, 0
	}
	return nil, 0
}

func decodeText(data []byte) ([]byte, error) {
	order, mark := wide(data)
	if order == nil {
		return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
	}
	data = data[mark:]
	if len(data)%2 != 0 {
		return nil, errDocument
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return []byte(string(utf16.Decode(units))), nil
}

// encodeUTF16 is text as Windows answers those that speak UTF-16.
func encodeUTF16(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// esc is text as it stands in an element or attribute.
func esc(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // a strings.Builder never fails
	return b.String()
}
