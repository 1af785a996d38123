package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A run that workers build is suspended from any machine, by its name or because there is no other; who follows it is told, and
// it goes on from anywhere.
func TestSuspendFromElsewhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	template := b.slow("echo step began; sleep 20; echo step ended")
	b.worker("one")
	if out := b.output(2, b.machine("other", "suspend")); !strings.Contains(out, "workers build 0 runs") {
		t.Errorf("without a run it says %s", out)
	}
	cmd, out := b.begin(template)
	b.await(out, "step began")
	run := b.newest()
	if said := b.output(0, b.machine("other", "suspend")); !strings.Contains(said, "Run "+run+" is suspended") || !strings.Contains(said, "imgflow-fleet resume "+run) {
		t.Errorf("it says %s", said)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Contains(out.String(), "step ended") || !strings.Contains(out.String(), "imgflow-fleet resume "+run) {
		t.Errorf("who has followed it is told (%d)\n%s", code, out.String())
	}
	if said := b.output(0, b.machine("other", "suspend", run)); !strings.Contains(said, "is not under way") {
		t.Errorf("a second time it says %s", said)
	}
	// A submitter that was killed leaves the run to the workers.
	again := b.machine("other", "resume", run)
	more := new(lockedBuffer)
	again.Stdout, again.Stderr = more, more
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	b.await(more, "shell")
	again.Process.Signal(syscall.SIGKILL)
	again.Wait()
	logs := b.output(0, b.machine("third", "logs", "-f", run))
	if strings.Count(logs, "step began") != 1 || strings.Count(logs, "step ended") != 1 {
		t.Errorf("it was gone on with as\n%s", logs)
	}
	if said := b.output(0, b.machine("third", "suspend", run)); !strings.Contains(said, "not under way") {
		t.Errorf("of a run that has ended it says %s", said)
	}
}

// A run whose workers are gone, or all of its version, is taken back by whoever suspends, resumes or destroys it.
func TestARunWithoutWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	worker, _ := b.saying("one", "--deployment", "builds")
	cmd, out := b.begin(b.slow("echo step began; sleep 20; echo step ended"))
	b.await(out, "step began")
	run := b.newest()
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	worker.Process.Signal(syscall.SIGKILL)
	worker.Wait()
	if said := b.output(0, b.machine("other", "suspend", run)); !strings.Contains(said, "is not under way") || !strings.Contains(said, "imgflow-fleet resume "+run) {
		t.Errorf("it says %s", said)
	}
	b.worker("two", "--deployment", "builds")
	if said := b.output(0, b.machine("other", "destroy", "--yes", run)); strings.Contains(said, "cannot") {
		t.Errorf("it says %s", said)
	}
}

// Who follows a run, and is late to hear that it was given up, takes nothing back of what somebody else has begun with it
// since. A removal that was begun where there is no worker is begun again by the next one.
func TestARunIsNotTakenFromAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	worker, _ := b.saying("one")
	cmd, out := b.begin(b.slow("echo step began; sleep 20; echo step ended"))
	b.await(out, "step began")
	run := b.newest()
	worker.Process.Signal(syscall.SIGKILL)
	worker.Wait()
	b.output(0, b.machine("other", "suspend", run))
	destroy := b.machine("other", "destroy", "--yes", run)
	said := new(lockedBuffer)
	destroy.Stdout, destroy.Stderr = said, said
	if err := destroy.Start(); err != nil {
		t.Fatal(err)
	}
	b.await(said, "No worker of "+b.engine+" is there")
	cmd.Wait() // it gives up ten seconds after the suspend
	time.Sleep(time.Second)
	if err := destroy.Process.Signal(syscall.SIGKILL); err != nil || strings.Contains(said.String(), "cannot") {
		t.Fatalf("the removal has ended before there was a worker: %v\n%s", err, said.String())
	}
	destroy.Wait()
	b.worker("two")
	if said := b.output(0, b.machine("other", "destroy", "--yes", run)); strings.Contains(said, "cannot") {
		t.Errorf("it says %s", said)
	}
}
