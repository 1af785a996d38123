package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/steps/comm"
)

// caller is a process that runs a program until it is killed; TestMain makes it of the
// test's own one.
func caller(dir string) {
	lock, err := alone(context.Background(), filepath.Join(dir, "lock"), func() {})
	if err != nil {
		panic(err)
	}
	p := program{args: []string{"sh", "-c", "echo $$ > " + dir + "/pid.new; mv " + dir + "/pid.new " + dir + "/pid; sleep 60; touch " + dir + "/late"},
		environ: os.Environ(), scratch: filepath.Join(dir, "scratch"), lock: lock}
	p.run(context.Background(), &comm.Env{Environ: os.Environ(), Dir: dir}, values{t: task(&memSink{})})
}

// awaited waits for what comes soon.
func awaited(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal(what)
		}
	}
}

func TestProgramEndsWithItsProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED: no program is run there")
	}
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "scratch"), 0o700)
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROVISION_TEST_CALLER="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaited(t, "it has not begun", func() bool { return exists("pid") })
	waited := false
	ctx, cancel := context.WithCancel(t.Context())
	_, err = alone(ctx, filepath.Join(dir, "lock"), func() { waited = true; cancel() })
	if !errors.Is(err, context.Canceled) || !waited {
		t.Fatalf("the lock is free while it runs: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	lock, err := alone(t.Context(), filepath.Join(dir, "lock"), func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if exists("scratch") || exists("late") {
		t.Error("something of it is left")
	}
	if running(t, dir+"/late") {
		t.Error("it still runs")
	}
}

func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED: no program is run there")
	}
	dir := t.TempDir()
	scratch := filepath.Join(dir, "scratch")
	os.Mkdir(scratch, 0o700)
	e := &comm.Env{Environ: os.Environ(), Dir: dir}
	sink := &memSink{}
	one, two := fmt.Sprint("70.", os.Getpid()), fmt.Sprint("710.", os.Getpid()) // seconds, as no other process has them
	p := program{args: []string{"sh", "-c", "echo out; echo bad >&2; pwd; echo \"$A\"; cat; sleep " + one + " & exit 9"}, environ: append(os.Environ(), "A=it's"), scratch: scratch}
	code, err := p.run(t.Context(), e, values{t: task(sink)})
	if err != nil || code != 9 || !strings.Contains(sink.printed(), "out\n") || !strings.Contains(sink.printed(), "bad\n") || !strings.Contains(sink.printed(), dir+"\nit's\n") {
		t.Errorf("%d, %v, %q", code, err, sink.printed())
	}
	awaited(t, "it, or who watches over it, still runs", func() bool { return !running(t, "sleep\x00"+one) && !running(t, scratch) })
	if _, err := os.Stat(scratch); err != nil {
		t.Errorf("its scratch directory went with it: %v", err)
	}
	p.args = []string{"sleep", two}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := p.run(ctx, e, values{t: task(sink)})
		ended <- err
	}()
	awaited(t, "it has not begun", func() bool { return running(t, "sleep\x00"+two) })
	cancel()
	awaited(t, "it still runs", func() bool { return !running(t, "sleep\x00"+two) && !running(t, scratch) })
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(scratch); err != nil {
		t.Errorf("its scratch directory went with it: %v", err)
	}
}
