package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
)

const (
	shellStep      = `[{"type": "shell", "inline": ["true"]}]`
	powershellStep = `[{"type": "powershell", "inline": ["exit 0"]}]`
)

// floodAttacks ask for more memory than there is.
func floodAttacks() []Attack {
	return append(linuxFloods(), windowsFloods()...)
}

func linuxFloods() []Attack {
	line, noise := "x", "more than 1 MiB before it runs our commands"
	return []Attack{
		{
			Name: "flood-before-frame", Does: "an rc file prints for ever, without a newline, before a script is followed",
			Linux:        &Linux{RC: func(out, _ io.Writer) { flood(out, line) }},
			Provisioners: shellStep, Fails: true, Says: []string{noise},
		},
		{
			Name: "flood-lines-before-frame", Does: "an rc file prints lines for ever",
			Linux:        &Linux{RC: func(out, _ io.Writer) { flood(out, "welcome\n") }},
			Provisioners: shellStep, Fails: true, Says: []string{noise, "welcome"},
		},
		{
			Name: "flood-errors", Does: "an rc file writes errors for ever",
			Linux:        &Linux{RC: func(_, errs io.Writer) { flood(errs, line) }},
			Provisioners: shellStep, Fails: true, Says: []string{"more than 64 MiB of errors"},
		},
		{
			Name: "flood-frame-header", Does: "the header of a frame of output has no end",
			Linux: &Linux{Run: func(r *Run) {
				io.WriteString(r, "O 0 ")
				flood(r, "1")
			}},
			Provisioners: shellStep, Fails: true, Says: []string{"a line without an end"},
		},
		{
			Name: "flood-output", Does: "a script prints 160 MiB without a newline, in one frame",
			Linux: &Linux{Run: func(r *Run) {
				const size = 160 << 20
				fmt.Fprintf(r, "O 0 %d\n", size)
				io.CopyN(r, endlessReader("x"), size)
				r.End(size)
			}},
			Provisioners: shellStep,
		},
		{
			Name: "garbled-frames", Does: "what follows a script says what makes no sense, whenever it is asked",
			Linux:        &Linux{Run: func(r *Run) { io.WriteString(r, "H\nO 5 5\nhello") }},
			Provisioners: shellStep, Fails: true, Says: []string{"cannot understand the machine's answer"},
		},
		{
			Name: "flood-run-errors", Does: "what follows a script writes errors for ever",
			Linux:        &Linux{Run: func(r *Run) { flood(r.Stderr(), line) }},
			Provisioners: shellStep, Fails: true, Says: []string{"more than 64 MiB of errors"},
		},
		{
			Name: "flood-glob", Does: "a wildcard matches names for ever",
			Linux:        &Linux{Program: answer("\nfor f in ", func(w io.Writer) { flood(w, "/out/name\x00") })},
			Provisioners: downloads("/out/*", "dl/"), Fails: true, Says: []string{"more than 4 MiB"},
		},
		{
			Name: "flood-stat", Does: "what lies at a path, without SFTP, is said without an end",
			Linux:        &Linux{NoSFTP: true, Program: answer("stat -L", func(w io.Writer) { flood(w, "1") })},
			Provisioners: downloads("/out/a", "dl/"), Fails: true, Says: []string{"more than 4 MiB"},
		},
		{
			Name: "flood-before-archive", Does: "an rc file prints for ever before an archive",
			Linux:        &Linux{Files: dirs(), RC: func(out, _ io.Writer) { flood(out, line) }},
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{noise},
		},
		{
			Name: "flood-archive-head", Does: "the line before an archive has no end",
			Linux:        &Linux{Files: dirs(), Program: answer("tar -c", func(w io.Writer) { flood(w, "1") })},
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{"archive is damaged"},
		},
		{
			Name: "no-archive", Does: "a machine says that it has sent a directory, and has sent nothing",
			Linux:        &Linux{Files: dirs(), Program: answer("tar -c", func(io.Writer) {})},
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{"archive is damaged"},
		},
		{
			Name: "spelled-no-end", Does: "a machine with neither tar nor SFTP sends a directory without its end",
			Linux:        spells(func(out io.Writer) { io.WriteString(out, "f 644 1 1 a\x00a") }),
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{"archive is damaged"},
		},
		{
			Name: "flood-archive-end", Does: "zeros follow an archive for ever",
			Linux:        &Linux{Files: dirs(), Program: answer("tar -c", func(w io.Writer) { io.WriteString(w, "0\n"); flood(w, "\x00") })},
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{"follow its end"},
		},
		{
			Name: "flood-archive-names", Does: "an archive has 100,000 links that lead out and as many directories, each in the one before it or beside it",
			Linux: &Linux{Files: dirs(), Archive: func(_ string, w *tar.Writer) {
				for i := range 100_000 {
					tarLink(w, fmt.Sprintf("l%d", i), "/etc/passwd")
					w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: fmt.Sprintf("d%d/", i%100), Mode: 0o755})
				}
			}},
			Provisioners: downloads("/out/", "dl/"), Says: []string{"more of this kind"},
		},
		{
			Name: "flood-spelled", Does: "a machine with neither tar nor SFTP sends a name without an end",
			Linux:        spells(func(out io.Writer) { flood(out, "x") }),
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{"a name without an end"},
		},
		{
			Name: "flood-spelled-files", Does: "a machine with neither tar nor SFTP sends 300,000 devices",
			Linux: spells(func(out io.Writer) {
				for range 300_000 {
					io.WriteString(out, "x 0 0 0 dev\x00")
				}
				io.WriteString(out, "end\x00")
			}),
			Provisioners: downloads("/out/", "dl/"), Says: []string{"more of this kind"},
		},
		{
			Name: "flood-listing", Does: "a machine without tar lists files by SFTP for ever",
			Linux: &Linux{NoTar: true, Files: &Files{
				Stat: dirs().Stat,
				Each: func(n int64) fs.FileInfo { return Info{fmt.Sprint(n), 0o644, 0} },
			}},
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{"more than 4 MiB to say what"},
		},
		{
			Name: "flood-tree", Does: "a machine without tar lists a thousand directories in each directory",
			Linux: &Linux{NoTar: true, Files: &Files{Stat: dirs().Stat, List: func(string) (list []fs.FileInfo) {
				for i := range 1000 {
					list = append(list, Info{fmt.Sprintf("d%d", i), fs.ModeDir | 0o755, 0})
				}
				return list
			}}},
			Provisioners: downloads("/out/", "dl/"), Fails: true, Says: []string{"more than 100000 files"},
		},
		{
			Name: "flood-file", Does: "a file that is said to be empty has no end",
			Linux: &Linux{Files: &Files{
				Stat: func(string) (fs.FileInfo, error) { return Info{"a", 0o644, 0}, nil },
				Open: func(string) io.ReaderAt { return endless("x") },
			}},
			Provisioners: downloads("/out/a", "dl/"), Fails: true, Says: []string{"more than 4 MiB"},
		},
		{
			Name: "flood-file-growing", Does: "a file of 10 bytes goes on for ever",
			Linux: &Linux{Files: &Files{
				Stat: func(string) (fs.FileInfo, error) { return Info{"a", 0o644, 10}, nil },
				Open: func(string) io.ReaderAt { return endless("x") },
			}},
			Provisioners: downloads("/out/a", "dl/"),
		},
	}
}

func windowsFloods() []Attack {
	return []Attack{
		{
			Name: "windows-flood-noise", Does: "a profile prints for ever, without a newline, before our script answers",
			Windows: &Windows{Profile: func(w io.Writer) { flood(w, "x") }},
			Fails:   true, Says: []string{"without an end"},
		},
		{
			Name: "windows-flood-lines", Does: "a profile prints lines for ever",
			Windows: &Windows{Profile: func(w io.Writer) { flood(w, "welcome\r\n") }},
			Fails:   true, Says: []string{"more than 1 MiB before it runs our commands"},
		},
		{
			Name: "windows-flood-answer", Does: "the names that a wildcard matches have no end",
			Windows: &Windows{Answer: says("Get-Item -Path", func(w io.Writer) {
				io.WriteString(w, "R ")
				flood(w, "QUFB")
			})},
			Provisioners: downloads(`C:\\out\\*`, "dl/"), Fails: true, Says: []string{"without an end"},
		},
		{
			Name: "windows-flood-command", Does: "a command that tells whether a restart is over prints for ever",
			Windows: &Windows{Command: func(_ string, w io.Writer) int {
				flood(w, "x")
				return 0
			}},
			Provisioners: `[{"type": "windows-restart", "restart_check_command": "echo back"}]`,
			Fails:        true, Says: []string{"more than 4 MiB"},
		},
		{
			Name: "windows-flood-output", Does: "a script prints 80 MiB without a newline",
			Windows: &Windows{Answer: says("{ prepare }", func(w io.Writer) {
				const part, size = 60 << 10, 80 << 20
				text := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), part))
				io.WriteString(w, "B 1000 0 1000\n")
				for at := 0; at < size; at += part {
					if _, err := fmt.Fprintf(w, "O %d %s\n", at, text); err != nil {
						return
					}
				}
				io.WriteString(w, "S 0 0\nA\n")
			})},
			Provisioners: powershellStep,
		},
		{
			Name: "windows-flood-line", Does: "a line of a script's output has no end on its way",
			Windows: &Windows{Answer: says("{ prepare }", func(w io.Writer) {
				io.WriteString(w, "B 1000 0 1000\nO 0 ")
				flood(w, "QUFB")
			})},
			Provisioners: powershellStep, Fails: true, Says: []string{"without an end"},
		},
		{
			Name: "windows-garbled", Does: "what follows a script says what makes no sense, whenever it is asked",
			Windows:      &Windows{Answer: says("{ prepare }", func(w io.Writer) { io.WriteString(w, "B 1000 0 1000\nO 5 aGVsbG8=\n") })},
			Provisioners: powershellStep, Fails: true, Says: []string{"cannot understand the machine's answer"},
		},
		{
			Name: "windows-flood-links", Does: "a directory has 100,000 links that are left out",
			Windows: &Windows{Answer: says("N isfile", func(w io.Writer) {
				io.WriteString(w, strings.Repeat("W bGluaw==\n", 100_000)+"N none\n")
			})},
			Provisioners: downloads(`C:\\out\\dir`, "dl/"), Fails: true, Says: []string{"99980 more of this kind"},
		},
		{
			Name: "windows-flood-file", Does: "a file of 10 bytes goes on for ever",
			Windows: &Windows{Answer: says("N isfile", func(w io.Writer) {
				io.WriteString(w, "I 10 1\n")
				flood(w, "F QUFBQUFB\n")
			})},
			Provisioners: downloads(`C:\\out\\a`, "dl/"), Fails: true, Says: []string{"more than the 10 bytes"},
		},
		{
			Name: "windows-flood-directory", Does: "an archive lists 300,000 files",
			Windows: &Windows{Fetch: func(string, bool) []byte {
				var b bytes.Buffer
				w := zip.NewWriter(&b)
				for i := range 300_000 {
					w.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i)})
				}
				w.Close()
				return b.Bytes()
			}},
			Provisioners: downloads(`C:\\out\\dir`, "dl/"), Fails: true, Says: []string{"more files than one archive may list"},
		},
		{
			Name: "windows-flood-body", Does: "an answer of the service has no end",
			Windows: &Windows{Reply: func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
				flood(w, "<a>")
				return true
			}},
			Builder: `"winrm_timeout": "10s", `, Fails: true, Says: []string{"more than 1 MiB"},
		},
		{
			Name: "windows-flood-elements", Does: "an answer of the service is a million elements, each in the one before it",
			Windows: &Windows{Reply: func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
				io.WriteString(w, "<Envelope><Body>"+strings.Repeat("<a>", 1<<20/3-10))
				return true
			}},
			Builder: `"winrm_timeout": "10s", `, Fails: true, Says: []string{"too many elements"},
		},
		{
			Name: "windows-flood-headers", Does: "an answer's headers have no end",
			Windows: &Windows{Reply: func(w http.ResponseWriter, r *http.Request) bool {
				c, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return true
				}
				defer c.Close()
				io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
				flood(c, "x")
				return true
			}},
			Builder: `"winrm_timeout": "10s", `, Fails: true, Says: []string{"headers"},
		},
	}
}

// answer answers the programs that hold a text, and only those.
func answer(of string, say func(w io.Writer)) func(string, io.Writer, io.Writer) (int, bool) {
	return func(text string, out, _ io.Writer) (int, bool) {
		if !strings.Contains(text, of) {
			return 0, false
		}
		say(out)
		return 0, true
	}
}

// says answers the scripts that hold a text, and only those.
func says(of string, say func(w io.Writer)) func(string, io.Writer) bool {
	return func(script string, out io.Writer) bool {
		if !strings.Contains(script, of) {
			return false
		}
		say(out)
		return true
	}
}

// endlessReader is a text without an end.
func endlessReader(pattern string) io.Reader {
	return io.NewSectionReader(endless(pattern), 0, 1<<62)
}
