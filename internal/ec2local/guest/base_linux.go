package guest

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// entry is one thing in the base layer.
type entry struct {
	Overlay, Rel, Kind string // Kind: dir, opaque, file, link, whiteout
	Mode               uint32
	UID, GID           int
	Data               []byte `json:",omitempty"`
	Src                string `json:",omitempty"` // file: copy from; link: target
}

// oneUserApt is for a guest with one user: there is no other that apt could become
// for its downloads, and none whom its logs could belong to.
const oneUserApt = "APT::Sandbox::User \"root\";\n"

const maxCopy = 64 << 20

// planBase says what the base layer holds: it hides what other users of the
// host may not read, replaces the accounts, and, in a user namespace, owns
// every directory, because a directory of an unmapped owner is read-only there.
func planBase(ps []overlay, as ids, sudoShim bool, put func(entry)) {
	userns := as != rootIDs
	for _, d := range exposed {
		if t, err := os.Readlink(d); err == nil {
			put(entry{Overlay: "/", Rel: d[1:], Kind: "link", Src: t})
		}
	}
	for d, mode := range map[string]uint32{"boot": 0o755, "dev": 0o755, "home": 0o755, "media": 0o755, "mnt": 0o755, "proc": 0o555,
		"root": 0o700, "run": 0o755, "srv": 0o755, "sys": 0o555, "tmp": 0o1777} {
		put(entry{Overlay: "/", Rel: d, Kind: "dir", Mode: mode})
	}
	for _, p := range ps[1:] {
		put(entry{Overlay: "/", Rel: p.Path[1:], Kind: "dir", Mode: 0o755}) // the mount point
		if !userns && p.Path != "/etc" && p.Path != "/var" {
			continue
		}
		filepath.WalkDir(p.Path, func(path string, d fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err != nil || unix.Lstat(path, &st) != nil {
				return nil
			}
			e := entry{Overlay: p.Path, Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), Src: path}
			e.Rel, _ = filepath.Rel(p.Path, path)
			secret := d.IsDir() && e.Mode&0o005 != 0o005 || d.Type().IsRegular() && e.Mode&0o004 == 0 || strings.HasPrefix(e.Rel, "ssh/ssh_host_")
			if bulky[path] {
				secret = true
			}
			switch {
			case d.IsDir() && secret:
				e.Kind = "opaque"
				put(e)
				return fs.SkipDir
			case secret && !userns:
				e.Kind = "whiteout"
				put(e)
			case secret:
			case d.IsDir() && userns:
				e.Kind = "dir"
				put(e)
				for _, q := range ps {
					if q.Path == path && path != p.Path {
						return fs.SkipDir
					}
				}
			case userns && p.Plain && d.Type() == fs.ModeSymlink:
				e.Kind = "link"
				e.Src, _ = os.Readlink(path)
				put(e)
			case userns && p.Plain && d.Type().IsRegular() && st.Size <= maxCopy:
				e.Kind = "file"
				put(e)
			}
			return nil
		})
	}
	etc := func(rel string, mode uint32, gid int, data string) {
		put(entry{Overlay: "/etc", Rel: rel, Kind: "file", Mode: mode, GID: gid, Data: []byte(data)})
	}
	put(entry{Overlay: "/etc", Rel: "sudoers.d", Kind: "opaque", Mode: 0o750})
	etc("sudoers", 0o440, 0, "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n#includedir /etc/sudoers.d\n")
	baseAccounts(etc)
	etc("fstab", 0o644, 0, "")
	etc("machine-id", 0o444, 0, "")
	etc("hostname", 0o644, 0, "guest\n")
	etc("hosts", 0o644, 0, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
	if b, err := os.ReadFile("/etc/resolv.conf"); err == nil && resolvTarget() == "" {
		etc("resolv.conf", 0o644, 0, string(b))
	}
	if as == oneID && isDir("/etc/apt/apt.conf.d") {
		etc("apt/apt.conf.d/00one-user", 0o644, 0, oneUserApt)
	}
	// What the host's administrator set up to run is not the guest's to run.
	put(entry{Overlay: "/etc", Rel: "systemd/system", Kind: "opaque", Mode: 0o755})
	if _, err := os.Lstat("/usr/sbin/policy-rc.d"); err == nil {
		p, rel := overlayOf(ps, "/usr/sbin/policy-rc.d")
		put(entry{Overlay: p.Path, Rel: rel, Kind: "whiteout"})
	}
	baseShims(ps, put)
	if sudoShim {
		exe, _ := os.Executable()
		p, rel := overlayOf(ps, "/usr/bin/sudo")
		put(entry{Overlay: p.Path, Rel: rel, Kind: "file", Mode: 0o4755, Src: exe})
	}
}

// baseAccounts keeps the system's own accounts, without passwords and members.
// Accounts of people are left out, so that the login account gets uid 1000.
func baseAccounts(etc func(rel string, mode uint32, gid int, data string)) {
	system := func(id string) bool {
		n, err := strconv.Atoi(id)
		return err == nil && (n < 1000 || n == 65534)
	}
	var passwd, group, shadow, gshadow strings.Builder
	shadowGID := 0
	colons("/etc/passwd", func(f []string) {
		if len(f) >= 7 && system(f[2]) {
			if f[0] == "root" && strings.HasSuffix(f[6], "nologin") {
				f[6] = "/bin/sh"
			}
			f[1] = "x"
			passwd.WriteString(strings.Join(f, ":") + "\n")
			shadow.WriteString(f[0] + ":*:19000:0:99999:7:::\n")
		}
	})
	colons("/etc/group", func(f []string) {
		if len(f) >= 4 && system(f[2]) {
			if f[0] == "shadow" {
				shadowGID, _ = strconv.Atoi(f[2])
			}
			group.WriteString(f[0] + ":x:" + f[2] + ":\n")
			gshadow.WriteString(f[0] + ":*::\n")
		}
	})
	etc("passwd", 0o644, 0, passwd.String())
	etc("group", 0o644, 0, group.String())
	etc("shadow", 0o640, shadowGID, shadow.String())
	etc("gshadow", 0o640, shadowGID, gshadow.String())
}

// shimPlaces are the programs that need a real first process.
var shimPlaces = func() map[string][]string {
	bin, sbin := []string{"systemctl", "cloud-init"}, []string{"shutdown", "poweroff", "halt", "reboot", "init", "telinit", "service"}
	return map[string][]string{"/usr/bin": bin, "/bin": bin, "/usr/sbin": sbin, "/sbin": sbin}
}()

// baseShims puts this program in the place of those that need a real first
// process, and tells dpkg to leave them alone.
func baseShims(ps []overlay, put func(entry)) {
	diversions, dpkgErr := os.ReadFile("/var/lib/dpkg/diversions")
	done := map[string]bool{}
	for _, dir := range slices.Sorted(maps.Keys(shimPlaces)) {
		at, err := filepath.EvalSymlinks(dir) // /bin is often /usr/bin, sometimes /usr/sbin too
		if err != nil {
			continue
		}
		for _, n := range shimPlaces[dir] {
			diversions = fmt.Appendf(diversions, "%s/%s\n%s/%s.distrib\n:\n", dir, n, dir, n)
			if path := filepath.Join(at, n); !done[path] {
				done[path] = true
				p, rel := overlayOf(ps, path)
				put(entry{Overlay: p.Path, Rel: rel, Kind: "link", Src: guestExe})
			}
		}
	}
	if dpkgErr == nil {
		p, rel := overlayOf(ps, "/var/lib/dpkg/diversions")
		put(entry{Overlay: p.Path, Rel: rel, Kind: "file", Mode: 0o644, Data: diversions})
	}
}

// bulky directories start empty in a guest.
var bulky = map[string]bool{"/var/log": true, "/var/tmp": true, "/var/backups": true, "/var/lib/docker": true,
	"/var/lib/containerd": true, "/var/lib/cloud": true, "/var/mail": true, "/var/spool/cron": true, "/var/cache/apt/archives": true}

func resolvTarget() string {
	t, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err == nil && strings.HasPrefix(t, "/run/") {
		return t
	}
	return ""
}

// writeBase builds the base layer in dst from a stream of entries.
func writeBase(dst string, r io.Reader) error {
	dec := json.NewDecoder(r)
	for {
		var e entry
		if err := dec.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		top := filepath.Join(dst, overlay{Path: e.Overlay}.key())
		p := filepath.Join(top, e.Rel)
		if err := parents(top, e.Overlay, e.Rel); err != nil {
			return err
		}
		if e.Kind != "dir" { // whiteouts inside an opaque directory would show in ls, so it is emptied too
			os.RemoveAll(p)
		}
		var err error
		switch e.Kind {
		case "dir", "opaque":
			if err = os.MkdirAll(p, 0o755); err == nil && e.Kind == "opaque" {
				err = unix.Setxattr(p, "user.overlay.opaque", []byte("y"), 0)
			}
		case "link":
			err = os.Symlink(e.Src, p)
		case "whiteout":
			err = unix.Mknod(p, unix.S_IFCHR, 0)
		case "file":
			if e.Data == nil && e.Src != "" {
				if e.Data, err = os.ReadFile(e.Src); err != nil {
					err = nil // unreadable on the host: absent in the guest
					continue
				}
			}
			err = os.WriteFile(p, e.Data, 0o600)
		}
		if err != nil {
			return err
		}
		if e.Kind != "whiteout" {
			os.Lchown(p, e.UID, e.GID) // an unmapped owner stays root
		}
		if e.Kind != "whiteout" && e.Kind != "link" {
			if err := unix.Chmod(p, e.Mode); err != nil { // not os.Chmod: its bits for setuid differ
				return err
			}
		}
	}
}

func parents(top, host, rel string) error {
	dirs := []string{"."}
	for d := filepath.Dir(rel); d != "."; d = filepath.Dir(d) {
		dirs = append(dirs, d)
	}
	sort.Slice(dirs, func(i, j int) bool { return len(dirs[i]) < len(dirs[j]) })
	for _, d := range dirs {
		p := filepath.Join(top, d)
		if isDir(p) {
			continue
		}
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
		if h := filepath.Join(host, d); isDir(h) && host != "/" {
			if err := likeDir(p, h); err != nil {
				return err
			}
		}
	}
	return nil
}
