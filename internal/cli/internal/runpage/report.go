package runpage

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/internal/termsafe"
)

//go:embed parts
var parts embed.FS

//go:embed style.css
var style string

// Style is the style of all parts.
func Style() string { return style + graphStyle }

// Templates are the parts, and what files have in their templates besides.
func Templates(files fs.FS, patterns ...string) (*template.Template, error) {
	t, err := template.New("parts").Funcs(functions).ParseFS(parts, "parts/*.html")
	if err != nil || files == nil {
		return t, err
	}
	return t.ParseFS(files, patterns...)
}

var functions = template.FuncMap{
	"style":   func() template.CSS { return template.CSS(Style()) },
	"command": self.Command,
	"sign":    sign,
	"text":    clean,
	"short":   short,
	"builds":  buildNames,
	"ordinal": ordinal,
	"about":   func(x cost.Item) string { return amount(x, cost.About) },
	"atmost":  func(x cost.Item) string { return amount(x, cost.AtMost) },
	"lasted":  func(d time.Duration) string { return render.Duration(d.Round(time.Second)) },
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"moment":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}

// amount is what a thing costs, in words.
func amount(x cost.Item, words func(usd float64) string) string {
	if x.Unknown != "" {
		return "unknown: " + clean(x.Unknown)
	}
	return words(x.USD)
}

var reportPage = template.Must(Templates(nil))

// Report writes the page of a run: it needs no other file, no network and no script.
func Report(w io.Writer, r Run) error {
	var b bytes.Buffer
	if err := reportPage.ExecuteTemplate(&b, "report", r); err != nil {
		return fmt.Errorf("cannot write the report of run %s: %w", r.Summary.ID, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// sign is a status as a character: no colour says anything alone.
func sign(status string) string {
	switch status {
	case "done":
		return "✓"
	case "running":
		return "▶"
	case "failed", "partial":
		return "✗"
	case "suspended":
		return "‖"
	case "interrupted", "unreadable":
		return "!"
	case "skipped", "destroyed":
		return "–"
	}
	return "·"
}

// clean is a text without what is no text.
func clean(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = termsafe.Clean(l, false)
	}
	return strings.Join(lines, "\n")
}

// mostShort is how many characters of an error stand in a cell.
const mostShort = 160

// short is the first line of a text, cut where it is long.
func short(s string) string {
	s, _, more := strings.Cut(strings.TrimSpace(clean(s)), "\n")
	if r := []rune(s); len(r) > mostShort {
		return string(r[:mostShort-1]) + "…"
	}
	if more {
		return s + " …"
	}
	return s
}

func buildNames(bs []string) string {
	if len(bs) > 3 {
		return fmt.Sprintf("%s and %d more", clean(bs[0]), len(bs)-1)
	}
	return clean(strings.Join(bs, ", "))
}

func ordinal(n int) string {
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		return fmt.Sprint(n, "st")
	case n%10 == 2:
		return fmt.Sprint(n, "nd")
	case n%10 == 3:
		return fmt.Sprint(n, "rd")
	}
	return fmt.Sprint(n, "th")
}
