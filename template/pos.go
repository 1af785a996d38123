package template

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Pos is a place in a file, or the part of the command line that a value came from.
type Pos struct {
	File         string
	Line, Column int // counted from 1, the column in characters; 0 when there is no such place

	src *source
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

// excerpt returns the line of p and a second line with a caret below the column, or "".
func (p Pos) excerpt() string {
	const width = 100
	if p.src == nil || p.Line == 0 {
		return ""
	}
	line := []rune(p.src.line(p.Line))
	if len(line) == 0 {
		return ""
	}
	col := min(p.Column-1, len(line))
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

// source is a file's text with the offsets of its lines.
type source struct {
	name  string
	text  []byte
	lines []int // offset of the start of each line
}

func newSource(name string, text []byte) *source {
	s := &source{name: name, text: text, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// pos returns the place of a byte offset.
func (s *source) pos(offset int) Pos {
	offset = min(offset, len(s.text))
	lo, hi := 0, len(s.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.lines[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return Pos{File: s.name, Line: lo + 1, Column: 1 + utf8.RuneCount(s.text[s.lines[lo]:offset]), src: s}
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	line := s.text[s.lines[n-1]:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	return strings.ToValidUTF8(string(bytes.TrimRight(line, "\r")), "\uFFFD")
}
