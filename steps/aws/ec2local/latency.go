package ec2local

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// durations are how long things take beyond what the endpoint itself needs.
type durations struct {
	launch, stop, start, terminate time.Duration
	image, copy, snapshot, volume  time.Duration
	windows                        time.Duration // a boot of Windows, after that of the instance
	password                       time.Duration // from the launch until Windows has made one
	forget                         time.Duration // until a terminated instance is gone from describing calls
}

// CheckLatency tells what is wrong with the text of a latency, as New would.
func CheckLatency(text string) error {
	_, err := parseLatency(text)
	return err
}

// parseLatency reads "none", "aws", or "aws/10" for a tenth of it. The figures
// of "aws" are medians that people published of small Linux instances, but for
// Windows.
func parseLatency(text string) (durations, error) {
	if text == "" || text == "none" {
		return durations{forget: time.Minute}, nil
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
		return durations{}, fmt.Errorf("cannot read the latency %q: it is none, aws, or aws/10 for a tenth of it", text)
	}
	d := func(seconds float64) time.Duration { return time.Duration(seconds / factor * float64(time.Second)) }
	return durations{
		launch: d(16), stop: d(30), start: d(16), terminate: d(30),
		image: d(45), copy: d(300), snapshot: d(40), volume: d(3),
		windows: d(60), password: d(240), // "a few minutes", says the documentation of GetPasswordData
		forget: d(3600),
	}, nil
}
