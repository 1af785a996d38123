package template

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Pos is a place in a file, or the part of the command line that a value came from.
type Pos struct {
	File         string
	Line, Column int // counted from 1, the column in characters; 0 when there is no such place

	src    *File
	offset int // in src, in bytes
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// compare orders by file, then by place.
func (p Pos) compare(q Pos) int {
	if p.File != q.File {
		return strings.Compare(p.File, q.File)
	}
	if p.Line != q.Line {
		return p.Line - q.Line
	}
	return p.Column - q.Column
}

// excerpt returns the line of p and a second line with a caret below the column, or "". Of a long line only
// what stands around the column is looked at, and what may be a secret is not shown.
func (p Pos) excerpt() string {
	const width = 100
	if p.src == nil || p.Line == 0 {
		return ""
	}
	start, end := p.src.line(p.Line)
	if start == end {
		return ""
	}
	at := min(p.offset, end)
	col := 0
	var line []rune
	for i := p.src.back(at, start, width+1); i < end && len(line) <= col+width; {
		r, n := utf8.DecodeRune(p.src.text[i:end])
		if p.src.hides(i) {
			r = '•'
		}
		if r != '\t' && !unicode.IsGraphic(r) {
			r = utf8.RuneError // it could drive the terminal, or change the order of what is read
		}
		line = append(line, r)
		if i += n; i <= at {
			col = len(line)
		}
	}
	if from := col - width/2; len(line) > width && from > 0 {
		line = append([]rune("…"), line[from:]...)
		col += 1 - from
	}
	if len(line) > width {
		line = append(line[:width:width], '…')
	}
	pad := make([]rune, col)
	for i := range pad {
		pad[i] = ' '
		if line[i] == '\t' {
			pad[i] = '\t'
		}
	}
	return string(line) + "\n" + string(pad) + "^"
}

// File is the text of a file, in which places are found.
type File struct {
	name  string
	text  []byte
	lines []int // offset of the start of each line
	runes []int // how many characters begin before each block

	sensitive []string // variables whose values are not to be shown, besides those that the text itself names
	once      sync.Once
	spans     []span // see hidden
}

// block is the number of bytes between two entries of File.runes: with them, the place of an offset is found without
// counting the characters of a line that may be the whole file.
const block = 256

// NewFile reads nothing: the text is that of the file called name in messages.
func NewFile(name string, text []byte) *File {
	s := &File{name: name, text: text, lines: []int{0}}
	n := 0
	for i, c := range text {
		if i%block == 0 {
			s.runes = append(s.runes, n)
		}
		if utf8.RuneStart(c) {
			n++
		}
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	if len(text)%block == 0 {
		s.runes = append(s.runes, n)
	}
	return s
}

// Text is what stands between two byte offsets.
func (s *File) Text(from, to int) string {
	to = min(to, len(s.text))
	return string(s.text[min(from, to):to])
}

// before returns how many characters begin before an offset.
func (s *File) before(offset int) int {
	n := s.runes[offset/block]
	for _, c := range s.text[offset/block*block : offset] {
		if utf8.RuneStart(c) {
			n++
		}
	}
	return n
}

// back returns the offset of n characters before another one, but not less than least.
func (s *File) back(offset, least, n int) int {
	for ; n > 0 && offset > least; n-- {
		_, size := utf8.DecodeLastRune(s.text[least:offset])
		offset -= size
	}
	return offset
}

// Pos returns the place of a byte offset. A text stands where its opening quote does.
func (s *File) Pos(offset int) Pos {
	offset = min(offset, len(s.text))
	n, found := slices.BinarySearch(s.lines, offset)
	if !found {
		n-- // the line that it stands in
	}
	return Pos{File: s.name, Line: n + 1, Column: 1 + s.before(offset) - s.before(s.lines[n]), src: s, offset: offset}
}

// line returns where a line begins and ends, its line break not counted.
func (s *File) line(n int) (start, end int) {
	if n < 1 || n > len(s.lines) {
		return 0, 0
	}
	start, end = s.lines[n-1], len(s.text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	for end > start && s.text[end-1] == '\r' {
		end--
	}
	return start, end
}
