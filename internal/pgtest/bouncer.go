package pgtest

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// ErrNoBouncer is the error where PgBouncer is not installed.
var ErrNoBouncer = errors.New("PgBouncer is missing: install Debian's package pgbouncer")

//go:embed bounce.sh
var bounceScript string

// bouncing is held open for as long as the PgBouncer is to run.
//
//lint:ignore U1000 what nobody has any more is closed
var bouncing io.Closer

// bouncer is the port of the PgBouncer before the server that tests of one process share. It ends with the process.
var bouncer = sync.OnceValues(func() (port int, err error) {
	program := ""
	for _, dir := range []string{"/usr/sbin/", ""} {
		if p, err := exec.LookPath(dir + "pgbouncer"); err == nil { // Debian has it in the first
			program = p
		}
	}
	if program == "" {
		return 0, ErrNoBouncer
	}
	s, err := shared()
	if err == nil {
		port, err = freePort()
	}
	if err != nil {
		return 0, err
	}
	// So few connections that clients have to take turns at them, transaction by transaction.
	config := fmt.Sprintf(`[databases]
* = host=%s port=%d user=%s password=%s
[pgbouncer]
listen_addr = %[1]s
listen_port = %[5]d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 1000
`, host, s.port, user, s.password, port)
	args := []string{"sh", "-c", bounceScript, "bounce", program}
	if os.Getuid() == 0 {
		args = append([]string{"runuser", "-u", user, "--"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "LC_ALL=C", "CONFIG=" + config}
	if bouncing, err = cmd.StdinPipe(); err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return port, c.Close()
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("cannot start PgBouncer: %w", err)
		}
	}
})

// Bounced returns the URL of an empty database, as [Database] does, behind a PgBouncer that pools transactions. Where that is
// missing, the test is skipped, but not in CI.
func Bounced(t testing.TB) string {
	t.Helper()
	direct := Database(t)
	port, err := bouncer()
	if errors.Is(err, ErrNoBouncer) && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED: ", err)
	}
	u, perr := url.Parse(direct)
	if err = errors.Join(err, perr); err != nil {
		t.Fatal(err)
	}
	u.Host = net.JoinHostPort(host, strconv.Itoa(port))
	return u.String()
}
