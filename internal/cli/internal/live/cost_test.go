//go:build unix

package live

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/cputime"
)

// A guest that prints 100,000 lines in ten seconds costs less with the view, its
// frames of ten seconds included, than in plain lines, which are written one by one.
func TestCost(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	const lines = 100_000
	text := strings.Repeat("a line of a guest, ", 5)
	print := func(show func(dag.Event)) time.Duration {
		begun := cputime.Spent(t)
		for range lines {
			show(dag.Event{Type: dag.Printed, Token: "t0", Stream: "stdout/1", Builds: []string{"build-0"}, Step: "step", Text: text, Time: time.Now()})
		}
		return cputime.Spent(t) - begun
	}
	plain := print(render.NewLines(null, render.Options{}).Event)

	p := perform(t, 200, 50, 100, 12, func(o *Options) { o.Out = null })
	for b := range 100 {
		p.tell(dag.Started, 12*b, "")
	}
	folding := print(p.Event)
	begun := cputime.Spent(t)
	for range 10 * time.Second / turn {
		p.tell(dag.Printed, 0, text)
		p.draw()
	}
	frames := cputime.Spent(t) - begun
	t.Logf("%d lines: plain %v; with the view %v, and %v for the frames of 10s, which is %.1f %% of a core", lines, plain, folding, frames, 100*(folding+frames).Seconds()/10)
	if folding+frames > plain*3/2 {
		t.Errorf("the view costs %v and %v, plain lines %v", folding, frames, plain)
	}
}
