package guest

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// planPassword is a password that user data gives to a user.
type planPassword struct {
	User     string `json:"user,omitempty"` // "": the login user of the image
	Password string `json:"password"`
	Hash     bool   `json:"hash,omitempty"` // as in /etc/shadow
}

// sshPasswordAuth reads ssh_pwauth.
func (p *plan) sshPasswordAuth(v *yaml.Node) error {
	switch w := strings.ToLower(v.Value); w {
	case "true", "yes", "on", "1":
		p.PasswordAuth = "yes"
	case "false", "no", "off", "0":
		p.PasswordAuth = "no"
	case "unchanged":
	default:
		return fmt.Errorf("%q is neither true nor false", clip(v.Value))
	}
	return nil
}

// password reads the login user's own. Like cloud-init it gives way to one for
// that user in chpasswd.
func (p *plan) password(v *yaml.Node) error {
	var s string
	if err := v.Decode(&s); err != nil {
		return err
	}
	p.Passwords = append([]planPassword{{Password: s, Hash: isHash(s)}}, p.Passwords...)
	return nil
}

func (p *plan) chpasswd(v *yaml.Node) error {
	c := struct {
		Expire bool
		List   yaml.Node
		Users  []struct{ Name, Password, Type string }
	}{Expire: true}
	if err := v.Decode(&c); err != nil {
		return err
	}
	p.Lasting = !c.Expire
	var lines []string
	switch c.List.Kind {
	case yaml.ScalarNode:
		lines = strings.Split(c.List.Value, "\n")
	case yaml.SequenceNode:
		if err := c.List.Decode(&lines); err != nil {
			return err
		}
	}
	for _, l := range lines {
		if l = strings.TrimSpace(l); l == "" {
			continue
		}
		user, word, ok := strings.Cut(l, ":")
		switch {
		case !ok || user == "":
			return fmt.Errorf("list: an entry is not USER:PASSWORD")
		case word == "R" || word == "RANDOM":
			p.unsupported("chpasswd: a random password for " + user)
		default:
			p.Passwords = append(p.Passwords, planPassword{user, word, isHash(word)})
		}
	}
	for _, u := range c.Users {
		switch {
		case u.Name == "":
			return fmt.Errorf("users: an entry has no name")
		case u.Type == "RANDOM":
			p.unsupported("chpasswd: a random password for " + u.Name)
		case u.Password == "":
			return fmt.Errorf("users: %s has no password", u.Name)
		case u.Type == "text", u.Type == "", u.Type == "hash": // hash is the default
			p.Passwords = append(p.Passwords, planPassword{u.Name, u.Password, u.Type != "text"})
		default:
			return fmt.Errorf("users: the type %q of %s is none of hash, text and RANDOM", u.Type, u.Name)
		}
	}
	return nil
}

// isHash tells hashes from passwords as cloud-init does: $6$salt$hash.
func isHash(s string) bool { return strings.HasPrefix(s, "$") && strings.Count(s, "$") >= 3 }

// passwordsFor are the users with passwords, the last one given to each.
func (p *plan) passwordsFor(login string) (users []string, of map[string]planPassword) {
	of = map[string]planPassword{}
	for _, w := range p.Passwords {
		if w.User == "" {
			w.User = login
		}
		if _, known := of[w.User]; !known {
			users = append(users, w.User)
		}
		of[w.User] = w
	}
	return users, of
}

// sshdSays is the first value that configurations of sshd, in the order in which
// it reads them, give to the option; what comes after Match is for some only.
func sshdSays(option string, texts ...[]byte) string {
	for _, b := range texts {
		for line := range bytes.Lines(b) {
			f := strings.FieldsFunc(string(line), func(r rune) bool { return strings.ContainsRune(" \t\r\n=\"", r) })
			if len(f) > 0 && strings.EqualFold(f[0], "Match") {
				break
			}
			if len(f) > 1 && strings.EqualFold(f[0], option) {
				return strings.ToLower(f[1])
			}
		}
	}
	return ""
}
