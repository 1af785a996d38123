package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/sleep"
)

// optionRow says of one option of Packer's components for AWS what becomes of it.
type optionRow struct {
	option string // of its group's component
	set    string // the option with a value, and what it needs beside it, as members of a JSON object
	// want is what has to be true, each one of
	//
	//	refused: TEXT         the template is refused, with this text in the fault
	//	warned: TEXT          the template is taken, with this text in a warning
	//	never: ACTION         the call is not made
	//	step KIND: TEXT       the settings of a step of that kind hold the text
	//	ACTION NAME=VALUE; …  one call of the action has all of these parameters; * stands for
	//	                      any part of a name. @key, @token and @region are those of its
	//	                      signature, @host and @attempt whom it asks, and how often;
	//	                      other names with @ are headers.
	want []string
}

// optionGroup are options that one template can have together. What is refused or
// warned of is looked at by itself.
type optionGroup struct {
	name      string
	component string // a builder, unless it is data NAME or post NAME
	base      string // members of the JSON object that all have, over the usual ones
	rows      []optionRow

	until string            // the step before which the run is interrupted
	fails bool              // the run may fail, and is interrupted when all wanted calls were made: what is named does not exist
	env   []string          // over the usual one
	files map[string]string // beside the template
	tls   bool              // the endpoint has a certificate that nobody knows
	busy  string            // an action that the endpoint has no time for
	deny  string            // one that it refuses with a sealed message
}

func row(option, set string, want ...string) optionRow { return optionRow{option, set, want} }

// usualOptions are those that each component cannot do without.
var usualOptions = map[string]string{
	"amazon-ebs": `"region": "us-east-1", "communicator": "none", "instance_type": "t3.micro", "ami_name": "probe",
		"source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}`,
	"amazon-ebssurrogate": `"region": "us-east-1", "communicator": "none", "instance_type": "t3.micro", "ami_name": "probe", "ami_virtualization_type": "hvm", "ena_support": true,
		"source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true},
		"launch_block_device_mappings": [{"device_name": "/dev/xvdf", "volume_size": 1}], "ami_root_device": {"source_device_name": "/dev/xvdf", "device_name": "/dev/xvda"}`,
	"amazon-ebsvolume": `"region": "us-east-1", "communicator": "none", "instance_type": "t3.micro",
		"source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}`,
	"post amazon-import": `"s3_bucket_name": "disks", "format": "raw"`,
}

// optionTemplate is a template with the options.
func (g optionGroup) template(t *testing.T, sets ...string) string {
	t.Helper()
	all := map[string]any{}
	for _, text := range append([]string{usualOptions[g.component], g.base}, sets...) {
		var more map[string]any
		if err := json.Unmarshal([]byte("{"+text+"}"), &more); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		lay(all, more)
	}
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	kind, name, other := strings.Cut(g.component, " ")
	if !other {
		name = kind
	}
	all["type"] = name
	var tmpl any
	switch kind {
	case "data":
		delete(all, "type")
		tmpl = map[string]any{
			"data":   map[string]any{name: map[string]any{"look": all}},
			"source": map[string]any{"null": map[string]any{"n": map[string]any{"communicator": "none"}}},
			"build": map[string]any{"sources": []string{"source.null.n"},
				"provisioner": map[string]any{"shell-local": map[string]any{"inline": []string{"true"}, "env": map[string]any{"LOOKED": "${jsonencode(data." + name + ".look)}"}}}},
		}
	case "post":
		tmpl = map[string]any{"builders": []any{map[string]any{"type": "file", "target": "disk.raw", "content": "anything may be on a raw disk"}}, "post-processors": []any{all}}
	default:
		tmpl = map[string]any{"builders": []any{all}}
	}
	p, err := json.Marshal(tmpl)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// lay puts what is new over what there is, object by object.
func lay(over, more map[string]any) {
	for name, v := range more {
		was, old := over[name].(map[string]any)
		is, object := v.(map[string]any)
		if old && object {
			lay(was, is)
			continue
		}
		over[name] = v
	}
}

// heardCall is one that the endpoint got.
type heardCall struct {
	action string
	params map[string]string
}

// optionCloud is an endpoint that remembers what it is asked.
type optionCloud struct {
	*httptest.Server
	busy  string
	deny  string
	there *strings.Replacer // what templates name of it

	mu    sync.Mutex
	calls []heardCall
}

func newOptionCloud(t *testing.T, g optionGroup) *optionCloud {
	t.Helper()
	dir := t.TempDir()
	seed := filepath.Join(dir, "seed.json")
	if err := os.WriteFile(seed, []byte(optionSeed), 0o600); err != nil {
		t.Fatal(err)
	}
	ec2, err := newEC2(ec2Options{Dir: filepath.Join(dir, "ec2"), Guest: "none", Key: local.Key{ID: "AKIDUSUAL", Secret: "secret-of-usual"}, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	c := &optionCloud{busy: g.busy, deny: g.deny}
	var names []string
	for word, kind := range map[string]string{"THE-VPC": "vpc", "THE-SUBNET": "subnet", "THE-GROUP": "security-group"} {
		for _, i := range ec2.Inventory().Of(kind) {
			if i.Region == "us-east-1" && i.Default {
				names = append(names, word, i.ID)
				break
			}
		}
	}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, ec2) }))
	c.Config.ErrorLog = nil
	if g.tls {
		c.StartTLS()
	} else {
		c.Start()
	}
	t.Cleanup(func() { c.Close(); ec2.Close() })
	c.there = strings.NewReplacer(append(names, "ENDPOINT", c.URL, "HOST", strings.TrimPrefix(c.URL, "http://"))...)
	return c
}

func (c *optionCloud) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h := heardCall{params: map[string]string{"@host": r.Host, "@token": r.Header.Get("X-Amz-Security-Token"), "@query": r.URL.RawQuery}}
	if _, attempt, ok := strings.Cut(r.Header.Get("Amz-Sdk-Request"), "attempt="); ok {
		h.params["@attempt"] = strings.Replace(attempt, "; max=", " of ", 1)
	}
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 3 {
		h.params["@key"], h.params["@region"] = parts[0], parts[2]
	}
	form, _ := url.ParseQuery(string(body))
	for name := range form {
		h.params[name] = form.Get(name)
	}
	for name := range r.Header {
		h.params["@"+strings.ToLower(name)] = r.Header.Get(name)
	}
	_, target, json := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case form.Get("Action") != "":
		h.action = form.Get("Action")
	case json:
		h.action = target
		flatten(h.params, body)
	case strings.HasPrefix(r.URL.Path, "/latest/"):
		h.action = "IMDS"
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		h.action, h.params["@path"] = "Vault", r.URL.Path
		flatten(h.params, body)
	default:
		h.action = "S3" + r.Method
	}
	c.mu.Lock()
	c.calls = append(c.calls, h)
	c.mu.Unlock()
	if h.action == c.busy {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if h.action == c.deny {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>No. Encoded authorization failure message: sealed</Message></Error></Errors></Response>")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(w, r)
}

// flatten takes the members of a JSON object as parameters.
func flatten(params map[string]string, body []byte) {
	var m map[string]any
	if json.Unmarshal(body, &m) == nil {
		for name, v := range m {
			params[name] = fmt.Sprint(v)
		}
	}
}

// heard reports whether one call was as wanted: ACTION NAME=VALUE; NAME=VALUE.
func (c *optionCloud) heard(want string) bool {
	action, rest, _ := strings.Cut(want, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.calls, func(h heardCall) bool {
		if h.action != action {
			return false
		}
		for part := range strings.SplitSeq(rest, "; ") {
			if name, value, ok := strings.Cut(part, "="); ok && !h.has(name, value) {
				return false
			}
		}
		return true
	})
}

func (h heardCall) has(name, value string) bool {
	for n, v := range h.params {
		if ok, _ := path.Match(name, n); ok && v == value {
			return true
		}
	}
	return false
}

// all are the calls of an action, for whoever reads that a wanted one is not there.
func (c *optionCloud) all(action string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out, others []string
	for _, h := range c.calls {
		if h.action != action {
			others = append(others, h.action)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(h.params)) {
			if !strings.HasPrefix(name, "@") || name == "@key" || name == "@region" {
				out = append(out, "  "+name+"="+h.params[name])
			}
		}
		out = append(out, "  --")
	}
	if len(out) == 0 {
		return "  there are " + strings.Join(slices.Compact(others), ", ")
	}
	return strings.Join(out, "\n")
}

// session is one of a template of the group, at the endpoint.
func (g optionGroup) session(t *testing.T, c *optionCloud, tmpl string) *app.Session {
	t.Helper()
	dir := t.TempDir()
	file := "t.json"
	if strings.HasPrefix(g.component, "data ") {
		file = "t.pkr.json"
	}
	for name, text := range g.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vars := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "IMGFLOW_HOME=home", "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true"}
	there := strings.NewReplacer()
	if c != nil {
		there = c.there
		vars = append(vars, "AWS_ENDPOINT_URL="+c.URL, "AWS_ACCESS_KEY_ID=AKIDUSUAL", "AWS_SECRET_ACCESS_KEY=secret-of-usual")
	}
	for _, v := range g.env {
		vars = append(vars, strings.ReplaceAll(there.Replace(v), "DIRECTORY", dir))
	}
	tmpl = strings.ReplaceAll(there.Replace(tmpl), "DIRECTORY", dir)
	if err := os.WriteFile(filepath.Join(dir, file), []byte(tmpl), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app.App{World: newWorld, Env: app.NewEnv(vars, dir)}
	home, err := a.OpenHome()
	if err != nil {
		t.Fatal(err)
	}
	s := a.New(home, app.Request{Template: file})
	t.Cleanup(func() { s.Close() })
	return s
}

// settings are what steps of a kind are made of.
func settings(g *dag.Graph, kind string) string {
	var all []string
	for _, n := range g.Nodes {
		if n.Kind == kind {
			all = append(all, string(n.Spec))
		}
	}
	return strings.Join(all, "\n")
}

// look checks what is told of a row's template without a call.
func (g optionGroup) look(t *testing.T, r optionRow) {
	for _, want := range r.want {
		verb, text, _ := strings.Cut(want, ": ")
		if verb != "refused" && verb != "warned" {
			continue
		}
		s := g.session(t, nil, g.template(t, r.set))
		err := s.Load(t.Context(), true)
		var faults []string
		for _, f := range s.Warnings() {
			faults = append(faults, f.Text)
		}
		if verb == "refused" {
			faults = []string{fmt.Sprint(err)}
		} else if err != nil {
			t.Errorf("%s %s is refused: %v", g.component, r.option, err)
		}
		if err == nil && verb == "refused" || !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, text) }) {
			t.Errorf("%s %s is not %s; there is %q", g.component, r.option, want, faults)
		}
	}
}

// build runs a template with all options of the group that are taken, and holds its
// calls against the rows.
func (g optionGroup) build(t *testing.T) {
	var sets []string
	var told []optionRow
	for _, r := range g.rows {
		if slices.ContainsFunc(r.want, func(w string) bool { return strings.HasPrefix(w, "refused: ") }) {
			continue
		}
		sets, told = append(sets, r.set), append(told, r)
	}
	if len(told) == 0 {
		return
	}
	var calls []string
	for _, r := range told {
		calls = append(calls, slices.DeleteFunc(slices.Clone(r.want), func(w string) bool { verb, _, _ := strings.Cut(w, " "); return verb == "warned:" || verb == "step" })...)
	}
	c := newOptionCloud(t, g)
	s := g.session(t, c, g.template(t, sets...))
	if err := s.Load(t.Context(), true); err != nil {
		t.Fatalf("%v in %s", err, g.template(t, sets...))
	}
	graph := s.Graph()
	if len(calls) > 0 {
		calls = slices.DeleteFunc(calls, func(w string) bool { return strings.HasPrefix(w, "never: ") })
		g.run(t, s, func() bool {
			return g.fails && len(calls) > 0 && !slices.ContainsFunc(calls, func(w string) bool { return !c.heard(c.there.Replace(w)) })
		})
	}
	for _, r := range told {
		for _, want := range r.want {
			verb, text, _ := strings.Cut(want, ": ")
			kind, step := strings.CutPrefix(verb, "step ")
			switch {
			case verb == "warned":
			case step:
				if all := settings(graph, kind); !strings.Contains(all, c.there.Replace(text)) {
					t.Errorf("%s: no %s in the settings of %s: %s", r.option, text, kind, all)
				}
			case verb == "never":
				if c.heard(text) {
					t.Errorf("%s: there is a call %s", r.option, text)
				}
			case !c.heard(c.there.Replace(want)):
				action, _, _ := strings.Cut(want, " ")
				t.Errorf("%s: no call %s among\n%s", r.option, want, c.all(action))
			}
		}
	}
}

// run drives the run until it ends, or enough was heard.
func (g optionGroup) run(t *testing.T, s *app.Session, enough func() bool) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		for !enough() && sleep.For(ctx, 20*time.Millisecond) == nil {
		}
		if enough() {
			cancel()
		}
	}()
	if err := s.Begin(ctx, local.Settings{}); err != nil {
		t.Fatal(err)
	}
	var events []string
	var mu sync.Mutex
	res, err := s.Run(ctx, app.RunOptions{
		Show: func(e dag.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Err != "" {
				events = append(events, e.Err)
			}
		},
		BeforeStep: func(_ context.Context, n dag.Node) {
			if n.Name == g.until {
				cancel()
			}
		},
	})
	if g.fails || g.until != "" {
		return
	}
	if err != nil || len(res.Failed) > 0 {
		t.Errorf("the run failed: %v, %+v", err, events)
	}
}

// TestOptionTable names every option of Packer's components for AWS, and of its
// communicators, once.
func TestOptionTable(t *testing.T) {
	listed, err := os.ReadFile(filepath.Join("testdata", "options.txt"))
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	component := ""
	for line := range strings.Lines(string(listed)) {
		name := strings.TrimSpace(line)
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case !strings.HasPrefix(line, "  "):
			component = name
		default:
			for option := range strings.FieldsSeq(name) {
				missing[component+": "+option] = true
			}
		}
	}
	names := len(missing)
	rows := 0
	for _, g := range optionTable {
		for _, r := range g.rows {
			name := g.component + ": " + r.option
			if !missing[name] {
				t.Errorf("%s is not in the list, or twice in the table", name)
			}
			if len(r.want) == 0 {
				t.Errorf("nothing is said of %s", name)
			}
			delete(missing, name)
			rows++
		}
	}
	for name := range missing {
		t.Errorf("%s is not in the table", name)
	}
	t.Logf("%d options of %d are in the table", rows, names)
	for _, g := range optionTable {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range g.rows {
				g.look(t, r)
			}
			g.build(t)
		})
	}
}

// userKeys are a private key and a certificate of it, as files have them.
func userKeys() (key, certificate string) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		panic(err)
	}
	of, err := ssh.NewPublicKey(public)
	if err != nil {
		panic(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		panic(err)
	}
	c := &ssh.Certificate{Key: of, CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := c.SignCert(rand.Reader, signer); err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(c))
}
