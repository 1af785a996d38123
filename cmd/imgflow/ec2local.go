package main

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
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/local"
)

func ec2localCommand() *cli.Command {
	return &cli.Command{
		Name: "ec2local", Usage: "serve an EC2 endpoint whose instances run on this machine", Category: toolGroup,
		Description: `   It serves on loopback until it is interrupted; its instances stop then, and run
   again when it is started again. Images, volumes and snapshots stay in its directory.

   imgflow ec2local --listen 127.0.0.1:4566
   AWS_ENDPOINT_URL=http://127.0.0.1:4566 imgflow run template.json
   aws --endpoint-url http://127.0.0.1:4566 ec2 describe-images --owners amazon`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:4566", Usage: "serve at this loopback `ADDRESS`; port 0 is any free one"},
			&cli.StringFlag{Name: "dir", Usage: "keep everything in `DIR` (default: ec2local in the home of imgflow)"},
			&cli.StringFlag{Name: "guest", Value: "auto", Usage: "what stands behind an instance: `auto`, sandbox, process (not contained) or none"},
			&cli.StringFlag{Name: "latency", Value: "none", Usage: "`none` or aws: play the time that AWS takes"},
			&cli.StringSliceFlag{Name: "fault", Usage: "play `FAULT` such as throttle=0.2 or lag=5s; may be repeated"},
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
		return &exitError{local.LockedStatus, err}
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
	var log io.Writer = c.App.Writer
	if c.Bool("quiet") {
		log = nil
	}
	set := local.Settings{Guest: c.String("guest"), Latency: c.String("latency"), Faults: c.StringSlice("fault")}
	srv, err := newEC2(ec2Options{Dir: dir, Guest: set.Guest, Latency: set.Latency, Faults: strings.Join(set.Faults, ","), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	set.Guest = srv.Guest
	l, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return fmt.Errorf("cannot serve EC2: %w", err)
	}
	web := &http.Server{Handler: srv, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	defer web.Close()
	addr := l.Addr().String()
	here := local.Server{PID: os.Getpid(), Addr: addr, Settings: set}
	if err := local.Announce(dir, here); err != nil {
		return err
	}
	out := c.App.Writer
	fmt.Fprintf(out, "EC2 at http://%s, guests: %s, kept in %s\n", addr, set.Guest, dir)
	if srv.Limits != "" {
		fmt.Fprintf(out, "Note: %s\n", srv.Limits)
	}
	fmt.Fprintf(out, "\n  AWS_ENDPOINT_URL=http://%s imgflow run template.json\n  aws --endpoint-url http://%s ec2 describe-instances\n\n", addr, addr)

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
