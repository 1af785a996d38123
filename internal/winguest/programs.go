package winguest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/batch"
	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// programs are the native programs of the machine by the name of their .exe.
func programs() map[string]Program {
	t := map[string]Program{
		"cmd":  cmd,
		"net":  netExe,
		"net1": netExe,
		"reg":  regExe, "sc": scExe, "netsh": netshExe, "winrm": winrmExe, "wmic": wmicExe, "shutdown": shutdownExe, "schtasks": schtasksExe,
		"taskkill": taskkillExe, "tasklist": tasklistExe,
		"whoami": whoamiExe, "hostname": hostnameExe, "ipconfig": ipconfigExe, "systeminfo": systeminfoExe, "setx": setxExe, "tzutil": tzutilExe,
		"powercfg": powercfgExe, "gpupdate": gpupdateExe, "chcp": chcpExe, "certutil": certutilExe,
		"attrib": attribExe, "xcopy": xcopyExe, "robocopy": robocopyExe, "where": whereExe,
		"find": findExe, "findstr": findstrExe, "sort": sortExe, "more": moreExe,
		"timeout": timeoutExe, "ping": pingExe,
	}
	maps.Copy(t, refusing())
	return t
}

// cmd is cmd.exe: the subset of package batch on this machine.
func cmd(ctx context.Context, p *Proc) int {
	_, rest := firstWord(p.Line)
	return batch.Run(ctx, batch.Options{Machine: p.Host(), Line: rest, Env: posh.NewEnv(p.Env...), Dir: p.Dir, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr})
}

// say writes text to the output; each line end becomes CR LF.
func (p *Proc) say(format string, a ...any) { sayTo(p.Stdout, format, a...) }

// complain writes text with a line end to the error stream.
func (p *Proc) complain(format string, a ...any) { sayTo(p.Stderr, format+"\n", a...) }

func sayTo(w io.Writer, format string, a ...any) {
	text := format
	if len(a) > 0 {
		text = fmt.Sprintf(format, a...)
	}
	io.WriteString(w, strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"))
}

// refuse is the end of a program that is asked for what it does not do here.
func (p *Proc) refuse(format string, a ...any) int {
	p.complain("cannot run %s: %s", strings.TrimSuffix(p.Name, ".exe"), fmt.Sprintf(format, a...))
	return 1
}

// unsupported is the end of a program with arguments outside of its subset.
func (p *Proc) unsupported(what, known string) int {
	return p.refuse("%q is not supported here: known %s", what, known)
}

// raw is the command line behind the program.
func (p *Proc) raw() string {
	_, rest := firstWord(p.Line)
	return rest
}

// answer reads a line from what stands in for the keyboard, "" at its end.
func (p *Proc) answer() string {
	line, _ := bufio.NewReader(p.Stdin).ReadString('\n')
	return strings.ToLower(strings.TrimSpace(line))
}

// options takes what begins with a slash or a dash apart from the rest. The
// names are in lower case; what follows a colon or an equals sign is the value.
func options(args []string) (opts map[string]string, rest []string) {
	opts = map[string]string{}
	for _, a := range args {
		if len(a) < 2 || a[0] != '/' && a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		name, value := a[1:], ""
		if k := strings.IndexAny(name, ":="); k >= 0 {
			name, value = name[:k], name[k+1:]
		}
		opts[strings.ToLower(name)] = value
	}
	return opts, rest
}

// has takes an option out and tells whether it was there.
func has(opts map[string]string, name string) bool {
	_, ok := opts[name]
	delete(opts, name)
	return ok
}

// anyOf is one of the options that are left, "" if none is.
func anyOf(opts map[string]string) string {
	for name := range opts {
		return "/" + name
	}
	return ""
}

// valued reads options whose value is the next word: /v name /f. Those of flags
// have none.
func valued(args []string, flags string) (opts map[string]string, rest []string, err error) {
	opts = map[string]string{}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if len(a) < 2 || a[0] != '/' && a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		name := strings.ToLower(a[1:])
		if _, twice := opts[name]; twice {
			return nil, nil, fmt.Errorf("%s is there twice", a)
		}
		if strings.Contains(" "+flags+" ", " "+name+" ") {
			opts[name] = ""
			continue
		}
		if i++; i == len(args) {
			return nil, nil, fmt.Errorf("%s needs a value", a)
		}
		opts[name] = args[i]
	}
	return opts, rest, nil
}
