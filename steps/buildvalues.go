package steps

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps/comm"
)

// BuildValues are what options may ask for of a machine that stands, or has stood.
type BuildValues struct {
	Task    *dag.Task
	Machine comm.Machine
}

// Render puts the values into the text of an option. Data are the fields that
// only this option has.
func (v BuildValues) Render(option string, text dag.Text, data map[string]any) (string, error) {
	s, err := v.Task.Fill(text, func(action string) (string, error) { return v.Word(action, data) })
	if err != nil {
		return "", fmt.Errorf("cannot evaluate %s: %w", option, err)
	}
	return s, nil
}

// Word is what an action of a template comes to. A field that data do not have is
// a value of the build: templates of old write {{ .WinRMPassword }}.
func (v BuildValues) Word(action string, data map[string]any) (string, error) {
	waits, err := interp.Waits(action)
	if err != nil {
		return "", err
	}
	fields := map[string]any{}
	maps.Copy(fields, data)
	for _, w := range waits {
		if _, given := fields[w.Field]; given || w.Field == "" || w.Field == "." {
			continue
		}
		if fields[w.Field], err = v.Value(w.Field); err != nil {
			return "", err
		}
	}
	return interp.Late(action, fields, v.Value)
}

// SecretValues are got only when they are asked for.
var SecretValues = []string{"Password", "SSHPrivateKey", "SSHPublicKey", "WinRMPassword"}

// Value returns the value of {{ build `name` }}.
func (v BuildValues) Value(name string) (string, error) {
	switch name {
	case "Password", "WinRMPassword":
		if v.Machine.Protocol == "winrm" {
			return v.Task.Reveal(v.Machine.WinRM.Password)
		}
		return v.Task.Reveal(v.Machine.SSH.Password)
	case "SSHPrivateKey":
		return v.PrivateKey()
	case "SSHPublicKey":
		return v.publicKey()
	}
	user := v.Machine.SSH.Username
	if v.Machine.Protocol == "winrm" {
		user = v.Machine.WinRM.Username
	}
	known := map[string]string{
		// Packer serves files by HTTP for some builders, and says this for others.
		"PackerHTTPAddr": "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER",
		"PackerHTTPIP":   "ERR_HTTP_IP_NOT_IMPLEMENTED_BY_BUILDER",
		"PackerHTTPPort": "ERR_HTTP_PORT_NOT_IMPLEMENTED_BY_BUILDER",
	}
	maps.Copy(known, v.Machine.Vars)
	// Where and how it was reached, which the builder could not know.
	maps.Copy(known, map[string]string{
		"Host":              v.Machine.Host,
		"Port":              strconv.Itoa(v.Machine.Port),
		"User":              user,
		"ConnType":          v.Machine.Protocol,
		"PackerRunUUID":     v.Task.Run,
		"SSHPrivateKeyFile": v.Machine.SSH.PrivateKeyFile,
		"SSHAgentAuth":      strconv.FormatBool(v.Machine.SSH.AgentAuth),
	})
	if s, ok := known[name]; ok {
		return s, nil
	}
	names := append(slices.Collect(maps.Keys(known)), SecretValues...)
	if near := interp.Nearest(name, names); near != "" {
		return "", fmt.Errorf("there is no build value %q; did you mean %q?", name, near)
	}
	slices.Sort(names)
	return "", fmt.Errorf("there is no build value %q; there are %s", name, strings.Join(names, ", "))
}

// PrivateKey is the key that the machine is entered with; "" if that is another
// way. A generated one is the run's secret of that name.
func (v BuildValues) PrivateKey() (string, error) {
	switch {
	case v.Machine.SSH.KeyName != "":
		return v.Task.Reveal(dag.Secret(dag.Mark(v.Machine.SSH.KeyName)))
	case v.Machine.SSH.PrivateKeyFile != "":
		p, err := localfile.Read(v.Machine.SSH.PrivateKeyFile, 1<<20)
		return string(p), err
	}
	return "", nil
}

func (v BuildValues) publicKey() (string, error) {
	pem, err := v.PrivateKey()
	if err != nil || pem == "" {
		return "", err
	}
	s, err := ssh.ParsePrivateKey([]byte(pem))
	if err != nil {
		return "", fmt.Errorf("the private key cannot be read: %w", err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey()))), nil
}
