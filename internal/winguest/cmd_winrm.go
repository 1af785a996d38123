package winguest

import (
	"errors"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

func (c *cmdlets) winrm() {
	quick := func(k *posh.Call) error {
		transport := "HTTP"
		if k.On("UseSSL") {
			transport = "HTTPS"
		}
		if _, err := c.m.QuickConfig(transport); err != nil {
			return wsmanProblem(err)
		}
		return nil
	}
	c.change("Enable-PSRemoting", "Force:switch SkipNetworkProfileCheck:switch", quick)
	c.change("Set-WSManQuickConfig", "Force:switch SkipNetworkProfileCheck:switch UseSSL:switch", quick)
	c.add("Test-WSMan", "ComputerName:string:1:=cn", func(k *posh.Call) error {
		if n := k.Str("ComputerName"); n != "" && !strings.EqualFold(n, "localhost") && !strings.EqualFold(n, c.m.ComputerName()) && n != "127.0.0.1" {
			return outside("Test-WSMan of anything but this machine")
		}
		if s, err := c.m.Service("WinRM"); err != nil || !s.Running {
			return wsmanProblem(errors.New("The client cannot connect to the destination specified in the request. Verify that the service on the destination is running and is accepting requests."))
		}
		return k.Emit(posh.NewObject("System.Xml.XmlElement").Set("wsmid", "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd").
			Set("ProtocolVersion", "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd").Set("ProductVendor", "Microsoft Corporation").Set("ProductVersion", "OS: 0.0.0 SP: 0.0 Stack: 3.0"))
	})
	const instance = "ResourceURI:string:1:need:=ruri SelectorSet:any:2 ComputerName:string:=cn "
	listener := func(f func(k *posh.Call, l Listener, set map[string]string) error) func(*posh.Call) error {
		return func(k *posh.Call) error {
			if err := local(k); err != nil {
				return err
			}
			uri := strings.ToLower(strings.Trim(k.Str("ResourceURI"), "/"))
			if uri != "winrm/config/listener" {
				return outside("%s of %s", k.Name, k.Str("ResourceURI"))
			}
			by := entries(k.Value("SelectorSet"))
			l := Listener{Address: by["address"], Transport: strings.ToUpper(by["transport"])}
			if l.Address == "" || l.Transport == "" {
				return wsmanProblem(errors.New("a listener is chosen by Address and Transport"))
			}
			return f(k, l, entries(k.Value("ValueSet")))
		}
	}
	c.change("New-WSManInstance", instance+"ValueSet:any", listener(func(k *posh.Call, l Listener, set map[string]string) error {
		if err := l.set(set); err != nil {
			return wsmanProblem(err)
		}
		if err := c.m.AddListener(l); err != nil {
			return wsmanProblem(err)
		}
		return nil
	}))
	c.change("Set-WSManInstance", instance+"ValueSet:any", listener(func(k *posh.Call, l Listener, set map[string]string) error {
		if err := c.m.SetListener(l.Address, l.Transport, set); err != nil {
			return wsmanProblem(err)
		}
		return nil
	}))
	c.change("Remove-WSManInstance", instance, listener(func(k *posh.Call, l Listener, _ map[string]string) error {
		if err := c.m.RemoveListener(l.Address, l.Transport); err != nil {
			return wsmanProblem(err)
		}
		return nil
	}))
	c.add("Get-WSManInstance", instance+"Enumerate:switch", func(k *posh.Call) error {
		if strings.ToLower(strings.Trim(k.Str("ResourceURI"), "/")) != "winrm/config/listener" {
			return outside("Get-WSManInstance of %s", k.Str("ResourceURI"))
		}
		by := entries(k.Value("SelectorSet"))
		found := false
		for _, l := range c.m.Listeners() {
			if !k.On("Enumerate") && (!strings.EqualFold(l.Address, by["address"]) || !strings.EqualFold(l.Transport, by["transport"])) {
				continue
			}
			found = true
			if err := k.Emit(listenerObject(l)); err != nil {
				return err
			}
		}
		if !found && !k.On("Enumerate") {
			return wsmanProblem(ErrNoListener)
		}
		return nil
	})
}

func wsmanProblem(err error) error {
	return &posh.Error{ID: "WsManError", Message: err.Error(), Exception: "System.InvalidOperationException", Category: "InvalidOperation"}
}

func listenerObject(l Listener) *posh.Object {
	on := "true"
	if l.Off {
		on = "false"
	}
	o := posh.NewObject("System.Xml.XmlElement").Set("Address", l.Address).Set("Transport", l.Transport).Set("Port", itoa(l.Port)).Set("Hostname", l.Hostname)
	return o.Set("Enabled", on).Set("URLPrefix", l.URLPrefix).Set("CertificateThumbprint", l.Thumbprint)
}

// entries are the entries of a hashtable by name in lower case.
func entries(v any) map[string]string {
	out := map[string]string{}
	if h, ok := v.(*posh.Hash); ok {
		h.Each(func(k, v any) bool {
			out[strings.ToLower(textOf(k))] = textOf(v)
			return true
		})
	}
	return out
}
