// Command gen writes the excerpts of Amazon's service models beside package
// model. Which operations they hold stands in operations.go; what they are made
// from lies in botocore, as it was released:
//
//	go run ./gen    # in the folder of package model
//
// To go on to another release, put its service-2.json.gz of each service there, and
// its version and sums below.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
)

//go:embed botocore
var models embed.FS

// release is botocore's, and sums are those of its service-2.json.gz: of ec2
// 2016-11-15, iam 2010-05-08 and sts 2011-06-15.
const release = "1.43.11"

var sums = map[string]string{
	"ec2": "ee582960c736eb6deab6e791c6783437180178ae2d3c34831ffb7b5f9967b3a2",
	"iam": "89d263dc65f96655e9db83c9a5070f2f0eba4db0960941d40a5e64f9bd659ee7",
	"sts": "0d23cc912465384105603df7c12df102de5e7d1d50768ce5fc67d30e1a8f8a63",
}

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
	for name := range operations {
		text, err := excerpt(name)
		if err == nil {
			err = os.WriteFile(name+".json", text, 0o644)
		}
		if err != nil {
			log.Fatalf("cannot write the model of %s: %v", name, err)
		}
	}
}

// read is the model of a service in the release that is pinned.
func read(name string) (*service, error) {
	packed, err := models.ReadFile("botocore/" + name + ".json.gz")
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != sums[name] {
		return nil, fmt.Errorf("botocore/%s.json.gz is not that of botocore %s: its SHA-256 is %x", name, release, sum)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var all service
	return &all, json.Unmarshal(raw, &all)
}

// excerpt is the text of a service's file.
func excerpt(name string) ([]byte, error) {
	all, err := read(name)
	if err != nil {
		return nil, err
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
	for _, op := range operations[name] {
		o, ok := all.Operations[op]
		if !ok {
			return nil, fmt.Errorf("the model has no operation %s", op)
		}
		keep.Operations[op] = o
		if o.Input != nil {
			reach(o.Input.Shape)
		}
		if o.Output != nil {
			reach(o.Output.Shape)
		}
	}
	return keep.lines()
}

// lines is the model as JSON with an operation, and a shape, on each line: so a
// change of one shows as one.
func (s *service) lines() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n\"metadata\":")
	if err := compact(&b, s.Metadata); err != nil {
		return nil, err
	}
	if err := section(&b, "operations", s.Operations); err != nil {
		return nil, err
	}
	if err := section(&b, "shapes", s.Shapes); err != nil {
		return nil, err
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

func section[T any](b *bytes.Buffer, name string, entries map[string]T) error {
	fmt.Fprintf(b, ",\n%q:{", name)
	for i, k := range slices.Sorted(maps.Keys(entries)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "\n%q:", k)
		if err := compact(b, entries[k]); err != nil {
			return err
		}
	}
	b.WriteString("\n}")
	return nil
}

// compact writes a value on the line that has begun.
func compact(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder ends the line
	return nil
}
