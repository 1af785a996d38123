package cli

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A page of documentation is a script: its commands are typed, one after the other,
// in a directory of their own, with its files, and what it shows of their output
// must be there.
//
// Blocks in sh and console are run; what stands on the line above says how:
//
//	<!-- file: NAME -->         the block is the content of a file
//	<!-- fails -->              its last command fails, as the page says
//	<!-- background: READY -->  it goes on until the page ends, and the page once READY succeeds
//	<!-- not run: WHY -->       it is not, which TestDocumentation knows
//
// A comment that begins with "run" is commands of the page's own that readers need
// not see. RUN in a command is the newest run.
type docStep struct {
	line       int    // of the page
	commands   string // of a file: nothing
	file, text string
	want       []string // of the output, in this order; … is anything
	fails      bool
	ready      string // of what goes on in the background
	notRun     string
}

var (
	fence     = regexp.MustCompile("^```([a-z]*)$")
	directive = regexp.MustCompile(`^<!-- (file: |background: |not run: |fails)(.*?) ?-->$`)
)

// docSteps reads a page.
func docSteps(page string) (steps []docStep, err error) {
	lines := strings.Split(page, "\n")
	var next docStep
	for i := 0; i < len(lines); i++ {
		if lines[i] == "<!-- run" {
			end := slices.Index(lines[i:], "-->")
			if end < 0 {
				return nil, fmt.Errorf("line %d: the comment has no end", i+1)
			}
			steps = append(steps, docStep{line: i + 1, commands: strings.Join(lines[i+1:i+end], "\n")})
			i += end
			continue
		}
		if m := directive.FindStringSubmatch(lines[i]); m != nil {
			switch next.line = i + 1; m[1] {
			case "file: ":
				next.file = m[2]
			case "background: ":
				next.ready = m[2]
			case "not run: ":
				next.notRun = m[2]
			case "fails":
				next.fails = true
			}
			continue
		}
		m := fence.FindStringSubmatch(lines[i])
		if m == nil {
			if next.line > 0 {
				return nil, fmt.Errorf("line %d: no block follows the comment", next.line)
			}
			continue
		}
		end := slices.Index(lines[i+1:], "```")
		if end < 0 {
			return nil, fmt.Errorf("line %d: the block has no end", i+1)
		}
		block := lines[i+1 : i+1+end]
		next.line = i + 1
		switch {
		case next.file != "":
			next.text = strings.Join(block, "\n") + "\n"
			steps = append(steps, next)
		case m[1] == "sh":
			next.commands = strings.Join(block, "\n")
			steps = append(steps, next)
		case m[1] == "console":
			for k, l := range block {
				if cmd, ok := strings.CutPrefix(l, "$ "); ok {
					next.line, next.commands, next.want = i+2+k, cmd, nil
					steps = append(steps, next)
				} else if len(steps) == 0 || k == 0 {
					return nil, fmt.Errorf("line %d: a console begins with a command", i+2)
				} else if at := &steps[len(steps)-1]; strings.HasSuffix(at.commands, "\\") {
					at.commands += "\n" + l
				} else {
					at.want = append(at.want, l)
				}
			}
		}
		next = docStep{}
		i += 1 + end
	}
	return steps, nil
}

// script is what a shell is given to do all of a page's commands.
func docScript(steps []docStep) string {
	var b strings.Builder
	b.WriteString("set -eu\nnewest() { imgflow list --json | sed -n 's/^    \"id\": \"\\(.*\\)\",/\\1/p' | head -n1; }\nimage() { imgflow list --json | grep -o 'ami-[0-9a-f]*' | head -n1; }\n")
	b.WriteString(docCloud)
	words := strings.NewReplacer("4599", "$PORT")
	for i, s := range steps {
		commands := imageWord.ReplaceAllString(runWord.ReplaceAllString(s.commands, `"$(newest)"`), `"$(image)"`)
		switch commands, s.ready = words.Replace(commands), words.Replace(s.ready); {
		case s.file != "" || s.notRun != "":
			continue
		case s.ready != "":
			fmt.Fprintf(&b, "echo %d >$OUT/at\n{ %s\n} >$OUT/%d 2>&1 &\nfor i in $(seq 600); do %s >/dev/null 2>&1 && break; sleep 0.1; done\n%[4]s >/dev/null\n", i, commands, i, s.ready)
		case s.fails:
			fmt.Fprintf(&b, "echo %d >$OUT/at\nset +e\n{ %s\n} >$OUT/%d 2>&1\nstatus=$?\nset -e\ntest $status -ne 0\n", i, commands, i)
		default:
			fmt.Fprintf(&b, "echo %d >$OUT/at\n{ %s\n} >$OUT/%d 2>&1\n", i, commands, i)
		}
	}
	return b.String()
}

var (
	runWord   = regexp.MustCompile(`\bRUN\b`)
	imageWord = regexp.MustCompile(`\bIMAGE\b`)
)

// docCloud makes an embedded EC2 that stands for AWS on a page.
const docCloud = `
cloud() {
  imgflow ec2local --listen 127.0.0.1:0 --dir "$HOME/ec2" >"$OUT"/ec2 2>&1 &
  cloud=$!
  for i in $(seq 300); do grep -q http "$OUT"/ec2 && break; sleep 0.1; done
  export AWS_ENDPOINT_URL="$(grep -o 'http://127.0.0.1:[0-9]*' "$OUT"/ec2 | head -n1)" AWS_SHARED_CREDENTIALS_FILE="$HOME/ec2/credentials" AWS_REGION=us-east-1
}
`

// What differs from one run to the next is the same for all.
var changing = regexp.MustCompile(`\b(ami|i|snap|vol|key|sg|subnet|vpc|eni)-[0-9a-f]{17}\b|\b[0-9a-z]{12}\b|[0-9]+(\.[0-9]+)?(ms|m?s|m|h)\b|[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:]{8}Z?|\b[0-9]{10}\b`)

// lacks is the first line of want that the output does not have after those before it.
func lacks(want []string, out string) (string, bool) {
	same := func(s string) string { return strings.TrimSpace(changing.ReplaceAllString(s, "?")) }
	rest := strings.Split(out, "\n")
	for _, w := range want {
		if w = same(w); w == "" || w == "…" {
			continue
		}
		words := strings.Split(w, "…")
		at := slices.IndexFunc(rest, func(l string) bool {
			l = same(l)
			if len(words) == 1 {
				return l == w
			}
			for _, part := range words {
				_, after, ok := strings.Cut(l, strings.TrimSpace(part))
				if !ok {
					return false
				}
				l = after
			}
			return true
		})
		if at < 0 {
			return w, true
		}
		rest = rest[at+1:]
	}
	return "", false
}

// docPages are all pages that tell how something is done.
func docPages(t *testing.T) (pages []string) {
	for _, root := range []string{"../../README.md", "../../CONTRIBUTING.md", "../../docs", "../../examples"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.Type().IsRegular() && strings.HasSuffix(path, ".md") && !strings.Contains(path, "/reference/") {
				pages = append(pages, filepath.ToSlash(path))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

// notRun are the blocks that no test types, by page and reason: they need what no
// test has, or are tested elsewhere.
var notRun = map[string][]string{
	"README.md":           {"this test is part of it", "it installs for the user", "it stays until Ctrl-C; the tests of the page start it"},
	"docs/ui.md":          {"it stays until Ctrl-C; the tests of the page start it"},
	"docs/distributed.md": {"there is no database in a test of this page; TestDatabaseIsRestarted has one", "there is no server in a test of this page; TestARunElsewhereIsLikeOneHere has one", "there is no server in a test of this page; TestFilesOfWorkersComeHome has one", "there is no server in a test of this page; TestAScheduleMakesRuns has one", "there is no server in a test of this page; TestTwoVersionsBesideEachOther has one"},
	"docs/local.md":       {"there is no Docker in a test; TestScripts/guest imports a root file system"},
	"docs/release.md":     {"it would release", "there is no release to look at"},
	"docs/tracing.md":     {"there is no Docker in a test; TestARunIsOneTrace has a collector"},
	"docs/windows.md":     {"a benchmark; make bench runs it"},
}

func TestDocumentation(t *testing.T) {
	noGuests := lackingGuests(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range docPages(t) {
		name := strings.TrimPrefix(path, "../../")
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := docSteps(string(src))
			if err != nil {
				t.Fatal(err)
			}
			var skipped []string
			typed := 0
			for _, s := range steps {
				if s.notRun != "" {
					skipped = append(skipped, s.notRun)
				} else if s.file == "" {
					typed++
				}
			}
			if !slices.Equal(skipped, notRun[name]) {
				t.Errorf("not run are %q; known are %q", skipped, notRun[name])
			}
			if typed == 0 {
				return
			}
			if noGuests != nil {
				t.Skipf("NOT TESTED: %v", noGuests)
			}
			t.Parallel()
			typeDocs(t, root, steps)
		})
	}
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// typeDocs types the commands of a page.
func typeDocs(t *testing.T, root string, steps []docStep) {
	dir := t.TempDir()
	for _, s := range steps {
		if s.file == "" {
			continue
		}
		file := filepath.Join(dir, s.file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(s.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "setsid", "bash", "-c", docScript(steps)) // a group of its own, which ends with the page
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = dir
	home, out := filepath.Join(dir, ".home"), filepath.Join(dir, ".out")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "IMGFLOW_HOME=" + filepath.Join(home, "imgflow"), "AWS_EC2_METADATA_DISABLED=true",
		"OUT=" + out, "PORT=" + freePort(t), "ROOT=" + root, "EXAMPLES=" + filepath.Join(root, "examples"), "LANG=C.UTF-8"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		where, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(where)))
	}
	for _, d := range []string{home, out} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if cmd.Process != nil {
			exec.Command("bash", "-c", fmt.Sprintf("kill -TERM -- -%d; for i in $(seq 200); do kill -0 -- -%[1]d || break; sleep 0.05; done", cmd.Process.Pid)).Run()
		}
		stopServer(filepath.Join(home, "imgflow", "local"))
	})
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	runErr := cmd.Run()
	output := func(i int) string {
		p, _ := os.ReadFile(filepath.Join(out, fmt.Sprint(i)))
		return string(p)
	}
	if runErr != nil {
		at, _ := os.ReadFile(filepath.Join(out, "at"))
		i := 0
		fmt.Sscan(string(at), &i)
		t.Fatalf("line %d: %v\n%s\n%s\n%s", steps[i].line, runErr, steps[i].commands, output(i), all.String())
	}
	for i, s := range steps {
		if missing, ok := lacks(s.want, output(i)); ok {
			t.Errorf("line %d: %s\ndoes not show %q:\n%s", s.line, s.commands, missing, output(i))
		}
	}
}

var docLink = regexp.MustCompile(`\]\(([^)\s]*[./#][^)\s]*)\)`)

// Every link of a page leads to a file that is there, and to a heading of it; every
// page is in the table of contents, and in llms.txt, which programs read.
func TestLinks(t *testing.T) {
	var contents []string
	for _, path := range append(docPages(t), "../../llms.txt") {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range docLink.FindAllStringSubmatch(string(src), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			}
			if base := filepath.Base(path); base == "llms.txt" || path == "../../docs/README.md" {
				contents = append(contents, base+" "+target)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, m[1])
			} else if anchor != "" && !slices.Contains(headings(t, target), anchor) {
				t.Errorf("%s: %s has no heading %s", path, target, anchor)
			}
		}
	}
	for _, path := range docPages(t) {
		if !strings.HasPrefix(path, "../../docs/") || path == "../../docs/README.md" {
			continue
		}
		for _, list := range []string{"README.md ", "llms.txt "} {
			if !slices.Contains(contents, list+path) {
				t.Errorf("%s is not in %s", path, list)
			}
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// headings are the anchors of a page, as GitHub makes them.
func headings(t *testing.T, path string) (anchors []string) {
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.SplitSeq(string(src), "\n") {
		if text, ok := strings.CutPrefix(strings.TrimLeft(l, "#"), " "); ok && strings.HasPrefix(l, "#") {
			anchors = append(anchors, strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-"))
		}
	}
	return anchors
}
