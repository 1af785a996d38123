package posh

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// request is powershell.exe's command line.
type request struct {
	file    string
	args    []string
	command string
	encoded bool
	has     bool
	stdin   bool   // -Command -
	output  string // -OutputFormat
	policy  string
}

// flags are the switches of powershell.exe that have no value.
var flags = []string{"noprofile", "noninteractive", "nologo", "noexit", "sta", "mta"}

// valued are those with a value.
var valued = []string{"executionpolicy", "windowstyle", "inputformat", "outputformat", "version", "psconsolefile", "configurationname"}

func readArgs(args []string) (request, error) {
	var r request
	short := map[string]string{"ep": "executionpolicy", "ex": "executionpolicy", "exec": "executionpolicy", "nop": "noprofile", "noni": "noninteractive", "nol": "nologo",
		"w": "windowstyle", "if": "inputformat", "of": "outputformat", "o": "outputformat", "i": "inputformat", "ec": "encodedcommand", "e": "encodedcommand", "enc": "encodedcommand",
		"c": "command", "f": "file", "h": "help", "?": "help", "v": "version", "s": "sta"}
	all := append(append([]string{"command", "file", "encodedcommand", "help", "encodedarguments", "windowstyle"}, flags...), valued...)
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "" || a[0] != '-' && a[0] != '/' && !strings.HasPrefix(a, "–") {
			// Everything from the first word on that is no switch is the command.
			r.command, r.has = strings.Join(args[i:], " "), true
			return r, nil
		}
		name := strings.ToLower(strings.TrimLeft(a, "-/–"))
		full, ok := short[name]
		if !ok {
			for _, n := range all {
				if name != "" && strings.HasPrefix(n, name) {
					full, ok = n, true
					break
				}
			}
		}
		if !ok {
			return r, fmt.Errorf("cannot start powershell: it has no switch %q here", a)
		}
		rest := args[i+1:]
		switch full {
		case "help", "noexit", "configurationname", "psconsolefile", "encodedarguments":
			return r, &outside{what: "powershell " + a}
		case "command":
			if len(rest) == 0 {
				return r, errors.New("cannot start powershell: -Command has no command behind it")
			}
			if len(rest) == 1 && rest[0] == "-" {
				r.stdin, r.has = true, true
				return r, nil
			}
			r.command, r.has = strings.Join(rest, " "), true
			return r, nil
		case "file":
			if len(rest) == 0 {
				return r, errors.New("cannot start powershell: -File has no file behind it")
			}
			if rest[0] == "-" {
				r.stdin, r.has = true, true
				return r, nil
			}
			r.file, r.args, r.has = rest[0], rest[1:], true
			return r, nil
		case "encodedcommand":
			if len(rest) == 0 {
				return r, errors.New("cannot start powershell: -EncodedCommand has no text behind it")
			}
			b, err := base64.StdEncoding.DecodeString(rest[0])
			if err != nil || len(b)%2 == 1 {
				return r, errors.New("cannot start powershell: the text behind -EncodedCommand is not base64 of UTF-16")
			}
			r.command, r.has, r.encoded = encodings["utf-16"].decode(b), true, true
			i++
			continue
		}
		for _, n := range valued {
			if n != full {
				continue
			}
			if len(rest) == 0 {
				return r, fmt.Errorf("cannot start powershell: %s has no value behind it", a)
			}
			i++
			switch full {
			case "outputformat", "inputformat":
				v := strings.ToLower(rest[0])
				if v == "xml" && full == "inputformat" {
					return r, &outside{what: "powershell -InputFormat XML"}
				}
				if v != "text" && v != "xml" && v != "none" {
					return r, fmt.Errorf("cannot start powershell: %s is Text or XML, not %q", a, rest[0])
				}
				if full == "outputformat" {
					if r.output = v; v == "xml" {
						return r, &outside{what: "powershell -OutputFormat XML"}
					}
				}
			case "executionpolicy":
				if err := oneOf(rest[0], []string{"Unrestricted", "RemoteSigned", "AllSigned", "Restricted", "Default", "Bypass", "Undefined"}); err != nil {
					return r, fmt.Errorf("cannot start powershell: there is no execution policy %q", rest[0])
				}
				r.policy = rest[0]
			case "version":
				if v, err := strconv.ParseFloat(rest[0], 64); err != nil || v < 3 {
					return r, &outside{what: "powershell -Version " + rest[0]}
				}
			}
		}
	}
	return r, nil
}

// Main is powershell.exe with its command line, without the program's name; it
// gives the exit code.
func Main(ctx context.Context, o Options, args []string) int {
	r, err := readArgs(args)
	if err == nil && !r.has {
		r.stdin = true
	}
	s := newShell(ctx, o)
	defer s.close()
	defer s.host.close()
	if err != nil {
		s.host.fatal(err)
		if errors.Is(err, ErrOutside) {
			return 1
		}
		return -196608 // what powershell.exe gives for arguments that it does not know
	}
	s.host.xml = r.encoded && r.output == ""
	if r.policy != "" {
		s.env.Set("PSExecutionPolicyPreference", r.policy)
	}
	if r.file != "" {
		return s.mainFile(r)
	}
	text := r.command
	if r.stdin {
		b, err := io.ReadAll(io.LimitReader(s.in, maxText))
		if err != nil {
			return s.ends(err)
		}
		text = s.in.decode(b)
	}
	ast, err := parse(text, "", s.core)
	if err != nil {
		s.host.fatal(err)
		return 1
	}
	err = s.top(&Block{ast: ast}, nil, !r.stdin)
	code := s.ends(err)
	if code == 0 && !s.ok && !errors.As(err, new(*exitErr)) { // -Command ends with 1 when its last statement failed
		return 1
	}
	return code
}

// mainFile is -File: exit N gives N, an uncaught error 1.
func (s *shell) mainFile(r request) int {
	path, err := s.filePath(r.file)
	if err == nil {
		var i FileInfo
		if i, err = s.m.Stat(path); err == nil && i.IsDir() {
			err = ErrDirectory
		}
	}
	if err != nil || !strings.HasSuffix(strings.ToLower(path), ".ps1") {
		s.host.fatal(fmt.Errorf("cannot run the file %s: it does not exist or its name does not end in .ps1", r.file))
		return -196608
	}
	b, err := s.loadScript(path)
	if err != nil {
		if e := (*Error)(nil); errors.As(err, &e) {
			err = s.asThrown(err)
		}
		s.host.fatal(err)
		return 1
	}
	var acts []actual
	for _, a := range r.args {
		x := actual{value: a, text: a, plain: true}
		if len(a) > 1 && a[0] == '-' && (isWord(rune(a[1])) && !isDigit(rune(a[1]))) {
			n, v, has := strings.Cut(a[1:], ":")
			x = actual{name: n, text: a}
			if has {
				x.value, x.has = v, true
				switch strings.ToLower(v) {
				case "$true", "true":
					x.value = true
				case "$false", "false":
					x.value = false
				}
			}
		}
		acts = append(acts, x)
	}
	s.isFile = true
	return s.ends(s.top(b, acts, true))
}

// top runs the outermost script: what comes on stdin is its pipeline input, line
// by line as it arrives.
func (s *shell) top(b *Block, acts []actual, stdin bool) error {
	t := &blockStage{s: s, b: b, args: acts, out: s.host.port(), dot: !s.isFile}
	if s.isFile {
		t.topFile = true
	}
	if err := t.begin(); err != nil {
		return err
	}
	if stdin && (b.ast.hasProc || b.ast.input) {
		for {
			l, ok, err := s.in.line()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if err := t.process(l); err != nil {
				return err
			}
		}
	}
	return t.end()
}

// ends shows why the script ended, and gives the exit code.
func (s *shell) ends(err error) int {
	var exit *exitErr
	if errors.As(err, &exit) {
		return exit.code
	}
	if err == nil || isFlow(err) {
		return 0
	}
	if s.ctx.Err() != nil {
		return 1
	}
	s.host.fatal(err)
	return 1
}

// loadScript reads and parses a script file: without a byte order mark it is in
// the ANSI code page.
func (s *shell) loadScript(path string) (*Block, error) {
	data, err := readShared(s, path)
	if err != nil {
		return nil, s.fileFault(err, path)
	}
	def := encodings["windows-1252"]
	if s.core {
		def = encodings["utf-8"]
	}
	e, rest := detect(data, def)
	ast, err := parse(e.decode(rest), path, s.core)
	if err != nil {
		return nil, err
	}
	if err := s.require(ast.requires, s.leaf(path)); err != nil {
		return nil, err
	}
	return &Block{ast: ast}, nil
}

// scriptStage is a script file as a command.
func (s *shell) scriptStage(path string, args []actual, out *port, dot bool) (stage, error) {
	b, err := s.loadScript(path)
	if err != nil {
		return nil, err
	}
	return &blockStage{s: s, b: b, name: s.leaf(path), args: args, out: out, dot: dot, file: true}, nil
}
