package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/ci"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
)

// The exit statuses of imgflow.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2 // the command line or the template is wrong: nothing was done
	exitPartial   = 3 // some of several builds failed
	exitInterrupt = 130

	exitUnformatted = 3 // of fmt -check: a file is not laid out
)

// exitError ends the program with a status. Without an error all has been said.
type exitError struct {
	code int
	err  error

	said     bool // people have been told of the error
	reported bool // programs have

	unformatted bool // fmt -check has found something: a status that Packer has, too
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usagef(format string, a ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, a...)}
}

// Main is the whole program: it returns the exit status.
func Main(args []string) int {
	if asWorker() {
		return exitOK
	}
	return run(args)
}

// run does a command, and tells how it has failed.
func run(args []string) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(stderr, "%s: cannot go on: a fault in imgflow itself: %v\n\n%s\n%s\n", self.Name, p, debug.Stack(), whereState())
			if asksJSON(args) {
				render.Failure(stdout.Raw, errcode.With(errcode.Defect, fmt.Errorf("a fault in imgflow itself: %v", p)), errcode.Defect)
			}
			code = exitFailed
		}
	}()
	cmds := newCommands()
	if len(args) > 1 && args[1] == completeWord {
		for _, word := range complete(cmds, args[2:]) {
			fmt.Fprintln(stdout, word)
		}
		return exitOK
	}
	packer := isPacker(args[0])
	if packer {
		cmds.Metadata[underPacker] = true
	}
	args, machines := withoutMachineReadable(args)
	asked := args
	if machines {
		m := render.NewMachine(stdout.Raw)
		cmds.Writer, cmds.ErrWriter = m, m.Errors()
	}
	args, err := arrange(cmds, args)
	if err == nil {
		err = cmds.Run(args)
	}
	closeTelemetry(cmds.ErrWriter)
	if err == nil {
		return exitOK
	}
	code = exitFailed
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		code = exit.code
	case errors.As(err, new(*app.UsageError)):
		code = exitUsage
	}
	if exit == nil || exit.err != nil && !exit.said {
		fmt.Fprintf(cmds.ErrWriter, "%s: %s\n", self.Name, strings.TrimRight(err.Error(), "\n"))
		if more := render.More(err); more != "" && !machines {
			fmt.Fprintf(cmds.ErrWriter, "%s\n", more)
		}
	}
	if exit == nil || exit.err != nil {
		failedInCI(cmds, err, exit != nil && exit.said)
	}
	if asksJSON(asked) && (exit == nil || exit.err != nil && !exit.reported) {
		render.Failure(stdout.Raw, err, codeOf(err, code))
	}
	if packer {
		return packerStatus(code, exit)
	}
	return code
}

// codeOf is the code of what a command has failed with, at an exit status.
func codeOf(err error, status int) errcode.Code {
	if code := errcode.Of(err); code != "" {
		return code
	}
	switch status {
	case exitUsage:
		return errcode.Usage
	case exitInterrupt:
		return errcode.Interrupted
	}
	return errcode.Failed
}

// asksJSON tells whether a command line asks for JSON, and so for its failure in JSON.
func asksJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.ContainsFunc(args, func(a string) bool {
		return slices.Contains([]string{"-json", "--json", "-json=true", "--json=true"}, a)
	})
}

func whereState() string {
	home, err := findHome()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("What the run has made is recorded in %s: `%s` shows it, `%s` goes on, `%s` removes it.", home.Place(), self.Command("list"), self.Command("resume"), self.Command("destroy"))
}

// The groups of commands in the help.
const (
	buildGroup    = "1. Build"
	templateGroup = "2. Templates"
	lookGroup     = "3. Look"
	toolGroup     = "4. Tools"
)

func newCommands() *cli.App {
	cmds := &cli.App{
		Name:  self.Name,
		Usage: "builds machine images from templates, and loses nothing on the way",
		UsageText: self.Text(`imgflow COMMAND [flags] [arguments]

   imgflow run --local template.json      build on this machine, without a cloud account
   imgflow run template.json              build on AWS
   imgflow resume                         go on with what was interrupted or failed
   imgflow destroy                        remove what an unfinished run has made

   ` + "`imgflow help COMMAND`" + ` tells all about one command.`),
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		Writer:                    stdout,
		ErrWriter:                 stderr,
		Metadata:                  map[string]any{},
		Commands: []*cli.Command{
			runCommand(), resumeCommand(), destroyCommand(), shellCommand(),
			initCommand(), validateCommand(), inspectCommand(), fmtCommand(), schemaCommand(), convertCommand(), fixCommand(), consoleCommand(),
			planCommand(), policyCommand(), doctorCommand(), listCommand(), showCommand(), logsCommand(), reportCommand(), uiCommand(), explainCommand(), verifyCommand(), pruneCommand(),
			ec2localCommand(), guestCommand(), pluginsCommand(), completionCommand(), manCommand(), versionCommand(),
		},
		CustomAppHelpTemplate: appHelp,
	}
	if extras.Commands != nil {
		cmds.Commands = append(cmds.Commands, extras.Commands()...)
	}
	for _, c := range cmds.Commands {
		c.HideHelpCommand = true
		c.CustomHelpTemplate = self.Text(commandHelp)
		c.Description = self.Text(c.Description)
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
			return usagef("cannot run `%s`: %w", self.Command(c.Name), err)
		}
	}
	return cmds
}

// again is how a flag that may be repeated shows itself a second time.
var again = regexp.MustCompile(` \[ -.* \]`)

func init() {
	long := cli.FlagStringer
	cli.FlagStringer = func(f cli.Flag) string {
		return again.ReplaceAllString(strings.TrimSuffix(long(f), " (default: false)"), "")
	}
}

const appHelp = `{{.Name}} {{.Usage}}.

Usage:
   {{.UsageText}}
{{range .VisibleCategories}}{{if .Name}}
{{slice .Name 3}}:{{range .VisibleCommands}}
   {{join .Names ", "}}{{"\t"}}{{.Usage}}{{end}}
{{end}}{{end}}
With -machine-readable every command prints lines for programs, as Packer does. Called under
the name packer, which a link can give it, imgflow is as scripts expect Packer to be.

Exit status: 0 done, 1 a build failed, 2 a wrong command line or template,
3 some of several builds failed, 130 suspended by an interrupt.
`

const commandHelp = `imgflow {{.Name}}: {{.Usage}}.

Usage:
   imgflow {{.Name}} [flags]{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}
{{if .Description}}
{{.Description}}
{{end}}{{range .VisibleFlagCategories}}
{{if .Name}}{{.Name}}{{else}}Flags{{end}}:{{range .Flags}}
   {{.}}{{end}}
{{end}}`

// wantArgs checks the number of arguments of a command.
func wantArgs(c *cli.Context, least, most int, what string) error {
	n := c.Args().Len()
	switch {
	case n < least:
		return usagef("cannot run `%s` without %s; `%s` shows how", self.Command(c.Command.Name), what, self.Command("help", c.Command.Name))
	case most == 0 && n > 0:
		return usagef("cannot run `%s` with %q: it takes no arguments", self.Command(c.Command.Name), c.Args().First())
	case n > most:
		return usagef("cannot run `%s` with %q: it takes no more than %s", self.Command(c.Command.Name), c.Args().Get(most), what)
	}
	return nil
}

// The flags that several commands have.
const (
	outputFlags = "Output"
	inputFlags  = "Template"
)

func displayFlags() []cli.Flag {
	return []cli.Flag{
		colorFlag(),
		&cli.BoolFlag{Name: "timestamp-ui", Usage: "begin each line with the time", Category: outputFlags},
	}
}

func colorFlag() cli.Flag {
	return &cli.BoolFlag{Name: "color", Value: true, Usage: "use colours on a terminal (NO_COLOR turns them off, too)", Category: outputFlags}
}

func jsonFlag(usage string) cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: usage, Category: outputFlags}
}

// All that imgflow prints goes through these, but for a shell on a machine, which
// is a terminal's business. In a job of CI none of it is a command of the server.
var (
	stdout = render.SafeWriter{Raw: noCommands(os.Stdout, ci.Detect(os.Getenv))}
	stderr = render.SafeWriter{Raw: noCommands(os.Stderr, ci.Detect(os.Getenv))}
)

// noCommands is w for lines that may be anything, in a job of a kind of server.
func noCommands(w io.Writer, kind string) io.Writer {
	if kind == "none" {
		return w
	}
	return &ci.Safe{Raw: w}
}

// lines returns the display that the flags ask for.
func lines(c *cli.Context, w io.Writer) *render.Lines {
	if m := machine(c); m != nil {
		w = m
	}
	return newLines(w, lineOptions(c, w))
}

// newLines returns a display that may use the terminal behind w.
func newLines(w io.Writer, o render.Options) *render.Lines { return render.NewLines(raw(w), o) }

// verbatim is the output for a text that a file or another program is to have as it
// is. A terminal is guarded all the same.
func verbatim(w io.Writer) io.Writer {
	if isTerminal(w) {
		return w
	}
	return exact(w)
}

// exact is what stands behind an output, where nothing is looked at: lines of ours that
// are commands of a server of CI go there, and files.
func exact(w io.Writer) io.Writer {
	w = raw(w)
	if s, ok := w.(*ci.Safe); ok {
		return s.Raw
	}
	return w
}

// raw is what stands behind a guarded output. Only [render.Lines], which cleans
// for itself, may write to it, and what goes through [verbatim].
func raw(w io.Writer) io.Writer {
	if s, ok := w.(render.SafeWriter); ok {
		return s.Raw
	}
	return w
}

func lineOptions(c *cli.Context, w io.Writer) render.Options {
	tty := isTerminal(w)
	return render.Options{
		Color:  tty && c.Bool("color") && os.Getenv("NO_COLOR") == "" && os.Getenv("PACKER_NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Live:   tty && os.Getenv("TERM") != "dumb" && !c.Bool("timestamp-ui"),
		Stamps: c.Bool("timestamp-ui") && machine(c) == nil, // its lines begin with the time anyway
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := raw(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
