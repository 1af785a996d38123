package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// times are what the cloud takes for each step.
type times struct {
	running, ssh, stopped, image, terminated time.Duration
}

// measured are times of a small Linux instance.
var measured = times{7300 * time.Millisecond, 18700 * time.Millisecond, 16400 * time.Millisecond, 61900 * time.Millisecond, 31300 * time.Millisecond}

// text is what the embedded EC2 reads them from.
func (t times) text() string {
	return fmt.Sprintf("running=%s,ssh=%s,stopped=%s,image=%s,terminated=%s", t.running, t.ssh, t.stopped, t.image, t.terminated)
}

// path is what no tool can do without: the machine answers, is stopped, and its
// image is made.
func (t times) path() time.Duration { return max(t.running, t.ssh) + t.stopped + t.image }

// tool is what builds images.
type tool struct {
	name     string
	args     []string // before the template
	template string
}

// outcome is what one build took, in seconds from the start of the tool.
type outcome struct {
	known, end float64
	calls      float64
}

// builds is what is measured.
type builds struct {
	imgflow string   // the program, which plays the cloud as well
	packers []string // by path
	rounds  int
	fresh   bool // no build knows what one before has learned
	times   times
	guest   string // what stands behind the instances
	early   bool   // imgflow asks for an image while the instance is stopping, too
	chart   string // an SVG to write; "" is none
}

func buildFlags(args []string) (b builds, err error) {
	f := flag.NewFlagSet("build", flag.ContinueOnError)
	f.StringVar(&b.imgflow, "imgflow", "", "the `program`; by default it is built from the module above")
	f.IntVar(&b.rounds, "n", 5, "builds of each tool")
	f.BoolVar(&b.fresh, "fresh", false, "give every build a home that knows nothing of the cloud")
	f.BoolVar(&b.early, "early", false, "measure imgflow with ami_create_during_shutdown, too")
	f.StringVar(&b.chart, "svg", "", "draw the medians into this `file`")
	f.Func("packer", "measure this `program`, too; may be repeated (default /usr/bin/packer, if it is there)", func(p string) error { b.packers = append(b.packers, p); return nil })
	if err := f.Parse(args); err != nil {
		return b, err
	}
	if f.NArg() > 0 || b.rounds < 1 {
		return b, errors.New("cannot read the command line: build takes flags alone, and at least one round")
	}
	if _, err := os.Stat("/usr/bin/packer"); err == nil && len(b.packers) == 0 {
		b.packers = []string{"/usr/bin/packer"}
	}
	b.times, b.guest = measured, "auto"
	return b, nil
}

// run measures, and writes as it goes.
func (b builds) run(w io.Writer) error {
	dir, err := os.MkdirTemp("", "imgflow-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if b.imgflow == "" {
		b.imgflow = filepath.Join(dir, "imgflow")
		make := exec.Command("go", "build", "-o", b.imgflow, "./cmd/imgflow")
		make.Dir, make.Stderr = "..", os.Stderr
		if err := make.Run(); err != nil {
			return fmt.Errorf("cannot build imgflow: %w", err)
		}
	}
	c, err := startCloud(b.imgflow, filepath.Join(dir, "ec2"), b.times.text(), b.guest)
	if err != nil {
		return err
	}
	defer c.stop()
	template, early := filepath.Join(dir, "template.json"), filepath.Join(dir, "early.json")
	if err := errors.Join(writeTemplate(template, c.endpoint, b.guest, false), writeTemplate(early, c.endpoint, b.guest, true)); err != nil {
		return err
	}
	tools := []tool{{"imgflow", []string{b.imgflow, "run"}, template}}
	if b.early {
		tools = append(tools, tool{"imgflow, early", []string{b.imgflow, "run"}, early})
	}
	for _, p := range b.packers {
		tools = append(tools, tool{nameOf(p), []string{p, "build", "-color=false"}, template})
	}
	fmt.Fprintf(w, "%s; critical path to the image %.1f s\n", b.times.text(), b.times.path().Seconds())
	all := make([][]outcome, len(tools))
	for round := range b.rounds {
		for i := range tools {
			i = (i + round) % len(tools) // none is always the first
			home := filepath.Join(dir, fmt.Sprint("home", i))
			if b.fresh {
				home = fmt.Sprint(home, "-", round)
			}
			if err := os.MkdirAll(home, 0o700); err != nil {
				return err
			}
			o, err := tools[i].build(c, home)
			if err != nil {
				return err
			}
			all[i] = append(all[i], o)
			fmt.Fprintf(w, "round %d  %-16s image known %6.1f s  end %6.1f s  %3.0f calls\n", round+1, tools[i].name, o.known, o.end, o.calls)
		}
	}
	t := b.table(tools, all)
	t.write(w)
	if b.chart == "" {
		return nil
	}
	return os.WriteFile(b.chart, t.svg("One build, seconds until the image is known and until the tool ends"), 0o644)
}

// build runs the tool once.
func (t tool) build(c *cloud, home string) (outcome, error) {
	cmd := exec.Command(t.args[0], append(t.args[1:len(t.args):len(t.args)], t.template)...)
	cmd.Env, cmd.Dir = c.env(home), home
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	seen, begun := c.since(), time.Now()
	if err := cmd.Run(); err != nil {
		return outcome{}, fmt.Errorf("cannot build with %s: %w\n%s", t.name, err, out.String())
	}
	ended := time.Now()
	time.Sleep(100 * time.Millisecond) // the last lines of the cloud's log
	calls, known := seen()
	if known.IsZero() {
		return outcome{}, fmt.Errorf("cannot tell when %s knew of its image: it never asked\n%s", t.name, out.String())
	}
	return outcome{known.Sub(begun).Seconds(), ended.Sub(begun).Seconds(), float64(calls)}, nil
}

// table compares the medians.
func (b builds) table(tools []tool, all [][]outcome) table {
	path := b.times.path().Seconds()
	t := table{head: []string{"", "image known", "÷ critical path", "end", "end − known", "calls", "end ÷ imgflow's"}}
	ends := column(all[0], func(o outcome) float64 { return o.end })
	for i, tool := range tools {
		known, end := column(all[i], func(o outcome) float64 { return o.known }), column(all[i], func(o outcome) float64 { return o.end })
		var tail, ratio []float64
		for n := range known {
			tail, ratio = append(tail, end[n]-known[n]), append(ratio, end[n]/ends[n])
		}
		overPath := "–" // where the cloud takes no time
		if path > 0 {
			overPath = fmt.Sprintf("%.3f", median(known)/path)
		}
		t.rows = append(t.rows, []string{tool.name, fmt.Sprintf("%.1f s", median(known)), overPath, fmt.Sprintf("%.1f s", median(end)),
			fmt.Sprintf("%.1f s", median(tail)), fmt.Sprintf("%.0f", median(column(all[i], func(o outcome) float64 { return o.calls }))), fmt.Sprintf("%.2f", median(ratio))})
		t.bars = append(t.bars, bar{tool.name, median(known), median(end)})
	}
	t.mark = path
	return t
}

func column(os []outcome, of func(outcome) float64) (v []float64) {
	for _, o := range os {
		v = append(v, of(o))
	}
	return v
}

// nameOf is a Packer with its version.
func nameOf(path string) string {
	out, err := exec.Command(path, "version").Output()
	first, _, _ := strings.Cut(string(out), "\n")
	if err != nil || first == "" {
		return filepath.Base(path)
	}
	return strings.TrimSpace(first)
}

// writeTemplate writes one that all tools understand. Without a guest nobody can be
// reached. What is early no other tool understands.
func writeTemplate(path, endpoint, guest string, early bool) error {
	builder := map[string]any{
		"type": "amazon-ebs", "access_key": keyID, "secret_key": secret, "region": "us-east-1",
		"custom_endpoint_ec2": endpoint, "skip_credential_validation": true, "skip_metadata_api_check": true, "skip_region_validation": true,
		"ami_name": "bench-{{uuid}}", "instance_type": "t2.micro", "ssh_username": "ubuntu",
		"source_ami_filter": map[string]any{
			"filters": map[string]any{"virtualization-type": "hvm", "name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*", "root-device-type": "ebs"},
			"owners":  []string{"099720109477"}, "most_recent": true,
		},
	}
	if early {
		builder["ami_create_during_shutdown"] = true
	}
	t := map[string]any{"builders": []any{builder}}
	if guest == "none" {
		builder["communicator"] = "none"
	} else {
		t["provisioners"] = []any{map[string]any{"type": "shell", "inline": []string{"echo hello"}}}
	}
	p, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return os.WriteFile(path, p, 0o600)
}
