// Package guesttest makes what tests of guests need.
package guesttest

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Rootfs is a small root file system: busybox, what it needs, and files.
type Rootfs struct {
	Programs []string          // of this computer whose libraries must be there
	Files    map[string]string // path → text; below bin and usr/bin they can be executed
	Links    map[string]string // path → target
}

// Amazon is one that says it is Amazon Linux 2, whose yum is a script. Its /bin
// is a link, as there.
func Amazon() Rootfs {
	return Rootfs{
		Files: map[string]string{
			"etc/passwd":         "root:x:0:0:root:/root:/bin/sh\n",
			"etc/group":          "root:x:0:\nwheel:x:10:\n",
			"etc/shadow":         "root:*:19000:0:99999:7:::\n",
			"usr/lib/os-release": "NAME=\"Amazon Linux\"\nVERSION=\"2\"\nID=\"amzn\"\nID_LIKE=\"centos rhel fedora\"\nVERSION_ID=\"2\"\nPRETTY_NAME=\"Amazon Linux 2\"\n",
			"usr/bin/yum":        "#!/bin/sh\ntest \"$1 $2\" = 'install -y' || exit 1\nmkdir -p /var/lib/rpm\nfor p in $3; do echo $p >>/var/lib/rpm/installed; echo \"Installed: $p\"; done\n",
		},
		Links: map[string]string{"bin": "usr/bin", "sbin": "/usr/sbin", "usr/sbin": "bin", "etc/os-release": "../usr/lib/os-release", "etc/resolv.conf": "/run/systemd/resolve/resolv.conf"},
	}
}

// Write writes it as a tar. The error is [exec.ErrNotFound] where busybox or ldd
// is missing.
func (r Rootfs) Write(w io.Writer) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	put := func(name string, mode int64, b []byte) error {
		err := t.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(b)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = t.Write(b)
		}
		return err
	}
	copied := func(name, from string) error {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return put(name, 0o755, b)
	}
	var errs []error
	for _, d := range []string{"etc/", "root/", "usr/", "usr/bin/", "usr/lib/", "home/", "var/", "var/log/"} {
		errs = append(errs, t.WriteHeader(&tar.Header{Name: d, Mode: 0o755, Typeflag: tar.TypeDir}))
	}
	for _, l := range slices.Sorted(maps.Keys(r.Links)) {
		errs = append(errs, t.WriteHeader(&tar.Header{Name: l, Linkname: r.Links[l], Typeflag: tar.TypeSymlink}))
	}
	errs = append(errs, copied("usr/bin/busybox", busybox))
	applets, err := exec.Command(busybox, "--list").Output()
	errs = append(errs, err)
	for _, a := range strings.Fields(string(applets)) {
		if a != "busybox" {
			errs = append(errs, t.WriteHeader(&tar.Header{Name: "usr/bin/" + a, Linkname: "usr/bin/busybox", Typeflag: tar.TypeLink}))
		}
	}
	libraries, err := needs(append(slices.Clone(r.Programs), busybox)...)
	errs = append(errs, err)
	for _, l := range libraries {
		errs = append(errs, copied(strings.TrimPrefix(l, "/"), l))
	}
	for _, f := range slices.Sorted(maps.Keys(r.Files)) {
		mode := int64(0o644)
		if strings.HasSuffix(filepath.Dir(f), "bin") {
			mode = 0o755
		}
		errs = append(errs, put(f, mode, []byte(r.Files[f])))
	}
	return errors.Join(append(errs, t.Close())...)
}

// needs are the loader and the libraries of programs, by the paths they have.
func needs(programs ...string) ([]string, error) {
	found := map[string]bool{}
	for _, p := range programs {
		if !Dynamic(p) {
			continue
		}
		out, err := exec.Command("ldd", p).Output()
		if err != nil {
			return nil, fmt.Errorf("ldd %s: %w", p, err)
		}
		for _, f := range strings.Fields(string(out)) {
			if strings.HasPrefix(f, "/") {
				found[f] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// Dynamic tells whether a program needs a loader.
func Dynamic(program string) bool {
	f, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
