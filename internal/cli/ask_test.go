//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestAsk answers the questions of -on-error=ask at a real terminal: a shell to
// mend the machine, then the step again.
func TestAsk(t *testing.T) {
	d := newDesk(t)
	src := strings.Replace(slowTemplate, `"echo run >> /tmp/runs"`, `"test -e /tmp/mended"`, 1)
	src = strings.Replace(src, "seq 1 30", "seq 1 2", 1)
	src = strings.Replace(src, `, "test $(wc -l < /tmp/runs) = 1"`, "", 1)
	src = strings.Replace(src, `"provisioners": [`, `"provisioners": [{"type": "breakpoint", "note": "have a look"}, {"type": "breakpoint", "disable": true},`, 1)
	if err := os.WriteFile(filepath.Join(d.dir, "ask.json"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := d.command("run", "--local", "-on-error=ask", "ask.json")
	cmd.Env = append(cmd.Env, "TERM=xterm")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Skipf("NOT TESTED: questions at a terminal: there are no terminals here: %v", err)
	}
	defer tty.Close()
	defer time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() }).Stop() // rather than to hang
	var seen strings.Builder
	until := func(text string) {
		t.Helper()
		from := seen.Len()
		for b := make([]byte, 4096); ; {
			n, err := tty.Read(b)
			seen.Write(b[:n])
			if strings.Contains(seen.String()[from:], text) {
				return
			}
			if err != nil {
				t.Fatalf("%q does not come: %v\n%s", text, err, seen.String())
			}
		}
	}
	until("wait at a breakpoint: have a look. Enter goes on.")
	tty.WriteString("\n")
	const question = "[o]pen a shell"
	until(question)
	tty.WriteString("what?\n")
	until(question)
	tty.WriteString("o\n")
	until("$")
	tty.WriteString("touch /tmp/mended; exit\n")
	until(question)
	tty.WriteString("r\n")
	until("us-east-1: ami-")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, seen.String())
	}
	if !strings.Contains(seen.String(), "\x1b[") {
		t.Error("no colours on a terminal")
	}
}
