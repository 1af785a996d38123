package comm

import "testing"

// A command that ends well without the script is told from one that ran it.
func TestUnread(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		for _, c := range []struct {
			command, path string
			unread        bool
		}{
			{"{{.Path}}", "", false},
			{"sh {{.Path}}", "", false},
			{"sh <{{.Path}}", "", false},
			{"chmod +x {{.Path}}; env A=1 {{.Path}}", t.TempDir() + "/a.sh", false},
			{"sh {{.Path}}; rm {{.Path}}", "", false},
			{"echo none", "", true},
			{"ls -l {{.Path}}", "", true},
			{"sh -c 'A='x y' {{.Path}}'", "", true},
			{"sh -c A=x {{.Path}}", t.TempDir() + "/b.sh", true},
			{"{{.Path}} >/dev/null & wait", "", false},
		} {
			l := newLab(t, s.machine())
			j := l.job("exit 0")
			j.Command, j.Path = c.command, c.path
			if x := l.mustRun(t, j); x != (Exit{Unread: c.unread}) {
				t.Errorf("%s: %+v", c.command, x)
			}
			if x := l.mustRun(t, j); x != (Exit{Unread: c.unread}) {
				t.Errorf("%s, again: %+v", c.command, x)
			}
		}
	})
}
