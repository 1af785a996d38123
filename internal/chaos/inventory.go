package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// thing is one thing that exists in an embedded EC2.
type thing struct {
	Kind    string // such as instance, image, key-pair
	ID      string
	Region  string
	Account string // of another one than the builds'
	Name    string
	State   string
	Default bool // every account has it
}

func (t thing) String() string {
	return strings.TrimSpace(strings.Join([]string{t.Kind, t.ID, t.Name, t.State}, " "))
}

// lives tells whether an instance exists and is not on its way out.
func (t thing) lives() bool { return t.State != "terminated" && t.State != "shutting-down" }

// inventory is all that exists but for what every account has, whether calls can
// see it yet or not. Terminated instances stay in it for a while.
type inventory []thing

// of are the things of a kind.
func (inv inventory) of(kind string) (ts []thing) {
	for _, t := range inv {
		if t.Kind == kind {
			ts = append(ts, t)
		}
	}
	return ts
}

// living are the instances that are not on their way out.
func (inv inventory) living() []thing {
	return slices.DeleteFunc(inv.of("instance"), func(t thing) bool { return !t.lives() })
}

// inventory asks the endpoint for all that there is.
func (e *endpoint) inventory() (inventory, error) {
	res, err := e.ask("inventory")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot list what exists: the endpoint answers %s", res.Status)
	}
	var all struct{ Items inventory }
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("cannot list what exists: %w", err)
	}
	return slices.DeleteFunc(all.Items, func(t thing) bool { return t.Default }), nil
}

// atRest is the inventory when what is ending has ended: whoever ends an instance
// does not wait for that.
func (e *endpoint) atRest() (inventory, error) {
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		inv, err := e.inventory()
		ending := slices.ContainsFunc(inv, func(t thing) bool { return t.Kind == "instance" && t.State == "shutting-down" })
		if err != nil || !ending || time.Since(begun) > time.Minute {
			return inv, err
		}
	}
}

// results are how many things there are that builds are for. Each image has one snapshot, as
// its source has, which is not counted.
type results struct{ images, volumes, snapshots int }

func (r results) String() string {
	if r.volumes+r.snapshots == 0 {
		return fmt.Sprintf("%d images", r.images)
	}
	return fmt.Sprintf("%d images, %d volumes, %d snapshots", r.images, r.volumes, r.snapshots)
}

// within is what of them may be there when no more than most is: any part of it.
func (r results) within(most results) results {
	return results{min(r.images, most.images), min(r.volumes, most.volumes), min(r.snapshots, most.snapshots)}
}

// results counts what is finished.
func (inv inventory) results() (r results) {
	for _, t := range inv {
		switch {
		case t.Kind == "image" && t.State == "available":
			r.images++
		case t.Kind == "volume" && t.State == "available":
			r.volumes++
		case t.Kind == "snapshot" && t.State == "completed":
			r.snapshots++
		}
	}
	r.snapshots = max(r.snapshots-r.images, 0)
	return r
}

// wrong says in what the inventory is not these results and nothing else but what was given, and
// what stays of all that is published.
func (inv inventory) wrong(want results) error {
	var bad []string
	images, snapshots := map[string]int{}, map[string]int{region: want.snapshots}
	maps.DeleteFunc(snapshots, func(_ string, n int) bool { return n == 0 })
	for _, t := range inv {
		switch {
		case t.Kind == "instance" && t.State == "terminated", t.Kind == "volume" && t.State == "available", t.given():
		case t.Kind == "image" && t.State == "available":
			images[t.Region]++
			snapshots[t.Region]++
		case t.Kind == "snapshot" && t.State == "completed":
		default:
			bad = append(bad, t.String())
		}
	}
	if got := inv.results(); got != want {
		bad = append(bad, fmt.Sprintf("%s, wanted %s", got, want))
	}
	found := map[string]int{}
	for _, t := range inv.of("snapshot") {
		found[t.Region]++
	}
	if !maps.Equal(found, snapshots) {
		bad = append(bad, fmt.Sprintf("images %v and snapshots %v", images, found))
	}
	if len(bad) == 0 {
		return nil
	}
	return errors.New("there is wrongly: " + strings.Join(bad, ", "))
}

// watched carries out f, and looks meanwhile that never two instances live at
// once.
func (w *world) watched(f func() error) error {
	var two error
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if inv, err := w.inventory(); err == nil {
				if living := inv.living(); len(living) > 1 {
					two = fmt.Errorf("at one time there lived %v", living)
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	err := f()
	close(stop)
	wg.Wait()
	return errors.Join(err, two)
}

var (
	launchLine = regexp.MustCompile(` RunInstances (i-[0-9a-f]+)`)
	endLine    = regexp.MustCompile(` (i-[0-9a-f]+) \S+->shutting-down| (i-[0-9a-f]+) \S+ -> terminated`)
)

// succession reads in the endpoint's log that every instance was launched only
// when the ones before it had ended, or had begun to.
func (e *endpoint) succession() error {
	log, err := os.ReadFile(filepath.Join(e.dir, logName))
	if err != nil {
		return err
	}
	lives := map[string]bool{}
	for line := range strings.Lines(string(log)) {
		if m := endLine.FindStringSubmatch(line); m != nil {
			lives[m[1]+m[2]] = false
		}
		m := launchLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if _, again := lives[m[1]]; again {
			continue // the same answer to the same token
		}
		for id, still := range lives {
			if still {
				return fmt.Errorf("%s was launched while there was %s", m[1], id)
			}
		}
		lives[m[1]] = true
	}
	return nil
}
