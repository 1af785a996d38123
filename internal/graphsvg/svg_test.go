package graphsvg

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

func drawn(t testing.TB, p Picture) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.SVG(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// builds is a plan of some builds that share their lookups, and whose machines go once
// their images are made.
func builds(n, provisioners int) Picture {
	p := Picture{Title: "A plan", Desc: fmt.Sprintf("%d builds", n)}
	add := func(id, label, sub, class string, after ...string) string {
		p.Nodes = append(p.Nodes, Node{ID: id, Label: label, Sub: sub, Class: class, Title: label + "\n" + sub})
		for _, a := range after {
			p.Edges = append(p.Edges, Edge{From: a, To: id, Class: map[bool]string{true: "release"}[class == "release"]})
		}
		return id
	}
	add("access", "= access", "credentials of us-east-1", "reuse")
	add("network", "= network", "the default subnet", "reuse", "access")
	add("key", "+ key", "an ed25519 key", "create")
	add("keypair", "+ keypair", "imgflow-01ab", "thing create", "key", "access")
	var launches []string
	for i := range n {
		id := func(s string) string { return fmt.Sprintf("%s%d", s, i) }
		source := add(id("source"), "+ source", "the newest Ubuntu 24.04", "create", "access")
		group := add(id("group"), "+ group", "lets this address in", "thing create", "network")
		launch := add(id("launch"), "-/+ launch", "t3.micro", "thing replace", source, group, "keypair")
		launches = append(launches, launch)
		machine := add(id("connect"), "~ connect", "ssh", "rerun", launch, "key")
		for k := range provisioners {
			machine = add(fmt.Sprintf("provision%d.%d", i, k), fmt.Sprintf("+ provision[%d]", k), "a shell script with a name that is longer than its box", "create", machine)
		}
		stop := add(id("stop"), "+ stop", "", "thing create", machine)
		image := add(id("image"), "+ image", "app-{{timestamp}}", "thing create", stop)
		add(id("ready"), "+ image-ready", "", "create", image)
		add(id("release-launch"), "release launch", "", "release", image)
		add(id("release-group"), "release group", "", "release", stop)
	}
	add("release-keypair", "release keypair", "", "release", launches...)
	return p
}

func TestGolden(t *testing.T) {
	for name, p := range map[string]Picture{"empty": {Title: "Nothing"}, "one": builds(1, 2), "three": builds(3, 1)} {
		file, got := filepath.Join("testdata", name+".svg"), drawn(t, p)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || got != string(want) {
			t.Errorf("%s is drawn in another way (%v): look at it after `go test ./internal/graphsvg -update`", name, err)
		}
	}
}

// parsed reads the picture as any reader of XML does.
func parsed(t *testing.T, svg string) (elements []xml.StartElement, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, text
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v\n%s", err, svg)
		}
		switch x := tok.(type) {
		case xml.StartElement:
			elements = append(elements, x.Copy())
		case xml.CharData:
			text += string(x)
		}
	}
}

func TestTextIsText(t *testing.T) {
	evil := "</text><script>alert(1)</script>\"'&]]>\x00\x1b[2J\u202e\xff"
	svg := drawn(t, Picture{Title: evil, Desc: evil, Nodes: []Node{
		{ID: evil, Label: evil, Sub: evil, Title: evil, Class: `a"b <x> create`, Link: "javascript:alert(1)"},
		{ID: "b", Label: "b", Link: "JavaScript:alert(1)"},
		{ID: "c", Label: "c", Link: "data:text/html,<script>"},
	}})
	elements, text := parsed(t, svg)
	for _, e := range elements {
		switch e.Name.Local {
		case "svg", "title", "desc", "style", "g", "rect", "text":
		default:
			t.Errorf("there is an element %s", e.Name.Local)
		}
	}
	if !strings.Contains(text, "<script>alert(1)</script>") || strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("the text is %q", text)
	}
	if strings.Contains(svg, `class="node a`) || !strings.Contains(svg, `class="node create"`) {
		t.Error("a class is not a name")
	}
}

func TestLinks(t *testing.T) {
	svg := drawn(t, Picture{Nodes: []Node{{ID: "a", Label: "a", Link: `#step-1"x`}, {ID: "b", Label: "b", Link: "https://example.com/?a=1&b=2"}}})
	if parsed(t, svg); strings.Count(svg, "<a href=") != 2 || !strings.Contains(svg, `role="group"`) {
		t.Errorf("links are missing:\n%s", svg)
	}
	if svg := drawn(t, Picture{Nodes: []Node{{ID: "a", Label: "a"}}}); !strings.Contains(svg, `role="img"`) {
		t.Error("a picture without links is no image")
	}
}

func TestRefused(t *testing.T) {
	n := []Node{{ID: "a"}, {ID: "b"}}
	for want, p := range map[string]Picture{
		"two nodes have the ID": {Nodes: []Node{{ID: "a"}, {ID: "a"}}},
		"comes from \"x\"":      {Nodes: n, Edges: []Edge{{From: "x", To: "a"}}},
		"leads to \"x\"":        {Nodes: n, Edges: []Edge{{From: "a", To: "x"}}},
		"in a circle":           {Nodes: n, Edges: []Edge{{From: "a", To: "b"}, {From: "b", To: "a"}}},
	} {
		var b bytes.Buffer
		if err := p.SVG(&b); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("want %q, got %v and %d bytes", want, err, b.Len())
		}
	}
}

// random is a graph whose edges lead from earlier nodes to later ones.
func random(seed uint64, nodes, edges int) Picture {
	r := rand.New(rand.NewPCG(seed, 1))
	var p Picture
	for i := range nodes {
		p.Nodes = append(p.Nodes, Node{ID: fmt.Sprint(i), Label: strings.Repeat("x", r.IntN(30))})
	}
	for range edges {
		a, b := r.IntN(nodes), r.IntN(nodes)
		if a == b {
			continue
		}
		p.Edges = append(p.Edges, Edge{From: fmt.Sprint(min(a, b)), To: fmt.Sprint(max(a, b))})
	}
	return p
}

// Boxes do not overlap, edges lead down, and everything is in the picture, whatever the graph.
func TestAnyGraphHasItsPlaces(t *testing.T) {
	for seed := range uint64(200) {
		p := random(seed, 1+int(seed)%40, int(seed*7)%90)
		l, err := p.newLayout()
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for k, r := range l.ranks {
			count += len(r)
			for i, at := range r {
				if l.places[at].rank != k {
					t.Fatalf("seed %d: a place of rank %d stands in rank %d", seed, l.places[at].rank, k)
				}
				if x, w := l.places[at].x, l.places[at].width/2; x-w < margin-0.01 || x+w > l.width-margin+0.01 {
					t.Fatalf("seed %d: a box is outside: %v of %v", seed, x, l.width)
				}
				if i > 0 && l.places[at].x-l.places[r[i-1]].x < l.distance(r[i-1], at)-0.01 {
					t.Fatalf("seed %d: boxes of rank %d overlap", seed, k)
				}
			}
		}
		if count != len(l.places) {
			t.Fatalf("seed %d: %d of %d places are in a rank", seed, count, len(l.places))
		}
		for i, route := range l.routes {
			for k := 1; k < len(route); k++ {
				if l.places[route[k]].rank <= l.places[route[k-1]].rank {
					t.Fatalf("seed %d: edge %d does not lead down", seed, i)
				}
			}
		}
	}
}

// A ladder whose rungs are given in the wrong order is drawn without a crossing, and
// a chain is one straight line.
func TestOrderAndLines(t *testing.T) {
	var p Picture
	for i := range 6 {
		p.Nodes = append(p.Nodes, Node{ID: fmt.Sprint("a", i)}, Node{ID: fmt.Sprint("b", 5-i)})
		p.Edges = append(p.Edges, Edge{From: fmt.Sprint("a", i), To: fmt.Sprint("b", i)}, Edge{From: fmt.Sprint("a", i), To: fmt.Sprint("b", max(i-1, 0))})
	}
	l, err := p.newLayout()
	if err != nil {
		t.Fatal(err)
	}
	at := make([]int, len(l.places))
	for _, r := range l.ranks {
		for i, n := range r {
			at[n] = i
		}
	}
	if n := l.crossings(at); n != 0 {
		t.Errorf("the ladder has %d crossings", n)
	}
	p = Picture{}
	for i := range 30 {
		p.Nodes = append(p.Nodes, Node{ID: fmt.Sprint(i), Label: strings.Repeat("x", i)})
		if i > 0 {
			p.Edges = append(p.Edges, Edge{From: fmt.Sprint(i - 1), To: fmt.Sprint(i)})
		}
	}
	if l, err = p.newLayout(); err != nil {
		t.Fatal(err)
	}
	for _, q := range l.places {
		if d := q.x - l.places[0].x; d*d > 0.01 {
			t.Fatalf("the chain is not straight: %v beside %v", q.x, l.places[0].x)
		}
	}
}

// The count of crossings is that of all pairs of edges.
func TestCrossings(t *testing.T) {
	for seed := range uint64(50) {
		p := random(seed, 20, 40)
		l, err := p.newLayout()
		if err != nil {
			t.Fatal(err)
		}
		at, want := make([]int, len(l.places)), 0
		for _, r := range l.ranks {
			for i, n := range r {
				at[n] = i
			}
		}
		for _, r := range l.ranks {
			for i, a := range r {
				for _, b := range r[i+1:] {
					for _, x := range l.places[a].down {
						for _, y := range l.places[b].down {
							if at[x] > at[y] {
								want++
							}
						}
					}
				}
			}
		}
		if got := l.crossings(at); got != want {
			t.Errorf("seed %d: %d crossings instead of %d", seed, got, want)
		}
	}
}

func BenchmarkSVG(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000, 10000} {
		p := builds(max(1, nodes/12), 2)
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			for b.Loop() {
				if err := p.SVG(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
