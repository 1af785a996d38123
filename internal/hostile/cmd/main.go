// Command cmd tries imgflow against an attack of package hostile, or serves the
// attack for a try by hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/imgflow/imgflow/internal/hostile"
)

func main() {
	name := flag.String("attack", "", "the attack's `name`")
	list := flag.Bool("list", false, "list all attacks")
	serve := flag.Bool("serve", false, "only serve the attack, until interrupted")
	program := flag.String("imgflow", "", "the `program` to try; built from this module if not given")
	flag.Parse()
	if *list {
		for _, a := range hostile.Attacks() {
			fmt.Printf("%-28s %s\n", a.Name, a.Does)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := attack(ctx, *name, *program, *serve); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func attack(ctx context.Context, name, program string, serve bool) (err error) {
	a, ok := hostile.Find(name)
	if !ok {
		return fmt.Errorf("there is no attack %q: see -list", name)
	}
	dir, err := os.MkdirTemp("", "hostile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	place := filepath.Join(dir, "trial")
	t, err := hostile.NewTrial(place, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	fmt.Printf("%s: %s\n\n", a.Name, a.Does)
	if serve {
		fmt.Printf("  cd %s\n  %s imgflow run %s\n\nUntil Ctrl-C.\n", filepath.Dir(t.Template()), strings.Join(t.Environment()[1:], " "), filepath.Base(t.Template()))
		<-ctx.Done()
		return nil
	}
	if program == "" {
		program = filepath.Join(dir, "imgflow")
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/imgflow/imgflow/cmd/imgflow")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build imgflow: %w\n%s", err, out)
		}
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	o, err := t.Run(limited, program)
	if err != nil {
		return err
	}
	fmt.Printf("%s\nexit status %d after %s, at most %d MiB of memory\n", o.Output, o.Code, o.Took.Round(time.Millisecond), o.Peak>>20)
	if harm := t.Harm(o); len(harm) > 0 {
		return fmt.Errorf("\nharm was done:\n  %s", strings.Join(harm, "\n  "))
	}
	fmt.Println("no harm was done")
	return nil
}
