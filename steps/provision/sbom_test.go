package provision

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// listed are the components of a list, as "name version".
func listed(t *testing.T, text string) (names []string) {
	t.Helper()
	var d struct {
		BOMFormat  string
		Components []struct{ Name, Version, Publisher string }
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil || d.BOMFormat != "CycloneDX" {
		t.Fatalf("%v in %.200s", err, text)
	}
	for _, c := range d.Components {
		names = append(names, strings.TrimSpace(c.Name+" "+c.Version+" "+c.Publisher))
	}
	return names
}

// What a machine's package database holds is listed, kept and written, and the machine handed on.
func TestSBOM(t *testing.T) {
	env, m := machine(t)
	env.Dir = t.TempDir()
	sink := &memSink{}
	s := SBOM{On: dag.Lit(m).Take(), Destination: parsed("lists/{{ build `ID` }}.json")}
	out, err := s.Do(t.Context(), env, task(sink))
	if err != nil {
		t.Fatal(err)
	}
	if out.Thing != m.Thing || out.SSH.Username != m.SSH.Username {
		t.Errorf("the machine: %+v", out.Machine)
	}
	names := listed(t, out.SBOM)
	want, err := exec.Command("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n").Output()
	if err != nil {
		t.Skipf("NOT TESTED: against dpkg: %v", err)
	}
	var all []string
	for line := range strings.Lines(string(want)) {
		if p, ok := strings.CutSuffix(strings.TrimSpace(line), " installed"); ok {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	slices.Sort(names)
	if !slices.Equal(names, slices.Compact(all)) {
		t.Errorf("%d listed, dpkg has %d", len(names), len(all))
	}
	written, err := os.ReadFile(filepath.Join(env.Dir, "lists", "i-0abc.json"))
	if err != nil || string(written) != out.SBOM {
		t.Errorf("%d bytes written of %d, %v", len(written), len(out.SBOM), err)
	}
	if said := sink.said(dag.Said); said != fmt.Sprintf("%d packages are installed\nwhat is installed is in lists/i-0abc.json\n", len(names)) {
		t.Errorf("said %q", said)
	}
}

// A list that something on the machine has made is taken as it is, if it is one.
func TestSBOMFromAFile(t *testing.T) {
	env, m := machine(t)
	env.Dir = t.TempDir()
	path := filepath.Join(t.TempDir(), "list.json")
	for _, c := range []struct{ text, want string }{
		{"{\"bomFormat\": \"CycloneDX\",\n \"x\": \"ä\"}\n", ""},
		{`{"spdxVersion":"SPDX-2.3"}`, ""},
		{`{"bomFormat":"other"}`, "cannot keep " + path + ": it is neither CycloneDX nor SPDX"},
		{`<bom/>`, "cannot keep " + path + ": it is no JSON"},
		{"{\"bomFormat\":\"CycloneDX\",\"x\":\"\xff\"}", "it is no JSON"},
		{`{"bomFormat":"CycloneDX","x":"` + strings.Repeat("x", maxSBOM) + `"}`, "it has more than 16 MiB"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := SBOM{On: dag.Lit(m).Take(), Source: dag.Text(path)}.Do(t.Context(), env, task(&memSink{}))
		if c.want == "" && (err != nil || out.SBOM != c.text) {
			t.Errorf("%q, %v", out.SBOM, err)
		}
		if c.want != "" {
			wantError(t, err, c.want)
		}
	}
	_, err := SBOM{On: dag.Lit(m).Take(), Source: dag.Text(path + ".none")}.Do(t.Context(), env, task(&memSink{}))
	wantError(t, err, "cannot take "+path+".none from the machine: ")
}

// Windows' programs are those that it can remove.
func TestSBOMOfAGuest(t *testing.T) {
	g := newGuest(t)
	const of = `HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\`
	if _, err := g.powershell(PowerShell{},
		dag.Text(`New-Item -Path '`+of+`{1}' -Force | Out-Null; Set-ItemProperty -Path '`+of+`{1}' -Name DisplayName -Value 'An Agent'; Set-ItemProperty -Path '`+of+`{1}' -Name DisplayVersion -Value '1.2'; Set-ItemProperty -Path '`+of+`{1}' -Name Publisher -Value 'Acme'`),
		dag.Text(`New-Item -Path '`+of+`hidden' -Force | Out-Null; Set-ItemProperty -Path '`+of+`hidden' -Name Other -Value x`)); err != nil {
		t.Fatal(err)
	}
	out, err := SBOM{On: dag.Lit(g.m).Take()}.Do(t.Context(), g.env, task(&memSink{}))
	if err != nil {
		t.Fatal(err)
	}
	if names := listed(t, out.SBOM); !slices.Equal(names, []string{"An Agent 1.2 Acme"}) || !strings.Contains(out.SBOM, `"name":"windows","version":"10.`) {
		t.Errorf("%q in %s", names, out.SBOM)
	}
}

// The options of HCP Packer's are checked, and make the same step.
func TestHCPSBOM(t *testing.T) {
	for _, c := range []struct {
		of   HCPSBOM
		want string
	}{
		{HCPSBOM{}, "source"},
		{HCPSBOM{Source: "x", AutoGenerate: true}, "auto_generate"},
		{HCPSBOM{Source: "x", SbomName: "y"}, "sbom_name"},
		{HCPSBOM{AutoGenerate: true, ScannerArgs: []string{"-o"}, ElevatedUser: "u"}, "scanner_args, elevated_user"},
		{HCPSBOM{Source: "x", Destination: "y"}, ""},
	} {
		var about []string
		for _, f := range c.of.Check() {
			about = append(about, f.Field)
		}
		if got := strings.Join(about, ", "); got != c.want {
			t.Errorf("%+v: %s, want %s", c.of, got, c.want)
		}
	}
	g := dag.NewGraph(nil)
	(&HCPSBOM{Source: "x", Destination: "y"}).Add(g, dag.Build{Name: "web"}, "sbom", dag.Lit(winMachine()))
	if len(g.Nodes) != 1 || g.Nodes[0].Kind != "provision.sbom" || !strings.Contains(string(g.Nodes[0].Spec), `"source":"x","destination":"y"`) {
		t.Errorf("%+v", g.Nodes)
	}
}
