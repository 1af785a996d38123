package posh

import (
	"math/rand/v2"
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

func getDate(c *Call) error {
	s := c.sh
	t, ok := c.Value("Date").(time.Time)
	if !ok {
		t = s.now()
	}
	pick := func(n string, v int) int {
		if c.Has(n) {
			return c.Int(n)
		}
		return v
	}
	t = time.Date(pick("Year", t.Year()), time.Month(pick("Month", int(t.Month()))), pick("Day", t.Day()), pick("Hour", t.Hour()), pick("Minute", t.Minute()), pick("Second", t.Second()), t.Nanosecond(), t.Location())
	switch {
	case c.Has("UFormat"):
		f := c.Str("UFormat")
		var b strings.Builder
		for i := 0; i < len(f); i++ {
			if f[i] != '%' || i+1 >= len(f) {
				b.WriteByte(f[i])
				continue
			}
			i++
			l, ok := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'I': "03", 'T': "15:04:05"}[f[i]]
			if !ok {
				return s.refuse("Get-Date -UFormat %%%c", f[i])
			}
			b.WriteString(t.Format(l))
		}
		return c.out.put(b.String())
	case c.Has("Format"):
		f := c.Str("Format")
		u := map[string]string{"filedate": "yyyyMMdd", "filedatetime": "yyyyMMddTHHmmssffff", "filedateuniversal": "yyyyMMddZ", "filedatetimeuniversal": "yyyyMMddTHHmmssffffZ"}
		if x, ok := u[strings.ToLower(f)]; ok {
			if strings.HasSuffix(strings.ToLower(f), "universal") {
				t = s.fromZone(t).In(time.UTC)
			}
			f = strings.NewReplacer("T", "'T'", "Z", "'Z'").Replace(x)
		}
		r, err := s.formatTime(t, f)
		if err != nil {
			return err
		}
		return c.out.put(r)
	}
	return c.out.put(t)
}

func getRandom(c *Call) error {
	s := c.sh
	if s.random == nil {
		s.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Has("SetSeed") {
		return s.refuse("Get-Random -SetSeed")
	}
	if in := gathered(c); len(in) > 0 {
		n := 1
		if c.Has("Count") {
			n = min(c.Int("Count"), len(in))
		}
		for _, i := range s.random.Perm(len(in))[:max(0, n)] {
			if err := c.out.put(in[i]); err != nil {
				return err
			}
		}
		return nil
	}
	lo, hi := c.Value("Minimum"), c.Value("Maximum")
	if isFloat(lo) || isFloat(hi) {
		a, err := toFloat(lo, "System.Double")
		if err != nil {
			return err
		}
		b, err := toFloat(hi, "System.Double")
		if err != nil {
			return err
		}
		return c.out.put(a + s.random.Float64()*(b-a))
	}
	a, err := toInt(lo, "System.Int64", -1<<62, 1<<62)
	if err != nil {
		return err
	}
	b := int64(1<<31 - 1)
	if hi != nil {
		if b, err = toInt(hi, "System.Int64", -1<<62, 1<<62); err != nil {
			return err
		}
	}
	if a >= b {
		return &Error{ID: "MinGreaterThanOrEqualMax", Category: "InvalidArgument", Message: "The Minimum value (" + toText(a) + ") cannot be greater than or equal to the Maximum value (" + toText(b) + ").", Exception: "System.ArgumentException"}
	}
	v := a + s.random.Int64N(b-a)
	if v >= -1<<31 && v < 1<<31 {
		return c.out.put(int32(v))
	}
	return c.out.put(v)
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

func (c *Call) scopeParam() (*scope, error) {
	s := c.sh
	switch v := strings.ToLower(c.Str("Scope")); v {
	case "", "local", "0":
		return s.scope, nil
	case "global", "script":
		return s.scopeNamed(v), nil
	default:
		x, ok := parseNumber(v)
		n, err := s.toInt32(x)
		if !ok || err != nil {
			return nil, s.refuse("the scope '%s'", v)
		}
		sc := s.scope
		for ; n > 0 && sc.parent != nil; n-- {
			sc = sc.parent
		}
		if n > 0 {
			return nil, &Error{ID: "ArgumentOutOfRange", Category: "InvalidArgument", Message: "The scope number '" + v + "' exceeds the number of active scopes.", Exception: "System.Management.Automation.PSArgumentOutOfRangeException"}
		}
		return sc, nil
	}
}

func getVariable(c *Call) error {
	s := c.sh
	if !c.Has("Name") {
		return s.refuse("Get-Variable without a name")
	}
	sc, err := c.scopeParam()
	if err != nil {
		return err
	}
	for _, n := range c.Strs("Name") {
		var hits []*variable
		if hasWildcard(n) {
			ch, err := (variableDrive{s}).Children("")
			if err != nil {
				return err
			}
			for _, x := range ch {
				if s.like(x.Name, n, false) {
					hits = append(hits, s.find(foldKey(x.Name)))
				}
			}
		} else {
			var v *variable
			if c.Has("Scope") {
				v = sc.vars[variableKey(n)]
			} else {
				v = s.find(variableKey(n))
			}
			if v == nil {
				if err := c.Error(&Error{ID: "VariableNotFound", Category: "ObjectNotFound", Target: n, Message: "Cannot find a variable with the name '" + n + "'.", Exception: "System.Management.Automation.ItemNotFoundException"}); err != nil {
					return err
				}
				continue
			}
			hits = append(hits, v)
		}
		for _, v := range hits {
			if c.On("ValueOnly") {
				if err := emit(v.value(), c.out); err != nil {
					return err
				}
				continue
			}
			if err := c.out.put(variableDrive{s}.item(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

func setVariable(c *Call) error {
	s := c.sh
	sc, err := c.scopeParam()
	if err != nil {
		return err
	}
	for _, n := range c.Strs("Name") {
		key := variableKey(n)
		if i := strings.LastIndexByte(n, ':'); i >= 0 && !c.Has("Scope") {
			for _, part := range strings.Split(strings.ToLower(n[:i]), ":") {
				if part == "global" || part == "script" {
					sc = s.scopeNamed(part)
				}
			}
			n = n[i+1:]
		}
		v := c.Value("Value")
		if c.def.Name == "New-Variable" && !c.On("Force") {
			if _, there := sc.vars[key]; there {
				if err := c.Error(&Error{ID: "VariableAlreadyExists", Category: "ResourceExists", Message: "A variable with name '" + n + "' already exists.", Exception: "System.Management.Automation.SessionStateException"}); err != nil {
					return err
				}
				continue
			}
		}
		if x := sc.vars[key]; x != nil && x.readOnly && !x.constant && c.On("Force") && x.live == nil {
			x.readOnly = false
		}
		if _, err := s.assign(sc, key, n, v, nil); err != nil {
			if s.passes(err) {
				return err
			}
			if err := c.Error(err); err != nil {
				return err
			}
			continue
		}
		switch o := strings.ToLower(c.Str("Option")); o {
		case "", "none", "allscope":
			if o == "allscope" {
				return s.refuse("-Option AllScope")
			}
		case "readonly":
			sc.vars[key].readOnly = true
		case "constant":
			sc.vars[key].constant = true
		default:
			return s.refuse("-Option %s", o)
		}
		if c.On("PassThru") {
			if err := c.out.put(variableDrive{s}.item(sc.vars[key])); err != nil {
				return err
			}
		}
	}
	return nil
}

func setAlias(c *Call) error {
	if _, there := c.sh.alias(foldKey(c.Str("Name"))); there && c.def.Name == "New-Alias" && !c.On("Force") {
		return c.Error(&Error{ID: "AliasAlreadyExists", Category: "ResourceExists", Target: c.Str("Name"), Exception: "System.Management.Automation.SessionStateException",
			Message: "The alias is not allowed, because an alias with the name '" + c.Str("Name") + "' already exists."})
	}
	c.sh.aliases[foldKey(c.Str("Name"))] = c.Str("Value")
	return nil
}

func gatherPaths(c *Call) error {
	return c.eachPlace(true, func(p place) error {
		l, _ := c.State.([]any)
		c.State = append(l, p.path)
		return nil
	})
}

func compressArchive(c *Call) error {
	s := c.sh
	paths := gathered(c)
	if len(paths) == 0 {
		return nil
	}
	to, err := s.filePath(c.Str("DestinationPath"))
	if err != nil {
		return err
	}
	if !strings.HasSuffix(strings.ToLower(to), ".zip") {
		to += ".zip"
	}
	mode := CreateNew
	if c.On("Force") {
		mode = Create
	}
	f, err := s.openFile(to, Open{mode, Write, ShareNone})
	if err != nil {
		return err
	}
	z, err := s.newArchive(f, 1, false)
	if err != nil {
		return err
	}
	for _, v := range paths {
		p := v.(string)
		i, err := s.m.Stat(p)
		if err == nil && i.IsDir() {
			err = z.packAll(p, s.leaf(p)+"/")
		} else if err == nil {
			err = z.packFile(p, s.leaf(p), i.Written)
		}
		if err != nil {
			_ = z.close()
			return err
		}
	}
	return z.close()
}

func expandArchive(c *Call) error {
	s := c.sh
	p := c.Str("Path")
	if p == "" {
		p = c.Str("LiteralPath")
	}
	from, err := s.filePath(p)
	if err != nil {
		return err
	}
	to := s.dir
	if c.Has("DestinationPath") {
		if to, err = s.filePath(c.Str("DestinationPath")); err != nil {
			return err
		}
	}
	if _, err := s.m.Stat(from); err != nil {
		return &Error{ID: "ArchiveCmdletPathNotFound", Category: "InvalidArgument", Message: "The path '" + p + "' either does not exist or is not a valid file system path.", Target: p}
	}
	f, err := s.openFile(from, Open{OpenExisting, Read, ShareRead})
	if err != nil {
		return err
	}
	z, err := s.newArchive(f, 0, false)
	if err != nil {
		_ = f.close()
		return err
	}
	defer z.close() //nolint:errcheck // a reader's end
	return z.extractAll(to, c.On("Force"))
}
