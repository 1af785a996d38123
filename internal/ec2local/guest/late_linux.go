package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// lateBoot is the second half of the boot: what the image enabled is started,
// then user data runs. Standard output is the console.
func lateBoot([]string) error {
	b, err := os.ReadFile(lateFile)
	if err != nil {
		return err
	}
	os.Remove(lateFile) // it may hold secrets of the user data
	var s setup
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	out := os.Stdout
	started := time.Now()
	startEnabled(out)
	var errs []string
	run := func(step planStep) {
		if err := step.run(); err != nil {
			errs = append(errs, fmt.Sprintf("%s: %v", step.name, err))
			fmt.Fprintf(out, "cloud-init: %s failed: %v\n", step.name, err)
		}
	}
	if len(s.Plan.Boot) > 0 {
		run(script("bootcmd", shellText(s.Plan.Boot)))
	}
	// As with cloud-init, a mark in the guest says that user data had its run:
	// a boot that was cut short before it does not lose it.
	mark := filepath.Join(instanceDir(), "sem", "user-data")
	if _, err := os.Stat(mark); err != nil {
		if err := os.MkdirAll(filepath.Dir(mark), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			return err
		}
		for _, n := range s.Plan.Notes {
			fmt.Fprintln(out, "cloud-init:", n)
		}
		for _, step := range s.Plan.steps(s.User) {
			run(step)
		}
	}
	fmt.Fprintf(out, "cloud-init: finished at %s, up %.2f seconds\n", time.Now().UTC().Format(time.RFC1123Z), time.Since(started).Seconds())
	word := "done"
	if len(errs) > 0 {
		word = "error"
	}
	err = os.WriteFile("/var/lib/cloud/instance/boot-finished", []byte(time.Now().UTC().Format(time.RFC1123Z)+"\n"), 0o644)
	return errors.Join(err, writeStatus(word, errs))
}

// planStep is one program that user data has run.
type planStep struct {
	name string
	env  []string
	make func() (*exec.Cmd, error)
}

func (s planStep) run() error {
	cmd, err := s.make()
	if err != nil {
		return err
	}
	cmd.Dir, cmd.Env = "/", append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	return cmd.Run()
}

func (p *plan) steps(login string) []planStep {
	out := p.passwordSteps(login)
	words := func(name string, env, argv []string) {
		out = append(out, planStep{name, env, func() (*exec.Cmd, error) { return exec.Command(argv[0], argv[1:]...), nil }})
	}
	apt := []string{"DEBIAN_FRONTEND=noninteractive"}
	if p.Update || p.Upgrade || len(p.Packages) > 0 {
		switch {
		case has("apt-get"):
			words("package_update", apt, []string{"apt-get", "-q", "update"})
			if p.Upgrade {
				words("package_upgrade", apt, []string{"apt-get", "-q", "-y", "dist-upgrade"})
			}
			if len(p.Packages) > 0 {
				words("packages", apt, append([]string{"apt-get", "-q", "-y", "install"}, p.Packages...))
			}
		case has("dnf"), has("yum"):
			tool := "dnf"
			if !has(tool) {
				tool = "yum"
			}
			if p.Upgrade {
				words("package_upgrade", nil, []string{tool, "-y", "upgrade"})
			}
			if len(p.Packages) > 0 {
				words("packages", nil, append([]string{tool, "-y", "install"}, p.Packages...))
			}
		default:
			out = append(out, planStep{"packages", nil, func() (*exec.Cmd, error) {
				return nil, errors.New("this guest has neither apt-get nor dnf nor yum")
			}})
		}
	}
	if len(p.Commands) > 0 {
		out = append(out, script("runcmd", shellText(p.Commands)))
	}
	if len(p.Script) > 0 {
		out = append(out, script("part-001", p.Script))
	}
	return out
}

func has(tool string) bool { _, err := exec.LookPath(tool); return err == nil }

func script(name string, text []byte) planStep {
	return planStep{name, []string{"INSTANCE_ID=" + filepath.Base(instanceDir())}, func() (*exec.Cmd, error) {
		path := filepath.Join(instanceDir(), "scripts", name)
		if err := os.WriteFile(path, text, 0o700); err != nil {
			return nil, err
		}
		return exec.Command(path), nil
	}}
}

func instanceDir() string {
	d, err := os.Readlink("/var/lib/cloud/instance")
	if err != nil {
		return "/var/lib/cloud/instance"
	}
	return d
}

const cloudStatus = "/run/cloud-init/status.json"

type cloudResult struct {
	Status string   `json:"status"` // running, done, error
	Errors []string `json:"errors,omitempty"`
}

func writeStatus(word string, errs []string) error {
	if err := os.MkdirAll(filepath.Dir(cloudStatus), 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(cloudResult{word, errs})
	if err != nil {
		return err
	}
	tmp := cloudStatus + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, cloudStatus)
}

// cloudInit is the shim of the command: status [--wait] [--long], clean.
func cloudInit(args []string) error {
	if len(args) > 0 && args[0] == "clean" {
		return cloudClean(args[1:])
	}
	if len(args) == 0 || args[0] != "status" {
		return fmt.Errorf("%s: the embedded EC2 has only `cloud-init status [--wait] [--long]` and `cloud-init clean`", strings.Join(args, " "))
	}
	wait, long := false, false
	for _, a := range args[1:] {
		switch a {
		case "-w", "--wait":
			wait = true
		case "-l", "--long":
			long = true
		default:
			return fmt.Errorf("option %s is not supported by the embedded EC2", a)
		}
	}
	for {
		b, err := os.ReadFile(cloudStatus)
		var r cloudResult
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			return fmt.Errorf("cannot read the status: %w", err)
		}
		if r.Status == "running" && wait {
			fmt.Fprint(os.Stdout, ".")
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if wait {
			fmt.Fprintln(os.Stdout)
		}
		fmt.Fprintln(os.Stdout, "status:", r.Status)
		if long && len(r.Errors) > 0 {
			fmt.Fprintln(os.Stdout, "errors:\n\t- "+strings.Join(r.Errors, "\n\t- "))
		}
		if r.Status == "error" {
			return exitCode(1)
		}
		return nil
	}
}

func cloudClean(args []string) error {
	gone := []string{"/var/lib/cloud/instance", "/var/lib/cloud/instances"}
	reboot := false
	for _, a := range args {
		switch a {
		case "-l", "--logs":
			gone = append(gone, "/var/log/cloud-init.log", "/var/log/cloud-init-output.log")
		case "-s", "--seed":
		case "--machine-id":
			if err := os.WriteFile("/etc/machine-id", []byte("uninitialized\n"), 0o444); err != nil {
				return err
			}
		case "-r", "--reboot":
			reboot = true
		default:
			return fmt.Errorf("option %s is not supported by the embedded EC2", a)
		}
	}
	for _, p := range gone {
		if err := os.RemoveAll(p); err != nil {
			return err
		}
	}
	if reboot {
		return tellPower(string(Reboot) + " 0")
	}
	return nil
}
