package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/runpage"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/internal/provenance"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name: "report", Usage: "write a page about a run: times, graph, failures, results", ArgsUsage: "[RUN]", Category: lookGroup,
		Description: `   RUN is a run's id or the beginning of it; without it, it is the newest run. The page
   is one file that opens without a network, in any browser, and has no script. It
   holds what the run printed last where it failed; secrets are taken out.

   imgflow report --html report.html     replaces the file, if there is one
   imgflow report RUN > report.html      without a file: to standard output
   imgflow report --svg times.svg RUN    the times and the graph alone, as a picture`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "html", Usage: "write the page to `FILE`; - is standard output", DefaultText: "-"},
			&cli.StringFlag{Name: "svg", Usage: "write the times and the graph, as SVG, to `FILE` instead; - is standard output"},
		},
		Action: report,
	}
}

func report(c *cli.Context) error {
	if err := wantArgs(c, 0, 1, "one run"); err != nil {
		return err
	}
	if c.IsSet("html") && c.IsSet("svg") {
		return usagef("cannot write both --html and --svg at once: each is a file of its own")
	}
	home, s, err := chosenRun(c.Args().First())
	if err != nil {
		return err
	}
	r, err := runPage(home, s)
	if err != nil {
		return err
	}
	write, file := runpage.Report, c.String("html")
	if c.IsSet("svg") {
		write, file = runpage.Picture, c.String("svg")
	}
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		return err
	}
	if file == "" || file == "-" {
		_, err := c.App.Writer.Write(b.Bytes())
		return err
	}
	if err := writeReport(file, b.Bytes()); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

// writeReport puts a report into a file at once, in place of what is there. A new one can
// be read by its owner alone: it holds what machines have printed.
func writeReport(file string, content []byte) error {
	st, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return localfile.Replace(file, content, 0o600, false)
	case err == nil && !st.Mode().IsRegular(): // such as /dev/stdout
		return os.WriteFile(file, content, 0o600)
	case err == nil:
		return replaceFile(file, content)
	}
	return err
}

// runPage is all that is known of a run, for a page.
func runPage(home *state.Home, s state.Summary) (runpage.Run, error) {
	v := runview.New()
	if _, err := home.EachEvent(s.ID, 0, func(e dag.Event) error { v.Apply(e); return nil }); err != nil {
		return runpage.Run{}, err
	}
	r := runpage.New(s, v, time.Now())
	r.Version, r.Usual = versionText(), usualOf(home, s)
	addFacts(home, &r)
	return r, nil
}

// usualOf says how long the steps of a run usually take.
func usualOf(home *state.Home, s state.Summary) func(kind, step string) (lo, hi time.Duration, known bool) {
	took := app.DurationsOf(home, s)
	return func(kind, step string) (lo, hi time.Duration, known bool) {
		u := took.Of(kind, step)
		return u.Lo, u.Hi, u.Known
	}
}

// addFacts adds what only the records of a run know. Those of a run that is being driven
// belong to its driver; its graph and its events say the most of it, which is not final.
func addFacts(home *state.Home, r *runpage.Run) (final bool) {
	h, err := history(home, r.Summary.ID)
	r.Cost = billOf(r.Summary, h.Records, err)
	switch busy := (*state.BusyError)(nil); {
	case errors.As(err, &busy):
		g, err := home.Drawn(r.Summary.ID)
		if err != nil {
			r.Unknown = "The run is being driven: what stands is told when it is not."
			return false
		}
		r.Foresee(g)
		return false
	case errors.Is(err, fs.ErrNotExist):
		r.Unknown = "The run was interrupted before it made anything."
	case err != nil:
		r.Unknown = err.Error()
	default:
		r.Resources, r.Made = resources(h.Records), madeOf(h)
	}
	return true
}

// history is what the records of a run tell. Those of a run that is being driven are locked,
// and to wait for them would hold whoever asks up.
func history(home *state.Home, id string) (provenance.Run, error) {
	if home.Driven(id) {
		return provenance.Run{}, &state.BusyError{Run: id}
	}
	return app.History(home, id)
}

// resources are what the records tell of things outside, the newest first.
func resources(records []dag.Record) (rs []runpage.Resource) {
	for _, r := range records {
		if !r.Thing || r.Label == "" {
			continue
		}
		x := runpage.Resource{Label: r.Label, Step: r.Name, Builds: r.Builds, Since: r.Begun, State: runpage.Removed}
		switch {
		case r.Alive() && r.Kept:
			x.State = runpage.Result
		case r.Alive():
			x.State = runpage.Stands
		default:
			x.Until = r.Ended
		}
		rs = append(rs, x)
	}
	slices.SortStableFunc(rs, func(a, b runpage.Resource) int { return b.Since.Compare(a.Since) })
	return rs
}

// madeOf is how the images of a run came to be.
func madeOf(h provenance.Run) *runpage.Made {
	m := &runpage.Made{Digest: h.Parameters.Digest}
	for _, name := range slices.Sorted(maps.Keys(h.Parameters.Variables)) {
		m.Variables = append(m.Variables, [2]string{name, h.Parameters.Variables[name]})
	}
	seen := map[runpage.Item]bool{}
	add := func(to *[]runpage.Item, x runpage.Item) {
		if !seen[x] {
			*to = append(*to, x)
			seen[x] = true
		}
	}
	for _, r := range h.Records {
		if r.Status != dag.Done {
			continue
		}
		found, made, lists := describe(r)
		for _, d := range found {
			add(&m.Sources, runpage.Item{Name: d.Name, ID: d.URI})
		}
		for _, d := range made {
			add(&m.Images, runpage.Item{Name: d.Name, ID: d.URI, Key: r.Key.String()})
		}
		for _, d := range lists {
			add(&m.Lists, runpage.Item{Name: d.Name, ID: "sha256:" + d.Digest["sha256"]})
		}
	}
	return m
}
