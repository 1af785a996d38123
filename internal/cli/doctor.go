package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "ask AWS whether a template could be built, and make nothing", ArgsUsage: "TEMPLATE", Category: lookGroup,
		Description: `   What a run would look up is looked up: source images, networks, names, data sources. The
   calls that would make or change something are asked for as dry runs, the launch with all that the
   template says of it. All that is missing is told, with the permission that the credentials lack,
   and the quotas of vCPUs that are too small. The exit status is 1 if something is wrong.

   imgflow doctor template.json
   imgflow doctor --json template.json`,
		Flags:  append([]cli.Flag{jsonFlag("print what was found as JSON"), colorFlag()}, templateFlags()...),
		Action: doctor,
	}
}

func doctor(c *cli.Context) error {
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	s := application().New(nil, req)
	defer s.Close()
	err = s.Load(c.Context, true)
	warn(lines(c, c.App.ErrWriter), s)
	if err != nil {
		return err
	}
	all, err := s.Examine(c.Context)
	if err != nil {
		return err
	}
	wrong := 0
	for _, f := range all {
		if f.Status == app.Wrong {
			wrong++
		}
	}
	if c.Bool("json") {
		err = render.Indented(c.App.Writer, render.NewExamined(all))
	} else {
		render.Examined(c.App.Writer, all)
	}
	if err == nil && wrong > 0 {
		return &exitError{code: exitFailed, err: fmt.Errorf("cannot build %s: %s", req.Template, render.Count(wrong, "thing")+" would fail")}
	}
	return err
}
