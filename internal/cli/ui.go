package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/cli/internal/runpage"
	"github.com/imgflow/imgflow/internal/cli/internal/web"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

func uiCommand() *cli.Command {
	return &cli.Command{
		Name: "ui", Usage: "show runs in a browser: as they move, their logs, resume, destroy", Category: lookGroup,
		Description: `   It serves a page on loopback until it is interrupted, and prints the address that
   opens it. The address holds a token: whoever has it may resume and destroy as you.
   Runs of other processes are shown, too. What is begun on the page is a command of
   its own and goes on when the page, or imgflow ui, is closed.

   imgflow ui                            at any free port
   imgflow ui --listen 127.0.0.1:8080    always the same`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:0", Usage: "serve at this loopback `ADDRESS`; port 0 is any free one"},
		},
		Action: serveUI,
	}
}

func serveUI(c *cli.Context) error {
	if err := wantArgs(c, 0, 0, "no arguments"); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.String("listen"))
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("cannot serve the page at %q: whoever reaches it could act as you, so it is on loopback only, such as 127.0.0.1:8080", c.String("listen"))
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot serve the page: %w", err)
	}
	l, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return fmt.Errorf("cannot serve the page: %w", err)
	}
	defer l.Close()
	s, err := web.New(web.Options{
		Home: home, Addr: l.Addr().String(), Version: versionText(),
		Usual: func(sum state.Summary) func(kind, step string) (lo, hi time.Duration, known bool) {
			return usualOf(home, sum)
		},
		Facts:  func(r *runpage.Run) bool { return addFacts(home, r) },
		Report: func(sum state.Summary) (runpage.Run, error) { return runPage(home, sum) },
		Command: func(args ...string) *exec.Cmd {
			cmd := exec.Command(exe, args...)
			cmd.Args[0] = self.Name
			local.Detach(cmd)
			return cmd
		},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintf(c.App.Writer, "Open this in a browser; Ctrl-C ends it:\n\n  %s\n\n", s.URL())
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	defer srv.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	select {
	case err := <-ended:
		return errors.Join(errors.New("cannot serve the page any longer"), err)
	case <-stop:
		return nil
	}
}
