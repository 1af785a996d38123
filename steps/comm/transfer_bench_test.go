package comm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// rounds is how often both sides of a comparison have their turn. The median
// stands for all: one round may meet other work of the machine.
const rounds = 5

// compare lets ours and theirs take turns and reports the median seconds of both
// and of their ratios. Each begins with a connection of its own.
func compare(b *testing.B, ours, theirs func() error) {
	var a, z, ratio []float64
	timed := func(f func() error) float64 {
		begun := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun).Seconds()
	}
	for b.Loop() {
		for range rounds {
			x, y := timed(ours), timed(theirs)
			a, z, ratio = append(a, x), append(z, y), append(ratio, x/y)
		}
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(a), "s")
	b.ReportMetric(median(z), "theirs-s")
	b.ReportMetric(median(ratio), "ratio")
}

// memory is a directory that no disk slows down.
func memory(b *testing.B) string {
	b.Helper()
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "imgflow-bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// prose is text that compresses about as well as source code.
func prose(n int) []byte {
	var b bytes.Buffer
	words := []string{"return", "value", "of", "the", "machine", "image", "func", "error", "if", "snapshot"}
	for i, r := 0, random(n); b.Len() < n; i++ {
		b.WriteString(words[int(r[i])%len(words)])
		b.WriteByte(" \n"[int(r[i])/128])
	}
	return b.Bytes()[:n]
}

// clientFlags make OpenSSH's own clients log in to the server.
func (s *server) clientFlags(b *testing.B) (flags []string, target string) {
	for _, name := range []string{"ssh", "scp"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(b, name)
		}
	}
	return []string{"-q", "-F", "none", "-i", s.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "Port=" + strconv.Itoa(s.port)}, user() + "@127.0.0.1"
}

func tool(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// BenchmarkTransfer compares transfers to and from a real server with what
// OpenSSH's own tools take for the same: scp for a file, tar and ssh for a tree.
// Both work in memory, take turns, and make a connection of their own each time.
func BenchmarkTransfer(b *testing.B) {
	s := sshd(b, "dash")
	flags, target := s.clientFlags(b)
	fresh := func(f func(r Remote) error) func() error {
		return func() error {
			l := newLab(b, s.machine())
			defer l.env.Close()
			return f(l.remote)
		}
	}
	for _, kind := range []struct {
		name string
		fill func(int) []byte
	}{{"random", random}, {"text", prose}} {
		dir := memory(b)
		file, got := filepath.Join(dir, "file"), filepath.Join(dir, "got")
		if err := os.WriteFile(file, kind.fill(256<<20), 0o644); err != nil {
			b.Fatal(err)
		}
		b.Run("file/"+kind.name+"/up", func(b *testing.B) {
			compare(b, fresh(func(r Remote) error {
				f, err := os.Open(file)
				if err != nil {
					return err
				}
				defer f.Close()
				return r.Upload(b.Context(), got, f, 256<<20, 0o644)
			}), func() error { return tool("scp", append(flags, file, target+":"+got)...) })
		})
		b.Run("file/"+kind.name+"/down", func(b *testing.B) {
			compare(b, fresh(func(r Remote) error {
				f, err := os.Create(got)
				if err != nil {
					return err
				}
				return errors.Join(r.Download(b.Context(), file, f), f.Close())
			}), func() error { return tool("scp", append(flags, target+":"+file, got)...) })
		})
		tree := filepath.Join(dir, "tree")
		small(b, tree, kind.fill)
		n := 0
		into := func() string { n++; return got + strconv.Itoa(n) }
		piped := func(line string, src, dst string) error {
			return tool("sh", append([]string{"-c", "src=$1 dst=$2; shift 2; mkdir $dst; " + line, "sh", src, dst}, append(flags, target)...)...)
		}
		b.Run("tree/"+kind.name+"/up", func(b *testing.B) {
			compare(b, fresh(func(r Remote) error { return r.UploadDir(b.Context(), into(), tree) }),
				func() error { return piped(`tar -C $src -cf - . | ssh "$@" "tar -C $dst -xf -"`, tree, into()) })
		})
		b.Run("tree/"+kind.name+"/down", func(b *testing.B) {
			compare(b, fresh(func(r Remote) error { return downloadDir(b.Context(), r, tree, into()) }),
				func() error { return piped(`ssh "$@" "tar -C $src -cf - ." | tar -C $dst -xf -`, tree, into()) })
		})
	}
}

// small makes a tree of 5,000 files of 2 KiB.
func small(b *testing.B, dir string, fill func(int) []byte) {
	b.Helper()
	const files, size = 5000, 2 << 10
	body := fill(files * size)
	for i := range files {
		p := filepath.Join(dir, strconv.Itoa(i%50), strconv.Itoa(i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, body[i*size:][:size], 0o644)); err != nil {
			b.Fatal(err)
		}
	}
}
