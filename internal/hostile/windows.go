package hostile

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/wsman"
)

// Windows is a machine over WinRM that lies: its service is that of the embedded
// Windows, but behind it nothing runs. A field that is nil answers as an honest
// machine would.
type Windows struct {
	// Profile is what is printed before anything that a program prints.
	Profile func(out io.Writer)
	// Answer answers a script of imgflow, whose text it is given, before the fields
	// below do; with false it leaves it to them.
	Answer func(script string, out io.Writer) bool
	// Command answers what is no script of imgflow.
	Command func(line string, out io.Writer) (code int)
	// Glob is what a wildcard matches.
	Glob []string
	// Stat is what lies at a path, in the JSON of imgflow's script; nil: a file,
	// and a directory where the path ends with "dir".
	Stat func(path string) string
	// Fetch answers for a file, or the zip archive of a directory.
	Fetch func(path string, dir bool) []byte
	// Reply takes the place of the whole service; it is false when it leaves a
	// request to it.
	Reply func(w http.ResponseWriter, r *http.Request) bool

	restarted atomic.Bool
}

// windowsUser and windowsPassword let a build in.
const (
	windowsUser     = "Administrator"
	windowsPassword = "Gu3st-password"
)

// serve answers on the listener until stop is called.
func (x *Windows) serve(l net.Listener) (stop func()) {
	s := wsman.New(x)
	if x.Reply == nil {
		go s.Serve(l)
		return func() { s.Close() }
	}
	web := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !x.Reply(w, r) {
			s.ServeHTTP(w, r)
		}
	})}
	go web.Serve(l)
	return func() { web.Close(); s.Close() }
}

// Password implements wsman.Backend.
func (x *Windows) Password(string) (string, bool) { return windowsPassword, true }

// Service implements wsman.Backend.
func (x *Windows) Service() wsman.Service {
	s := wsman.Defaults()
	s.AllowUnencrypted, s.Basic = true, true
	return s
}

// Start implements wsman.Backend.
func (x *Windows) Start(_ context.Context, p wsman.Program) (wsman.Process, error) {
	w := &windowsProcess{ended: make(chan struct{}), killed: make(chan struct{})}
	go func() {
		defer close(w.ended)
		switch {
		case strings.Contains(p.Line, "-EncodedCommand"):
			x.script(p.Stdin, p.Stdout)
		case x.Command != nil:
			w.code = x.Command(p.Line, p.Stdout)
		}
	}()
	return w, nil
}

type windowsProcess struct {
	code          int
	ended, killed chan struct{}
}

func (w *windowsProcess) Wait() int {
	select {
	case <-w.ended:
		return w.code
	case <-w.killed:
		return 1
	}
}

func (w *windowsProcess) Kill() {
	select {
	case <-w.killed:
	default:
		close(w.killed)
	}
}

// script takes a script of imgflow line by line, and answers it for what it asks.
func (x *Windows) script(stdin io.Reader, out io.Writer) {
	if x.Profile != nil {
		x.Profile(out)
	}
	in := bufio.NewReaderSize(stdin, 1<<20)
	line := func() string {
		l, err := in.ReadString('\n')
		b, derr := base64.StdEncoding.DecodeString(strings.TrimSpace(l))
		if err != nil || derr != nil {
			return ""
		}
		return string(b)
	}
	text := line()
	io.WriteString(out, "IMGF1\n")
	called := strings.Contains(text, "$s.script")
	if called { // of a caller, before its arguments
		text = line()
	}
	var a struct {
		Path, Pattern, Op string
		Dir               bool
	}
	json.Unmarshal([]byte(line()), &a)
	switch {
	case x.Answer != nil && x.Answer(text, out):
	case called:
		fmt.Fprintf(out, "R %s\n", base64.StdEncoding.EncodeToString([]byte(x.call(text, a.Pattern, a.Path))))
	case strings.Contains(text, "N isfile"):
		b := []byte(shortFile)
		if x.Fetch != nil {
			b = x.Fetch(a.Path, a.Dir)
		}
		x.fetch(out, b)
		acked(in, out)
	case a.Op == "start" || a.Op == "attach": // a run, which ends well and may restart the machine
		x.restarted.Store(true)
		io.WriteString(out, "B 1000 0 1000\nS 0 0\n")
		acked(in, out)
	case a.Op != "":
		io.WriteString(out, "A\n")
	}
}

// acked waits until imgflow has got all.
func acked(in *bufio.Reader, out io.Writer) {
	for {
		switch l, err := in.ReadString('\n'); {
		case err != nil:
			return
		case strings.TrimSpace(l) == "ack":
			io.WriteString(out, "A\n")
			return
		}
	}
}

func (x *Windows) call(script, pattern, path string) string {
	switch {
	case strings.HasSuffix(strings.TrimSpace(script), "up"): // how long the machine is
		if x.restarted.Load() {
			return "1000"
		}
		return "1000000000"
	case pattern != "":
		b, _ := json.Marshal(x.Glob)
		return string(b)
	case x.Stat != nil:
		return x.Stat(path)
	case strings.HasSuffix(path, "dir"):
		return `{"dir":true}`
	}
	return fmt.Sprintf(`{"file":true,"readonly":false,"size":%d,"ticks":630822816000000000}`, len(shortFile))
}

// fetch sends bytes as imgflow's script for files does.
func (x *Windows) fetch(w io.Writer, b []byte) {
	fmt.Fprintf(w, "I %d 630822816000000000\n", len(b))
	sum := sha256.Sum256(b)
	for part := range slices.Chunk(b, 64<<10) {
		fmt.Fprintf(w, "F %s\n", base64.StdEncoding.EncodeToString(part))
	}
	fmt.Fprintf(w, "K %x\n", sum)
}
