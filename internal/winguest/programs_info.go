package winguest

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode/utf16"
)

func whoamiExe(_ context.Context, p *Proc) int {
	domain := p.Machine.ComputerName()
	if service(p.Login.User) {
		domain = "nt authority"
	}
	name := strings.ToLower(domain + `\` + p.Login.User)
	switch {
	case len(p.Args) == 0:
		p.say("%s\n", name)
	case len(p.Args) == 1 && strings.EqualFold(p.Args[0], "/user"):
		sid := p.Machine.SID(p.Login.User)
		p.say("\nUSER INFORMATION\n----------------\n\n%-*s SID\n%s %s\n%s %s\n", len(name), "User Name", strings.Repeat("=", len(name)), strings.Repeat("=", len(sid)), name, sid)
	default:
		return p.unsupported(strings.Join(p.Args, " "), "is /user")
	}
	return 0
}

func hostnameExe(_ context.Context, p *Proc) int {
	if len(p.Args) > 0 {
		return p.unsupported(p.Args[0], "is hostname alone")
	}
	p.say("%s\n", p.Machine.ComputerName())
	return 0
}

func ipconfigExe(_ context.Context, p *Proc) int {
	all := false
	for _, a := range p.Args {
		switch strings.ToLower(strings.TrimLeft(a, "/-")) {
		case "all":
			all = true
		case "flushdns": // nothing is ever kept
			p.say("\nWindows IP Configuration\n\nSuccessfully flushed the DNS Resolver Cache.\n")
			return 0
		default:
			return p.unsupported(a, "are /all and /flushdns")
		}
	}
	p.say("\nWindows IP Configuration\n\n")
	if all {
		p.say("   Host Name . . . . . . . . . . . . : %s\n   Primary Dns Suffix  . . . . . . . : \n\n", p.Machine.ComputerName())
	}
	p.say("\nEthernet adapter Ethernet:\n\n   Connection-specific DNS Suffix  . : \n   IPv4 Address. . . . . . . . . . . : %s\n   Subnet Mask . . . . . . . . . . . : 255.0.0.0\n", p.Machine.Addr())
	return 0
}

func systeminfoExe(_ context.Context, p *Proc) int {
	if len(p.Args) > 0 {
		return p.unsupported(p.Args[0], "is systeminfo alone")
	}
	r := p.Machine.Release()
	for _, l := range [][2]string{
		{"Host Name", p.Machine.ComputerName()}, {"OS Name", "Microsoft " + r.Product}, {"OS Version", r.Version + " N/A Build " + r.build()},
		{"OS Manufacturer", "Microsoft Corporation"}, {"OS Configuration", "Standalone Server"},
		{"System Boot Time", p.Machine.Booted().UTC().Format("1/2/2006, 3:04:05 PM")}, {"System Manufacturer", "Amazon EC2"}, {"System Type", "x64-based PC"},
		{"Windows Directory", SystemRoot}, {"System Directory", System32}, {"Time Zone", "(UTC) Coordinated Universal Time"},
		{"Total Physical Memory", fmt.Sprintf("%d,%03d MB", memoryKB/1024/1000, memoryKB/1024%1000)}, {"Domain", "WORKGROUP"}, {"Hotfix(s)", "N/A"},
	} {
		p.say("%-26s %s\n", l[0]+":", l[1])
	}
	return 0
}

// setxExe is setx.exe: what it sets is there for processes of new sessions.
func setxExe(_ context.Context, p *Proc) int {
	var rest []string
	path := userEnvironment
	for _, a := range p.Args {
		switch {
		case strings.EqualFold(a, "/m") || strings.EqualFold(a, "-m"):
			path = machineEnvironment
		case len(a) == 2 && a[0] == '/':
			return p.unsupported(a, "is /m")
		default:
			rest = append(rest, a)
		}
	}
	if len(rest) != 2 || rest[0] == "" || strings.Contains(rest[0], "=") {
		p.complain("ERROR: Invalid syntax. Default option is not allowed more than '2' time(s).\nsetx here takes NAME VALUE and /m.")
		return 1
	}
	v := Value{Name: rest[0], Kind: String, Text: rest[1]}
	if r := []rune(v.Text); len(r) > 1024 {
		p.say("WARNING: The data being saved is truncated to 1024 characters.\n\n")
		v.Text = string(r[:1024])
	}
	if strings.Contains(v.Text, "%") {
		v.Kind = ExpandString
	}
	r := p.Machine.Registry(p.Login)
	err := r.Make(path)
	if err == nil {
		err = r.Set(path, v)
	}
	if err != nil {
		p.complain("ERROR: Access to the registry path is denied.")
		return 1
	}
	p.say("\nSUCCESS: Specified value was saved.\n")
	return 0
}

func tzutilExe(_ context.Context, p *Proc) int {
	switch {
	case len(p.Args) == 1 && strings.EqualFold(p.Args[0], "/g"):
		p.say("UTC")
	case len(p.Args) == 2 && strings.EqualFold(p.Args[0], "/s") && strings.EqualFold(p.Args[1], "UTC"):
		return 0 // it is so anyway
	default:
		return p.unsupported(strings.Join(p.Args, " "), "are /g and /s UTC: the clock of this machine runs in UTC only")
	}
	return 0
}

func powercfgExe(_ context.Context, p *Proc) int {
	words := strings.ToLower(strings.Join(p.Args, " "))
	for _, w := range []string{"/hibernate off", "-hibernate off", "/h off", "-h off"} {
		if words == w {
			return 0 // it never hibernates
		}
	}
	return p.unsupported(strings.Join(p.Args, " "), "is /hibernate off: the machine has no power plans")
}

// gpupdateExe has nothing to do: there is no domain, and what is in the registry
// below Policies counts at once.
func gpupdateExe(_ context.Context, p *Proc) int {
	for _, a := range p.Args {
		switch strings.ToLower(a) {
		case "/force", "/target:computer", "/target:user":
		default:
			return p.unsupported(a, "are /force and /target:")
		}
	}
	p.say("Updating policy...\n\nComputer Policy update has completed successfully.\nUser Policy update has completed successfully.\n\n")
	return 0
}

func chcpExe(_ context.Context, p *Proc) int {
	page := 65001
	if p.Codepage != 0 {
		page = p.Codepage
	}
	if len(p.Args) > 0 && p.Args[0] != itoa(page) {
		return p.unsupported(p.Args[0], fmt.Sprintf("is %d: the console stays with the code page that it began with", page))
	}
	p.say("Active code page: %d\n", page)
	return 0
}

// certutilExe is certutil.exe: -hashfile, -encode and -decode.
func certutilExe(ctx context.Context, p *Proc) int {
	args := p.Args
	force := false
	for len(args) > 0 && strings.EqualFold(strings.TrimLeft(args[0], "/-"), "f") {
		force, args = true, args[1:]
	}
	if len(args) == 0 {
		return p.refuse("it needs one of: -hashfile, -encode, -decode")
	}
	verb := strings.ToLower(strings.TrimLeft(args[0], "/-"))
	fail := func(err error) int {
		c := CodeOf(err)
		hex := 0x80070000 | uint32(c)
		p.say("CertUtil: -%s command FAILED: 0x%x (WIN32: %d)\nCertUtil: %v\n", verb, hex, c, c)
		return int(int32(hex))
	}
	switch {
	case verb == "hashfile" && (len(args) == 2 || len(args) == 3):
		name := "SHA1"
		if len(args) == 3 {
			name = strings.ToUpper(args[2])
		}
		h := map[string]hash.Hash{"MD5": md5.New(), "SHA1": sha1.New(), "SHA256": sha256.New(), "SHA384": sha512.New384(), "SHA512": sha512.New()}[name]
		if h == nil {
			return p.unsupported(args[2], "are MD5, SHA1, SHA256, SHA384 and SHA512")
		}
		f, err := p.Open(args[1], ForReading)
		if err != nil {
			return fail(err)
		}
		defer f.Close()
		if _, err := io.Copy(h, whileAlive{ctx, f}); err != nil {
			return fail(err)
		}
		p.say("%s hash of %s:\n%x\n", name, args[1], h.Sum(nil))
	case (verb == "encode" || verb == "decode") && len(args) == 3:
		b, err := p.ReadFile(args[1])
		if err != nil {
			return fail(err)
		}
		if _, err := p.Stat(args[2]); err == nil && !force {
			return fail(FileExists)
		}
		in := len(b)
		if verb == "encode" {
			b = bytes.ReplaceAll(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}), []byte("\n"), []byte("\r\n"))
		} else if b, err = decoded(b); err != nil {
			return fail(Code(13))
		}
		if err := p.WriteFile(args[2], b); err != nil {
			return fail(err)
		}
		p.say("Input Length = %d\nOutput Length = %d\n", in, len(b))
	default:
		return p.unsupported(strings.Join(args, " "), "are -hashfile FILE [ALGORITHM], -encode IN OUT, -decode IN OUT and -f")
	}
	p.say("CertUtil: -%s command completed successfully.\n", verb)
	return 0
}

// decoded is what base64 text holds, with or without lines around it.
func decoded(b []byte) ([]byte, error) {
	if len(b) > 1 && b[0] == 0xff && b[1] == 0xfe {
		var u []uint16
		for i := 2; i+1 < len(b); i += 2 {
			u = append(u, uint16(b[i])|uint16(b[i+1])<<8)
		}
		b = []byte(string(utf16.Decode(u)))
	}
	var text strings.Builder
	for _, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
			text.WriteString(line)
		}
	}
	return base64.StdEncoding.DecodeString(text.String())
}

// whileAlive is a reader that ends with its program.
type whileAlive struct {
	ctx context.Context
	r   io.Reader
}

func (w whileAlive) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(b)
}
