package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/provenance"
	"github.com/imgflow/imgflow/internal/usual"
	"github.com/imgflow/imgflow/internal/winguest"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/aws"
	"github.com/imgflow/imgflow/steps/builtin"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/post"
	"github.com/imgflow/imgflow/steps/provision"
	"github.com/imgflow/imgflow/template/compile"
)

// world is all that the concrete steps of one session are bound to.
type world struct {
	cloud    *aws.Cloud
	machines *comm.Env
	times    *usual.Times
}

// shared is what calls of AWS have in common, however many sessions this process has.
var shared = aws.NewShared()

func newWorld(o app.WorldOptions) app.World {
	times := usual.Open(o.Times)
	w := &world{
		times:    times,
		machines: comm.NewEnv(o.Vault),
		cloud:    aws.NewCloud(aws.CloudOptions{Getenv: o.Env.Get, Secret: o.Secret, Vault: o.Vault, MaxLifetime: o.MaxLifetime, Times: times, Dir: o.Dir, Away: o.Away, Shared: shared}),
	}
	if o.Endpoint.URL != "" {
		w.Direct(o.Endpoint)
	}
	w.machines.Console, w.machines.Status, w.machines.Times = w.cloud.Console, w.cloud.Status, times
	w.machines.Tunnel = w.cloud.Tunnel
	w.machines.Environ, w.machines.Dir, w.machines.Away = o.Env.Vars(), o.Dir, o.Away
	return w
}

// Close does not fail for the times of this process: they are lost to the next one.
func (w *world) Close() error {
	w.times.Save()
	err := w.machines.Close()
	w.cloud.Close()
	return err
}

func (w *world) Direct(e app.Endpoint) {
	w.cloud.Direct(e.URL, e.Key.ID, e.Key.Secret, e.ConsistencyWindow)
}

func (w *world) Kinds() []dag.Kind {
	return slices.Concat(comm.Kinds(w.machines), aws.Kinds(w.cloud), builtin.Kinds(w.machines), provision.Kinds(w.machines), post.Kinds(w.machines))
}

func (w *world) Handover() (json.RawMessage, error) { return w.cloud.Handover() }

func (w *world) TakeOver(told json.RawMessage) error { return w.cloud.TakeOver(told) }

func (w *world) Learn(nodes []dag.Node) { w.cloud.Learn(nodes) }

func (w *world) Owners(ctx context.Context) (map[string]string, error) { return w.cloud.Owners(ctx) }

func (w *world) KeepLease(ctx context.Context, run string, began time.Time) {
	w.cloud.KeepLease(ctx, run, began)
}

func (w *world) Examine(ctx context.Context, nodes []dag.Node, found map[dag.Key]json.RawMessage) (fs []app.Finding) {
	for _, f := range w.cloud.Examine(ctx, nodes, found) {
		fs = append(fs, app.Finding(f))
	}
	return fs
}

func (w *world) Machines() *comm.Env { return w.machines }

func (w *world) Catalog(force bool) compile.Catalog {
	later := func(names ...string) map[string]string {
		m := map[string]string{}
		for _, n := range names {
			m[n] = "not supported yet"
		}
		return m
	}
	builders := map[string]func() steps.Source{}
	maps.Copy(builders, aws.Sources(w.cloud, force))
	maps.Copy(builders, builtin.Sources())
	data := map[string]func() steps.Data{}
	maps.Copy(data, aws.Data(w.cloud))
	maps.Copy(data, builtin.Data())
	hcp := map[string]string{}
	for _, name := range []string{"hcp-packer-artifact", "hcp-packer-image", "hcp-packer-iteration", "hcp-packer-version"} {
		hcp[name] = "it asks HCP Packer, which imgflow does not use; give the value as a variable"
	}
	posts := post.PostProcessors(force)
	maps.Copy(posts, aws.PostProcessors(w.cloud))
	laterPosts := later("docker-import", "docker-push", "docker-save", "docker-tag", "vagrant", "vagrant-cloud")
	laterBuilders := map[string]string{
		"amazon-chroot":   "it needs imgflow to run as root on an instance, whose device names it would share; use amazon-ebssurrogate, which fills a volume in the same way on a machine of its own",
		"amazon-instance": "it makes images on instance stores, by tools and certificates that few types of instances still take; use amazon-ebs, whose images are on volumes",
	}
	return compile.Catalog{
		Builders:       builders,
		Provisioners:   provision.Provisioners(w.machines),
		PostProcessors: posts,
		Data:           data,
		LaterBuilders:  laterBuilders,
		LaterData:      hcp,
		Scan: func(secrets []dag.Secret, since time.Time) steps.Provisioner {
			return &provision.ScanImage{Secrets: secrets, Since: since}
		},
		LaterPostProcessors: laterPosts,
	}
}

// breakpointKind is the kind of steps at which a run waits for the person at the terminal.
var breakpointKind = provision.Breakpoint{}.Kind()

// catalog is all that a template may be made of, for whoever looks at the options alone.
func catalog() compile.Catalog { return (&world{}).Catalog(false) }

func (w *world) Orphans(ctx context.Context, h app.OrphanFilter) (os []app.Orphan, err error) {
	found, err := w.cloud.Orphans(ctx, aws.OrphanFilter{Regions: h.Regions, OlderThan: h.OlderThan, Driven: h.Driven})
	for _, o := range found {
		os = append(os, app.Orphan{Type: o.Type, ID: o.ID, Region: o.Region, Run: o.Run, Build: o.Build,
			Remove: func(ctx context.Context) error { return w.cloud.Remove(ctx, o) }})
	}
	return os, err
}

// ec2Options are what an embedded EC2 is made of.
type ec2Options struct {
	Dir, Guest, Latency, Faults string
	Seed                        string    // a file of parameters and secrets; empty: seed.json in Dir, if there is one
	Policy                      string    // a file with a policy of IAM; empty: policy.json in Dir, if there is one
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
		return faults, &exitError{code: exitUsage, err: err}
	}
	return faults, nil
}

func newEC2(o ec2Options) (*ec2Server, error) {
	faults, err := o.check()
	if err != nil {
		return nil, err
	}
	guests, err := guest.NewHost(o.Guest, guestDir(o.Dir), windowsBehind)
	if err != nil {
		return nil, err
	}
	srv, err := ec2local.New(ec2local.Options{Dir: o.Dir, Key: ec2local.Key(o.Key), AnyKey: o.Key == local.Key{}, Guests: guests, Latency: o.Latency, Faults: faults, Seed: o.Seed, Policy: o.Policy, Log: o.Log})
	if err != nil {
		return nil, errors.Join(err, guests.Close())
	}
	return &ec2Server{srv, guests.Name(), guest.Limits(guests)}, nil
}

// windowsBehind opens the machine behind a Windows guest of the embedded EC2.
func windowsBehind(dir string, r guest.Release, addr string) (guest.WindowsMachine, error) {
	m, err := winguest.Open(dir, winguest.Spec{Release: winguest.ReleaseOf(r.Version), Addr: addr})
	return windowsMachine{m}, err
}

type windowsMachine struct{ *winguest.Machine }

func (m windowsMachine) Boot(b guest.WindowsBoot) error { return m.Machine.Boot(winguest.Boot(b)) }

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

// localKinds are the kinds of steps that have to do with local files which other steps make,
// or the user looks for, each with what its settings say of that.
var localKinds = map[string]func(spec json.RawMessage) comm.LocalFiles{
	(aws.BeginUpload{}).Kind():            named,
	(aws.UploadObject{}).Kind():           named,
	(builtin.WriteFile{}).Kind():          localFiles[builtin.WriteFile],
	(post.Artifice{}).Kind():              localFiles[post.Artifice],
	(post.Checksum{}).Kind():              localFiles[post.Checksum],
	(post.Compress{}).Kind():              localFiles[post.Compress],
	(post.Manifest{}).Kind():              localFiles[post.Manifest],
	(post.ShellLocal{}).Kind():            localFiles[post.ShellLocal],
	(provision.Ansible{}).Kind():          localFiles[provision.Ansible],
	(provision.AnsibleLocal{}).Kind():     named,
	(provision.ChefClient{}).Kind():       named,
	(provision.ChefSolo{}).Kind():         named,
	(provision.FileCopy{}).Kind():         localFiles[provision.FileCopy],
	(provision.Goss{}).Kind():             localFiles[provision.Goss],
	(provision.InSpec{}).Kind():           localFiles[provision.InSpec],
	(provision.PowerShell{}).Kind():       named,
	(provision.PuppetMasterless{}).Kind(): named,
	(provision.PuppetServer{}).Kind():     named,
	(provision.SaltMasterless{}).Kind():   named,
	(provision.SBOM{}).Kind():             localFiles[provision.SBOM],
	(provision.Shell{}).Kind():            named,
	(provision.ShellLocal{}).Kind():       localFiles[provision.ShellLocal],
	(provision.WindowsShell{}).Kind():     named,
	(provision.Converge{}).Kind():         named,
}

// named is for steps that read only what they name as files of theirs.
func named(json.RawMessage) comm.LocalFiles { return comm.LocalFiles{} }

func localFiles[T comm.LocalUser](spec json.RawMessage) comm.LocalFiles {
	var s T
	if json.Unmarshal(spec, &s) != nil { // whoever does the step says so
		return comm.LocalFiles{}
	}
	return s.LocalFiles()
}

func (*world) LocalFiles(kind string, spec json.RawMessage) (f comm.LocalFiles, uses bool) {
	of, uses := localKinds[kind]
	if uses && spec != nil {
		f = of(spec)
	}
	return f, uses
}

// Confidential tells of secrets of the template, and of values of machines that are secret.
func (*world) Confidential(settings json.RawMessage) bool {
	return len(dag.Node{Spec: settings}.Secrets()) > 0 ||
		slices.ContainsFunc(steps.SecretValues, func(name string) bool { return bytes.Contains(settings, []byte(name)) })
}

// foundText is what a step has looked up that is worth telling, in a line, or "".
func foundText(f app.Found) string {
	var i aws.SourceImage
	switch {
	case f.Out == nil:
		return ""
	case f.Node.Kind == (aws.Source{}).Kind() && json.Unmarshal(f.Out, &i) == nil:
		return i.Text()
	case !f.Node.Chooses && !strings.Contains(f.Node.Kind, "data-"):
		return ""
	case len(dag.Node{Spec: f.Out}.Secrets()) > 0:
		return "(sensitive)"
	}
	return string(f.Out)
}

// describe says of what a run has recorded which images it began with, and what it has made that lasts.
func describe(r dag.Record) (found, made, byproducts []provenance.Descriptor) {
	if r.Kind == (aws.Source{}).Kind() {
		var i aws.SourceImage
		if json.Unmarshal(r.Out, &i) == nil && i.ID != "" {
			found = append(found, awsThing(i.Region, "image", i.ID, i.Name))
		}
	}
	for _, a := range r.Artifacts {
		if a.Maker == "" && (a.Kind == "image" || a.Kind == "volume") {
			made = append(made, awsThing(a.Region, a.Kind, a.ID, a.Name))
		}
	}
	if list := listOf(r); list != "" {
		sum := sha256.Sum256([]byte(list))
		byproducts = append(byproducts, provenance.Descriptor{Name: "sbom of " + strings.Join(r.Builds, ", "), Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}, MediaType: "application/json"})
	}
	return found, made, byproducts
}

// costOf is what a run costs, by its records and public prices.
func costOf(records []dag.Record, now time.Time) cost.Bill { return aws.Cost(records, now) }

// callsAhead is roughly how often a cloud is called for steps, by action: for those that are
// done, and those whose things are removed on the way.
func callsAhead(done, removed []dag.Node) map[string]int { return aws.Calls(done, removed) }

// policyFor is the policy that a cloud needs for steps, or one of the roles that they take, and what of it is a guess.
func policyFor(nodes []dag.Node, role string) (policy any, notes []string) {
	return aws.PolicyFor(nodes, role)
}

// rolesOf are those of other accounts that steps take.
func rolesOf(nodes []dag.Node) []string { return aws.Roles(nodes) }

// costAhead is what steps will cost that are yet to be done.
func costAhead(nodes []dag.Node, makes func(dag.Key) bool, usual func(kind, step string) (time.Duration, bool)) cost.Forecast {
	return aws.Foresee(nodes, makes, usual)
}

// listOf is the list of what was installed that a step has made, or "".
func listOf(r dag.Record) string {
	if r.Kind == (provision.SBOM{}).Kind() {
		return r.Report
	}
	return ""
}

func awsThing(region, kind, id, name string) provenance.Descriptor {
	return provenance.Descriptor{Name: cmp.Or(name, id), URI: aws.ARN(region, kind, id), Digest: map[string]string{"awsId": id}}
}
