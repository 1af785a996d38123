package winguest

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// winrmExe is winrm, which on a real machine is a script: get, set, create,
// delete, enumerate and quickconfig of its own configuration.
func winrmExe(_ context.Context, p *Proc) int {
	line := p.raw()
	verb, rest := firstWord(line)
	switch strings.ToLower(verb) {
	case "quickconfig", "qc":
		return winrmQuick(p, p.Args[1:])
	case "get", "g", "set", "s", "create", "c", "delete", "d", "enumerate", "enum", "e":
	case "":
		return p.refuse("it needs one of: get, set, create, delete, enumerate, quickconfig")
	default:
		return p.refuse("winrm %s is not supported here: known are get, set, create, delete, enumerate and quickconfig", verb)
	}
	uri, rest := firstWord(rest)
	resource, selectors, err := readResource(uri)
	if err != nil {
		return p.refuse("winrm %s: %v", verb, err)
	}
	values, rest, err := readValues(rest)
	if err != nil {
		return p.refuse("winrm %s %s: %v", verb, uri, err)
	}
	if rest != "" {
		return p.unsupported(rest, "are the address of a part of the configuration and @{NAME=\"VALUE\"}")
	}
	switch verb = strings.ToLower(verb[:1]); verb {
	case "s", "c", "d":
		if err := p.Admin(); err != nil {
			return winrmFault(p, "Access is denied. ", "-2147024891", "0x80070005", err.Error())
		}
	}
	listener := resource == "listener"
	address, transport := selectors["address"], selectors["transport"]
	if listener && (address == "" || transport == "") && verb != "e" {
		return p.refuse("winrm %s %s: a listener is chosen by ?Address=*+Transport=HTTP", verb, uri)
	}
	if (verb == "g" || verb == "d" || verb == "e") && values != nil {
		return p.refuse("winrm %s %s takes no values", verb, uri)
	}
	if verb != "g" && verb != "e" && verb != "d" && values == nil && !(verb == "c" && listener) {
		return p.refuse("winrm %s %s needs values: @{NAME=\"VALUE\"}", verb, uri)
	}
	switch {
	case verb == "e" && listener:
		for _, l := range p.Machine.Listeners() {
			p.showListener(l)
		}
		return 0
	case verb == "g" && listener:
		for _, l := range p.Machine.Listeners() {
			if strings.EqualFold(l.Address, address) && strings.EqualFold(l.Transport, transport) {
				p.showListener(l)
				return 0
			}
		}
		return winrmMissing(p)
	case verb == "g":
		return winrmShow(p, resource)
	case verb == "s" && listener:
		if err := p.Machine.SetListener(address, transport, values); err != nil {
			return winrmError(p, err, address, transport)
		}
		return winrmExeGet(p, address, transport)
	case verb == "s":
		if err := p.Machine.SetWinRM(resource, values); err != nil {
			return winrmError(p, err, "", "")
		}
		return winrmShow(p, resource)
	case verb == "c" && listener:
		l, err := NewListener(address, transport, values)
		if err == nil {
			err = p.Machine.AddListener(l)
		}
		if err != nil {
			return winrmError(p, err, address, transport)
		}
		p.say("ResourceCreated\n    Address = http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous\n    ReferenceParameters\n        ResourceURI = http://schemas.microsoft.com/wbem/wsman/1/config/listener\n        SelectorSet\n            Selector: Address = %s, Transport = %s\n\n", address, strings.ToUpper(transport))
		return 0
	case verb == "d" && listener:
		if err := p.Machine.RemoveListener(address, transport); err != nil {
			return winrmError(p, err, address, transport)
		}
		return 0
	}
	return p.refuse("winrm %s %s: that part of the configuration can be read and set only", verb, uri)
}

// readResource takes winrm/config/listener?Address=*+Transport=HTTP apart.
func readResource(uri string) (resource string, selectors map[string]string, err error) {
	path, query, asked := strings.Cut(uri, "?")
	low := strings.ToLower(strings.Trim(path, "/"))
	for _, root := range []string{"winrm/config", "http://schemas.microsoft.com/wbem/wsman/1/config"} {
		if rest, ok := strings.CutPrefix(low, root); ok && (rest == "" || rest[0] == '/') {
			resource = strings.Trim(rest, "/")
			selectors = map[string]string{}
			if asked {
				for _, s := range strings.Split(query, "+") {
					name, value, ok := strings.Cut(s, "=")
					if name = strings.ToLower(name); !ok || name != "address" && name != "transport" {
						return "", nil, fmt.Errorf("%q chooses nothing: listeners are chosen by Address and Transport", s)
					}
					selectors[name] = value
				}
			}
			return resource, selectors, nil
		}
	}
	return "", nil, fmt.Errorf("%q is not supported here: known is winrm/config and what is below it", uri)
}

// readValues reads @{A="b";C="d"}, also without quotes, and with the marks that
// quoting a second time leaves. nil is no values.
func readValues(text string) (values map[string]string, rest string, err error) {
	text = strings.TrimSpace(text)
	wrapped := strings.HasPrefix(text, `"@`)
	if wrapped {
		text = text[1:]
	}
	body, ok := strings.CutPrefix(text, "@{")
	if !ok {
		return nil, text, nil
	}
	values = map[string]string{}
	i := 0
	quote := func() bool { // \" and " are one
		if strings.HasPrefix(body[i:], `\"`) {
			i += 2
			return true
		}
		if strings.HasPrefix(body[i:], `"`) {
			i++
			return true
		}
		return false
	}
	blank := func(more string) {
		for i < len(body) && strings.IndexByte(" \t"+more, body[i]) >= 0 {
			i++
		}
	}
	for {
		blank(";")
		if i == len(body) {
			return nil, "", errors.New("the closing } of the values is missing")
		}
		if body[i] == '}' {
			rest = strings.TrimSpace(body[i+1:])
			if wrapped {
				if rest, ok = strings.CutPrefix(rest, `"`); !ok {
					return nil, "", errors.New("the closing quote of the values is missing")
				}
			}
			return values, strings.TrimSpace(rest), nil
		}
		k := strings.IndexAny(body[i:], "=;}")
		if k < 0 || body[i+k] != '=' {
			return nil, "", fmt.Errorf("%q is not of the form NAME=\"VALUE\"", body[i:])
		}
		name := strings.TrimSpace(body[i : i+k])
		i += k + 1
		blank("")
		var value string
		if quote() {
			end := i
			for end < len(body) && body[end] != '"' {
				end++
			}
			if end == len(body) {
				return nil, "", fmt.Errorf("the closing quote behind %s is missing", name)
			}
			value = strings.TrimSuffix(body[i:end], `\`)
			i = end + 1
			blank("")
			if i < len(body) && body[i] != ';' && body[i] != '}' {
				return nil, "", fmt.Errorf("%q stands behind the value of %s", body[i:], name)
			}
		} else {
			end := strings.IndexAny(body[i:], ";}")
			if end < 0 {
				return nil, "", errors.New("the closing } of the values is missing")
			}
			value = strings.TrimSpace(body[i : i+end])
			i += end
		}
		if name == "" {
			return nil, "", errors.New("a value has no name")
		}
		values[name] = value
	}
}

func winrmFault(p *Proc, text, number, hex, why string) int {
	p.complain("WSManFault\n    Message = %s\n\nError number:  %s %s\n%s", why, number, hex, text)
	return 1
}

func winrmMissing(p *Proc) int {
	const text = "The service cannot find the resource identified by the resource URI and selectors. "
	return winrmFault(p, text, "-2144108542", "0x80338002", text)
}

func winrmError(p *Proc, err error, address, transport string) int {
	switch {
	case errors.Is(err, ErrNoListener):
		return winrmMissing(p)
	case errors.Is(err, ErrListenerExists):
		text := fmt.Sprintf("The WS-Management service cannot perform the configuration operation. A listener with Address=%s and Transport=%s configuration already exists. Before it can be re-created, the existing listener must be deleted. ", address, strings.ToUpper(transport))
		return winrmFault(p, text, "-2144108493", "0x80338033", text)
	case errors.Is(err, CertNotFound):
		return winrmFault(p, "Cannot create a WinRM listener on HTTPS because this machine does not have an appropriate certificate. ", "-2144108267", "0x80338115", err.Error())
	}
	return winrmFault(p, "The client cannot process the request. ", "-2144108447", "0x80338061", err.Error())
}

func winrmExeGet(p *Proc, address, transport string) int {
	for _, l := range p.Machine.Listeners() {
		if strings.EqualFold(l.Address, address) && strings.EqualFold(l.Transport, transport) {
			p.showListener(l)
			return 0
		}
	}
	return winrmMissing(p)
}

func (p *Proc) showListener(l Listener) {
	hostname, thumbprint := "", ""
	if l.Hostname != "" {
		hostname = " = " + l.Hostname
	}
	if l.Thumbprint != "" {
		thumbprint = " = " + l.Thumbprint
	}
	p.say("Listener\n    Address = %s\n    Transport = %s\n    Port = %d\n    Hostname%s\n    Enabled = %t\n    URLPrefix = %s\n    CertificateThumbprint%s\n    ListeningOn = %s\n\n",
		l.Address, l.Transport, l.Port, hostname, !l.Off, l.URLPrefix, thumbprint, p.Machine.Addr())
}

// winrmShow prints the settings below a part of the configuration, as a tree.
func winrmShow(p *Proc, below string) int {
	list := p.Machine.WinRMSettings(below)
	if len(list) == 0 {
		return winrmMissing(p)
	}
	depth := 0
	if below == "" {
		p.say("Config\n")
	} else {
		parts := strings.Split(list[0].Path, "/")
		depth = strings.Count(below, "/") + 1
		p.say("%s\n", parts[depth-1])
	}
	var open []string
	for _, s := range list {
		parts := strings.Split(s.Path, "/")[depth:]
		for i, part := range parts[:len(parts)-1] {
			if i >= len(open) || open[i] != part {
				p.say("%s%s\n", strings.Repeat("    ", i+1), part)
			}
		}
		open = parts[:len(parts)-1]
		value := " = " + s.Value
		if s.Value == "" {
			value = ""
		}
		if s.Policy {
			value += ` [Source="GPO"]`
		}
		p.say("%s%s%s\n", strings.Repeat("    ", len(parts)), parts[len(parts)-1], value)
	}
	p.say("\n")
	return 0
}

func winrmQuick(p *Proc, args []string) int {
	opts, rest := options(args)
	quiet := has(opts, "q") || has(opts, "quiet")
	if has(opts, "force") {
		quiet = true
	}
	transport := "HTTP"
	if t, ok := opts["transport"]; ok {
		transport = strings.ToUpper(t)
		delete(opts, "transport")
	}
	if o := anyOf(opts); o != "" || len(rest) > 0 {
		return p.unsupported(strings.Join(append(rest, o), " "), "are -quiet, -force and -transport:http|https")
	}
	if transport != "HTTP" && transport != "HTTPS" {
		return p.unsupported("-transport:"+transport, "are http and https")
	}
	if err := p.Admin(); err != nil {
		return winrmFault(p, "Access is denied. ", "-2147024891", "0x80070005", err.Error())
	}
	if !quiet {
		p.say("WinRM may have to be set up for remote management: its service, a listener, the firewall.\n\nMake these changes [y/n]? ")
		if !strings.HasPrefix(p.answer(), "y") {
			p.say("\n")
			p.complain("Nothing was changed: nobody answered with y. Use winrm quickconfig -quiet.")
			return 1
		}
		p.say("\n")
	}
	changed, err := p.Machine.QuickConfig(transport)
	if err != nil {
		return winrmError(p, err, "*", transport)
	}
	if len(changed) == 0 {
		p.say("WinRM service is already running on this machine.\nWinRM is already set up for remote management on this computer.\n")
		return 0
	}
	p.say("WinRM has been updated for remote management.\n\n")
	for _, c := range changed {
		p.say("%s.\n", strings.ToUpper(c[:1])+c[1:])
	}
	return 0
}
