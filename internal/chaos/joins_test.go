package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/imgflow/imgflow/internal/secrettest"
	"github.com/imgflow/imgflow/internal/temporaltest"
)

var (
	amis = regexp.MustCompile(`\bami-[0-9a-f]{8,17}\b`)
)

const waiting = "makes it; waiting for that"

// shared writes t.json, whose image has the same name in each run.
func (f *fleet) shared(ticks int) {
	f.t.Helper()
	f.template(map[string]any{"ami_name": "shared", "name": "b000"}, onceEach(ticks)...)
}

// ids are the runs that there are, the oldest first.
func (f *fleet) ids() (ids []string) {
	f.t.Helper()
	rs, err := f.runs()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range rs {
		ids = append(ids, r.ID)
	}
	slices.Reverse(ids)
	return ids
}

// pair submits two runs of t.json, of which the second waits for the first.
func (f *fleet) pair() (maker, waiter *proc, ids []string) {
	f.t.Helper()
	maker = f.submit("t.json")
	f.hears(maker, "tick <b000.1>")
	waiter = f.submit("t.json")
	f.hears(waiter, waiting)
	return maker, waiter, f.ids()
}

// TestFleetJoins: of two runs that need the same image at the same time one makes it, and the other has it, though both
// workers are killed while it waits. Each ends well, and says whose it is. It goes with its maker alone.
func TestFleetJoins(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.shared(scaled(60, 200))
	maker, waiter, ids := f.pair()
	if text := f.must("show", ids[1]); !regexp.MustCompile(`waits for +run ` + ids[0]).MatchString(text) {
		t.Errorf("while it waits it is shown so:\n%s", text)
	}
	for _, m := range f.machines {
		m.signal(syscall.SIGKILL)
		<-m.ended
		f.replace(m)
	}
	first, second := f.ends(maker, 0), f.ends(waiter, 0)
	f.leaves(1)
	if n := f.launched(); n != 1 {
		t.Errorf("%d machines were launched", n)
	}
	calls := f.calls()
	for _, op := range []string{"CreateImage", "ImportKeyPair", "CreateSecurityGroup", "DescribeSubnets"} {
		if calls[op] > 2 || op == "CreateImage" && calls[op] != 1 { // a call whose worker was killed may be made again
			t.Errorf("%s was called %d times", op, calls[op])
		}
	}
	all := amis.FindAllString(first, -1)
	ami := all[len(all)-1]
	for _, want := range []string{"==> b000: There is image " + ami, ami + ", of run " + ids[0]} {
		if !strings.Contains(second, want) {
			t.Errorf("the one that waits does not say %q:\n%s", want, indent(second))
		}
	}
	if strings.Contains(second, "tick") || strings.Contains(first, waiting) {
		t.Errorf("the maker says\n%s\nand the other one\n%s", indent(first), indent(second))
	}
	if text := f.must("show", ids[1]); !strings.Contains(text, ami+", of run "+ids[0]) {
		t.Errorf("it is shown so:\n%s", text)
	}
	f.must("destroy", ids[1], "--yes", "--artifacts")
	f.leaves(1)
	third := f.submit("t.json") // nobody makes it now, and its name is taken
	if out := f.ends(third, 1); !strings.Contains(out, "shared") {
		t.Errorf("later it says\n%s", indent(out))
	}
	f.must("destroy", ids[0], "--yes", "--artifacts")
	f.leaves(0)
}

// TestFleetJoinsWhatIsGone: who has borrowed an image is told when its maker has removed it.
func TestFleetJoinsWhatIsGone(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.shared(20)
	maker, waiter, ids := f.pair()
	f.ends(maker, 0)
	f.ends(waiter, 0)
	f.must("destroy", ids[0], "--yes", "--artifacts")
	f.leaves(0)
	if text := f.must("show", ids[1]); !strings.Contains(text, ", of run "+ids[0]+", which has removed it") {
		t.Errorf("it is shown so:\n%s", text)
	}
}

// TestFleetMakesWhatIsNotMade: when the run that others wait for fails, is suspended, or its workflow is ended by hand, one
// of them makes the image.
func TestFleetMakesWhatIsNotMade(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"failed", "suspended", "terminated"} {
		t.Run(how, func(t *testing.T) {
			f := newFleet(t, 1)
			f.shared(scaled(60, 200))
			maker, waiter, ids := f.pair()
			other := f.submit("t.json")
			f.hears(other, waiting)
			switch how {
			case "failed":
				if err := f.terminate(t.Context(), f.machine()); err != nil {
					t.Fatal(err)
				}
			case "suspended":
				maker.signal(syscall.SIGINT)
			case "terminated":
				c, err := client.Dial(client.Options{HostPort: f.server.Address, Namespace: temporaltest.Namespace})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.TerminateWorkflow(t.Context(), ids[0], "", "by hand"); err != nil {
					t.Fatal(err)
				}
			}
			both := f.ends(waiter, 0) + f.ends(other, 0)
			if n := strings.Count(both, "tick <b000.1>"); n != 1 {
				t.Errorf("%d of the two have made it:\n%s", n, indent(both))
			}
			if err := maker.wait(patience); err != nil {
				t.Error(err)
			}
			if code := map[string]int{"failed": 1, "suspended": 130, "terminated": 1}[how]; maker.code() != code {
				t.Errorf("the maker has ended with %d, not %d:\n%s", maker.code(), code, indent(maker.output()))
			}
			f.must("destroy", ids[0], "--yes")
			f.leaves(1)
		})
	}
}

// TestFleetJoinsOnlyEqualSecrets: a run that was given another secret waits for nobody, and makes the image itself, though
// nothing of it is made of the secret. One that was given the same waits.
func TestFleetJoinsOnlyEqualSecrets(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.shared(scaled(75, 200))
	text, err := os.ReadFile(f.path("t.json"))
	if err != nil {
		t.Fatal(err)
	}
	f.file("t.json", `{"variables": {"word": null}, "sensitive-variables": ["word"], `+strings.TrimPrefix(string(text), "{"))
	const one, another = "hunTer2-of-the-first", "hunTer3-of-another"
	secrettest.Hide(t, one, another)
	maker := f.submit("-var", "word="+one, "t.json")
	f.hears(maker, "tick <b000.1>")
	same := f.submit("-var", "word="+one, "t.json")
	f.hears(same, waiting)
	other := f.submit("-var", "word="+another, "t.json")
	f.hears(other, "tick <b000.1>")
	other.signal(syscall.SIGINT) // it would find the name taken
	if err := other.wait(patience); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(other.output(), waiting) || f.launched() != 2 {
		t.Errorf("%d machines were launched, and who has another secret says\n%s", f.launched(), indent(other.output()))
	}
	f.must("destroy", f.ids()[2], "--yes")
	f.ends(maker, 0)
	f.ends(same, 0)
	f.leaves(1)
}

// TestFleetStopsWaiting: who waits can be suspended, and goes on waiting when it is resumed.
func TestFleetStopsWaiting(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.shared(scaled(75, 200))
	maker, waiter, ids := f.pair()
	begun := time.Now()
	waiter.signal(syscall.SIGINT)
	if err := waiter.wait(patience); err != nil {
		t.Fatal(err)
	}
	t.Logf("it was suspended in %s", time.Since(begun).Round(100*time.Millisecond))
	if text := f.must("show", ids[1]); !strings.Contains(text, "suspended") {
		t.Errorf("it is shown so:\n%s", text)
	}
	if !maker.alive() {
		t.Fatal("the maker has ended too early for this test")
	}
	again := f.begin(nil, "resume", ids[1])
	f.hears(again, waiting)
	f.ends(maker, 0)
	f.ends(again, 0)
	f.leaves(1)
}

// TestFleetSharesABase: of many runs at once, each with an image of its own that is made of one that all have, one makes
// that.
func TestFleetSharesABase(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.file("t.pkr.hcl", `
variable "n" { type = string }
source "amazon-ebs" "base" {
  region        = "us-east-1"
  instance_type = "t3.micro"
  ssh_username  = "ubuntu"
  ami_name      = "base"
  source_ami_filter {
    filters     = { name = "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*" }
    owners      = ["099720109477"]
    most_recent = true
  }
}
source "amazon-ebs" "own" {
  region        = "us-east-1"
  instance_type = "t3.micro"
  ssh_username  = "ubuntu"
}
build {
  name    = "base"
  sources = ["source.amazon-ebs.base"]
  provisioner "shell" { inline = ["sleep 3", "echo base > ~/base"] }
}
build {
  name = "own"
  source "source.amazon-ebs.own" {
    ami_name   = "own-${var.n}"
    source_ami = build.base.id
  }
  provisioner "shell" { inline = ["test \"$(cat ~/base)\" = base"] }
}
`)
	var ps []*proc
	for i := range 5 {
		ps = append(ps, f.submit("-var", fmt.Sprint("n=", i), "t.pkr.hcl"))
	}
	waited := 0
	for _, p := range ps {
		if strings.Contains(f.ends(p, 0), waiting) {
			waited++
		}
	}
	f.leaves(6)
	if n := f.launched(); n != 6 || waited != 4 {
		t.Errorf("%d machines were launched, and %d runs have waited", n, waited)
	}
	if n := f.calls()["DescribeSubnets"]; n > 10 {
		t.Errorf("subnets were looked for %d times", n)
	}
}
