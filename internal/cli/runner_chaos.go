//go:build chaos && unix

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/worker"
)

// Only programs that were built to be broken have their steps done by another process:
// where IMGFLOW_WORKERS names a file, to which each worker adds a line with its id.
const (
	workersFile = "IMGFLOW_WORKERS"
	workerArg   = "worker"
)

// stepRunner has the steps done by this program as another process. That has neither
// the environment nor the working directory of this one, nor anything of its home.
func stepRunner() func(*app.Handover) dag.Runner {
	file := os.Getenv(workersFile)
	if file == "" {
		return nil
	}
	return func(h *app.Handover) dag.Runner {
		return worker.New(h, func() *exec.Cmd {
			exe, err := os.Executable()
			if err != nil {
				exe = os.Args[0]
			}
			cmd := exec.Command(exe, workerArg)
			cmd.Env, cmd.Dir = []string{workersFile + "=" + file}, "/"
			return cmd
		})
	}
}

// asWorker reports whether this process was one that does the steps of another. An
// interrupt of the terminal is that one's to understand.
func asWorker() bool {
	file := os.Getenv(workersFile)
	if len(os.Args) != 2 || os.Args[1] != workerArg || file == "" {
		return false
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
		f.Close()
	}
	if err == nil {
		err = worker.Serve(os.Stdin, os.Stdout, newWorld)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
	return true
}
