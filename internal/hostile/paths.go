package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"strings"
)

// driving is a text that drives a terminal: an 8-bit sequence in two halves, one
// that sets the title, one that clears, and a change of direction.
const driving = "\xc2\x1e\x9b32J\x1b]0;title\x07\x1b[2J\u202e"

// pathAttacks try to write outside of the destination of a download, or to leave a
// link there that leads out.
func pathAttacks() []Attack {
	return []Attack{
		{
			Name: "glob-parent", Does: "a wildcard matches the name /out/..",
			Linux: &Linux{
				Glob:    []string{"/out/.."},
				Files:   dirs(),
				Archive: func(_ string, w *tar.Writer) { tarFile(w, "victim", "not yours\n") },
			},
			Provisioners: downloads("/out/*", "dl/"),
			Fails:        true,
			Says:         []string{`"/out/.."`},
		},
		{
			Name: "glob-contents", Does: "a wildcard matches the contents of a directory with a link out, and what lies below the link",
			Linux: &Linux{
				Glob: []string{"/out/a/", "/out/x"}, Files: dirs(),
				Archive: byDir("/out/a/", chain),
			},
			Provisioners: downloads("/out/*", "dl/"),
			Fails:        true,
			Says:         []string{`"/out/a/"`},
		},
		{
			Name: "link-chain", Does: "a link whose text stays inside leads out through another one; the next source lies below it",
			Linux:        &Linux{Files: dirs(), Archive: byDir("/out/a/", chain)},
			Provisioners: `[{"type": "file", "direction": "download", "sources": ["/out/a/", "/out/x"], "destination": "dl/"}]`,
			Says:         []string{"not downloaded: x is a symbolic link"},
		},
		{
			Name: "link-up", Does: "a link out lies where the next provisioner puts a file",
			Linux: &Linux{Files: &Files{Stat: func(p string) (fs.FileInfo, error) {
				if strings.HasPrefix(p, "/out") {
					return Info{"out", fs.ModeDir | 0o755, 0}, nil
				}
				return Info{"victim", 0o644, int64(len(shortFile))}, nil
			}}, Archive: func(_ string, w *tar.Writer) {
				tarDir(w, "d")
				tarDir(w, "d/e")
				tarLink(w, "d/e/l", "..")
				tarLink(w, "logs", "d/e/l/../../outside")
			}},
			Provisioners: downloads("/out/", "dl/", "/log/victim", "dl/logs/victim"),
			Says:         []string{"not downloaded: logs is a symbolic link"},
		},
		{
			Name: "link-made-to-lead-out", Does: "a link leads out as soon as a directory on its way is made as a link",
			Linux: &Linux{Files: dirs(), Archive: byDir("/out/a/", func(w *tar.Writer) {
				tarLink(w, "x", "a/b/../outside")
				tarLink(w, "a/b", "..")
			})},
			Provisioners: `[{"type": "file", "direction": "download", "sources": ["/out/a/", "/out/x"], "destination": "dl/"}]`,
			Says:         []string{"not downloaded: x is a symbolic link"},
		},
		{
			Name: "hard-link-to-a-link", Does: "a hard link moves a link to where its text leads out",
			Linux: &Linux{Files: dirs(), Archive: byDir("/out/a/", func(w *tar.Writer) {
				tarDir(w, "a")
				tarLink(w, "a/l", "../outside")
				w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "a/l"})
			})},
			Provisioners: `[{"type": "file", "direction": "download", "sources": ["/out/a/", "/out/x"], "destination": "dl/"}]`,
			Says:         []string{"not downloaded: x is a symbolic link"},
		},
		{
			Name: "archive-parent", Does: "an archive holds the name ../victim",
			Linux:        &Linux{Files: dirs(), Archive: func(_ string, w *tar.Writer) { tarFile(w, "../victim", "not yours\n") }},
			Provisioners: downloads("/out/", "dl/"),
			Fails:        true,
			Says:         []string{"../victim", "leads out of the directory"},
		},
		{
			Name: "archive-devices", Does: "an archive holds devices, fifos and a program with the rights of its owner",
			Linux: &Linux{Files: dirs(), Archive: func(_ string, w *tar.Writer) {
				for i, kind := range []byte{tar.TypeChar, tar.TypeBlock, tar.TypeFifo} {
					w.WriteHeader(&tar.Header{Typeflag: kind, Name: "special" + string(rune('0'+i)), Devmajor: 8, Mode: 0o666})
				}
				w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "program", Mode: 0o6755})
			}},
			Provisioners: downloads("/out/", "dl/"),
			Says:         []string{"not downloaded: special0 is neither"},
		},
		{
			Name: "terminal-names", Does: "names of files and ends of links drive the terminal of who is told of them, with two bytes that join when a third is dropped, too",
			Linux: &Linux{Files: dirs(), Archive: func(_ string, w *tar.Writer) {
				w.WriteHeader(&tar.Header{Typeflag: tar.TypeFifo, Name: driving, Mode: 0o666, Format: tar.FormatGNU})
				w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "l" + driving, Linkname: "/" + driving, Format: tar.FormatGNU})
			}},
			Provisioners: downloads("/out/", "dl/"),
			Says:         []string{"is neither", "is a symbolic link"},
		},
		{
			Name: "sftp-names", Does: "a machine without tar lists the name ../victim by SFTP",
			Linux: &Linux{NoTar: true, Files: &Files{
				Stat: func(p string) (fs.FileInfo, error) { return Info{"out", fs.ModeDir | 0o755, 0}, nil },
				List: func(string) []fs.FileInfo { return []fs.FileInfo{Info{"../victim", 0o644, 5}} },
			}},
			Provisioners: downloads("/out/", "dl/"),
		},
		{
			Name: "sftp-endless-depth", Does: "a machine without tar lists a directory in each directory, and one without a name",
			Linux: &Linux{NoTar: true, Files: &Files{
				Stat: func(p string) (fs.FileInfo, error) { return Info{"out", fs.ModeDir | 0o755, 0}, nil },
				List: func(string) []fs.FileInfo { return []fs.FileInfo{Info{"", fs.ModeDir | 0o755, 0}} },
			}},
			Provisioners: downloads("/out/", "dl/"),
			Fails:        true,
			Says:         []string{"cannot be the name of a file"},
		},
		{
			Name: "spelled-names", Does: "a machine with neither tar nor SFTP makes links out of the destination, and sends the file ../victim",
			Linux: spells(func(out io.Writer) {
				io.WriteString(out, "l 777 0 0 ./l\x00../..\x00f 644 1 9 ./l/victim\x00not yoursf 644 1 9 ../victim\x00not yoursend\x00")
			}),
			Provisioners: downloads("/out/", "dl/"),
			Fails:        true,
			Says:         []string{"not downloaded: ./l is a symbolic link", "../victim"},
		},
		{
			Name: "windows-glob-parent", Does: `a wildcard matches the name C:\out\..`,
			Windows:      &Windows{Glob: []string{`C:\out\..`}, Stat: func(string) string { return `{"dir":true}` }, Fetch: archived("victim")},
			Provisioners: downloads(`C:\\out\\*`, "dl/"),
			Fails:        true,
			Says:         []string{`C:\\out\\..`},
		},
		{
			Name: "windows-archive-parent", Does: `an archive holds the name ..\victim`,
			Windows:      &Windows{Fetch: archived(`..\victim`)},
			Provisioners: downloads(`C:\\out\\dir`, "dl/"),
			Fails:        true,
			Says:         []string{`..\\victim`},
		},
		{
			Name: "windows-archive-drive", Does: `an archive holds the name C:\victim`,
			Windows:      &Windows{Fetch: archived(`C:\victim`)},
			Provisioners: downloads(`C:\\out\\dir`, "dl/"),
			Fails:        true,
			Says:         []string{`C:\\victim`},
		},
	}
}

// chain leads out of the destination, each link by its text not.
func chain(w *tar.Writer) {
	for _, d := range []string{"a", "a/b", "a/b/c"} {
		tarDir(w, d)
	}
	tarLink(w, "a/b/c/l", "../../..")
	tarLink(w, "x", "a/b/c/l/../outside")
}

// byDir has an archive with links for one directory, and for all others one with a
// victim.
func byDir(dir string, links func(w *tar.Writer)) func(string, *tar.Writer) {
	return func(asked string, w *tar.Writer) {
		if asked == dir {
			links(w)
			return
		}
		tarFile(w, "victim", "not yours\n")
	}
}

// downloads are provisioners, each of a source and its destination.
func downloads(pairs ...string) string {
	var steps []string
	for i := 0; i < len(pairs); i += 2 {
		steps = append(steps, `{"type": "file", "direction": "download", "source": "`+pairs[i]+`", "destination": "`+pairs[i+1]+`"}`)
	}
	return "[" + strings.Join(steps, ", ") + "]"
}

func tarFile(w *tar.Writer, name, text string) {
	w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))})
	w.Write([]byte(text))
}

func tarDir(w *tar.Writer, name string) {
	w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
}

func tarLink(w *tar.Writer, name, to string) {
	w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777})
}

// archived is a zip archive with one file, whatever directory is fetched.
func archived(name string) func(string, bool) []byte {
	return func(string, bool) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		if f, err := w.CreateHeader(&zip.FileHeader{Name: name}); err == nil {
			f.Write([]byte("not yours\n"))
		}
		w.Close()
		return b.Bytes()
	}
}
