package hostile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// victim is what lies in the file that no build may change.
const victim = "mine\n"

// key is what a trial's endpoint is called with.
var key = ec2local.Key{ID: "AKIAIOSFODNN7TRIAL00", Secret: "the secret of a trial"}

// A Trial is the place of one attack: a directory with a template beside what is
// to be protected, and an endpoint.
type Trial struct {
	Attack Attack
	URL    string // of the endpoint

	dir    string
	server *ec2local.Server
	web    *http.Server
}

// NewTrial lays the trial out in dir, which must be empty, and serves the attack.
func NewTrial(dir string, a Attack) (*Trial, error) {
	t := &Trial{Attack: a, dir: dir}
	for _, d := range []string{"home", "work/dl", "work/outside"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	for _, f := range []string{"victim", "work/victim", "work/outside/victim"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(victim), 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(t.Template(), []byte(a.template()), 0o644); err != nil {
		return nil, err
	}
	if a.Before != nil {
		if err := a.Before(filepath.Join(dir, "work")); err != nil {
			return nil, err
		}
	}
	var err error
	if t.server, err = ec2local.New(ec2local.Options{Dir: filepath.Join(dir, "ec2"), Guests: newHost(a), Key: key}); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, t.server.Close())
	}
	t.URL = "http://" + l.Addr().String()
	var h http.Handler = t.server
	if a.EC2 != nil {
		h = a.EC2(h)
	}
	t.web = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go t.web.Serve(l)
	return t, nil
}

// Close ends the servers.
func (t *Trial) Close() error {
	return errors.Join(t.web.Close(), t.server.Close())
}

// Template is the file that runs into the attack.
func (t *Trial) Template() string { return filepath.Join(t.dir, "work", "template.json") }

func (a Attack) template() string {
	way := `"ssh_username": "ubuntu", "source_ami_filter": {"filters": {"name": "ubuntu/images/*22.04*"}, "owners": ["099720109477"], "most_recent": true}`
	patience := `"ssh_timeout": "1m",`
	if a.Windows != nil {
		way = `"communicator": "winrm", "winrm_username": "` + windowsUser + `", "winrm_password": "` + windowsPassword + `",
    "source_ami_filter": {"filters": {"name": "Windows_Server-2022-English-Full-Base-*"}, "owners": ["amazon"], "most_recent": true}`
		patience = `"winrm_timeout": "1m",`
	}
	if a.Builder != "" {
		patience = a.Builder
	}
	provisioners := a.Provisioners
	if provisioners == "" {
		provisioners = "[]"
	}
	return `{
  "builders": [{
    "type": "amazon-ebs", "region": "us-east-1", "instance_type": "t3.micro", "ami_name": "hostile", ` + patience + `
    ` + way + `
  }],
  "provisioners": ` + provisioners + `
}
`
}

// Environment is what imgflow needs to build at the endpoint.
func (t *Trial) Environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.dir, "IMGFLOW_HOME=" + filepath.Join(t.dir, "home"), "AWS_ENDPOINT_URL=" + t.URL,
		"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// Outcome is how a build against an attack ended.
type Outcome struct {
	Code   int           // exit status of imgflow
	Output string        // what it printed, up to a MiB
	Peak   int64         // most memory that it had at once, in bytes; 0 where the system does not tell
	Took   time.Duration //
}

// Run runs `imgflow run` with the program at the path, to its end or the
// context's.
func (t *Trial) Run(ctx context.Context, imgflow string) (Outcome, error) {
	out := &most{left: 1 << 20}
	cmd := exec.CommandContext(ctx, imgflow, "run", t.Template())
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = filepath.Join(t.dir, "work"), t.Environment(), out, out
	cmd.WaitDelay = 5 * time.Second
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return Outcome{}, fmt.Errorf("cannot start %s: %w", imgflow, err)
	}
	peak := watchPeak(cmd.Process)
	err := cmd.Wait()
	o := Outcome{Code: cmd.ProcessState.ExitCode(), Output: out.String(), Peak: peak(), Took: time.Since(begun)}
	if ctx.Err() != nil {
		return o, fmt.Errorf("imgflow did not come to an end: %w", context.Cause(ctx))
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return o, err
	}
	return o, nil
}

// most keeps the beginning of what is written to it.
type most struct {
	bytes.Buffer
	left int
}

func (m *most) Write(p []byte) (int, error) {
	n := min(len(p), m.left)
	m.left -= n
	m.Buffer.Write(p[:n])
	return len(p), nil
}

// Harm says what an outcome has that it must not have; nothing if all is well.
func (t *Trial) Harm(o Outcome) (harm []string) {
	a := t.Attack
	note := func(format string, args ...any) { harm = append(harm, fmt.Sprintf(format, args...)) }
	if a.Fails && o.Code != 1 {
		note("the build ended with status %d, and not with the 1 of one that failed", o.Code)
	}
	if !a.Fails && o.Code != 0 {
		note("the build failed with status %d", o.Code)
	}
	for _, s := range a.Says {
		if !strings.Contains(o.Output, s) {
			note("imgflow does not say %q", s)
		}
	}
	if o.Peak > MaxMemory {
		note("imgflow took %d MiB of memory", o.Peak>>20)
	}
	if !utf8.ValidString(o.Output) {
		note("imgflow printed bytes that are no text")
	}
	for _, r := range o.Output {
		if unicode.Is(unicode.Bidi_Control, r) || r != '\n' && (r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0) {
			note("imgflow printed the control character %U", r)
			break
		}
	}
	return append(harm, t.trespass()...)
}

// trespass looks for changes outside of work/dl, and for links in it that lead
// out.
func (t *Trial) trespass() (harm []string) {
	dl := filepath.Join(t.dir, "work", "dl")
	real, err := filepath.EvalSymlinks(dl)
	if err != nil {
		return []string{err.Error()}
	}
	known := []string{".", "victim", "work", "work/dl", "work/victim", "work/template.json", "work/outside", "work/outside/victim"}
	err = filepath.WalkDir(t.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(t.dir, p)
		if err != nil {
			return err
		}
		switch rel = filepath.ToSlash(rel); {
		case rel == "home" || rel == "ec2":
			return filepath.SkipDir
		case strings.HasPrefix(rel, "work/dl/"):
			if d.Type()&fs.ModeSymlink == 0 {
				return nil
			}
			to, err := filepath.EvalSymlinks(p)
			if err == nil && to != real && !strings.HasPrefix(to, real+string(filepath.Separator)) {
				harm = append(harm, fmt.Sprintf("%s is a link that leads to %s", rel, to))
			}
			return nil
		case !slices.Contains(known, rel):
			harm = append(harm, fmt.Sprintf("%s was made", rel))
		case d.Name() == "victim":
			if b, err := os.ReadFile(p); err != nil || string(b) != victim {
				harm = append(harm, fmt.Sprintf("%s was changed", rel))
			}
		}
		return nil
	})
	if err != nil {
		harm = append(harm, err.Error())
	}
	return harm
}
