package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// A browser has six connections to a host. However many pages it has open, each sees what is new,
// and one more can be loaded; the page of another browser is not sent away for them.
func TestPagesTakeTurns(t *testing.T) {
	x := newSite(t)
	run := x.started("web")
	path := "/runs/" + run.ID()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other := x.messages(ctx, path+"/stream", "Cookie", x.door.cookie+"="+x.door.session+".another")
	until(t, other, "waiting")
	browser := &http.Client{Jar: x.Jar, Transport: &http.Transport{MaxConnsPerHost: 6}, Timeout: 30 * time.Second}
	var pages []<-chan string
	for range 10 {
		pages = append(pages, x.page(ctx, browser, path+"/stream"))
	}
	for _, p := range pages {
		until(t, p, "waiting")
	}
	x.emit(run, dag.Event{Type: dag.Started, Step: "shell", Key: keyOf(0), Token: "t0", Builds: []string{"web"}})
	for _, p := range pages {
		until(t, p, "1</b> running")
	}
	resp, err := browser.Get(x.url + path)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("one more page: %v", err)
	}
	resp.Body.Close()
	until(t, other, "1</b> running")
	cancel()
	for range 200 {
		x.turns.mu.Lock()
		left := len(x.turns.of)
		x.turns.mu.Unlock()
		if left == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("turns of those who went away are left")
}

// A turn is not over before its page had one look, however long that takes; then it says when to ask again.
func TestEachTurnHasALook(t *testing.T) {
	x := newSite(t)
	ask := func() (answer *httptest.ResponseRecorder, look, over chan struct{}) {
		answer, look, over = httptest.NewRecorder(), make(chan struct{}), make(chan struct{})
		began := make(chan struct{}, 1)
		go func() {
			defer close(over)
			x.stream(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), func(ctx context.Context) ([]byte, string, error) {
				began <- struct{}{}
				select {
				case <-look:
					return []byte("what is new"), "", nil
				case <-ctx.Done():
					return nil, "", ctx.Err()
				}
			})
		}()
		<-began
		return answer, look, over
	}
	answer, look, over := ask()
	for range atOnce {
		ask()
	}
	close(look)
	<-over
	if got := answer.Body.String(); got != "data: what is new\n\nevent: turn\nretry: 2000\ndata:\n\n" {
		t.Errorf("it got %q", got)
	}
}

// page is what a page gets that asks for its stream again when that has ended.
func (x *site) page(ctx context.Context, browser *http.Client, path string) <-chan string {
	ch := make(chan string, 1000)
	go func() {
		defer close(ch)
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.url+path, nil)
			if err != nil {
				return
			}
			resp, err := browser.Do(req)
			if err != nil {
				return
			}
			var b strings.Builder
			for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
				b.WriteString(sc.Text() + "\n")
				if sc.Text() == "" {
					ch <- b.String()
					b.Reset()
				}
			}
			resp.Body.Close()
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return ch
}
