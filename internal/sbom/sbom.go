package sbom

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Script is one of sh that prints what [Parse] reads.
//
//go:embed list.sh
var Script string

// List is what is installed on a machine.
type List struct {
	System   string    // the id of its distribution, such as debian, or windows
	Version  string    // of the system
	Format   string    // of its packages: deb, rpm, apk; "" where they have none
	Packages []Package // sorted by name, version and architecture
}

// Package is one that is installed.
type Package struct {
	Name      string
	Version   string
	Arch      string
	Epoch     string // of rpm, where it is not 0
	Publisher string
}

// ErrNoDatabase is the error of a machine whose packages cannot be listed.
var ErrNoDatabase = errors.New("the machine has neither dpkg nor rpm nor apk, so nobody knows what is installed")

// Parse reads what [Script] has printed.
func Parse(out []byte) (List, error) {
	var l List
	head, rest, _ := strings.Cut(string(out), "\n\n")
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		value = strings.Trim(value, `"'`)
		switch name {
		case "ID":
			l.System = value
		case "VERSION_ID":
			l.Version = value
		case "format":
			l.Format = value
		}
	}
	switch l.Format {
	case "deb", "rpm":
		for line := range strings.Lines(rest) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(f) < 4 {
				return l, fmt.Errorf("cannot understand the list of packages: %.100q", line)
			}
			p := Package{Name: f[1], Version: f[2], Arch: f[3]}
			switch {
			case l.Format == "rpm" && f[0] != "0" && f[0] != "(none)":
				p.Epoch = f[0]
			case l.Format == "deb" && (f[0] == "not-installed" || f[0] == "config-files"):
				continue
			}
			if p.Name != "gpg-pubkey" { // a key, which rpm keeps among its packages
				l.Packages = append(l.Packages, p)
			}
		}
	case "apk":
		for record := range strings.SplitSeq(rest, "\n\n") {
			var p Package
			for line := range strings.Lines(record) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
				switch name {
				case "P":
					p.Name = value
				case "V":
					p.Version = value
				case "A":
					p.Arch = value
				}
			}
			if p.Name != "" {
				l.Packages = append(l.Packages, p)
			}
		}
	default:
		return l, ErrNoDatabase
	}
	l.Sort()
	return l, nil
}

// Sort brings the packages into their order and leaves each once.
func (l *List) Sort() {
	slices.SortFunc(l.Packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Epoch, b.Epoch))
	})
	l.Packages = slices.Compact(l.Packages)
}

// MediaType is that of the document.
const MediaType = "application/vnd.cyclonedx+json"

type document struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Timestamp time.Time  `json:"timestamp"`
	Component *component `json:"component,omitempty"`
}

type component struct {
	Type      string `json:"type"`
	Ref       string `json:"bom-ref,omitempty"`
	Publisher string `json:"publisher,omitempty"`
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	URL       string `json:"purl,omitempty"`
}

// CycloneDX is the document of what is installed at that time.
func (l List) CycloneDX(at time.Time) ([]byte, error) {
	d := document{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Components: []component{}, Metadata: metadata{Timestamp: at.UTC().Truncate(time.Second)}}
	if l.System != "" {
		d.Metadata.Component = &component{Type: "operating-system", Name: l.System, Version: l.Version}
	}
	for _, p := range l.Packages {
		c := component{Type: "library", Name: p.Name, Version: p.Version, Publisher: p.Publisher, URL: l.url(p)}
		if c.Ref = c.URL; c.URL == "" {
			c.Type = "application"
		}
		d.Components = append(d.Components, c)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("cannot write what is installed: %w", err)
	}
	return append(text, '\n'), nil
}

// url is a package's purl.
func (l List) url(p Package) string {
	if l.Format == "" {
		return ""
	}
	space := l.System
	if space == "" {
		space = map[string]string{"deb": "debian", "rpm": "redhat", "apk": "alpine"}[l.Format]
	}
	var q []string
	add := func(name, value string) {
		if value != "" {
			q = append(q, name+"="+url.QueryEscape(value))
		}
	}
	add("arch", p.Arch)
	if l.System != "" && l.Version != "" {
		add("distro", l.System+"-"+l.Version)
	}
	add("epoch", p.Epoch)
	text := "pkg:" + l.Format + "/" + url.QueryEscape(space) + "/" + url.QueryEscape(p.Name) + "@" + url.QueryEscape(p.Version)
	if len(q) > 0 {
		text += "?" + strings.Join(q, "&")
	}
	return text
}
