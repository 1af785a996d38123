package guest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest/guesttest"
)

// amazon is the tar of a root file system in which the program of this test runs.
func amazon(t *testing.T, change func(*guesttest.Rootfs)) []byte {
	t.Helper()
	r := guesttest.Amazon()
	r.Programs = []string{"/proc/self/exe"}
	if change != nil {
		change(&r)
	}
	var b bytes.Buffer
	if err := r.Write(&b); errors.Is(err, exec.ErrNotFound) {
		missing(t, "%v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func amazonSpec(version string) Spec {
	s := spec(nil)
	s.User, s.Release = "ec2-user", Release{ID: "amzn", Version: version, Name: "Amazon Linux " + version}
	return s
}

// importDir is the directory of a host, with what other ids own in the end.
func importDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		all, err := filepath.Glob(dir + "/*")
		if err == nil && len(all) > 0 {
			err = detectIDs().helper(nil, nil, "rm", all...)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return dir
}

// imported imports for the time of a test.
func imported(t *testing.T, dir string, b []byte, as string) Imported {
	t.Helper()
	m, err := Import(t.Context(), dir, bytes.NewReader(b), as)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestImport: a root file system that is imported beside a running server is what
// the next guest of its system stands on, and what is made an image of it.
func TestImport(t *testing.T) {
	dir := importDir(t)
	h := reopen(t, "sandbox", dir)
	before := launch(t, h, amazonSpec("2"))
	m := imported(t, dir, gzipped(t, amazon(t, nil)), "")
	if m.Name() != "amzn:2" || m.Title != "Amazon Linux 2" || m.LeftOut != 0 || m.Files < 100 || m.Bytes < 1<<20 {
		t.Errorf("imported %+v", m)
	}
	me := "ec2-user"
	if one(h) {
		me = "root"
	}
	g := launch(t, h, amazonSpec("2"))
	g.sh("ec2-user", "whoami; pwd; sudo -n id -u; cat /etc/hostname", "0 "+me+"\n/home/ec2-user\n0\nip-10-0-0-7")
	g.sh("ec2-user", "sudo yum install -y httpd", "0 Installed: httpd")
	g.sh("root", ". /etc/os-release; echo $ID $VERSION_ID $VERSION $VARIANT_ID; ls /etc/lsb-release /etc/debian_version /usr/bin/apt-get 2>/dev/null", "1 amzn 2 2")
	names, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	g.sh("root", "readlink /etc/resolv.conf; cat /etc/resolv.conf", strings.TrimRight("0 /run/.guest/resolv.conf\n"+string(names), "\n"))
	g.sh("root", "mkdir -p /etc/systemd/system; printf '[Service]\\nExecStart=/bin/sleep 1000\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/web.service; systemctl enable --now web 2>/dev/null; systemctl is-active web", "0 active")
	g.sh("root", "cloud-init status --wait | tail -n1; touch /tmp/a /run/a /dev/shm/a; ls /proc/self/exe >/dev/null", "0 status: done")
	g.sh("root", "ls /etc/sudoers /etc/sudoers.d 2>/dev/null", "1 /etc/sudoers.d:\n90-cloud-init-users") // a package may bring its own
	if out, _ := g.run("root", "ls /"); strings.Contains(out, "opt") || strings.Contains(out, "lib32") {
		t.Errorf("directories of the host are there: %s", out)
	}
	before.sh("root", ". /etc/os-release; echo $VERSION_ID $VARIANT_ID", "0 2 ec2local") // it was there before
	launch(t, h, amazonSpec("2023")).sh("root", ". /etc/os-release; echo $VERSION_ID $VARIANT_ID", "0 2023 ec2local")

	g.stop()
	g.boot()
	g.sh("root", "cat /var/lib/rpm/installed; cat /etc/hostname", "0 httpd\nip-10-0-0-7")
	eventually(t, "a unit that was enabled", func() bool { out, _ := g.run("root", "systemctl is-active web"); return out == "active" })
	live := g.freeze()
	g.stop()
	layers := g.freeze()
	for _, l := range [][]string{live, layers} {
		if len(l) < 2 || l[len(l)-1] != m.Layer {
			t.Fatalf("the layers of the image are %q, not upon %s", l, m.Layer)
		}
	}
	s := amazonSpec("2")
	s.Layers = layers
	image := launch(t, h, s)
	image.sh("root", "cat /var/lib/rpm/installed; . /etc/os-release; echo $ID; ls /etc/debian_version 2>/dev/null", "1 httpd\namzn")
	held, err := exported(h, layers)
	if err != nil || !held["usr/bin/busybox"] || !held["var/lib/rpm/installed"] {
		t.Errorf("an export of the image lacks what it holds: %v", err)
	}

	// It is the user's: nothing but a removal by name takes it away, and that not
	// from under anything.
	refused := func(why string) {
		t.Helper()
		if err := RemoveImport(dir, "amzn:2"); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("it was removed from under %s: %v", why, err)
		}
	}
	remove := func(g *guestT) {
		t.Helper()
		if err := g.Remove(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	refused(image.Machine.(*sandboxMachine).id)
	remove(image)
	remove(g)
	refused("2 layers")
	if all, err := Imports(dir); err != nil || len(all) != 1 || all[0].Layers != 2 || len(all[0].Guests) != 0 {
		t.Errorf("imported: %+v %v", all, err)
	}
	for _, l := range []string{live[0], layers[0], m.Layer} {
		if err := h.RemoveLayer(context.Background(), l); err != nil {
			t.Error(err)
		}
	}
	if err := inside(h).(*sandbox).s.hasLayer(m.Layer); err != nil {
		t.Error("it went with the last layer upon it:", err)
	}
	if _, err := Import(t.Context(), dir, bytes.NewReader(amazon(t, nil)), "amzn:2"); err == nil || !strings.Contains(err.Error(), "guest remove amzn:2") {
		t.Errorf("a second one for the same system: %v", err)
	}
	if err := RemoveImport(dir, "amzn:2"); err != nil {
		t.Error(err)
	}
	if err := RemoveImport(dir, "amzn:2"); err == nil || !strings.Contains(err.Error(), "guest list") {
		t.Errorf("removed twice: %v", err)
	}
	nothingOf(t, dir)
	launch(t, h, amazonSpec("2")).sh("root", ". /etc/os-release; echo $VARIANT_ID", "0 ec2local")
}

// nothingOf looks for root file systems, whole and half.
func nothingOf(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "layers", rootLayer+"*")); err != nil || len(left) > 0 {
		t.Errorf("%q are left, %v", left, err)
	}
}

// TestImportFor: which root file system a guest stands on.
func TestImportFor(t *testing.T) {
	all := []Imported{{ID: "amzn", Layer: "any"}, {ID: "amzn", Version: "2", Layer: "two"}, {ID: "debian", Version: "12", Layer: "bookworm"}}
	for r, want := range map[Release]string{
		{ID: "amzn", Version: "2"}: "two", {ID: "amzn", Version: "2023"}: "any", {ID: "debian", Version: "12"}: "bookworm", {ID: "debian", Version: "11"}: "", {}: "",
	} {
		got := ""
		if m := rootFor(all, r); m != nil {
			got = m.Layer
		}
		if got != want {
			t.Errorf("a guest of %v stands on %q, want %q", r, got, want)
		}
	}
	for _, bad := range []string{"", ":", "amzn:", ":2", "amzn:2:3", "../x", "a b", "amzn:\x1b[31m", strings.Repeat("a", 65)} {
		if _, _, err := systemNamed(bad); err == nil {
			t.Errorf("%q names a system", bad)
		}
	}
}

// TestImportRefuses: what cannot be a root file system here is told, and nothing of
// it is left.
func TestImportRefuses(t *testing.T) {
	dir := importDir(t)
	whole := amazon(t, nil)
	without := func(path string) []byte {
		return filtered(t, whole, func(h *tar.Header) bool { return h.Name != path })
	}
	for _, c := range []struct {
		name, as, why string
		tar           []byte
	}{
		{"nothing", "amzn:2", "/bin/sh", nil},
		{"no tar", "", "must be a tar", []byte(strings.Repeat("hello ", 1000))},
		{"cut", "", "unexpected EOF", whole[:len(whole)/2]},
		{"cut gzip", "", "unexpected EOF", gzipped(t, whole)[:5000]},
		{"no shell", "", "not `docker save`", without("usr/bin/sh")},
		{"no name", "", "--as ID:VERSION", without("usr/lib/os-release")},
		{"a bad name", "amzn:../2", "names no system", whole},
		{"a layer", "", "docker export", appended(t, whole, &tar.Header{Name: "etc/.wh.motd", Typeflag: tar.TypeReg})},
		{"a loop of links", "amzn:2", "too many links", appended(t, whole, &tar.Header{Name: "etc", Linkname: "etc", Typeflag: tar.TypeSymlink})},
		{"for another processor", "", "another processor", appended(t, whole, otherELF(t)...)},
	} {
		if _, err := Import(t.Context(), dir, bytes.NewReader(c.tar), c.as); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v\nwant %q", c.name, err, c.why)
		}
		nothingOf(t, dir)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, dir, bytes.NewReader(whole), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("an import that was cancelled: %v", err)
	}
	nothingOf(t, dir)
	if all, err := Imports(dir); err != nil || len(all) > 0 {
		t.Errorf("imported: %v %v", all, err)
	}

	// What a killed import left goes with the next.
	if err := os.MkdirAll(filepath.Join(dir, "layers", rootLayer+"dead"+unfinished, "%", "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	m := imported(t, dir, whole, "amzn")
	if left, err := filepath.Glob(filepath.Join(dir, "layers", rootLayer+"*")); err != nil || len(left) != 1 || filepath.Base(left[0]) != m.Layer {
		t.Errorf("%q are there, %v", left, err)
	}
	if err := RemoveImport(dir, "amzn"); err != nil {
		t.Error(err)
	}
}

// TestImportNeedsNoOtherLibrary: a program that needs the C library of this host is
// told from one that does not.
func TestImportNeedsNoOtherLibrary(t *testing.T) {
	dir := importDir(t)
	static := filtered(t, amazon(t, nil), func(h *tar.Header) bool {
		return !strings.Contains(h.Name, "ld-linux") && !strings.Contains(h.Name, "ld-musl")
	})
	_, err := Import(t.Context(), dir, bytes.NewReader(static), "")
	if want := guesttest.Dynamic("/proc/self/exe"); want != (err != nil) || want && !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("this program needs a library: %v; the import says: %v", want, err)
	}
	if err == nil {
		err = RemoveImport(dir, "amzn:2")
		if err != nil {
			t.Error(err)
		}
	}
	nothingOf(t, dir)
}

// TestImportStaysInside: whatever an archive holds, nothing outside changes, on
// import and at boot.
func TestImportStaysInside(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	for _, d := range []string{"etc", "proc", "dev", "run", "tmp", "sudoers.d", "bin"} {
		if err := os.Mkdir(filepath.Join(outside, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{victim: "untouched", filepath.Join(outside, "etc/hostname"): "outsider"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, outside)
	up := strings.Repeat("../", 30)
	link := func(name, to string) *tar.Header {
		return &tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	file := func(name string) *tar.Header { return &tar.Header{Name: name, Mode: 0o6777, Typeflag: tar.TypeReg} }
	whole := amazon(t, nil)
	for name, c := range map[string]struct {
		more []*tar.Header
		ok   bool // it is imported, and must boot
	}{
		"up":                 {[]*tar.Header{file(up + victim[1:])}, false},
		"up within":          {[]*tar.Header{file("etc/../" + up + victim[1:])}, false},
		"absolute":           {[]*tar.Header{file(victim)}, true},
		"through a link":     {[]*tar.Header{link("x", outside), file("x/victim")}, false},
		"through two links":  {[]*tar.Header{link("l", up), link("x", "l"+outside), file("x/victim")}, false},
		"over a link":        {[]*tar.Header{link("x", victim), file("x")}, true},
		"directory on link":  {[]*tar.Header{link("x", outside), {Name: "x/", Mode: 0o777, Typeflag: tar.TypeDir}, file("x/victim")}, true},
		"hard link out":      {[]*tar.Header{{Name: "x", Linkname: up + victim[1:], Typeflag: tar.TypeLink}}, false},
		"hard link by link":  {[]*tar.Header{link("y", outside), {Name: "x", Linkname: "y/victim", Typeflag: tar.TypeLink}, file("x")}, false},
		"hard link absolute": {[]*tar.Header{{Name: "x", Linkname: victim, Typeflag: tar.TypeLink}}, true},
		"devices":            {[]*tar.Header{{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8}, {Name: "gone", Typeflag: tar.TypeChar}, {Name: "pipe", Typeflag: tar.TypeFifo}}, true},
		"places of the boot": {[]*tar.Header{link("proc", outside+"/proc"), link("dev", outside+"/dev"), link("run", outside+"/run"), link("tmp", outside+"/tmp"),
			link("etc/resolv.conf", victim), link("etc/hostname", victim), link("etc/machine-id", victim), link("etc/fstab", victim), link("etc/sudoers", victim),
			link("etc/sudoers.d", outside+"/sudoers.d"), link("usr/bin/sudo", victim), link("usr/bin/systemctl", victim)}, true},
		"directories as links": {[]*tar.Header{link("etc", outside+"/etc"), link("var/lib", outside)}, true},
		"a file as directory":  {[]*tar.Header{link("var/lib", outside), file("etc")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := importDir(t)
			_, err := Import(t.Context(), dir, bytes.NewReader(appended(t, whole, c.more...)), "amzn:2")
			if (err == nil) != c.ok {
				t.Fatalf("the import ended with %v", err)
			}
			if err != nil {
				nothingOf(t, dir)
			}
		})
	}
	t.Run("boot", func(t *testing.T) {
		dir := importDir(t)
		h := reopen(t, "sandbox", dir)
		m := imported(t, dir, appended(t, whole, link("proc", outside+"/proc"), link("dev", outside+"/dev"), link("run", outside+"/run"), link("tmp", outside+"/tmp"),
			link("etc/resolv.conf", victim), link("etc/hostname", victim), link("etc/sudoers.d", outside+"/sudoers.d"), link("usr/bin/sudo", victim),
			&tar.Header{Name: "gone", Typeflag: tar.TypeChar}), "")
		if m.LeftOut != 1 {
			t.Errorf("%d devices were left out", m.LeftOut)
		}
		g := launch(t, h, amazonSpec("2"))
		g.sh("ec2-user", "sudo -n id -u; test -s /proc/self/status; echo x >/tmp/x; test -L /etc/resolv.conf; ls "+outside+" 2>/dev/null", "1 0")
		// The guest's own doings lead nowhere either: its hostname is read by the server.
		g.sh("root", "mv /etc /etc.own; ln -s "+outside+"/etc /etc; sync", "0 ")
		g.stop()
		if got := g.Machine.(*sandboxMachine).hostname(g.Machine.(*sandboxMachine).rec.get(), &plan{}); got == "outsider" {
			t.Errorf("the server read the hostname %q through a link of the guest", got)
		}
	})
	t.Cleanup(func() {
		if after := listing(t, outside); after != before {
			t.Errorf("outside changed from\n%s\nto\n%s", before, after)
		}
	})
}

// TestImportBounds: an archive that holds too much ends with an error.
func TestImportBounds(t *testing.T) {
	whole := amazon(t, nil)
	for why, most := range map[string]unpackLimits{"more than 10 files": {10, 1 << 40}, "more than 0 GiB": {1 << 20, 1 << 16}} {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		var u unpacked
		if err := u.unpack(root, bytes.NewReader(whole), most); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%+v: %v", most, err)
		}
		root.Close()
		if u.Files > most.files+1 || u.Bytes > most.bytes {
			t.Errorf("%+v: %d files, %d bytes were written", most, u.Files, u.Bytes)
		}
	}
}

// listing is what a directory holds, with times of files.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(p string, st os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(p + " " + st.Mode().String() + " " + st.ModTime().Format(time.RFC3339Nano) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "victim"))
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + string(text)
}

// filtered is a tar with those entries that keep takes.
func filtered(t *testing.T, p []byte, keep func(*tar.Header) bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for r := tar.NewReader(bytes.NewReader(p)); ; {
		h, err := r.Next()
		if err == io.EOF {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
		if err == nil && keep(h) {
			if err = w.WriteHeader(h); err == nil {
				_, err = io.Copy(w, r)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// appended is a tar with more entries; the data of one is in its record test.data.
func appended(t *testing.T, p []byte, more ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(filtered(t, p, func(*tar.Header) bool { return true }))
	b.Truncate(b.Len() - 1024) // the mark of the end
	w := tar.NewWriter(&b)
	for _, h := range more {
		data := []byte(h.PAXRecords["test.data"])
		h.PAXRecords, h.Size = nil, int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// otherELF is a shell for a processor that this computer has not: this program's
// own head, with the number of IBM's z/Architecture.
func otherELF(t *testing.T) []*tar.Header {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	b[18], b[19] = 22, 0
	return []*tar.Header{{Name: "usr/bin/sh", Mode: 0o755, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"test.data": string(b)}}}
}
