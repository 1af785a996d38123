package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/winguest"
	"github.com/imgflow/imgflow/steps/comm"
)

// guests are real machines behind the instances of an endpoint.
func guests(t *testing.T) guest.Host {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "guests")
	if runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: sandbox guests need Linux")
	}
	if err := guest.Probe(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %v", err)
	}
	h, err := guest.NewHost("sandbox", dir, func(dir string, r guest.Release, addr string) (guest.WindowsMachine, error) {
		m, err := winguest.Open(dir, winguest.Spec{Release: winguest.ReleaseOf(r.Version), Addr: addr})
		return windowsMachine{m}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type windowsMachine struct{ *winguest.Machine }

func (m windowsMachine) Boot(b guest.WindowsBoot) error { return m.Machine.Boot(winguest.Boot(b)) }

// profile makes an instance profile.
func (w *world) profile(name string) {
	w.t.Helper()
	if err := w.cloud.callIAM(w.t.Context(), here, "CreateInstanceProfile", url.Values{"InstanceProfileName": {name}}, &struct{}{}); err != nil {
		w.t.Fatal(err)
	}
}

// secret gives what steps have put into the vault.
func (w *world) secret(name string) (string, error) {
	b, err := w.vault.Get(name)
	return string(b), err
}

func (w *world) endpoint() *ec2local.Server { return w.front.next.(*ec2local.Server) }

// work prints many lines on a machine, slowly.
type work struct {
	On dag.Take[comm.Machine] `json:"on"`
}

const workLines = 60

func (work) Kind() string { return "test.work" }

func (s work) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	r, err := e.Remote(t, m)
	if err != nil {
		return m, err
	}
	job := comm.Job{Token: comm.JobToken(t, 0), Command: "sh {{.Path}}", Script: fmt.Appendf(nil, "for i in $(seq 1 %d); do echo line $i; sleep 0.1; done", workLines)}
	if m.Protocol == "winrm" {
		job.Command, job.Ext = `powershell -File "{{.Path}}"`, ".ps1"
		job.Script = fmt.Appendf(nil, "for ($i = 1; $i -le %d; $i++) { Write-Host \"line $i\"; Start-Sleep -Milliseconds 100 }", workLines)
	}
	exit, err := r.Run(ctx, job)
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("exit status %d", exit.Code)
	}
	return m, err
}

// session is a build that is reached through Session Manager.
func managedTemplate(protocol string) *EBS {
	b := template()
	if protocol == "winrm" {
		b = windows()
		b.SourceOptions.Filter.Filters["name"] = "Windows_Server-2022-English-Full-Base-*"
		b.WinRM.UseNTLM = true
		b.UserData = "<powershell>\nSet-NetFirewallRule -Name 'WINRM-HTTP-In-TCP*' -RemoteAddress Any\n</powershell>"
	} else {
		b.Communicator, b.SSH.Username = "ssh", "ubuntu"
	}
	b.Interface, b.InstanceProfile = "session_manager", "managed"
	return b
}

// working begins a build whose machine prints lines, with no more rights than its policy has. What comes of
// it is sent when it has ended.
func (w *world) working(b *EBS, policy string) (log *events, done chan error) {
	t := w.t
	t.Helper()
	log = &events{}
	env := comm.NewEnv(w.vault)
	env.Tunnel, env.Status, env.Console = w.cloud.Tunnel, w.cloud.Status, w.cloud.Console
	t.Cleanup(func() { env.Close(); w.cloud.Close() })
	e, err := dag.New(dag.Options{Run: "r1", Store: &dag.MemStore{}, Sink: log, Secret: w.secret, Kinds: append(append(Kinds(w.cloud), comm.Kinds(env)...), dag.Bind[work](env))})
	if err != nil {
		t.Fatal(err)
	}
	if fs := b.Check(); len(fs) > 0 {
		t.Fatal(fs)
	}
	b.cloud = w.cloud
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	g, bd := dag.NewGraph(nil), dag.Build{Name: "web", Type: "amazon-ebs"}
	b.Wire(g, bd, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] { return dag.Add(g, bd, "work", work{m.Take()}) })
	enough, _ := PolicyFor(g.Nodes, "")
	writePolicy(t, policy, enough)
	done = make(chan error, 1)
	go func() {
		r, err := e.Solve(t.Context(), g)
		for _, f := range r.Failed {
			err = errors.Join(err, fmt.Errorf("%s: %w", f.Name, f.Err))
		}
		done <- err
	}()
	return log, done
}

// eachOnce insists on every line of the machine, once.
func (l *events) eachOnce(t *testing.T) {
	t.Helper()
	for n := 1; n <= workLines; n++ {
		if got := l.lines(fmt.Sprintf("line %d", n)); got != 1 {
			t.Errorf("line %d was printed %d times", n, got)
		}
	}
}

// A build goes through sessions of Session Manager: no port is opened, no line is lost when
// the link is cut or the session ended in the middle, no session is left, and the policy of the build is
// enough for all of it.
func TestBuildsThroughSessions(t *testing.T) {
	for _, protocol := range []string{"ssh", "winrm"} {
		t.Run(protocol, func(t *testing.T) {
			policy := filepath.Join(t.TempDir(), "policy.json")
			writePolicy(t, policy, everything)
			w := newWorldOf(t, ec2local.Options{Guests: guests(t), Policy: policy})
			w.profile("managed")
			b := managedTemplate(protocol)
			b.SSMPort = freePort(t)
			log, done := w.working(b, policy)
			log.await(t, "line 10", done)
			if c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", b.SSMPort), time.Second); err != nil {
				t.Errorf("session_manager_port: %v", err)
			} else {
				c.Close()
			}
			w.endpoint().CutSessions()
			log.await(t, "line 25", done)
			w.terminateSessions()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			writePolicy(t, policy, everything)
			if n := w.front.count("DescribeSessions"); n != 1 {
				t.Errorf("sessions were looked for %d times", n)
			}
			log.eachOnce(t)
			if n := w.front.count("AuthorizeSecurityGroupIngress"); n != 0 {
				t.Errorf("%d ports were opened", n)
			}
			if n := w.front.count("StartSession"); n < 2 {
				t.Errorf("%d sessions were begun", n)
			}
			if left := w.endpoint().Inventory().Of("session"); len(left) > 0 {
				t.Errorf("sessions are left: %v", left)
			}
			w.only(1)
		})
	}
}

// terminateSessions ends all sessions as somebody else may.
func (w *world) terminateSessions() {
	w.t.Helper()
	for _, s := range w.endpoint().Inventory().Of("session") {
		if err := w.cloud.callJSON(w.t.Context(), here, parameterStore, "TerminateSession", map[string]string{"SessionId": s.ID}, &struct{}{}); err != nil {
			w.t.Error(err)
		}
	}
}

// lines is how often a line was printed.
func (l *events) lines(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if e.Type == dag.Printed && strings.TrimSpace(e.Text) == text {
			n++
		}
	}
	return n
}

func (l *events) await(t *testing.T, text string, done <-chan error) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); l.lines(text) == 0; time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-done:
			t.Fatalf("it has ended: %v", err)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%q never came", text)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Sessions are things: found by the token, ended by whoever undoes them, whichever process
// began them.
func TestSessionsAreThings(t *testing.T) {
	w := newWorldOf(t, ec2local.Options{Guests: guests(t)})
	w.profile("managed")
	source, err := Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("source"))
	if err != nil {
		t.Fatal(err)
	}
	l := w.launch(source)
	l.InstanceProfile = "managed"
	i, err := l.Do(t.Context(), w.cloud, task("i"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := Wait{Instance: dag.Lit(i).Take(), Source: dag.Lit(source), Communicator: "ssh", Interface: "session_manager", KeyFrom: "first-use"}.Do(t.Context(), w.cloud, task("wait"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.cloud.Close()
	ctx, mine := t.Context(), dag.NewTask("r1", "step", "imgflow-r1-0badcafe-1", nil, nil)
	made, err := OpenSession{Instance: dag.Lit(i), Running: dag.Lit(e)}.Do(ctx, w.cloud, mine)
	if err != nil {
		t.Fatal(err)
	}
	w.cloud.tunnels.open = nil // as another process has it
	if again, err := (OpenSession{Instance: dag.Lit(i), Running: dag.Lit(e)}).Do(ctx, w.cloud, mine); err != nil || again != made {
		t.Errorf("do again: %v, %v", again, err)
	}
	if found, err := (Sessions{}).Find(ctx, w.cloud, mine); err != nil || found != made {
		t.Errorf("find by token: %v, %v, want %v", found, err, made)
	}
	if found, err := (Sessions{}).Find(ctx, w.cloud, task("other")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find by another token: %v, %v", found, err)
	}
	for range 2 {
		if err := made.Undo(ctx, w.cloud, mine); err != nil {
			t.Errorf("undo: %v", err)
		}
		if left := w.endpoint().Inventory().Of("session"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if found, err := (Sessions{}).Find(ctx, w.cloud, mine); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find after undo: %v, %v", found, err)
	}
	if found, err := made.Find(ctx, w.cloud, mine); err != nil || found != made {
		t.Errorf("sessions that have ended, as they do while a run rests: %v, %v", found, err)
	}
}

// An agent that does not connect, and a machine that goes meanwhile.
func TestNoSession(t *testing.T) {
	w := newWorld(t, ec2local.Faults{}) // nobody stands behind its instances
	i, _ := w.launched("i")
	s := OpenSession{Instance: dag.Lit(i), Running: dag.Lit(comm.Endpoint{Thing: i.ID, Place: i.Place.text(), Port: 22}), Timeout: time.Second}
	if _, err := s.Do(t.Context(), w.cloud, task("s")); err == nil || !strings.Contains(err.Error(), "amazon-ssm-agent") {
		t.Errorf("%v", err)
	}
	w.refuseJSON("StartSession", "AccessDeniedException")
	if _, err := s.Do(t.Context(), w.cloud, task("s")); err == nil || !strings.Contains(err.Error(), "ssm:StartSession") {
		t.Errorf("%v", err)
	}
	w.front.setPlay(nil)
	if err := i.Undo(t.Context(), w.cloud, task("i")); err != nil {
		t.Fatal(err)
	}
	s.Timeout = time.Minute
	if _, err := s.Do(t.Context(), w.cloud, task("s")); err == nil || !errors.As(err, new(*comm.DownError)) {
		t.Errorf("%v", err)
	}
}

// refuseJSON has the endpoint refuse every call of an action of the JSON protocol.
func (w *world) refuseJSON(action, code string) {
	w.front.setPlay(func(rw http.ResponseWriter, a string, _ int, _ url.Values) bool {
		if a == action {
			rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
			rw.WriteHeader(400)
			io.WriteString(rw, `{"__type":"`+code+`","message":"The test says no."}`)
		}
		return a == action
	})
}

func TestCheckOfSessions(t *testing.T) {
	for _, c := range []struct {
		field, words string
		spoil        func(*EBS)
	}{
		{"", "", func(*EBS) {}},
		{"ssh_interface", "AmazonSSMManagedInstanceCore", func(b *EBS) { b.InstanceProfile = "" }},
		{"ssh_host", "Session Manager", func(b *EBS) { b.SSH.Host = "192.0.2.1" }},
		{"ssh_proxy_host", "Session Manager", func(b *EBS) { b.SSH.ProxyHost = "192.0.2.1" }},
		{"session_manager_port", "is not a port number", func(b *EBS) { b.SSMPort = 70000 }},
		{"pause_before_ssm", "negative", func(b *EBS) { b.PauseBeforeSSM = -1 }},
		{"session_manager_port", "there is no session", func(b *EBS) { b.SSMPort, b.Interface = 8000, "private_ip" }},
	} {
		b := managedTemplate("ssh")
		c.spoil(b)
		fs := b.Check()
		if c.field == "" && len(fs) == 0 {
			continue
		}
		if len(fs) != 1 || fs[0].Field != c.field || !strings.Contains(fs[0].Text, c.words) {
			t.Errorf("%s: %v", c.field, fs)
		}
	}
	b := managedTemplate("ssh")
	b.InstanceProfile, b.TemporaryPolicy = "", reading
	if fs := b.Check(); len(fs) > 0 {
		t.Errorf("with a policy of its own: %v", fs)
	}
}
