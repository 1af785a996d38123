package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
)

// stdin is the standard input of the program, read in one place: a read of a
// terminal cannot be taken back, so what it brings after its asker has gone must
// be there for the next one.
var stdin = &input{r: os.Stdin}

type input struct {
	r    io.Reader
	once sync.Once
	ch   chan []byte

	mu   sync.Mutex
	rest []byte
}

// read returns what has come, at most max bytes of it, or gives up when ctx
// ends. The error is io.EOF at the end.
func (in *input) read(ctx context.Context, max int) ([]byte, error) {
	in.once.Do(func() {
		in.ch = make(chan []byte)
		go func() {
			defer close(in.ch)
			for {
				b := make([]byte, 4096)
				n, err := in.r.Read(b)
				if n > 0 {
					in.ch <- b[:n]
				}
				if err != nil {
					return
				}
			}
		}()
	})
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.rest) == 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case b, ok := <-in.ch:
			if !ok {
				return nil, io.EOF
			}
			in.rest = b
		}
	}
	n := min(max, len(in.rest))
	b := in.rest[:n]
	in.rest = in.rest[n:]
	return b, nil
}

// line returns the next line, without the space around it.
func (in *input) line(ctx context.Context) (string, error) {
	var line []byte
	for {
		b, err := in.read(ctx, 1)
		if err != nil || b[0] == '\n' {
			return strings.TrimSpace(string(line)), err
		}
		line = append(line, b...)
	}
}

// copyTo writes what comes until ctx ends, or the input.
func (in *input) copyTo(ctx context.Context, w io.Writer) {
	for {
		b, err := in.read(ctx, 4096)
		if err != nil {
			return
		}
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}
