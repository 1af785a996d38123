package model

import (
	_ "embed"
	"encoding/json"
	"sync"
)

//go:embed ec2.json
var ec2JSON []byte

//go:embed sts.json
var stsJSON []byte

//go:embed iam.json
var iamJSON []byte

// EC2, STS and IAM return the models, read once.
var (
	EC2 = sync.OnceValue(func() *Service { return read(ec2JSON) })
	STS = sync.OnceValue(func() *Service { return read(stsJSON) })
	IAM = sync.OnceValue(func() *Service { return read(iamJSON) })
)

// A Service is the model of one service.
type Service struct {
	Version    string // of the API, such as 2016-11-15
	Namespace  string // of replies
	EC2        bool   // speaks the ec2 protocol; the others the query protocol
	Operations map[string]*Operation
	shapes     map[string]*shape
}

// An Operation is one call of a service.
type Operation struct {
	Name    string
	Wrapper string // element around the result, in the query protocol
	service *Service
	input   string // shape names, "" for none
	output  string
}

// Input tells whether the operation takes a parameter of that name.
func (o *Operation) Input(name string) bool {
	s := o.service.shapes[o.input]
	return s != nil && s.Members[name] != nil
}

type shape struct {
	Type      string
	Members   map[string]*member
	Member    *member
	Required  []string
	Enum      []string
	Flattened bool
	Sensitive bool
}

type member struct {
	Shape        string
	LocationName string
	QueryName    string
	Wrapper      string `json:"resultWrapper"`
}

func read(raw []byte) *Service {
	var file struct {
		Metadata struct {
			APIVersion   string
			Protocol     string
			XMLNamespace string
		}
		Operations map[string]struct{ Input, Output member }
		Shapes     map[string]*shape
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		panic("model: an embedded service model is not JSON: " + err.Error()) // a broken build
	}
	s := &Service{
		Version:    file.Metadata.APIVersion,
		Namespace:  file.Metadata.XMLNamespace,
		EC2:        file.Metadata.Protocol == "ec2",
		Operations: map[string]*Operation{},
		shapes:     file.Shapes,
	}
	if s.EC2 {
		// The service answers with a slash at the end, which the model lacks.
		s.Namespace += "/"
	}
	for name, o := range file.Operations {
		s.Operations[name] = &Operation{
			Name: name, Wrapper: o.Output.Wrapper,
			service: s, input: o.Input.Shape, output: o.Output.Shape,
		}
	}
	return s
}
