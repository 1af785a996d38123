package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// cloud is an embedded EC2 in a process of its own, with its log.
type cloud struct {
	cmd      *exec.Cmd
	endpoint string

	mu    sync.Mutex
	calls []call
	ready time.Time // when the last image became available
}

// call is one that the cloud has answered.
type call struct {
	action string
	at     time.Time
}

// Keys that the cloud takes; nobody else is asked with them.
const (
	keyID  = "AKIDBENCH"
	secret = "not-a-secret"
)

var (
	serving  = regexp.MustCompile(`^EC2 at (http://\S+),`)
	answered = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d+ \S+ ([A-Z][A-Za-z]+)( .*)? \d+ms$`)
	imaged   = regexp.MustCompile(` ami-\S+ pending -> available$`)
)

// startCloud has the program serve EC2 until the returned cloud is stopped.
func startCloud(imgflow, dir, latency, guest string) (*cloud, error) {
	c := &cloud{cmd: exec.Command(imgflow, "ec2local", "--listen", "127.0.0.1:0", "--dir", dir, "--latency", latency, "--guest", guest, "--access-key", keyID, "--secret-key", secret)}
	out, in := io.Pipe()
	c.cmd.Stdout, c.cmd.Stderr = in, in
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the embedded EC2: %w", err)
	}
	go func() { c.cmd.Wait(); in.Close() }()
	at, said := make(chan string, 1), &strings.Builder{}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			if m := serving.FindStringSubmatch(line); m != nil {
				at <- m[1]
			}
			said.WriteString(line + "\n")
			c.heard(line)
		}
		close(at)
	}()
	c.endpoint = <-at
	if c.endpoint == "" {
		return nil, fmt.Errorf("cannot start the embedded EC2: %s", said)
	}
	return c, nil
}

// heard takes one line of the log.
func (c *cloud) heard(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := answered.FindStringSubmatch(line); {
	case m != nil:
		c.calls = append(c.calls, call{m[1], time.Now()})
	case imaged.MatchString(line):
		c.ready = time.Now()
	}
}

// since forgets what was before, and returns what tells what has been called from
// then on, and when the image that was made was first known to be ready.
func (c *cloud) since() func() (calls int, known time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.ready = nil, time.Time{}
	return func() (int, time.Time) {
		c.mu.Lock()
		defer c.mu.Unlock()
		var known time.Time
		for _, a := range c.calls {
			if a.action == "DescribeImages" && !c.ready.IsZero() && a.at.After(c.ready) {
				known = a.at
				break
			}
		}
		return len(c.calls), known
	}
}

func (c *cloud) stop() {
	c.cmd.Process.Signal(os.Interrupt)
	for range 100 {
		if c.cmd.ProcessState != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.cmd.Process.Kill()
}

// env is that of a tool that knows no other cloud, and nothing of its user.
func (c *cloud) env(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "IMGFLOW_HOME=" + filepath.Join(home, "imgflow"),
		"AWS_ENDPOINT_URL=" + c.endpoint, "AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_EC2_METADATA_DISABLED=true",
		"PACKER_CONFIG_DIR=" + home, "CHECKPOINT_DISABLE=1"}
}
