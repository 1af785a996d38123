package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

// keepPlan writes the session's plan to a file that only its owner can read.
func keepPlan(c *cli.Context, s *app.Session, file string) error {
	if _, err := os.Stat(file); err == nil && !isPlan(file) {
		return usagef("cannot keep the plan in %s: that is something else; choose another name", file)
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	content, err := s.Keep(home, versionText(), c.Bool("frozen"))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".plan-*") // 0600
	if err != nil {
		return fmt.Errorf("cannot keep the plan: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the plan: %w", err)
	}
	fmt.Fprintf(c.App.ErrWriter, "The plan is in %s: %s does exactly this.\n", file, self.Command("run", file))
	return nil
}

// isPlan tells whether a file is a plan that was kept.
func isPlan(file string) bool {
	if fi, err := os.Stat(file); err != nil || !fi.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	begin, err := io.ReadAll(io.LimitReader(f, 64))
	return err == nil && app.IsPlan(begin)
}

// fixed are the flags of run that a plan has decided.
var fixed = []string{"var", "var-file", "only", "except", "config-type", "enforce", "scan-image", "strict", "force"}

// runPlan carries out a plan that was kept.
func runPlan(c *cli.Context, pol policy, where app.Elsewhere, file string) error {
	for _, name := range fixed {
		if c.IsSet(name) {
			return usagef("cannot use -%s with a plan: it is part of what was planned; plan again with it", name)
		}
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	p, err := app.ReadPlan(home, file)
	if err != nil {
		return err
	}
	if p.Request.MaxLifetime, err = maxLifetime(c); err != nil {
		return err
	}
	wish := local.Settings{Guest: c.String("guest"), Latency: c.String("latency"), Faults: c.StringSlice("fault")}
	if !p.Request.Local && (c.Bool("local") || len(wish.Args()) > 0) {
		return usagef("cannot use %s with this plan: it is not for a local run; plan again with --local", strings.Join(slices.Concat([]string{"--local"}, wish.Args()), " "))
	}
	if err := checkLocal(wish); err != nil {
		return err
	}
	s, err := application().Carry(home, p)
	if err != nil {
		return err
	}
	defer s.Close()
	switch s.Summary().Status {
	case state.Done:
		fmt.Fprintf(c.App.Writer, "Run %s is finished: there is nothing to resume.\n", p.Run)
		return nil
	case state.Destroyed:
		return usagef("cannot resume run %s: it was destroyed", p.Run)
	}
	if c.IsSet("parallel-builds") {
		s.Limit(c.Int("parallel-builds"))
	}
	ls := lines(c, c.App.ErrWriter)
	news, err := s.LoadPlan(c.Context, versionText())
	warn(ls, s)
	jobOf(c.App).Faults("warning", s.Warnings())
	ls.News(p.Template, news)
	if err != nil {
		return err
	}
	if err := somebodyAnswers(c, s, where); err != nil {
		return err
	}
	if p.Run == "" {
		err = s.Begin(context.Background(), wish)
	} else {
		err = s.Reach(context.Background(), wish)
	}
	if err != nil {
		return err
	}
	return drive(c, s, pol, where)
}
