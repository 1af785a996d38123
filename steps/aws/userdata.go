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
	"github.com/imgflow/imgflow/steps/comm"
)

// lifetime is the age at which the instance ends itself, 0 for never.
func (s Launch) lifetime(c *Cloud) time.Duration {
	if s.MaxLifetime > 0 {
		return s.MaxLifetime
	}
	return c.o.MaxLifetime
}

// userData is the template's own text, or else what tells the machine which host
// key to show, with the end of its life added where it has one.
func (s Launch) userData(c *Cloud, t *dag.Task, source SourceImage) (string, error) {
	data := s.UserData
	if f := s.UserDataFile; f.Path != "" {
		now, err := dag.NewFile(f.Path)
		if err != nil {
			return "", fmt.Errorf("cannot use user_data_file: %w", err)
		}
		if f.Digest != "" && now.Digest != f.Digest {
			return "", fmt.Errorf("cannot use user_data_file: %s has changed since this run was planned", f.Path)
		}
		p, err := os.ReadFile(f.Path)
		if err != nil {
			return "", fmt.Errorf("cannot use user_data_file: %w", err)
		}
		data = string(p)
	}
	// A text that is base64 already is taken for what it encodes.
	if p, err := base64.StdEncoding.DecodeString(data); err == nil && data != "" {
		data = string(p)
	}
	life := s.lifetime(c)
	if life > 0 && source.Platform != "" {
		return "", errors.New("cannot use max_lifetime: the end of an instance is told to it by user data for cloud-init or a shell, and this one runs Windows; leave max_lifetime out")
	}
	end := time.Now().Add(-t.Age()).Add(life).Truncate(time.Minute).Add(time.Minute) // the same in a repeated call
	switch {
	case data == "" && source.cloudInit():
		return s.cloudConfig(c, life, end)
	case data == "" && life > 0:
		data = "#!/bin/sh\n" + timer(end) + "\n"
	case life > 0 && strings.HasPrefix(data, "#!"):
		data = "#!/bin/sh\n" + timer(end) + "\n" + handOver(data)
	case life > 0:
		return "", errors.New("cannot use max_lifetime: it needs user_data that is a script (#!), or none")
	}
	return data, nil
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
