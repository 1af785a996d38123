package guest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// setup is what a guest is told at each boot.
type setup struct {
	First    bool    `json:"first"` // boot of this guest that is not known to have been set up
	ID       string  `json:"id"`
	Hostname string  `json:"hostname"`
	User     string  `json:"user"`
	Key      string  `json:"key,omitempty"`
	Release  Release `json:"release"`
	Plan     *plan   `json:"plan,omitempty"`
}

// lateFile hands the setup to the second half of the boot.
const lateFile = "/run/.guest/late.json"

// early does what cloud-init does before sshd starts.
func (s *setup) early(log io.Writer) error {
	if err := s.instance(); err != nil {
		return err
	}
	if !s.First {
		return nil
	}
	if s.Plan.Hostname != "" {
		s.Hostname = s.Plan.Hostname
	}
	errs := []error{s.names(), s.release(), s.account()}
	for _, f := range s.Plan.Files {
		if err := f.write(); err != nil { // as cloud-init: told, and the boot goes on
			fmt.Fprintf(log, "cloud-init: cannot write %s: %v\n", f.Path, err)
		}
	}
	return errors.Join(errs...)
}

// instance makes this guest's own directory of cloud-init the current one, so
// that boot-finished of the image's first life is not seen.
func (s *setup) instance() error {
	own := filepath.Join("/var/lib/cloud/instances", s.ID)
	link := "/var/lib/cloud/instance"
	if err := os.MkdirAll(filepath.Join(own, "scripts"), 0o755); err != nil {
		return err
	}
	os.Remove(filepath.Join(own, "boot-finished"))
	os.RemoveAll(link)
	if err := os.Symlink(own, link); err != nil {
		return err
	}
	return writeStatus("running", nil)
}

func (s *setup) names() error {
	err := os.WriteFile("/etc/hostname", []byte(s.Hostname+"\n"), 0o644)
	b, _ := os.ReadFile("/etc/hosts")
	var keep []string
	for _, l := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		if !strings.HasPrefix(l, "127.0.1.1") {
			keep = append(keep, l)
		}
	}
	keep = append(keep, "127.0.1.1 "+s.Hostname)
	err = errors.Join(err, os.WriteFile("/etc/hosts", []byte(strings.Join(keep, "\n")+"\n"), 0o644))
	if b, _ := os.ReadFile("/etc/machine-id"); len(strings.TrimSpace(string(b))) < 32 {
		id := make([]byte, 16)
		rand.Read(id)
		err = errors.Join(err, os.WriteFile("/etc/machine-id", []byte(hex.EncodeToString(id)+"\n"), 0o444))
	}
	return err
}

// account makes the image's login user, unless the image has it, and lets the
// key in.
func (s *setup) account() error {
	if s.User == "" {
		return nil
	}
	u, err := lookup(s.User)
	if err != nil {
		if err = addUser(s.User); err == nil {
			u, err = lookup(s.User)
		}
		if err != nil {
			return fmt.Errorf("cannot make the user %s: %w", s.User, err)
		}
	}
	if err := os.MkdirAll("/etc/sudoers.d", 0o750); err != nil {
		return err
	}
	if s.User != "root" {
		if err := os.WriteFile("/etc/sudoers.d/90-cloud-init-users", []byte(s.User+" ALL=(ALL) NOPASSWD:ALL\n"), 0o440); err != nil {
			return err
		}
	}
	keys := s.Plan.Keys
	if s.Key != "" {
		keys = append([]string{s.Key}, keys...)
	}
	return addKeys(u, keys)
}

func addKeys(u account, keys []string) error {
	dir := filepath.Join(u.home, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "authorized_keys")
	b, _ := os.ReadFile(path) // those of the image stay, as on EC2
	have := map[string]bool{}
	for _, l := range strings.Split(string(b), "\n") {
		have[strings.TrimSpace(l)] = true
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	for _, k := range keys {
		if k = strings.TrimSpace(k); k != "" && !have[k] {
			b = append(b, k+"\n"...)
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return err
	}
	return errors.Join(chown(dir, int(u.uid), int(u.gid)), chown(path, int(u.uid), int(u.gid)))
}

// chown does nothing where there is one id only.
func chown(p string, uid, gid int) error {
	if oneUser() {
		return nil
	}
	return os.Lchown(p, uid, gid)
}

// addUser takes uid 1000 or the next free one. It edits the files itself:
// useradd is not on every host, and logs and locks of it are not wanted.
func addUser(name string) error {
	taken := map[int]bool{}
	for _, f := range []string{"/etc/passwd", "/etc/group"} {
		colons(f, func(c []string) {
			if len(c) > 2 {
				n, _ := strconv.Atoi(c[2])
				taken[n] = true
			}
		})
	}
	id := 1000
	for taken[id] {
		id++
	}
	home, shell := "/home/"+name, "/bin/sh"
	if _, err := os.Stat("/bin/bash"); err == nil {
		shell = "/bin/bash"
	}
	var groups []byte
	b, err := os.ReadFile("/etc/group")
	if err != nil {
		return err
	}
	for _, l := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		f := strings.Split(l, ":")
		if len(f) == 4 && (f[0] == "sudo" || f[0] == "adm" || f[0] == "wheel") {
			f[3] = strings.TrimPrefix(f[3]+","+name, ",")
		}
		groups = append(groups, strings.Join(f, ":")+"\n"...)
	}
	groups = fmt.Appendf(groups, "%s:x:%d:\n", name, id)
	errs := []error{
		os.WriteFile("/etc/group", groups, 0o644),
		appendTo("/etc/gshadow", name+":!::\n"),
		appendTo("/etc/shadow", name+":!:19000:0:99999:7:::\n"),
		appendTo("/etc/passwd", fmt.Sprintf("%s:x:%d:%d::%s:%s\n", name, id, id, home, shell)),
		os.MkdirAll(home, 0o750),
	}
	skel, _ := os.ReadDir("/etc/skel")
	for _, e := range skel {
		to := filepath.Join(home, e.Name())
		if _, err := os.Lstat(to); err == nil || !e.Type().IsRegular() {
			continue
		}
		errs = append(errs, copyFile(to, filepath.Join("/etc/skel", e.Name())), chown(to, id, id))
	}
	return errors.Join(append(errs, chown(home, id, id))...)
}

func appendTo(path, s string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s)
	return errors.Join(err, f.Close())
}

func (f planFile) write() error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	flag := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if f.Append {
		flag = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	w, err := os.OpenFile(f.Path, flag, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(f.Data)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := unix.Chmod(f.Path, f.Mode); err != nil {
		return err
	}
	if f.Owner == "" {
		return nil
	}
	user, group, _ := strings.Cut(f.Owner, ":")
	u, err := lookup(user)
	if err != nil {
		return err
	}
	gid := int(u.gid)
	if group != "" {
		g, ok := groupID(group)
		if !ok {
			return fmt.Errorf("there is no group %q in the guest", group)
		}
		gid = g
	}
	return chown(f.Path, int(u.uid), gid)
}
