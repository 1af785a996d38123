package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/telemetry"
	"github.com/imgflow/imgflow/state"
)

// traceDoc is the document of a run that says of which trace it is: the parent of
// what goes on with it, as W3C has it.
const traceDoc = "trace"

// trace begins the span of a drive of the run, where that is told at all. A run that
// goes on is in the trace that it began in.
func (s *Session) trace(ctx context.Context, action string) (context.Context, *telemetry.Run) {
	if s.app.Telemetry == nil {
		return ctx, nil
	}
	about := s.about(action)
	ctx, t := s.app.Telemetry.Begin(ctx, about)
	if about.Former == "" {
		s.run.SetDocLater(traceDoc, t.Parent()) // nor does it matter much to keep it
	}
	return ctx, t
}

// about is what is known of a drive of the run.
func (s *Session) about(action string) telemetry.About {
	former := ""
	s.run.Doc(traceDoc, &former) // what cannot be read begins a trace of its own
	return telemetry.About{Run: s.run.ID(), Template: filepath.Base(s.run.Summary().Template), Action: action, Former: former}
}

// drove tells of a drive by workers that has ended, with why it has failed, if it has.
func (s *Session) drove(action string, began time.Time, result, why string) {
	s.app.Telemetry.Drove(s.about(action), s.epoch, began, result, s.Redact(why))
}

// traced ends the span of a drive that has solved the run, as it stands now.
func (s *Session) traced(t *telemetry.Run, err error) {
	sum := s.run.Summary()
	t.End(telemetry.ResultOf(err == nil && sum.Status == state.Done, err == nil && sum.Status == state.Suspended), s.Redact(s.whyFailed(err)))
}

// whyFailed is why the run has failed, as it stands now, or why nothing could go on; "" if neither is so.
func (s *Session) whyFailed(err error) string {
	if err != nil {
		return err.Error()
	}
	sum := s.run.Summary()
	why := sum.Err
	for _, b := range sum.Builds {
		if why == "" {
			why = b.Err
		}
	}
	return why
}

// removed ends the span of a drive that was to remove things.
func (s *Session) removed(t *telemetry.Run, left []dag.Failure, err error) {
	why := ""
	switch {
	case err != nil:
		why = err.Error()
	case len(left) > 0:
		why = left[0].Err.Error()
	}
	t.End(telemetry.ResultOf(err == nil && len(left) == 0, false), s.Redact(why))
}
