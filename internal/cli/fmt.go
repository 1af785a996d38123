package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl"
)

func fmtCommand() *cli.Command {
	return &cli.Command{
		Name: "fmt", Usage: "lay out HCL2 templates in the usual way", ArgsUsage: "[FILE | FOLDER | -]...", Category: templateGroup,
		Description: `   Files whose names end in .pkr.hcl or .pkrvars.hcl are indented and aligned; the names of
   those that change are printed. Without an argument it is the working directory; - lays out
   standard input. A file that cannot be read is left as it is.

   imgflow fmt -check -diff .      for CI: nothing is written, the exit status is 3 if anything would be`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "check", Usage: "write nothing; the exit status is 3 if a file is not laid out"},
			&cli.BoolFlag{Name: "diff", Usage: "show what changes"},
			&cli.BoolFlag{Name: "write", Value: true, Usage: "write the files"},
			&cli.BoolFlag{Name: "recursive", Usage: "folders below a folder, too"},
			jsonFlag("print the names of the files that change as JSON"),
		},
		Action: formatFiles,
	}
}

// formatter lays out files.
type formatter struct {
	check, diff, write, recursive bool

	w       io.Writer
	quiet   bool // names are told at the end
	changed []string
	errs    template.Errors
}

func formatFiles(c *cli.Context) error {
	f := formatter{check: c.Bool("check"), diff: c.Bool("diff"), write: c.Bool("write") && !c.Bool("check"), recursive: c.Bool("recursive"), w: c.App.Writer, quiet: c.Bool("json"), changed: []string{}}
	if f.quiet && (f.diff || slices.Contains(c.Args().Slice(), "-")) {
		return usagef("cannot use --json with -diff or standard input: they print texts")
	}
	args := c.Args().Slice()
	if len(args) == 0 {
		args = []string{"."}
	}
	for _, path := range args {
		if err := f.path(path); err != nil {
			return err
		}
	}
	if len(f.errs) > 0 {
		return usagef("cannot lay out every file:\n\n%w", f.errs)
	}
	if f.quiet {
		if err := render.Indented(f.w, render.FormattedJSON{Changed: f.changed, Wrote: f.write}); err != nil {
			return err
		}
	}
	if f.check && len(f.changed) > 0 {
		return &exitError{code: exitUnformatted, unformatted: true}
	}
	return nil
}

// laidOut tells whether a file is one of those that have a layout.
func laidOut(name string) bool {
	return strings.HasSuffix(name, ".pkr.hcl") || strings.HasSuffix(name, ".pkrvars.hcl")
}

func (f *formatter) path(path string) error {
	if path == "-" {
		src, err := localfile.ReadAll(stdin.r, "standard input", maxFormatted)
		if err != nil {
			return usagef("cannot lay out standard input: %w", err)
		}
		return f.file("standard input", src, func(to []byte) error {
			_, err := verbatim(f.w).Write(to)
			return err
		})
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return usagef("cannot lay out %s: %w", path, errors.Unwrap(err))
	case fi.IsDir():
		return f.folder(path)
	case !laidOut(path):
		return usagef("cannot lay out %s: the name of a file with a layout ends in .pkr.hcl or .pkrvars.hcl", path)
	}
	return f.named(path)
}

// folder lays out the files of a folder, and of those below if that is wanted. Hidden folders are somebody else's.
func (f *formatter) folder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return usagef("cannot lay out %s: %w", dir, errors.Unwrap(err))
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			if f.recursive {
				err = f.folder(path)
			}
		case laidOut(path):
			err = f.named(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxFormatted bounds a file, in bytes, as a template is bounded.
const maxFormatted = 64 << 20

func (f *formatter) named(path string) error {
	src, err := localfile.Read(path, maxFormatted)
	if err != nil {
		return usagef("cannot lay out the file: %w", err)
	}
	return f.file(path, src, nil)
}

// file lays out one file. Print is for what is no file: it is given the text in any case.
func (f *formatter) file(name string, src []byte, print func([]byte) error) error {
	to, errs := hcl.Format(template.VarFile{Name: name, Src: src})
	if len(errs) > 0 {
		f.errs = append(f.errs, errs...)
		return nil
	}
	same := bytes.Equal(src, to)
	if !same {
		f.changed = append(f.changed, name)
	}
	switch {
	case print != nil && f.write && !f.diff:
		return print(to)
	case same:
		return nil
	case print == nil && !f.quiet:
		fmt.Fprintln(f.w, name)
	}
	if f.diff {
		diff(f.w, name, src, to)
	}
	if !f.write || print != nil {
		return nil
	}
	if err := replaceFile(name, to); err != nil {
		return fmt.Errorf("cannot lay out %s: %w", name, err)
	}
	return nil
}

// replaceFile gives a file another content, all of it at once. The file keeps its mode, and a link that names it stays one.
func replaceFile(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if old, err := os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		return err // whoever may not write a file may not replace it either
	} else if err := old.Close(); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if errors.Is(err, fs.ErrPermission) {
		return os.WriteFile(path, content, 0) // nothing may be made beside it
	} else if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	keepOwner(tmp, fi)
	err = errors.Join(err, tmp.Chmod(fi.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// diffContext is how many lines a difference shows around those that differ.
const diffContext = 3

// diff shows how two texts differ whose lines stand in the same places, in the form of diff -u.
func diff(w io.Writer, name string, before, after []byte) {
	a, b := strings.SplitAfter(string(before), "\n"), strings.SplitAfter(string(after), "\n")
	var differ []int
	for i := range a {
		if a[i] != b[i] {
			differ = append(differ, i)
		}
	}
	fmt.Fprintf(w, "--- old/%s\n+++ new/%s\n", name, name)
	line := func(mark, text string) {
		if text != "" {
			fmt.Fprintln(w, mark+strings.TrimSuffix(text, "\n"))
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			fmt.Fprintln(w, `\ No newline at end of file`)
		}
	}
	for len(differ) > 0 {
		n := 1
		for n < len(differ) && differ[n]-differ[n-1] <= 2*diffContext {
			n++
		}
		from, to := max(0, differ[0]-diffContext), min(len(a), differ[n-1]+1+diffContext)
		if to == len(a) && a[to-1] == "" {
			to-- // what stands behind the last line end is no line
		}
		fmt.Fprintf(w, "@@ -%d,%d +%d,%d @@\n", from+1, to-from, from+1, to-from)
		for i := from; i < to; {
			end := i
			for end < to && slices.Contains(differ[:n], end) {
				end++
			}
			for j := i; j < end; j++ {
				line("-", a[j])
			}
			for j := i; j < end; j++ {
				line("+", b[j])
			}
			if end == i {
				line(" ", a[i])
				end++
			}
			i = end
		}
		differ = differ[n:]
	}
}
