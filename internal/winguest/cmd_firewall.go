package winguest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

func (c *cmdlets) firewall() {
	const which = "Name:string[]:1:=ID DisplayName:string[] DisplayGroup:string[] Group:string[] PolicyStore:string "
	const given, all = "InputObject:any:pipe ", "All:switch "
	const what = "Action:string Direction:string Enabled:string Profile:any Protocol:string LocalPort:any RemotePort:any LocalAddress:any RemoteAddress:any Program:string Description:string "
	c.add("Get-NetFirewallRule", which+all+"Enabled:string Direction:string Action:string", func(k *posh.Call) error {
		rules, err := c.rules(k)
		if err != nil {
			return err
		}
		for _, r := range rules {
			o := ruleObject(r)
			if k.Has("Enabled") && !strings.EqualFold(propertyText(o, "Enabled"), k.Str("Enabled")) || k.Has("Direction") && !strings.EqualFold(propertyText(o, "Direction"), k.Str("Direction")) ||
				k.Has("Action") && !strings.EqualFold(propertyText(o, "Action"), k.Str("Action")) {
				continue
			}
			if err := k.Emit(o); err != nil {
				return err
			}
		}
		return nil
	})
	c.change("New-NetFirewallRule", "Name:string:=ID DisplayName:string:need Group:string PolicyStore:string EdgeTraversalPolicy:string InterfaceType:string Service:string IcmpType:any "+what, func(k *posh.Call) error {
		if err := localStore(k); err != nil {
			return err
		}
		for _, n := range []string{"Service", "InterfaceType"} {
			if k.Has(n) && !anything(k.Str(n)) {
				return outside("%s -%s %s", k.Name, n, k.Str(n)) // the rule would let in more than it should
			}
		}
		r := Rule{Name: k.Str("Name"), Display: k.Str("DisplayName"), Group: k.Str("Group"), Enabled: true, Protocol: "Any", LocalPort: "Any", RemotePort: "Any", LocalAddr: "Any", RemoteAddr: "Any", Profile: "Any"}
		if r.Name == "" {
			r.Name = "{" + strings.ToLower(strings.Trim(c.newGUID(), "{}")) + "}"
		}
		if err := editRule(k, &r); err != nil {
			return err
		}
		if err := c.m.AddFirewallRule(r); err != nil {
			return cmError(k.Name, r.Name, err)
		}
		return k.Emit(ruleObject(r))
	})
	change := func(name, params string, edit func(k *posh.Call, r *Rule) error) {
		c.change(name, which+given+params, func(k *posh.Call) error {
			rules, err := c.rules(k)
			if err != nil {
				return err
			}
			names := map[string]bool{}
			for i := range rules { // refused before anything changes
				names[rules[i].Name] = true
				if edit != nil {
					if err := edit(k, &rules[i]); err != nil {
						return err
					}
				}
			}
			var f func(*Rule)
			if edit != nil {
				f = func(r *Rule) { edit(k, r) }
			}
			if _, err := c.m.ChangeFirewallRules(func(r Rule) bool { return names[r.Name] }, f); err != nil {
				return cmError(k.Name, "", err)
			}
			if k.On("PassThru") && edit != nil {
				for _, r := range c.m.FirewallRules() {
					if names[r.Name] {
						if err := k.Emit(ruleObject(r)); err != nil {
							return err
						}
					}
				}
			}
			return nil
		})
	}
	change("Set-NetFirewallRule", "NewDisplayName:string PassThru:switch "+what, editRule)
	change("Enable-NetFirewallRule", all+"PassThru:switch", func(_ *posh.Call, r *Rule) error { r.Enabled = true; return nil })
	change("Disable-NetFirewallRule", all+"PassThru:switch", func(_ *posh.Call, r *Rule) error { r.Enabled = false; return nil })
	change("Remove-NetFirewallRule", all, nil)

	profile := func(n string) *posh.Object {
		on := "False"
		if c.m.FirewallOn(n) {
			on = "True"
		}
		return posh.NewObject(cimType).Set("Name", n).Set("Profile", n).Set("Enabled", on).Set("DefaultInboundAction", "NotConfigured").Set("DefaultOutboundAction", "NotConfigured")
	}
	profiles := func(k *posh.Call) ([]string, error) {
		if err := localStore(k); err != nil {
			return nil, err
		}
		names := k.Strs("Profile")
		if len(names) == 0 {
			names = k.Strs("Name")
		}
		if v := k.Value("InputObject"); v != nil {
			names = []string{propertyText(v, "Name")}
		}
		var list []string
		for _, n := range names {
			list = append(list, strings.Split(strings.ReplaceAll(n, " ", ""), ",")...)
		}
		if len(list) == 0 {
			return networkProfiles, nil
		}
		for i, n := range list {
			known := false
			for _, p := range networkProfiles {
				if strings.EqualFold(n, p) {
					list[i], known = p, true
				}
			}
			if !known {
				return nil, problem("CannotConvertArgument", "InvalidArgument", n, "The profile is Domain, Private or Public, not %s.", n)
			}
		}
		return list, nil
	}
	c.add("Get-NetFirewallProfile", "Profile:string[]:=Name:1 All:switch PolicyStore:string", func(k *posh.Call) error {
		list, err := profiles(k)
		if err != nil {
			return err
		}
		for _, n := range list {
			if err := k.Emit(profile(n)); err != nil {
				return err
			}
		}
		return nil
	})
	c.change("Set-NetFirewallProfile", "Profile:string[]:1:=Name All:switch Enabled:string InputObject:any:pipe PolicyStore:string", func(k *posh.Call) error {
		list, err := profiles(k)
		if err != nil {
			return err
		}
		for _, n := range list {
			if k.Has("Enabled") {
				if err := c.m.SetFirewall(n, truthOf(k.Str("Enabled")) || k.Str("Enabled") == "1"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	connection := func() *posh.Object {
		return posh.NewObject(cimType).Set("Name", "Network").Set("InterfaceAlias", "Ethernet").Set("InterfaceIndex", 4).Set("NetworkCategory", c.m.NetworkCategory()).Set("IPv4Connectivity", "Internet").Set("IPv6Connectivity", "NoTraffic")
	}
	// found is nil where the one connection is asked for by what it has not.
	found := func(k *posh.Call) (*posh.Object, error) {
		o := connection()
		for _, n := range []string{"Name", "InterfaceAlias", "InterfaceIndex"} {
			if v := k.Str(n); k.Has(n) && !like(v, propertyText(o, n)) {
				return nil, k.Error(&posh.Error{ID: "CmdletizationQuery_NotFound_" + n, Message: "No MSFT_NetConnectionProfile objects found with property '" + n + "' equal to '" + v + "'. Verify the value of the property and retry.",
					Exception: "Microsoft.PowerShell.Cmdletization.Cim.CimJobException", Category: "ObjectNotFound", Target: v})
			}
		}
		return o, nil
	}
	c.add("Get-NetConnectionProfile", "Name:string:1 InterfaceAlias:string InterfaceIndex:int NetworkCategory:string", func(k *posh.Call) error {
		o, err := found(k)
		if err != nil || o == nil || k.Has("NetworkCategory") && !strings.EqualFold(k.Str("NetworkCategory"), c.m.NetworkCategory()) {
			return err
		}
		return k.Emit(o)
	})
	c.change("Set-NetConnectionProfile", "Name:string:1 InterfaceAlias:string InterfaceIndex:int NetworkCategory:string InputObject:any:pipe PassThru:switch", func(k *posh.Call) error {
		if o, err := found(k); err != nil || o == nil {
			return err
		}
		if k.Has("NetworkCategory") {
			if err := c.m.SetNetworkCategory(k.Str("NetworkCategory")); err != nil {
				return cmError(k.Name, k.Str("NetworkCategory"), err)
			}
		}
		if k.On("PassThru") {
			return k.Emit(connection())
		}
		return nil
	})
}

// rules are those that a cmdlet is for; a name without wildcard that no rule has
// is an error.
func (c *cmdlets) rules(k *posh.Call) ([]Rule, error) {
	if err := localStore(k); err != nil {
		return nil, err
	}
	all := c.m.FirewallRules()
	if in := k.Value("InputObject"); in != nil {
		for _, r := range all {
			if strings.EqualFold(r.Name, propertyText(in, "Name")) {
				return []Rule{r}, nil
			}
		}
		return nil, noRule("InstanceID", propertyText(in, "Name"))
	}
	for _, by := range []struct {
		param string
		field func(Rule) string
	}{
		{"Name", func(r Rule) string { return r.Name }}, {"DisplayName", func(r Rule) string { return r.Display }},
		{"DisplayGroup", func(r Rule) string { return r.Group }}, {"Group", func(r Rule) string { return r.Group }},
	} {
		if !k.Has(by.param) {
			continue
		}
		var list []Rule
		for _, n := range k.Strs(by.param) {
			found := false
			for _, r := range all {
				if like(n, by.field(r)) {
					list, found = append(list, r), true
				}
			}
			if !found && !hasWild(n) {
				if err := k.Error(noRule(by.param, n)); err != nil {
					return nil, err
				}
			}
		}
		return list, nil
	}
	return all, nil
}

// localStore refuses policies that are not the machine's own.
func localStore(k *posh.Call) error {
	switch strings.ToLower(k.Str("PolicyStore")) {
	case "", "persistentstore", "activestore":
		return nil
	}
	return outside("%s -PolicyStore %s", k.Name, k.Str("PolicyStore"))
}

func noRule(by, name string) error {
	if by == "Name" {
		by = "InstanceID"
	}
	return &posh.Error{ID: "CmdletizationQuery_NotFound_" + by, Message: "No MSFT_NetFirewallRule objects found with property '" + by + "' equal to '" + name + "'. Verify the value of the property and retry.",
		Exception: "Microsoft.PowerShell.Cmdletization.Cim.CimJobException", Category: "ObjectNotFound", Target: name}
}

func ruleObject(r Rule) *posh.Object {
	on, direction, action := "False", "Inbound", "Allow"
	if r.Enabled {
		on = "True"
	}
	if r.Out {
		direction = "Outbound"
	}
	if r.Block {
		action = "Block"
	}
	profile := r.Profile
	if anything(profile) {
		profile = "Any"
	}
	o := posh.NewObject(cimType).Set("Name", r.Name).Set("DisplayName", r.Display).Set("Description", r.Comment).Set("DisplayGroup", r.Group).Set("Group", r.Group)
	return o.Set("Enabled", on).Set("Profile", profile).Set("Direction", direction).Set("Action", action)
}

func listOf(v any) string {
	var out []string
	for _, e := range elements(v) {
		out = append(out, strings.ReplaceAll(textOf(e), " ", ""))
	}
	return strings.Join(out, ",")
}

// editRule does to a rule what the parameters say.
func editRule(k *posh.Call, r *Rule) error {
	choose := func(param, yes, no string, to *bool) error {
		if !k.Has(param) {
			return nil
		}
		switch v := k.Str(param); {
		case strings.EqualFold(v, yes):
			*to = true
		case strings.EqualFold(v, no):
			*to = false
		default:
			return problem("CannotConvertArgument", "InvalidArgument", v, "-%s is %s or %s, not %s.", param, yes, no, v)
		}
		return nil
	}
	for _, err := range []error{choose("Action", "Block", "Allow", &r.Block), choose("Direction", "Outbound", "Inbound", &r.Out), choose("Enabled", "True", "False", &r.Enabled)} {
		if err != nil {
			return err
		}
	}
	for _, p := range elements(k.Value("Profile")) {
		for _, n := range strings.Split(textOf(p), ",") {
			if n = strings.TrimSpace(n); !anything(n) && !slices.ContainsFunc(networkProfiles, func(p string) bool { return strings.EqualFold(p, n) }) {
				return problem("CannotConvertArgument", "InvalidArgument", n, "-Profile is Any, Domain, Private or Public, not %s.", n)
			}
		}
	}
	if p := k.Str("Protocol"); k.Has("Protocol") && !anything(p) && !slices.Contains([]string{"TCP", "UDP", "ICMPV4", "ICMPV6"}, strings.ToUpper(p)) {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 255 {
			return problem("HRESULT 0x80070057", "InvalidArgument", p, "The protocol %s is not valid.", p)
		}
	}
	for param, to := range map[string]*string{
		"Profile": &r.Profile, "Protocol": &r.Protocol, "LocalPort": &r.LocalPort, "RemotePort": &r.RemotePort, "LocalAddress": &r.LocalAddr, "RemoteAddress": &r.RemoteAddr,
	} {
		if k.Has(param) {
			*to = listOf(k.Value(param))
		}
	}
	for param, to := range map[string]*string{"Program": &r.Program, "Description": &r.Comment, "NewDisplayName": &r.Display} {
		if k.Has(param) && k.Str(param) != "" {
			*to = k.Str(param)
		}
	}
	for _, p := range append(elements(k.Value("LocalPort")), elements(k.Value("RemotePort"))...) {
		if strings.Contains(textOf(p), ",") || !portsOK(textOf(p)) {
			return problem("HRESULT 0x80070057", "InvalidArgument", textOf(p), "One of the port keywords is invalid.")
		}
	}
	if anything(r.Protocol) && (!anything(r.LocalPort) || !anything(r.RemotePort)) {
		return problem("HRESULT 0x80070057", "InvalidArgument", r.Name, "Ports go with -Protocol TCP or UDP.")
	}
	return nil
}

func (c *cmdlets) newGUID() string {
	var b [16]byte
	randomBytes(b[:])
	return fmt.Sprintf("{%08X-%04X-%04X-%04X-%012X}", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
