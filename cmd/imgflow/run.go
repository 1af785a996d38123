package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/local"
)

// The groups of a run's flags in its help.
const (
	localFlags = "Local runs"
	policyName = "When something happens"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Aliases: []string{"build"}, Usage: "build the images of a template", ArgsUsage: "TEMPLATE", Category: buildGroup,
		Description: `   TEMPLATE is a JSON template in Packer's form; - reads it from standard input.
   With --local the images are built in an embedded EC2 on this machine, which needs
   no account. What is interrupted or fails goes on with ` + "`imgflow resume`" + `.

   imgflow run --local template.json
   imgflow run -var region=eu-west-1 -var-file prod.json template.json
   imgflow run -only=web,db -on-error=ask template.json`,
		Flags: slices.Concat(
			[]cli.Flag{
				&cli.BoolFlag{Name: "force", Usage: "replace images that have the name of a new one", Category: inputFlags},
			},
			templateFlags(),
			[]cli.Flag{
				&cli.BoolFlag{Name: "local", Usage: "build in the embedded EC2 of this machine", Category: localFlags},
				&cli.StringFlag{Name: "guest", Usage: "what stands behind a local instance: `auto`, sandbox, process (not contained) or none", Category: localFlags},
				&cli.StringFlag{Name: "latency", Usage: "`none` or aws: play the time that AWS takes", Category: localFlags},
				&cli.StringSliceFlag{Name: "fault", Usage: "play a `FAULT` of AWS; may be repeated", Category: localFlags},
			},
			policyFlags(),
			[]cli.Flag{&cli.DurationFlag{Name: "max-lifetime", Usage: "let instances end themselves at this `AGE`, whatever happens to imgflow (such as 3h)", Category: policyName}},
			driveFlags(),
		),
		Action: runTemplate,
	}
}

// policyFlags say what is done when a build fails or is interrupted.
func policyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "on-error", Value: "cleanup", Usage: "`WHAT` to do when a step fails: cleanup, suspend (keep all for a fix and a resume), ask, abort (as suspend)", Category: policyName},
		&cli.StringFlag{Name: "on-interrupt", Value: "suspend", Usage: "`WHAT` to do when interrupted: suspend or cleanup", Category: policyName},
	}
}

// driveFlags say how a run is driven and shown.
func driveFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.IntFlag{Name: "parallel-builds", Usage: "work at `N` builds at once; 0 is all", Category: policyName},
		&cli.BoolFlag{Name: "debug", Usage: "one build at a time, and ask before each step", Category: policyName},
		jsonFlag("print events as JSON lines"),
	}, displayFlags()...)
}

// policy is what the flags say about failures and interrupts.
type policy struct {
	onError     string // cleanup, suspend or ask
	onInterrupt string // suspend or cleanup
	debug       bool
}

func newPolicy(c *cli.Context) (policy, error) {
	p := policy{onError: c.String("on-error"), onInterrupt: c.String("on-interrupt"), debug: c.Bool("debug")}
	switch p.onError {
	case "cleanup", "suspend", "ask":
	case "abort":
		p.onError = "suspend"
	case "run-cleanup-provisioner":
		return p, usagef("cannot use -on-error=run-cleanup-provisioner: not supported yet; choose cleanup, suspend or ask")
	default:
		words := []string{"cleanup", "suspend", "ask", "abort"}
		return p, usagef("cannot use -on-error=%s: choose %s%s", p.onError, strings.Join(words, ", "), suggest(p.onError, words))
	}
	if p.onInterrupt != "suspend" && p.onInterrupt != "cleanup" {
		return p, usagef("cannot use -on-interrupt=%s: choose suspend or cleanup", p.onInterrupt)
	}
	for flag, on := range map[string]bool{"-on-error=ask": p.onError == "ask", "-debug": p.debug} {
		if on && (!canAsk() || c.Bool("json")) {
			return p, usagef("cannot use %s: there is no terminal to ask at", flag)
		}
	}
	return p, nil
}

func runTemplate(c *cli.Context) error {
	pol, err := newPolicy(c)
	if err != nil {
		return err
	}
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	req.Force, req.Local, req.MaxLifetime = c.Bool("force"), c.Bool("local"), c.Duration("max-lifetime")
	if req.Parallel = c.Int("parallel-builds"); req.Parallel < 0 {
		return usagef("cannot use -parallel-builds=%d: it must not be negative", req.Parallel)
	}
	if req.MaxLifetime != 0 && req.MaxLifetime < time.Minute {
		return usagef("cannot use --max-lifetime=%s: an instance cannot end itself that soon; give at least 1m", req.MaxLifetime)
	}
	wish := local.Settings{Guest: c.String("guest"), Latency: c.String("latency"), Faults: c.StringSlice("fault")}
	if req.Local {
		if _, err := (ec2Options{Guest: wish.Guest, Latency: wish.Latency, Faults: strings.Join(wish.Faults, ",")}).check(); err != nil {
			return err
		}
		for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"} {
			os.Unsetenv(name) // the run has its own
		}
	} else {
		if len(wish.Args()) > 0 {
			return usagef("cannot use %s: it is for local runs; add --local", strings.Join(wish.Args(), " "))
		}
		req.Endpoint = endpointFromEnv()
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	s := newSession(home, req, nil)
	defer s.close()
	err = s.load(true, s.salt)
	s.warn(lines(c, c.App.ErrWriter))
	if err != nil {
		return err
	}
	if err := s.reach(context.Background(), wish); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.store(); err != nil {
		return err
	}
	return s.drive(c, pol)
}
