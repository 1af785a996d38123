package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/imgflow/imgflow/internal/nettest"
)

// The test binary is the server when this is set to its directory.
const serverVar = "LOCAL_TEST_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverVar); dir != "" {
		os.Exit(serve(dir))
	}
	os.Exit(m.Run())
}

// serve answers until the last lease ends.
func serve(dir string) int {
	if os.Getenv("LOCAL_TEST_BROKEN") != "" {
		fmt.Println("cannot serve: there is no room")
		return 1
	}
	release, err := Own(dir)
	if errors.Is(err, ErrLocked) {
		return LockedStatus
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer release()
	key, err := EnsureKey(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ended := make(chan bool)
	var mu sync.Mutex
	held := 0
	http.HandleFunc(leasePath, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Signature="+key.Secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		held++ // before the answer: who has it may give the lease back at once
		mu.Unlock()
		w.Header().Set(proofHeader, key.proof(r))
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		mu.Lock()
		defer mu.Unlock()
		if held--; held == 0 {
			close(ended)
		}
	})
	go http.Serve(l, nil)
	if err := Announce(dir, Server{PID: os.Getpid(), Addr: l.Addr().String(), Settings: Settings{Guest: os.Getenv("LOCAL_TEST_GUEST")}}); err != nil {
		fmt.Println(err)
		return 1
	}
	<-ended
	return 0
}

// sign stands for a signature that only the key can make.
func sign(r *http.Request, k Key) error {
	r.Header.Set("Authorization", "Signature="+k.Secret)
	return nil
}

func command(dir string, env ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(append(os.Environ(), serverVar+"="+dir), env...)
		return cmd
	}
}

func TestJoinSharesOneServer(t *testing.T) {
	dir := t.TempDir()
	const n = 5
	leases := make([]*Lease, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { leases[i], errs[i] = Join(context.Background(), dir, Settings{}, sign, command(dir)) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
		if leases[i].PID != leases[0].PID || leases[i].Addr != leases[0].Addr {
			t.Errorf("two servers: %+v, %+v", leases[0].Server, leases[i].Server)
		}
	}
	if _, err := Own(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("the directory of a server can be owned: %v", err)
	}
	for _, l := range leases {
		l.Close()
	}
}

func TestJoinReplacesADeadServer(t *testing.T) {
	dir := t.TempDir()
	gone := nettest.Closed().String()
	if err := Announce(dir, Server{PID: 1, Addr: gone}); err != nil {
		t.Fatal(err)
	}
	lease, err := Join(context.Background(), dir, Settings{}, sign, command(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	if lease.Addr == gone || !lease.Started {
		t.Errorf("joined %+v", lease)
	}
}

func TestJoinRefusesAServerWithOtherSettings(t *testing.T) {
	dir := t.TempDir()
	l, err := Join(context.Background(), dir, Settings{Guest: "process"}, sign, command(dir, "LOCAL_TEST_GUEST=process"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Join(context.Background(), dir, Settings{Guest: "sandbox"}, sign, command(dir))
	if err == nil || !strings.Contains(err.Error(), "--guest=sandbox") || !strings.Contains(err.Error(), "with --guest=process") {
		t.Errorf("got %v", err)
	}
	same, err := Join(context.Background(), dir, Settings{}, sign, command(dir))
	if err != nil || same.PID != l.PID {
		t.Fatalf("without a wish: %v", err)
	}
	same.Close()
}

func TestJoinTellsWhyAServerDoesNotStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Join(context.Background(), dir, Settings{}, sign, command(dir, "LOCAL_TEST_BROKEN=1"))
	if err == nil || !strings.Contains(err.Error(), "there is no room") {
		t.Errorf("got %v", err)
	}
	// What earlier servers printed is no part of the cause.
	if err := os.WriteFile(filepath.Join(dir, logFile), []byte("an old line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Join(context.Background(), dir, Settings{}, sign, command(dir, "LOCAL_TEST_BROKEN=1"))
	if err == nil || !strings.Contains(err.Error(), "there is no room") || strings.Contains(err.Error(), "an old line") {
		t.Errorf("got %v", err)
	}
}

// TestJoinTrustsNobodyElse listens where a server was, as another user may, and
// answers as it would. It gets neither the lease nor a call.
func TestJoinTrustsNobodyElse(t *testing.T) {
	dir := t.TempDir()
	if _, err := EnsureKey(dir); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set(proofHeader, Key{"EC2LOCAL", "guessed"}.proof(r))
	}))
	defer other.Close()
	addr := strings.TrimPrefix(other.URL, "http://")
	if err := Announce(dir, Server{PID: 1, Addr: addr}); err != nil {
		t.Fatal(err)
	}
	lease, err := Join(context.Background(), dir, Settings{}, sign, command(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	if asked.Load() == 0 || lease.Addr == addr || !lease.Started {
		t.Errorf("joined %+v, after %d questions", lease.Server, asked.Load())
	}
}

func TestKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadKey(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("before there is one: %v", err)
	}
	k, err := EnsureKey(dir)
	if err != nil || len(k.ID) < 16 || len(k.Secret) < 40 {
		t.Fatalf("%+v, %v", k, err)
	}
	if again, err := EnsureKey(dir); err != nil || again != k {
		t.Errorf("%+v, then %+v, %v", k, again, err)
	}
	if other, err := EnsureKey(t.TempDir()); err != nil || other == k {
		t.Errorf("two directories have %+v, %v", other, err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED: who else may read the key: Windows has other rights of files")
	}
	path := KeyPath(dir)
	if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o600 {
		t.Errorf("its file: %v, %v", fi.Mode(), err)
	}
	refused := func(why string) {
		t.Helper()
		if _, err := EnsureKey(dir); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %q", err, why)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		refused("others may read it")
	}
	if err := os.WriteFile(path, []byte("[default]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o600)
	refused("there is none")
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		refused("it belongs to user 65534")
	}
	os.Remove(path)
	if err := os.Symlink("/dev/zero", path); err != nil {
		t.Fatal(err)
	}
	refused("is not a file")
}
