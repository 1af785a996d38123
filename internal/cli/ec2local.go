package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/self"
)

func ec2localCommand() *cli.Command {
	return &cli.Command{
		Name: "ec2local", Usage: "serve an EC2 endpoint whose instances run on this machine", Category: toolGroup,
		Description: `   It serves on loopback until it is interrupted; its instances stop then, and run
   again when it is started again. Images, volumes and snapshots stay in its directory.

   Every user of the machine and every page in a browser reaches loopback, and
   whoever may call runs programs as you. So requests must be signed with its key,
   which it makes at its first start, keeps in DIR/credentials, readable by you
   alone, and prints. AWS tools read that file as AWS_SHARED_CREDENTIALS_FILE.

   imgflow ec2local --listen 127.0.0.1:4566
   export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=us-east-1
   export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...    # as it prints them
   imgflow run template.json
   aws --endpoint-url http://127.0.0.1:4566 ec2 describe-images --owners amazon`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:4566", Usage: "serve at this loopback `ADDRESS`; port 0 is any free one"},
			&cli.StringFlag{Name: "dir", Usage: "keep everything in `DIR` (default: ec2local in the home of imgflow)"},
			&cli.StringFlag{Name: "access-key", Usage: "take the key `ID` instead, with --secret-key; other users may see a command line"},
			&cli.StringFlag{Name: "secret-key", Usage: "the `SECRET` of --access-key"},
			&cli.BoolFlag{Name: "allow-any-key", Usage: "take any key: whoever reaches the address may run programs as you"},
			&cli.StringFlag{Name: "guest", Value: "auto", Usage: "what stands behind an instance: `auto`, sandbox, process (not contained) or none"},
			&cli.StringFlag{Name: "latency", Value: "none", Usage: "`none`, aws, or times such as image=1m,ssh=19s (running, stopped, terminated): how long things take"},
			&cli.StringSliceFlag{Name: "fault", Usage: "play `FAULT` such as throttle=0.2 or lag=5s; may be repeated"},
			&cli.StringFlag{Name: "seed", Usage: "`FILE` of parameters and secrets that are there (default: seed.json in its directory, if there is one)"},
			&cli.StringFlag{Name: "policy", Usage: "`FILE` with a policy of IAM that binds whoever has the key (default: policy.json in its directory, if there is one)"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "do not print a line for each call"},
			&cli.BoolFlag{Name: "while-leased", Usage: "end some time after the last local run that uses it", Category: "As local runs start it"},
			&cli.DurationFlag{Name: "linger", Value: 30 * time.Minute, Usage: "with --while-leased: stay this `LONG` for instances that still run", Category: "As local runs start it"},
		},
		Action: serveEC2,
	}
}

func serveEC2(c *cli.Context) (err error) {
	if err := wantArgs(c, 0, 0, "no arguments"); err != nil {
		return err
	}
	if err := onLoopback(c.String("listen")); err != nil {
		return err
	}
	given := local.Key{ID: c.String("access-key"), Secret: c.String("secret-key")}
	if err := checkKey(given, c.Bool("allow-any-key")); err != nil {
		return err
	}
	dir := c.String("dir")
	if dir == "" {
		home, err := openHome()
		if err != nil {
			return err
		}
		dir = filepath.Join(home.Dir(), "ec2local")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("cannot use %s: %w", c.String("dir"), err)
	}
	release, err := local.Own(dir)
	if errors.Is(err, local.ErrLocked) {
		return &exitError{code: local.LockedStatus, err: err}
	}
	if err != nil {
		return err
	}
	defer release()
	if c.Bool("while-leased") {
		if exe, err := os.Executable(); err == nil {
			local.Sweep(dir, exe)
		}
	}
	key := given
	if key == (local.Key{}) && !c.Bool("allow-any-key") {
		if key, err = local.EnsureKey(dir); err != nil {
			return err
		}
	}
	var log io.Writer = c.App.Writer
	if c.Bool("quiet") {
		log = nil
	}
	set := local.Settings{Guest: c.String("guest"), Latency: c.String("latency"), Faults: c.StringSlice("fault")}
	srv, err := newEC2(ec2Options{Dir: dir, Key: key, Guest: set.Guest, Latency: set.Latency, Faults: strings.Join(set.Faults, ","), Seed: c.String("seed"), Policy: c.String("policy"), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	set.Guest = srv.Guest
	l, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return fmt.Errorf("cannot serve EC2: %w", err)
	}
	web := &http.Server{Handler: srv, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 10 * time.Minute, MaxHeaderBytes: 64 << 10}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	defer web.Close()
	addr := l.Addr().String()
	here := local.Server{PID: os.Getpid(), Addr: addr, Limits: srv.Limits, Settings: set}
	if err := local.Announce(dir, here); err != nil {
		return err
	}
	out := c.App.Writer
	fmt.Fprintf(out, "EC2 at http://%s, guests: %s, kept in %s\n", addr, set.Guest, dir)
	if srv.Limits != "" {
		fmt.Fprintf(out, "Note: %s\n", srv.Limits)
	}
	if !c.Bool("while-leased") { // what starts it reads the key from its file
		welcome(out, addr, dir, key, given)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if c.Bool("while-leased") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() {
			defer cancel()
			for untilUnused(ctx, srv, c.Duration("linger")); ctx.Err() == nil; untilUnused(ctx, srv, c.Duration("linger")) {
				// Whoever has just read where we are gets a moment to come in.
				local.Withdraw(dir)
				time.Sleep(300 * time.Millisecond)
				if srv.Leases() == 0 || local.Announce(dir, here) != nil {
					return
				}
			}
		}()
	}
	select {
	case err = <-ended:
		return fmt.Errorf("cannot go on serving EC2: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintln(out, "Stopping the instances; they run again when this is started again.")
	return nil
}

// checkKey tells whether the flags name one key, any, or none.
func checkKey(k local.Key, anyKey bool) error {
	switch {
	case anyKey && k != local.Key{}:
		return usagef("cannot take both one key and any: give --access-key and --secret-key, or --allow-any-key")
	case (k.ID == "") != (k.Secret == ""):
		return usagef("cannot take half a key: --access-key and --secret-key belong together")
	case k.ID != "" && !regexp.MustCompile(`^\w{1,128}$`).MatchString(k.ID):
		return usagef("cannot take the access key %q: it consists of letters and digits, as AKIDEXAMPLE", k.ID)
	}
	return nil
}

// welcome says how to call the endpoint, and who may.
func welcome(out io.Writer, addr, dir string, key, given local.Key) {
	export := fmt.Sprintf("export AWS_ENDPOINT_URL=http://%s AWS_DEFAULT_REGION=us-east-1", addr)
	switch key {
	case local.Key{}:
		fmt.Fprintln(out, "Warning: any key is taken: every user of this machine can run programs as you.")
		export += " AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any"
	case given:
		fmt.Fprintf(out, "Only who has the secret of %s may call it.\n", key.ID)
	default:
		fmt.Fprintf(out, "Only who has its key may call it; the key is kept in %s.\n", local.KeyPath(dir))
		export += fmt.Sprintf(" AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s", key.ID, key.Secret)
	}
	fmt.Fprintf(out, "\n  %s\n  %s\n  aws --endpoint-url http://%s ec2 describe-instances\n\n", export, self.Command("run template.json"), addr)
}

// onLoopback refuses an address that others can reach: the endpoint runs
// programs for whoever asks.
func onLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("cannot listen at %q: it must be an address and a port, such as 127.0.0.1:4566", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("cannot listen at %q: whoever reaches the endpoint can run programs here, so it serves on loopback only, such as 127.0.0.1:4566", addr)
	}
	return nil
}

// leaseGrace is how long an unused server stays for the next run.
const leaseGrace = 5 * time.Second

// untilUnused returns when nobody has held a lease for the grace, or, while
// instances run that a resume may come back for, for as long as linger.
func untilUnused(ctx context.Context, srv *ec2Server, linger time.Duration) {
	last := time.Now()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		idle := time.Since(last)
		switch {
		case srv.Leases() > 0:
			last = time.Now()
		case idle >= linger || idle >= leaseGrace && !srv.Busy():
			return
		}
	}
}
