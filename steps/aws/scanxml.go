package aws

import (
	"bytes"
	"errors"
	"fmt"
)

// What a reply may be made of: a struct of the SDK takes up to 700 bytes for an
// element of 13, and each open element costs the decoder memory, too.
const (
	maxElements = 400_000
	maxItems    = 25_000    // elements called item, which make an entry of a list
	maxDepth    = 64        // elements open at once
	maxTag      = 1024      // bytes of one tag with its attributes
	maxText     = 256 << 10 // bytes between two tags: EC2 has nothing longer than 64 KiB of console in base64
)

var errTruncated = errors.New("broke off")

// scanXML looks through the tags of an XML document without decoding it, and says
// what its root element is called and how many items it has, as far as it came. The
// error is errBrokenOff, or tells what the document has too much of.
func scanXML(p []byte) (root string, items int, err error) {
	depth, elements := 0, 0
	for {
		at := bytes.IndexByte(p, '<')
		if at > maxText || at < 0 && len(p) > maxText {
			return root, items, fmt.Errorf("holds a text longer than %d KiB", maxText>>10)
		}
		if at < 0 {
			break
		}
		mark := p[at:]
		switch {
		case bytes.HasPrefix(mark, []byte("<!--")):
			p = after(mark, "-->")
		case bytes.HasPrefix(mark, []byte("<![CDATA[")):
			p = after(mark, "]]>")
		case bytes.HasPrefix(mark, []byte("<?")):
			p = after(mark, "?>")
		case bytes.HasPrefix(mark, []byte("</")):
			depth--
			p = after(mark, ">")
		default:
			end := tagEnd(mark)
			if root == "" {
				root = tagName(mark[1:min(len(mark), maxTag)])
			} else if depth == 0 {
				return root, items, errors.New("holds more than one document")
			}
			if end < 0 && len(mark) > maxTag {
				return root, items, fmt.Errorf("holds a tag longer than %d bytes", maxTag)
			}
			if end < 0 {
				return root, items, errTruncated
			}
			if mark[end-1] != '/' {
				depth++
			}
			if elements++; tagName(mark[1:end]) == "item" {
				items++
			}
			p = mark[end+1:]
		}
		switch {
		case p == nil || depth < 0:
			return root, items, errTruncated
		case depth > maxDepth:
			return root, items, fmt.Errorf("nests elements deeper than %d", maxDepth)
		case elements > maxElements:
			return root, items, fmt.Errorf("has more than %d elements", maxElements)
		case items > maxItems:
			return root, items, fmt.Errorf("lists more than %d items", maxItems)
		}
	}
	if depth != 0 || root == "" {
		return root, items, errTruncated
	}
	return root, items, nil
}

// after is what follows the end of a mark; nil without one.
func after(p []byte, end string) []byte {
	_, rest, ok := bytes.Cut(p, []byte(end))
	if !ok {
		return nil
	}
	return rest
}

// markEnd is where the > of a start tag is, which a quoted one is not; -1 when
// it is not within maxMark.
func tagEnd(p []byte) int {
	quote := byte(0)
	for i, c := range p[:min(len(p), maxTag)] {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return -1
}

// markName is what a start tag is called, without its namespace.
func tagName(tag []byte) string {
	if i := bytes.IndexAny(tag, " \t\r\n/>"); i >= 0 {
		tag = tag[:i]
	}
	return string(tag[bytes.IndexByte(tag, ':')+1:])
}
