package files

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/interp"
)

// named are the options whose text is the name of a local file or directory. All
// others that name one hold a steps.File.
var named = []string{"ssh_private_key_file", "ssh_certificate_file", "ssh_bastion_private_key_file", "ssh_bastion_certificate_file",
	"winrm_ca_file", "key_file", "inventory_directory", "attributes_directory"}

// visit calls fn with every name of a local file in the settings or the output of a
// step, and the option that it stands in, and puts what it returns in its place. Of an
// output, whose values may look like a steps.File, only the options in named count.
func visit(doc json.RawMessage, output bool, fn func(option, name string) string) (json.RawMessage, error) {
	if !mayName(doc) {
		return doc, nil
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	changed := false
	put := func(m map[string]any, member, option string) {
		name, ok := m[member].(string)
		if !ok || name == "" {
			return
		}
		if to := fn(option, name); to != name {
			m[member], changed = to, true
		}
	}
	var in func(v any, option string)
	in = func(v any, option string) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				in(e, option)
			}
		case map[string]any:
			if _, ok := v["digest"].(string); ok && len(v) == 2 && !output {
				put(v, "path", option)
			}
			for member, e := range v {
				if slices.Contains(named, member) {
					put(v, member, member)
				}
				in(e, member)
			}
		}
	}
	in(v, "")
	if !changed {
		return doc, nil
	}
	return json.Marshal(v)
}

// mayName tells whether it is worth to look into a document.
func mayName(doc json.RawMessage) bool {
	return bytes.Contains(doc, []byte(`"digest"`)) || slices.ContainsFunc(named, func(n string) bool { return bytes.Contains(doc, []byte(`"`+n+`"`)) })
}

// secret tells whether an option names a file that others must not see.
func secret(option string) bool {
	return strings.Contains(option, "key") || interp.SecretName(option)
}
