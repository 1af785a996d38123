package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/local"
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/steps/aws"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
	"github.com/imgflow/imgflow/steps/aws/ec2local/guest"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/provision"
	"github.com/imgflow/imgflow/template/compile"
)

// world is all that the concrete steps of one run are bound to.
type world struct {
	cloud    *aws.Cloud
	machines *comm.Env
}

type worldOptions struct {
	Endpoint    string // takes every call, signed with the key; empty: AWS, or what the SDK finds
	Key         local.Key
	Secret      func(name string) (string, error)
	Vault       comm.Vault
	MaxLifetime time.Duration
	Settle      time.Duration // how long the endpoint may take to show what was made; 0: as long as EC2
}

func newWorld(o worldOptions) *world {
	w := &world{
		machines: comm.NewEnv(o.Vault),
		cloud:    aws.NewCloud(aws.CloudOptions{Endpoint: o.Endpoint, AccessKey: o.Key.ID, SecretKey: o.Key.Secret, Secret: o.Secret, Vault: o.Vault, MaxLifetime: o.MaxLifetime, Settle: o.Settle}),
	}
	w.machines.Console, w.machines.Fate = w.cloud.Console, w.cloud.Fate
	return w
}

func (w *world) close() { w.machines.Close() }

// kinds are all the steps that there are.
func (w *world) kinds() []dag.Kind {
	return slices.Concat(comm.Kinds(w.machines), aws.Kinds(w.cloud), provision.Kinds(w.machines))
}

// learn tells the cloud where the steps of a run work.
func (w *world) learn(nodes []dag.Node) { w.cloud.Learn(nodes) }

// owners tells to whom the credentials of each account belong.
func (w *world) owners(ctx context.Context) (map[string]string, error) { return w.cloud.Owners(ctx) }

// beside keeps others from taking a run that is driven for a forgotten one.
func (w *world) beside(run string) func(context.Context) {
	return func(ctx context.Context) { w.cloud.KeepLease(ctx, run) }
}

// catalog gives the names of templates their meaning.
func (w *world) catalog(force bool, files *compile.Files) compile.Catalog {
	later := func(names ...string) map[string]string {
		m := map[string]string{}
		for _, n := range names {
			m[n] = "not supported yet"
		}
		return m
	}
	return compile.Catalog{
		Builders: map[string]func() compile.Builder{
			"amazon-ebs": func() compile.Builder {
				b := aws.NewEBS(w.cloud)
				b.Force = force
				return b
			},
		},
		Provisioners: map[string]func() compile.Provisioner{
			"shell":           provisioner[provision.Shell](files),
			"file":            provisioner[provision.FileCopy](files),
			"shell-local":     provisioner[provision.ShellLocal](files),
			"sleep":           provisioner[provision.Sleep](files),
			"powershell":      provisioner[provision.PowerShell](files),
			"windows-shell":   provisioner[provision.WindowsShell](files),
			"windows-restart": provisioner[provision.WindowsRestart](files),
			"breakpoint":      provisioner[provision.Breakpoint](files),
		},
		Over: map[string][]string{"shell": {"ssh"}, "file": {"ssh", "winrm"},
			"powershell": {"winrm"}, "windows-shell": {"winrm"}, "windows-restart": {"winrm"}},
		LaterBuilders:     later("amazon-ebssurrogate", "amazon-ebsvolume", "amazon-chroot", "amazon-instance", "null", "file"),
		LaterProvisioners: later("ansible", "ansible-local", "chef-client", "chef-solo", "converge", "inspec", "puppet-masterless", "puppet-server", "salt-masterless", "hcp-sbom"),
		LaterPostProcessors: later("manifest", "shell-local", "checksum", "compress", "artifice", "amazon-import",
			"docker-import", "docker-push", "docker-save", "docker-tag", "vagrant", "vagrant-cloud"),
	}
}

// provisionerOf is a provisioner as package provision makes them.
type provisionerOf[T any] interface {
	*T
	Check() []dag.Fault
	Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine]
	SetCommon(pauseBefore, timeout time.Duration, maxRetries int)
}

// entry makes a provisioner an entry of the catalog.
type entry[T any, P provisionerOf[T]] struct {
	Of    T `option:"flatten"`
	files *compile.Files
}

func provisioner[T any, P provisionerOf[T]](files *compile.Files) func() compile.Provisioner {
	return func() compile.Provisioner { return &entry[T, P]{files: files} }
}

// Check also finds the local files of a provisioner that knows them only when
// all its options are there.
func (e *entry[T, P]) Check() []dag.Fault {
	r, ok := any(&e.Of).(interface {
		ResolveFiles(func(path string) (dag.File, error)) []dag.Fault
	})
	if ok {
		if fs := r.ResolveFiles(e.files.Find); len(fs) > 0 {
			return fs
		}
	}
	return P(&e.Of).Check()
}

func (e *entry[T, P]) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	return P(&e.Of).Add(g, b, name, on)
}

func (e *entry[T, P]) SetCommon(c compile.Common) {
	P(&e.Of).SetCommon(c.PauseBefore, c.Timeout, c.MaxRetries)
}

func (e *entry[T, P]) Supported() error {
	if s, ok := any(&e.Of).(compile.Supporter); ok {
		return s.Supported()
	}
	return nil
}

// artifacts are the finished images, or the volumes kept beside one, that a record stands for.
func artifacts(r dag.Record) (found []state.Artifact) {
	if r.Kind == (aws.KeepVolumes{}).Kind() && r.Status == dag.Done {
		var v aws.KeptVolumes
		if json.Unmarshal(r.Out, &v) != nil {
			return nil
		}
		for _, id := range v.IDs {
			found = append(found, state.Artifact{Region: v.Region, ID: id, Volume: true})
		}
		return found
	}
	if r.Kind != (aws.ImageReady{}).Kind() || r.Status != dag.Done {
		return nil
	}
	var a aws.Artifact
	if json.Unmarshal(r.Out, &a) != nil || a.ID == "" {
		return nil
	}
	return []state.Artifact{{Region: a.Region, ID: a.ID, Name: a.Name}}
}

// liveMachine is a machine that was reached and may still live.
type liveMachine struct {
	build string
	comm.Machine
}

// machinesOf finds the machines of a run, one for each build; build chooses one.
func machinesOf(recs []dag.Record, build string) (ms []liveMachine) {
	for _, r := range recs {
		if r.Kind != (comm.Connect{}).Kind() || r.Status != dag.Done || len(r.Builds) == 0 {
			continue
		}
		var m comm.Machine
		if (build == "" || slices.Contains(r.Builds, build)) && json.Unmarshal(r.Out, &m) == nil {
			ms = append(ms, liveMachine{r.Builds[0], m})
		}
	}
	return ms
}

// orphan is something that nobody uses, and how to remove it.
type orphan struct {
	text   string
	remove func(ctx context.Context) error
}

// orphans finds what runs have left in the regions; see aws.Hunt. With an error
// it returns what it could find all the same.
func (w *world) orphans(ctx context.Context, regions []string, olderThan *time.Duration, driven func(string) bool) (os []orphan, err error) {
	found, err := w.cloud.Orphans(ctx, aws.Hunt{Regions: regions, OlderThan: olderThan, Driven: driven})
	for _, o := range found {
		text := fmt.Sprintf("%s %s in %s, of run %s", o.Type, o.ID, o.Region, o.Run)
		if o.Build != "" {
			text += ", build " + o.Build
		}
		os = append(os, orphan{text, func(ctx context.Context) error { return w.cloud.Remove(ctx, o) }})
	}
	return os, err
}

// ec2Options are what an embedded EC2 is made of.
type ec2Options struct {
	Dir, Guest, Latency, Faults string
	Key                         local.Key // the zero one: any key is taken
	Log                         io.Writer // nil: nothing is logged
}

// ec2Server is the embedded EC2.
type ec2Server struct {
	*ec2local.Server
	Guest  string // the kind of guests that it has
	Limits string // what its guests cannot do, in a line
}

// Busy tells whether an instance has processes that would be lost.
func (s *ec2Server) Busy() bool {
	return slices.ContainsFunc(s.Inventory().Of("instance"), func(i ec2local.Item) bool {
		return i.State == "pending" || i.State == "running" || i.State == "stopping"
	})
}

// check tells what of the options cannot be meant, before anything is started.
func (o ec2Options) check() (ec2local.Faults, error) {
	faults, err := ec2local.ParseFaults(o.Faults)
	if err == nil {
		err = ec2local.CheckLatency(o.Latency)
	}
	kinds := []string{"auto", "sandbox", "process", "none"}
	if err == nil && o.Guest != "" && !slices.Contains(kinds, o.Guest) {
		err = fmt.Errorf("cannot make guests of kind %q: choose auto, sandbox, process or none%s", o.Guest, suggest(o.Guest, kinds))
	}
	if err != nil {
		return faults, &exitError{exitUsage, err}
	}
	return faults, nil
}

func newEC2(o ec2Options) (*ec2Server, error) {
	faults, err := o.check()
	if err != nil {
		return nil, err
	}
	guests, err := guest.NewHost(o.Guest, guestDir(o.Dir))
	if err != nil {
		return nil, err
	}
	srv, err := ec2local.New(ec2local.Options{Dir: o.Dir, Key: ec2local.Key(o.Key), AnyKey: o.Key == local.Key{}, Guests: guests, Latency: o.Latency, Faults: faults, Log: o.Log})
	if err != nil {
		return nil, errors.Join(err, guests.Close())
	}
	return &ec2Server{srv, guests.Name(), guest.Limits(guests)}, nil
}

// importedGuest is a root file system that guests of the embedded EC2 stand on.
type importedGuest = guest.Imported

func guestDir(dir string) string { return filepath.Join(dir, "guests") }

// importGuest, guestImports and removeImport work in the directory of an embedded EC2.
func importGuest(ctx context.Context, dir string, tar io.Reader, as string) (importedGuest, error) {
	return guest.Import(ctx, guestDir(dir), tar, as)
}

func guestImports(dir string) ([]importedGuest, error) { return guest.Imports(guestDir(dir)) }

func removeImport(dir, name string) error { return guest.RemoveImport(guestDir(dir), name) }

// signLocal signs a request without a body to the embedded EC2.
func signLocal(req *http.Request, k local.Key) error {
	empty := sha256.Sum256(nil)
	c := awssdk.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}
	return v4.NewSigner().SignHTTP(req.Context(), c, req, hex.EncodeToString(empty[:]), "ec2", "us-east-1", time.Now())
}
