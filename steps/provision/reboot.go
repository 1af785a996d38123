package provision

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps/comm"
)

const (
	pollReboot = time.Second
	// rebootGrace is how long a machine that has begun to go down may take until
	// it has gone: services get 90 seconds each to stop.
	rebootGrace = 10 * time.Minute
	// doubtGrace is for a machine that only looks as if it were going down.
	doubtGrace = 2 * time.Minute
)

// probeBoot prints which boot of the machine this is, and whether it is going
// down: a shutdown forbids logins first.
const probeBoot = `cat /proc/sys/kernel/random/boot_id
[ ! -e /run/nologin ] && [ "$(systemctl is-system-running 2>/dev/null)" != stopping ] || echo stopping`

// bootID names the present boot of the machine.
func bootID(ctx context.Context, r comm.Remote) (string, error) {
	id, _, err := boot(ctx, r)
	return id, err
}

func boot(ctx context.Context, r comm.Remote) (id string, stopping bool, err error) {
	out, x, err := r.Exec(ctx, probeBoot, nil)
	if err != nil {
		return "", false, err
	}
	f := strings.Fields(string(out))
	if len(f) == 0 || x.Code != 0 && len(f) < 2 {
		return "", false, fmt.Errorf("cannot tell which boot of the machine this is: exit status %d", x.Code)
	}
	return f[0], len(f) > 1, nil
}

// awaitReboot waits until a machine that may have begun to go down is back. Went
// says that it surely did; before is the boot that it was in, "" if that is not
// known. Connecting again is the remote's business, for as long as ssh_timeout
// allows.
func awaitReboot(ctx context.Context, r comm.Remote, t *dag.Task, went bool, before string) error {
	for start, told := time.Now(), false; ; {
		id, stopping, err := boot(ctx, r)
		if err != nil {
			return fmt.Errorf("cannot reach the machine after it was to reboot: %w", err)
		}
		if !stopping && !(went && before != "" && id == before) {
			if told {
				t.Say("the machine is back")
			}
			return nil
		}
		if !went && time.Since(start) > doubtGrace {
			t.Warn("the machine seems to be going down, but has not gone in %s; going on", doubtGrace)
			return nil
		}
		if time.Since(start) > rebootGrace {
			return fmt.Errorf("cannot go on: the machine began to reboot and has not gone down in %s", rebootGrace)
		}
		if !told {
			t.Say("waiting for the machine to reboot")
			told = true
		}
		if err := sleep.For(ctx, pollReboot); err != nil {
			return err
		}
	}
}
