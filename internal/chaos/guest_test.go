package main

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/ec2local/guest/guesttest"
)

// TestBuildOnAnImportedRoot: a root file system of Amazon Linux is imported beside
// the running endpoint; a build of its image has yum, and so has a build of what
// the first one made. It stays while an image stands on it.
func TestBuildOnAnImportedRoot(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	dir := filepath.Join(s.dir, "ec2")
	amazon := map[string]any{"ssh_username": "ec2-user", "ami_name": "httpd", "source_ami_filter": map[string]any{
		"filters": map[string]any{"name": "amzn2-ami-hvm-2.0.*-x86_64-gp2"}, "owners": []string{"amazon"}, "most_recent": true}}
	install := inline("sudo yum install -y httpd")
	s.template(amazon, install)
	out := s.fails(1, "run", "t.json")
	if !strings.Contains(out, "`imgflow guest import`") {
		t.Errorf("without yum it does not say what to do:\n%s", indent(out))
	}

	s.rootfs("rootfs.tar.gz")
	out = s.must("guest", "import", "--dir", dir, "rootfs.tar.gz")
	if !strings.Contains(out, "Imported Amazon Linux 2 as amzn:2: ") {
		t.Errorf("the import says\n%s", indent(out))
	}
	s.must("run", "t.json")
	if log := s.must("logs"); count(log, "Installed: httpd") != 1 {
		t.Errorf("yum did not run:\n%s", indent(log))
	}

	s.template(map[string]any{"ssh_username": "ec2-user", "ami_name": "httpd-php", "source_ami_filter": map[string]any{
		"filters": map[string]any{"name": "httpd"}, "owners": []string{"self"}}},
		inline("sudo yum install -y php", `test "$(echo $(cat /var/lib/rpm/installed))" = "httpd php"`, ". /etc/os-release", `test "$ID $VERSION_ID $VARIANT_ID" = "amzn 2 "`))
	s.must("run", "t.json")
	out = s.must("guest", "list", "--dir", dir)
	if !strings.Contains(out, "amzn:2  Amazon Linux 2 ") || !strings.Contains(out, "2 layers of images") {
		t.Errorf("the list says\n%s", indent(out))
	}
	if out := s.fails(1, "guest", "remove", "--dir", dir, "amzn:2"); !strings.Contains(out, "deregister the images") {
		t.Errorf("the removal says\n%s", indent(out))
	}
	s.leaves(2)
}

// rootfs writes the root file system of guesttest beside the template.
func (s *stage) rootfs(name string) {
	s.t.Helper()
	f, err := os.Create(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	if err := guesttest.Amazon().Write(z); err != nil {
		s.t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		s.t.Fatal(err)
	}
}
