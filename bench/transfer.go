package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// transfers is what is measured: the main module's BenchmarkTransfer, which needs its
// server and its insides.
type transfers struct {
	of    string // which of them, as go test takes it
	chart string
}

func transferFlags(args []string) (t transfers, err error) {
	f := flag.NewFlagSet("transfer", flag.ContinueOnError)
	f.StringVar(&t.of, "of", "", "only transfers that fit the `pattern`, such as file/text/up")
	f.StringVar(&t.chart, "svg", "", "draw the medians into this `file`")
	if err := f.Parse(args); err != nil {
		return t, err
	}
	if f.NArg() > 0 {
		return t, errors.New("cannot read the command line: transfer takes flags alone")
	}
	return t, nil
}

func (t transfers) run(w io.Writer) error {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkTransfer$/"+t.of, "-benchtime", "1x", "./steps/comm")
	cmd.Dir, cmd.Stderr = "..", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("cannot measure transfers: %w\n%s", err, out)
	}
	table, err := transferTable(string(out))
	if err != nil {
		return err
	}
	table.write(w)
	if t.chart == "" {
		return nil
	}
	return os.WriteFile(t.chart, table.svg("Transfers, seconds of imgflow and of OpenSSH's own clients"), 0o644)
}

var (
	benchLine = regexp.MustCompile(`(?m)^BenchmarkTransfer/(\S+?)(-\d+)?\s+\d+\s+(.*)$`)
	metric    = regexp.MustCompile(`([\d.e+-]+) (\S+)`)
)

// transferTable reads what the benchmark prints: medians of both, and of their ratios.
func transferTable(out string) (table, error) {
	t := table{head: []string{"", "imgflow", "scp, or tar and ssh", "imgflow ÷ theirs"}}
	for _, line := range benchLine.FindAllStringSubmatch(out, -1) {
		values := map[string]float64{}
		for _, m := range metric.FindAllStringSubmatch(strings.ReplaceAll(line[3], "\t", " "), -1) {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return table{}, fmt.Errorf("cannot read %q of the benchmark: %w", m[0], err)
			}
			values[m[2]] = v
		}
		ours, theirs, ratio := values["s"], values["theirs-s"], values["ratio"]
		t.rows = append(t.rows, []string{line[1], fmt.Sprintf("%.2f s", ours), fmt.Sprintf("%.2f s", theirs), fmt.Sprintf("%.2f", ratio)})
		t.bars = append(t.bars, bar{line[1], ours, ours}, bar{"theirs", theirs, theirs})
	}
	if len(t.rows) == 0 {
		return table{}, fmt.Errorf("cannot find a transfer in what the benchmark has printed:\n%s", out)
	}
	return t, nil
}
