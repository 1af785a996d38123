package winguest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// taskkillExe is taskkill.exe. Without /f it fails: programs here have no window
// that could be closed.
func taskkillExe(_ context.Context, p *Proc) int {
	var ids []int
	var images []string
	var tree, force bool
	for i := 0; i < len(p.Args); i++ {
		a := strings.ToLower(p.Args[i])
		switch a {
		case "/t", "-t":
			tree = true
		case "/f", "-f":
			force = true
		case "/pid", "-pid", "/im", "-im":
			if i++; i == len(p.Args) {
				return p.refuse("%s needs a value", a)
			}
			if strings.HasSuffix(a, "im") {
				images = append(images, p.Args[i])
				break
			}
			n, err := strconv.Atoi(p.Args[i])
			if err != nil {
				return p.refuse("/pid needs a number, not %q", p.Args[i])
			}
			ids = append(ids, n)
		default:
			return p.unsupported(p.Args[i], "are /pid /im /t /f")
		}
	}
	if len(ids) == 0 && len(images) == 0 {
		return p.refuse("it needs /pid or /im")
	}
	type victim struct {
		id   int
		what string
	}
	var victims []victim
	code := 0
	for _, id := range ids {
		victims = append(victims, victim{id, fmt.Sprintf("process with PID %d", id)})
	}
	for _, image := range images {
		n := 0
		for _, q := range p.Machine.Processes() {
			if wild(image, q.Name) && q.ID != p.ID {
				victims = append(victims, victim{q.ID, fmt.Sprintf("process %q with PID %d", q.Name, q.ID)})
				n++
			}
		}
		if n == 0 {
			p.complain("ERROR: The process %q not found.", image)
			code = 128
		}
	}
	for _, v := range victims {
		q := p.Machine.ProcessByID(v.id)
		switch {
		case q == nil:
			p.complain("ERROR: The process \"%d\" not found.", v.id)
			code = 128
		case !force:
			p.complain("ERROR: The %s could not be terminated.\nReason: This process can only be terminated forcefully (with /F option).", v.what)
			code = max(code, 1)
		case p.Admin() != nil && !strings.EqualFold(q.proc.Login.User, p.Login.User):
			p.complain("ERROR: The %s could not be terminated.\nReason: Access is denied.", v.what)
			code = max(code, 1)
		default:
			if err := p.Machine.KillProcess(v.id, tree); err != nil {
				p.complain("ERROR: The %s could not be terminated.\nReason: %v", v.what, err)
				code = max(code, 1)
				continue
			}
			p.say("SUCCESS: The %s has been terminated.\n", v.what)
		}
	}
	return code
}

// wild matches a name with a pattern that may end in a star.
func wild(pattern, name string) bool {
	pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	if stem, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, stem)
	}
	return pattern == name
}

// tasklistExe is tasklist.exe.
func tasklistExe(_ context.Context, p *Proc) int {
	form, headless := "table", false
	keep := func(Info) bool { return true }
	for i := 0; i < len(p.Args); i++ {
		value := func() string {
			if i+1 < len(p.Args) {
				i++
				return p.Args[i]
			}
			return ""
		}
		switch a := strings.ToLower(p.Args[i]); a {
		case "/nh", "-nh":
			headless = true
		case "/fo", "-fo":
			if form = strings.ToLower(value()); form != "table" && form != "csv" && form != "list" {
				return p.unsupported("/fo "+form, "are table, csv and list")
			}
		case "/fi", "-fi":
			filter := value()
			f := strings.Fields(strings.ToLower(filter))
			before := keep
			if len(f) != 3 || f[1] != "eq" && f[1] != "ne" || f[0] != "imagename" && f[0] != "pid" {
				return p.unsupported("/fi "+filter, `are "imagename eq NAME" and "pid eq NUMBER", also with ne`)
			}
			keep = func(q Info) bool {
				is := f[0] == "pid" && f[2] == itoa(q.ID) || f[0] == "imagename" && wild(f[2], q.Name)
				return before(q) && is == (f[1] == "eq")
			}
		default:
			return p.unsupported(p.Args[i], "are /fi /fo /nh")
		}
	}
	found := false
	const memory = "20,480 K"
	for _, q := range p.Machine.Processes() {
		if !keep(q) {
			continue
		}
		cells := []string{q.Name, itoa(q.ID), "Services", itoa(q.Session), memory}
		names := []string{"Image Name", "PID", "Session Name", "Session#", "Mem Usage"}
		switch form {
		case "csv":
			if !found && !headless {
				p.say("\"%s\"\n", strings.Join(names, `","`))
			}
			p.say("\"%s\"\n", strings.Join(cells, `","`))
		case "list":
			p.say("\n")
			for k, n := range names {
				p.say("%-13s%s\n", n+":", cells[k])
			}
		default:
			if !found && !headless {
				p.say("\n%-25s %8s %-16s %11s %12s\n%s %s %s %s %s\n", names[0], names[1], names[2], names[3], names[4],
					strings.Repeat("=", 25), strings.Repeat("=", 8), strings.Repeat("=", 16), strings.Repeat("=", 11), strings.Repeat("=", 12))
			}
			p.say("%-25.25s %8s %-16s %11s %12s\n", cells[0], cells[1], cells[2], cells[3], cells[4])
		}
		found = true
	}
	if !found {
		p.say("INFO: No tasks are running which match the specified criteria.\n")
	}
	return 0
}
