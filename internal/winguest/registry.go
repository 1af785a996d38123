package winguest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is the type of a registry value.
type Kind string

const (
	String       Kind = "REG_SZ"
	ExpandString Kind = "REG_EXPAND_SZ"
	MultiString  Kind = "REG_MULTI_SZ"
	Binary       Kind = "REG_BINARY"
	DWord        Kind = "REG_DWORD"
	QWord        Kind = "REG_QWORD"
)

// Value is a registry value. Which field counts depends on the kind.
type Value struct {
	Name   string   `json:"name"` // "" for a key's default value
	Kind   Kind     `json:"kind"`
	Text   string   `json:"text,omitempty"`
	Multi  []string `json:"multi,omitempty"`
	Number uint64   `json:"number,omitempty"`
	Bytes  []byte   `json:"bytes,omitempty"`
}

// Key is a key with all below it. Both maps are by name in lower case.
type key struct {
	Name   string           `json:"name"`
	Values map[string]Value `json:"values,omitempty"`
	Keys   map[string]*key  `json:"keys,omitempty"`
}

func (k *key) child(name string) *key { return k.Keys[strings.ToLower(name)] }

func (k *key) make(path ...string) *key {
	for _, name := range path {
		c := k.child(name)
		if c == nil {
			c = &key{Name: name}
			if k.Keys == nil {
				k.Keys = map[string]*key{}
			}
			k.Keys[strings.ToLower(name)] = c
		}
		k = c
	}
	return k
}

func (k *key) set(v Value) {
	if k.Values == nil {
		k.Values = map[string]Value{}
	}
	if old, ok := k.Values[strings.ToLower(v.Name)]; ok {
		v.Name = old.Name
	}
	k.Values[strings.ToLower(v.Name)] = v
}

// Registry is the registry as a user sees it: HKCU is the user's own.
type Registry struct {
	m     *Machine
	user  string
	admin bool
}

// Registry is the machine's registry as a process of the login sees it.
func (m *Machine) Registry(l Login) Registry {
	return Registry{m, l.User, l.Elevated || strings.EqualFold(l.User, "SYSTEM")}
}

var hives = map[string][]string{
	"hklm": {"HKEY_LOCAL_MACHINE"}, "hkey_local_machine": {"HKEY_LOCAL_MACHINE"},
	"hku": {"HKEY_USERS"}, "hkey_users": {"HKEY_USERS"},
	"hkcr": {"HKEY_LOCAL_MACHINE", "SOFTWARE", "Classes"}, "hkey_classes_root": {"HKEY_LOCAL_MACHINE", "SOFTWARE", "Classes"},
	"hkcu": nil, "hkey_current_user": nil,
}

// split makes HKLM\A\b, HKLM:\A\b and HKEY_LOCAL_MACHINE\A\b the same names.
func (r Registry) split(st *state, path string) ([]string, error) {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '\\' || c == '/' })
	if len(parts) == 0 {
		return nil, fail("open", path, PathNotFound)
	}
	hive, ok := hives[strings.ToLower(strings.TrimSuffix(parts[0], ":"))]
	if !ok {
		return nil, fail("open", path, PathNotFound)
	}
	if hive == nil {
		hive = []string{"HKEY_USERS", st.sid(r.user)}
	}
	return append(slices.Clone(hive), parts[1:]...), nil
}

func (r Registry) find(st *state, path string) (*key, error) {
	parts, err := r.split(st, path)
	if err != nil {
		return nil, err
	}
	k := st.Registry
	for _, s := range parts {
		if k = k.child(s); k == nil {
			return nil, fail("open", path, FileNotFound)
		}
	}
	return k, nil
}

// HasKey tells whether a key is there.
func (r Registry) HasKey(path string) (ok bool) {
	r.m.read(func(st *state) {
		_, err := r.find(st, path)
		ok = err == nil
	})
	return ok
}

// Keys are the names of the keys right below one, in order.
func (r Registry) Keys(path string) (names []string, err error) {
	r.m.read(func(st *state) {
		var k *key
		if k, err = r.find(st, path); err == nil {
			for c := range maps.Values(k.Keys) {
				names = append(names, c.Name)
			}
		}
	})
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(strings.ToUpper(a), strings.ToUpper(b)) })
	return names, err
}

// Values are those of a key, in the order of their names.
func (r Registry) Values(path string) (vs []Value, err error) {
	r.m.read(func(st *state) {
		var k *key
		if k, err = r.find(st, path); err == nil {
			vs = slices.Collect(maps.Values(k.Values))
		}
	})
	slices.SortFunc(vs, func(a, b Value) int { return cmp.Compare(strings.ToUpper(a.Name), strings.ToUpper(b.Name)) })
	return vs, err
}

// Get returns one value. The error is FileNotFound if the key or the value is
// not there.
func (r Registry) Get(path, name string) (v Value, err error) {
	r.m.read(func(st *state) {
		var k *key
		if k, err = r.find(st, path); err != nil {
			return
		}
		var ok bool
		if v, ok = k.Values[strings.ToLower(name)]; !ok {
			err = fail("query", path+`\`+name, FileNotFound)
		}
	})
	return v, err
}

// Set makes or changes a value of a key that is there.
func (r Registry) Set(path string, v Value) error {
	return r.m.change(func(st *state) error {
		if err := r.mayWrite(st, path); err != nil {
			return err
		}
		k, err := r.find(st, path)
		if err == nil {
			k.set(v)
		}
		return err
	})
}

// Make makes a key and those above it; one that is there stays as it is.
func (r Registry) Make(path string) error {
	return r.m.change(func(st *state) error {
		if err := r.mayWrite(st, path); err != nil {
			return err
		}
		parts, err := r.split(st, path)
		if err == nil {
			st.Registry.make(parts...)
		}
		return err
	})
}

// Delete deletes a key. One with keys below it needs recurse: AccessDenied.
func (r Registry) Delete(path string, recurse bool) error {
	return r.m.change(func(st *state) error {
		if err := r.mayWrite(st, path); err != nil {
			return err
		}
		k, err := r.find(st, path)
		if err != nil {
			return err
		}
		parts, _ := r.split(st, path)
		if len(k.Keys) > 0 && !recurse || len(parts) < 2 || parts[0] == "HKEY_USERS" && len(parts) < 3 {
			return fail("delete", path, AccessDenied)
		}
		up := st.Registry
		for _, s := range parts[:len(parts)-1] {
			up = up.child(s)
		}
		delete(up.Keys, strings.ToLower(parts[len(parts)-1]))
		return nil
	})
}

// DeleteValue deletes a value.
func (r Registry) DeleteValue(path, name string) error {
	return r.m.change(func(st *state) error {
		if err := r.mayWrite(st, path); err != nil {
			return err
		}
		k, err := r.find(st, path)
		if err != nil {
			return err
		}
		if _, ok := k.Values[strings.ToLower(name)]; !ok {
			return fail("delete", path+`\`+name, FileNotFound)
		}
		delete(k.Values, strings.ToLower(name))
		return nil
	})
}

// mayWrite lets users without rights write what is their own.
func (r Registry) mayWrite(st *state, path string) error {
	parts, err := r.split(st, path)
	if err != nil {
		return err
	}
	if len(parts) == 1 && parts[0] == "HKEY_USERS" {
		return fail("write", path, AccessDenied)
	}
	if r.admin || parts[0] == "HKEY_USERS" && strings.EqualFold(parts[1], st.sid(r.user)) {
		return nil
	}
	return fail("write", path, AccessDenied)
}

const (
	machineEnvironment = `HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment`
	userEnvironment    = `HKCU\Environment`
	currentVersion     = `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	systemPolicies     = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`
)

// SessionEnv is the environment that a new session of a user begins with: the
// system's own variables, those of the registry for the machine, and those for
// the user, whose PATH goes behind the machine's.
func (m *Machine) SessionEnv(l Login) []string {
	name, home := m.ComputerName(), m.homeOf(l.User)
	vars := map[string]string{}
	names := map[string]string{}
	set := func(k, v string) { names[strings.ToLower(k)], vars[strings.ToLower(k)] = k, v }
	for _, kv := range [][2]string{
		{"ALLUSERSPROFILE", `C:\ProgramData`}, {"APPDATA", home + `\AppData\Roaming`},
		{"CommonProgramFiles", `C:\Program Files\Common Files`}, {"CommonProgramFiles(x86)", `C:\Program Files (x86)\Common Files`},
		{"CommonProgramW6432", `C:\Program Files\Common Files`}, {"COMPUTERNAME", name}, {"HOMEDRIVE", "C:"}, {"HOMEPATH", strings.TrimPrefix(home, "C:")},
		{"LOCALAPPDATA", home + `\AppData\Local`}, {"ProgramData", `C:\ProgramData`}, {"ProgramFiles", `C:\Program Files`},
		{"ProgramFiles(x86)", `C:\Program Files (x86)`}, {"ProgramW6432", `C:\Program Files`}, {"PUBLIC", `C:\Users\Public`},
		{"SystemDrive", "C:"}, {"SystemRoot", SystemRoot}, {"USERDOMAIN", name}, {"USERNAME", l.User}, {"USERPROFILE", home},
	} {
		set(kv[0], kv[1])
	}
	if service(l.User) {
		set("USERDOMAIN", "WORKGROUP")
		set("USERNAME", name+"$")
	}
	expand := func(v Value) string {
		if v.Kind != ExpandString {
			return v.Text
		}
		return expandVars(v.Text, func(n string) (string, bool) {
			s, ok := vars[strings.ToLower(n)]
			return s, ok
		})
	}
	r := m.Registry(l)
	machine, _ := r.Values(machineEnvironment)
	user, _ := r.Values(userEnvironment)
	if service(l.User) {
		user = nil
	}
	for _, v := range machine {
		// USERNAME there is SYSTEM: of a session that has no user.
		if (v.Kind == String || v.Kind == ExpandString) && !strings.EqualFold(v.Name, "USERNAME") {
			set(v.Name, expand(v))
		}
	}
	for _, v := range user {
		switch {
		case v.Kind != String && v.Kind != ExpandString:
		case strings.EqualFold(v.Name, "Path") && vars["path"] != "":
			set(names["path"], strings.TrimSuffix(vars["path"], ";")+";"+expand(v))
		default:
			set(v.Name, expand(v))
		}
	}
	var env []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, names[k]+"="+vars[k])
	}
	return env
}

// expandVars replaces %NAME% by the variable; an unknown one stays as it is.
func expandVars(s string, of func(string) (string, bool)) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "%")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, ok := strings.Cut(rest, "%")
		if v, known := of(name); ok && known {
			b.WriteString(v)
			s = after
			continue
		}
		b.WriteByte('%')
		s = rest
	}
}

// number and text make values of a new registry.
func number(name string, n uint64) Value { return Value{Name: name, Kind: DWord, Number: n} }
func text(name, s string) Value          { return Value{Name: name, Kind: String, Text: s} }
func expanding(name, s string) Value     { return Value{Name: name, Kind: ExpandString, Text: s} }

// newRegistry is what a fresh machine has in it.
func newRegistry(r Release) *key {
	root := &key{}
	put := func(path string, vs ...Value) {
		parts := strings.Split(path, `\`)
		k := root.make(append(slices.Clone(hives[strings.ToLower(parts[0])]), parts[1:]...)...)
		for _, v := range vs {
			k.set(v)
		}
	}
	put(currentVersion, text("ProductName", r.Product), text("CurrentVersion", "6.3"), text("CurrentBuild", r.build()), text("CurrentBuildNumber", r.build()),
		text("EditionID", "ServerDatacenter"), text("InstallationType", "Server"), text("SystemRoot", SystemRoot), number("UBR", 1))
	if r.ReleaseID != "" {
		put(currentVersion, number("CurrentMajorVersionNumber", 10), number("CurrentMinorVersionNumber", 0), text("ReleaseId", r.ReleaseID))
	}
	put(currentVersion + `\Winlogon`)
	put(machineEnvironment,
		expanding("ComSpec", `%SystemRoot%\system32\cmd.exe`), text("NUMBER_OF_PROCESSORS", "2"), text("OS", "Windows_NT"),
		expanding("Path", `%SystemRoot%\system32;%SystemRoot%;%SystemRoot%\System32\Wbem;%SYSTEMROOT%\System32\WindowsPowerShell\v1.0\`),
		text("PATHEXT", ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC"), text("PROCESSOR_ARCHITECTURE", "AMD64"),
		text("PROCESSOR_IDENTIFIER", "Intel64 Family 6 Model 85 Stepping 7, GenuineIntel"), text("PROCESSOR_LEVEL", "6"), text("PROCESSOR_REVISION", "5507"),
		expanding("PSModulePath", `%ProgramFiles%\WindowsPowerShell\Modules;%SystemRoot%\system32\WindowsPowerShell\v1.0\Modules`),
		expanding("TEMP", `%SystemRoot%\TEMP`), expanding("TMP", `%SystemRoot%\TEMP`), text("USERNAME", "SYSTEM"), expanding("windir", "%SystemRoot%"))
	put(`HKLM\SYSTEM\CurrentControlSet\Control\Session Manager`)
	put(`HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server`, number("fDenyTSConnections", 0))
	put(`HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp`, number("UserAuthentication", 1))
	put(`HKLM\SYSTEM\CurrentControlSet\Control\FileSystem`, number("LongPathsEnabled", 0))
	put(`HKLM\SYSTEM\CurrentControlSet\Control\Lsa`)
	put(`HKLM\SYSTEM\CurrentControlSet\Services`)
	put(`HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`)
	put(systemPolicies, number("EnableLUA", 1), number("ConsentPromptBehaviorAdmin", 5), number("PromptOnSecureDesktop", 1))
	put(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`)
	put(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce`)
	put(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall`)
	put(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update`)
	put(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing`)
	put(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN`)
	put(`HKLM\SOFTWARE\Microsoft\PowerShell\1\PowerShellEngine`, text("PowerShellVersion", "2.0"))
	put(`HKLM\SOFTWARE\Microsoft\PowerShell\3\PowerShellEngine`, text("PowerShellVersion", r.PowerShell))
	put(`HKLM\SOFTWARE\Microsoft\PowerShell\1\ShellIds\Microsoft.PowerShell`, text("ExecutionPolicy", "RemoteSigned"))
	put(`HKLM\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full`, number("Release", 528049), text("Version", "4.8.03761"))
	put(`HKLM\SOFTWARE\Amazon`)
	put(`HKLM\SOFTWARE\Classes`)
	put(`HKLM\SOFTWARE\Policies\Microsoft\Windows`)
	root.make("HKEY_USERS")
	return root
}

// newHive is what a user's own part of the registry begins with.
func newHive(root *key, sid string) {
	k := root.make("HKEY_USERS", sid)
	env := k.make("Environment")
	env.set(expanding("TEMP", `%USERPROFILE%\AppData\Local\Temp`))
	env.set(expanding("TMP", `%USERPROFILE%\AppData\Local\Temp`))
	k.make("Software", "Microsoft", "Windows", "CurrentVersion", "Run")
	k.make("Software", "Microsoft", "Windows", "CurrentVersion", "Explorer")
	k.make("Control Panel", "Desktop")
}

// String is how the value looks in a line.
func (v Value) String() string {
	switch v.Kind {
	case DWord:
		return fmt.Sprintf("0x%x", uint32(v.Number))
	case QWord:
		return fmt.Sprintf("0x%x", v.Number)
	case MultiString:
		return strings.Join(v.Multi, `\0`)
	case Binary:
		return fmt.Sprintf("%X", v.Bytes)
	}
	return v.Text
}
