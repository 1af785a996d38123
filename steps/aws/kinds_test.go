package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag/dagtest"
)

func TestEveryStepIsBound(t *testing.T) { dagtest.Bound(t, Kinds(nil)) }

func TestOneKindAFile(t *testing.T) { dagtest.OneKindAFile(t) }
