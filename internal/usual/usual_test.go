package usual

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func named(names ...string) []string { return names }

// looks are those at something that takes so long, with the last one late by lag.
func looks(s Span, takes time.Duration) (n int, lag time.Duration) {
	var at time.Duration
	for n = 1; at < takes; n++ {
		at += s.Next(at)
	}
	return n, at - takes
}

func TestLooks(t *testing.T) {
	sec := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for _, tt := range []struct {
		name  string
		span  Span
		takes float64
		most  int     // looks
		lag   float64 // seconds
	}{
		{"at once", Span{}, 0, 1, 0},
		{"at once, where it took a minute", Span{sec(59), sec(65), true}, 0, 1, 0},
		{"soon, where it took a minute", Span{sec(59), sec(65), true}, 0.5, 2, 1},
		{"as ever", Span{sec(59), sec(65), true}, 61.9, 12, 0.8},
		{"as ever, a short one", Span{sec(15.6), sec(17.2), true}, 16.4, 12, 0.25},
		{"sooner", Span{sec(59), sec(65), true}, 31, 5, 15},
		{"sooner, and never seen", Span{sec(56), sec(170), false}, 31, 7, 26},
		{"just before it usually is", Span{sec(59), sec(65), true}, 58, 6, 1.1},
		{"later", Span{sec(59), sec(65), true}, 80, 30, 4},
		{"much later", Span{sec(59), sec(65), true}, 3600, 400, 10},
		{"never seen, quick", Span{sec(40), sec(170), false}, 0.3, 4, 0.4},
		{"never seen", Span{sec(40), sec(170), false}, 61.9, 30, 2},
		{"never seen, as published of a launch", Span{sec(6.5), sec(18), false}, 7.3, 9, 0.4},
		{"never seen, as published of a stop", Span{sec(15), sec(60), false}, 16.4, 9, 0.5},
		{"never seen, as published of an image", Span{sec(56), sec(170), false}, 61.9, 10, 1.9},
		{"never seen, slow", Span{sec(40), sec(170), false}, 167, 65, 5.1},
	} {
		n, lag := looks(tt.span, sec(tt.takes))
		if n > tt.most || lag > sec(tt.lag) {
			t.Errorf("%s: %d looks, %s late; want at most %d and %gs", tt.name, n, lag, tt.most, tt.lag)
		}
	}
	for range 10_000 { // it goes on, whatever the span says
		lo := rand.N(maxTime)
		s := Span{lo, lo + rand.N(maxTime) - maxTime/2, rand.N(2) == 0}
		if elapsed := rand.N(2 * maxTime); s.Next(elapsed) <= 0 || s.Next(elapsed) > maxTime {
			t.Fatalf("%+v after %s: %s", s, elapsed, s.Next(elapsed))
		}
	}
}

func TestTimesAreLearned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "times.json")
	published := Span{Lo: 40 * time.Second, Hi: 170 * time.Second}
	a, b := Open(path), Open(path)
	if got := a.Of(named("image"), published); got != published {
		t.Errorf("nothing was learned, and yet %+v", got)
	}
	a.Note(named("image"), 62*time.Second)
	if got := a.Of(named("image"), published); !got.Known || got.Lo >= 62*time.Second || got.Lo < 50*time.Second || got.Hi <= 62*time.Second || got.Hi > 75*time.Second {
		t.Errorf("after 62 s: %+v", got)
	}
	b.Note(named("stop"), 16*time.Second)
	b.Note(named("image"), 60*time.Second)
	for _, x := range []*Times{a, b, a} { // the second time there is nothing to save
		if err := x.Save(); err != nil {
			t.Fatal(err)
		}
	}
	c := Open(path)
	if got := fmt.Sprint(c.things); got != "[{image [60 62]} {stop [16]}]" && got != "[{stop [16]} {image [60 62]}]" {
		t.Errorf("saved %s", got)
	}
	for range 5 {
		c.Note(named("image"), 61*time.Second)
	}
	c.Note(named("image"), time.Hour)
	c.Note(named("image"), 0)
	if got := c.Of(named("image"), published); got.Lo < 55*time.Second || got.Hi > 100*time.Second && got.Hi < time.Hour {
		t.Errorf("odd ones count: %+v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".times-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	var none *Times
	none.Note(named("x"), 1)
	if none.Of(named("x"), published) != published || none.Save() != nil {
		t.Error("no times know something")
	}
}

// What is not known by its own name is expected as what is alike, within wider
// bounds; what was noted is known by each of its names, the closest above all.
func TestTimesOfWhatIsAlike(t *testing.T) {
	path := filepath.Join(t.TempDir(), "times.json")
	earlier := `[{"what":"image here","seconds":[62]}]` // of a version that knew this name alone
	if err := os.WriteFile(path, []byte(earlier), 0o600); err != nil {
		t.Fatal(err)
	}
	a := Open(path)
	published := Span{Lo: time.Second, Hi: time.Hour}
	small, large := named("image here 8 GiB", "image here"), named("image here 500 GiB", "image here")
	wide := a.Of(small, published)
	if !wide.Known || wide.Lo > 50*time.Second || wide.Hi < 74*time.Second || wide.Hi > 80*time.Second {
		t.Errorf("by the wider name alone: %+v", wide)
	}
	a.Note(small, 60*time.Second)
	a.Note(large, 600*time.Second)
	if got := a.Of(small, published); got.Lo < 53*time.Second || got.Hi > 67*time.Second {
		t.Errorf("of a small one: %+v", got)
	}
	if got := a.Of(large, published); got.Lo < 530*time.Second || got.Hi > 670*time.Second {
		t.Errorf("of a large one: %+v", got)
	}
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	b := Open(path)
	if got := b.Of(named("image here"), published); got.Lo > 60*time.Second || got.Hi < 600*time.Second {
		t.Errorf("of all, in another process: %+v", got)
	}
	if got := b.Of(named("image here 100 GiB", "image there"), published); got != published {
		t.Errorf("of what nobody has seen: %+v", got)
	}
}

func TestTimesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "times.json")
	a := Open(path)
	for i := range 3 * maxThings {
		for range 2 * maxTimes {
			a.Note(named(fmt.Sprintf("%0*d", maxName, i)), maxTime)
		}
	}
	if n := len(a.things[0].Seconds); n != maxTimes {
		t.Errorf("%d times are in memory, want %d", n, maxTimes)
	}
	a.Note(named(strings.Repeat("x", maxName+1)), time.Second)
	a.Note(named("never"), -time.Second)
	a.Note(named("never"), maxTime+1)
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Size() > maxThings*maxBytes {
		t.Fatalf("%v, %v", st, err)
	}
	b := Open(path)
	if len(b.things) != maxThings || len(b.things[0].Seconds) != maxTimes || !strings.HasSuffix(b.things[0].What, fmt.Sprint(3*maxThings-1)) {
		t.Errorf("%d things, the first %+v", len(b.things), b.things[0])
	}
}

// A file that is no good is as good as none, and is replaced.
func TestFileIsNotTrusted(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"no JSON":       "{",
		"another form":  `{"image": 3}`,
		"no numbers":    `[{"what": "image", "seconds": ["a"]}]`,
		"huge numbers":  `[{"what": "image", "seconds": [1e300, -5, 172801]}]`,
		"too long":      `[{"what": "image", "seconds": [62]}]` + strings.Repeat(" ", maxThings*maxBytes),
		"a long name":   `[{"what": "` + strings.Repeat("x", maxName+1) + `", "seconds": [1]}]`,
		"without times": `[{"what": "image"}]`,
	} {
		path := filepath.Join(t.TempDir(), "times.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a := Open(path)
		if len(a.things) > 0 {
			t.Errorf("%s: %v", name, a.things)
		}
		a.Note(named("image"), time.Minute)
		if err := a.Save(); err != nil || len(Open(path).things) != 1 {
			t.Errorf("%s: %v is not replaced", name, err)
		}
	}
	a := Open(filepath.Join(t.TempDir(), "none", "times.json"))
	a.Note(named("x"), time.Second)
	if a.Save() == nil {
		t.Error("saved where there is no directory")
	}
}
