package winguest

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// netshExe is netsh.exe: the firewall, and the proxy of WinHTTP, which is none.
func netshExe(_ context.Context, p *Proc) int {
	var words []string
	for _, a := range p.Args {
		words = append(words, strings.ToLower(a))
	}
	begins := func(line string) ([]string, bool) {
		want := strings.Fields(line)
		if len(words) < len(want) || !slices.Equal(words[:len(want)], want) {
			return nil, false
		}
		return p.Args[len(want):], true
	}
	for _, c := range []struct {
		line string
		run  func(*Proc, []string) int
	}{
		{"advfirewall firewall add rule", netshAdd},
		{"advfirewall firewall set rule", netshSet},
		{"advfirewall firewall delete rule", netshDelete},
		{"advfirewall firewall show rule", netshShow},
		{"advfirewall set", netshProfile},
		{"advfirewall show", netshState},
		{"firewall add portopening", netshPort},
		{"firewall set opmode", netshOpmode},
		{"winhttp show proxy", netshProxy},
		{"winhttp reset proxy", netshProxy},
	} {
		if rest, ok := begins(c.line); ok {
			return c.run(p, rest)
		}
	}
	return p.refuse("%q is not supported here: known are advfirewall firewall add|set|delete|show rule, advfirewall set|show PROFILE state, firewall add portopening, firewall set opmode, winhttp show|reset proxy", strings.Join(p.Args, " "))
}

func netshOk(p *Proc) int {
	p.say("Ok.\n\n")
	return 0
}

func netshBad(p *Proc, text string) int {
	p.say("\n%s\n\n", text)
	return 1
}

func netshElevated(p *Proc) bool {
	if p.Admin() != nil {
		p.say("The requested operation requires elevation (Run as administrator).\n\n")
		return false
	}
	return true
}

// pairs reads name=value words; blanks around the equals sign do not count.
func pairs(args []string) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not of the form name=value", a)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		out[name] = strings.TrimSpace(value)
	}
	return out, nil
}

const ruleWords = "name, dir, action, program, service=any, description, enable, profile, localip, remoteip, localport, remoteport, protocol, interfacetype=any, edge=no, security=notrequired"

// edit changes a rule as the words say. The error names what is wrong.
func (r *Rule) edit(words map[string]string) error {
	for name, v := range words {
		low := strings.ToLower(v)
		oneOf := func(list ...string) error {
			if !slices.Contains(list, low) {
				return fmt.Errorf("%s=%s: it is one of %s", name, v, strings.Join(list, ", "))
			}
			return nil
		}
		var err error
		switch name {
		case "name":
			r.Display = v
		case "dir":
			err = oneOf("in", "out")
			r.Out = low == "out"
		case "action":
			err = oneOf("allow", "block")
			r.Block = low == "block"
		case "enable":
			err = oneOf("yes", "no")
			r.Enabled = low == "yes"
		case "description":
			r.Comment = v
		case "program":
			r.Program = v
		case "profile":
			for _, w := range strings.Split(low, ",") {
				if !slices.Contains([]string{"any", "domain", "private", "public"}, strings.TrimSpace(w)) {
					err = fmt.Errorf("%s=%s: it is any, or of domain, private, public", name, v)
				}
			}
			r.Profile = titled(v)
		case "localip":
			r.LocalAddr = titled(v)
		case "remoteip":
			if r.RemoteAddr = titled(v); low == "localsubnet" {
				r.RemoteAddr = "LocalSubnet"
			}
		case "localport":
			if r.LocalPort = titled(v); !portsOK(v) {
				err = fmt.Errorf("%s=%s: it is ports and ranges, with commas", name, v)
			}
		case "remoteport":
			if r.RemotePort = titled(v); !portsOK(v) {
				err = fmt.Errorf("%s=%s: it is ports and ranges, with commas", name, v)
			}
		case "protocol":
			r.Protocol = strings.ToUpper(v)
			if low == "any" {
				r.Protocol = "Any"
			}
		case "service", "interfacetype":
			err = oneOf("any")
		case "edge":
			err = oneOf("no")
		case "security":
			err = oneOf("notrequired")
		default:
			err = fmt.Errorf("%s is not supported here: known are %s", name, ruleWords)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// titled writes any as the rules have it.
func titled(v string) string {
	if strings.EqualFold(v, "any") {
		return "Any"
	}
	return v
}

func netshAdd(p *Proc, args []string) int {
	words, err := pairs(args)
	if err != nil {
		return p.refuse("advfirewall firewall add rule: %v", err)
	}
	if words["name"] == "" || words["dir"] == "" || words["action"] == "" || strings.EqualFold(words["name"], "all") {
		return netshBad(p, "One or more essential parameters were not entered.\nVerify that the required parameters are entered correctly.")
	}
	if !netshElevated(p) {
		return 1
	}
	r := Rule{Enabled: true, Protocol: "Any", LocalAddr: "Any", RemoteAddr: "Any", LocalPort: "Any", RemotePort: "Any", Profile: "Any"}
	if err := r.edit(words); err != nil {
		return p.refuse("advfirewall firewall add rule: %v", err)
	}
	if r.LocalPort != "Any" && r.Protocol != "TCP" && r.Protocol != "UDP" && r.Protocol != "6" && r.Protocol != "17" {
		return netshBad(p, "A port can be specified only if the protocol is TCP or UDP.")
	}
	have := map[string]bool{}
	for _, o := range p.Machine.FirewallRules() {
		have[strings.ToLower(o.Name)] = true
	}
	// Its own name is nothing that netsh shows; several may have one display name.
	for n := 0; r.Name == "" || have[strings.ToLower(r.Name)]; n++ {
		r.Name = fmt.Sprintf("netsh-%d-%s", n, r.Display)
	}
	if err := p.Machine.AddFirewallRule(r); err != nil {
		return netshBad(p, err.Error())
	}
	return netshOk(p)
}

// chosen is the rules that name=, group= and the other words choose.
func chosen(words map[string]string) (func(Rule) bool, error) {
	for name := range words {
		if !slices.Contains([]string{"name", "group", "dir", "profile", "program", "protocol", "localport", "remoteport", "localip", "remoteip", "verbose"}, name) {
			return nil, fmt.Errorf("%s does not choose rules here: name, group, dir, profile, program, protocol, localport, remoteport, localip and remoteip do", name)
		}
	}
	same := func(word, of string) bool {
		want, ok := words[word]
		return !ok || strings.EqualFold(want, of) || strings.EqualFold(want, "any") && anything(of)
	}
	return func(r Rule) bool {
		dir := "in"
		if r.Out {
			dir = "out"
		}
		named := strings.EqualFold(words["name"], "all") || same("name", r.Display)
		return named && same("group", r.Group) && same("dir", dir) && same("profile", r.Profile) && same("program", r.Program) && same("protocol", r.Protocol) &&
			same("localport", r.LocalPort) && same("remoteport", r.RemotePort) && same("localip", r.LocalAddr) && same("remoteip", r.RemoteAddr)
	}, nil
}

const netshNone = "No rules match the specified criteria."

func netshSet(p *Proc, args []string) int {
	at := slices.IndexFunc(args, func(a string) bool { return strings.EqualFold(a, "new") })
	if at < 0 {
		return netshBad(p, "A specified value is not valid.\n\nThe word new is missing between the rules that are meant and what shall be new of them.")
	}
	words, err := pairs(args[:at])
	if err != nil {
		return p.refuse("advfirewall firewall set rule: %v", err)
	}
	change, err := pairs(args[at+1:])
	if err != nil {
		return p.refuse("advfirewall firewall set rule: %v", err)
	}
	which, err := chosen(words)
	if err == nil {
		err = (&Rule{}).edit(change)
	}
	if err != nil {
		return p.refuse("advfirewall firewall set rule: %v", err)
	}
	if words["name"] == "" && words["group"] == "" || len(change) == 0 {
		return netshBad(p, "One or more essential parameters were not entered.\nVerify that the required parameters are entered correctly.")
	}
	if !netshElevated(p) {
		return 1
	}
	n, err := p.Machine.ChangeFirewallRules(which, func(r *Rule) { r.edit(change) })
	switch {
	case err != nil:
		return netshBad(p, err.Error())
	case n == 0:
		return netshBad(p, netshNone)
	}
	p.say("\nUpdated %d rule(s).\n", n)
	return netshOk(p)
}

func netshDelete(p *Proc, args []string) int {
	words, err := pairs(args)
	var which func(Rule) bool
	if err == nil {
		which, err = chosen(words)
	}
	if err != nil {
		return p.refuse("advfirewall firewall delete rule: %v", err)
	}
	if words["name"] == "" {
		return netshBad(p, "One or more essential parameters were not entered.\nVerify that the required parameters are entered correctly.")
	}
	if !netshElevated(p) {
		return 1
	}
	n, err := p.Machine.ChangeFirewallRules(which, nil)
	switch {
	case err != nil:
		return netshBad(p, err.Error())
	case n == 0:
		return netshBad(p, netshNone)
	}
	p.say("\nDeleted %d rule(s).\n", n)
	return netshOk(p)
}

func netshShow(p *Proc, args []string) int {
	words, err := pairs(args)
	var which func(Rule) bool
	if err == nil {
		which, err = chosen(words)
	}
	if err != nil {
		return p.refuse("advfirewall firewall show rule: %v", err)
	}
	if words["name"] == "" {
		return netshBad(p, "One or more essential parameters were not entered.\nVerify that the required parameters are entered correctly.")
	}
	found := false
	for _, r := range p.Machine.FirewallRules() {
		if !which(r) {
			continue
		}
		found = true
		dir, action := "In", "Allow"
		if r.Out {
			dir = "Out"
		}
		if r.Block {
			action = "Block"
		}
		profile := r.Profile
		if anything(profile) {
			profile = "Domain,Private,Public"
		}
		p.say("\n%-38s%s\n%s\n", "Rule Name:", r.Display, strings.Repeat("-", 70))
		for _, l := range [][2]string{{"Enabled:", yesNo(r.Enabled)}, {"Direction:", dir}, {"Profiles:", profile}, {"Grouping:", r.Group}, {"LocalIP:", r.LocalAddr}, {"RemoteIP:", r.RemoteAddr},
			{"Protocol:", r.Protocol}, {"LocalPort:", r.LocalPort}, {"RemotePort:", r.RemotePort}, {"Edge traversal:", "No"}, {"Action:", action}} {
			p.say("%-38s%s\n", l[0], l[1])
		}
	}
	if !found {
		return netshBad(p, netshNone)
	}
	return netshOk(p)
}

// profiles are those that a word means.
func (m *Machine) profiles(word string) []string {
	switch w := strings.ToLower(word); w {
	case "allprofiles":
		return networkProfiles
	case "currentprofile":
		return []string{m.NetworkCategory()}
	case "domainprofile", "privateprofile", "publicprofile":
		for _, p := range networkProfiles {
			if strings.EqualFold(p+"profile", w) {
				return []string{p}
			}
		}
	}
	return nil
}

func netshProfile(p *Proc, args []string) int {
	var list []string
	if len(args) > 0 {
		list = p.Machine.profiles(args[0])
	}
	if len(args) != 3 || list == nil {
		return p.refuse("advfirewall set takes allprofiles, currentprofile, domainprofile, privateprofile or publicprofile, and state on|off")
	}
	word, value := strings.ToLower(args[1]), strings.ToLower(args[2])
	if word == "firewallpolicy" && value == "blockinbound,allowoutbound" {
		return netshOk(p) // it is so anyway
	}
	if word != "state" || value != "on" && value != "off" {
		return p.unsupported(args[1]+" "+args[2], "are state on, state off, and firewallpolicy blockinbound,allowoutbound, which holds anyway")
	}
	if !netshElevated(p) {
		return 1
	}
	for _, name := range list {
		if err := p.Machine.SetFirewall(name, value == "on"); err != nil {
			return netshBad(p, err.Error())
		}
	}
	return netshOk(p)
}

func netshState(p *Proc, args []string) int {
	var list []string
	if len(args) > 0 {
		list = p.Machine.profiles(args[0])
	}
	if list == nil || len(args) > 2 || len(args) == 2 && !strings.EqualFold(args[1], "state") {
		return p.refuse("advfirewall show takes allprofiles, currentprofile, domainprofile, privateprofile or publicprofile, and state")
	}
	for _, name := range list {
		on := "OFF"
		if p.Machine.FirewallOn(name) {
			on = "ON"
		}
		p.say("\n%s Profile Settings: \n%s\n%-38s%s\n", name, strings.Repeat("-", 70), "State", on)
	}
	return netshOk(p)
}

// netshPort is the old form: firewall add portopening TCP 5985 "a name".
func netshPort(p *Proc, args []string) int {
	words := map[string]string{}
	for i, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			if i > 2 {
				return p.unsupported(a, "are protocol, port and name")
			}
			name, value = []string{"protocol", "port", "name"}[i], a
		}
		words[strings.ToLower(name)] = value
	}
	if len(words) != 3 || words["protocol"] == "" || words["port"] == "" || words["name"] == "" {
		return p.refuse("firewall add portopening takes the protocol, the port and a name")
	}
	return netshAdd(p, []string{"name=" + words["name"], "dir=in", "action=allow", "protocol=" + words["protocol"], "localport=" + words["port"]})
}

func netshOpmode(p *Proc, args []string) int {
	mode := ""
	if len(args) == 1 {
		mode = strings.TrimPrefix(strings.ToLower(args[0]), "mode=")
	}
	state, ok := map[string]string{"enable": "on", "disable": "off"}[mode]
	if !ok {
		return p.refuse("firewall set opmode takes enable or disable")
	}
	return netshProfile(p, []string{"currentprofile", "state", state})
}

func netshProxy(p *Proc, args []string) int {
	if len(args) > 0 {
		return p.unsupported(args[0], "is nothing behind proxy")
	}
	p.say("\nCurrent WinHTTP proxy settings:\n\n    Direct access (no proxy server).\n\n")
	return 0
}
