package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/interp"
)

// version is set by the linker for releases.
var version = ""

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "say which imgflow this is", Category: toolGroup,
		Flags: []cli.Flag{jsonFlag("print it as JSON")},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0, "no arguments"); err != nil {
				return err
			}
			if c.Bool("json") {
				return render.Indented(c.App.Writer, render.VersionJSON{Version: versionText(), Packer: interp.PackerVersion, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH})
			}
			if m := machine(c); m != nil {
				m.Line("", "version", interp.PackerVersion)
				m.Line("", "version-prelease", "") // so it is spelt there
				m.Line("", "version-commit", "")
			}
			if asPacker(c) {
				fmt.Fprintf(c.App.Writer, "Packer v%s\n", interp.PackerVersion)
			}
			fmt.Fprintf(c.App.Writer, "imgflow %s (%s, %s/%s)\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

func versionText() string {
	if version != "" {
		return version
	}
	text := "development"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return text
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			text += " " + s.Value[:min(12, len(s.Value))]
		}
	}
	return text
}
