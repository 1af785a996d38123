package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/charmbracelet/x/vt"
)

// A picture is SVG that holds all that the terminal showed, each line once, and asks
// nobody for anything.
func TestPicture(t *testing.T) {
	e := vt.NewEmulator(columns, rows)
	defer e.Close()
	e.WriteString("$ a <b> & \"c\"\r\n  \x1b[31mred\x1b[0m and \x1b[1;92mgreen\x1b[0m\r\n漢字 👩‍🚀 end")
	frames := []frame{newFrame(e), newFrame(e)}
	e.WriteString("\r\nmore")
	frames = append(frames, newFrame(e))
	got := string(picture("imgflow run", frames))
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, got)
		}
	}
	for want, times := range map[string]int{
		`&lt;b&gt; &amp;`: 1, `<text x="16.8" textLength="25.2" fill="#ff7b72">red</text>`: 1, `fill="#56d364" font-weight="700">green</text>`: 1,
		"漢字 👩‍🚀 end": 1, ">more<": 1, `<use href="#l0"`: 3 + int(hold/interval), "steps(19,": 1, "prefers-reduced-motion": 1,
	} {
		if n := strings.Count(got, want); n != times {
			t.Errorf("%q is there %d times, not %d, in\n%s", want, n, times, got)
		}
	}
	for _, never := range []string{"<script", "url(http", "xlink", "<image", "@import"} {
		if strings.Contains(got, never) {
			t.Errorf("it has %q", never)
		}
	}
	if still := string(picture("x", frames[2:])); strings.Contains(still, "animation") || !strings.Contains(still, ">more<") {
		t.Errorf("a picture of one frame moves, or has nothing of it:\n%s", still)
	}
}
