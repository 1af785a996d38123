package comm

import (
	"reflect"
	"slices"
	"strings"
)

// CheckUnused tells of options of a communicator that the machine is not reached by, but for
// those that something else uses.
func CheckUnused(r Report, protocol string, s SSH, w WinRM, used ...string) {
	why := map[string]string{
		"ssh":   "the machine is reached by SSH",
		"winrm": "the machine is reached over WinRM",
		"none":  "with the communicator none nobody connects",
	}[protocol]
	if why == "" {
		return // it is refused
	}
	var names []string
	if protocol != "ssh" {
		names = append(names, given(s)...)
	}
	if protocol != "winrm" {
		names = append(names, given(w)...)
	}
	for _, name := range names {
		if !slices.Contains(used, name) {
			r.Idle(name, "%s", why)
		}
	}
}

// unusedParts tells of options of a jump host or a proxy that there is not.
func (s SSH) unusedParts(r Report) {
	for _, part := range []struct{ prefix, host string }{{"ssh_bastion_", s.BastionHost}, {"ssh_proxy_", s.ProxyHost}} {
		if part.host != "" {
			continue
		}
		for _, name := range given(s) {
			if strings.HasPrefix(name, part.prefix) {
				r.Idle(name, "there is no %shost", part.prefix)
			}
		}
	}
}

// given are the options that have a value other than that of the type, which means "off".
func given(options any) (names []string) {
	v := reflect.ValueOf(options)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Tag.Get("option") != "-" && !v.Field(i).IsZero() && !(v.Field(i).Kind() == reflect.Slice && v.Field(i).Len() == 0) {
			names = append(names, name)
		}
	}
	return names
}
