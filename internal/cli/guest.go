package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/self"
)

func guestCommand() *cli.Command {
	return &cli.Command{
		Name: "guest", Usage: "give machines on this computer a root file system of your own", Category: toolGroup,
		ArgsUsage: "import ROOTFS.tar[.gz] | list | remove NAME",
		Description: `   Instances of the embedded EC2 have the programs of this computer. Those of a system
   whose root file system was imported have its own, from their launch on: yum, for one.

   docker export CONTAINER | imgflow guest import -      for images of the system that it says it is
   imgflow guest import --as amzn:2 rootfs.tar.gz        for Amazon Linux 2
   imgflow guest list                                    what was imported, and what uses it
   imgflow guest remove amzn:2`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "as", Usage: "import for images of `ID[:VERSION]`, as /etc/os-release says them (default: what it says in the tar)"},
			&cli.StringFlag{Name: "dir", Usage: self.Text("for the imgflow ec2local that keeps everything in `DIR` (default: for local runs)")},
			jsonFlag("list as an array"),
		},
		Action: guestAction,
	}
}

var guestVerbs = []string{"import", "list", "remove"}

func guestAction(c *cli.Context) error {
	if err := wantArgs(c, 1, 2, "`import ROOTFS.tar`, `list` or `remove NAME`"); err != nil {
		return err
	}
	verb, name := c.Args().First(), c.Args().Get(1)
	switch {
	case (verb == "import" || verb == "remove") && name == "":
		return usagef("cannot run `%s` without a name behind it; `%s` shows how", self.Command("guest", verb), self.Command("help guest"))
	case verb == "list" && name != "":
		return usagef("cannot run `%s` with %q: it takes no arguments", self.Command("guest list"), name)
	case c.IsSet("as") && verb != "import":
		return usagef("cannot use --as with `%s`: it is for import", self.Command("guest", verb))
	case c.Bool("json") && verb != "list":
		return usagef("cannot use --json with `%s`: it is for list", self.Command("guest", verb))
	}
	dir := c.String("dir")
	if dir == "" {
		open := openHome
		if verb == "list" {
			open = findHome
		}
		home, err := open()
		if err != nil {
			return err
		}
		dir = app.LocalDir(home)
	}
	switch verb {
	case "import":
		return guestImport(c, dir, name)
	case "list":
		return guestList(c, dir)
	case "remove":
		if err := removeImport(dir, name); err != nil {
			return err
		}
		fmt.Fprintf(c.App.Writer, "Removed %s.\n", name)
		return nil
	}
	return usagef("cannot do `%s`%s; `%s` shows what it does", self.Command("guest", verb), suggest(verb, guestVerbs), self.Command("help guest"))
}

func guestImport(c *cli.Context, dir, name string) error {
	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends it at once
	var in io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usagef("cannot import a root file system: %w", err)
		}
		defer f.Close()
		if st, err := f.Stat(); err != nil || st.IsDir() {
			return usagef("cannot import %s: it must be a tar, gzipped or not, not a directory", name)
		}
		in = f
	}
	m, err := importGuest(ctx, dir, in, c.String("as"))
	if ctx.Err() != nil {
		return &exitError{code: exitInterrupt, err: err}
	}
	if err != nil {
		return err
	}
	title := m.Title
	if title == "" {
		title = "a root file system"
	}
	fmt.Fprintf(c.App.Writer, "Imported %s as %s: %s, %s", title, m.Name(), render.Count(m.Files, "file"), render.Bytes(m.Bytes))
	if m.LeftOut > 0 {
		fmt.Fprintf(c.App.Writer, " (%s left out: devices, pipes and sockets)", render.Count(m.LeftOut, "file"))
	}
	fmt.Fprintf(c.App.Writer, ".\nInstances of public images of %s stand on it from now on, in %s.\n", m.Name(), filepath.Clean(dir))
	return nil
}

func guestList(c *cli.Context, dir string) error {
	all, err := guestImports(dir)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		if all == nil {
			all = []importedGuest{}
		}
		return render.Indented(c.App.Writer, all)
	case len(all) == 0:
		fmt.Fprintf(c.App.Writer, "No root file system was imported into %s.\n", filepath.Clean(dir))
		return nil
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSYSTEM\tSIZE\tIMPORTED\tIN USE BY")
	for _, m := range all {
		use := "nothing"
		if n := len(m.Guests); n > 0 || m.Layers > 0 {
			use = render.Count(n, "instance") + ", " + render.Count(m.Layers, "layer") + " of images"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.Name(), strings.ReplaceAll(m.Title, "\t", " "), render.Bytes(m.Bytes), m.Made.Local().Format(time.DateTime), use)
	}
	return w.Flush()
}
