package winguest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// acl is who may do what with a file or a folder and what is below it. Where
// none is and none above closes, everybody may do everything.
type acl struct {
	Closed  bool    `json:"closed,omitempty"` // does not inherit: only who is listed
	Entries []grant `json:"entries,omitempty"`
}

type grant struct {
	SID   string `json:"sid"`
	Read  bool   `json:"read,omitempty"`
	Write bool   `json:"write,omitempty"`
	Deep  bool   `json:"deep,omitempty"` // counts for what is below, too
	Text  string `json:"text"`           // as it was written: (OI)(CI)F
}

var wellKnown = map[string]string{
	"everyone": "S-1-1-0", "authenticated users": "S-1-5-11", "creator owner": "S-1-3-0", "system": "S-1-5-18", "local service": "S-1-5-19", "network service": "S-1-5-20",
}

// accountSID finds the identifier of an account or group as a program names it.
func (m *Machine) accountSID(name string) (string, error) {
	if s, ok := strings.CutPrefix(name, "*"); ok {
		if !strings.HasPrefix(strings.ToUpper(s), "S-1-") {
			return "", NoAccount
		}
		return strings.ToUpper(s), nil
	}
	local, ok := m.LocalName(name)
	if !ok {
		return "", NoAccount
	}
	if s := wellKnown[strings.ToLower(local)]; s != "" {
		return s, nil
	}
	var sid string
	m.read(func(st *state) {
		if a := st.account(local); a != nil {
			sid = st.sid(a.Name)
		} else if g := st.group(local); g != nil {
			sid = g.SID
		}
	})
	if sid == "" {
		return "", NoAccount
	}
	return sid, nil
}

// sids are the identifiers that a login has.
func (st *state) sids(l Login) []string {
	list := []string{st.sid(l.User), "S-1-1-0", "S-1-5-11"}
	for _, g := range st.Groups {
		// Without its rights an administrator is one of the users.
		if g.Name == Administrators && !l.Elevated {
			continue
		}
		if slices.ContainsFunc(g.Members, func(n string) bool { return strings.EqualFold(n, l.User) }) || g.Name == Administrators && st.admin(l.User) {
			list = append(list, g.SID)
		}
	}
	return list
}

// allowed tells whether a process may read or write a path, which is resolved.
func (p *Proc) allowed(full string, write bool) (ok bool) {
	p.Machine.read(func(st *state) {
		if ok = len(st.Rights) == 0; ok {
			return
		}
		var who []string
		for at := strings.ToLower(full); len(at) > 2; at = at[:strings.LastIndexByte(at, '\\')] {
			a, there := st.Rights[at]
			if !there {
				continue
			}
			if who == nil {
				who = st.sids(p.Login)
			}
			for _, g := range a.Entries {
				if (g.Deep || at == strings.ToLower(full)) && slices.Contains(who, g.SID) && (write && g.Write || !write && g.Read) {
					ok = true
					return
				}
			}
			if a.Closed {
				return
			}
		}
		ok = true
	})
	return ok
}

// moveRights lets the rights of what is at a path go with it; to "" they end.
func (m *Machine) moveRights(from, to string) error {
	from, to = strings.ToLower(from), strings.ToLower(to)
	any := false
	m.read(func(st *state) {
		for k := range st.Rights {
			any = any || k == from || strings.HasPrefix(k, from+`\`)
		}
	})
	if !any {
		return nil
	}
	return m.change(func(st *state) error {
		for _, k := range slices.Collect(maps.Keys(st.Rights)) {
			if rest, ok := strings.CutPrefix(k+`\`, from+`\`); ok {
				a := st.Rights[k]
				delete(st.Rights, k)
				if to != "" {
					st.Rights[strings.TrimSuffix(to+`\`+rest, `\`)] = a
				}
			}
		}
		return nil
	})
}

// icacls is icacls.exe: who may read and write a folder or a file.
func icacls(_ context.Context, p *Proc) int {
	if len(p.Args) == 0 {
		fmt.Fprintf(p.Stderr, "cannot run icacls: it needs a path\r\n")
		return 1
	}
	var edits []func(*acl)
	adding := ""
	quiet, below := false, false
	for _, w := range p.Args[1:] {
		switch low := strings.ToLower(w); low {
		case "/inheritance:r":
			edits = append(edits, func(a *acl) { a.Closed = true })
		case "/inheritance:e":
			edits = append(edits, func(a *acl) { a.Closed = false })
		case "/reset":
			edits = append(edits, func(a *acl) { *a = acl{} })
		case "/grant", "/grant:r", "/remove", "/remove:g":
			adding = low
			continue
		case "/q":
			quiet = true
		case "/t":
			below = true
		case "/c", "/l":
		default:
			if adding == "" || strings.HasPrefix(w, "/") {
				fmt.Fprintf(p.Stderr, "cannot run icacls: %s is not supported here: known are /inheritance:r, /inheritance:e, /grant, /grant:r, /remove, /reset, /t, /c, /q\r\n", w)
				return 1
			}
			edit, err := p.aclEdit(adding, w)
			if err != nil {
				fmt.Fprintf(p.Stderr, "%s: %v\r\n", w, err)
				fmt.Fprintf(p.Stdout, "Successfully processed 0 files; Failed processing 1 files\r\n")
				return int(CodeOf(err))
			}
			edits = append(edits, edit)
			continue
		}
		adding = ""
	}
	full, err := p.Abs(p.Args[0])
	if err == nil {
		_, err = p.Stat(full)
	}
	if err == nil && len(edits) > 0 && !p.Login.Elevated && !p.allowed(full, true) {
		err = AccessDenied
	}
	if err != nil {
		fmt.Fprintf(p.Stderr, "%s: %v\r\n", p.Args[0], CodeOf(err))
		fmt.Fprintf(p.Stdout, "Successfully processed 0 files; Failed processing 1 files\r\n")
		return int(CodeOf(err))
	}
	key := strings.ToLower(full)
	if len(edits) > 0 {
		err = p.Machine.change(func(st *state) error {
			if st.Rights == nil {
				st.Rights = map[string]acl{}
			}
			for k, a := range st.Rights {
				if below && strings.HasPrefix(k, key+`\`) {
					st.Rights[k] = a.edited(edits)
				}
			}
			if a := st.Rights[key].edited(edits); a.Closed || len(a.Entries) > 0 {
				st.Rights[key] = a
			} else {
				delete(st.Rights, key)
			}
			return nil
		})
		if err != nil {
			fmt.Fprintf(p.Stderr, "cannot run icacls: %v\r\n", err)
			return 1
		}
		if !quiet {
			fmt.Fprintf(p.Stdout, "processed file: %s\r\n", p.Args[0])
		}
	} else {
		p.showRights(key)
	}
	fmt.Fprintf(p.Stdout, "Successfully processed 1 files; Failed processing 0 files\r\n")
	return 0
}

func (a acl) edited(edits []func(*acl)) acl {
	a.Entries = slices.Clone(a.Entries)
	for _, e := range edits {
		e(&a)
	}
	return a
}

// aclEdit reads what stands behind /grant and /remove.
func (p *Proc) aclEdit(how, word string) (func(*acl), error) {
	name, rights, _ := strings.Cut(word, ":")
	sid, err := p.Machine.accountSID(name)
	if err != nil {
		return nil, err
	}
	drop := func(a *acl) {
		a.Entries = slices.DeleteFunc(a.Entries, func(g grant) bool { return g.SID == sid })
	}
	if strings.HasPrefix(how, "/remove") {
		return drop, nil
	}
	g := grant{SID: sid, Text: strings.ToUpper(rights)}
	rest := g.Text
	for _, flag := range []string{"(OI)", "(CI)", "(IO)", "(NP)"} {
		if strings.Contains(rest, flag) {
			rest = strings.ReplaceAll(rest, flag, "")
			g.Deep = g.Deep || flag == "(OI)" || flag == "(CI)"
		}
	}
	for _, r := range strings.Split(strings.Trim(rest, "()"), ",") {
		switch r {
		case "F", "M":
			g.Read, g.Write = true, true
		case "RX", "R", "GR":
			g.Read = true
		case "W", "GW":
			g.Write = true
		default:
			return nil, InvalidParameter
		}
	}
	return func(a *acl) {
		if how == "/grant:r" {
			drop(a)
		}
		a.Entries = append(a.Entries, g)
	}, nil
}

func (p *Proc) showRights(key string) {
	p.Machine.read(func(st *state) {
		name := p.Args[0]
		a, ok := st.Rights[key]
		if !ok {
			fmt.Fprintf(p.Stdout, "%s Everyone:(I)(F)\r\n", name)
		}
		for _, g := range a.Entries {
			fmt.Fprintf(p.Stdout, "%s %s:%s\r\n", name, st.nameOf(g.SID), g.Text)
			name = strings.Repeat(" ", len(p.Args[0]))
		}
		fmt.Fprintf(p.Stdout, "\r\n")
	})
}

// nameOf is the account of an identifier, or the identifier.
func (st *state) nameOf(sid string) string {
	for _, a := range st.Accounts {
		if st.sid(a.Name) == sid {
			return st.Name + `\` + a.Name
		}
	}
	for _, g := range st.Groups {
		if g.SID == sid {
			return `BUILTIN\` + g.Name
		}
	}
	for n, s := range wellKnown {
		if s == sid {
			if strings.HasPrefix(sid, "S-1-5-1") {
				return `NT AUTHORITY\` + strings.ToUpper(n)
			}
			return strings.ToUpper(n[:1]) + n[1:]
		}
	}
	return sid
}
