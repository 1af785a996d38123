package hostile

import "archive/tar"

// pathAttacks try to write outside of the destination of a download.
func pathAttacks() []Attack {
	return []Attack{
		{
			Name: "glob-parent", Does: "a wildcard matches the name /out/..",
			Linux: &Linux{
				Glob:    []string{"/out/.."},
				Files:   dirs(),
				Archive: func(_ string, w *tar.Writer) { tarFile(w, "victim", "not yours\n") },
			},
			Provisioners: download("/out/*", "dl/"),
			Fails:        true,
			Says:         []string{`"/out/.."`},
		},
	}
}

// download is a provisioner that fetches a source.
func download(source, destination string) string {
	return `[` + downloadStep(source, destination) + `]`
}

func downloadStep(source, destination string) string {
	return `{"type": "file", "direction": "download", "source": "` + source + `", "destination": "` + destination + `"}`
}

func tarFile(w *tar.Writer, name, text string) {
	w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))})
	w.Write([]byte(text))
}

func tarLink(w *tar.Writer, name, to string) {
	w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777})
}
