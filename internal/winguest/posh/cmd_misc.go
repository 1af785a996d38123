package posh

import (
	"strings"
	"time"
)

var policyScopes = []string{"Process", "CurrentUser", "LocalMachine", "UserPolicy", "MachinePolicy"}

func miscCommands() []Command {
	return []Command{
		{Name: "Get-Date", Params: []Param{piped(param("Date", "datetime", 1, "LastWriteTime")), param("Format", "string", 0), param("UFormat", "string", 0), param("Year", "int", 0), param("Month", "int", 0), param("Day", "int", 0),
			param("Hour", "int", 0), param("Minute", "int", 0), param("Second", "int", 0), param("Millisecond", "int", 0), refused("DisplayHint")}, Run: getDate},
		{Name: "New-TimeSpan", Params: []Param{param("Start", "datetime", 1, "LastWriteTime"), param("End", "datetime", 2), param("Days", "int", 0), param("Hours", "int", 0), param("Minutes", "int", 0), param("Seconds", "int", 0)}, Run: func(c *Call) error {
			if c.Has("Start") || c.Has("End") {
				from, to := c.sh.now(), c.sh.now()
				if t, ok := c.Value("Start").(time.Time); ok {
					from = t
				}
				if t, ok := c.Value("End").(time.Time); ok {
					to = t
				}
				return c.out.put(c.sh.fromZone(to).Sub(c.sh.fromZone(from)))
			}
			return c.out.put(time.Duration(c.Int("Days"))*24*time.Hour + time.Duration(c.Int("Hours"))*time.Hour + time.Duration(c.Int("Minutes"))*time.Minute + time.Duration(c.Int("Seconds"))*time.Second)
		}},
		{Name: "Get-Random", Params: []Param{piped(param("InputObject", "object[]", 0)), param("Maximum", "", 1), param("Minimum", "", 0), param("Count", "int", 0), param("SetSeed", "int", 0)}, Run: func(c *Call) error {
			l, _ := c.State.([]any)
			if in, ok := c.Input(); ok {
				c.State = append(l, in)
			} else if c.Has("InputObject") {
				c.State = append(l, c.Values("InputObject")...)
			}
			return nil
		}, End: getRandom},
		{Name: "Start-Sleep", Params: []Param{piped(byName(param("Seconds", "double", 1))), byName(param("Milliseconds", "int", 0))}, Run: func(c *Call) error {
			d := time.Duration(c.Int("Milliseconds")) * time.Millisecond
			if f, ok := c.Value("Seconds").(float64); ok {
				if !c.sh.core {
					f = float64(int64(f + 0.5))
				}
				if f < 0 || f > 2147483 {
					return &Error{ID: "ParameterArgumentValidationError", Category: "InvalidData", Message: "Cannot validate argument on parameter 'Seconds': it must be between 0 and 2147483.", Exception: "System.Management.Automation.ParameterBindingException"}
				}
				d = time.Duration(f * float64(time.Second))
			}
			return c.sh.sleep(d)
		}},
		{Name: "Invoke-Expression", Params: []Param{needed(piped(param("Command", "string", 1)))}, Run: func(c *Call) error {
			ast, err := parse(c.Str("Command"), "", c.sh.core)
			if err != nil {
				return err
			}
			return c.sh.runHere(&Block{ast: ast}, c.out)
		}},
		{Name: "Invoke-Command", Params: []Param{needed(param("ScriptBlock", "scriptblock", 1, "Command")), param("ArgumentList", "object[]", 0, "Args"), inputObject, param("NoNewScope", "switch", 0), refused("ComputerName"), refused("Session"),
			refused("Credential"), refused("FilePath"), refused("AsJob")}, Run: gather, End: func(c *Call) error {
			acts := []actual{}
			for _, v := range c.Values("ArgumentList") {
				acts = append(acts, actual{value: bare(v)})
			}
			t := &blockStage{s: c.sh, b: c.Value("ScriptBlock").(*Block), args: acts, out: c.out, dot: c.On("NoNewScope")}
			if err := t.begin(); err != nil {
				return err
			}
			for _, v := range gathered(c) {
				if err := t.process(v); err != nil {
					return err
				}
			}
			if !c.piped {
				if err := t.alone(); err != nil {
					return err
				}
			}
			return t.end()
		}},
		{Name: "Get-Command", Params: []Param{byName(piped(param("Name", "string[]", 1))), param("CommandType", "string", 0, "Type"), refused("Module"), refused("Verb"), refused("Noun"), refused("Syntax"), refused("All"), refused("ListImported"),
			refused("ParameterName"), refused("TotalCount")}, Run: getCommand},
		{Name: "Get-Variable", Params: []Param{piped(byName(param("Name", "string[]", 1))), param("ValueOnly", "switch", 0), param("Scope", "string", 0), refused("Include"), refused("Exclude")}, Run: getVariable},
		{Name: "Set-Variable", Params: []Param{needed(byName(param("Name", "string[]", 1))), piped(byName(param("Value", "", 2))), param("Scope", "string", 0), param("Option", "string", 0), param("Force", "switch", 0), param("PassThru", "switch", 0), param("Description", "string", 0), refused("Visibility")}, Run: setVariable},
		{Name: "New-Variable", Params: []Param{needed(byName(param("Name", "string[]", 1))), piped(byName(param("Value", "", 2))), param("Scope", "string", 0), param("Option", "string", 0), param("Force", "switch", 0), param("Description", "string", 0), refused("Visibility")}, Run: setVariable},
		{Name: "Clear-Variable", Params: []Param{needed(param("Name", "string[]", 1)), param("Scope", "string", 0), param("Force", "switch", 0)}, Run: setVariable},
		{Name: "Remove-Variable", Params: []Param{needed(param("Name", "string[]", 1)), param("Scope", "string", 0), param("Force", "switch", 0)}, Run: func(c *Call) error {
			sc := c.sh.scope
			if c.Has("Scope") {
				var err error
				if sc, err = c.scopeParam(); err != nil {
					return err
				}
			}
			for _, n := range c.Strs("Name") {
				if err := c.sh.removeVar(n, sc, c.On("Force")); err != nil {
					if err := c.Error(&Error{ID: "VariableNotFound", Category: "ObjectNotFound", Message: "Cannot find a variable with the name '" + n + "', or it cannot be removed.", Exception: "System.Management.Automation.ItemNotFoundException"}); err != nil {
						return err
					}
				}
			}
			return nil
		}},
		{Name: "Set-Alias", Params: []Param{needed(param("Name", "string", 1)), needed(param("Value", "string", 2)), param("Scope", "string", 0), param("Force", "switch", 0), param("Option", "string", 0), param("Description", "string", 0)}, Run: setAlias},
		{Name: "New-Alias", Params: []Param{needed(param("Name", "string", 1)), needed(param("Value", "string", 2)), param("Scope", "string", 0), param("Force", "switch", 0), param("Option", "string", 0), param("Description", "string", 0)}, Run: setAlias},
		{Name: "Get-Alias", Params: []Param{param("Name", "string[]", 1), refused("Definition"), refused("Scope"), refused("Exclude")}, Run: func(c *Call) error {
			for _, n := range c.Strs("Name") {
				to, ok := c.sh.alias(foldKey(n))
				if !ok {
					if err := c.Error(&Error{ID: "ItemNotFoundException", Category: "ObjectNotFound", Message: "This command cannot find a matching alias because an alias with the name '" + n + "' does not exist."}); err != nil {
						return err
					}
					continue
				}
				if err := c.out.put(aliasObject(n, to)); err != nil {
					return err
				}
			}
			return nil
		}},
		{Name: "Set-StrictMode", Params: []Param{param("Version", "string", 0, "v"), param("Off", "switch", 0)}, Run: func(c *Call) error {
			n := -1
			if v := strings.ToLower(c.Str("Version")); v != "" {
				if v == "latest" {
					v = "3"
				}
				x, ok := parseNumber(v)
				i, err := c.sh.toInt32(x)
				if !ok || err != nil {
					return &Error{ID: "ParameterArgumentTransformationError", Category: "InvalidData", Message: "'" + v + "' is no version of strict mode."}
				}
				n = int(i)
			}
			c.sh.scope.strict = n
			return nil
		}},
		{Name: "Set-PSDebug", Params: []Param{param("Trace", "int", 0), param("Strict", "switch", 0), param("Off", "switch", 0), refused("Step")}, Run: func(c *Call) error {
			c.sh.debug = c.Int("Trace")
			if c.On("Strict") {
				c.sh.global.strict = 1
			}
			return nil
		}},
		{Name: "Set-ExecutionPolicy", Class: utility("SetExecutionPolicy"), Params: []Param{needed(Param{Name: "ExecutionPolicy", Type: "string", Pos: 1, PipeName: true, Values: []string{"Unrestricted", "RemoteSigned", "AllSigned", "Restricted", "Default", "Bypass", "Undefined"}}), Param{Name: "Scope", Type: "string", Pos: 2, Values: policyScopes}, param("Force", "switch", 0)},
			Run: func(c *Call) error {
				if strings.EqualFold(c.Str("Scope"), "Process") {
					policy := c.Str("ExecutionPolicy")
					if strings.EqualFold(policy, "Undefined") {
						policy = ""
					}
					c.sh.env.Set("PSExecutionPolicyPreference", policy)
				}
				return nil // all scripts may run here whatever the policy is
			}},
		{Name: "Get-ExecutionPolicy", Params: []Param{Param{Name: "Scope", Type: "string", Pos: 1, Values: policyScopes}, refused("List")}, Run: func(c *Call) error {
			p, ok := c.sh.env.Get("PSExecutionPolicyPreference")
			switch scope := c.Str("Scope"); {
			case scope != "" && !strings.EqualFold(scope, "Process"):
				return c.sh.refuse("Get-ExecutionPolicy -Scope %s", scope)
			case ok:
				return c.out.put(p)
			case scope != "":
				return c.out.put("Undefined")
			}
			return c.out.put("RemoteSigned")
		}},
		{Name: "Add-Type", Params: []Param{param("AssemblyName", "string[]", 0, "AN"), param("TypeDefinition", "-", 1), refused("MemberDefinition"), refused("Path"), refused("LiteralPath"), refused("Name"), refused("Namespace"), refused("Language"), param("PassThru", "-", 0), refused("ReferencedAssemblies")}, Run: func(c *Call) error {
			for _, n := range c.Strs("AssemblyName") {
				short, _, _ := strings.Cut(n, ",")
				if !assemblies[strings.ToLower(short)] {
					return c.sh.refuse("the assembly %s", n)
				}
			}
			return nil
		}},
		{Name: "Import-Module", Class: utility("ImportModule"), Params: []Param{needed(piped(param("Name", "string[]", 1))), param("Force", "switch", 0), param("PassThru", "-", 0), param("Global", "switch", 0), param("DisableNameChecking", "switch", 0), param("MinimumVersion", "string", 0, "Version"), refused("Function"), refused("Cmdlet"), refused("Prefix"), refused("ArgumentList")}, Run: func(c *Call) error {
			for _, n := range c.Strs("Name") {
				if modules[strings.ToLower(n)] {
					continue
				}
				if strings.HasSuffix(strings.ToLower(n), ".psm1") || strings.HasSuffix(strings.ToLower(n), ".psd1") || c.sh.hasSeparator(n) {
					return c.sh.refuse("Import-Module of a file")
				}
				return c.sh.refuse("the module %s", n)
			}
			return nil
		}},
		{Name: "Get-Host", Run: func(c *Call) error { v, _ := c.sh.lookup("host"); return c.out.put(v) }},
		{Name: "Get-Culture", Run: func(c *Call) error {
			o := NewObject("System.Globalization.CultureInfo").Set("Name", "en-US").Set("LCID", int32(1033)).Set("DisplayName", "English (United States)")
			o.Text = func() string { return "en-US" }
			return c.out.put(o)
		}},
		{Name: "New-Guid", Class: "-", Run: func(c *Call) error { return c.out.put(newGuid()) }},
		{Name: "ConvertTo-SecureString", Class: "Microsoft.PowerShell.Commands.ConvertToSecureStringCommand", Params: []Param{needed(piped(param("String", "string", 1))), param("AsPlainText", "switch", 0), param("Force", "switch", 0), refused("Key"), refused("SecureKey")}, Run: func(c *Call) error {
			if !c.On("AsPlainText") {
				return c.sh.refuse("ConvertTo-SecureString without -AsPlainText")
			}
			if !c.On("Force") {
				return &Error{ID: "ImportSecureString_ForceRequired", Category: "InvalidArgument", Message: "The system cannot protect plain text input. To suppress this warning and convert the plain text to a SecureString, reissue the command specifying the Force parameter.", Exception: "System.ArgumentException"}
			}
			return c.out.put(&secret{c.Str("String")})
		}},
		{Name: "Read-Host", Params: []Param{param("Prompt", "", 1), param("AsSecureString", "switch", 0)}, Run: func(c *Call) error {
			return &Error{ID: "InvalidOperation", Category: "InvalidOperation", Message: "Windows PowerShell is in NonInteractive mode. Read and Prompt functionality is not available.", Exception: "System.Management.Automation.PSInvalidOperationException"}
		}},
		{Name: "Clear-Host", Run: func(c *Call) error { return nil }}, // there is no screen
		{Name: "Compress-Archive", Class: "-", Params: []Param{piped(byName(param("Path", "string[]", 1))), byName(param("LiteralPath", "string[]", 0, "PSPath")), needed(param("DestinationPath", "string", 2)), param("CompressionLevel", "string", 0), param("Force", "switch", 0), refused("Update")}, Run: gatherPaths, End: compressArchive},
		{Name: "Expand-Archive", Class: "-", Params: []Param{piped(byName(param("Path", "string", 1))), byName(param("LiteralPath", "string", 0, "PSPath")), param("DestinationPath", "string", 2), param("Force", "switch", 0)}, Run: expandArchive},
		{Name: "Unblock-File", Params: []Param{byName(param("Path", "string[]", 1)), byName(param("LiteralPath", "string[]", 0, "PSPath"))}, Run: func(c *Call) error {
			return c.eachPlace(true, func(place) error { return nil }) // no file here carries the mark
		}},
	}
}

var assemblies = map[string]bool{"system": true, "system.core": true, "mscorlib": true, "system.io.compression": true, "system.io.compression.filesystem": true, "system.security": true, "system.management.automation": true}

var modules = map[string]bool{"microsoft.powershell.utility": true, "microsoft.powershell.management": true, "microsoft.powershell.security": true, "microsoft.powershell.archive": true, "microsoft.powershell.localaccounts": true,
	"cimcmdlets": true, "scheduledtasks": true, "netsecurity": true, "microsoft.wsman.management": true, "pki": true}

// runHere runs a block in the current scope.
func (s *shell) runHere(b *Block, out *port) error {
	t := &blockStage{s: s, b: b, dot: true, out: out}
	if err := t.begin(); err != nil {
		return err
	}
	if err := t.alone(); err != nil {
		return err
	}
	return t.end()
}

func getCommand(c *Call) error {
	s := c.sh
	want := strings.ToLower(c.Str("CommandType"))
	for _, n := range c.Strs("Name") {
		if hasWildcard(n) {
			return s.refuse("Get-Command with a pattern")
		}
		if to, ok := s.alias(foldKey(n)); ok && (want == "" || want == "alias") {
			if err := c.out.put(aliasObject(n, to)); err != nil {
				return err
			}
			continue
		}
		info, err := s.command(n)
		if err == nil && want != "" && !strings.EqualFold(info.kind, want) {
			err = fault("", "of another kind")
			if want == "application" || want == "externalscript" {
				if p, ok := s.m.Find(n, s.dir, s.env); ok {
					info, err = &commandInfo{name: s.leaf(p), kind: "Application", path: p}, nil
				}
			}
		}
		if err != nil {
			if s.passes(err) {
				return err
			}
			if err := c.Error(&Error{ID: "CommandNotFoundException", Category: "ObjectNotFound", Target: n, Exception: "System.Management.Automation.CommandNotFoundException",
				Message: "The term '" + n + "' is not recognized as the name of a cmdlet, function, script file, or operable program."}); err != nil {
				return err
			}
			continue
		}
		if err := c.out.put(info); err != nil {
			return err
		}
	}
	if !c.Has("Name") {
		return s.refuse("Get-Command without a name")
	}
	return nil
}

func (s *shell) commandGet(c *commandInfo, k string) (any, bool, error) {
	switch k {
	case "name":
		return c.name, true, nil
	case "commandtype":
		return c.kind, true, nil
	case "source", "modulename":
		if c.path != "" {
			return c.path, true, nil
		}
		return "", true, nil
	case "path":
		if c.path != "" {
			return c.path, true, nil
		}
		return nil, true, nil
	case "definition":
		switch {
		case c.block != nil:
			return c.block.text(), true, nil
		case c.path != "":
			return c.path, true, nil
		}
		return c.name, true, nil
	case "scriptblock":
		if c.block != nil {
			return c.block, true, nil
		}
		return nil, true, nil
	case "version":
		return "", true, nil
	case "parameters":
		h := NewHash(false)
		switch {
		case c.block != nil:
			for _, p := range c.block.ast.params {
				h.Set(p.name, NewObject("System.Management.Automation.ParameterMetadata").Set("Name", p.name))
			}
		case c.def != nil:
			for _, p := range c.def.Params {
				h.Set(p.Name, NewObject("System.Management.Automation.ParameterMetadata").Set("Name", p.Name))
			}
		}
		return h, true, nil
	}
	return nil, false, nil
}
