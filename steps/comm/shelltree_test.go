package comm

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a machine sends without tar is refused or left out like what it packs.
func TestSpelled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sent, refused, arrives string }{
		{"a file", "f 644 1 5 ./a\x00" + evil + "end\x00", "", "a"},
		{"out", "f 644 1 5 ../a\x00" + evil + "end\x00", "leads out of the directory", ""},
		{"absolute", "f 644 1 5 /a\x00" + evil + "end\x00", "leads out of the directory", ""},
		{"through a link", "f 644 1 5 old/a\x00" + evil + "end\x00", "escapes", ""},
		{"a link out", "l 777 0 0 l\x00../outside\x00end\x00", "", ""},
		{"no end", "f 644 1 5 a\x00" + evil, "connection was lost", "a"},
		{"a short file", "f 644 1 9 a\x00" + evil, "cut short", ""},
		{"more", "end\x00end\x00", "more follows its end", ""},
		{"a name without an end", strings.Repeat("x", 2*maxFrame), "a name without an end", ""},
		{"a link without an end", "l 777 0 0 l\x00" + strings.Repeat("x", 2*maxFrame), "a name without an end", ""},
		{"a long name", "d 755 0 0 " + strings.Repeat("x/", maxDepth+1) + "\x00end\x00", "longer or deeper", ""},
		{"a negative size", "f 644 1 -5 a\x00end\x00", "it has the line", ""},
		{"no mode", "f 8 1 5 a\x00end\x00", "it has the line", ""},
		{"no kind", "tar: a\x00end\x00", "it has the line", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			err := newUnpacker(t, b.root).readShellTree(strings.NewReader(tt.sent))
			if tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("%v, want %q", err, tt.refused)
			}
			b.unharmed()
			if es, err := os.ReadDir(b.dst); err != nil || tt.arrives == "" && len(es) != 1 {
				t.Errorf("arrived: %v %v", es, err)
			}
			if tt.arrives != "" {
				if got, err := os.ReadFile(filepath.Join(b.dst, tt.arrives)); err != nil || string(got) != evil {
					t.Errorf("%q %v", got, err)
				}
			}
		})
	}
}

// FuzzSpelled: FuzzArchive for what comes without tar.
func FuzzSpelled(f *testing.F) {
	for _, tt := range hostile {
		for _, a := range archives(tt.text) {
			var w bytes.Buffer
			for _, h := range a.entries {
				switch h.Typeflag {
				case tar.TypeReg:
					fmt.Fprintf(&w, "f 644 1 %d %s\x00%s", h.Size, h.Name, evil)
				case tar.TypeDir:
					fmt.Fprintf(&w, "d 755 1 0 %s\x00", h.Name)
				case tar.TypeSymlink:
					fmt.Fprintf(&w, "l 777 0 0 %s\x00%s\x00", h.Name, h.Linkname)
				default:
					fmt.Fprintf(&w, "x 0 0 0 %s\x00", h.Name)
				}
			}
			w.WriteString("end\x00")
			f.Add(w.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := newBox(t)
		newUnpacker(t, x.root).readShellTree(bytes.NewReader(b))
		x.unharmed()
	})
}
