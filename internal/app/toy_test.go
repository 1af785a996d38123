package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template/compile"
)

// toyWorld has no kinds of steps, and keeps what it is told.
type toyWorld struct {
	WorldOptions
	directed Endpoint
}

func (*toyWorld) Catalog(bool) compile.Catalog { return compile.Catalog{} }
func (*toyWorld) Kinds() []dag.Kind            { return nil }
func (w *toyWorld) Direct(e Endpoint)          { w.directed = e }
func (*toyWorld) LocalFiles(string, json.RawMessage) (comm.LocalFiles, bool) {
	return comm.LocalFiles{}, true
}
func (*toyWorld) Confidential(json.RawMessage) bool                 { return false }
func (*toyWorld) Learn([]dag.Node)                                  {}
func (*toyWorld) Handover() (json.RawMessage, error)                { return nil, nil }
func (*toyWorld) TakeOver(json.RawMessage) error                    { return nil }
func (*toyWorld) Owners(context.Context) (map[string]string, error) { return nil, nil }
func (*toyWorld) KeepLease(context.Context, string, time.Time)      {}
func (*toyWorld) Examine(context.Context, []dag.Node, map[dag.Key]json.RawMessage) []Finding {
	return nil
}
func (*toyWorld) Machines() *comm.Env                                     { return nil }
func (*toyWorld) Orphans(context.Context, OrphanFilter) ([]Orphan, error) { return nil, nil }
func (*toyWorld) Close() error                                            { return nil }
