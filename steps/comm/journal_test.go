package comm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// somewhere is a sink whose file a later one finds again.
func somewhere(t *testing.T) (s *fileSink, again func() *fileSink) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	again = func() *fileSink {
		s, err := openSink(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.f.Close() })
		return s
	}
	return again(), again
}

func mustJournal(t *testing.T, task *dag.Task, token string) *journal {
	t.Helper()
	j, err := newJournal(task, token)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// A later process knows how a run has ended, and in which boot it began.
func TestExitSaved(t *testing.T) {
	t.Parallel()
	for _, x := range []Exit{
		{}, {Code: 255}, {Code: 137, Signal: 9, OOM: true}, {Truncated: true}, {Rebooted: true}, {Unread: true},
		{Code: 0x10000}, {Code: -1}, {Code: -1 << 31}, {Code: 1<<31 - 1}, {Code: exitControlC, Rebooted: true}, // of Windows
	} {
		sink, again := somewhere(t)
		j := mustJournal(t, dagTask("a", sink), "a-1")
		if _, ok := j.finished(); ok || j.boot() != 0 {
			t.Error("finished before the beginning")
		}
		if err := j.begun("boot"); err != nil {
			t.Fatal(err)
		}
		if j = mustJournal(t, dagTask("a", again()), "a-1"); j.boot() != bootNumber("boot") {
			t.Errorf("it began in boot %d", j.boot())
		}
		if _, ok := j.finished(); ok {
			t.Error("finished before the end")
		}
		if err := j.finish(x); err != nil {
			t.Fatal(err)
		}
		if got, ok := j.finished(); !ok || got != x {
			t.Errorf("%+v, want %+v", got, x)
		}
		j = mustJournal(t, dagTask("a", again()), "a-1")
		if got, ok := j.finished(); !ok || got != x || j.boot() != bootNumber("boot") {
			t.Errorf("%+v, want %+v, in boot %d", got, x, j.boot())
		}
		if _, ok := mustJournal(t, dagTask("a", again()), "a-2").finished(); ok {
			t.Error("another job of the task has ended, too")
		}
	}
}

// What is saved is in order with what is printed: wherever the process dies, a run
// that has printed something is known to have begun, and of one that is known to have
// ended every line is there.
func TestSavedInOrder(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	l := newLab(t, s.machine())
	var order []string
	l.sink.on = func(e dag.Event) {
		if e.Type == dag.Printed {
			order = append(order, e.Stream)
		}
	}
	l.sink.synced = func() { order = append(order, "sync") }
	if x := l.mustRun(t, l.job("echo one; echo two; printf three; exit 4")); x != (Exit{Code: 4}) {
		t.Fatal(x)
	}
	if got := strings.Join(order, " "); got != "saved/run stdout stdout stdout sync saved/run" {
		t.Errorf("kept in the order %s", got)
	}
}

// A run whose beginning or end cannot be saved is the machine's still, and goes on
// from there.
func TestSaveFails(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	for _, which := range []int{1, 2} {
		l := newLab(t, s.machine())
		count := filepath.Join(t.TempDir(), "count")
		j, saves := l.job("echo x >>"+count+"; seq 1 100; exit 2"), 0
		l.sink.fail = func(e dag.Event) error {
			if strings.HasPrefix(e.Stream, "saved/") {
				if saves++; saves == which {
					return errors.New("disk full")
				}
			}
			return nil
		}
		if _, err := l.remote.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Fatalf("save %d: %v", which, err)
		}
		l.sink.fail = nil
		sink, err := openSink(l.log)
		if err != nil {
			t.Fatal(err)
		}
		next := newLab(t, s.machine())
		next.task = dagTask(l.task.Token, sink)
		next.task.Resumed = true
		next.remote, _ = next.env.Remote(next.task, s.machine())
		if x := next.mustRun(t, j); x != (Exit{Code: 2}) {
			t.Errorf("save %d: %+v", which, x)
		}
		if got := len(printed(t, l.log, "stdout")); got != 100 {
			t.Errorf("save %d: %d lines", which, got)
		}
		if b, _ := os.ReadFile(count); string(b) != "x\n" {
			t.Errorf("save %d: started %d times", which, len(b)/2)
		}
	}
}

// A run of an imgflow that printed what is saved now goes on.
func TestPrintedState(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]Exit{
		1:                     {},
		4:                     {Code: 3},
		256:                   {Code: 255},
		138 | 9<<16 | 1<<32:   {Code: 137, Signal: 9, OOM: true},
		1 | 2<<32:             {Truncated: true},
		1 | 4<<32:             {Rebooted: true},
		1 | 16<<32:            {Unread: true},
		1 | 7<<32:             {OOM: true, Truncated: true, Rebooted: true},
		0xffff:                {Code: 0xfffe},
		0x10000 | 8<<32:       {Code: 0x10000}, // 8: the code fills all 32 bits
		0xffffffff | 8<<32:    {Code: -1},
		1<<31 | 8<<32:         {Code: -1 << 31},
		0x40010004 | 8<<32:    {Code: exitShutdown},
		70000 | 2<<32 | 8<<32: {Code: 70000, Truncated: true},
	} {
		sink, again := somewhere(t)
		old := dagTask("a", sink)
		if err := old.Print("exit-boot/1", bootNumber("boot"), ""); err != nil {
			t.Fatal(err)
		}
		j := mustJournal(t, dagTask("a", again()), "a-1")
		if _, ok := j.finished(); ok || j.boot() != bootNumber("boot") {
			t.Errorf("begun: finished %v, boot %d", ok, j.boot())
		}
		if err := old.Print("exit/1", n, ""); err != nil {
			t.Fatal(err)
		}
		j = mustJournal(t, dagTask("a", again()), "a-1")
		if got, ok := j.finished(); !ok || got != want || j.boot() != bootNumber("boot") {
			t.Errorf("%#x: %+v, want %+v", n, got, want)
		}
	}
}

// A state that cannot be read is no run that never began.
func TestSavedDamage(t *testing.T) {
	sink, _ := somewhere(t)
	task := dagTask("a", sink)
	if err := task.Save("run", "text"); err != nil {
		t.Fatal(err)
	}
	if _, err := newJournal(task, "a"); err == nil {
		t.Error("no error")
	}
}
