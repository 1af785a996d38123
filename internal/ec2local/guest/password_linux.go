package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/internal/quote"
)

// passwordSteps set what user data says of passwords with the guest's own tools,
// as cloud-init does.
func (p *plan) passwordSteps(login string) (out []planStep) {
	if p.PasswordAuth != "" {
		out = append(out, planStep{"ssh_pwauth", nil, func() (*exec.Cmd, error) {
			return exec.Command("sh", "-c", `mkdir -p /etc/ssh/sshd_config.d && echo "PasswordAuthentication $1" >/etc/ssh/sshd_config.d/50-cloud-init.conf`, "sh", p.PasswordAuth), nil
		}})
	}
	users, of := p.passwordsFor(login)
	for _, u := range users {
		w := of[u]
		out = append(out, planStep{"set_passwords", nil, func() (*exec.Cmd, error) {
			cmd := exec.Command("chpasswd")
			if w.Hash {
				cmd.Args = append(cmd.Args, "-e")
			}
			cmd.Stdin = strings.NewReader(u + ":" + w.Password + "\n")
			return cmd, nil
		}})
		if !p.Lasting {
			out = append(out, planStep{"set_passwords", nil, func() (*exec.Cmd, error) { return exec.Command("passwd", "--expire", u), nil }})
		}
	}
	return out
}

// passwordsAllowed reports whether the guest's sshd would take a password of the
// user now. Images for EC2 do not, unless they say so.
func passwordsAllowed(user string) bool {
	files, _ := filepath.Glob("/etc/ssh/sshd_config.d/*.conf")
	var texts [][]byte
	for _, f := range append(files, "/etc/ssh/sshd_config") {
		b, _ := os.ReadFile(f)
		texts = append(texts, b)
	}
	if user == "root" && sshdSays("PermitRootLogin", texts...) != "yes" {
		return false
	}
	return sshdSays("PasswordAuthentication", texts...) == "yes"
}

func (r *running) passwords(user string) bool {
	a, err := r.ask(request{Op: "passwords", User: user})
	return err == nil && a.Err == ""
}

// checkLine has the guest's own PAM compare: hashes are of many kinds.
const checkLine = `c=$(command -v unix_chkpwd) || exit 120; "$c" "$u" nonull || exit 121; "$c" "$u" chkexpiry >/dev/null || exit 122`

func (r *running) checkPassword(user string, password []byte) error {
	if !r.passwords(user) {
		return fmt.Errorf("sshd_config lets %s in with a key only", user)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	in, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer to.Close()
	p, err := r.start(command{User: "root", Line: "u=" + quote.Sh(user) + "; " + checkLine, Stdin: in, Stdout: null, Stderr: null})
	in.Close()
	if err != nil {
		return err
	}
	// Shorter than a pipe; the end tells that there is no more.
	if _, err := to.Write(append(append([]byte(nil), password...), 0)); err != nil {
		return err
	}
	to.Close()
	<-p.done()
	switch code, sig := p.result(); {
	case sig == 0 && code == 0:
		return nil
	case sig == 0 && code == 120:
		return errors.New("the guest has no unix_chkpwd to check a password with; install PAM")
	case sig == 0 && code == 122:
		return errors.New("the password has expired; `chpasswd: {expire: false}` in user data keeps it")
	}
	return errors.New("the password is wrong")
}
