package winguest

import (
	"context"
	"slices"
	"strings"
)

// netExe is net.exe: user, localgroup, start, stop, session and accounts.
func netExe(_ context.Context, p *Proc) int {
	if len(p.Args) == 0 {
		return p.refuse("it needs one of: user, localgroup, start, stop, session, accounts, helpmsg")
	}
	args := p.Args[1:]
	switch word := strings.ToLower(p.Args[0]); word {
	case "user", "users":
		return netUser(p, args)
	case "localgroup":
		return netGroup(p, args)
	case "start":
		return netStart(p, args)
	case "stop":
		return netStop(p, args)
	case "session":
		if len(args) > 0 {
			return p.unsupported(args[0], "is net session alone")
		}
		if err := p.Admin(); err != nil {
			return netError(p, err)
		}
		p.say("There are no entries in the list.\n\n")
		return 0
	case "accounts":
		if len(args) == 1 && strings.EqualFold(args[0], "/maxpwage:unlimited") {
			return netDone(p, p.Admin()) // no password of this machine ever gets too old
		}
		return p.refuse("net accounts knows /maxpwage:unlimited here, which is what holds anyway: the other rules for passwords cannot be changed")
	default:
		return p.refuse("net %s is not supported here: known are user, localgroup, start, stop, session and accounts", word)
	}
}

// netError prints an error as net does, with its number.
func netError(p *Proc, err error) int {
	c := CodeOf(err)
	switch {
	case c >= 2100 && c < 3000:
		p.complain("%v\n\nMore help is available by typing NET HELPMSG %d.\n", err, c)
	case c == 31:
		p.complain("%v\n", err)
	default:
		p.complain("System error %d has occurred.\n\n%v\n", c, err)
	}
	return 2
}

func netDone(p *Proc, err error) int {
	if err != nil {
		return netError(p, err)
	}
	p.say("The command completed successfully.\n\n")
	return 0
}

func netUser(p *Proc, args []string) int {
	opts, rest := options(args)
	add, remove, yes := has(opts, "add"), has(opts, "delete") || has(opts, "del"), has(opts, "y") || has(opts, "yes")
	if has(opts, "domain") {
		return p.refuse("/domain: the machine is in no domain")
	}
	if len(rest) == 0 {
		if add || remove || len(opts) > 0 {
			return p.refuse("net user needs a name")
		}
		p.say("\nUser accounts for \\\\%s\n\n%s\n", p.Machine.ComputerName(), strings.Repeat("-", 79))
		var names []string
		for _, a := range p.Machine.Accounts() {
			names = append(names, a.Name)
		}
		slices.Sort(names)
		for i, n := range names {
			p.say("%-25s", n)
			if i%3 == 2 || i == len(names)-1 {
				p.say("\n")
			}
		}
		return netDone(p, nil)
	}
	name := rest[0]
	if len(rest) == 1 && !add && !remove && len(opts) == 0 {
		return showUser(p, name)
	}
	if err := p.Admin(); err != nil {
		return netError(p, err)
	}
	if remove {
		if add || len(rest) > 1 || len(opts) > 0 {
			return p.refuse("net user NAME /delete takes nothing else")
		}
		return netDone(p, p.Machine.RemoveAccount(name))
	}
	var changes []func(*Account)
	if len(rest) > 2 {
		return p.unsupported(rest[2], "is net user NAME PASSWORD")
	}
	if len(rest) == 2 {
		if rest[1] == "*" || has(opts, "random") {
			return p.refuse("it would ask for the password, or print one: write it behind the name")
		}
		if len([]rune(rest[1])) > 14 && !yes {
			// Nobody is there to answer: the answer that it proposes counts.
			p.say("The password entered is longer than 14 characters.  Computers\nwith Windows prior to Windows 2000 will not be able to use\nthis account. Do you want to continue this operation? (Y/N) [Y]: ")
			no := strings.HasPrefix(p.answer(), "n")
			p.say("\n")
			if no {
				p.complain("No valid response was provided.")
				return 2
			}
		}
		changes = append(changes, func(a *Account) { a.Password = rest[1] })
	}
	for o, v := range opts {
		on, isBool := map[string]bool{"yes": true, "no": false}[strings.ToLower(v)]
		switch {
		case o == "active" && isBool:
			changes = append(changes, func(a *Account) { a.Disabled = !on })
		case o == "fullname":
			changes = append(changes, func(a *Account) { a.FullName = v })
		case o == "comment":
			changes = append(changes, func(a *Account) { a.Comment = v })
		case o == "passwordchg" && isBool:
			changes = append(changes, func(a *Account) { a.CannotChange = !on })
		case o == "expires" && strings.EqualFold(v, "never"), o == "passwordreq" && isBool && on, o == "times" && strings.EqualFold(v, "all"), o == "logonpasswordchg" && isBool && !on:
			// It is so anyway.
		default:
			return p.unsupported("/"+o+":"+v, "are /add /delete /y /active:yes|no /fullname: /comment: /passwordchg:yes|no, and /expires:never /passwordreq:yes /times:all /logonpasswordchg:no, which hold anyway")
		}
	}
	change := func(a *Account) {
		for _, f := range changes {
			f(a)
		}
	}
	if add {
		a := Account{Name: name}
		change(&a)
		return netDone(p, p.Machine.AddAccount(a))
	}
	return netDone(p, p.Machine.ChangeAccount(name, change))
}

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

func showUser(p *Proc, name string) int {
	a, ok := p.Machine.Account(name)
	if !ok {
		return netError(p, NetUserNotFound)
	}
	var groups []string
	for _, g := range p.Machine.Groups() {
		if slices.ContainsFunc(g.Members, func(m string) bool { return strings.EqualFold(m, a.Name) }) {
			groups = append(groups, "*"+g.Name)
		}
	}
	for _, l := range [][2]string{
		{"User name", a.Name}, {"Full Name", a.FullName}, {"Comment", a.Comment}, {"Country/region code", "000 (System Default)"},
		{"Account active", yesNo(!a.Disabled)}, {"Account expires", "Never"}, {"", ""},
		{"Password required", "Yes"}, {"User may change password", yesNo(!a.CannotChange)}, {"", ""},
		{"Logon hours allowed", "All"}, {"", ""}, {"Local Group Memberships", strings.Join(groups, " ")}, {"Global Group memberships", "*None"},
	} {
		if l[0] == "" {
			p.say("\n")
			continue
		}
		p.say("%-28s %s\n", l[0], l[1])
	}
	return netDone(p, nil)
}

func netGroup(p *Proc, args []string) int {
	opts, rest := options(args)
	add, remove := has(opts, "add"), has(opts, "delete") || has(opts, "del")
	comment, commented := opts["comment"]
	delete(opts, "comment")
	if o := anyOf(opts); o != "" {
		return p.unsupported(o, "are /add, /delete and /comment:")
	}
	if len(rest) == 0 {
		p.say("\nAliases for \\\\%s\n\n%s\n", p.Machine.ComputerName(), strings.Repeat("-", 79))
		var names []string
		for _, g := range p.Machine.Groups() {
			names = append(names, "*"+g.Name)
		}
		slices.Sort(names)
		p.say("%s\n", strings.Join(names, "\n"))
		return netDone(p, nil)
	}
	i := slices.IndexFunc(p.Machine.Groups(), func(g Group) bool { return strings.EqualFold(g.Name, rest[0]) })
	members := rest[1:]
	switch {
	case !add && !remove && len(members) == 0 && !commented:
		if i < 0 {
			return netError(p, NoSuchGroup)
		}
		g := p.Machine.Groups()[i]
		p.say("Alias name     %s\nComment        %s\n\nMembers\n\n%s\n", g.Name, g.Comment, strings.Repeat("-", 79))
		for _, m := range g.Members {
			p.say("%s\n", m)
		}
		return netDone(p, nil)
	case add == remove:
		return p.refuse("net localgroup GROUP changes nothing without one of /add and /delete")
	case remove && len(members) == 0:
		return p.refuse("net localgroup GROUP /delete: groups cannot be deleted here")
	}
	if err := p.Admin(); err != nil {
		return netError(p, err)
	}
	if add && len(members) == 0 {
		if i >= 0 {
			return netError(p, Code(1379))
		}
		return netDone(p, p.Machine.AddGroup(rest[0], comment))
	}
	if i < 0 {
		return netError(p, NoSuchGroup)
	}
	for _, m := range members {
		user, ok := p.Machine.LocalName(m)
		if _, there := p.Machine.Account(user); !ok || !there {
			p.complain("There is no such global user or group: %s.\n\nMore help is available by typing NET HELPMSG 3783.\n", m)
			return 2
		}
		var err error
		if add {
			err = p.Machine.Join(rest[0], user)
		} else {
			err = p.Machine.Leave(rest[0], user)
		}
		if err != nil {
			return netError(p, err)
		}
	}
	return netDone(p, nil)
}

func netStart(p *Proc, args []string) int {
	if len(args) == 0 {
		p.say("These Windows services are started:\n\n")
		for _, s := range p.Machine.Services() {
			if s.Running {
				p.say("   %s\n", s.Display)
			}
		}
		p.say("\n")
		return netDone(p, nil)
	}
	s, code := netService(p, args)
	if code != 0 {
		return code
	}
	if s.Running {
		p.complain("The requested service has already been started.\n\nMore help is available by typing NET HELPMSG 2182.\n")
		return 2
	}
	if err := p.Machine.StartService(s.Name); err != nil {
		return netError(p, err)
	}
	p.say("The %s service is starting.\nThe %s service was started successfully.\n\n", s.Display, s.Display)
	return 0
}

func netService(p *Proc, args []string) (s Service, code int) {
	s, err := p.Machine.Service(strings.Join(args, " "))
	if err != nil {
		p.complain("The service name is invalid.\n\nMore help is available by typing NET HELPMSG 2185.\n")
		return s, 2
	}
	if err := p.Admin(); err != nil {
		return s, netError(p, err)
	}
	return s, 0
}

func netStop(p *Proc, args []string) int {
	opts, rest := options(args)
	yes := has(opts, "y") || has(opts, "yes")
	if o := anyOf(opts); o != "" || len(rest) == 0 {
		return p.refuse("net stop takes the name of a service and /y, not %q", o)
	}
	s, code := netService(p, rest)
	if code != 0 {
		return code
	}
	if !s.Running {
		p.complain("The %s service is not started.\n\nMore help is available by typing NET HELPMSG 3521.\n", s.Display)
		return 2
	}
	err := p.Machine.StopService(s.Name, yes)
	if err == ServiceDependants {
		p.say("Other services are dependent on the %s service.\nStopping it will also stop them.\n\nDo you want to continue this operation? (Y/N) [N]: ", s.Display)
		if !strings.HasPrefix(p.answer(), "y") {
			p.say("\n")
			return 2
		}
		p.say("\n")
		err = p.Machine.StopService(s.Name, true)
	}
	if err == ServiceNoControl {
		p.complain("The requested pause, continue, or stop is not valid for this service.\n\nMore help is available by typing NET HELPMSG 2191.\n")
		return 2
	}
	if err != nil {
		return netError(p, err)
	}
	p.say("The %s service is stopping.\nThe %s service was stopped successfully.\n\n", s.Display, s.Display)
	return 0
}
