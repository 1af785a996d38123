package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app/local"
)

// The groups of a run's flags in its help.
const (
	localFlags = "Local runs"
	policyName = "When something happens"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Aliases: []string{"build"}, Usage: "build the images of a template", ArgsUsage: "TEMPLATE", Category: buildGroup,
		Description: `   TEMPLATE is one that Packer takes: a JSON file, an HCL2 file (.pkr.hcl, .pkr.json) or a
   folder of these; - reads it from standard input. A plan that was kept
   (imgflow plan -out FILE) is carried out as it is.
   With --local the images are built in an embedded EC2 on this machine, which needs
   no account. What is interrupted or fails goes on with ` + "`imgflow resume`" + `.

   imgflow run --local template.json
   imgflow run -var region=eu-west-1 -var-file prod.json template.json
   imgflow run -only=web,db -on-error=ask template.json`,
		Flags: slices.Concat(
			[]cli.Flag{
				&cli.BoolFlag{Name: "warn-on-undeclared-var", Hidden: true}, // it is done without, too
				&cli.BoolFlag{Name: "skip-enforcement", Hidden: true},       // HCP enforces nothing here
				&cli.BoolFlag{Name: "force", Usage: "replace images that have the name of a new one", Category: inputFlags},
			},
			templateFlags(),
			[]cli.Flag{
				&cli.BoolFlag{Name: "local", Usage: "build in the embedded EC2 of this machine", Category: localFlags},
				&cli.StringFlag{Name: "guest", Usage: "what stands behind a local instance: `auto`, sandbox, process (not contained) or none", Category: localFlags},
				&cli.StringFlag{Name: "latency", Usage: "`none`, aws, or times such as image=1m,ssh=19s (running, stopped, terminated): how long things take", Category: localFlags},
				&cli.StringSliceFlag{Name: "fault", Usage: "play a `FAULT` of AWS; may be repeated", Category: localFlags},
			},
			policyFlags(),
			[]cli.Flag{lifetimeFlag()},
			fleetFlags(), driveFlags(),
		),
		Action: runTemplate,
	}
}

// policyFlags say what is done when a build fails or is interrupted.
func policyFlags() []cli.Flag {
	return []cli.Flag{
		onErrorFlag("cleanup, suspend (keep all for a fix and a resume), ask, abort (as suspend), run-cleanup-provisioner (and keep the rest)"),
		&cli.StringFlag{Name: "on-interrupt", Value: "suspend", Usage: "`WHAT` to do when interrupted: suspend or cleanup", Category: policyName},
	}
}

// onErrorFlag says which words there are.
func onErrorFlag(words string) cli.Flag {
	return &cli.StringFlag{Name: "on-error", Value: "cleanup", Usage: "`WHAT` to do when a step fails: " + words, Category: policyName}
}

func lifetimeFlag() cli.Flag {
	return &cli.DurationFlag{Name: "max-lifetime", Usage: "let instances end themselves at this `AGE`, whatever happens to imgflow (such as 3h)", Category: policyName}
}

func parallelFlag() cli.Flag {
	return &cli.IntFlag{Name: "parallel-builds", Usage: "work at `N` builds at once; 0 is all", Category: policyName}
}

// parallelBuilds is how many builds are at work at once; 0: all.
func parallelBuilds(c *cli.Context) (int, error) {
	n := c.Int("parallel-builds")
	if n < 0 {
		return 0, usagef("cannot use -parallel-builds=%d: it must not be negative", n)
	}
	return n, nil
}

// driveFlags say how a run is driven and shown.
func driveFlags() []cli.Flag {
	return append([]cli.Flag{
		parallelFlag(),
		&cli.BoolFlag{Name: "debug", Usage: "one build at a time, and ask before each step", Category: policyName},
		jsonFlag("print events as JSON lines"), progressFlag(), ciFlag(),
	}, displayFlags()...)
}

// policy is what the flags say about failures and interrupts.
type policy struct {
	onError     string // cleanup, suspend, ask or run-cleanup-provisioner
	onInterrupt string // suspend or cleanup
	debug       bool
	progress    string // tty, plain, json or quiet
}

func newPolicy(c *cli.Context) (policy, error) {
	p := policy{onInterrupt: c.String("on-interrupt"), debug: c.Bool("debug")}
	var err error
	if p.onError, err = onErrorOf(c); err != nil {
		return p, err
	}
	if asPacker(c) && !c.IsSet("on-interrupt") {
		p.onInterrupt = "cleanup" // nobody will type resume
	}
	if p.onInterrupt != "suspend" && p.onInterrupt != "cleanup" {
		return p, usagef("cannot use -on-interrupt=%s: choose suspend or cleanup", p.onInterrupt)
	}
	if machine(c) != nil && c.Bool("json") {
		return p, usagef("cannot use -machine-readable with -json: choose one")
	}
	way, err := progress(c)
	if err != nil {
		return p, err
	}
	if p.progress = way; way == "json" {
		c.Set("json", "true")
	}
	for flag, on := range map[string]bool{"-on-error=ask": p.onError == "ask", "-debug": p.debug} {
		if on && (!canAsk() || c.Bool("json") || machine(c) != nil) {
			return p, usagef("cannot use %s: there is no terminal to ask at", flag)
		}
	}
	return p, nil
}

// onErrorOf is what the flags say about a step that fails.
func onErrorOf(c *cli.Context) (string, error) {
	switch word := c.String("on-error"); word {
	case "cleanup", "suspend", "ask", "run-cleanup-provisioner":
		return word, nil
	case "abort":
		return "suspend", nil
	default:
		words := []string{"cleanup", "suspend", "ask", "abort", "run-cleanup-provisioner"}
		return "", usagef("cannot use -on-error=%s: choose %s%s", word, strings.Join(words, ", "), suggest(word, words))
	}
}

func runTemplate(c *cli.Context) error {
	pol, err := newPolicy(c)
	if err != nil {
		return err
	}
	job, err := inCI(c)
	if err != nil {
		return err
	}
	parallel, err := parallelBuilds(c)
	if err != nil {
		return err
	}
	where, err := onFleet(c, pol)
	if err != nil {
		return err
	}
	if c.Args().Len() == 1 && isPlan(c.Args().First()) {
		return runPlan(c, pol, where, c.Args().First())
	}
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	req.Force, req.Local = c.Bool("force"), c.Bool("local")
	if req.MaxLifetime, err = maxLifetime(c); err != nil {
		return err
	}
	req.Parallel = parallel
	wish := local.Settings{Guest: c.String("guest"), Latency: c.String("latency"), Faults: c.StringSlice("fault")}
	if req.Local {
		if err := checkLocal(wish); err != nil {
			return err
		}
	} else if len(wish.Args()) > 0 {
		return usagef("cannot use %s: it is for local runs; add --local", strings.Join(wish.Args(), " "))
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	s := application().New(home, req)
	defer s.Close()
	err = s.Load(c.Context, true)
	warn(lines(c, c.App.ErrWriter), s)
	job.Faults("warning", s.Warnings())
	if err != nil {
		return err
	}
	if err := somebodyAnswers(c, s, where); err != nil {
		return err
	}
	if err := s.Begin(context.Background(), wish); err != nil {
		return err
	}
	return drive(c, s, pol, where)
}

// checkLocal says what is wrong with the settings of a local run.
func checkLocal(wish local.Settings) error {
	_, err := ec2Options{Guest: wish.Guest, Latency: wish.Latency, Faults: strings.Join(wish.Faults, ",")}.check()
	return err
}

// maxLifetime is the age at which instances end themselves; 0: never.
func maxLifetime(c *cli.Context) (time.Duration, error) {
	d := c.Duration("max-lifetime")
	if d != 0 && d < time.Minute {
		return 0, usagef("cannot use --max-lifetime=%s: an instance cannot end itself that soon; give at least 1m", d)
	}
	return d, nil
}
