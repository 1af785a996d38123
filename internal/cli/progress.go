package cli

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/live"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/runview"
)

// The ways to show a run.
var progressWays = []string{"auto", "tty", "plain", "json", "quiet"}

func progressFlag() cli.Flag {
	return &cli.StringFlag{Name: "progress", Value: "auto", Category: outputFlags,
		Usage: "`HOW` to show the run: auto (tty at a terminal, else plain), tty (a live view), plain (each line as it comes), json (events), quiet (failures, and how it ended); without it, as IMGFLOW_PROGRESS says"}
}

// progress is how a run is to be shown: tty, plain, json or quiet.
func progress(c *cli.Context) (string, error) {
	way, named := c.String("progress"), c.IsSet("progress")
	if usual := os.Getenv("IMGFLOW_PROGRESS"); usual != "" && !named {
		way = usual
	}
	if !slices.Contains(progressWays, way) {
		return "", usagef("cannot show a run as %q (--progress or IMGFLOW_PROGRESS): choose %s%s", way, strings.Join(progressWays, ", "), suggest(way, progressWays))
	}
	obstacle := noLiveView(c)
	switch {
	case c.Bool("json") && named && way != "json":
		return "", usagef("cannot use --json with --progress=%s: choose one", way)
	case machine(c) != nil && named && way != "plain" && way != "auto":
		return "", usagef("cannot use -machine-readable with --progress=%s: choose one", way)
	case machine(c) != nil:
		return "plain", nil
	case c.Bool("json"):
		return "json", nil
	case way == "tty" && obstacle != "" && named:
		return "", usagef("cannot use --progress=tty: %s", obstacle)
	case way == "tty" && obstacle != "":
		return "plain", nil
	case way != "auto":
		return way, nil
	case !lively(c):
		return "plain", nil
	}
	return "tty", nil
}

// lively tells whether there is a live view where nobody has asked for any.
func lively(c *cli.Context) bool {
	return noLiveView(c) == "" && !inPipeline() && !c.Bool("timestamp-ui") && !asPacker(c) && runtime.GOOS != "windows"
}

// framed shows what is under way below the lines of a command, at a terminal where that is usual. Removal says that the
// steps of the view are what is being removed. What shows lines otherwise, plain, is returned where there is no frame.
func framed(c *cli.Context, plain *render.Lines, builds []string, view *runview.View, removal bool) (ls *render.Lines, show func(dag.Event), done func()) {
	way := os.Getenv("IMGFLOW_PROGRESS")
	if !lively(c) || c.Bool("json") || way != "" && way != "auto" && way != "tty" {
		return plain, plain.Event, func() {}
	}
	o := lineOptions(c, c.App.Writer)
	o.Live, o.Builds = false, builds
	d := live.New(live.Options{Out: raw(c.App.Writer), View: view, Builds: builds, Color: o.Color, Size: terminalSize, FrameOnly: true, Removal: removal})
	stop := obeyShell(d)
	ls = render.NewLines(d, o)
	return ls, func(e dag.Event) { d.Event(e); ls.Event(e) }, func() { stop(); ls.Close(); d.Close() }
}

// noLiveView says why there can be no live view, if there cannot.
func noLiveView(c *cli.Context) string {
	switch {
	case !isTerminal(c.App.Writer):
		return "standard output is no terminal"
	case os.Getenv("TERM") == "dumb":
		return "the terminal is a dumb one"
	case c.Bool("debug"):
		return "-debug asks before each step"
	case !inForeground():
		return "it runs in the background"
	}
	return ""
}

// inPipeline tells whether this is a job of CI, whose logs keep every line.
func inPipeline() bool {
	return slices.ContainsFunc([]string{"CI", "BUILD_NUMBER", "TEAMCITY_VERSION", "TF_BUILD"}, func(name string) bool { return os.Getenv(name) != "" })
}

// viewer shows a run while it is driven, and sums it up.
type viewer struct {
	ls      *render.Lines
	show    func(dag.Event)
	display *live.Display // nil but for a live view
	before  *term.State   // of the terminal, nil without one

	mu   sync.Mutex
	view *runview.View
}

// newViewer begins to show the session's run. Suspend is what is done when
// somebody asks for that by a key.
func newViewer(c *cli.Context, s *app.Session, way string, suspend func()) (*viewer, error) {
	v := &viewer{view: runview.New()}
	if _, err := s.Events(0, v.fold); err != nil { // what earlier drives did
		return nil, err
	}
	switch way {
	case "tty":
		v.before, _ = term.GetState(int(os.Stdin.Fd()))
		v.display = newDisplay(c, s, v.view, suspend)
		o := lineOptions(c, c.App.Writer)
		o.Live, o.Builds = false, s.Builds()
		v.ls, v.show = render.NewLines(v.display, o), v.display.Event
	case "json":
		v.ls = lines(c, c.App.ErrWriter) // what is for people stays out of the JSON
		events := render.NewJSON(c.App.Writer)
		v.show = func(e dag.Event) { v.fold(e); events.Event(e) }
	case "quiet":
		v.ls = lines(c, c.App.Writer)
		v.ls.Builds(s.Builds())
		v.show = v.failures
	default:
		v.ls = lines(c, c.App.Writer)
		v.ls.Builds(s.Builds())
		v.show = func(e dag.Event) { v.fold(e); v.ls.Event(e) }
	}
	return v, nil
}

// fold takes what the closing lines need.
func (v *viewer) fold(e dag.Event) {
	switch e.Type {
	case dag.Printed, dag.Progress, dag.Said, dag.Detail:
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.view.Apply(e)
}

// failures shows what failed, and nothing else.
func (v *viewer) failures(e dag.Event) {
	v.mu.Lock()
	v.view.Apply(e)
	var failed runview.Step
	if s := v.view.Of(e.Key); s != nil && e.Type == dag.Failed {
		failed = *s
	}
	v.mu.Unlock()
	if failed.Key != "" {
		v.ls.Failed(failed)
	}
}

// newDisplay is the live view of the session's run, with the terminal for its keys.
func newDisplay(c *cli.Context, s *app.Session, view *runview.View, suspend func()) *live.Display {
	o := live.Options{
		Out: raw(c.App.Writer), View: view, Builds: s.Builds(), Color: lineOptions(c, c.App.Writer).Color,
		Usual:  s.Durations().Of,
		Size:   terminalSize,
		Events: s.Events,
	}
	if canAsk() {
		o.Keys = func(ctx context.Context) ([]byte, error) { return stdin.read(ctx, 256) }
		o.Raw, o.Suspend = eachKey, suspend
		o.Shell = func(ctx context.Context, name string) error { return shell(ctx, s, name, nil, "none") }
		o.Machines = func() (names []string) {
			ms, _ := s.Machines("") // none are there if that cannot be told
			for _, m := range ms {
				names = append(names, m.Name)
			}
			return names
		}
	}
	return live.New(o)
}

// terminalSize is that of the window behind standard output, 0 if it cannot be told.
func terminalSize() (width, height int) {
	width, height, _ = term.GetSize(int(os.Stdout.Fd()))
	return width, height
}

// aside leaves the terminal to somebody who asks, until back is called.
func (v *viewer) aside() (back func()) {
	if v.display == nil {
		return func() {}
	}
	return v.display.Aside()
}

// close ends the view: all that was said is there, and the terminal is as before.
func (v *viewer) close() {
	v.ls.Close()
	if v.display != nil {
		v.display.Close()
	}
}

// hasten is close for who must not wait for a terminal, or for a shell on a machine,
// which has changed the terminal for itself.
func (v *viewer) hasten() {
	if v.before != nil {
		defer term.Restore(int(os.Stdin.Fd()), v.before)
	}
	done := make(chan struct{})
	go func() { v.close(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}
