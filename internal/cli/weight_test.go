package cli

import (
	"bufio"
	"cmp"
	"debug/elf"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxWeight is what the stripped program may come to, in bytes: whoever runs it
// in a guest or fetches it in CI pays for every one. HCL2 took 1.4 MB of it; data
// sources with what the embedded EC2 serves them, and the commands of a Packer user, 1.2; provisioners,
// post-processors, tests of images and provenance, 3.5; traces of OpenTelemetry 1.2;
// a live view, pages, plans that say why, imports of disks, and what programs and CI are told, 1.7;
// keys of KMS, fast launch, spot instances, and what a fleet shares and brings home 0.8;
// sessions of Session Manager, policies, publishing and other kinds of Amazon builds 2;
// the surrogate, machines' roles, other accounts, Instance Connect and quotas 1.
const maxWeight = 44_800_000

// weights is what each package came to when somebody last thought about it.
const weights = "testdata/weight.txt"

var weighAgain = flag.Bool("weigh", false, "write "+weights)

// TestWeight builds the program and names the packages that grew if it is too big.
func TestWeight(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: the weight of the program: -short is given, or this is not Linux, for which it is linked twice")
	}
	stripped, whole := filepath.Join(t.TempDir(), "stripped"), filepath.Join(t.TempDir(), "whole")
	for exe, flags := range map[string]string{stripped: "-s -w", whole: ""} {
		if out, err := exec.Command("go", "build", "-ldflags", flags, "-o", exe, "../../cmd/imgflow").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	info, err := os.Stat(stripped)
	if err != nil {
		t.Fatal(err)
	}
	now := packageSizes(t, whole)
	if *weighAgain {
		writeWeights(t, now)
	}
	before := readWeights(t)
	grown := func(pkg string) int { return max(now[pkg], minWeight) - max(before[pkg], minWeight) }
	table := "the biggest packages, and what they have grown by:" + sizeTable(now, grown, func(pkg string) int { return now[pkg] }) +
		"\nthe packages that grew most:" + sizeTable(now, grown, grown)
	if info.Size() > maxWeight {
		t.Errorf("the program has %.1f MB, and may have %.1f\n%s\nif that is worth it, run go test -run Weight ./internal/cli -weigh and raise maxWeight",
			float64(info.Size())/1e6, maxWeight/1e6, table)
	} else {
		t.Logf("the program has %.1f MB of %.1f\n%s", float64(info.Size())/1e6, maxWeight/1e6, table)
	}
}

// packageSizes are the bytes of each package in a program. What belongs to no
// package stands under the name of its section.
func packageSizes(t *testing.T, exe string) map[string]int {
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type != elf.SHT_NOBITS {
			sizes[s.Name] = int(s.FileSize)
		}
	}
	for _, s := range symbols {
		if int(s.Section) >= len(f.Sections) {
			continue // of no section
		}
		section := f.Sections[s.Section].Name
		if pkg := packageOf(s.Name); pkg != "" && sizes[section] >= int(s.Size) {
			sizes[section] -= int(s.Size)
			sizes[pkg] += int(s.Size)
		}
	}
	return sizes
}

// packageOf is the package that a symbol of the linker belongs to, or "".
func packageOf(symbol string) string {
	name, _, _ := strings.Cut(symbol, "[") // what a generic function is for
	path := strings.LastIndex(name, "/") + 1
	pkg, _, ok := strings.Cut(name[path:], ".")
	if !ok || strings.Contains(name, ":") {
		return ""
	}
	return name[:path] + pkg
}

func TestPackageOf(t *testing.T) {
	for symbol, want := range map[string]string{
		"main.main": "main",
		"github.com/aws/aws-sdk-go-v2/service/ec2.(*Client).RunInstances":  "github.com/aws/aws-sdk-go-v2/service/ec2",
		"slices.SortFunc[go.shape.*github.com/imgflow/imgflow/dag.Record]": "slices",
		"go:func.*":      "",
		"type:.eq.[2]os": "",
	} {
		if got := packageOf(symbol); got != want {
			t.Errorf("%s is of %q, want %q", symbol, got, want)
		}
	}
}

// sizeTable is the ten packages with the most by a measure, if they have any.
func sizeTable(now map[string]int, grown, measure func(pkg string) int) string {
	var b strings.Builder
	pkgs := slices.SortedFunc(maps.Keys(now), func(x, y string) int { return cmp.Or(measure(y)-measure(x), strings.Compare(x, y)) })
	for _, pkg := range pkgs[:min(10, len(pkgs))] {
		if measure(pkg) > 0 {
			fmt.Fprintf(&b, "\n  %7d KiB  %+6d KiB  %s", now[pkg]>>10, grown(pkg)>>10, pkg)
		}
	}
	return b.String()
}

// minWeight is what a package has at least that is written down, in bytes.
const minWeight = 32 << 10

func writeWeights(t *testing.T, sizes map[string]int) {
	var b strings.Builder
	for _, pkg := range slices.Sorted(maps.Keys(sizes)) {
		if sizes[pkg] >= minWeight {
			fmt.Fprintf(&b, "%d %s\n", sizes[pkg], pkg)
		}
	}
	if err := os.WriteFile(weights, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

func readWeights(t *testing.T) map[string]int {
	f, err := os.Open(weights)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sizes := map[string]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		size, pkg, _ := strings.Cut(lines.Text(), " ")
		if sizes[pkg], err = strconv.Atoi(size); err != nil {
			t.Fatal(err)
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return sizes
}
