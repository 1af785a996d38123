package provision

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/dag/dagtest"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestEveryStepIsBound(t *testing.T) { dagtest.Bound(t, Kinds(nil)) }

func TestOneKindAFile(t *testing.T) { dagtest.OneKindAFile(t) }

// TestEveryProvisionerTries: whatever a provisioner does is done as the common options say,
// and those are no part of what its step is.
func TestEveryProvisionerTries(t *testing.T) {
	for name, maker := range Provisioners(comm.NewEnv(nil)) {
		if strings.HasPrefix(name, "ansible") || name == "hcp-sbom" { // which look for programs and files first, or are a step of sbom
			continue
		}
		m := comm.Machine{Endpoint: comm.Endpoint{Protocol: "ssh", Host: "192.0.2.1", Port: 22}}
		if over := maker().Communicators(); len(over) == 1 && over[0] == "winrm" {
			m = winMachine()
		}
		key := func(c steps.Common) dag.Key {
			g := dag.NewGraph(func(string) string { return "" })
			pr := maker()
			pr.SetCommon(c)
			return pr.Add(g, dag.Build{Name: "web"}, name, dag.Lit(m)).Key()
		}
		common := steps.Common{PauseBefore: time.Hour, Timeout: time.Minute, MaxRetries: 3, ContinueOnError: true}
		if key(common) != key(steps.Common{}) {
			t.Errorf("%s: the common options are part of its key", name)
		}
		pr := maker()
		pr.SetCommon(common)
		reflect.ValueOf(pr).Elem().FieldByName("On").Set(reflect.ValueOf(dag.Lit(m).Take()))
		ctx, cancel := context.WithCancel(t.Context())
		sink := &memSink{on: func(dag.Event) { cancel() }}
		e := comm.NewEnv(nil)
		done := reflect.ValueOf(pr).MethodByName("Do").Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(e), reflect.ValueOf(task(sink))}) // not all make a machine alone
		err, _ := done[1].Interface().(error)
		if e.Close(); !errors.Is(err, context.Canceled) || !strings.HasPrefix(sink.said(dag.Said), "pausing 1h0m0s before this step") {
			t.Errorf("%s: %v, said %q", name, err, sink.said(dag.Said))
		}
		cancel()
	}
}
