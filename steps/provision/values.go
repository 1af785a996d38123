package provision

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps/comm"
)

// values are what options may ask for when the machine stands.
type values struct {
	t   *dag.Task
	m   comm.Machine
	dir string // where the run works: names of files are short from there
}

// The words of commands that are not the user's own.
var (
	scriptPath = dag.Word("{{.Path}}")
	envVars    = dag.Word("{{.Vars}}")
	envVarFile = dag.Word("{{.EnvVarFile}}")
)

// render puts the values into the text of an option. Data are the fields that
// only this option has.
func (v values) render(option string, text dag.Text, data map[string]any) (string, error) {
	s, err := v.t.Fill(text, func(action string) (string, error) { return v.word(action, data) })
	if err != nil {
		return "", fmt.Errorf("cannot evaluate %s: %w", option, err)
	}
	return s, nil
}

// word is what an action of a template comes to. A field that data do not have is
// a value of the build: templates of old write {{ .WinRMPassword }}.
func (v values) word(action string, data map[string]any) (string, error) {
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
		if fields[w.Field], err = v.build(w.Field); err != nil {
			return "", err
		}
	}
	return interp.Late(action, fields, v.build)
}

// secretValues are got only when they are asked for.
var secretValues = []string{"Password", "SSHPrivateKey", "SSHPublicKey", "WinRMPassword"}

// build returns the value of {{ build `name` }}.
func (v values) build(name string) (string, error) {
	switch name {
	case "Password", "WinRMPassword":
		if pathsOf(v.m).windows() {
			return v.t.Reveal(v.m.WinRM.Password)
		}
		return v.t.Reveal(v.m.SSH.Password)
	case "SSHPrivateKey":
		return v.privateKey()
	case "SSHPublicKey":
		return v.publicKey()
	}
	user := v.m.SSH.Username
	if pathsOf(v.m).windows() {
		user = v.m.WinRM.Username
	}
	known := map[string]string{
		// Packer serves files by HTTP for some builders, and says this for others.
		"PackerHTTPAddr": "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER",
		"PackerHTTPIP":   "ERR_HTTP_IP_NOT_IMPLEMENTED_BY_BUILDER",
		"PackerHTTPPort": "ERR_HTTP_PORT_NOT_IMPLEMENTED_BY_BUILDER",
	}
	maps.Copy(known, v.m.Vars)
	// Where and how it was reached, which the builder could not know.
	maps.Copy(known, map[string]string{
		"Host":              v.m.Host,
		"Port":              strconv.Itoa(v.m.Port),
		"User":              user,
		"ConnType":          v.m.Protocol,
		"PackerRunUUID":     v.t.Run,
		"SSHPrivateKeyFile": v.m.SSH.PrivateKeyFile,
		"SSHAgentAuth":      strconv.FormatBool(v.m.SSH.AgentAuth),
	})
	if s, ok := known[name]; ok {
		return s, nil
	}
	names := append(slices.Collect(maps.Keys(known)), secretValues...)
	if near := interp.Nearest(name, names); near != "" {
		return "", fmt.Errorf("there is no build value %q; did you mean %q?", name, near)
	}
	slices.Sort(names)
	return "", fmt.Errorf("there is no build value %q; there are %s", name, strings.Join(names, ", "))
}

// privateKey is the key that the machine is entered with; "" if that is another
// way. A generated one is the run's secret of that name.
func (v values) privateKey() (string, error) {
	switch {
	case v.m.SSH.KeyName != "":
		return v.t.Reveal(dag.Secret(dag.Mark(v.m.SSH.KeyName)))
	case v.m.SSH.PrivateKeyFile != "":
		p, err := localfile.Read(v.m.SSH.PrivateKeyFile, 1<<20)
		return string(p), err
	}
	return "", nil
}

func (v values) publicKey() (string, error) {
	pem, err := v.privateKey()
	if err != nil || pem == "" {
		return "", err
	}
	s, err := ssh.ParsePrivateKey([]byte(pem))
	if err != nil {
		return "", fmt.Errorf("the private key cannot be read: %w", err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey()))), nil
}

// shown is the path of a local file as a user would type it in a directory.
func shown(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if dir == "" || err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return path
	}
	if strings.HasSuffix(path, "/") {
		rel += "/"
	}
	return rel
}
