package provision

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// What runs on a Windows machine: constant texts, to which every value comes as
// data.
var (
	//go:embed ps/wrap.ps1
	psWrap string
	//go:embed ps/vars.ps1
	psVars string
	//go:embed ps/remove.ps1
	psRemove string
	//go:embed ps/mkdir.ps1
	psMkdir string
	//go:embed ps/installchef.ps1
	psInstallChef string
	//go:embed ps/update.ps1
	psUpdate string
	//go:embed ps/bootstrapsalt.ps1
	psBootstrapSalt string
	//go:embed ps/find.ps1
	psFind string
	//go:embed ps/uptime.ps1
	psUptime string
	//go:embed ps/pending.ps1
	psPending string
	//go:embed ps/programs.ps1
	psPrograms string
)

// onWindows does run on a Windows machine, as often as the common options say.
func onWindows(ctx context.Context, e *comm.Env, t *dag.Task, m comm.Machine, c steps.Common, run func(ctx context.Context, r comm.Windows, v values, try int) error) (comm.Machine, error) {
	r, err := e.Windows(t, m)
	if err != nil {
		return m, err
	}
	return m, c.Try(ctx, t, func(ctx context.Context, try int) error { return run(ctx, r, values{t, m, e.Dir}, try) })
}

// checkWindowsCodes refuses what is no exit status of Windows: they have 32 bits,
// and are written with a sign or without.
func (s Scripts) checkWindowsCodes(f *steps.OptionErrors) {
	for i, code := range s.ValidExitCodes {
		if code < -1<<31 || code >= 1<<32 {
			f.Add(fmt.Sprintf("valid_exit_codes[%d]", i), "%d is no exit status: they have 32 bits", code)
		}
	}
}

// winJob is one script on a Windows machine.
type winJob struct {
	comm.Job
	files map[string]string // texts that must lie at places of their own while it runs
}

// winScripts are the scripts of one step on a Windows machine.
type winScripts struct {
	Scripts
	word   string // what one is called
	start  time.Duration
	remote comm.Windows
	v      values
	job    func(token string, script source) (winJob, error)
}

func (s winScripts) run(ctx context.Context, try int, scripts []source) error {
	for i, script := range scripts {
		// The same after an interruption, and never that of another try.
		token := fmt.Sprintf("%s-%d-%d-%d", s.v.t.Token, s.v.t.Attempt, try, i)
		job, err := s.job(token, script)
		if err != nil {
			return err
		}
		job.Token, job.Script = token, script.text
		if script.path == "" {
			s.v.t.Say("running inline %s script", s.word)
		} else {
			s.v.t.Say("running %s script: %s", s.word, script.name)
		}
		stopped, err := s.one(ctx, job, script)
		if err == nil && stopped && i < len(scripts)-1 {
			err = neverRan(script, scripts[i+1])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// one runs one script to its end, and tells whether that has stopped the machine, as it was meant to.
func (s winScripts) one(ctx context.Context, job winJob, script source) (stopped bool, err error) {
	if (s.restarts() || s.v.m.Stops) && !s.v.t.Resumed { // one that has stopped already never runs this
		if _, _, err := s.remote.Exec(ctx, "ver", nil); err != nil {
			return false, err
		}
	}
	for path, text := range job.files {
		if err := s.remote.Upload(ctx, path, strings.NewReader(text), int64(len(text)), 0o600); err != nil && !lateWord(s.v.t, err) {
			return false, err
		}
	}
	x, err := start(ctx, s.remote, s.v.t, job.Job, s.start)
	var lost *comm.LostError
	gone := false
	switch {
	case ctx.Err() != nil && steps.TimedOut(ctx):
		err = stop(ctx, s.remote, job.Job, which(script))
	case ctx.Err() != nil:
		return false, ctx.Err() // the script goes on, and its files are needed
	case errors.As(err, &lost) && s.restarts():
		gone, err = true, nil
	case comm.HasStopped(err) && (s.restarts() || s.v.m.Stops):
		halted(s.v.t, job.Token, true, slices.Sorted(maps.Keys(job.files))...)
		return true, nil
	case comm.HasStopped(err):
		err = fmt.Errorf("cannot tell how %s ended: %w; accept 2300218 in valid_exit_codes if it is meant to stop the machine", which(script), err)
	case errors.As(err, &lost):
		err = fmt.Errorf("cannot tell how %s ended: %w; %s", which(script), lost, restartAdvice)
	case err == nil && x.Rebooted && !s.restarts():
		err = fmt.Errorf("the machine rebooted while %s ran: %s", which(script), restartAdvice)
	}
	s.drop(ctx, job)
	if err != nil {
		return false, err
	}
	if x.Truncated {
		s.v.t.Warn("the disk of the machine is full: some output of %s was lost", which(script))
	}
	if gone || x.Rebooted || s.accepts(x.Code) {
		return false, nil
	}
	return false, exitError(x, script)
}

const restartAdvice = "let a windows-restart behind it restart the machine, or accept 2300218 in valid_exit_codes if the script is meant to"

// lostWinRM is what the WinRM client of Packer makes of a lost connection.
const lostWinRM = 16001

// restarts reports whether a script may restart the machine.
func (s Scripts) restarts() bool {
	return len(s.ValidExitCodes) > 0 && (s.accepts(lostCode) || s.accepts(lostWinRM))
}

// drop removes the files of a job, which may hold secrets, even when the scripts
// are to stay.
func (s winScripts) drop(ctx context.Context, job winJob) {
	if len(job.files) == 0 {
		return
	}
	var paths []string
	for p := range job.files {
		paths = append(paths, p)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := s.remote.PowerShell(ctx, psRemove, map[string]any{"paths": paths}, nil); err != nil {
		s.v.t.Warn("cannot remove %s from the machine: the image would hold the variables: %v", strings.Join(paths, " and "), err)
	}
}

// winPath is where a script lies on the machine, "" for the run's own directory.
// A path that ends as that of a directory gets the script's name.
func winPath(v values, at dag.Text, script source, token, ext string, keep bool) (string, error) {
	path, err := v.render("remote_path", at, nil)
	if err != nil || path == "" && !keep {
		return "", err
	}
	if path == "" {
		path = "c:/Windows/Temp/"
	}
	if p := pathsOf(v.m); p.slashed(path) {
		name := "script-" + token + ext
		if script.path != "" {
			name = filepath.Base(script.path)
		}
		path = p.join(path, name)
	}
	return path, nil
}

// checkEnd refuses the path of a script that the machine would not know as one.
func checkEnd(f *steps.OptionErrors, option string, at dag.Text, exts ...string) {
	path := string(at)
	if path == "" || !at.Known() || (paths{`/\`}).slashed(path) {
		return
	}
	for _, ext := range exts {
		if strings.HasSuffix(strings.ToLower(path), ext) {
			return
		}
	}
	f.Add(option, "it must end in %s, or name a directory by a separator at its end: Windows would not run %q", strings.Join(exts, " or "), path)
}

// dataLines are variables as vars.ps1 reads them.
func dataLines(env [][2]string) string {
	var b strings.Builder
	for _, kv := range env {
		fmt.Fprintf(&b, "%s %s\r\n", base64.StdEncoding.EncodeToString([]byte(kv[0])), base64.StdEncoding.EncodeToString([]byte(kv[1])))
	}
	return b.String()
}

func envMap(env [][2]string) map[string]string {
	m := map[string]string{}
	for _, kv := range env {
		m[kv[0]] = kv[1]
	}
	return m
}

// uses reports whether a command asks for a field.
func uses(command dag.Text, field string) bool {
	return slices.ContainsFunc(command.Words(), func(action string) bool { return strings.Contains(action, "."+field) })
}
