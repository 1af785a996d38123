package app

import (
	"context"
	"errors"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/drive"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/state"
)

// Removable tells whether a run may have left something to remove: with
// artifacts, its images count, too.
func Removable(sum state.Summary, artifacts bool) bool {
	left := sum.Status != state.Destroyed && (sum.Status != state.Done || len(sum.Left) > 0)
	return left || artifacts && hasImages(sum)
}

// Records are all of the run, in no order.
func (s *Session) Records() ([]dag.Record, error) { return s.run.All() }

// Things are the things of the run that may exist, the newest first: with
// artifacts, its images and snapshots, too.
func (s *Session) Things(artifacts bool) ([]dag.Record, error) {
	recs, err := s.run.All()
	if err != nil {
		return nil, err
	}
	recs = slices.DeleteFunc(recs, func(r dag.Record) bool { return !r.Alive() || r.Kept && !artifacts })
	slices.SortFunc(recs, func(a, b dag.Record) int { return b.Begun.Compare(a.Begun) })
	return recs, nil
}

// Remove removes things of the run, and returns those that are left. What cannot
// be written down, on a full disk, is removed all the same, since a removal can be
// repeated: the error is then the *state.WriteError.
func (s *Session) Remove(ctx context.Context, things []dag.Record, show func(dag.Event)) (left []dag.Failure, err error) {
	if len(things) > 0 && !s.known {
		if err := s.Reach(ctx, local.Settings{}); err != nil {
			return nil, err
		}
		s.loadAccounts(ctx, slices.ContainsFunc(things, func(r dag.Record) bool { return r.Guard && len(r.Secrets()) > 0 }))
		if err := s.Verify(ctx); err != nil && !errors.As(err, new(*state.WriteError)) {
			return nil, err
		}
	}
	chosen := map[dag.Key]bool{}
	for _, r := range things {
		chosen[r.Key] = true
	}
	ctx, t := s.trace(ctx, "DESTROY")
	left, err = drive.Destroy(ctx, func(r dag.Record) bool { return chosen[r.Key] }, s.driven(t, show))
	s.removed(t, left, err)
	return left, err
}

// loadAccounts makes the accounts of the template known, if it can still be read, and its
// secrets. Without them the SDK's own credentials are used. A local run has no accounts, but may have
// something to do that takes secrets.
func (s *Session) loadAccounts(ctx context.Context, secrets bool) {
	if s.req.Template == "" || s.req.Template == "-" || s.req.Local && !secrets || s.ev != nil {
		return
	}
	if s.Load(ctx, true) == nil {
		s.hide()
	}
}
