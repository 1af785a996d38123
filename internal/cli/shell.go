package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/self"
)

func shellCommand() *cli.Command {
	return &cli.Command{
		Name: "shell", Usage: "open a shell on the machine of an unfinished run", ArgsUsage: "[RUN] [BUILD] [-- COMMAND...]", Category: buildGroup,
		Description: `   The machine is that of a run that was suspended or that failed with
   -on-error=suspend. BUILD chooses among several; that of a test is called
   BUILD.test-NAME, or BUILD.test without a name; a COMMAND runs instead of a shell,
   and its exit status becomes that of imgflow. On Windows it is one of cmd.exe, and
   there are no shells.

   imgflow shell RUN
   imgflow shell RUN web -- systemctl status nginx`,
		Flags:  append(variableFlags(), ciFlag()),
		Action: openShell,
	}
}

func openShell(c *cli.Context) error {
	args := c.Args().Slice()
	var command []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, command = slices.Clip(args[:i]), args[i+1:]
	}
	if len(args) > 2 {
		return usagef("cannot run `%s` with %q: it takes a run and a build; a command stands behind --", self.Command("shell"), args[2])
	}
	args = append(args, "", "")
	server, err := serverOf(c)
	if err != nil {
		return err
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	id, err := unfinishedRun(home, args[0], "open a shell in")
	if err != nil {
		return err
	}
	s, err := application().Open(home, id)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := giveVariables(c, s); err != nil {
		return err
	}
	if canAsk() {
		s.Ask((&terminal{ls: lines(c, c.App.ErrWriter), aside: func() func() { return func() {} }}).prompt)
	}
	ctx := context.Background()
	if err := s.ReachMachines(ctx); err != nil {
		return err
	}
	return shell(ctx, s, args[1], command, server)
}

// shell gives the user the machine of a build: a shell, or one command. What that prints is
// no command of the server of CI of that kind.
func shell(ctx context.Context, s *app.Session, build string, command []string, server string) error {
	id := s.Summary().ID
	machines, err := s.Machines(build)
	switch {
	case err != nil:
		return err
	case len(machines) == 0 && build != "" && !slices.Contains(s.Builds(), build):
		return usagef("cannot open a shell: run %s has no build %q%s", id, build, suggest(build, s.Builds()))
	case len(machines) == 0:
		return fmt.Errorf("cannot open a shell: run %s has no machine that was reached", id)
	case len(machines) > 1:
		var names []string
		for _, m := range machines {
			names = append(names, m.Name)
		}
		return usagef("cannot open a shell: run %s has several machines; name one: %s", id, strings.Join(names, ", "))
	}
	m := machines[0]
	if m.Protocol == "winrm" {
		if len(command) == 0 {
			return usagef("cannot open a shell on a Windows machine: WinRM has no terminals; run one command at a time, such as `%s -- powershell -Command Get-ChildItem C:\\`", self.Command("shell", id))
		}
		return execute(ctx, s, m, strings.Join(command, " "), server)
	}
	sess, release, err := s.Shell(ctx, m)
	if err != nil {
		return err
	}
	defer release()
	return attach(ctx, sess, command, server)
}

// execute runs one command of cmd.exe on a Windows machine, and prints what it
// prints when it has ended.
func execute(ctx context.Context, s *app.Session, m app.Machine, text, server string) error {
	out, code, err := s.Exec(ctx, m, text)
	noCommands(os.Stdout, server).Write(out)
	if err == nil && code != 0 {
		err = &exitError{code: code}
	}
	return err
}

// attach joins the session with the user's terminal, and returns when it ends.
func attach(ctx context.Context, sess *ssh.Session, command []string, server string) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	in := int(os.Stdin.Fd())
	tty := term.IsTerminal(in) && isTerminal(os.Stdout)
	if tty && len(command) == 0 {
		width, height, err := term.GetSize(int(os.Stdout.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		name := os.Getenv("TERM")
		if name == "" {
			name = "xterm"
		}
		if err := sess.RequestPty(name, height, width, ssh.TerminalModes{}); err != nil {
			return fmt.Errorf("cannot open a terminal on the machine: %w", err)
		}
		before, err := term.MakeRaw(in)
		if err != nil {
			return fmt.Errorf("cannot use the terminal: %w", err)
		}
		defer term.Restore(in, before)
		defer onResize(func() {
			if w, h, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
				sess.WindowChange(h, w)
			}
		})()
	}
	to, err := sess.StdinPipe()
	if err != nil {
		return err
	}
	sess.Stdout, sess.Stderr = noCommands(os.Stdout, server), noCommands(os.Stderr, server)
	go func() {
		stdin.copyTo(ctx, to)
		to.Close()
	}()
	if len(command) > 0 {
		err = sess.Start(strings.Join(command, " "))
	} else {
		err = sess.Shell()
	}
	if err == nil {
		err = sess.Wait()
	}
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case errors.As(err, &exit) && len(command) == 0:
		return nil // a shell ends with the status of what was last typed
	case errors.As(err, &exit):
		return &exitError{code: exit.ExitStatus()}
	case errors.As(err, &missing):
		return errors.New("cannot go on with the shell: the connection was lost")
	}
	return err
}
