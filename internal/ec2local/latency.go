package ec2local

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// durations are how long things take beyond what the endpoint itself needs.
type durations struct {
	launch, stop, start, terminate time.Duration
	image, copy, snapshot, volume  time.Duration
	imports                        time.Duration // of a disk, to an image
	fast                           time.Duration // until fast launch is enabled
	ssh                            time.Duration // from a boot of Linux until SSH answers
	windows                        time.Duration // a boot of Windows, after that of the instance
	password                       time.Duration // from the launch until Windows has made one
	forget                         time.Duration // until a terminated instance is gone from describing calls
}

// CheckLatency tells what is wrong with the text of a latency, as New would. It is
// one of
//
//	none         nothing takes longer than it does; so does an empty text
//	aws          medians of what people published of small Linux instances on AWS
//	aws/10       a tenth of them
//	running=7.3s,ssh=18.7s,stopped=16.4s,image=61.9s,terminated=31.3s
//
// The last sets times one by one, each from the call that asks for it: until an
// instance runs, answers by SSH (at each boot of a Linux guest), is stopped, is
// terminated, until an image is available, and with import until a disk is one, with copy until a copy is
// available, with fastlaunch until fast launch is enabled. What is not named takes no time, as with none.
func CheckLatency(text string) error {
	_, err := parseLatency(text)
	return err
}

func parseLatency(text string) (durations, error) {
	if text == "" || text == "none" {
		return durations{forget: time.Minute}, nil
	}
	if strings.Contains(text, "=") {
		return parseTimes(text)
	}
	name, by, scaled := strings.Cut(text, "/")
	factor := 1.0
	if scaled {
		f, err := strconv.ParseFloat(by, 64)
		if err != nil || !(f > 0) {
			return durations{}, fmt.Errorf("cannot read the latency %q: after the slash stands a number, such as aws/10", text)
		}
		factor = f
	}
	if name != "aws" {
		return durations{}, fmt.Errorf("cannot read the latency %q: it is none, aws, aws/10 for a tenth of it, or times such as running=7s,image=1m", text)
	}
	d := func(seconds float64) time.Duration { return time.Duration(seconds / factor * float64(time.Second)) }
	return durations{
		launch: d(16), stop: d(30), start: d(16), terminate: d(30),
		image: d(45), copy: d(300), snapshot: d(40), volume: d(3), imports: d(900), fast: d(480),
		windows: d(60), password: d(240), // "a few minutes", says the documentation of GetPasswordData
		forget: d(3600),
	}, nil
}

// parseTimes reads times that are named one by one.
func parseTimes(text string) (durations, error) {
	ds := durations{forget: time.Minute}
	times := map[string]*time.Duration{
		"running": &ds.launch, "ssh": &ds.ssh, "stopped": &ds.stop, "image": &ds.image, "terminated": &ds.terminate, "import": &ds.imports, "copy": &ds.copy, "fastlaunch": &ds.fast,
	}
	set := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		at := times[name]
		switch {
		case at == nil:
			return durations{}, fmt.Errorf("cannot read the latency %q: no time is called %q; there are %s", text, name, strings.Join(slices.Sorted(maps.Keys(times)), ", "))
		case set[name]:
			return durations{}, fmt.Errorf("cannot read the latency %q: it names %s twice", text, name)
		}
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return durations{}, fmt.Errorf("cannot read the latency %s=%s: the value must be a time such as 7.3s", name, value)
		}
		*at, set[name] = d, true
	}
	ds.start = ds.launch
	return ds, nil
}
