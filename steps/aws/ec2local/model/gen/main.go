// Command gen writes the excerpts of Amazon's service models beside package
// model. Which operations they hold stands in operations.go.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

type service struct {
	Metadata   map[string]any       `json:"metadata"`
	Operations map[string]operation `json:"operations"`
	Shapes     map[string]shape     `json:"shapes"`
}

type operation struct {
	Input  *member `json:"input,omitempty"`
	Output *member `json:"output,omitempty"`
}

type member struct {
	Shape        string `json:"shape"`
	LocationName string `json:"locationName,omitempty"`
	QueryName    string `json:"queryName,omitempty"`
	Wrapper      string `json:"resultWrapper,omitempty"`
	Token        bool   `json:"idempotencyToken,omitempty"`
}

type shape struct {
	Type      string            `json:"type"`
	Members   map[string]member `json:"members,omitempty"`
	Member    *member           `json:"member,omitempty"`
	Required  []string          `json:"required,omitempty"`
	Enum      []string          `json:"enum,omitempty"`
	Flattened bool              `json:"flattened,omitempty"`
	Sensitive bool              `json:"sensitive,omitempty"`
}

func main() {
	log.SetFlags(0)
	data := flag.String("data", "", "botocore's data directory")
	out := flag.String("out", ".", "where the excerpts go")
	flag.Parse()
	for name, ops := range operations {
		if err := write(*data, *out, name, ops); err != nil {
			log.Fatalf("cannot write the model of %s: %v", name, err)
		}
	}
}

func write(data, out, name string, ops []string) error {
	files, err := filepath.Glob(filepath.Join(data, name, "*", "service-2.json.gz"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no model in %s", filepath.Join(data, name))
	}
	f, err := os.Open(files[len(files)-1])
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	var all service
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	keep := service{
		Metadata: map[string]any{
			"apiVersion":   all.Metadata["apiVersion"],
			"protocol":     all.Metadata["protocol"],
			"xmlNamespace": all.Metadata["xmlNamespace"],
		},
		Operations: map[string]operation{},
		Shapes:     map[string]shape{},
	}
	var reach func(name string)
	reach = func(name string) {
		if _, done := keep.Shapes[name]; done {
			return
		}
		s := all.Shapes[name]
		keep.Shapes[name] = s
		for _, m := range s.Members {
			reach(m.Shape)
		}
		if s.Member != nil {
			reach(s.Member.Shape)
		}
	}
	for _, op := range ops {
		o, ok := all.Operations[op]
		if !ok {
			return fmt.Errorf("the model has no operation %s", op)
		}
		keep.Operations[op] = o
		if o.Input != nil {
			reach(o.Input.Shape)
		}
		if o.Output != nil {
			reach(o.Output.Shape)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(keep); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, name+".json"), b.Bytes(), 0o644)
}
