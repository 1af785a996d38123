package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// heard is a sink that keeps what was told of how far something is.
type heard struct {
	events
	mu   sync.Mutex
	told []int64
}

func (h *heard) Emit(e dag.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Type == dag.Progress {
		h.told = append(h.told, e.Count)
	}
	return nil
}

func (h *heard) take() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.told
	h.told = nil
	return told
}

// Whoever waits for an image hears every 30 s how far it is, and all of a site share
// the calls for that.
func TestProgressIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // held by the test while it looks
		var calls [][]string
		var fault error
		mu.Lock()
		p, list := newProgress(), func(_ context.Context, tokens []string) (map[string]int64, error) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, tokens)
			m := map[string]int64{}
			for _, token := range tokens {
				if token != "unknown" {
					m[token] = int64(len(calls))
				}
			}
			return m, fault
		}
		join := func(token string) (*heard, func()) {
			h := &heard{}
			return h, p.watch(t.Context(), asker{dag.NewTask("run", "ready", token, h, nil), list}, token)
		}
		pass := func(d time.Duration) {
			mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
		}

		// One that is ready before it is time costs nothing.
		_, enough := join("short")
		pass(progressEvery - time.Second)
		enough()
		pass(2 * progressEvery)
		if len(calls) != 0 {
			t.Errorf("%d calls for who did not wait so long", len(calls))
		}

		h, enough := join("a")
		pass(progressEvery - time.Second)
		if len(calls) != 0 {
			t.Error("it is asked for at once")
		}
		other, leave := join("unknown")
		pass(2 * time.Second)
		if got := h.take(); !slices.Equal(got, []int64{1}) || len(calls) != 1 || !slices.Equal(calls[0], []string{"a", "unknown"}) {
			t.Errorf("told %v by the calls %v", got, calls)
		}
		fault = errors.New("a fault")
		pass(progressEvery)
		fault = nil
		leave()
		pass(progressEvery)
		if got := h.take(); !slices.Equal(got, []int64{3}) || len(other.take()) != 0 || !slices.Equal(calls[2], []string{"a"}) {
			t.Errorf("told %v by the calls %v", got, calls)
		}

		calls = nil
		var all []*heard
		for i := range 2*mostIDs + 50 {
			pass(40 * time.Millisecond)
			h, leave := join(fmt.Sprint("b", i))
			defer leave()
			all = append(all, h)
		}
		pass(progressEvery)
		told := 0
		for _, h := range all {
			told += len(h.take())
		}
		if len(calls) != 3 || told != len(all) {
			t.Errorf("%d calls told %d of %d", len(calls), told, len(all))
		}
		for _, tokens := range calls {
			if len(tokens) > mostIDs {
				t.Errorf("a call for %d", len(tokens))
			}
		}
		enough()
	})
}

// What EC2 shows of many images' snapshots is told apart by their tokens.
func TestListProgress(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	a, b := w.image("one"), w.image("another")
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action != "DescribeSnapshots" {
			return false
		}
		item := func(token, progress string) string {
			return `<item><snapshotId>snap-` + token + progress + `</snapshotId><progress>` + progress + `</progress><tagSet><item><key>` + TagToken + `</key><value>` + token + `</value></item></tagSet></item>`
		}
		page, next := item("a", "40%")+item("b", ""), `<nextToken>more</nextToken>`
		if form.Get("NextToken") == "more" {
			page, next = item("a", "81%"), ""
		}
		io.WriteString(rw, `<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><snapshotSet>`+page+`</snapshotSet>`+next+`</DescribeSnapshotsResponse>`)
		return true
	})
	if got, err := w.site().listProgress(t.Context(), []string{"a", "b", "c"}); err != nil || !maps.Equal(got, map[string]int64{"a": 60, "b": 0}) {
		t.Errorf("%v, %v", got, err)
	}
	w.front.setPlay(nil)
	if got, err := w.site().listProgress(t.Context(), []string{a.Token, b.Token, "none"}); err != nil || !maps.Equal(got, map[string]int64{a.Token: 100, b.Token: 100}) {
		t.Errorf("of the embedded EC2: %v, %v", got, err)
	}
	w.fail("DescribeSnapshots")
	if _, err := w.site().listProgress(t.Context(), []string{a.Token}); err == nil {
		t.Error("a call that fails")
	}
}
