package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template/compile"
)

// World is all that the steps of one session are bound to: what they can be, and
// whom they call. Only the program that makes it knows the packages behind it.
type World interface {
	// Catalog gives the names of templates their meaning. With force new images
	// replace those of their names.
	Catalog(force bool) compile.Catalog
	// Kinds are all the steps that there are.
	Kinds() []dag.Kind
	// LocalFiles tells whether steps of a kind read or write local files that other steps make, or
	// the user looks for, and which of them a step with these settings, if there are any, does.
	LocalFiles(kind string, spec json.RawMessage) (f comm.LocalFiles, uses bool)
	// Confidential tells whether a step with these settings is given what is secret.
	Confidential(settings json.RawMessage) bool
	// Direct sends all calls to an endpoint. It comes before the first call.
	Direct(Endpoint)
	// Learn tells where the steps of a run work.
	Learn(nodes []dag.Node)
	// Handover is what the world has been told since it was made, for the TakeOver of
	// a world that does its steps in another process.
	Handover() (json.RawMessage, error)
	TakeOver(told json.RawMessage) error
	// Owners tells to whom the credentials of each account belong.
	Owners(ctx context.Context) (map[string]string, error)
	// KeepLease keeps others from taking what the run, which began then, has made for
	// forgotten, until ctx ends.
	KeepLease(ctx context.Context, run string, began time.Time)
	// Examine finds out whether steps, of which lookups have found something already, would be
	// let do what they are for. Nothing is made.
	Examine(ctx context.Context, nodes []dag.Node, found map[dag.Key]json.RawMessage) []Finding
	// Machines reaches the machines of the run.
	Machines() *comm.Env
	// Orphans finds what nobody uses. With an error it returns what it could find
	// all the same.
	Orphans(ctx context.Context, h OrphanFilter) ([]Orphan, error)
	// Close ends the world's connections.
	Close() error
}

// Finding is what an examination has found.
type Finding struct {
	Status string   // OK, Wrong, or Unknown
	Owner  string   // the account that it is about, if that is another one than the build's
	Region string   // "" for what is everywhere
	What   string   // it is about: credentials, ec2:CreateImage
	Why    string   // in words; of what is OK it may be ""
	Builds []string // that need it; none: all
}

// What a finding says of what it is about.
const (
	OK      = "ok"
	Wrong   = "wrong"
	Unknown = "unknown" // it could not be found out
)

// WorldOptions are what a world is made with.
type WorldOptions struct {
	Env         Env
	Dir         string // where relative paths of the template begin
	Away        comm.Away
	Endpoint    Endpoint // the zero one: AWS, or what the environment says
	Secret      func(name string) (string, error)
	Vault       comm.Vault
	MaxLifetime time.Duration // 0: instances live for as long as they are let
	Times       string        // the file of how long waits took; "" is none
}

// Endpoint takes every call, signed with its key.
type Endpoint struct {
	URL               string
	Key               local.Key
	ConsistencyWindow time.Duration // how long it may take to show what was made; 0: as long as EC2
}

// OrphanFilter says what counts as an orphan.
type OrphanFilter struct {
	Regions []string
	// OlderThan takes what is still in use, too, if it was not renewed for that
	// long. Nil takes only what is not.
	OlderThan *time.Duration
	// Driven tells whether a process of this machine drives the run.
	Driven func(run string) bool
}

// Orphan is something that a run has made and nobody uses.
type Orphan struct {
	Type, ID, Region, Run string
	Build                 string // may be ""
	// Remove removes it, for good.
	Remove func(ctx context.Context) error
}
