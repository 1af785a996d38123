package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// account is a user as the guest's own files tell it.
type account struct {
	name, home, shell string
	uid, gid          uint32
	groups            []uint32
}

// lookup reads the files each time: a package or a script may have changed them.
func lookup(name string) (a account, err error) {
	err = fmt.Errorf("there is no user %q in the guest", name)
	colons("/etc/passwd", func(f []string) {
		if len(f) >= 7 && f[0] == name {
			u, _ := strconv.ParseUint(f[2], 10, 32)
			g, _ := strconv.ParseUint(f[3], 10, 32)
			if f[6] == "" {
				f[6] = "/bin/sh"
			}
			a, err = account{name, f[5], f[6], uint32(u), uint32(g), []uint32{uint32(g)}}, nil
		}
	})
	if err != nil {
		return a, err
	}
	colons("/etc/group", func(f []string) {
		if len(f) >= 4 && slices.Contains(strings.Split(f[3], ","), name) {
			g, _ := strconv.ParseUint(f[2], 10, 32)
			a.groups = append(a.groups, uint32(g))
		}
	})
	return a, nil
}

func groupID(name string) (gid int, ok bool) {
	colons("/etc/group", func(f []string) {
		if len(f) >= 3 && f[0] == name {
			g, err := strconv.Atoi(f[2])
			gid, ok = g, err == nil
		}
	})
	return gid, ok
}

// colons calls line for every line of a file such as /etc/passwd.
func colons(path string, line func([]string)) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		line(strings.Split(s.Text(), ":"))
	}
}

func isDir(p string) bool { st, err := os.Stat(p); return err == nil && st.IsDir() }

// loginEnv is what a login adds for everyone.
func loginEnv(a account) []string {
	env := []string{"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "SHELL=" + a.shell, "PATH=" + defaultPath, "LANG=C.UTF-8",
		"MAIL=/var/mail/" + a.name}
	b, _ := os.ReadFile("/etc/environment")
	for _, l := range strings.Split(string(b), "\n") {
		k, v, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(l), "export "), "=")
		if ok && k != "" && !strings.HasPrefix(k, "#") {
			if len(v) > 1 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
				v = v[1 : len(v)-1]
			}
			env = append(env, k+"="+v) // of two, exec takes the last
		}
	}
	return dedup(env)
}

// authorizedKeys reads a user's file with the rules of sshd's StrictModes.
func authorizedKeys(name string) ([]byte, error) {
	a, err := lookup(name)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(a.home, ".ssh")
	path := filepath.Join(dir, "authorized_keys")
	for _, p := range []string{a.home, dir, path} {
		var st unix.Stat_t
		if err := unix.Stat(p, &st); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		if st.Uid != 0 && st.Uid != a.uid || st.Mode&0o022 != 0 {
			return nil, fmt.Errorf("bad ownership or modes for %s", p)
		}
	}
	// Not blocking, in case it is a FIFO.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.New(path + " is not a file")
	}
	return io.ReadAll(io.LimitReader(f, 100<<10))
}

// setIDs becomes the account, for good.
func setIDs(a account) error {
	g := make([]int, len(a.groups))
	for i, v := range a.groups {
		g[i] = int(v)
	}
	if err := unix.Setgroups(g); err != nil {
		return fmt.Errorf("cannot set groups: %w", err)
	}
	if err := unix.Setresgid(int(a.gid), int(a.gid), int(a.gid)); err != nil {
		return fmt.Errorf("cannot set the group: %w", err)
	}
	if err := unix.Setresuid(int(a.uid), int(a.uid), int(a.uid)); err != nil {
		return fmt.Errorf("cannot set the user: %w", err)
	}
	return nil
}
