package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// It tells which image goes, and asks nobody. That it goes then is TestOnlyCopies'.
func TestCopied(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	var of ReadyImage
	of.ID = "ami-0123456789abcdef0"
	if out := twice(t, w, Copied{Of: dag.Lit(of), Copies: []dag.Out[ReadyImage]{dag.Lit(of)}}); out.ID != of.ID || w.front.total() > 0 {
		t.Errorf("%+v, %d calls", out, w.front.total())
	}
}
