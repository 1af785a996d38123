package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/runview"
)

func logsCommand() *cli.Command {
	return &cli.Command{
		Name: "logs", Usage: "print what a run printed", ArgsUsage: "[RUN]", Category: lookGroup,
		Description: `   RUN is a run's id or the beginning of it; without it, it is the newest run. Who
   follows it at a terminal sees below its lines what is under way (not with --build,
   and where IMGFLOW_PROGRESS is plain).

   imgflow logs -f              follow the newest run until it ends
   imgflow logs --build web     only what belongs to the build web
   imgflow logs --json          the events themselves, one JSON object a line`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on until the run ends"},
			&cli.StringSliceFlag{Name: "build", Usage: "show this build only; may be repeated"},
			jsonFlag("print events as JSON lines"), ciFlag(),
		}, displayFlags()...),
		Action: showLogs,
	}
}

func showLogs(c *cli.Context) error {
	if err := wantArgs(c, 0, 1, "one run"); err != nil {
		return err
	}
	if _, err := serverOf(c); err != nil {
		return err
	}
	home, s, err := chosenRun(c.Args().First())
	if err != nil {
		return err
	}
	var names []string
	for _, b := range s.Builds {
		names = append(names, b.Name)
	}
	only := c.StringSlice("build")
	for _, b := range only {
		if len(names) > 0 && !slices.Contains(names, b) {
			return usagef("cannot show the build %q: run %s has no such build%s", b, s.ID, suggest(b, names))
		}
	}
	o := lineOptions(c, c.App.Writer)
	o.Builds, o.Only = names, only
	o.Live = o.Live && c.Bool("follow")
	ls := newLines(c.App.Writer, o)
	defer ls.Close()
	show := ls.Event
	if c.Bool("json") {
		show = render.NewJSON(c.App.Writer).Event
	}
	if !c.Bool("follow") {
		events, _, err := home.Events(s.ID, 0)
		for _, e := range events {
			show(e)
		}
		return err
	}
	if len(only) == 0 && !c.Bool("json") {
		var done func()
		_, show, done = framed(c, ls, names, runview.New(), false)
		defer done()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err = home.Follow(ctx, s.ID, func(e dag.Event) error { show(e); return nil })
	if errors.Is(err, context.Canceled) {
		return nil // the reader has seen enough
	}
	return err
}
