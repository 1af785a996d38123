//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var many = flag.String("many", "1,10", "how many builders TestManyBuilders has, with commas between")

// burden is what a run of many builders costs.
type burden struct {
	builders  int
	wall, cpu time.Duration
	endpoint  time.Duration  // that calls took there; of many builders some at the same time
	memory    int64          // bytes, at its peak
	calls     map[string]int // by action
}

func (b burden) total() (n int) {
	for _, c := range b.calls {
		n += c
	}
	return n
}

// TestManyBuilders builds templates of some sizes in an embedded EC2 whose guests are
// records, and tells what that costs. Ten builders have the same keys, each for
// itself, and make fewer calls than ten times one.
func TestManyBuilders(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED: what many builders cost: -short is given, and it builds the program and some images")
	}
	program := filepath.Join(t.TempDir(), "imgflow")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/imgflow").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var all []burden
	for text := range strings.SplitSeq(*many, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		b := buildMany(t, program, n)
		if b.calls["RunInstances"] < n || b.calls["CreateImage"] < n {
			t.Errorf("%d builders made the calls %v", n, b.calls)
		}
		if b.calls["DescribeSecurityGroups"] != 1 || b.calls["GetCallerIdentity"] != 0 {
			t.Errorf("%d builders of one account: whose it is was asked for more than once: %v", n, b.calls)
		}
		if len(all) > 0 && n > all[0].builders && b.total()*all[0].builders >= n*all[0].total() {
			t.Errorf("%d builders make %d calls, and %d make %d: none are saved", n, b.total(), all[0].builders, all[0].total())
		}
		all = append(all, b)
	}
	t.Log(burdens(all))
}

// buildMany runs the program with so many builders.
func buildMany(t *testing.T, program string, n int) burden {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := exec.CommandContext(ctx, program, "ec2local", "--listen", "127.0.0.1:0", "--dir", filepath.Join(dir, "ec2"), "--guest", "none",
		"--access-key", "AKIDEXAMPLE", "--secret-key", "not-a-secret")
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	stdout, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	endpoint := ""
	for endpoint == "" && lines.Scan() {
		endpoint = regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
	}
	b := burden{builders: n}
	calls := make(chan map[string]int, 1)
	go func() {
		m := map[string]int{}
		call := regexp.MustCompile(`^[0-9:.]+ \S+ ([A-Z][a-z]+[A-Z]\w+) .*?(\d+)ms$`)
		for lines.Scan() {
			if f := call.FindStringSubmatch(lines.Text()); f != nil {
				m[f[1]]++
				ms, _ := strconv.Atoi(f[2])
				b.endpoint += time.Duration(ms) * time.Millisecond
			}
		}
		calls <- m
	}()
	template := filepath.Join(dir, "template.json")
	text := `{"builders": [` + list(n, func(i int) string {
		return fmt.Sprintf(`{"type": "amazon-ebs", "name": "build-%d", "access_key": "AKIDEXAMPLE", "secret_key": "not-a-secret", "region": "us-east-1",
 "source_ami_filter": {"owners": ["099720109477"], "most_recent": true, "filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}},
 "instance_type": "t3.micro", "communicator": "none", "ami_name": "image-%d"}`, i, i)
	}) + `]}`
	if err := os.WriteFile(template, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(program, "run", template)
	run.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "AWS_") }),
		"AWS_ENDPOINT_URL="+endpoint, "HOME="+dir, "IMGFLOW_HOME="+filepath.Join(dir, "home"))
	var out bytes.Buffer
	run.Stdout, run.Stderr = &out, &out
	began := time.Now()
	if err := run.Run(); err != nil {
		t.Fatalf("imgflow run: %v\n%s", err, out.Bytes()[max(0, out.Len()-4000):])
	}
	b.wall, b.cpu = time.Since(began), run.ProcessState.UserTime()+run.ProcessState.SystemTime()
	b.memory = int64(run.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
	cancel()
	b.calls = <-calls
	if err := server.Wait(); err != nil && ctx.Err() == nil {
		t.Errorf("ec2local: %v", err)
	}
	return b
}

// burdens is a table, with a column for each run.
func burdens(all []burden) string {
	var b strings.Builder
	row := func(name string, cell func(burden) string) {
		fmt.Fprintf(&b, "\n| %-28s |", name)
		for _, x := range all {
			fmt.Fprintf(&b, " %10s |", cell(x))
		}
	}
	row("builders", func(x burden) string { return strconv.Itoa(x.builders) })
	row("wall, s", func(x burden) string { return fmt.Sprintf("%.1f", x.wall.Seconds()) })
	row("beyond the endpoint's time", func(x burden) string {
		if x.builders > 1 { // calls overlap
			return "-"
		}
		return fmt.Sprintf("%.0f %%", 100*(1-x.endpoint.Seconds()/x.wall.Seconds()))
	})
	row("CPU, s", func(x burden) string { return fmt.Sprintf("%.1f", x.cpu.Seconds()) })
	row("peak memory, MiB", func(x burden) string { return strconv.FormatInt(x.memory>>20, 10) })
	row("memory for each more, KiB", func(x burden) string {
		if x.builders == all[0].builders {
			return "-"
		}
		return strconv.FormatInt((x.memory-all[0].memory)>>10/int64(x.builders-all[0].builders), 10)
	})
	row("calls", func(x burden) string { return strconv.Itoa(x.total()) })
	row("calls a build", func(x burden) string { return fmt.Sprintf("%.1f", float64(x.total())/float64(x.builders)) })
	actions := map[string]bool{}
	for _, x := range all {
		for a := range x.calls {
			actions[a] = true
		}
	}
	for _, a := range slices.Sorted(maps.Keys(actions)) {
		row(a, func(x burden) string { return strconv.Itoa(x.calls[a]) })
	}
	return b.String()
}
