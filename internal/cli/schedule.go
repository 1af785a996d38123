package cli

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

func scheduleCommand() *cli.Command {
	const times = "Times"
	return &cli.Command{
		Name: "schedule", Usage: "have workers build a template again and again", ArgsUsage: "TEMPLATE", Category: buildGroup,
		Description: `   The template, what it reads of this machine and its environment, and its variables go to the
   database as they are now; secrets are sealed. At each time of the cron expression a
   worker makes a run of it, but none while the last one is under way. To schedule the same
   name again replaces it: do that after each change. imgflow-fleet schedules lists them.

   imgflow-fleet schedule --on temporal://engine:7233/default --cron '0 3 * * 1' template.json
   imgflow-fleet schedule --on temporal://engine:7233/default --cron '0 * * * *' --on-new-base \
       --zone Europe/Berlin --name web template.json`,
		Flags: slices.Concat(
			[]cli.Flag{
				&cli.StringFlag{Name: "cron", Usage: "when: `MINUTE HOUR DAY MONTH WEEKDAY`, or words such as @daily, or @every 30m", Category: times},
				&cli.StringFlag{Name: "zone", Usage: "the time `ZONE` of that, such as Europe/Berlin; without it, UTC", Category: times},
				&cli.BoolFlag{Name: "on-new-base", Usage: "only when what the template looks for, such as its source image, is another one than the last good run was made from", Category: times},
				&cli.StringFlag{Name: "name", Usage: "the `NAME` of the schedule; without it, that of the template's file", Category: times},
				&cli.BoolFlag{Name: "force", Usage: "replace images that have the name of a new one", Category: inputFlags},
			},
			templateFlags(),
			[]cli.Flag{onErrorFlag("cleanup, suspend (keep all for a fix and a resume), abort (as suspend), run-cleanup-provisioner (and keep the rest)"), lifetimeFlag(), parallelFlag()},
			fleetFlags(), displayFlags(),
		),
		Action: schedule,
	}
}

// scheduleName is what a schedule can be called: it is part of what an engine calls its runs.
var scheduleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// nameOfSchedule is what the flags say, or else what the template's file is called.
func nameOfSchedule(c *cli.Context) (string, error) {
	name := c.String("name")
	if !c.IsSet("name") {
		file := filepath.Base(c.Args().First())
		if abs, err := filepath.Abs(c.Args().First()); err == nil { // such as . is
			file = filepath.Base(abs)
		}
		name = file
		for _, ending := range []string{".json", ".hcl", ".pkr"} {
			name = strings.TrimSuffix(name, ending)
		}
		if c.Args().First() == "-" {
			return "", usagef("cannot tell what the schedule is called: give its --name, since the template has none")
		}
	}
	if !scheduleName.MatchString(name) {
		return "", usagef("cannot call a schedule %q: give a --name of at most 64 letters, digits, dots, dashes and underlines", name)
	}
	return name, nil
}

func schedule(c *cli.Context) error {
	onError, err := onErrorOf(c)
	if err != nil {
		return err
	}
	if c.String("cron") == "" {
		return usagef("cannot schedule without --cron: say when, such as --cron '0 3 * * 1' for Mondays at three")
	}
	if c.String("on") == "" {
		return usagef("cannot schedule without --on: workers make the runs: give the URL of their engine, such as temporal://HOST:7233/default")
	}
	where, err := onFleet(c, policy{onError: onError})
	if err != nil {
		return err
	}
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	name, err := nameOfSchedule(c)
	if err != nil {
		return err
	}
	req.Force = c.Bool("force")
	if req.MaxLifetime, err = maxLifetime(c); err != nil {
		return err
	}
	if req.Parallel, err = parallelBuilds(c); err != nil {
		return err
	}
	s := application().New(nil, req)
	defer s.Close()
	err = s.Load(c.Context, true)
	warn(lines(c, c.App.ErrWriter), s)
	if err != nil {
		return err
	}
	if c.Bool("on-new-base") {
		if err := s.Chooses(); err != nil {
			return err
		}
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	before, err := app.Schedules(home)
	if err != nil {
		return err
	}
	f, err := dialFleet(c.Context, where.Engine)
	if err != nil {
		return err
	}
	defer f.Close()
	sched := app.Schedule{Name: name, Template: s.Request().Template, Cron: c.String("cron"), Zone: c.String("zone"), Elsewhere: where, OnNewBase: c.Bool("on-new-base"), Made: time.Now().UTC()}
	old := slices.IndexFunc(before, func(o app.Scheduled) bool { return o.Name == name })
	if err := s.Schedule(c.Context, home, sched, func() error {
		if err := f.Schedule(c.Context, sched); err != nil || old < 0 || before[old].Engine == where.Engine {
			return err
		}
		return unschedule(c, before[old])
	}); err != nil {
		return err
	}
	next, paused, _, err := f.Times(c.Context, name)
	if err != nil {
		return err
	}
	ls := lines(c, c.App.Writer)
	defer ls.Close()
	if old >= 0 {
		ls.Say("Schedule %s is replaced, which was one of %s.", name, before[old].Template)
	} else {
		ls.Say("Schedule %s is made.", name)
	}
	switch {
	case paused:
		ls.Say("It is paused: %s", self.Command("schedules", "resume", name))
	case next.IsZero():
		ls.Warn("%s comes never again.", sched.Cron)
	default:
		ls.Say("Its next time is %s.", next.Local().Format(time.RFC1123))
	}
	return nil
}

// unschedule ends the times of a schedule at its engine.
func unschedule(c *cli.Context, s app.Scheduled) error {
	f, err := dialFleet(c.Context, s.Engine)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Unschedule(c.Context, s.Name)
}

func schedulesCommand() *cli.Command {
	return &cli.Command{
		Name: "schedules", Usage: "list what is built again and again, or pause, start or remove it", ArgsUsage: "[pause | resume | start | remove NAME]", Category: lookGroup,
		Description: `   imgflow-fleet schedules               when each comes next, and what became of its last run
   imgflow-fleet schedules pause web     let its times pass unused; resume goes on
   imgflow-fleet schedules start web     make a run now, as at one of its times
   imgflow-fleet schedules remove web    make no more runs; those that there are stay`,
		Flags:  []cli.Flag{jsonFlag("print an array of schedules")},
		Action: schedules,
	}
}

func schedules(c *cli.Context) error {
	verbs := []string{"pause", "resume", "start", "remove"}
	verb := c.Args().First()
	if verb != "" && !slices.Contains(verbs, verb) {
		return usagef("cannot %q schedules: say pause, resume, start or remove, and a name%s", verb, suggest(verb, verbs))
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	if verb == "" {
		return listSchedules(c, home)
	}
	if err := wantArgs(c, 2, 2, "the name of one schedule"); err != nil {
		return err
	}
	s, err := app.ScheduleOf(home, c.Args().Get(1))
	if err != nil {
		return err
	}
	f, err := dialFleet(c.Context, s.Engine)
	if err != nil {
		return err
	}
	defer f.Close()
	done := ""
	switch verb {
	case "pause":
		done, err = "is paused", f.Pause(c.Context, s.Name, true)
	case "resume":
		done, err = "goes on", f.Pause(c.Context, s.Name, false)
	case "start":
		done, err = "makes a run, unless one is under way, or there is nothing new", f.Trigger(c.Context, s.Name)
	case "remove":
		if err = f.Unschedule(c.Context, s.Name); err == nil {
			done, err = "is removed", app.Unschedule(home, s.Name)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "Schedule %s %s.\n", s.Name, done)
	return nil
}

func listSchedules(c *cli.Context, home *state.Home) error {
	stored, err := app.Schedules(home)
	if err != nil {
		return err
	}
	runs, err := home.Runs()
	if err != nil {
		return err
	}
	all := []render.ScheduleJSON{}
	engines := map[string]Fleet{}
	for _, s := range stored {
		x := render.ScheduleJSON{Scheduled: s, Last: render.LastRun(runs, s.Name)}
		f, dialled := engines[s.Engine]
		if !dialled {
			if f, err = dialFleet(c.Context, s.Engine); err == nil {
				defer f.Close()
			}
			engines[s.Engine] = f
		}
		if err == nil && f != nil {
			var known bool
			x.Next, x.Paused, known, err = f.Times(c.Context, s.Name)
			x.Gone = err == nil && !known
		}
		if err != nil {
			lines(c, c.App.ErrWriter).Warn("cannot tell when %s comes next: %v", s.Name, err)
			err = nil
		}
		all = append(all, x)
	}
	switch {
	case c.Bool("json"):
		return render.Indented(c.App.Writer, all)
	case len(all) == 0:
		fmt.Fprintf(c.App.Writer, "There are no schedules in %s.\n", home.Place())
	default:
		render.Schedules(c.App.Writer, all, time.Now())
	}
	return nil
}
