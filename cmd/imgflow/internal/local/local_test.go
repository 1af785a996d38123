package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ended := make(chan bool)
	var mu sync.Mutex
	held := 0
	http.HandleFunc(leasePath, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		mu.Lock()
		held++
		mu.Unlock()
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
		wg.Go(func() { leases[i], errs[i] = Join(context.Background(), dir, Settings{}, command(dir)) })
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := l.Addr().String()
	l.Close()
	if err := Announce(dir, Server{PID: 1, Addr: gone}); err != nil {
		t.Fatal(err)
	}
	lease, err := Join(context.Background(), dir, Settings{}, command(dir))
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
	l, err := Join(context.Background(), dir, Settings{Guest: "process"}, command(dir, "LOCAL_TEST_GUEST=process"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Join(context.Background(), dir, Settings{Guest: "sandbox"}, command(dir))
	if err == nil || !strings.Contains(err.Error(), "--guest=sandbox") || !strings.Contains(err.Error(), "with --guest=process") {
		t.Errorf("got %v", err)
	}
	same, err := Join(context.Background(), dir, Settings{}, command(dir))
	if err != nil || same.PID != l.PID {
		t.Fatalf("without a wish: %v", err)
	}
	same.Close()
}

func TestJoinTellsWhyAServerDoesNotStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Join(context.Background(), dir, Settings{}, command(dir, "LOCAL_TEST_BROKEN=1"))
	if err == nil || !strings.Contains(err.Error(), "there is no room") {
		t.Errorf("got %v", err)
	}
	// What earlier servers printed is no part of the cause.
	if err := os.WriteFile(filepath.Join(dir, logFile), []byte("an old line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Join(context.Background(), dir, Settings{}, command(dir, "LOCAL_TEST_BROKEN=1"))
	if err == nil || !strings.Contains(err.Error(), "there is no room") || strings.Contains(err.Error(), "an old line") {
		t.Errorf("got %v", err)
	}
}
