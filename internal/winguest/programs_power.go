package winguest

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// shutdownExe is shutdown.exe.
func shutdownExe(_ context.Context, p *Proc) int {
	var reboot, off, abort bool
	after, timed := 30*time.Second, false
	comment := ""
	for i := 0; i < len(p.Args); i++ {
		a := strings.ToLower(p.Args[i])
		value := func() (string, bool) {
			if i+1 == len(p.Args) {
				return "", false
			}
			i++
			return p.Args[i], true
		}
		if a == "" || a[0] != '/' && a[0] != '-' {
			return p.refuse("%q stands alone: options begin with /", p.Args[i])
		}
		switch a[1:] {
		case "r", "g":
			reboot = true
		case "s":
			off = true
		case "p":
			off, after, timed = true, 0, true
		case "a":
			abort = true
		case "f":
		case "t":
			v, _ := value()
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 || n > 315360000 {
				return p.refuse("/t is a number of seconds from 0 to 315360000, not %q", v)
			}
			after, timed = time.Duration(n)*time.Second, true
		case "c":
			v, ok := value()
			if !ok || len([]rune(v)) > 512 {
				return p.refuse("/c is a comment of up to 512 characters")
			}
			comment = v
		case "d":
			if v, ok := value(); !ok || v == "" {
				return p.refuse("/d is the reason: p:4:1, for instance")
			}
		case "m":
			v, _ := value()
			if v = strings.TrimLeft(v, `\`); !strings.EqualFold(v, p.Machine.ComputerName()) && !strings.EqualFold(v, "localhost") && v != "127.0.0.1" {
				p.complain("%s: %v(%d)", v, BadNetPath, BadNetPath)
				return int(BadNetPath)
			}
		default:
			return p.unsupported(p.Args[i], "are /r /s /g /p /a /f /t /c /d /m")
		}
	}
	doing := 0
	for _, b := range []bool{reboot, off, abort} {
		if b {
			doing++
		}
	}
	if doing != 1 || abort && timed {
		return p.refuse("it needs one of /r, /s, /g, /p and /a")
	}
	err := p.Admin()
	switch {
	case err != nil:
	case abort:
		err = p.Machine.CallOff()
	default:
		err = p.Machine.PowerOff(reboot, after, comment)
	}
	if err != nil {
		c := CodeOf(err)
		p.complain("%s(%d)", err, c)
		return int(c)
	}
	return 0
}
