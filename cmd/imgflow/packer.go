package main

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/render"
	"github.com/imgflow/imgflow/state"
)

// This file holds what differs when the program is called under the name packer, or with
// -machine-readable: scripts that were written for Packer rely on its words, its
// exit statuses and what it does when it is interrupted.

// What newCommands may know of how the program was called.
const (
	underPacker = "packer"
	forMachines = "machine-readable"
)

// isPacker tells whether the program is called under that name.
func isPacker(program string) bool {
	return strings.TrimSuffix(filepath.Base(program), ".exe") == "packer"
}

func asPacker(c *cli.Context) bool { return c.App.Metadata[underPacker] != nil }

// packerStatus is the exit status that Packer has for what ends with an error: 1, but for fmt -check.
func packerStatus(code int, exit *exitError) int {
	if exit != nil && exit.unformatted {
		return code
	}
	return exitFailed
}

// withoutMachineReadable takes the flag -machine-readable out of the arguments, where Packer takes it anywhere.
func withoutMachineReadable(args []string) (rest []string, asked bool) {
	for i, a := range args {
		if a == "--" {
			return append(rest, args[i:]...), asked
		}
		switch strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-") {
		case forMachines, forMachines + "=true":
			if strings.HasPrefix(a, "-") {
				asked = true
				continue
			}
		}
		rest = append(rest, a)
	}
	return rest, asked
}

// machine is the output for programs, nil if people read it.
func machine(c *cli.Context) *render.Machine {
	m, _ := c.App.Writer.(*render.Machine)
	return m
}

// builderIDs are what Packer calls the makers of artifacts.
var builderIDs = map[string]string{
	"amazon-ebs":          "mitchellh.amazonebs",
	"amazon-ebssurrogate": "mitchellh.amazon.ebssurrogate",
	"amazon-ebsvolume":    "mitchellh.amazon.ebsvolume",
	"amazon-chroot":       "mitchellh.amazon.chroot",
	"amazon-instance":     "mitchellh.amazon.instance",
}

// resultsForMachines tells a program how the builds of a run have ended.
func resultsForMachines(m *render.Machine, sum state.Summary, failed map[string]string) {
	if len(failed) > 0 {
		m.Line("", "error-count", strconv.Itoa(len(failed)))
	}
	for _, b := range sum.Builds {
		if why, is := failed[b.Name]; is {
			m.Line(b.Name, "error", why)
		}
	}
	for _, b := range sum.Builds {
		if len(b.Artifacts) == 0 {
			continue
		}
		id, maker := make([]string, len(b.Artifacts)), builderIDs[b.Type]
		text := "AMIs were created:\n"
		for i, a := range b.Artifacts {
			id[i] = a.Region + ":" + a.ID
			text += a.Text() + "\n"
		}
		if maker == "" {
			maker = b.Type
		}
		m.Line(b.Name, "artifact-count", "1") // what a build has made is one artifact, in however many regions
		m.Line(b.Name, "artifact", "0", "builder-id", maker)
		m.Line(b.Name, "artifact", "0", "id", strings.Join(id, ","))
		m.Line(b.Name, "artifact", "0", "string", text)
		m.Line(b.Name, "artifact", "0", "files-count", "0")
		m.Line(b.Name, "artifact", "0", "end")
	}
}
