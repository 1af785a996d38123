package guest

import (
	"fmt"
	"strings"
	"time"
)

// Imported is a root file system of a user's own that sandbox guests of one
// system stand on, instead of on the host's directories.
type Imported struct {
	ID      string    `json:"id"`                // of the system, as images say it: amzn
	Version string    `json:"version,omitempty"` // of the system; "": any that has no root of its own
	Title   string    `json:"title,omitempty"`   // PRETTY_NAME of its /etc/os-release
	Layer   string    `json:"layer"`
	Made    time.Time `json:"made"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`    // of what is in its files
	LeftOut int       `json:"left_out"` // devices, pipes and sockets

	Guests []string `json:"guests,omitempty"` // that stand on it; not kept
	Layers int      `json:"layers,omitempty"` // of images and snapshots that do; not kept
}

// Name is what a user calls it by: amzn:2, or debian for any version.
func (i Imported) Name() string {
	if i.Version == "" {
		return i.ID
	}
	return i.ID + ":" + i.Version
}

// systemNamed is the system that a name means.
func systemNamed(name string) (id, version string, err error) {
	id, version, colon := strings.Cut(name, ":")
	if !systemWord(id) || colon && !systemWord(version) {
		return "", "", fmt.Errorf("%q names no system: it must be ID or ID:VERSION as in /etc/os-release, such as amzn:2", name)
	}
	return id, version, nil
}

// systemWord tells whether s can be ID or VERSION_ID of an os-release file, as
// os-release(5) allows them.
func systemWord(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// rootFor chooses what a guest of a release stands on; nil: the host's
// directories.
func rootFor(all []Imported, r Release) *Imported {
	var other *Imported
	for i, m := range all {
		switch {
		case m.ID != r.ID:
		case m.Version == r.Version:
			return &all[i]
		case m.Version == "":
			other = &all[i]
		}
	}
	return other
}

// rootLayer begins the names of layers that were imported. What a guest on
// rootfs-NAME freezes is called NAME.SOMETHING, so that a name alone tells which
// root it stands on.
const rootLayer = "rootfs-"

func isImported(layer string) bool { return strings.HasPrefix(layer, rootLayer) }

// importedRoot is the imported root file system that layers end with, or "".
func importedRoot(layers []string) string {
	if n := len(layers); n > 0 && isImported(layers[n-1]) {
		return layers[n-1]
	}
	return ""
}

// layerOn names a layer that a guest with the root freezes; root may be "".
func layerOn(root string) string {
	if root == "" {
		return newLayerID()
	}
	return strings.TrimPrefix(root, rootLayer) + "." + newLayerID()
}

// standsOn tells whether a layer was frozen by a guest on the root.
func standsOn(layer, root string) bool {
	return strings.HasPrefix(layer, strings.TrimPrefix(root, rootLayer)+".") && !strings.HasSuffix(layer, unfinished)
}

// unfinished ends the name of a layer that is being made.
const unfinished = ".new"
