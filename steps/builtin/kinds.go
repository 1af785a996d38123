package builtin

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Sources are the builders of this package by the names that templates use.
func Sources() map[string]func() steps.Source {
	return map[string]func() steps.Source{
		"null": func() steps.Source { return &Null{} },
		"file": func() steps.Source { return &File{} },
	}
}

// Data are the data sources of this package by the names that templates use.
func Data() map[string]func() steps.Data {
	return map[string]func() steps.Data{
		"consul": func() steps.Data { return &Consul{} },
		"http":   func() steps.Data { return &HTTP{} },
		"vault":  func() steps.Data { return &Vault{} },
	}
}

// Kinds are the steps of this package. A new one is one file and one line here.
func Kinds(e *comm.Env) []dag.Kind {
	return []dag.Kind{
		dag.Bind[Machine](e),
		dag.Bind[WriteFile](e),
		dag.Bind[HTTP](e),
		dag.Bind[Vault](e),
		dag.Bind[Consul](e),
		dag.Bind[Product](e),
	}
}
