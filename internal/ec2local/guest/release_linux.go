package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/internal/self"
)

// codenames of releases, as /etc/os-release and lsb_release have them.
var codenames = map[string]string{
	"ubuntu 14.04": "trusty", "ubuntu 16.04": "xenial", "ubuntu 18.04": "bionic", "ubuntu 20.04": "focal", "ubuntu 22.04": "jammy", "ubuntu 24.04": "noble",
	"debian 8": "jessie", "debian 9": "stretch", "debian 10": "buster", "debian 11": "bullseye", "debian 12": "bookworm", "debian 13": "trixie",
}

// packagers are the programs that templates expect of a release to install with.
var packagers = map[string][]string{
	"amzn": {"yum", "dnf"}, "centos": {"yum", "dnf"}, "rhel": {"yum", "dnf"}, "rocky": {"yum", "dnf"}, "almalinux": {"yum", "dnf"}, "fedora": {"dnf"},
	"ubuntu": {"apt-get", "apt"}, "debian": {"apt-get", "apt"}, "sles": {"zypper"}, "opensuse-leap": {"zypper"}, "alpine": {"apk"},
}

// release makes the guest say what its image is, and what it stands on: in
// /etc/os-release and by lsb_release. A package manager that is not there says
// why.
func (s *setup) release() error {
	r := s.Release
	if r.ID == "" {
		return nil
	}
	host := hostName()
	name, _, _ := strings.Cut(r.Name, " "+r.Version)
	vendor, _, _ := strings.Cut(r.Name, " ")
	code := codenames[r.ID+" "+r.Version]
	like := map[string]string{"ubuntu": "debian", "amzn": "fedora", "centos": "rhel fedora", "rhel": "fedora"}[r.ID]
	text := fmt.Sprintf("NAME=%q\nVERSION_ID=%q\nPRETTY_NAME=%q\nID=%s\n", name, r.Version, r.Name, r.ID)
	if like != "" {
		text += fmt.Sprintf("ID_LIKE=%q\n", like)
	}
	lsb := fmt.Sprintf("DISTRIB_ID=%s\nDISTRIB_RELEASE=%s\nDISTRIB_CODENAME=%s\nDISTRIB_DESCRIPTION=%q\n", vendor, r.Version, code, r.Name+", embedded EC2 on "+host)
	if code != "" {
		text += "VERSION_CODENAME=" + code + "\n"
	}
	if r.ID == "ubuntu" && code != "" {
		text += "UBUNTU_CODENAME=" + code + "\n"
	}
	text += fmt.Sprintf("VARIANT=%q\nVARIANT_ID=ec2local\n", "embedded EC2 on "+host)
	os.Remove("/etc/os-release") // a link into /usr
	errs := []error{os.WriteFile("/etc/os-release", []byte(text), 0o644), os.WriteFile("/etc/lsb-release", []byte(lsb), 0o644)}
	if _, err := os.Stat("/usr/bin/lsb_release"); err != nil {
		errs = append(errs, program("lsb_release", lsbRelease))
	}
	for _, p := range packagers[r.ID] {
		if _, err := exec.LookPath(p); err != nil {
			errs = append(errs, program(p, fmt.Sprintf("#!/bin/sh\necho %s >&2\nexit 1\n", quote.Sh(p+": this guest is called "+r.Name+
				" and has the programs of "+host+", which has no "+p+": import a root file system that has it (`"+self.Command("guest import")+"`), choose a source image of the host's kind, or build on a machine that has "+p))))
		}
	}
	return errors.Join(errs...)
}

func hostName() string {
	b, _ := os.ReadFile("/usr/lib/os-release")
	for _, l := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(l, "PRETTY_NAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return "this host"
}

func program(name, text string) error { return os.WriteFile("/usr/bin/"+name, []byte(text), 0o755) }

// lsbRelease prints what /etc/lsb-release holds, with the options of the program
// that the Linux Standard Base names.
const lsbRelease = `#!/bin/sh
. /etc/lsb-release
short= what=
for a; do
  case $a in
  --short) short=1 ;;
  --id) what="$what i" ;; --description) what="$what d" ;; --release) what="$what r" ;; --codename) what="$what c" ;; --all) what="i d r c" ;; --version) what="$what v" ;;
  --*) echo "lsb_release: no such option: $a" >&2; exit 2 ;;
  -*) a=${a#-}
    while test -n "$a"; do
      case $a in
      s*) short=1 ;; a*) what="i d r c" ;; [idrcv]*) what="$what ${a%"${a#?}"}" ;;
      *) echo "lsb_release: no such option: -$a" >&2; exit 2 ;;
      esac
      a=${a#?}
    done ;;
  esac
done
say() { if test -n "$short"; then printf '%s\n' "$2"; else printf '%s:\t%s\n' "$1" "$2"; fi; }
for w in ${what:-v}; do
  case $w in
  i) say 'Distributor ID' "$DISTRIB_ID" ;;
  d) say Description "$DISTRIB_DESCRIPTION" ;;
  r) say Release "$DISTRIB_RELEASE" ;;
  c) say Codename "${DISTRIB_CODENAME:-n/a}" ;;
  v) echo 'No LSB modules are available.' >&2 ;;
  esac
done
`
