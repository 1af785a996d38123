package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
)

// terminal asks the person at the terminal, one question at a time.
type terminal struct {
	ls    *render.Lines
	aside func() (back func()) // makes room for a question
	turn  sync.Mutex
}

// canAsk says whether there is anybody to ask.
func canAsk() bool { return isTerminal(os.Stdin) && isTerminal(os.Stdout) }

// asks tells whether a command asks the person at the terminal: its output is for people.
func asks(c *cli.Context) bool { return canAsk() && !c.Bool("json") && machine(c) == nil }

// ask puts a question until one of the letters is the answer.
func (t *terminal) ask(ctx context.Context, question, letters string) (byte, error) {
	for {
		t.ls.Warn("%s", question)
		s, err := stdin.line(ctx)
		if err != nil {
			return 0, err
		}
		if len(s) > 0 && strings.Contains(letters, strings.ToLower(s[:1])) {
			return strings.ToLower(s)[0], nil
		}
	}
}

// onFailure asks what is to become of a failed step. Builds that fail meanwhile
// wait for their turn. With nobody there any more everything is kept.
func (t *terminal) onFailure(shell func(ctx context.Context, build string) error) func(context.Context, dag.Node, error) dag.Decision {
	return func(ctx context.Context, n dag.Node, _ error) dag.Decision {
		t.turn.Lock()
		defer t.turn.Unlock()
		defer t.aside()()
		for {
			a, err := t.ask(ctx, fmt.Sprintf("%s: %s failed. [c]lean up, [s]uspend for a fix and a resume, [r]etry the step, [o]pen a shell on the machine?",
				strings.Join(n.Builds, ", "), n.Name), "csro")
			switch {
			case err != nil || a == 's':
				return dag.Suspend
			case a == 'c':
				return dag.Cleanup
			case a == 'r':
				return dag.Again
			}
			if err := shell(ctx, n.Builds[0]); err != nil {
				t.ls.Wrong("%v", err)
			}
		}
	}
}

// pause holds each step until the person lets it go on, as -debug promises.
func (t *terminal) pause() func(context.Context, dag.Node) {
	all := false
	return func(ctx context.Context, n dag.Node) {
		t.turn.Lock()
		defer t.turn.Unlock()
		if all || ctx.Err() != nil {
			return
		}
		t.ls.Warn("%s: about to begin %q. Enter goes on, a goes on without asking again.", strings.Join(n.Builds, ", "), n.Name)
		s, err := stdin.line(ctx)
		all = err != nil || strings.EqualFold(s, "a")
	}
}

// breakpoint holds a build at its breakpoints until the person lets it go on.
func (t *terminal) breakpoint() func(context.Context, dag.Node) {
	return func(ctx context.Context, n dag.Node) {
		if n.Kind != breakpointKind {
			return
		}
		t.turn.Lock()
		defer t.turn.Unlock()
		if ctx.Err() == nil {
			defer t.aside()()
			t.ls.Warn("%s: %s. Enter goes on.", strings.Join(n.Builds, ", "), n.Title)
			stdin.line(ctx) // with nobody there any more, too
		}
	}
}

// prompt puts a question of a server's, and returns the answer, which is not shown while it is typed unless
// echo is true.
func (t *terminal) prompt(ctx context.Context, question string, echo bool) (string, error) {
	t.turn.Lock()
	defer t.turn.Unlock()
	defer t.aside()()
	t.ls.Warn("%s", question)
	if !echo {
		defer hideTyping()()
	}
	return stdin.line(ctx)
}

// confirm asks for a yes.
func confirm(question string) (bool, error) {
	fmt.Fprintf(stdout, "%s Type yes to do so: ", question)
	s, err := stdin.line(context.Background())
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return strings.EqualFold(s, "yes") || strings.EqualFold(s, "y"), nil
}
