package aws

import (
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/aws/prices"
)

// took says of each step that it usually takes a minute, but for those named.
func took(other map[string]time.Duration) func(kind, step string) (time.Duration, bool) {
	return func(_, step string) (time.Duration, bool) {
		if d, ok := other[step]; ok {
			return d, d > 0
		}
		return time.Minute, true
	}
}

func always(dag.Key) bool { return true }

func TestForesee(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.InstanceType = "m5.large"
	g := w.graph(b) // launch, wait, connect, stop, with the image behind them
	byPrices := ", by prices known on " + prices.Date()
	unheard := func(string, string) (time.Duration, bool) { return 0, false }
	for _, c := range []struct {
		name   string
		change func(*EBS)
		makes  func(dag.Key) bool
		usual  func(kind, step string) (time.Duration, bool)
		want   string
	}{
		{"past runs", func(*EBS) {}, always, took(map[string]time.Duration{"wait": 27 * time.Minute, "image": time.Hour, "source": time.Hour}), "about $0.05 with Linux, for 30 minutes as in past runs" + byPrices},
		{"an unknown step", func(*EBS) {}, always, took(map[string]time.Duration{"wait": 0}), "about $0.10 an hour with Linux" + byPrices},
		{"no past", func(*EBS) {}, always, unheard, "about $0.10 an hour with Linux" + byPrices},
		{"type", func(b *EBS) { b.InstanceType = "m99.large" }, always, unheard, "unknown (no price of m99.large with Linux in us-east-1)"},
		{"region", func(b *EBS) { b.Access.Region = "sa-east-1" }, always, unheard, "unknown (no price of m5.large with Linux in sa-east-1)"},
		{"hardware", func(b *EBS) { b.Tenancy = "dedicated" }, always, unheard, "unknown (no price of hardware that is not shared)"},
		{"nothing to do", func(*EBS) {}, func(dag.Key) bool { return false }, unheard, ""},
		{"Windows", func(b *EBS) { b.Communicator, b.WinRM.Username = "winrm", "Administrator" }, always, unheard, "about $0.19 an hour" + byPrices},
	} {
		b := template()
		b.InstanceType = "m5.large"
		c.change(b)
		if text := Foresee(w.graph(b).Nodes, c.makes, c.usual).Text(); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
	if f := Foresee(g.Nodes, always, unheard); len(f.Machines) != 1 || f.Machines[0].What != "m5.large with Linux in us-east-1" {
		t.Errorf("%+v", f)
	}
}

// The machine of a test stands for itself, and has what its build has.
func TestForeseeTests(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.InstanceType = "m5.large"
	b.Communicator, b.WinRM.Username = "winrm", "Administrator"
	g := dag.NewGraph(nil)
	w.tested(g, b, "win", "good")
	f := Foresee(g.Nodes, always, took(map[string]time.Duration{"test-1.probe": 57 * time.Minute}))
	if len(f.Machines) != 2 {
		t.Fatalf("%+v", f)
	}
	for i, m := range f.Machines {
		if m.What != "m5.large with Windows in us-east-1" || m.Unknown != "" || m.Hourly != .188 {
			t.Errorf("%d: %+v", i, m)
		}
	}
	if test := f.Machines[1].For; test < time.Hour || test > 70*time.Minute || f.Machines[0].For > 10*time.Minute {
		t.Errorf("the build's machine stands for %v, that of its test for %v", f.Machines[0].For, test)
	}
	var none cost.Forecast
	if none.Text() != "" {
		t.Error(none.Text())
	}
}
