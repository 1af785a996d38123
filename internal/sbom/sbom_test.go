package sbom

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

func urls(t *testing.T, l List) (us []string) {
	t.Helper()
	text, err := l.CycloneDX(time.Date(2026, 3, 1, 12, 0, 0, 5, time.FixedZone("", 3600)))
	if err != nil {
		t.Fatal(err)
	}
	var d cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&d); err != nil {
		t.Fatalf("another reader of CycloneDX: %v", err)
	}
	if d.SpecVersion != cyclonedx.SpecVersion1_6 || d.BOMFormat != "CycloneDX" || d.Metadata.Timestamp != "2026-03-01T11:00:00Z" || d.Components == nil {
		t.Fatalf("%s", text)
	}
	if l.System != "" && (d.Metadata.Component.Name != l.System || d.Metadata.Component.Type != cyclonedx.ComponentTypeOS) {
		t.Errorf("the system: %+v", d.Metadata.Component)
	}
	for _, c := range *d.Components {
		if c.PackageURL != c.BOMRef || c.Name == "" {
			t.Errorf("%+v", c)
		}
		us = append(us, c.PackageURL)
	}
	return us
}

// Every database is read, and its packages have the URLs by which others know them.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		out  string
		want []string
	}{
		{"ID=debian\nVERSION_ID=\"12\"\nformat=deb\n\n" +
			"installed\tlibstdc++6\t12.2.0-14+deb12u1\tamd64\nconfig-files\told\t1\tall\nnot-installed\tnever\t\tall\ninstalled\tbash\t5.2.15-2+b7\tamd64\nunpacked\thalf\t1:2~3\tall\n",
			[]string{"pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12", "pkg:deb/debian/half@1%3A2~3?arch=all&distro=debian-12",
				"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"}},
		{"ID='amzn'\nVERSION_ID=2023\nformat=rpm\n\n1\tbind\t9.18-1.amzn2023\tx86_64\n(none)\tbash\t5.2-1\tx86_64\n0\tzlib\t1.2-3\tx86_64\n(none)\tgpg-pubkey\td832c631-6515c85e\t(none)\n",
			[]string{"pkg:rpm/amzn/bash@5.2-1?arch=x86_64&distro=amzn-2023", "pkg:rpm/amzn/bind@9.18-1.amzn2023?arch=x86_64&distro=amzn-2023&epoch=1", "pkg:rpm/amzn/zlib@1.2-3?arch=x86_64&distro=amzn-2023"}},
		{"ID=alpine\nVERSION_ID=3.20.1\nformat=apk\n\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:busybox\nV:1.36.1-r29\nA:x86_64\n\n\n",
			[]string{"pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=alpine-3.20.1", "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1"}},
		{"format=deb\n\ninstalled\ta\t1\tall\ninstalled\ta\t1\tall\n", []string{"pkg:deb/debian/a@1?arch=all"}},
		{"ID=debian\nformat=deb\n\n", nil},
	} {
		l, err := Parse([]byte(c.out))
		if err != nil {
			t.Errorf("%q: %v", c.out, err)
			continue
		}
		if got := urls(t, l); !slices.Equal(got, c.want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// Windows' programs have no URL.
func TestPrograms(t *testing.T) {
	l := List{System: "windows", Version: "10.0.20348.0", Packages: []Package{{Name: "Agent", Version: "1.2", Publisher: "Acme \"x\""}}}
	text, err := l.CycloneDX(time.Now())
	if err != nil || !strings.Contains(string(text), `{"type":"application","publisher":"Acme \"x\"","name":"Agent","version":"1.2"}`) {
		t.Errorf("%s, %v", text, err)
	}
}

// A machine may print anything.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ out, want string }{
		{"", ErrNoDatabase.Error()},
		{"ID=plan9\n", ErrNoDatabase.Error()},
		{"format=zip\n\n", ErrNoDatabase.Error()},
		{"format=deb\n\nno tabs\n", `cannot understand the list of packages: "no tabs\n"`},
	} {
		if _, err := Parse([]byte(c.out)); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.out, err, c.want)
		}
	}
}

// Where this computer has dpkg, the script lists what dpkg lists.
func TestScript(t *testing.T) {
	want, err := exec.Command("dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture} ${db:Status-Status}\n").Output()
	if err != nil {
		t.Skipf("NOT TESTED: the script against dpkg: %v", err)
	}
	out, err := exec.Command("sh", "-c", Script).Output()
	if err != nil {
		t.Fatal(err)
	}
	l, err := Parse(out)
	if err != nil || l.Format != "deb" || l.System == "" {
		t.Fatalf("%s %s, %v", l.System, l.Format, err)
	}
	var have []string
	for _, p := range l.Packages {
		have = append(have, p.Name+" "+p.Version+" "+p.Arch)
	}
	slices.Sort(have)
	var all []string
	for line := range strings.Lines(string(want)) {
		if p, ok := strings.CutSuffix(strings.TrimSpace(line), " installed"); ok {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	if !slices.Equal(have, all) || len(have) < 10 {
		t.Errorf("%d of dpkg's %d packages", len(have), len(all))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ID=debian\nformat=deb\n\ninstalled\ta\t1\tall\n"))
	f.Add([]byte("format=apk\n\nP:a\nV:1\n\nP:b\n"))
	f.Add([]byte("format=rpm\n\n0\ta\t1\tx\xff\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		l, err := Parse(out)
		if err != nil {
			return
		}
		if text, err := l.CycloneDX(time.Now()); err != nil || !json.Valid(text) {
			t.Errorf("%q: %s, %v", out, text, err)
		}
	})
}
