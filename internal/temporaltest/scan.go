package temporaltest

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/proto"

	"github.com/imgflow/imgflow/internal/secrettest"
)

// Scan looks for secrets in all that the server keeps of workflows and schedules: histories,
// what is known of calls that are on their way, memos, search attributes. The error says where one is;
// workflows are how many it has looked at.
func (s *Server) Scan(ctx context.Context, secrets []string) (workflows int, err error) {
	c, err := client.DialContext(ctx, client.Options{HostPort: s.Address, Namespace: Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var found []error
	look := func(what string, m proto.Message) error {
		p, err := proto.Marshal(m)
		if err == nil {
			found = append(found, secrettest.In(what, p, secrets))
		}
		return err
	}
	// Those of schedules are in a part of the namespace that is not listed by itself.
	for _, which := range []string{"TemporalNamespaceDivision IS NULL", "TemporalNamespaceDivision IS NOT NULL"} {
		// A page of 1,000, which is what it gives by itself, takes it more than ten seconds with SQLite.
		for page, more := []byte(nil), true; more; more = len(page) > 0 {
			list, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: Namespace, PageSize: 100, Query: which, NextPageToken: page})
			if err != nil {
				return workflows, err
			}
			page = list.GetNextPageToken()
			for _, w := range list.GetExecutions() {
				workflows++
				what := "workflow " + w.GetExecution().GetWorkflowId()
				if err := errors.Join(look("what is listed of "+what, w), each(ctx, c, w.GetExecution(), func(m proto.Message) error { return look(what, m) })); err != nil {
					return workflows, err
				}
			}
		}
	}
	return workflows, errors.Join(found...)
}

// each calls look with all that there is of a workflow.
func each(ctx context.Context, c client.Client, w *common.WorkflowExecution, look func(proto.Message) error) error {
	now, err := c.DescribeWorkflow(ctx, w.GetWorkflowId(), w.GetRunId())
	if err != nil {
		return err
	}
	if err := look(now.RawResponse); err != nil {
		return err
	}
	for events := c.GetWorkflowHistory(ctx, w.GetWorkflowId(), w.GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		if err == nil {
			err = look(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ScanFiles looks for secrets in the files of the server: whatever it has ever stored, and not
// written over since. A secret that begins in one page of the database and ends in another is not found there.
func (s *Server) ScanFiles(secrets []string) error {
	var found []error
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		p, err := os.ReadFile(path)
		found = append(found, secrettest.In("the server's file "+d.Name(), p, secrets))
		return err
	})
	return errors.Join(append(found, err)...)
}
