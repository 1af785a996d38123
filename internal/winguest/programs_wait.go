package winguest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
)

// timeoutExe is timeout.exe. As the real one, it wants a console: without one it
// ends at once.
func timeoutExe(ctx context.Context, p *Proc) int {
	seconds, given := 0, false
	for i := 0; i < len(p.Args); i++ {
		switch a := strings.ToLower(p.Args[i]); a {
		case "/nobreak", "-nobreak":
		case "/t", "-t":
			continue
		default:
			n, err := strconv.Atoi(strings.TrimPrefix(a, "/t:"))
			if err != nil || given || n < -1 || n > 99999 {
				p.complain("ERROR: Invalid value for timeout (/T) specified. Valid range is -1 to 99999 seconds.")
				return 1
			}
			seconds, given = n, true
		}
	}
	switch {
	case !given:
		return p.refuse("it needs /t and a number of seconds")
	case !p.Console:
		p.complain("ERROR: Input redirection is not supported, exiting the process immediately.")
		return 125
	case seconds < 0:
		return p.refuse("/t -1 waits for a key, and nobody is there to press one")
	}
	p.say("\nWaiting for %d seconds, press a key to continue ...\n", seconds)
	if sleep.For(ctx, time.Duration(seconds)*time.Second) != nil {
		return 1
	}
	return 0
}

// pingExe is ping.exe for the machine itself, as scripts use it to wait.
func pingExe(ctx context.Context, p *Proc) int {
	count := 4
	host, forever := "", false
	for i := 0; i < len(p.Args); i++ {
		a := strings.ToLower(p.Args[i])
		if a == "" || a[0] != '/' && a[0] != '-' {
			if host != "" {
				return p.unsupported(p.Args[i], "is one host")
			}
			host = p.Args[i]
			continue
		}
		switch a[1:] {
		case "t":
			forever = true
		case "4", "6", "a":
		case "n", "w", "l", "i":
			i++
			n := 0
			if i < len(p.Args) {
				n, _ = strconv.Atoi(p.Args[i])
			}
			if n < 1 && a[1:] != "l" {
				p.say("Bad value for option %s, valid range is from 1 to 4294967295.\n", a)
				return 1
			}
			if a[1:] == "n" {
				count = n
			}
		default:
			return p.unsupported(p.Args[i], "are -n -w -l -i -t -4 -6 -a")
		}
	}
	if host == "" {
		return p.refuse("it needs a host")
	}
	own := strings.HasPrefix(host, "127.") || host == "::1" || host == p.Machine.Addr() || strings.EqualFold(host, "localhost") || strings.EqualFold(host, p.Machine.ComputerName())
	if !own {
		return p.refuse("%s: this machine reaches itself only (127.0.0.1, localhost, %s)", host, p.Machine.ComputerName())
	}
	p.say("\nPinging %s [127.0.0.1] with 32 bytes of data:\n", host)
	for n := 0; forever || n < count; n++ {
		if n > 0 && sleep.For(ctx, time.Second) != nil {
			return 1
		}
		p.say("Reply from 127.0.0.1: bytes=32 time<1ms TTL=128\n")
	}
	p.say("\nPing statistics for 127.0.0.1:\n    Packets: Sent = %d, Received = %d, Lost = 0 (0%% loss),\nApproximate round trip times in milli-seconds:\n    Minimum = 0ms, Maximum = 0ms, Average = 0ms\n", count, count)
	return 0
}
