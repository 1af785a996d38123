package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

// fleetFlags are those of a run that the workers of a fleet build. A program that has
// none knows --on alone, to say which does.
func fleetFlags() []cli.Flag {
	const category = "Fleets"
	hidden := extras.Fleet == nil
	return []cli.Flag{
		&cli.StringFlag{Name: "on", Usage: "have the workers of the engine at this `URL` build it, such as temporal://HOST:7233/default, and follow them", Category: category, Hidden: hidden},
		&cli.StringFlag{Name: "team", Usage: "whose run it is: the workers take turns between `TEAM`s", Category: category, Hidden: hidden},
		&cli.IntFlag{Name: "priority", Usage: "`N` from 1, the first, to 5, the last", Category: category, Hidden: hidden},
	}
}

// FleetCommands are those that need an engine with workers.
func FleetCommands() []*cli.Command {
	return []*cli.Command{scheduleCommand(), schedulesCommand(), suspendCommand(), workerCommand(), fetchCommand()}
}

// installFleet says which program can do what this one cannot.
const installFleet = "this program builds by itself alone: install the one that has workers, go install github.com/imgflow/imgflow/cmd/imgflow-fleet@latest, and type imgflow-fleet in place of imgflow"

// onFleet is where the flags say that a run is driven; the zero value: here.
func onFleet(c *cli.Context, pol policy) (e app.Elsewhere, err error) {
	e = app.Elsewhere{Engine: c.String("on"), Team: c.String("team"), Priority: c.Int("priority"), OnError: pol.onError}
	if e.Engine == "" {
		for _, name := range []string{"team", "priority"} {
			if c.IsSet(name) {
				return e, usagef("cannot use --%s without --on: it is for the workers of a fleet", name)
			}
		}
		return app.Elsewhere{}, nil
	}
	switch {
	case extras.Fleet == nil:
		return e, usagef("cannot use --on: %s", installFleet)
	case os.Getenv("IMGFLOW_STATE") == "":
		return e, usagef("cannot use --on: runs that workers build are in PostgreSQL: set IMGFLOW_STATE to the database that they reach, too")
	case e.Priority < 0 || e.Priority > 5:
		return e, usagef("cannot use --priority=%d: it is from 1, the first, to 5, the last", e.Priority)
	case pol.debug || pol.onError == "ask":
		return e, usagef("cannot ask before each step, or when one fails, of a run that others build: leave -debug and -on-error=ask out")
	case c.Bool("local"):
		return e, usagef("cannot use --local with --on: the embedded EC2 is one of this machine")
	}
	return e, nil
}

// dialFleet reaches the engine of a fleet.
func dialFleet(ctx context.Context, url string) (Fleet, error) {
	if extras.Fleet == nil {
		return nil, usagef("the workers of %s have this run: use imgflow-fleet in place of imgflow", url)
	}
	return extras.Fleet(ctx, url, os.Getenv)
}

// away is a run that the workers of a fleet drive, in sight of the user.
type away struct {
	c     *cli.Context
	s     *app.Session
	fleet Fleet
	where app.Elsewhere
	ls    *render.Lines // for what the user has to know meanwhile
	told  int           // events that were told before
	epoch int64         // of the run, as it was handed over
	given atomic.Bool   // the engine has given the run up
}

// sendTo hands the session's run to the workers of a fleet.
func sendTo(c *cli.Context, s *app.Session, e app.Elsewhere) (*away, error) {
	f, err := dialFleet(c.Context, e.Engine)
	if err != nil {
		return nil, err
	}
	if _, err := takeBack(c.Context, f, s.Summary().ID); err != nil { // a removal, say, that nobody does
		f.Close()
		return nil, err
	}
	a := &away{c: c, s: s, fleet: f, where: e}
	if _, err := s.Events(0, func(dag.Event) { a.told++ }); err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

// run is app.Session.Run by the workers. When it is interrupted, the run is suspended, or
// left to them if the user says so.
func (a *away) run(in *interrupts, show func(dag.Event), tty *terminal) (*app.Result, error) {
	ctx := in.context()
	home, err := openHome()
	if err != nil {
		return nil, err
	}
	if err := a.s.Pack(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	if err := a.s.SendTo(a.where); err != nil {
		return nil, err
	}
	id := a.s.Summary().ID
	if a.epoch, err = a.fleet.Submit(ctx, home, id, a.where); err != nil {
		return nil, errors.Join(err, a.s.Return())
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go a.giveUp(following, stop, id)
	go a.sayAlone(following)
	var detached error
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-following.Done():
		case <-ctx.Done():
			in.noHurry() // workers elsewhere take their time
			if detached = a.interrupted(following, tty, id); detached != nil {
				stop()
			}
		}
	})
	err = a.s.Follow(following, a.told, show)
	stop()
	wg.Wait()
	if detached != nil {
		return nil, detached
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err := a.back(home, id); err != nil {
		return nil, err
	}
	return a.s.Ended()
}

// back returns to a run of which nothing is under way any more. What somebody else has begun with it meanwhile
// is theirs.
func (a *away) back(home *state.Home, id string) error {
	if a.given.Load() && home.Driven(id) { // none of its workers has given it back
		if err := home.Release(id, a.epoch); err != nil {
			return err
		}
	}
	return a.s.Return()
}

// remove is app.Session.Remove by the workers.
func (a *away) remove(ctx context.Context, things []dag.Record, show func(dag.Event)) (left []dag.Failure, err error) {
	home, err := openHome()
	if err != nil {
		return nil, err
	}
	told := 0
	if _, err := a.s.Events(0, func(dag.Event) { told++ }); err != nil {
		return nil, err
	}
	if err := a.s.SendTo(a.where); err != nil {
		return nil, err
	}
	var keys []dag.Key
	for _, r := range things {
		keys = append(keys, r.Key)
	}
	id := a.s.Summary().ID
	if a.epoch, err = a.fleet.Remove(ctx, home, id, a.where, keys); err != nil {
		return nil, errors.Join(err, a.s.Return())
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	go a.giveUp(following, stop, id)
	go a.sayAlone(following)
	if err := a.s.Follow(following, told, show); err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // the workers go on
	}
	if err := a.back(home, id); err != nil {
		return nil, err
	}
	res, err := a.s.Ended()
	if err != nil {
		return nil, err
	}
	return res.Left, nil
}

// lateEnd is how long the last events of a run may take to come when its engine has
// nothing of it any more.
const lateEnd = 10 * time.Second

// giveUp ends the following of a run of which the engine has nothing any more, though
// none of its workers has said so.
func (a *away) giveUp(ctx context.Context, stop func(), id string) {
	if a.fleet.Watch(ctx, id) != nil {
		return
	}
	select {
	case <-time.After(lateEnd):
		a.given.Store(true)
		stop()
	case <-ctx.Done():
	}
}

// aloneAfter is how long a worker that has just begun may take to say that it is there.
const aloneAfter = 2 * time.Second

// sayAlone says so if there is no worker that could do anything of the run.
func (a *away) sayAlone(ctx context.Context) {
	select {
	case <-time.After(aloneAfter):
	case <-ctx.Done():
		return
	}
	n, err := extras.Workers(os.Getenv("IMGFLOW_STATE"), a.fleet.Name())
	if n > 0 || err != nil || ctx.Err() != nil { // who cannot be asked may be there
		return
	}
	a.ls.Warn("No worker of %s is there, and nothing happens until one is. Start one, with the same IMGFLOW_STATE: %s", a.where.Engine, self.Command("worker --on", a.where.Engine))
}

// sayLeft says how to get at a run that is left to its workers.
func (a *away) sayLeft(ls *render.Lines) {
	id := a.s.Summary().ID
	ls.Say("Run %s is left to its workers: %s follows it, %s suspends it.", id, self.Command("logs -f", id), self.Command("suspend", id))
}

// errDetached says that the run goes on without the user.
var errDetached = &exitError{code: exitOK}

// interrupted suspends the run, or is errDetached.
func (a *away) interrupted(ctx context.Context, tty *terminal, id string) error {
	if asks(a.c) {
		defer tty.aside()()
		answer, err := tty.ask(ctx, fmt.Sprintf("Run %s is built by workers. [d]etach and let them go on, or [s]uspend it?", id), "ds")
		if err == nil && answer == 'd' {
			a.sayLeft(tty.ls)
			return errDetached
		}
	}
	if err := a.fleet.Suspend(ctx, id); err != nil {
		return fmt.Errorf("cannot suspend run %s: %w", id, err)
	}
	return nil
}

// openRun is app.App.Open for a run that workers may have. One that the engine has
// nothing of any more is taken back, and so is one that no worker decides for; one that is under way is suspended if
// stop says so.
func openRun(ctx context.Context, home *state.Home, id string, stop func() bool) (*app.Session, error) {
	s, err := application().Open(home, id)
	var busy *state.BusyError
	if extras.Fleet == nil || !errors.As(err, &busy) || busy.PID != 0 || busy.Command == "" {
		return s, err
	}
	f, ferr := extras.Fleet(ctx, busy.Command, os.Getenv)
	if ferr != nil {
		return nil, errors.Join(err, ferr)
	}
	defer f.Close()
	going, ferr := takeBack(ctx, f, id)
	switch {
	case ferr != nil:
		return nil, ferr
	case going && !stop():
		return nil, err
	case going:
		if err := errors.Join(f.Suspend(ctx, id), f.Watch(ctx, id)); err != nil {
			return nil, fmt.Errorf("cannot suspend run %s: %w", id, err)
		}
	}
	if err := home.Release(id, busy.Epoch); err != nil && !errors.As(err, new(*state.FencedError)) { // somebody has it by now
		return nil, err
	}
	return application().Open(home, id)
}

// takeBack has nothing of a run under way that no worker decides for. Going is whether anything is
// under way all the same.
func takeBack(ctx context.Context, f Fleet, id string) (going bool, err error) {
	if going, err = f.Going(ctx, id); !going || err != nil {
		return false, err
	}
	adrift, err := f.Adrift(ctx, id)
	if !adrift || err != nil {
		return true, err
	}
	return false, f.GiveUp(ctx, id)
}

// bringHome writes what a run has made of local files that workers have driven: in a directory,
// or where a run that is driven here leaves it.
func bringHome(ctx context.Context, ls *render.Lines, s *app.Session, into string) error {
	id := s.Summary().ID
	not, err := s.Bring(ctx, into)
	failed := 0
	for _, r := range not {
		if r.Failed {
			failed++
			ls.Warn("%s did not come home: %s", r.Path, r.Why)
			continue
		}
		ls.Warn("%s stays with the run: %s. To have all files of the run elsewhere: %s", r.Path, r.Why, self.Command("fetch", id, "DIRECTORY"))
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of its files did not come", failed)
	}
	if err != nil {
		return fmt.Errorf("cannot bring home what run %s has written: %w: when that is mended, %s goes on", id, err, self.Command("fetch", id))
	}
	return nil
}

func fetchCommand() *cli.Command {
	return &cli.Command{
		Name: "fetch", Usage: "write the files that a run has made on workers", ArgsUsage: "RUN [DIRECTORY]", Category: lookGroup,
		Description: `   A run that workers build keeps the files which its steps write: manifests, checksums,
   archives, downloads. ` + "`run --on`" + ` writes them where a run on this machine leaves them; fetch
   does it for a run whose submitter is gone, on any machine. Where the template's folder
   is, only what is not there yet is written, and manifests get their entries. In a
   DIRECTORY it is all of them, those from outside of the folder by their whole paths.

   imgflow-fleet fetch RUN                where the run was submitted
   imgflow-fleet fetch RUN out            anywhere, in the directory out`,
		Flags:  displayFlags(),
		Action: fetch,
	}
}

func fetch(c *cli.Context) error {
	if err := wantArgs(c, 1, 2, "a run, and perhaps a directory"); err != nil {
		return err
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	s, err := application().Look(home, c.Args().First())
	if err != nil {
		return err
	}
	defer s.Close()
	ls := lines(c, c.App.Writer)
	defer ls.Close()
	return bringHome(c.Context, ls, s, c.Args().Get(1))
}

func workerCommand() *cli.Command {
	return &cli.Command{
		Name: "worker", Usage: "do steps of runs that others submit", Category: toolGroup,
		Description: `   A worker takes steps from the engine of a fleet, and needs what they need: the
   network, programs such as Ansible, credentials where templates name none. IMGFLOW_STATE
   names the database that the runs are in, and IMGFLOW_IDENTITY the file that opens
   their secrets. SIGTERM ends it: others go on within seconds with what it was at.

   imgflow worker --on temporal://engine:7233/default
   imgflow worker --on temporal://engine:7233/default --concurrency 50`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "on", Usage: "the `URL` of the engine", Required: true},
			&cli.IntFlag{Name: "concurrency", Usage: "do at most `N` steps at once that reach machines; 0: 1,000. Calls of AWS, which mostly wait, are not bounded"},
			&cli.StringFlag{Name: "dir", Usage: "lay the files of runs out in this `DIRECTORY`, which no other user can look into"},
			&cli.StringFlag{Name: "deployment", Usage: "runs stay with the version of imgflow that began them, of the workers of the deployment of this `NAME`"},
		},
		Action: work,
	}
}

// asVersion says which version of a deployment a worker is.
func asVersion(deployment string) string {
	if deployment == "" {
		return ""
	}
	return fmt.Sprintf(", as version %s of the deployment %s", versionText(), deployment)
}

func work(c *cli.Context) error {
	if err := wantArgs(c, 0, 0, "no arguments"); err != nil {
		return err
	}
	if n := c.Int("concurrency"); n < 0 {
		return usagef("cannot use --concurrency=%d: it must not be negative", n)
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	f, err := dialFleet(c.Context, c.String("on"))
	if err != nil {
		return err
	}
	defer f.Close()
	a := application()
	dir := c.String("dir")
	if dir == "" {
		dir = fmt.Sprintf("%s/imgflow-fleet-%d", strings.TrimSuffix(os.TempDir(), "/"), os.Getuid())
	}
	ls := lines(c, c.App.Writer)
	in := catchInterrupts(context.Background(), func(sig os.Signal) {
		ls.Warn("Interrupted (%s): no new step begins here; other workers go on with what is under way. A second interrupt exits at once.", sig)
	}, func() { os.Exit(exitInterrupt) })
	defer in.stop()
	o := app.Worker{Home: home, Dir: a.Env.Abs(dir), Most: c.Int("concurrency"), Deployment: c.String("deployment"), Version: versionText(), Share: shared.Share, Warn: ls.Warn}
	if url := os.Getenv("IMGFLOW_STATE"); url != "" && extras.Attend != nil {
		o.Attend = func(ctx context.Context, engine string, busy func() uint32, told func(string, map[string]uint32)) error {
			return extras.Attend(ctx, url, engine, busy, told)
		}
	}
	for _, text := range telemetryWarnings() {
		ls.Warn("Tracing: %s", text)
	}
	ls.Say("Working for %s%s.", c.String("on"), asVersion(c.String("deployment")))
	return f.Work(in.context(), a, o)
}
