package app

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/app/files"
)

// What steps name goes there, over whatever is there; all else only where nothing is, within the folder of the template, and
// not to hidden files.
func TestWhereFilesGo(t *testing.T) {
	named := homes{files: []string{"/w/out.json", `/w/of_*/sums`, `/w/a\*b`, "/srv/x.tar"}, trees: []string{"/w/down", "/var/got_*"}}
	any := named
	any.dirs = []string{"/w", "/t"}
	for path, want := range map[string]files.Spot{
		"/w/out.json":      {Base: "/w", Rel: "out.json", Over: true},
		"/w/of_web/sums":   {Base: "/w", Rel: "of_web/sums", Over: true},
		"/w/a*b":           {Base: "/w", Rel: "a*b", Over: true},
		"/srv/x.tar":       {Base: "/srv", Rel: "x.tar", Over: true},
		"/w/down":          {Base: "/w", Rel: "down", Over: true},
		"/w/down/.x/y":     {Base: "/w/down", Rel: ".x/y", Over: true},
		"/var/got_1/a":     {Base: "/var", Rel: "got_1/a", Over: true},
		"/w/other":         {Base: "/w", Rel: "other"},
		"/t/sub/other":     {Base: "/t", Rel: "sub/other"},
		"/w/.git/hooks/x":  {},
		"/w/sub/.bashrc":   {},
		"/w/of_a/b/sums":   {Base: "/w", Rel: "of_a/b/sums"},
		"/srv/other":       {},
		"/wrong":           {},
		"/etc/passwd":      {},
		"/w/../etc/passwd": {},
	} {
		got, why := any.spot(path)
		if got != want || (why == "") != (want != files.Spot{}) {
			t.Errorf("%s goes to %+v (%s), and should to %+v", path, got, why, want)
		}
		got, why = named.spot(path)
		if !want.Over && (got != files.Spot{} || !strings.Contains(why, "no step of the template names it")) || want.Over && got != want {
			t.Errorf("%s, of a template that runs nothing here, goes to %+v (%s)", path, got, why)
		}
	}
}
