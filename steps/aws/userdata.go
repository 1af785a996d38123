package aws

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// The end of an instance that everybody forgot.
//
// With max_lifetime (or CloudOptions.MaxLifetime) an instance is told at launch
// to terminate when it is shut down from inside, and user data starts a process
// on it that shuts it down at that age. A stop by EC2 and a reboot are not
// shutdowns in this sense. On images that are known to run cloud-init the timer
// starts again at every boot; a user's own script as user data is run after it;
// other user data is refused together with max_lifetime. Nothing of it is stored
// on the machine, so the image is without it.

// lifetime is the age at which the instance ends itself, 0 for never.
func (m MachineOptions) lifetime(c *Cloud) time.Duration {
	if m.MaxLifetime > 0 || c == nil {
		return m.MaxLifetime
	}
	return c.o.MaxLifetime
}

// userData is the template's own text, or else what tells the machine which host
// key to show, with the end of its life added where it has one.
func (s Launch) userData(c *Cloud, t *dag.Task, source SourceImage) (string, error) {
	if f := s.UserDataFile; f.Path != "" {
		now, err := steps.NewFile(f.Path)
		if err != nil {
			return "", fmt.Errorf("cannot use user_data_file: %w", err)
		}
		if f.Digest != "" && now.Digest != f.Digest {
			return "", fmt.Errorf("cannot use user_data_file: %s has changed since this run was planned", f.Path)
		}
	}
	data, err := s.ownUserData()
	if err != nil {
		return "", fmt.Errorf("cannot use user_data_file: %w", err)
	}
	life := s.lifetime(c)
	if life > 0 && source.Platform != "" {
		return "", errors.New("cannot use max_lifetime: the end of an instance is told to it by user data for cloud-init or a shell, and this one runs Windows; leave max_lifetime out")
	}
	end := time.Now().Add(-t.Age()).Add(life).Truncate(time.Minute).Add(time.Minute) // the same in a repeated call
	if data == "" && source.cloudInit() {
		return s.cloudConfig(c, life, end)
	}
	if data, err = ending(data, life, end); err != nil {
		return "", err
	}
	if why := wrongUserData(len(data)); why != "" { // such as a sensitive text, which nobody could measure before
		return "", fmt.Errorf("cannot use user_data: %s", why)
	}
	return data, nil
}

// ownUserData is the template's own text. One that is base64 already is taken for
// what it encodes.
func (m MachineOptions) ownUserData() (string, error) {
	data := m.UserData
	if m.UserDataFile.Path != "" {
		p, err := localfile.Read(m.UserDataFile.Path, 1<<20)
		if err != nil {
			return "", err
		}
		data = string(p)
	}
	if p, err := base64.StdEncoding.DecodeString(data); err == nil && data != "" {
		data = string(p)
	}
	return data, nil
}

// ending is user data with the end of the instance's life added, if it has one.
func ending(data string, life time.Duration, end time.Time) (string, error) {
	switch {
	case life <= 0:
		return data, nil
	case data == "":
		return "#!/bin/sh\n" + timer(end) + "\n", nil
	case strings.HasPrefix(data, "#!"):
		return "#!/bin/sh\n" + timer(end) + "\n" + handOver(data), nil
	}
	return "", errors.New("cannot use max_lifetime: it needs user_data that is a script (#!), or none")
}

// checkUserData measures what the launch will send, with what is added to it.
func (b *EBS) checkUserData(f *optionErrors) {
	field := "user_data"
	if b.UserDataFile.Path != "" {
		field = "user_data_file"
		if info, err := os.Stat(b.UserDataFile.Path); err != nil || !info.Mode().IsRegular() {
			f.Add(field, "is not a file")
			return
		} else if info.Size() > maxUserData*2 { // too long even if it is base64
			f.wrong(field, wrongUserData(int(info.Size())))
			return
		}
	}
	if strings.Contains(b.UserData, dag.MarkOpen) {
		return
	}
	data, err := b.ownUserData()
	if err != nil {
		f.Add(field, "%v", err)
		return
	}
	full, err := ending(data, b.lifetime(b.cloud), time.Now())
	switch why := wrongUserData(len(full)); {
	case err != nil && b.MaxLifetime > 0:
		f.Add("max_lifetime", "needs user_data that is a script (#!), or none")
	case err != nil:
		f.Add(field, "must be a script (#!) for --max-lifetime to add the end to it")
	case why != "" && len(data) <= maxUserData:
		f.Add(field, "%s, %d of them for max_lifetime", why, len(full)-len(data))
	default:
		f.wrong(field, why)
	}
}

// timer starts a process of the machine that shuts it down at the given time. It
// is nothing but a process: the image does not hold it. A reboot ends it; cloud
// images start it again at every boot.
func timer(end time.Time) string {
	return fmt.Sprintf(`(trap '' HUP; while [ "$(date +%%s)" -lt %d ]; do sleep 20; done; shutdown -h now || poweroff) >/dev/null 2>&1 </dev/null &`, end.Unix())
}

// handOver runs a user's own script as the machine would have run it.
func handOver(script string) string {
	return "f=$(mktemp /var/lib/user-data.XXXXXX 2>/dev/null || mktemp) || exit 1\nbase64 -d >\"$f\" <<'END' || exit 1\n" +
		base64.StdEncoding.EncodeToString([]byte(script)) + "\nEND\nchmod 700 \"$f\"\n\"$f\"\nx=$?\nrm -f \"$f\"\nexit $x\n"
}

// cloudConfig is user data of our own for images that take it. YAML takes JSON,
// which needs no care for indentation.
func (s Launch) cloudConfig(c *Cloud, life time.Duration, end time.Time) (string, error) {
	doc := map[string]any{}
	if s.HostKey.Set() {
		k := s.HostKey.Value()
		if c.o.Vault == nil {
			return "", errors.New("cannot give the machine its host key: this run keeps no secrets")
		}
		private, err := c.o.Vault.Get(k.Secret)
		if err != nil {
			return "", fmt.Errorf("cannot give the machine its host key: %w", err)
		}
		doc["ssh_keys"] = map[string]string{"ed25519_private": string(private), "ed25519_public": k.Public}
	}
	if life > 0 {
		run := [][]string{{"sh", "-c", timer(end)}}
		doc["bootcmd"] = run // at every boot
		doc["runcmd"] = run  // where only this one is known; two timers are no worse than one
	}
	if len(doc) == 0 {
		return "", nil
	}
	p, err := json.MarshalIndent(doc, "", "  ")
	return "#cloud-config\n" + string(p) + "\n", err
}

// hostKeys are what an instance must show that was launched with this key, from
// this image, and without user data of the user's own.
func hostKeys(source SourceImage, key dag.Out[comm.Key]) []string {
	if !key.Set() || !source.cloudInit() {
		return nil
	}
	return []string{key.Value().Public}
}
