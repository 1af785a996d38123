package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

var errNoBuild = errors.New("cannot find this build in the run")

// safe is HTML that our templates have made.
type safe = template.HTML

// begin starts a command for a run and leads back to its page.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, run, back string, args ...string) {
	err := s.actions.start(run, func() { s.hub.touch(run) }, args...)
	switch {
	case errors.Is(err, errAtWork):
		s.failed(w, http.StatusConflict, err)
		return
	case err != nil:
		s.failed(w, http.StatusInternalServerError, err)
		return
	}
	s.hub.touch(run)
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (s *Server) resume(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	args := []string{"resume"}
	if r.PostFormValue("keep") != "" {
		args = append(args, "-on-error=suspend")
	}
	s.begin(w, r, sum.ID, "/runs/"+sum.ID, append(args, sum.ID)...)
}

// confirmData is a page that asks before something is removed.
type confirmData struct {
	pageData
	Command, Output, Failed string
	Digest                  string // of what was shown
	Post                    string // where to agree
	Fields                  [][2]string
	Back                    string
	Changed                 bool // since it was shown
	Any                     bool // there is something to remove
}

// ask shows what a removal would do, and a button that does it.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, d confirmData, args ...string) {
	out, err := s.actions.look(r.Context(), args...)
	d.pageData, d.Command, d.Output, d.Digest = s.data("Remove?"), "imgflow "+strings.Join(args, " "), out, digestOf(out)
	if err != nil {
		d.Failed = err.Error()
	}
	d.Any = err == nil && strings.Contains(out, nothingRemoved)
	s.show(w, http.StatusOK, "confirm-page", d)
}

// nothingRemoved ends what a dry run has to say when there was something to say.
const nothingRemoved = "Nothing was removed."

// digestOf is a short name of what was shown, in whatever order.
func digestOf(out string) string {
	lines := strings.Split(out, "\n")
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:16])
}

// agreed tells whether what would be removed is still what was shown.
func (s *Server) agreed(r *http.Request, args ...string) bool {
	out, err := s.actions.look(r.Context(), args...)
	return err == nil && same(digestOf(out), r.PostFormValue("digest"))
}

func destroyArgs(r *http.Request, run string) (look, do []string, fields [][2]string) {
	look, do = []string{"destroy", "--dry-run"}, []string{"destroy", "--yes"}
	if r.PostFormValue("artifacts") != "" {
		look, do, fields = append(look, "--artifacts"), append(do, "--artifacts"), [][2]string{{"artifacts", "1"}}
	}
	return append(look, run), append(do, run), fields
}

func (s *Server) destroy(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	look, _, fields := destroyArgs(r, sum.ID)
	s.ask(w, r, confirmData{Post: "/runs/" + sum.ID + "/destroy/confirm", Back: "/runs/" + sum.ID, Fields: fields}, look...)
}

func (s *Server) destroyConfirmed(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	look, do, fields := destroyArgs(r, sum.ID)
	if !s.agreed(r, look...) {
		s.ask(w, r, confirmData{Post: "/runs/" + sum.ID + "/destroy/confirm", Back: "/runs/" + sum.ID, Fields: fields, Changed: true}, look...)
		return
	}
	s.begin(w, r, sum.ID, "/runs/"+sum.ID, do...)
}

// orphansRun is under what name the search for orphans is kept among commands: no run has it.
const orphansRun = "orphans"

type orphansData struct {
	pageData
	Action *action
}

func (s *Server) orphansPage(w http.ResponseWriter, r *http.Request) {
	s.show(w, http.StatusOK, "orphans-page", orphansData{s.data("Orphans"), s.actions.of(orphansRun)})
}

func orphanArgs(r *http.Request) (look, do []string, fields [][2]string, err error) {
	common := []string{"destroy", "--orphans"}
	switch region := strings.TrimSpace(r.PostFormValue("region")); {
	case r.PostFormValue("local") != "":
		common, fields = append(common, "--local"), append(fields, [2]string{"local", "1"})
	case strings.ContainsFunc(region, func(c rune) bool { return c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') }):
		return nil, nil, nil, fmt.Errorf("cannot look in the region %q: it is no name of a region, such as us-east-1", region)
	case region != "":
		common, fields = append(common, "--region="+region), append(fields, [2]string{"region", region})
	}
	return append(common[:len(common):len(common)], "--dry-run"), append(common[:len(common):len(common)], "--yes"), fields, nil
}

func (s *Server) orphans(w http.ResponseWriter, r *http.Request) {
	look, _, fields, err := orphanArgs(r)
	if err != nil {
		s.failed(w, http.StatusBadRequest, err)
		return
	}
	s.ask(w, r, confirmData{Post: "/orphans/confirm", Back: "/orphans", Fields: fields}, look...)
}

func (s *Server) orphansConfirmed(w http.ResponseWriter, r *http.Request) {
	look, do, fields, err := orphanArgs(r)
	if err != nil {
		s.failed(w, http.StatusBadRequest, err)
		return
	}
	if !s.agreed(r, look...) {
		s.ask(w, r, confirmData{Post: "/orphans/confirm", Back: "/orphans", Fields: fields, Changed: true}, look...)
		return
	}
	s.begin(w, r, orphansRun, "/orphans", do...)
}
