package pluginpeer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/session-manager-plugin/src/sessionmanagerplugin/session"
	_ "github.com/aws/session-manager-plugin/src/sessionmanagerplugin/session/portsession"

	"github.com/imgflow/imgflow/internal/sessionmanager"
)

// TestMain is AWS's plugin where a test has started it as that.
func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) == "" {
		os.Exit(m.Run())
	}
	session.ValidateInputAndStartSession(os.Args, os.Stdout)
}

// asPlugin is what tells it.
const asPlugin = "PLUGIN_PEER"

var opened = regexp.MustCompile(`Port ([0-9]+) opened for sessionId`)

// serve is a port that says what it is told.
func serve(c net.Conn) {
	defer c.Close()
	pr, pw := io.Pipe()
	go func() {
		io.Copy(pw, c)
		pw.Close()
	}()
	io.Copy(c, pr)
}

// exchange sends so many bytes and wants them back.
func exchange(port string, n int) error {
	c, err := net.Dial("tcp", "localhost:"+port)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	want, got := bytes.Repeat([]byte("0123456789abcdef"), n/16), make([]byte, n)
	go c.Write(want)
	if read, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("after %d of %d bytes: %w", read, n, err)
	}
	return nil
}

// The plugin opens a port that leads through our agent's side, for several connections at once,
// and resumes its session when the link is cut.
func TestThePluginAndOurAgent(t *testing.T) {
	agent := sessionmanager.NewAgent(22, func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go serve(far)
		return near, nil
	})
	var resumed atomic.Int64
	var answer []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Amz-Target") {
		case "":
			agent.Serve(w, r, func(token string) bool { return token == "good" })
		case "AmazonSSM.ResumeSession":
			resumed.Add(1)
			fallthrough
		default:
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.Write(answer)
		}
	}))
	defer server.Close()
	answer, _ = json.Marshal(map[string]string{"SessionId": "s-1", "StreamUrl": "ws" + strings.TrimPrefix(server.URL, "http") + "/channel", "TokenValue": "good"})

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	request := `{"Target": "i-1", "DocumentName": "AWS-StartPortForwardingSession", "Parameters": {"portNumber": ["22"]}}`
	cmd := exec.CommandContext(ctx, os.Args[0], string(answer), "us-east-1", "StartSession", "", request, server.URL)
	home := t.TempDir()
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret", "AWS_EC2_METADATA_DISABLED=true", asPlugin+"=yes")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	port := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if m := opened.FindStringSubmatch(lines.Text()); m != nil {
				port <- m[1]
			}
			t.Log(lines.Text())
		}
		close(port)
	}()
	var at string
	select {
	case at = <-port:
	case <-ctx.Done():
	}
	if at == "" {
		t.Fatalf("the plugin opens no port: %s", errs.String())
	}
	const beside = 3
	done := make(chan error, beside)
	for range beside {
		go func() { done <- exchange(at, 100_000) }()
	}
	for range beside {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	// Only while nothing is on its way: what is, the plugin takes twice, or gives up.
	agent.Cut()
	for end := time.Now().Add(time.Minute); resumed.Load() == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := exchange(at, 100_000); err != nil {
		t.Errorf("the link was cut: %v", err)
	}
	if resumed.Load() == 0 {
		t.Error("the plugin has not resumed its session: nothing was cut")
	}
	agent.Close("the test is over")
	if err := cmd.Wait(); ctx.Err() != nil {
		t.Errorf("the plugin goes on after the end of its session: %v", err)
	}
}
