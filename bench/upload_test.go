package main

import (
	"bytes"
	crand "crypto/rand"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packer-community/winrmcp/winrmcp"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/winguest"
	"github.com/imgflow/imgflow/steps/comm"
)

const (
	benchUser     = "Administrator"
	benchPassword = "SuperS3cr3t!!!!"

	// A network as between two zones of a region: nothing is for nothing there.
	benchDelay = 5 * time.Millisecond
)

// road is the way to a machine. It counts what goes there, and each request takes
// a while.
type road struct {
	addr     string
	requests atomic.Int64
	sent     atomic.Int64
}

func newRoad(t testing.TB, to string) *road {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{addr: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			go func() { r.carry(far, near); far.Close() }()
			go func() { io.Copy(near, far); near.Close() }()
		}
	}()
	return r
}

// carry looks for the lines with which requests begin; a client writes such a
// line at once.
func (r *road) carry(far, near net.Conn) {
	b := make([]byte, 256<<10)
	for {
		n, err := near.Read(b)
		r.sent.Add(int64(n))
		if bytes.HasPrefix(b[:n], []byte("POST /wsman")) {
			r.requests.Add(1)
			time.Sleep(benchDelay)
		}
		if _, werr := far.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// cost is what one upload took.
type cost struct{ seconds, requests, sent float64 }

// measure runs an upload as often as the benchmark wants. Each time it is given
// another name.
func (r *road) measure(b *testing.B, size int64, upload func(b *testing.B, name string)) cost {
	requests, sent, n := r.requests.Load(), r.sent.Load(), 0
	b.SetBytes(size)
	for b.Loop() {
		n++
		upload(b, fmt.Sprintf("%s-%d", strings.ToLower(crand.Text()), n))
	}
	c := cost{b.Elapsed().Seconds() / float64(n), float64(r.requests.Load()-requests) / float64(n), float64(r.sent.Load()-sent) / float64(n)}
	b.ReportMetric(c.seconds, "s/upload")
	b.ReportMetric(c.requests, "requests/upload")
	b.ReportMetric(c.sent/(1<<20), "MiB-sent/upload")
	return c
}

// against reports how many times less than another way this one costs, each for
// so many MiB or files.
func (c cost) against(b *testing.B, other cost, each float64) {
	if other.seconds == 0 {
		return // it was not run
	}
	b.ReportMetric(other.seconds*each/c.seconds, "times-faster")
	b.ReportMetric(other.requests*each/c.requests, "times-fewer-requests")
	b.ReportMetric(other.sent*each/c.sent, "times-fewer-bytes")
}

// benchFiles is a folder of files of 5 KiB on average that cannot be compressed.
func benchFiles(t testing.TB, n int) (dir string, size int64) {
	t.Helper()
	dir = t.TempDir()
	for i := range n {
		k := 1 + i*10240/n // winrmcp does not know empty files
		size += int64(k)
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(i%10)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i%10), fmt.Sprint(i)), noise(k), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, size
}

// noise is data that cannot be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// silence keeps nothing of what a step says.
type silence struct{}

func (silence) Emit(dag.Event) error        { return nil }
func (silence) Sync() error                 { return nil }
func (silence) Offset(string, string) int64 { return 0 }
func (silence) Break([]byte, int) int       { return 0 }

// machine is a Windows machine with WinRM as templates set it up: where it is
// reached by HTTP and HTTPS, and where its drive is.
func machine(t testing.TB) (plain, secure, drive string) {
	t.Helper()
	dir := t.TempDir()
	m, err := winguest.Open(dir, winguest.Spec{Release: winguest.ReleaseOf("2019"), Name: "BENCH", Addr: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Stop(); m.Close() })
	ports, err := m.TakePorts(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Boot(winguest.Boot{}); err != nil {
		t.Fatal(err)
	}
	cert, err := m.NewCertificate("", []string{"BENCH"}, time.Time{}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		m.ChangeAccount(benchUser, func(a *winguest.Account) { a.Password = benchPassword }),
		m.SetWinRM("service", map[string]string{"AllowUnencrypted": "true"}),
		m.SetWinRM("service/auth", map[string]string{"Basic": "true"}),
		m.AddListener(winguest.Listener{Transport: "https", Thumbprint: cert.Thumbprint}),
		m.AddFirewallRule(winguest.Rule{Name: "https", Display: "https", Enabled: true, Protocol: "tcp", LocalPort: "5986", RemoteAddr: "any"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.ChangeFirewallRules(func(r winguest.Rule) bool { return r.Display == "Windows Remote Management (HTTP-In)" }, func(r *winguest.Rule) { r.RemoteAddr = "any" }); err != nil {
		t.Fatal(err)
	}
	at := func(service string) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[service])) }
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", at("winrms")); err == nil {
			c.Close()
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	return at("winrm"), at("winrms"), filepath.Join(dir, "c")
}

// winrmcp, which Packer uses, can upload to the embedded Windows: hundreds of
// commands that append base64 to a file.
func TestWinrmcp(t *testing.T) {
	plain, secure, drive := machine(t)
	data := noise(100_000)
	for name, at := range map[string]string{"plain": plain, "secure": secure} {
		c, err := winrmcp.New(at, &winrmcp.Config{Auth: winrmcp.Auth{User: benchUser, Password: benchPassword}, Https: at == secure, Insecure: true,
			OperationTimeout: time.Minute, MaxOperationsPerShell: 15})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Write(`C:\Windows\Temp\`+name, bytes.NewReader(data)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(filepath.Join(drive, "Windows", "Temp", name)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes arrived of %d, or others: %v", name, len(got), len(data), err)
		}
	}
}

// BenchmarkUpload compares uploads with those of winrmcp, which Packer uses, to
// the same machine over the same road. What would take winrmcp minutes it is
// given less of, and compared by the MiB or by the file.
//
//	go test -run '^$' -bench Upload/ .
func BenchmarkUpload(b *testing.B) {
	addr, _, drive := machine(b)
	r := newRoad(b, addr)
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		b.Fatal(err)
	}
	var n int
	fmt.Sscan(port, &n)
	env := comm.NewEnv(nil)
	b.Cleanup(func() { env.Close() })
	task := dag.NewTask("run", "step", "bench"+strings.ToLower(crand.Text()), silence{}, func(string) (string, error) { return "", nil })
	ours, err := env.Remote(task, comm.Machine{Endpoint: comm.Endpoint{Protocol: "winrm", Host: host, Port: n}, WinRM: comm.WinRM{Username: benchUser, Password: dag.Secret(benchPassword)}})
	if err != nil {
		b.Fatal(err)
	}
	theirs, err := winrmcp.New(r.addr, &winrmcp.Config{Auth: winrmcp.Auth{User: benchUser, Password: benchPassword}, OperationTimeout: time.Minute, MaxOperationsPerShell: 15})
	if err != nil {
		b.Fatal(err)
	}
	arrived := func(b *testing.B, name string, data []byte) {
		b.Helper()
		got, err := os.ReadFile(filepath.Join(drive, name))
		if err != nil || !bytes.Equal(got, data) {
			b.Fatalf("%s arrived as %d bytes of %d, or others: %v", name, len(got), len(data), err)
		}
	}
	file := func(data []byte, up func(dst string) error) func(*testing.B, string) {
		return func(b *testing.B, name string) {
			if err := up(`C:\` + name); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			arrived(b, name, data)
			b.StartTimer()
		}
	}
	folder := func(src string, up func(dst string) error) func(*testing.B, string) {
		return func(b *testing.B, name string) {
			if err := up(`C:\` + name); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			files, err := filepath.Glob(filepath.Join(src, "*", "*"))
			if err != nil || len(files) == 0 {
				b.Fatal("no files", err)
			}
			for _, f := range files {
				data, err := os.ReadFile(f)
				if err != nil {
					b.Fatal(err)
				}
				arrived(b, filepath.Join(name, strings.TrimPrefix(f, src)), data)
			}
			b.StartTimer()
		}
	}
	// The first connection is not an upload's.
	if _, _, err := ours.Exec(b.Context(), "ver", nil); err != nil {
		b.Fatal(err)
	}
	var mib, dir cost
	data := noise(1 << 20)
	b.Run("1MiB/winrmcp", func(b *testing.B) {
		mib = r.measure(b, 1<<20, file(data, func(dst string) error { return theirs.Write(dst, bytes.NewReader(data)) }))
	})
	for _, size := range []int{1, 10} {
		b.Run(fmt.Sprintf("%dMiB/imgflow", size), func(b *testing.B) {
			data := noise(size << 20)
			r.measure(b, int64(len(data)), file(data, func(dst string) error {
				return ours.Upload(b.Context(), dst, bytes.NewReader(data), int64(len(data)), 0o644)
			})).against(b, mib, float64(size))
		})
	}
	const few, many = 20, 1000
	b.Run(fmt.Sprintf("%dfiles/winrmcp", few), func(b *testing.B) {
		src, size := benchFiles(b, few)
		dir = r.measure(b, size, folder(src, func(dst string) error { return theirs.Copy(src, dst) }))
	})
	for _, n := range []int{few, many} {
		b.Run(fmt.Sprintf("%dfiles/imgflow", n), func(b *testing.B) {
			src, size := benchFiles(b, n)
			r.measure(b, size, folder(src, func(dst string) error { return ours.UploadDir(b.Context(), dst, src) })).
				against(b, dir, float64(n)/few)
		})
	}
}
