package guest

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// rootfs is a root file system as its own processes see it: an absolute link in it
// leads to what is in it. Nothing changes it meanwhile, and [os.Root] guards what
// is outside all the same.
type rootfs struct{ *os.Root }

// real follows the links of a path; what is not there stays as it is.
func (r rootfs) real(name string) (string, error) {
	done, rest := ".", strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		target, err := r.Readlink(path.Join(done, part))
		if err != nil {
			done = path.Join(done, part)
			continue
		}
		if links++; links > 40 {
			return "", fmt.Errorf("/%s: too many links", name)
		}
		if path.IsAbs(target) {
			done = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

// place makes the directory of a path and removes what is at the path.
func (r rootfs) place(name string) (string, error) {
	dir, err := r.real(path.Dir(name))
	if err != nil {
		return "", err
	}
	if err := r.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	at := path.Join(dir, path.Base(name))
	return at, r.RemoveAll(at)
}

// put writes a file of root's in the place of what is there, a link too.
func (r rootfs) put(name string, data io.Reader, mode fs.FileMode) error {
	at, err := r.place(name)
	if err != nil {
		return err
	}
	f, err := r.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, data)
	return errors.Join(err, f.Close(), r.Chmod(at, mode))
}

func (r rootfs) text(name, text string, mode fs.FileMode) error {
	return r.put(name, strings.NewReader(text), mode)
}

func (r rootfs) link(name, target string) error {
	at, err := r.place(name)
	if err != nil {
		return err
	}
	return r.Symlink(target, at)
}

// directory makes what is at the path a directory, not a link to one.
func (r rootfs) directory(name string, mode fs.FileMode) error {
	dir, err := r.real(path.Dir(name))
	if err != nil {
		return err
	}
	at := path.Join(dir, path.Base(name))
	if st, err := r.Lstat(at); err != nil || !st.IsDir() {
		if _, err := r.place(name); err != nil {
			return err
		}
	}
	return errors.Join(r.MkdirAll(at, 0o755), r.Chmod(at, mode))
}

func (r rootfs) read(name string, most int64) ([]byte, error) {
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// open opens a regular file.
func (r rootfs) open(name string) (*os.File, error) {
	at, err := r.file(name)
	if err != nil {
		return nil, err
	}
	return r.Open(at)
}

// file is where the links of a path lead, which must be a regular file.
func (r rootfs) file(name string) (string, error) {
	at, err := r.real(name)
	if err != nil {
		return "", err
	}
	st, err := r.Lstat(at)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("/%s is no file", name)
	}
	return at, err
}

// whole tells why this is no root file system for this computer.
func (r rootfs) whole() error {
	sh, err := r.open("bin/sh")
	if err != nil {
		return fmt.Errorf("it has no /bin/sh (%w): it must be a whole root file system, as of `docker export` (not `docker save`) or debootstrap", err)
	}
	defer sh.Close()
	own, err := elf.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer own.Close()
	if f, err := elf.NewFile(sh); err == nil && f.Machine != own.Machine {
		return fmt.Errorf("its programs are for another processor (%s; this computer runs %s)", f.Machine, own.Machine)
	}
	return nil
}

// fits tells why this program could not run in it, as each guest's first process.
func (r rootfs) fits() error {
	own, err := elf.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer own.Close()
	for _, p := range own.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
		if err != nil {
			return err
		}
		loader := strings.TrimRight(string(b), "\x00")
		if _, err := r.file(loader); err != nil {
			return fmt.Errorf("this imgflow needs the C library of this computer (%s), which is not in it: build imgflow with CGO_ENABLED=0, as `make build` does", loader)
		}
	}
	return nil
}

// dress makes of a root file system what a guest can boot: see planBase, which
// does it for those that stand on the host's directories.
func (r rootfs) dress(asRoot, one bool) error {
	var failed error
	do := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	for d, mode := range map[string]fs.FileMode{"proc": 0o555, "dev": 0o755, "sys": 0o555, "run": 0o755, "tmp": 0o777 | fs.ModeSticky} {
		do(r.directory(d, mode)) // the mounts of a boot must not be led elsewhere
	}
	for p, text := range map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"} {
		if _, err := r.read(p, 1); err != nil {
			do(r.text(p, text, 0o644))
		}
	}
	do(r.text("etc/fstab", "", 0o644))
	do(r.text("etc/machine-id", "", 0o444))
	do(r.text("etc/hostname", "guest\n", 0o644))
	do(r.text("etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", 0o644))
	do(r.link("etc/resolv.conf", rootResolv))
	if at, err := r.real("usr/sbin/policy-rc.d"); err == nil {
		do(r.RemoveAll(at)) // of container images: it keeps services from being started
	}
	if at, err := r.real("etc/apt/apt.conf.d"); one && err == nil {
		if st, err := r.Lstat(at); err == nil && st.IsDir() {
			do(r.text("etc/apt/apt.conf.d/00one-user", oneUserApt, 0o644))
		}
	}
	do(r.sudo(asRoot))
	do(r.shims())
	return failed
}

// sudo keeps the one that is there where it can work.
func (r rootfs) sudo(asRoot bool) error {
	own := false
	if at, err := r.real("usr/bin/sudo"); err == nil && asRoot {
		st, err := r.Lstat(at)
		own = err == nil && st.Mode().IsRegular() && st.Mode()&fs.ModeSetuid != 0
	}
	if !own {
		exe, err := os.Open("/proc/self/exe")
		if err != nil {
			return err
		}
		defer exe.Close()
		if err := r.put("usr/bin/sudo", exe, 0o755|fs.ModeSetuid); err != nil {
			return err
		}
	}
	if err := r.directory("etc/sudoers.d", 0o750); err != nil {
		return err
	}
	rules, err := r.read("etc/sudoers", 1<<20)
	if err != nil || strings.Contains(string(rules), "includedir /etc/sudoers.d") {
		return nil // a package that is installed later brings its own: dpkg asks about one of ours
	}
	return r.text("etc/sudoers", string(rules)+"\n#includedir /etc/sudoers.d\n", 0o440)
}

// shims does what baseShims does.
func (r rootfs) shims() error {
	diversions, dpkg := r.read("var/lib/dpkg/diversions", 16<<20)
	for _, dir := range slices.Sorted(maps.Keys(shimPlaces)) {
		for _, n := range shimPlaces[dir] {
			if err := r.link(strings.TrimPrefix(dir, "/")+"/"+n, guestExe); err != nil {
				return err
			}
			diversions = fmt.Appendf(diversions, "%s/%s\n%s/%s.distrib\n:\n", dir, n, dir, n)
		}
	}
	if dpkg != nil {
		return nil // it has no dpkg
	}
	return r.text("var/lib/dpkg/diversions", string(diversions), 0o644)
}
