package ci

import (
	"bytes"
	"io"
)

// What GitLab takes of a dotenv report by itself. One that has more is refused as a whole.
const (
	dotenvBytes = 5 << 10
	dotenvLines = 20
)

// Bounded is a writer to the file of [Job.Outputs], in which something stands already: what the
// server would not take is left out.
func (j *Job) Bounded(file io.Writer, has []byte) io.Writer {
	if j == nil || j.kind != "gitlab" {
		return file
	}
	return &dotenv{file, len(has), bytes.Count(has, []byte("\n"))}
}

// dotenv writes lines, one at a time, as long as there is room.
type dotenv struct {
	io.Writer
	bytes, lines int
}

func (d *dotenv) Write(line []byte) (int, error) {
	if d.bytes+len(line) > dotenvBytes || d.lines == dotenvLines {
		return len(line), nil
	}
	d.bytes, d.lines = d.bytes+len(line), d.lines+1
	return d.Writer.Write(line)
}
