package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"
)

// plan is all that a seed decides about a run.
type plan struct {
	Seed      uint64
	Guest     string
	Windows   *windowsPlan // nil: the image is of Linux
	Latency   string
	Faults    string
	Copies    []string // regions that get a copy of the image
	Scripts   int
	Naps      []time.Duration // how long each script takes
	Tags      bool
	Encrypted bool // the image and its copies are
	Role      bool // the machine has one for the time of the build
	tail
	Production string    // where the production template is; "": it is one of chaos
	First      blow      // what befalls the first imgflow
	Mischief   string    // what happens to the instance: "", terminate or reboot then, or reclaim, whenever the seed has it
	Then       string    // resume, destroy or orphans
	More       []blow    // what befalls those that follow, before one may finish
	Losses     [8][]blow // what befalls the workers of each imgflow, where it has any
}

// blow is a signal after so many lines of output and so much time.
type blow struct {
	Lines int
	After time.Duration
	Sig   syscall.Signal
}

func (b blow) String() string {
	name := "kill -9"
	if b.Sig == syscall.SIGTERM {
		name = "kill -15"
	}
	return fmt.Sprintf("%s at line %d + %s", name, b.Lines, b.After)
}

// The lines that a build prints depend on its steps; a blow later than the last
// one finds a build that has finished, which is to happen now and then.
const (
	mostLines  = 44
	mostAgain  = 24 // of an imgflow that goes on
	mostJitter = 400 * time.Millisecond
)

// newPlan draws the plan of a seed.
func newPlan(seed uint64, guest, template string) plan {
	r := rand.New(rand.NewPCG(seed, 0x636861_6f73))
	p := plan{Seed: seed, Guest: guest}
	p.Latency = pick(r, "none", "aws/400", "aws/100", "aws/40")
	p.Faults = fmt.Sprintf("throttle=0.2,error=0.05,reset=0.03,lostreply=%s,lag=%dms,seed=%d", pick(r, "0", "0.03", "0.1"), r.IntN(5001), seed)
	if r.IntN(4) == 0 {
		p.Copies = []string{"eu-west-1"}
	}
	if guest != "none" {
		p.Scripts = 3
	}
	for range p.Scripts {
		p.Naps = append(p.Naps, time.Duration(r.IntN(1500))*time.Millisecond)
	}
	p.Tags = r.IntN(2) == 0
	lines, again := mostLines, mostAgain
	if guest == "none" {
		lines /= 2
	}
	if template == "windows" {
		p.Windows = newWindowsPlan(r, p.Scripts)
		lines, again = lines+len(p.lines()), again+len(p.lines())
	}
	p.First = newBlow(r, lines)
	switch r.IntN(8) {
	case 0:
		p.Mischief = "terminate"
	case 1:
		p.Mischief = "reboot"
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		p.Then = "destroy"
	case 3:
		p.Then = "orphans"
	default:
		p.Then = "resume"
	}
	for r.IntN(2) == 0 && len(p.More) < 3 {
		p.More = append(p.More, newBlow(r, again))
	}
	// Drawn apart, so that a seed decides the same of all else with and without it.
	r = rand.New(rand.NewPCG(seed, 0x776f726b_6572))
	for i := range p.Losses {
		most := again
		if i == 0 {
			most = lines
		}
		for range r.IntN(5) {
			p.Losses[i] = append(p.Losses[i], newBlow(r, most))
		}
		slices.SortFunc(p.Losses[i], func(a, b blow) int { return a.Lines - b.Lines })
	}
	r = rand.New(rand.NewPCG(seed, 0x73706f74))
	p.Encrypted = r.IntN(4) == 0
	if p.Mischief == "" && r.IntN(5) == 0 {
		p.Mischief = "reclaim"
		p.Faults = fmt.Sprintf("spot=%dms,reclaims=%d,%s", 500+r.IntN(5000), 1+r.IntN(2), p.Faults)
	}
	p.drawTail(rand.New(rand.NewPCG(seed, 0x7461696c)))
	r = rand.New(rand.NewPCG(seed, 0x726f_6c65))
	p.Role = r.IntN(4) == 0
	return p
}

func newBlow(r *rand.Rand, lines int) blow {
	b := blow{Lines: r.IntN(lines), After: time.Duration(r.Int64N(int64(mostJitter))).Round(time.Millisecond), Sig: syscall.SIGKILL}
	if r.IntN(6) == 0 {
		b.Sig = syscall.SIGTERM
	}
	return b
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// results are what the template makes.
func (p plan) results() results {
	if p.Volumes {
		return results{volumes: 1, snapshots: 1}
	}
	return results{images: 1 + len(p.Copies)}
}

// template is the plan's template in Packer's JSON. Each of its scripts notes on
// the machine that it ran, and fails if any other did not run exactly once.
func (p plan) template() string {
	builder := map[string]any{
		"type": "amazon-ebs", "region": region, "instance_type": "t3.micro", "ssh_username": "ubuntu",
		"ami_name": fmt.Sprintf("chaos-%d-{{timestamp}}", p.Seed), "source_ami_filter": sourceFilter(),
	}
	if p.Guest == "none" {
		builder["communicator"] = "none"
	}
	if p.Tags {
		builder["tags"] = map[string]string{"Seed": fmt.Sprint(p.Seed), "From": "{{ .SourceAMI }}"}
		builder["snapshot_tags"] = map[string]string{"Seed": fmt.Sprint(p.Seed)}
	}
	if p.Encrypted {
		builder["encrypt_boot"] = true
	}
	if p.Role {
		builder["temporary_iam_instance_profile_policy_document"] = map[string]any{"Version": "2012-10-17",
			"Statement": []any{map[string]any{"Effect": "Allow", "Action": []string{"s3:GetObject"}, "Resource": []string{"*"}}}}
	}
	if p.Mischief == "reclaim" {
		builder["spot_price"] = "auto"
	}
	if p.Copies != nil {
		builder["ami_regions"] = p.Copies
	}
	p.tail.options(builder, p)
	t := map[string]any{"builders": []any{builder}, "variables": map[string]string{"word": hidden}, "sensitive-variables": []string{"word"}}
	switch {
	case p.Windows != nil:
		t["provisioners"] = p.windows(builder)
	case p.Scripts > 0:
		t["provisioners"] = p.linux()
	}
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		panic(err) // maps of texts always marshal
	}
	return string(text)
}

// hidden is what each template has in a sensitive variable.
const hidden = "hunTer2-of-the-campaign"

func (p plan) linux() []any {
	provisioners := []any{map[string]any{"type": "file", "source": "./cargo.txt", "destination": "/home/ubuntu/cargo.txt"}}
	ran := ""
	for i := range p.Scripts {
		provisioners = append(provisioners, map[string]any{"type": "shell", "environment_vars": []string{"WORD={{user `word`}}"}, "inline": []string{
			"test -s ~/cargo.txt",
			`echo "the word is $WORD"`,
			fmt.Sprintf(`test "$(cat ~/ran 2>/dev/null)" = "%s"`, strings.TrimSuffix(ran, "\n")),
			fmt.Sprintf("echo script %d >> ~/ran", i),
			fmt.Sprintf("sleep %.3f", p.Naps[i].Seconds()),
			fmt.Sprintf("echo script %d is done", i),
		}})
		ran += fmt.Sprintf("script %d\n", i)
	}
	return provisioners
}

// lines are what the scripts print, each once, if nothing happens to the machine.
func (p plan) lines() (all []string) {
	for i := range p.Scripts {
		if p.Windows != nil {
			for k := range p.Windows.Ticks {
				all = append(all, fmt.Sprintf("script %d tick <%d>", i, k))
			}
		}
		all = append(all, fmt.Sprintf("script %d is done", i))
	}
	return all
}

// sourceFilter chooses an image that the embedded EC2 has in every region.
func sourceFilter() map[string]any {
	return map[string]any{
		"filters": map[string]string{"name": "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*", "root-device-type": "ebs", "virtualization-type": "hvm"},
		"owners":  []string{"099720109477"}, "most_recent": true,
	}
}
