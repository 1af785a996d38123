package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"net/http"
	"os/exec"
	"time"

	"github.com/imgflow/imgflow/internal/cli/internal/runpage"
	"github.com/imgflow/imgflow/state"
)

//go:embed pages
var pages embed.FS

//go:embed assets
var assets embed.FS

// Options are what a server is made of.
type Options struct {
	Home    *state.Home
	Addr    string // that is served, such as 127.0.0.1:8080
	Version string // of imgflow

	// Usual says how long the steps of a run usually take.
	Usual func(state.Summary) func(kind, step string) (lo, hi time.Duration, known bool)
	// Facts adds what only the records of a run know. Somebody may be at work on them: what
	// it tells then is not final, and is asked for again.
	Facts func(*runpage.Run) (final bool)
	// Report is all that is known of a run.
	Report func(state.Summary) (runpage.Run, error)
	// Command is this program with arguments, to be started in a session of its own.
	Command func(args ...string) *exec.Cmd
}

// Server serves the page.
type Server struct {
	o       Options
	door    *door
	mux     *http.ServeMux
	pages   *template.Template
	hub     *hub
	list    *list
	facts   facts
	actions *actions
	turns   turns
	streams chan struct{}
	slowest time.Duration // that a client may take for a message
	ctx     context.Context
	stop    context.CancelFunc
}

const maxBody = 64 << 10

// New makes a server. Close ends its streams.
func New(o Options) (*Server, error) {
	t, err := runpage.Templates(pages, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("cannot make the pages: %w", err)
	}
	s := &Server{o: o, door: newDoor(o.Addr), mux: http.NewServeMux(), pages: t, hub: &hub{home: o.Home, runs: map[string]*follower{}},
		actions: &actions{command: o.Command, dir: o.Home.Dir(), last: map[string]*action{}}, turns: turns{of: map[string][]*turn{}}, streams: make(chan struct{}, maxStreams), slowest: 10 * time.Second}
	s.list = &list{home: o.Home}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /{$}":                        s.runsPage,
		"GET /stream":                     s.runsStream,
		"GET /enter":                      s.door.enter,
		"GET /assets/{name}":              asset,
		"GET /runs/{id}":                  s.runPage,
		"GET /runs/{id}/stream":           s.runStream,
		"GET /runs/{id}/log":              s.logPage,
		"GET /runs/{id}/log/stream":       s.logStream,
		"GET /runs/{id}/report":           s.report,
		"POST /runs/{id}/resume":          s.resume,
		"POST /runs/{id}/destroy":         s.destroy,
		"POST /runs/{id}/destroy/confirm": s.destroyConfirmed,
		"GET /orphans":                    s.orphansPage,
		"POST /orphans":                   s.orphans,
		"POST /orphans/confirm":           s.orphansConfirmed,
	} {
		s.mux.HandleFunc(pattern, h)
	}
	return s, nil
}

// URL is the address that lets its reader in.
func (s *Server) URL() string { return "http://" + s.o.Addr + enterPath + "?token=" + s.door.token }

// Close ends the streams. Commands that were started go on.
func (s *Server) Close() {
	s.stop()
	s.hub.close()
}

// ServeHTTP lets in who may.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if why := s.door.refuse(r); why != "" {
		refused(w, why)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// run is the summary of the run of a request, which is named in full.
func (s *Server) run(w http.ResponseWriter, r *http.Request) (state.Summary, bool) {
	id := r.PathValue("id")
	sum, err := s.o.Home.Summary(id)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && sum.ID != id:
		s.failed(w, http.StatusNotFound, fmt.Errorf("cannot find the run %q: it may have been forgotten", id))
		return sum, false
	case err != nil:
		s.failed(w, http.StatusInternalServerError, err)
		return sum, false
	}
	return sum, true
}

// pageData is what every page has.
type pageData struct{ Title, CSRF, Version string }

func (s *Server) data(title string) pageData { return pageData{title, s.door.csrf, s.o.Version} }

// show writes a page as a whole, or says why there is none.
func (s *Server) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "cannot make the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

type failedData struct {
	pageData
	Err string
}

func (s *Server) failed(w http.ResponseWriter, status int, err error) {
	s.show(w, status, "failed-page", failedData{s.data("Not done"), err.Error()})
}

// sent are the files that pages ask for, and what each is made of. The scripts are one file: htmx begins as soon as its
// own has run, and what an extension adds to it is not looked at any more if that comes later.
var sent = map[string]struct {
	kind string
	of   []string
}{
	"ui.css":   {"text/css; charset=utf-8", []string{"ui.css"}},
	"ui.js":    {"text/javascript; charset=utf-8", []string{"htmx.min.js", "hx-sse.min.js", "ui.js"}},
	"icon.svg": {"image/svg+xml", []string{"icon.svg"}},
}

func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	file, ok := sent[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	var b bytes.Buffer
	if name == "ui.css" {
		b.WriteString(runpage.Style())
	}
	for _, part := range file.of {
		p, err := assets.ReadFile("assets/" + part)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		b.Write(p)
		b.WriteByte('\n')
	}
	w.Header().Set("Content-Type", file.kind)
	w.Write(b.Bytes())
}

func escape(s string) string { return html.EscapeString(s) }
