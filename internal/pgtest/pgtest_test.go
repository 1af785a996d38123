package pgtest

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func mustQuery(t *testing.T, s *Server, url, sql string) string {
	t.Helper()
	out, err := s.query(url, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.TrimSpace(string(out))
}

func TestWhatWasCommittedOutlivesTheServer(t *testing.T) {
	s := New(t)
	db, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	mustQuery(t, s, db, "create table kept as select 1 as n")
	for _, end := range []func() error{s.Kill, s.Stop} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if out, err := s.query(db, "select 1"); err == nil {
			t.Errorf("it answers after its end: %s", out)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if got := mustQuery(t, s, db, "select n from kept"); got != "1" {
			t.Errorf("kept is %q", got)
		}
	}
}

func TestItIsReachedFromHereAndWithThePasswordAlone(t *testing.T) {
	s := New(t)
	if got := mustQuery(t, s, s.URL("postgres"), "select current_setting('listen_addresses') || current_setting('unix_socket_directories')"); got != host {
		t.Errorf("it listens at %q", got)
	}
	u, err := url.Parse(s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "wrong")
	if out, err := s.query(u.String(), "select 1"); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("with a wrong password: %v, %s", err, out)
	}
}

func TestDatabasesAreFresh(t *testing.T) {
	a, b := Database(t), Database(t)
	s, _ := shared()
	mustQuery(t, s, a, "create table one (n int)")
	if got := mustQuery(t, s, b, "select count(*) from pg_tables where tablename = 'one'"); a == b || got != "0" {
		t.Errorf("%d databases, the second with %s tables of the first", len(map[string]bool{a: true, b: true}), got)
	}
}

// TestItEndsWithItsStarter: a process that is killed leaves neither a server nor files.
func TestItEndsWithItsStarter(t *testing.T) {
	if os.Getenv("PGTEST_CHILD") != "" {
		s, err := Run()
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("dir=" + mustQuery(t, s, s.URL("postgres"), "show data_directory") + "\n")
		select {}
	}
	if _, err := programs(); errors.Is(err, ErrMissing) {
		need(t, err)
	}
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), "PGTEST_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<10)
	n, _ := out.Read(buf)
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(buf[:n])), "dir=")
	if !ok {
		t.Fatalf("the child says %q", buf[:n])
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Dir(dir)); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	if _, err := Run("no_such_setting=1"); !errors.Is(err, ErrMissing) && (err == nil || !strings.Contains(err.Error(), "no_such_setting")) {
		t.Errorf("it says %v", err)
	}
}
