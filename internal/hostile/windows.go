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
	"time"

	"github.com/imgflow/imgflow/steps/aws/ec2local/windows/wsman"
)

// Windows is a machine over WinRM that lies: its service is that of the embedded
// Windows, but behind it nothing runs. A field that is nil answers as an honest
// machine would.
type Windows struct {
	// Glob is what a wildcard matches.
	Glob []string
	// Stat is what lies at a path, in the JSON of imgflow's script; nil: a file,
	// and a directory where the path ends with "dir".
	Stat func(path string) string
	// Fetch answers for a file, or the zip archive of a directory.
	Fetch func(path string, dir bool) []byte
	// Program answers any command, in place of all the above.
	Program func(p wsman.Program) (code int)
	// Reply takes the place of the whole service; it is false when it leaves a
	// request to it.
	Reply func(w http.ResponseWriter, r *http.Request) bool
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
		if x.Program != nil {
			w.code = x.Program(p)
			return
		}
		x.program(p)
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

// program takes imgflow's scripts line by line, and answers each for what it asks.
func (x *Windows) program(p wsman.Program) {
	in := bufio.NewReaderSize(p.Stdin, 1<<20)
	line := func() []byte {
		l, err := in.ReadString('\n')
		b, derr := base64.StdEncoding.DecodeString(strings.TrimSpace(l))
		if err != nil || derr != nil {
			return nil
		}
		return b
	}
	script := string(line())
	io.WriteString(p.Stdout, "IMGF1\n")
	var a struct {
		Path, Pattern string
		Dir           bool
	}
	switch {
	case strings.Contains(script, "$s.script"): // of a caller: its text, then its arguments
		line()
		json.Unmarshal(line(), &a)
		fmt.Fprintf(p.Stdout, "R %s\n", base64.StdEncoding.EncodeToString([]byte(x.call(a.Pattern, a.Path))))
	case strings.Contains(script, "N isfile"):
		json.Unmarshal(line(), &a)
		b := []byte(shortFile)
		if x.Fetch != nil {
			b = x.Fetch(a.Path, a.Dir)
		}
		x.fetch(p.Stdout, b)
		in.ReadString('\n') // ack
		io.WriteString(p.Stdout, "A\n")
	}
}

func (x *Windows) call(pattern, path string) string {
	switch {
	case pattern != "":
		b, _ := json.Marshal(x.Glob)
		return string(b)
	case x.Stat != nil:
		return x.Stat(path)
	case strings.HasSuffix(path, "dir"):
		return `{"dir":true}`
	case path != "":
		return fmt.Sprintf(`{"file":true,"readonly":false,"size":%d,"ticks":630822816000000000}`, len(shortFile))
	}
	return "true"
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
