package post

import (
	"testing"

	"github.com/imgflow/imgflow/dag/dagtest"
)

func TestOneKindAFile(t *testing.T) { dagtest.OneKindAFile(t) }
