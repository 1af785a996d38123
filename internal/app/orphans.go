package app

import (
	"context"
	"time"

	"github.com/imgflow/imgflow/internal/app/local"
)

// Orphans finds what carries our tags and nobody uses, in the account of the
// environment or, for a local request, in the embedded EC2 of local runs. No
// regions are that of the environment. OlderThan takes what is still in use, too,
// if it is older; nil does not. Without a home nothing is known of runs on this
// machine but their leases. With an error it returns what it could find all the
// same.
func (s *Session) Orphans(ctx context.Context, regions []string, olderThan *time.Duration) ([]Orphan, error) {
	h := OrphanFilter{Regions: regions, OlderThan: olderThan, Driven: func(string) bool { return false }}
	if s.home != nil {
		h.Driven = s.home.Driven
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if r := s.env.Get(name); r != "" && len(h.Regions) == 0 {
			h.Regions = []string{r}
		}
	}
	if s.req.Local {
		if s.home == nil {
			return nil, usagef("cannot find the embedded EC2 of local runs: set IMGFLOW_HOME to the directory that they were kept in")
		}
		if err := s.Reach(ctx, local.Settings{}); err != nil {
			return nil, err
		}
		if len(h.Regions) == 0 {
			h.Regions = []string{"us-east-1"}
		}
	}
	if len(h.Regions) == 0 {
		return nil, usagef("cannot look for orphans: no region is known; give --region, or set AWS_REGION")
	}
	return s.world.Orphans(ctx, h)
}
