package posh

import (
	"strings"
	"testing"
)

// What a script file requires is looked at before anything of it runs (about_Requires).
func TestRequires(t *testing.T) {
	for _, c := range []struct{ line, says string }{
		{"#Requires -Version 5.1", ""},
		{"#requires -version 3", ""},
		{"#Requires -Version 2.0 -RunAsAdministrator", ""},
		{"   #Requires -Version 5", ""},
		{"#Requires -PSEdition Desktop", ""},
		{"#Requires -Modules Microsoft.PowerShell.Management, CimCmdlets", ""},
		{"#Requires -Module @{ ModuleName = 'CimCmdlets'; ModuleVersion = '1.0' }", ""},
		{"#Requires -Modules @{ModuleName='PKI';RequiredVersion='1.0.0.0'}, 'NetSecurity'", ""},
		{"# Requires -Version 9", ""},
		{"'x' | Out-Null #Requires -Version 9", ""},
		{"$x = '\n#Requires -Version 9\n'", ""},
		{"<#\n#Requires -Version 9\n#>", ""},
		{"#Requires -Version 6.0", "ScriptRequiresUnmatchedPSVersion"},
		{"#Requires -Version 7", "The script 's.ps1' cannot be run because it contained a \"#requires\" statement for Windows PowerShell 7. The version"},
		{"#Requires -Version 5.2", "ScriptRequiresUnmatchedPSVersion"},
		{"function f {\n#Requires -Version 7\n}", "ScriptRequiresUnmatchedPSVersion"},
		{"'a'\n\n#Requires -Version 7", "ResourceUnavailable: (s.ps1:String) [], ScriptRequiresException"},
		{"#Requires -PSEdition Core", "ScriptRequiresUnmatchedPSEdition"},
		{"#Requires -Modules AWSPowerShell", "the following modules that are specified by the \"#requires\" statements of the script are missing: AWSPowerShell."},
		{"#Requires -Modules @{ModuleName='CimCmdlets';ModuleVersion='9.0'}", "ScriptRequiresMissingModules"},
		{"#Requires -Modules ServerManager", ErrOutside.Error()},
		{"#Requires -PSSnapin x", ErrOutside.Error()},
		{"#Requires -Version A", "line 1, column 11"},
		{"#Requires -Version 2b", "line 1"},
		{"#Requires -Version ''", "line 1"},
		{"#Requires -Version 1.0.", "line 1"},
		{"#Requires -Version", "has no value"},
		{"#Requires -Foo 1", "has no parameter -Foo"},
		{"#Requires 5", "takes parameters only"},
		{"#RequiresappID", "must be followed by a blank"},
		{"#Requires -RunAsAdministrator 1", "takes no value"},
		{"#Requires -Version 3\n#Requires -Version 4", "has -Version twice"},
	} {
		b := newBox(t)
		b.file("work/s.ps1", c.line+"\n'ran'\n")
		for _, args := range [][]string{{"-File", `C:\work\s.ps1`}, {"-Command", `. C:\work\s.ps1`}, {"-Command", `& .\s.ps1`}} {
			r := b.run(args...)
			ran := strings.HasSuffix(r.out, "ran\r\n")
			if ran != (c.says == "") || r.out != "" && !ran || (r.code == 0) != ran || !strings.Contains(strings.ReplaceAll(r.err, "\r\n", ""), c.says) || ran && r.err != "" {
				t.Errorf("%s (%s)\nprinted %q, %q, code %d, want %q", c.line, args[0], r.out, r.err, r.code, c.says)
			}
		}
	}
	b := newBox(t)
	b.m.user = true
	b.file("work/s.ps1", "#Requires -RunAsAdministrator\n'ran'")
	if r := b.run("-File", `C:\work\s.ps1`); r.out != "" || r.code != 1 || !strings.Contains(r.err, "ScriptRequiresElevation") {
		t.Errorf("as a user: %+v", r)
	}
	b.file("work/s.ps1", "try { . .\\t.ps1 } catch { $_.Exception.GetType().Name; $_.FullyQualifiedErrorId }")
	b.file("work/t.ps1", "#Requires -RunAsAdministrator\n'ran'")
	if r := b.run("-File", `C:\work\s.ps1`); r.out != "ScriptRequiresException\r\nScriptRequiresElevation\r\n" {
		t.Errorf("caught: %+v", r)
	}
	if r := b.run("-Command", "#Requires -RunAsAdministrator\n'ran'"); r.out != "ran\r\n" { // it is about script files
		t.Errorf("a command: %+v", r)
	}
}
