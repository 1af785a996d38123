package posh

import (
	"context"
	"io"
)

// lineReader reads lines as they arrive. It reads in a goroutine of its own, so
// that the end of the process does not wait for a peer that is silent.
type lineReader struct {
	r     io.Reader
	ctx   context.Context
	code  *encoding
	buf   []byte
	skip  bool // a line feed that belongs to the carriage return before it
	eof   bool
	wait  chan chunk
	used  bool
	first bool
}

type chunk struct {
	data []byte
	err  error
}

// fill waits for more bytes.
func (l *lineReader) fill() error {
	if l.eof {
		return nil
	}
	if l.r == nil {
		l.eof = true
		return nil
	}
	if l.wait == nil {
		l.wait = make(chan chunk, 1)
		go func() {
			data := make([]byte, 64<<10)
			n, err := l.r.Read(data)
			l.wait <- chunk{data[:n], err}
		}()
	}
	select {
	case c := <-l.wait:
		l.wait = nil
		l.buf = append(l.buf, c.data...)
		if c.err != nil {
			l.eof = true
		}
		return nil
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

func (l *lineReader) decode(b []byte) string {
	if !l.first {
		l.first = true
		if len(b) >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF {
			b = b[3:]
		}
	}
	if l.code == nil {
		return encodings["utf-8"].decode(b)
	}
	return l.code.decode(b)
}

// line gives the next line without its end; ok is false at the end of input.
func (l *lineReader) line() (text string, ok bool, err error) {
	l.used = true
	from := 0
	for {
		if l.skip && len(l.buf) > 0 {
			if l.buf[0] == '\n' {
				l.buf = l.buf[1:]
			}
			l.skip = false
			from = 0
		}
		for i := from; i < len(l.buf); i++ {
			if c := l.buf[i]; c == '\n' || c == '\r' {
				text = l.decode(l.buf[:i])
				l.skip = c == '\r'
				l.buf = l.buf[i+1:]
				return text, true, nil
			}
		}
		from = len(l.buf)
		if l.eof {
			if len(l.buf) == 0 {
				return "", false, nil
			}
			text = l.decode(l.buf)
			l.buf = nil
			return text, true, nil
		}
		if err := l.fill(); err != nil {
			return "", false, err
		}
	}
}

// Read is for streams over the same input.
func (l *lineReader) Read(p []byte) (int, error) {
	l.used = true
	for len(l.buf) == 0 {
		if l.eof {
			return 0, io.EOF
		}
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.buf)
	l.buf = l.buf[n:]
	return n, nil
}
