package winguest

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Account is a local user.
type Account struct {
	Name         string `json:"name"`
	FullName     string `json:"full_name,omitempty"`
	Comment      string `json:"comment,omitempty"`
	Password     string `json:"password,omitempty"`
	Disabled     bool   `json:"disabled,omitempty"`
	NeverExpires bool   `json:"never_expires,omitempty"` // the password
	CannotChange bool   `json:"cannot_change,omitempty"` // the password, by the user
	RID          int    `json:"rid"`
}

// Group is a local group.
type Group struct {
	Name    string   `json:"name"`
	Comment string   `json:"comment,omitempty"`
	Members []string `json:"members,omitempty"`
	SID     string   `json:"sid"`
}

// The groups that count for rights.
const (
	Administrators = "Administrators"
	RemoteUsers    = "Remote Management Users"
)

// service tells whether a name is an account of the system's own.
func service(user string) bool {
	_, ok := serviceSIDs[strings.ToUpper(user)]
	return ok
}

var serviceSIDs = map[string]string{"SYSTEM": "S-1-5-18", "LOCAL SERVICE": "S-1-5-19", "NETWORK SERVICE": "S-1-5-20"}

func (st *state) account(name string) *Account {
	for _, a := range st.Accounts {
		if strings.EqualFold(a.Name, name) {
			return a
		}
	}
	return nil
}

func (st *state) group(name string) *Group {
	for _, g := range st.Groups {
		if strings.EqualFold(g.Name, name) || strings.EqualFold(g.SID, name) {
			return g
		}
	}
	return nil
}

func (st *state) member(group, user string) bool {
	g := st.group(group)
	return g != nil && slices.ContainsFunc(g.Members, func(m string) bool { return strings.EqualFold(m, user) })
}

func (st *state) admin(user string) bool {
	return strings.EqualFold(user, "SYSTEM") || st.member(Administrators, user)
}

func (st *state) sid(user string) string {
	if s, ok := serviceSIDs[strings.ToUpper(user)]; ok {
		return s
	}
	if a := st.account(user); a != nil {
		return st.MachineSID + "-" + itoa(a.RID)
	}
	return "S-1-0-0"
}

// LocalName takes the machine's own name, or a dot, off an account's name:
// HOST\bob, .\bob and bob are one. ok is false for another domain's. Names of the
// system's own accounts come back as SYSTEM, LOCAL SERVICE, NETWORK SERVICE.
func (m *Machine) LocalName(name string) (local string, ok bool) {
	if domain, user, found := strings.Cut(name, `\`); found {
		switch {
		case domain == "." || strings.EqualFold(domain, m.ComputerName()) || strings.EqualFold(domain, "localhost") || strings.EqualFold(domain, "BUILTIN"):
			name = user
		case strings.EqualFold(domain, "NT AUTHORITY"):
			name = user
		default:
			return name, false
		}
	}
	for sys, sid := range serviceSIDs {
		if strings.EqualFold(name, sys) || strings.EqualFold(name, sid) || strings.EqualFold(name, strings.ReplaceAll(sys, " ", "")) {
			return sys, true
		}
	}
	if strings.EqualFold(name, "LocalSystem") {
		return "SYSTEM", true
	}
	return name, true
}

// Accounts are the local users, oldest first.
func (m *Machine) Accounts() (list []Account) {
	m.read(func(st *state) {
		for _, a := range st.Accounts {
			list = append(list, *a)
		}
	})
	return list
}

// Account is the local user of that name, in any case.
func (m *Machine) Account(name string) (a Account, ok bool) {
	m.read(func(st *state) {
		if p := st.account(name); p != nil {
			a, ok = *p, true
		}
	})
	return a, ok
}

// SID of an account, S-1-0-0 for one that is not there.
func (m *Machine) SID(user string) (sid string) {
	m.read(func(st *state) { sid = st.sid(user) })
	return sid
}

// AddAccount makes a local user, who is in the group Users. The error is
// NetUserExists or PasswordPolicy.
func (m *Machine) AddAccount(a Account) error {
	return m.change(func(st *state) error {
		switch {
		case a.Name == "" || len(utf16.Encode([]rune(a.Name))) > 20 || strings.ContainsAny(a.Name, `"/\[]:;|=,+*?<>@`):
			return InvalidParameter
		case st.account(a.Name) != nil || st.group(a.Name) != nil || service(a.Name):
			return NetUserExists
		case !goodPassword(a.Name, a.Password):
			return PasswordPolicy
		}
		a.RID = 1000
		for _, o := range st.Accounts {
			a.RID = max(a.RID, o.RID+1)
		}
		st.Accounts = append(st.Accounts, &a)
		if g := st.group("Users"); g != nil {
			g.Members = append(g.Members, a.Name)
		}
		newHive(st.Registry, st.sid(a.Name))
		return nil
	})
}

// ChangeAccount changes a local user by what f does to it. The error is
// NetUserNotFound or PasswordPolicy; then nothing has changed.
func (m *Machine) ChangeAccount(name string, f func(*Account)) error {
	return m.change(func(st *state) error {
		a := st.account(name)
		if a == nil {
			return NetUserNotFound
		}
		b := *a
		f(&b)
		if b.Password != a.Password && !goodPassword(b.Name, b.Password) {
			return PasswordPolicy
		}
		b.RID = a.RID
		if b.Name != a.Name {
			if o := st.account(b.Name); o != nil && o != a {
				return NetUserExists
			}
			for _, g := range st.Groups {
				for i, n := range g.Members {
					if strings.EqualFold(n, a.Name) {
						g.Members[i] = b.Name
					}
				}
			}
		}
		*a = b
		return nil
	})
}

// RemoveAccount deletes a local user; built-in ones stay: NotOnSpecial.
func (m *Machine) RemoveAccount(name string) error {
	return m.change(func(st *state) error {
		a := st.account(name)
		switch {
		case a == nil:
			return NetUserNotFound
		case a.RID < 1000:
			return NotOnSpecial
		}
		for _, g := range st.Groups {
			g.Members = slices.DeleteFunc(g.Members, func(n string) bool { return strings.EqualFold(n, a.Name) })
		}
		st.Accounts = slices.DeleteFunc(st.Accounts, func(o *Account) bool { return o == a })
		return nil
	})
}

// Groups are the local groups.
func (m *Machine) Groups() (list []Group) {
	m.read(func(st *state) {
		for _, g := range st.Groups {
			c := *g
			c.Members = slices.Clone(g.Members)
			list = append(list, c)
		}
	})
	return list
}

// Join puts an account into a group. The error is NetGroupNotFound, NoSuchUser
// or InGroup.
func (m *Machine) Join(group, user string) error {
	return m.change(func(st *state) error {
		g, a := st.group(group), st.account(user)
		switch {
		case g == nil:
			return NetGroupNotFound
		case a == nil:
			return NoSuchUser
		case st.member(group, user):
			return InGroup
		}
		g.Members = append(g.Members, a.Name)
		return nil
	})
}

// Leave takes an account out of a group. The error is NetGroupNotFound or
// NotInGroup.
func (m *Machine) Leave(group, user string) error {
	return m.change(func(st *state) error {
		g := st.group(group)
		switch {
		case g == nil:
			return NetGroupNotFound
		case !st.member(group, user):
			return NotInGroup
		}
		g.Members = slices.DeleteFunc(g.Members, func(n string) bool { return strings.EqualFold(n, user) })
		return nil
	})
}

// AddGroup makes a local group; AlreadyExists if there is one.
func (m *Machine) AddGroup(name, comment string) error {
	return m.change(func(st *state) error {
		if name == "" || st.group(name) != nil || st.account(name) != nil {
			return AlreadyExists
		}
		rid := 1000 + len(st.Groups) + 100
		st.Groups = append(st.Groups, &Group{Name: name, Comment: comment, SID: st.MachineSID + "-" + itoa(rid)})
		return nil
	})
}

// IsAdmin tells whether an account has the rights of an administrator.
func (m *Machine) IsAdmin(user string) (ok bool) {
	m.read(func(st *state) { ok = st.admin(user) })
	return ok
}

// CheckPassword logs a user on. The error is LogonFailure or AccountDisabled.
func (m *Machine) CheckPassword(user, password string) error {
	a, ok := m.Account(user)
	switch {
	case !ok || a.Password != password || password == "": // an empty one never works over a network or for a task
		return LogonFailure
	case a.Disabled:
		return AccountDisabled
	}
	return nil
}

// goodPassword is the policy of a server out of the box: characters of three of
// five sorts, and the user's name not in it.
func goodPassword(user, p string) bool {
	sorts := map[string]bool{}
	for _, r := range p {
		switch {
		case unicode.IsUpper(r):
			sorts["upper"] = true
		case unicode.IsLower(r):
			sorts["lower"] = true
		case unicode.IsDigit(r):
			sorts["digit"] = true
		case unicode.IsLetter(r):
			sorts["letter"] = true
		default:
			sorts["other"] = true
		}
	}
	return len(sorts) >= 3 && (len(user) < 3 || !strings.Contains(strings.ToLower(p), strings.ToLower(user)))
}

// homeOf is the folder of a user's own.
func (m *Machine) homeOf(user string) string {
	switch strings.ToUpper(user) {
	case "SYSTEM":
		return System32 + `\config\systemprofile`
	case "LOCAL SERVICE":
		return SystemRoot + `\ServiceProfiles\LocalService`
	case "NETWORK SERVICE":
		return SystemRoot + `\ServiceProfiles\NetworkService`
	}
	return `C:\Users\` + user
}

// profile makes the folder of a user who has never logged on.
func (m *Machine) profile(user string) error {
	home := m.homeOf(user)
	for _, d := range []string{`\Desktop`, `\Documents`, `\Downloads`, `\AppData\Local\Temp`, `\AppData\Roaming`} {
		if err := m.disk.mkdirAll(home + d); err != nil {
			return err
		}
	}
	return nil
}
