//go:build unix

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// guestExe is this program inside of a sandbox guest.
const guestExe = "/run/.guest/exe"

// powerFIFO is where pid 1 of a sandbox guest listens for the end.
const powerFIFO = "/run/.guest/power"

// processVar is set in process guests: their private directory.
const processVar = "EC2LOCAL_GUEST_DIR"

// inGuest keeps a program that happens to be called shutdown, on a real
// machine, from being taken for a shim.
func inGuest() bool {
	_, err := os.Stat(guestExe)
	return err == nil || os.Getenv(processVar) != ""
}

func powerRoles() {
	shims["shutdown"] = shutdown
	for _, n := range []string{"poweroff", "halt"} {
		shims[n] = func(a []string) error { return powerNow(PowerOff, a) }
	}
	shims["reboot"] = func(a []string) error { return powerNow(Reboot, a) }
	for _, n := range []string{"init", "telinit"} {
		shims[n] = runlevel
	}
}

// tellPower writes a line to whoever ends the guest.
func tellPower(line string) error {
	fifo := powerFIFO
	if d := os.Getenv(processVar); d != "" {
		fifo = filepath.Join(d, "power")
	} else if os.Geteuid() != 0 {
		return errors.New("must be root")
	}
	// Not blocking: without a reader there is nobody to wait for.
	f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot reach the guest's first process: %w", err)
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

func powerNow(what Exit, args []string) error {
	for _, a := range args {
		switch a {
		case "-f", "--force", "-ff", "-n", "--no-sync", "-d", "--no-wtmp", "--no-wall", "-p", "--poweroff", "--halt", "-i", "-h":
			if a == "-p" || a == "--poweroff" || a == "--halt" {
				what = PowerOff
			}
		case "--reboot":
			what = Reboot
		case "-w", "--wtmp-only":
			return nil
		default:
			return fmt.Errorf("option %s is not supported by the embedded EC2", a)
		}
	}
	return tellPower(string(what) + " 0")
}

func runlevel(args []string) error {
	if len(args) == 1 {
		switch args[0] {
		case "0":
			return tellPower(string(PowerOff) + " 0")
		case "6":
			return tellPower(string(Reboot) + " 0")
		case "q", "Q", "u", "U":
			return nil
		}
	}
	return fmt.Errorf("%s: only run levels 0 and 6 are supported by the embedded EC2", strings.Join(args, " "))
}

// shutdown [-h|-P|-H|-r|-c|-k] [time] [message ...]
func shutdown(args []string) error {
	what, cancel, pretend := PowerOff, false, false
	var rest []string
	for i, a := range args {
		if a == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		switch {
		case a == "--reboot":
			what = Reboot
		case a == "--poweroff" || a == "--halt" || a == "--no-wall":
		case strings.HasPrefix(a, "--") || a == "-":
			return fmt.Errorf("option %s is not supported by the embedded EC2", a)
		case strings.HasPrefix(a, "-"):
			for _, c := range a[1:] {
				switch c {
				case 'r':
					what = Reboot
				case 'h', 'P', 'H', 'f', 'F', 'n':
				case 'c':
					cancel = true
				case 'k':
					pretend = true
				default:
					return fmt.Errorf("option -%c is not supported by the embedded EC2", c)
				}
			}
		default:
			rest = append(rest, a)
		}
	}
	if cancel {
		return tellPower("cancel")
	}
	at := "+1"
	if len(rest) > 0 {
		at = rest[0]
	}
	wait, err := shutdownDelay(at, time.Now())
	if err != nil || pretend {
		return err
	}
	if wait > 0 {
		word := "Shutdown"
		if what == Reboot {
			word = "Reboot"
		}
		fmt.Fprintf(os.Stderr, "%s scheduled for %s, use 'shutdown -c' to cancel.\n", word, time.Now().Add(wait).Format("Mon 2006-01-02 15:04:05 MST"))
	}
	return tellPower(fmt.Sprintf("%s %d", what, int(wait.Seconds())))
}

// shutdownDelay reads now, +minutes, minutes or hh:mm.
func shutdownDelay(s string, now time.Time) (time.Duration, error) {
	if s == "now" {
		return 0, nil
	}
	if t, err := time.ParseInLocation("15:04", s, now.Location()); err == nil {
		t = time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
		if !t.After(now) {
			t = t.AddDate(0, 0, 1)
		}
		return t.Sub(now), nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("cannot read the time %q: give now, +minutes or hh:mm", s)
	}
	return time.Duration(n) * time.Minute, nil
}
