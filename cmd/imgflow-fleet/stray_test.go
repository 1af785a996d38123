package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/temporaltest"
)

// A submitter that is killed when it has said that the engine drives the run, and has not told the engine, leaves a run
// that is shown as running, until a worker has looked twice; then it can be gone on with.
func TestASubmitterDiesBeforeItHasSubmitted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	template := b.template()
	asked, open := make(chan struct{}), new(atomic.Bool)
	plain := new(http.Protocols)
	plain.SetUnencryptedHTTP2(true)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: b.server.Address})
	proxy.Transport = &http.Transport{Protocols: plain}
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !open.Load() && strings.HasSuffix(r.URL.Path, "/StartWorkflowExecution") {
			close(asked)
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	front.Config.Protocols = plain
	front.Config.ErrorLog = proxy.ErrorLog
	front.Start()
	defer front.Close()

	slow := "temporal://" + front.Listener.Addr().String() + "/" + temporaltest.Namespace
	cmd := b.machine("me", "run", "--on", slow, "-var", "word=hunTer2", template)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(commandTime):
		t.Error("the engine was not asked")
	}
	cmd.Process.Kill()
	cmd.Wait()
	run := b.newest()
	if list := b.output(0, b.machine("other", "list")); !strings.Contains(list, "running") {
		t.Errorf("at first it is not shown as running:\n%s", list)
	}

	// Its workers know the engine by the same address, at which a run can be begun by now.
	open.Store(true)
	worker := b.machine("one", "worker", "--on", slow, "--dir", b.dir+"/one/files")
	said := new(lockedBuffer)
	worker.Stdout, worker.Stderr = said, said
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { worker.Process.Kill(); worker.Wait() }()
	b.await(said, "is given back; imgflow-fleet resume "+run)
	if list := b.output(0, b.machine("other", "list")); !strings.Contains(list, "interrupted") {
		t.Errorf("it is shown as\n%s", list)
	}
	if away := b.output(0, b.machine("other", "resume", "--frozen", run)); !strings.Contains(away, "These images were made") {
		t.Errorf("it goes on with\n%s", away)
	}
}
