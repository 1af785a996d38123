package cli

import (
	"cmp"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
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
	"file":                "packer.file",
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
		var ids []string // what a build has made of images is one artifact, in however many regions
		var files []state.Artifact
		text := "AMIs were created:\n"
		for _, a := range b.Artifacts {
			if a.Region == "" {
				files = append(files, a)
				continue
			}
			if a.Owner == "" { // whoever reads ids calls with the credentials of the build
				ids = append(ids, a.Region+":"+a.ID)
			}
			text += a.Text() + "\n"
		}
		n := 0
		line := func(data ...string) { m.Line(b.Name, "artifact", append([]string{strconv.Itoa(n)}, data...)...) }
		begin := func(maker, id, text string) {
			line("builder-id", cmp.Or(maker, builderIDs[b.Type], b.Type))
			line("id", id)
			line("string", text)
		}
		count := len(files)
		if len(ids) > 0 {
			count++
		}
		m.Line(b.Name, "artifact-count", strconv.Itoa(count))
		if len(ids) > 0 {
			begin("", strings.Join(ids, ","), text)
			line("files-count", "0")
			line("end")
			n++
		}
		for _, f := range files {
			id := ""
			if f.Maker == "" {
				id = "File"
			}
			begin(f.Maker, id, "Stored file: "+f.Name)
			line("files-count", "1")
			line("file", "0", f.Name)
			line("end")
			n++
		}
	}
}
