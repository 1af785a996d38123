package cli

import (
	"context"
	"os"
	"syscall"
	"testing"
)

func TestInterrupts(t *testing.T) {
	first, exited := make(chan os.Signal, 1), make(chan bool, 1)
	in := catchInterrupts(context.Background(), func(s os.Signal) { first <- s }, func() { exited <- true })
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Skipf("NOT TESTED: how imgflow is interrupted: this system has no such signal: %v", err)
	}
	<-in.context().Done()
	if s := <-first; s != syscall.SIGTERM {
		t.Errorf("first got %v", s)
	}
	in.noHurry()
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-exited
	in.stop()
}
