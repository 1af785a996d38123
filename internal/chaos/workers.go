package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Where the steps are done by another process, imgflow starts one when there is a step
// to do, and again when that has come to its end. It is killed as imgflow is, at
// moments that the seed decides.

// workersFile is where the imgflow that was started last notes its workers.
func (w *world) workersFile() string { return w.path("workers") }

// worker is the process that does the steps of an imgflow now; 0 if there is none.
func (w *world) worker(p *proc) int {
	text, err := os.ReadFile(w.workersFile())
	ids := strings.Fields(string(text))
	if err != nil || len(ids) == 0 || !p.alive() {
		return 0
	}
	var id, parent int
	if _, err := fmt.Sscan(ids[len(ids)-1], &id); err != nil {
		return 0
	}
	// Its number may be another's by now.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	var state string
	if _, err := fmt.Sscan(after, &state, &parent); err != nil || parent != p.cmd.Process.Pid || state == "Z" {
		return 0
	}
	return id
}

// killWorker kills the process that does the steps of an imgflow, if there is one.
func (w *world) killWorker(p *proc) bool {
	if w.crew != nil {
		return w.crew.lose() == nil
	}
	id := w.worker(p)
	worker, err := os.FindProcess(id)
	return id != 0 && err == nil && worker.Kill() == nil
}

// loseWorkers kills the workers of an imgflow at the moments of the plan. What it
// returns waits until it will kill no more, which is when imgflow has ended.
func (o *outcome) loseWorkers(w *world, p *proc) (wait func()) {
	if !w.workers && w.crew == nil || o.started >= len(o.Losses) {
		return func() {}
	}
	blows := o.Losses[o.started]
	o.started++
	done := make(chan int)
	go func() {
		lost := 0
		defer func() { done <- lost }()
		for _, b := range blows {
			if !p.printed(patience, func(lines []string) bool { return len(lines) >= b.Lines }) {
				return
			}
			select {
			case <-p.ended:
				return
			case <-time.After(b.After):
			}
			if w.killWorker(p) {
				lost++
			}
		}
	}()
	return func() { o.lost += <-done }
}

// do runs an imgflow whose workers are killed, but not itself.
func (o *outcome) do(w *world, args ...string) (code int, output string, err error) {
	p, err := w.start(nil, args...)
	if err != nil {
		return 0, "", err
	}
	defer o.loseWorkers(w, p)()
	err = p.wait(patience)
	return p.code(), p.output(), err
}
