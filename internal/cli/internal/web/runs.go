package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/imgflow/imgflow/internal/cli/internal/runpage"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
)

// list is the list of runs, read once for all who look at it.
type list struct {
	home *state.Home

	mu   sync.Mutex
	read time.Time
	took time.Duration
	runs []state.Summary
	err  error
}

const mostRuns = 200

func (l *list) get() ([]state.Summary, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.read) > max(500*time.Millisecond, 20*l.took) {
		began := time.Now()
		l.runs, l.err = l.home.Runs()
		l.read, l.took = time.Now(), time.Since(began)
	}
	return l.runs, l.err
}

type runsData struct {
	pageData
	Home string
	Runs []runpage.Run
	More int
	Open int // that are unfinished
}

func (s *Server) runs() (runsData, error) {
	all, err := s.list.get()
	d := runsData{pageData: s.data("Runs"), Home: s.o.Home.Place(), More: max(0, len(all)-mostRuns)}
	now := time.Now()
	for i, sum := range all {
		r := runpage.New(sum, runview.New(), now)
		r.Base = "/runs/" + sum.ID
		if r.Unfinished() {
			d.Open++
		}
		if i < mostRuns {
			d.Runs = append(d.Runs, r)
		}
	}
	return d, err
}

func (s *Server) runsPage(w http.ResponseWriter, r *http.Request) {
	d, err := s.runs()
	if err != nil {
		s.failed(w, http.StatusInternalServerError, err)
		return
	}
	s.show(w, http.StatusOK, "runs-page", d)
}

func (s *Server) runsStream(w http.ResponseWriter, r *http.Request) {
	var sent []byte
	s.stream(w, r, func(ctx context.Context) ([]byte, string, error) {
		for {
			d, err := s.runs()
			var b bytes.Buffer
			if err == nil {
				err = s.pages.ExecuteTemplate(&b, "runs-live", d)
			}
			if err != nil || !bytes.Equal(b.Bytes(), sent) {
				sent = b.Bytes()
				return sent, "", err
			}
			if pause(ctx, 0); ctx.Err() != nil {
				return nil, "", ctx.Err()
			}
		}
	})
}

type runData struct {
	pageData
	Run     runpage.Run
	Build   string // that is looked at
	Section *runpage.Section
	Action  *action
}

// MayAct tells whether nobody is at work on the run.
func (d runData) MayAct() bool {
	return d.Run.Summary.Status != state.Running && (d.Action == nil || !d.Action.Running())
}

// Removable tells whether something may be left of the run.
func (d runData) Removable() bool { return d.Run.Summary.Status != state.Destroyed }

// facts are what records have told, for each run as it stood.
type facts struct {
	mu sync.Mutex
	of map[string]known
}

type known struct {
	at   time.Time // when the run was changed last
	runs runpage.Run
}

// addFacts adds to a run what only its records know, and asks them once for each change.
func (s *Server) addFacts(r *runpage.Run) {
	s.facts.mu.Lock()
	defer s.facts.mu.Unlock()
	id := r.Summary.ID
	if k, ok := s.facts.of[id]; ok && k.at.Equal(r.Summary.Updated) {
		r.Resources, r.Unknown, r.Cost, r.Made = k.runs.Resources, k.runs.Unknown, k.runs.Cost, k.runs.Made
		return
	}
	if !s.o.Facts(r) {
		return
	}
	if len(s.facts.of) > maxMade || s.facts.of == nil {
		s.facts.of = map[string]known{}
	}
	s.facts.of[id] = known{r.Summary.Updated, *r}
}

// live makes the part of a run's page that moves.
func (s *Server) live(build string) func(*runview.View, state.Summary) ([]byte, error) {
	return func(v *runview.View, sum state.Summary) ([]byte, error) {
		r := runpage.New(sum, v, time.Now())
		r.Base, r.Version, r.Usual = "/runs/"+sum.ID, s.o.Version, s.o.Usual(sum)
		s.addFacts(&r)
		d := runData{pageData: s.data(""), Run: r, Build: build, Action: s.actions.of(sum.ID)}
		switch {
		case build != "":
			d.Section = r.SectionOf(build)
		case r.Small():
			d.Section = r.Sections().Items[0]
		}
		var b bytes.Buffer
		err := s.pages.ExecuteTemplate(&b, "run-live", d)
		return b.Bytes(), err
	}
}

func (s *Server) runPage(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	build := r.URL.Query().Get("build")
	if build != "" && !slices.ContainsFunc(sum.Builds, func(b state.BuildSummary) bool { return b.Name == build }) {
		s.failed(w, http.StatusNotFound, errNoBuild)
		return
	}
	f := s.hub.follow(sum.ID)
	defer f.release()
	live, err := f.next(r.Context(), 0, build, s.live(build))
	if err != nil {
		s.failed(w, http.StatusInternalServerError, err)
		return
	}
	s.show(w, http.StatusOK, "run-page", struct {
		pageData
		Run, Build string
		Live       safe
	}{s.data("Run " + sum.ID), sum.ID, build, safe(live.html)})
}

func (s *Server) runStream(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	build := r.URL.Query().Get("build")
	f := s.hub.follow(sum.ID)
	defer f.release()
	var last rendered
	s.stream(w, r, func(ctx context.Context) ([]byte, string, error) {
		if last.version > 0 {
			pause(ctx, last.took)
		}
		next, err := f.next(ctx, last.version, build, s.live(build))
		if err == nil {
			last = next
		}
		return next.html, "", err
	})
}

// report is the report of the run, as the command writes it.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	page, err := s.o.Report(sum)
	var b bytes.Buffer
	if err == nil {
		err = runpage.Report(&b, page)
	}
	if err != nil {
		s.failed(w, http.StatusInternalServerError, err)
		return
	}
	style := sha256.Sum256([]byte(runpage.Style()))
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(style[:])+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}
