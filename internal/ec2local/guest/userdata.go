package guest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/quote"
)

// plan is what user data asks for, as far as the guest can do it.
type plan struct {
	Hostname string     `json:"hostname,omitempty"`
	Keys     []string   `json:"keys,omitempty"` // more lines for authorized_keys
	Files    []planFile `json:"files,omitempty"`
	Update   bool       `json:"update,omitempty"` // the package lists
	Upgrade  bool       `json:"upgrade,omitempty"`
	Packages []string   `json:"packages,omitempty"`
	Boot     [][]string `json:"boot,omitempty"`     // at every boot; one word: a line for sh
	Commands [][]string `json:"commands,omitempty"` // at the first one, likewise
	Script   []byte     `json:"script,omitempty"`   // with its #! line
	Notes    []string   `json:"notes,omitempty"`    // what was not understood, for the console

	PasswordAuth string         `json:"password_auth,omitempty"` // yes, no, or as the image has it
	Passwords    []planPassword `json:"passwords,omitempty"`
	Lasting      bool           `json:"lasting,omitempty"` // passwords need not be changed at the first login

	hostKey []byte // never leaves the server for the guest
}

// planFile is one entry of write_files.
type planFile struct {
	Path   string `json:"path"`
	Data   []byte `json:"data"`
	Mode   uint32 `json:"mode"`
	Owner  string `json:"owner,omitempty"` // user or user:group
	Append bool   `json:"append,omitempty"`
}

const maxUserData = 4 << 20 // unpacked

func (p *plan) note(format string, a ...any) {
	p.Notes = append(p.Notes, "user data: "+fmt.Sprintf(format, a...))
}

// unsupported is the word for everything that real cloud-init would act on and
// that is left out here.
func (p *plan) unsupported(what string) { p.note("%s is not supported by the embedded EC2", what) }

// parseUserData never fails: what is wrong with user data shows on the console,
// as on a real instance, and the instance boots.
func parseUserData(b []byte) *plan {
	p := &plan{}
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		u, err := gunzip(b)
		if err != nil {
			p.note("cannot unpack it: %v", err)
			return p
		}
		b = u
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return p
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	head := strings.ToLower(strings.TrimSpace(string(first)))
	switch {
	case strings.HasPrefix(head, "#!"):
		p.Script = b
	case head == "#cloud-config":
		p.cloudConfig(b)
	case strings.HasPrefix(head, "content-type:"), strings.HasPrefix(head, "mime-version:"):
		p.unsupported("a MIME archive")
	case strings.HasPrefix(head, "#include"), strings.HasPrefix(head, "#cloud-boothook"), strings.HasPrefix(head, "#part-handler"),
		strings.HasPrefix(head, "#upstart-job"), strings.HasPrefix(head, "#cloud-config-archive"), strings.HasPrefix(head, "## template:"):
		p.unsupported(strings.Fields(strings.TrimPrefix(head, "## "))[0])
	case strings.HasPrefix(head, "<powershell>"), strings.HasPrefix(head, "<script>"):
		p.unsupported("a script for Windows")
	default:
		p.note("its first line %q names neither a script (#!) nor #cloud-config: it is not run", clip(string(first)))
	}
	return p
}

func clip(s string) string {
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return s
}

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	u, err := io.ReadAll(io.LimitReader(r, maxUserData+1))
	if err == nil && len(u) > maxUserData {
		err = fmt.Errorf("it is larger than %d MiB", maxUserData>>20)
	}
	return u, err
}

// cloudConfig reads the keys in the order of the text, so that notes come in it.
func (p *plan) cloudConfig(b []byte) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		p.note("cannot read the cloud-config: %v", err)
		return
	}
	if len(doc.Content) == 0 {
		return
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		p.note("cannot read the cloud-config: line %d: expected keys and values", top.Line)
		return
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		k, v := top.Content[i].Value, top.Content[i+1]
		if err := p.key(k, v); err != nil {
			p.note("cannot use %s: line %d: %v", k, v.Line, err)
		}
	}
}

func (p *plan) key(k string, v *yaml.Node) error {
	switch k {
	case "hostname":
		return v.Decode(&p.Hostname)
	case "ssh_keys":
		return p.sshKeys(v)
	case "ssh_authorized_keys":
		return v.Decode(&p.Keys)
	case "ssh_pwauth":
		return p.sshPasswordAuth(v)
	case "password":
		return p.password(v)
	case "chpasswd":
		return p.chpasswd(v)
	case "ssh_deletekeys": // done in any case
		return nil
	case "write_files":
		return p.writeFiles(v)
	case "package_update":
		return v.Decode(&p.Update)
	case "package_upgrade":
		return v.Decode(&p.Upgrade)
	case "packages":
		return p.packages(v)
	case "bootcmd":
		return commands(v, &p.Boot)
	case "runcmd":
		return commands(v, &p.Commands)
	}
	p.unsupported(k)
	return nil
}

func (p *plan) sshKeys(v *yaml.Node) error {
	var m map[string]string
	if err := v.Decode(&m); err != nil {
		return err
	}
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} { // the best that was given
		priv := m[kind+"_private"]
		if priv == "" || p.hostKey != nil {
			continue
		}
		s, err := ssh.ParsePrivateKey([]byte(priv))
		if err != nil {
			return fmt.Errorf("%s_private: %w", kind, err)
		}
		if pub := m[kind+"_public"]; pub != "" {
			k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(pub))
			if err != nil {
				return fmt.Errorf("%s_public: %w", kind, err)
			}
			if !bytes.Equal(k.Marshal(), s.PublicKey().Marshal()) {
				return fmt.Errorf("%s_public is not the key of %s_private", kind, kind)
			}
		}
		p.hostKey = []byte(priv)
	}
	for k := range m {
		if kind, _, _ := strings.Cut(k, "_"); !slices.Contains([]string{"ed25519", "ecdsa", "rsa"}, kind) {
			p.unsupported("ssh_keys: " + k)
		}
	}
	return nil
}

func (p *plan) writeFiles(v *yaml.Node) error {
	var list []struct {
		Path, Content, Owner, Encoding string
		Permissions                    yaml.Node
		Append, Defer                  bool
	}
	if err := v.Decode(&list); err != nil {
		return err
	}
	for _, f := range list {
		if !strings.HasPrefix(f.Path, "/") {
			return fmt.Errorf("path %q is not absolute", f.Path)
		}
		mode := uint64(0o644)
		if f.Permissions.Value != "" { // '0755', 0755 and 0o755 all mean octal
			m, err := strconv.ParseUint(strings.TrimPrefix(f.Permissions.Value, "0o"), 8, 12)
			if err != nil {
				return fmt.Errorf("permissions %q of %s are not octal", f.Permissions.Value, f.Path)
			}
			mode = m
		}
		data, err := decodeContent(f.Encoding, f.Content)
		if err != nil {
			return fmt.Errorf("content of %s: %w", f.Path, err)
		}
		p.Files = append(p.Files, planFile{Path: f.Path, Data: data, Mode: uint32(mode), Owner: f.Owner, Append: f.Append})
	}
	return nil
}

func decodeContent(encoding, s string) ([]byte, error) {
	b := []byte(s)
	for _, e := range strings.Split(encoding, "+") { // gz+b64: the last was applied last
		switch e {
		case "", "text/plain", "b64", "base64", "gz", "gzip":
		default:
			return nil, fmt.Errorf("encoding %q is not supported by the embedded EC2", encoding)
		}
	}
	var err error
	if strings.Contains(encoding, "b64") || strings.Contains(encoding, "base64") {
		b, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	}
	if err == nil && strings.Contains(encoding, "gz") {
		b, err = gunzip(b)
	}
	return b, err
}

func (p *plan) packages(v *yaml.Node) error {
	if v.Kind != yaml.SequenceNode {
		return fmt.Errorf("expected a list")
	}
	for _, n := range v.Content {
		if n.Kind != yaml.ScalarNode {
			p.unsupported(fmt.Sprintf("packages: line %d: a package with a version or of another packager", n.Line))
			continue
		}
		p.Packages = append(p.Packages, n.Value)
	}
	return nil
}

func commands(v *yaml.Node, list *[][]string) error {
	if v.Kind != yaml.SequenceNode {
		return fmt.Errorf("expected a list")
	}
	for _, n := range v.Content {
		switch n.Kind {
		case yaml.ScalarNode:
			*list = append(*list, []string{n.Value})
		case yaml.SequenceNode:
			var words []string
			if err := n.Decode(&words); err != nil || len(words) == 0 {
				return fmt.Errorf("line %d: expected the words of a command", n.Line)
			}
			if len(words) == 1 { // a list is never for sh
				words = []string{"env", words[0]}
			}
			*list = append(*list, words)
		default:
			return fmt.Errorf("line %d: expected a command", n.Line)
		}
	}
	return nil
}

// shellText is one script of a list of commands: in one shell, as cloud-init
// runs them, so that cd lasts.
func shellText(list [][]string) []byte {
	text := "#!/bin/sh\n"
	for _, c := range list {
		if len(c) == 1 {
			text += c[0] + "\n"
		} else {
			text += quote.Sh(c...) + "\n"
		}
	}
	return []byte(text)
}
