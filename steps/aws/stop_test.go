package aws

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Stopping waits until the instance is at rest, and takes one that is already.
func TestStop(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, _ := w.launched("t1")
	step := Stop{Instance: dag.Lit(i), After: dag.Lit(comm.Machine{}).Take()}
	refused(t, w, "StopInstances", step, "cannot stop "+i.ID+": ")
	w.rest(i)
	calls, looks := w.front.count("StopInstances"), w.front.count("DescribeInstances")
	if s := twice(t, w, step); s.ID != i.ID || s.VPC != i.VPC || s.Place != here {
		t.Errorf("%+v", s)
	}
	if n := w.front.count("DescribeInstances"); n != looks {
		t.Errorf("%d looks at what the answer said", n-looks)
	}
	is := must(w.site().describeInstances(t.Context(), filter("instance-id", i.ID)))
	if is[0].State.Name != types.InstanceStateNameStopped {
		t.Errorf("it is %s", is[0].State.Name)
	}
	if n := w.front.count("StopInstances"); n != calls+2 {
		t.Errorf("%d calls, want 2", n-calls)
	}
	step.Itself = true
	twice(t, w, step)
	if n := w.front.count("StopInstances"); n != calls+2 {
		t.Error("one that stops by itself was told to")
	}
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	if _, err := step.Do(t.Context(), w.cloud, task("t2")); err == nil || !strings.HasPrefix(err.Error(), "cannot image "+i.ID+": it is ") {
		t.Errorf("one that has ended: %v", err)
	}
}

// showing answers questions for a machine's console with these texts, the last of them for good.
func (w *world) showing(texts ...string) {
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, _ url.Values) bool {
		if action != "GetConsoleOutput" {
			return false
		}
		text := texts[min(n, len(texts))-1]
		io.WriteString(rw, `<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instanceId>i-1</instanceId><output>`+
			base64.StdEncoding.EncodeToString([]byte(text))+`</output></GetConsoleOutputResponse>`)
		return true
	})
}

// An image is asked for while the instance is stopping only if its console has shown, since it was
// told to stop, that the machine is off.
func TestStopEarly(t *testing.T) {
	const off = "login:\n[  90.1] reboot: Power down\n"
	for name, c := range map[string]struct {
		shows []string
		early bool
	}{
		"it powers down":      {[]string{"login:\n", "login:\n", off}, true},
		"it does not say so":  {[]string{"login:\n"}, false},
		"it was off before":   {[]string{off}, false},
		"there is no console": {[]string{"", off}, false},
		"it restarts":         {[]string{"login:\n", "login:\nreboot: Restarting system\n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOf(t, ec2local.Options{Latency: map[bool]string{true: "stopped=10m", false: "stopped=3s"}[c.early]})
			i, _ := w.launched("t1")
			must(Wait{Instance: dag.Lit(i).Take(), Source: dag.Lit(SourceImage{}), Communicator: "none"}.Do(t.Context(), w.cloud, task("wait")))
			w.showing(c.shows...)
			s := must(Stop{Instance: dag.Lit(i), After: dag.Lit(comm.Machine{}).Take(), Early: true}.Do(t.Context(), w.cloud, task("t2")))
			is := must(w.site().describeInstances(t.Context(), filter("instance-id", i.ID)))
			if s.Stopping != c.early || s.ID != i.ID || (is[0].State.Name == types.InstanceStateNameStopping) != c.early {
				t.Errorf("%+v, and it is %s", s, is[0].State.Name)
			}
			var asked []string
			w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, form url.Values) bool {
				if action == "CreateImage" {
					asked = append(asked, form.Get("NoReboot"))
				}
				return false
			})
			must(CreateImage{From: dag.Lit(s), Name: "image-1"}.Do(t.Context(), w.cloud, task("t3")))
			if want := map[bool]string{true: "true"}[c.early]; len(asked) != 1 || asked[0] != want {
				t.Errorf("CreateImage with NoReboot %q, want %q", asked, want)
			}
		})
	}
}

// What cannot be early is told, and is no reason to refuse.
func TestLateImages(t *testing.T) {
	yes := true
	for _, set := range []func(*EBS){
		func(b *EBS) { b.SkipCreateAMI = true },
		func(b *EBS) { b.Price = "auto" },
		func(b *EBS) { b.DisableStop = true },
		func(b *EBS) { b.Communicator, b.WinRM.Username = "winrm", "u" },
		func(b *EBS) { b.ENASupport = &yes },
		func(b *EBS) { b.SriovSupport = true },
	} {
		b := template()
		b.CreateDuringShutdown = true
		if fs := b.Check(); len(fs) != 0 {
			t.Errorf("where it can be early: %v", fs)
		}
		set(b)
		if fs := b.Check(); !slices.ContainsFunc(fs, func(f steps.OptionError) bool { return f.Field == "ami_create_during_shutdown" && f.Harmless }) || b.late() == "" {
			t.Errorf("%v, %q", fs, b.late())
		}
	}
}
