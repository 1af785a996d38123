package web

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/runpage"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
)

// TestMain is the tests, or in their place the commands that a page starts.
func TestMain(m *testing.M) {
	if os.Getenv("WEB_TEST_COMMAND") == "" {
		os.Exit(m.Run())
	}
	args := strings.Join(os.Args[1:], " ")
	fmt.Printf("this is imgflow %s\x1b[2J <b>\n", args)
	switch {
	case strings.Contains(args, "dry-run"):
		if list, err := os.ReadFile(os.Getenv("WEB_TEST_COMMAND")); err == nil {
			fmt.Printf("%s\nNothing was removed.\n", list)
		}
	case strings.HasPrefix(args, "resume"):
		fmt.Fprintln(os.Stderr, "imgflow: cannot resume: variables must be given again")
		os.Exit(2)
	default:
		for range 200 { // until it may end
			if _, err := os.Stat(os.Getenv("WEB_TEST_COMMAND") + ".end"); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	os.Exit(0)
}

// site is a server with a home, and a browser that was let in.
type site struct {
	*Server
	*http.Client
	t    *testing.T
	home *state.Home
	url  string
	list string // the file that a dry run lists
}

func newSite(t *testing.T) *site {
	t.Helper()
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &site{t: t, home: home, url: "http://" + l.Addr().String(), list: filepath.Join(t.TempDir(), "list")}
	x.Server, err = New(Options{
		Home: home, Addr: l.Addr().String(), Version: "1.2.3",
		Usual: func(state.Summary) func(kind, step string) (time.Duration, time.Duration, bool) { return nil },
		Facts: func(r *runpage.Run) bool {
			r.Resources = []runpage.Resource{{Label: "instance i-1 <script>", Step: "launch", State: runpage.Stands}}
			r.Cost = cost.Bill{Items: []cost.Item{{What: "instance i-1", USD: 1}}, Prices: "2026-11-30"}
			if home.Driven(r.Summary.ID) {
				return false
			}
			r.Made = &runpage.Made{Digest: "of the records"}
			return true
		},
		Report: func(s state.Summary) (runpage.Run, error) { return runpage.New(s, runview.New(), time.Now()), nil },
		Command: func(args ...string) *exec.Cmd {
			cmd := exec.Command(os.Args[0], args...)
			cmd.Env = append(os.Environ(), "WEB_TEST_COMMAND="+x.list)
			return cmd
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: x.Server}}
	srv.Start()
	jar, _ := cookiejar.New(nil)
	x.Client = &http.Client{Jar: jar, Timeout: 30 * time.Second}
	t.Cleanup(func() { x.Close(); srv.CloseClientConnections(); srv.Close() })
	if code, _ := x.get(x.URL()[len(x.url):]); code != http.StatusOK {
		t.Fatalf("the printed address is answered with %d", code)
	}
	return x
}

func (x *site) do(method, path string, form url.Values, change ...func(*http.Request)) (*http.Response, string) {
	x.t.Helper()
	req, err := http.NewRequest(method, x.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		x.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", x.url)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := x.Client.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return resp, string(body)
}

func (x *site) get(path string) (int, string) {
	x.t.Helper()
	resp, body := x.do(http.MethodGet, path, nil)
	return resp.StatusCode, body
}

func (x *site) post(path string, fields ...string) (int, string) {
	x.t.Helper()
	form := url.Values{"csrf": {x.door.csrf}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	resp, body := x.do(http.MethodPost, path, form)
	return resp.StatusCode, body
}

// started is a run that this process drives.
func (x *site) started(builds ...string) *state.Run {
	x.t.Helper()
	sum := state.Summary{Template: "web.json"}
	for _, b := range builds {
		sum.Builds = append(sum.Builds, state.BuildSummary{Name: b, Type: "amazon-ebs", Status: state.Running})
	}
	run, err := x.home.Create(sum)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { run.Close() })
	x.emit(run, dag.Event{Type: dag.RunBegun, Text: "web.json"})
	for i, b := range builds {
		x.emit(run, dag.Event{Type: dag.Planned, Step: "shell", Key: keyOf(i), Builds: []string{b}, Text: "run a script"})
	}
	return run
}

func keyOf(i int) string { return fmt.Sprintf("%064x", i+1) }

func (x *site) emit(run *state.Run, events ...dag.Event) {
	x.t.Helper()
	for _, e := range events {
		e.V, e.Time = dag.EventVersion, time.Now()
		if err := run.Emit(e); err != nil {
			x.t.Fatal(err)
		}
	}
}

// suspend ends the driving of a run.
func (x *site) suspend(run *state.Run) string {
	x.t.Helper()
	if err := run.SetSummary(func(s *state.Summary) { s.Status = state.Suspended }); err != nil {
		x.t.Fatal(err)
	}
	x.emit(run, dag.Event{Type: dag.RunEnded, Text: state.Suspended})
	run.Close()
	return run.ID()
}

// messages are those of a stream, until ctx ends.
func (x *site) messages(ctx context.Context, path string, header ...string) <-chan string {
	x.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.url+path, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Jar: x.Jar}).Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		x.t.Fatalf("the stream is answered with %s", resp.Status)
	}
	ch := make(chan string, 100)
	go func() {
		defer resp.Body.Close()
		defer close(ch)
		var b strings.Builder
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
			if sc.Text() != "" {
				b.WriteString(sc.Text() + "\n")
				continue
			}
			ch <- b.String()
			b.Reset()
		}
	}()
	return ch
}

// until waits for a message that has a text.
func until(t *testing.T, ch <-chan string, want string) string {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case m, ok := <-ch:
			if !ok {
				t.Fatalf("the stream ended before %q", want)
			}
			if strings.Contains(m, want) {
				return m
			}
		case <-timeout:
			t.Fatalf("%q never came", want)
		}
	}
}

var tag = regexp.MustCompile(`(?s)<[^>]*>`)

func words(page string) string {
	return strings.Join(strings.Fields(tag.ReplaceAllString(page, " ")), " ")
}

// What we have of others is what was looked at: vendor.sh fetches it again.
func TestVendored(t *testing.T) {
	for file, want := range map[string]string{
		"htmx.min.js":   "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
		"hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
	} {
		p, err := assets.ReadFile("assets/" + file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(p)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has the SHA-256 %s, want %s", file, got, want)
		}
	}
}
