package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

func said(text string) dag.Event {
	return dag.Event{V: dag.EventVersion, Time: time.Now(), Type: dag.Said, Text: text}
}

func printed(token, stream string, offset int64, text string) dag.Event {
	e := said(text)
	e.Type, e.Token, e.Stream, e.Offset = dag.Printed, token, stream, offset
	return e
}

func emit(t testing.TB, r *Run, events ...dag.Event) {
	t.Helper()
	for _, e := range events {
		if err := r.Emit(e); err != nil {
			t.Fatal(err)
		}
	}
}

func texts(events []dag.Event) string {
	var s []string
	for _, e := range events {
		s = append(s, e.Text)
	}
	return strings.Join(s, "|")
}

func TestEvents(t *testing.T) {
	h := home(t)
	r := create(t, h)
	nasty := "quote \" <b> & \\ \"offset\":99,\"token\":\"evil\"\u2028 \x01"
	emit(t, r, said("a"), printed("tok-1", "stdout", 10, nasty), printed("tok-1", "stderr", 4, "e"), printed("tok-1", "stdout", 25, strings.Repeat("long ", 1<<19)))
	events, next, err := h.Events(r.ID(), 0)
	if err != nil || len(events) != 4 || events[1].Text != nasty || len(events[3].Text) != 5<<19 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	emit(t, r, said("b"))
	if events, _, err = h.Events(r.ID(), next); err != nil || texts(events) != "b" {
		t.Errorf("from %d: %q, %v", next, texts(events), err)
	}
	enough, n := errors.New("enough"), 0
	if _, err := h.EachEvent(r.ID(), next, func(dag.Event) error { n++; return enough }); err != enough || n != 1 {
		t.Errorf("one at a time: %d, %v", n, err)
	}
	emitted := 0
	if _, err := h.EachEvent(r.ID(), next, func(dag.Event) error {
		if emitted++; emitted < 100 {
			emit(t, r, said("more"))
		}
		return nil
	}); err != nil || emitted != 1 {
		t.Errorf("of a run that emits as fast as it is read: %d, %v", emitted, err)
	}
	check := func(r *Run) {
		t.Helper()
		for s, want := range map[streamOf]int64{{"tok-1", "stdout"}: 25, {"tok-1", "stderr"}: 4, {"tok-2", "stdout"}: 0, {"evil", ""}: 0} {
			if got := r.Offset(s.token, s.stream); got != want {
				t.Errorf("offset of %v is %d, want %d", s, got, want)
			}
		}
	}
	check(r)
	r.Close()
	if fi, err := os.Stat(filepath.Join(dirOf(r), eventsFile)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
	check(open(t, h, r.ID()))
}

// TestTornLine cuts the event file after every byte of its last line, as a
// crash may, and drives the run on.
func TestTornLine(t *testing.T) {
	h := home(t)
	r := create(t, h)
	emit(t, r, said("first"), printed("tok", "stdout", 7, "whole"))
	path := filepath.Join(dirOf(r), eventsFile)
	whole, _ := os.ReadFile(path)
	emit(t, r, printed("tok", "stdout", 14, "torn"))
	r.Close()
	all, _ := os.ReadFile(path)
	for n := len(whole); n < len(all); n++ {
		if err := os.WriteFile(path, all[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if events, next, err := h.Events(r.ID(), 0); err != nil || texts(events) != "first|whole" || next != int64(len(whole)) {
			t.Fatalf("cut at %d, reader: %q to %d, %v", n, texts(events), next, err)
		}
		r := open(t, h, r.ID())
		if got := r.Offset("tok", "stdout"); got != 7 {
			t.Fatalf("cut at %d: offset %d", n, got)
		}
		emit(t, r, said("after"))
		r.Close()
		if events, _, err := h.Events(r.ID(), 0); err != nil || texts(events) != "first|whole|after" {
			t.Fatalf("cut at %d, driven on: %q, %v", n, texts(events), err)
		}
	}
}

func TestSpoiltLine(t *testing.T) {
	h := home(t)
	r := create(t, h)
	emit(t, r, said("a"))
	r.Close()
	f, _ := os.OpenFile(filepath.Join(dirOf(r), eventsFile), os.O_APPEND|os.O_WRONLY, 0)
	f.Write(append(make([]byte, 40), '\n'))
	f.Close()
	r = open(t, h, r.ID())
	emit(t, r, said("b"))
	events, _, err := h.Events(r.ID(), 0)
	if err != nil || len(events) != 3 || events[1].Type != dag.Warned || events[2].Text != "b" {
		t.Errorf("%+v, %v", events, err)
	}
}

// A follower waits for the rest of a line that comes in two pieces.
func TestFollowALineInPieces(t *testing.T) {
	h := home(t)
	r := create(t, h)
	got, done := make(chan string, 10), make(chan error, 1)
	go func() { done <- h.Follow(t.Context(), r.ID(), func(e dag.Event) error { got <- e.Text; return nil }) }()
	emit(t, r, said("begun"))
	if first := <-got; first != "begun" {
		t.Errorf("followed %q", first)
	}
	line, _ := json.Marshal(said("two pieces"))
	r.journal.(*files).events.f.Write(line[:20])
	time.Sleep(3 * pollEvents)
	r.journal.(*files).events.f.Write(append(line[20:], '\n'))
	emit(t, r, dag.Event{Type: dag.RunEnded, Text: "done"})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if first, last := <-got, <-got; first != "two pieces" || last != "done" {
		t.Errorf("followed %q and %q", first, last)
	}
}

func TestSecretsStaySealed(t *testing.T) {
	h := home(t)
	r := create(t, h)
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\nAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz\n-----END OPENSSH PRIVATE KEY-----\n"
	if err := r.Vault().Put("ssh-key", []byte(key)); err != nil {
		t.Fatal(err)
	}
	if err := r.Vault().Put("empty", nil); err != nil {
		t.Fatal(err)
	}
	salt, _ := r.Salt()
	failed := rec(1)
	failed.Err = "bad key AAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz"
	r.Put(failed)
	emit(t, r, said("the key is "+key), dag.Event{Type: dag.Failed, Err: "bad key AAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz"}, said("--BEGIN ok"))
	r.SetSummary(func(s *Summary) { s.Err = key })
	r.Close()

	id, err := os.ReadFile(filepath.Join(h.Dir(), identityFile))
	if err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(filepath.Join(h.Dir(), identityFile)); fi.Mode().Perm() != 0o600 {
		t.Errorf("the identity has mode %v", fi.Mode())
	}
	secret := id[bytes.Index(id, []byte("AGE-SECRET-KEY")):]
	n := 0
	filepath.WalkDir(h.Dir(), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		if d.IsDir() {
			return nil
		}
		n++
		p, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range [][]byte{[]byte("b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"), []byte("AAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz"), salt} {
			if bytes.Contains(p, s) {
				t.Errorf("%s holds the secret %q", path, s)
			}
		}
		if filepath.Base(path) != identityFile && bytes.Contains(p, bytes.TrimSpace(secret)) {
			t.Errorf("%s holds the identity", path)
		}
		return nil
	})
	if n != 4 {
		t.Errorf("%d files, want state.db, events.jsonl, run.json and identity: something was left behind", n)
	}

	r = open(t, h, r.ID())
	if got, err := r.Vault().Get("ssh-key"); err != nil || string(got) != key {
		t.Errorf("the key came back as %q, %v", got, err)
	}
	if got, err := r.Vault().Get("empty"); err != nil || len(got) != 0 {
		t.Errorf("an empty secret: %q, %v", got, err)
	}
	if _, err := r.Vault().Get("nosuch"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a secret that was never put: %v", err)
	}
	emit(t, r, said("again b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"))
	events, _, _ := h.Events(r.ID(), 0)
	if all := texts(events); strings.Contains(all, "b3Blbn") || !strings.HasSuffix(all, "again "+Redacted) {
		t.Errorf("after reopening, a secret that was taken out is shown: %s", all)
	}
	r.Close()

	// Another identity opens nothing, and says what is missing.
	other := filepath.Join(t.TempDir(), "other")
	if err := NewHome(filepath.Dir(other), nil).makeIdentity(other); err != nil {
		t.Fatal(err)
	}
	r = open(t, h.WithIdentity(other), r.ID())
	if _, err := r.Vault().Get("ssh-key"); err == nil || !strings.Contains(err.Error(), identityEnv) {
		t.Errorf("with another identity: %v", err)
	}
	if err := r.Vault().Put("mine", []byte("mine")); err != nil {
		t.Error(err)
	}
	r.Close()
	r = open(t, h.WithIdentity(filepath.Join(h.Dir(), "nosuch")), r.ID())
	if _, err := r.Vault().Get("ssh-key"); err == nil || !strings.Contains(err.Error(), identityEnv) {
		t.Errorf("without the identity: %v", err)
	}
	os.WriteFile(other, []byte("AGE-SECRET-KEY-1BROKEN\n"), 0o600)
	r.Close()
	r = open(t, h.WithIdentity(other), r.ID())
	if _, err := r.Vault().Get("ssh-key"); err == nil || strings.Contains(err.Error(), "BROKEN") {
		t.Errorf("a broken identity: %v", err)
	}
}

// TestIdentityIsMadeOnce begins many runs in a new home at once.
func TestIdentityIsMadeOnce(t *testing.T) {
	h := home(t)
	var wg sync.WaitGroup
	runs := make([]*Run, 16)
	for i := range runs {
		wg.Go(func() { runs[i] = create(t, h) })
	}
	wg.Wait()
	for _, r := range runs {
		r.Close()
		if _, err := open(t, h, r.ID()).Salt(); err != nil {
			t.Error(err)
		}
	}
}
