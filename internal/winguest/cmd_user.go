package winguest

import (
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

func (c *cmdlets) userObject(a Account) *posh.Object {
	o := posh.NewObject("Microsoft.PowerShell.Commands.LocalUser").Set("Name", a.Name).Set("Enabled", !a.Disabled).Set("Description", a.Comment).Set("FullName", a.FullName)
	o.Set("SID", c.m.SID(a.Name)).Set("PasswordRequired", true).Set("UserMayChangePassword", !a.CannotChange).Set("PasswordExpires", nil).Set("PrincipalSource", "Local").Set("ObjectClass", "User")
	o.Show = []string{"Name", "Enabled", "Description"}
	o.Text = func() string { return a.Name }
	return o
}

func noUser(name string) error {
	return &posh.Error{ID: "UserNotFound", Message: "User " + name + " was not found.", Exception: "Microsoft.PowerShell.Commands.UserNotFoundException", Category: "ObjectNotFound", Target: name}
}

func noGroup(name string) error {
	return &posh.Error{ID: "GroupNotFound", Message: "Group " + name + " was not found.", Exception: "Microsoft.PowerShell.Commands.GroupNotFoundException", Category: "ObjectNotFound", Target: name}
}

func badPassword() error {
	return &posh.Error{ID: "InvalidPassword", Message: "Unable to update the password. The value provided for the new password does not meet the length, complexity, or history requirements of the domain.",
		Exception: "Microsoft.PowerShell.Commands.InvalidPasswordException", Category: "InvalidOperation"}
}

// user is the account that a cmdlet names or is given.
func (c *cmdlets) userOf(v any) string {
	if name := propertyText(v, "Name"); name != "" {
		v = name
	}
	name, _ := c.m.LocalName(textOf(v))
	for _, a := range c.m.Accounts() {
		if c.m.SID(a.Name) == name {
			return a.Name
		}
	}
	return name
}

// expiry are the parameters about a time when an account ends: they never do.
const expiry = "AccountExpires:any AccountNeverExpires:switch "

func (c *cmdlets) user() {
	c.add("Get-LocalUser", "Name:string[]:1:pipename SID:string[]", func(k *posh.Call) error {
		names := k.Strs("Name")
		if k.Has("SID") {
			names = nil
			for _, s := range k.Strs("SID") {
				names = append(names, c.userOf(s))
			}
		}
		if len(names) == 0 {
			names = []string{"*"}
		}
		for _, n := range names {
			found := false
			for _, a := range c.m.Accounts() {
				if like(n, a.Name) {
					found = true
					if err := k.Emit(c.userObject(a)); err != nil {
						return err
					}
				}
			}
			if !found && !hasWild(n) {
				if err := k.Error(noUser(n)); err != nil {
					return err
				}
			}
		}
		return nil
	}, "glu")
	c.change("New-LocalUser", "Name:string:1:need Password:any FullName:string Description:string NoPassword:switch Disabled:switch PasswordNeverExpires:switch UserMayNotChangePassword:switch "+expiry, func(k *posh.Call) error {
		if k.Has("AccountExpires") {
			return outside("New-LocalUser -AccountExpires")
		}
		a := Account{Name: k.Str("Name"), FullName: k.Str("FullName"), Comment: k.Str("Description"), Disabled: k.On("Disabled"), NeverExpires: truthOf(k.Value("PasswordNeverExpires")), CannotChange: k.On("UserMayNotChangePassword")}
		if !k.On("NoPassword") {
			s, err := secret(k.Value("Password"))
			if err != nil {
				return err
			}
			a.Password = s
		}
		switch err := c.m.AddAccount(a); CodeOf(err) {
		case 0:
		case NetUserExists:
			return &posh.Error{ID: "UserExists", Message: "User " + a.Name + " already exists.", Exception: "Microsoft.PowerShell.Commands.UserExistsException", Category: "ResourceExists", Target: a.Name}
		case PasswordPolicy:
			return badPassword()
		default:
			return problem("InvalidName", "InvalidArgument", a.Name, "%v", err)
		}
		return k.Emit(c.userObject(a))
	}, "nlu")
	change := func(name, params string, f func(k *posh.Call, a *Account) error, aliases ...string) {
		c.change(name, "Name:any:1:pipename InputObject:any:pipe SID:string "+params, func(k *posh.Call) error {
			v := k.Value("InputObject")
			if v == nil {
				v = k.Value("Name")
			}
			if v == nil {
				v = k.Value("SID")
			}
			for _, one := range elements(v) {
				user := c.userOf(one)
				a, ok := c.m.Account(user)
				if !ok {
					if err := k.Error(noUser(user)); err != nil {
						return err
					}
					continue
				}
				if err := f(k, &a); err != nil {
					return err
				}
				switch err := c.m.ChangeAccount(user, func(now *Account) { *now = a }); CodeOf(err) {
				case 0:
				case PasswordPolicy:
					return badPassword()
				default:
					return problem("InvalidOperation", "InvalidOperation", user, "%v", err)
				}
			}
			return nil
		}, aliases...)
	}
	change("Set-LocalUser", "Password:any FullName:string Description:string PasswordNeverExpires:bool UserMayChangePassword:bool "+expiry, func(k *posh.Call, a *Account) error {
		if k.Has("AccountExpires") {
			return outside("Set-LocalUser -AccountExpires")
		}
		if k.Has("Password") {
			s, err := secret(k.Value("Password"))
			if err != nil {
				return err
			}
			a.Password = s
		}
		for name, to := range map[string]*string{"FullName": &a.FullName, "Description": &a.Comment} {
			if k.Has(name) {
				*to = k.Str(name)
			}
		}
		if k.Has("PasswordNeverExpires") {
			a.NeverExpires = truthOf(k.Value("PasswordNeverExpires"))
		}
		if k.Has("UserMayChangePassword") {
			a.CannotChange = !truthOf(k.Value("UserMayChangePassword"))
		}
		return nil
	}, "slu")
	change("Enable-LocalUser", "", func(_ *posh.Call, a *Account) error { a.Disabled = false; return nil }, "elu")
	change("Disable-LocalUser", "", func(_ *posh.Call, a *Account) error { a.Disabled = true; return nil }, "dlu")
	change("Rename-LocalUser", "NewName:string:2:need", func(k *posh.Call, a *Account) error { a.Name = k.Str("NewName"); return nil }, "rnlu")
	c.change("Remove-LocalUser", "Name:any:1:pipename InputObject:any:pipe SID:string", func(k *posh.Call) error {
		v := k.Value("InputObject")
		if v == nil {
			v = k.Value("Name")
		}
		if v == nil {
			v = k.Value("SID")
		}
		for _, one := range elements(v) {
			user := c.userOf(one)
			switch err := c.m.RemoveAccount(user); CodeOf(err) {
			case 0:
			case NetUserNotFound:
				if err := k.Error(noUser(user)); err != nil {
					return err
				}
			default:
				return problem("InvalidOperation", "InvalidOperation", user, "%v", err)
			}
		}
		return nil
	}, "rlu")

	c.add("Get-LocalGroup", "Name:string[]:1 SID:string[]", func(k *posh.Call) error {
		names := append(k.Strs("Name"), k.Strs("SID")...)
		if len(names) == 0 {
			names = []string{"*"}
		}
		for _, n := range names {
			found := false
			for _, g := range c.m.Groups() {
				if like(n, g.Name) || strings.EqualFold(n, g.SID) {
					found = true
					o := posh.NewObject("Microsoft.PowerShell.Commands.LocalGroup").Set("Name", g.Name).Set("Description", g.Comment).Set("SID", g.SID).Set("PrincipalSource", "Local").Set("ObjectClass", "Group")
					o.Show = []string{"Name", "Description"}
					o.Text = func() string { return g.Name }
					if err := k.Emit(o); err != nil {
						return err
					}
				}
			}
			if !found && !hasWild(n) {
				if err := k.Error(noGroup(n)); err != nil {
					return err
				}
			}
		}
		return nil
	}, "glg")
	c.change("New-LocalGroup", "Name:string:1:need Description:string", func(k *posh.Call) error {
		if err := c.m.AddGroup(k.Str("Name"), k.Str("Description")); err != nil {
			return &posh.Error{ID: "GroupExists", Message: "Group " + k.Str("Name") + " already exists.", Exception: "Microsoft.PowerShell.Commands.GroupExistsException", Category: "ResourceExists", Target: k.Str("Name")}
		}
		return nil
	}, "nlg")
	c.add("Get-LocalGroupMember", "Group:any:1 Name:string SID:string Member:string:2", func(k *posh.Call) error {
		g, err := c.groupOf(k)
		if err != nil {
			return err
		}
		for _, n := range g.Members {
			full := c.m.ComputerName() + `\` + n
			if k.Has("Member") && !like(k.Str("Member"), n) && !like(k.Str("Member"), full) {
				continue
			}
			o := posh.NewObject("Microsoft.PowerShell.Commands.LocalPrincipal").Set("ObjectClass", "User").Set("Name", full).Set("PrincipalSource", "Local").Set("SID", c.m.SID(n))
			o.Text = func() string { return full }
			if err := k.Emit(o); err != nil {
				return err
			}
		}
		return nil
	}, "glgm")
	members := func(f func(group, user string) error) func(*posh.Call) error {
		return func(k *posh.Call) error {
			g, err := c.groupOf(k)
			if err != nil {
				return err
			}
			for _, v := range k.Values("Member") {
				user := c.userOf(v)
				switch err := f(g.Name, user); CodeOf(err) {
				case 0:
				case NoSuchUser:
					err = &posh.Error{ID: "PrincipalNotFound", Message: "Principal " + user + " was not found.", Exception: "Microsoft.PowerShell.Commands.PrincipalNotFoundException", Category: "ObjectNotFound", Target: user}
					if err := k.Error(err); err != nil {
						return err
					}
				case InGroup:
					err = &posh.Error{ID: "MemberExists", Message: user + " is already a member of group " + g.Name + ".", Exception: "Microsoft.PowerShell.Commands.MemberExistsException", Category: "ResourceExists", Target: g.Name}
					if err := k.Error(err); err != nil {
						return err
					}
				case NotInGroup:
					err = &posh.Error{ID: "MemberNotFound", Message: "Member " + user + " was not found in group " + g.Name + ".", Exception: "Microsoft.PowerShell.Commands.MemberNotFoundException", Category: "ObjectNotFound", Target: user}
					if err := k.Error(err); err != nil {
						return err
					}
				default:
					return err
				}
			}
			return nil
		}
	}
	c.change("Add-LocalGroupMember", "Group:any:1 Member:any[]:2:need:pipe Name:string SID:string", members(c.m.Join), "algm")
	c.change("Remove-LocalGroupMember", "Group:any:1 Member:any[]:2:need:pipe Name:string SID:string", members(c.m.Leave), "rlgm")
}

func (c *cmdlets) groupOf(k *posh.Call) (Group, error) {
	want := ""
	for _, n := range []string{"SID", "Name", "Group"} {
		if v := k.Value(n); v != nil {
			if want = propertyText(v, "Name"); want == "" {
				want = textOf(v)
			}
		}
	}
	for _, g := range c.m.Groups() {
		if strings.EqualFold(g.Name, want) || strings.EqualFold(g.SID, want) {
			return g, nil
		}
	}
	return Group{}, noGroup(want)
}

// secret is what a SecureString holds.
func secret(v any) (string, error) {
	if s, ok := posh.SecretText(v); ok {
		return s, nil
	}
	return "", problem("CannotConvertArgumentNoMessage", "InvalidArgument", "", "The password must be a SecureString: ConvertTo-SecureString makes one.")
}
