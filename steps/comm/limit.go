package comm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
)

// What a machine may send where we keep it, in bytes. All else streams through.
const (
	maxFrame  = 64 << 10 // a line of our scripts on Linux
	maxNoise  = 1 << 20  // what comes before our script's own words: rc files, a message of the day
	maxErrors = 64 << 20 // what our scripts and their commands write of errors, of which the end is kept
	maxOutput = 4 << 20  // a command's whole output, or a line of our scripts on Windows
)

// tooMuchNoise is a machine that prints more than anybody would before it runs what it is
// told to.
func tooMuchNoise(text string) error {
	return permanent{fmt.Errorf("the machine prints more than %d MiB before it runs our commands, as rc files of a login shell can%s", maxNoise>>20, said(clipped(text)))}
}

// tooMuchOutput is a command with more output than can be kept.
func tooMuchOutput() error {
	return permanent{fmt.Errorf("the machine answers with more than %d MiB", maxOutput>>20)}
}

// tooManyErrors is a command that writes errors without an end.
func tooManyErrors() error {
	return permanent{fmt.Errorf("the machine writes more than %d MiB of errors", maxErrors>>20)}
}

// clipped is the end of a text, short enough for an error.
func clipped(text string) string {
	const most = 200
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return text
}

// frameLine reads a line of our scripts, with its newline.
func frameLine(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", permanent{fmt.Errorf("cannot understand the machine's answer %.200q, which is a line without an end", b)}
	}
	return string(b), err
}

// output keeps a command's output as long as it can be kept.
type output struct{ bytes.Buffer }

func (o *output) Write(p []byte) (int, error) {
	if o.Len()+len(p) > maxOutput {
		return 0, tooMuchOutput()
	}
	return o.Buffer.Write(p)
}
