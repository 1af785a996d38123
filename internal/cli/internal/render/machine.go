package render

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/internal/termsafe"
)

// Machine writes lines in the form that programs read of Packer's -machine-readable:
//
//	1764445232,amazon-ebs.web,artifact,0,id,us-east-1:ami-0a63b6f51e8c2d94f
//
// which is a Unix time, what the line is about if that is a build, its type, and data. What is written
// as text becomes lines of the type ui, each as soon as it has its end. The methods may be called from many goroutines.
type Machine struct {
	w    io.Writer
	kind string

	mu   *sync.Mutex
	rest string // of a line that has no end so far
	now  func() time.Time
}

// NewMachine returns a Machine that writes to w.
func NewMachine(w io.Writer) *Machine {
	return &Machine{w: w, mu: new(sync.Mutex), now: time.Now}
}

// Errors is the same output for text that tells of errors.
func (m *Machine) Errors() *Machine {
	return &Machine{w: m.w, mu: m.mu, now: m.now, kind: "error"}
}

// Line writes one line. The target is a build, or empty.
func (m *Machine) Line(target, typ string, data ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.line(target, typ, data...)
}

var machineText = strings.NewReplacer(",", "%!(PACKER_COMMA)", "\r", `\r`, "\n", `\n`)

func (m *Machine) line(target, typ string, data ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d,%s,%s", m.now().Unix(), machineText.Replace(target), typ)
	for _, d := range data {
		b.WriteString("," + termsafe.Clean(machineText.Replace(d), false))
	}
	io.WriteString(m.w, b.String()+"\n") // nobody is left to tell when the output is gone
}

// Write writes text, a line of the type ui for each line of it.
func (m *Machine) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := strings.Split(m.rest+string(p), "\n")
	m.rest = lines[len(lines)-1]
	for _, l := range lines[:len(lines)-1] {
		kind := m.kind
		switch {
		case kind != "":
		case strings.HasPrefix(l, "    "):
			kind = "message" // a detail of what was said before
		default:
			kind = "say"
		}
		if l != "" {
			m.line("", "ui", kind, l)
		}
	}
	return len(p), nil
}
