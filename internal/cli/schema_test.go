package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/imgflow/imgflow/internal/optiondoc"
	"github.com/imgflow/imgflow/template/schema"
)

// templateSchema is what `imgflow schema` prints, as a validator of JSON.
func templateSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	var b bytes.Buffer
	cmds := newCommands()
	cmds.Writer = &b
	if err := cmds.Run([]string{"imgflow", "schema"}); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("template.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("template.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func bySchema(t *testing.T, s *jsonschema.Schema, src string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(src))
	if err != nil {
		t.Fatalf("%v: %s", err, src)
	}
	return s.Validate(v)
}

// Every template of the examples and the tests that imgflow takes is taken by the schema.
func TestSchemaTakesWhatIsValid(t *testing.T) {
	s := templateSchema(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	archives, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			path := filepath.Join(dir, filepath.Base(name), f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.Data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Forms that none of them has.
	const forms = `{"variables": {"n": 8, "yes": true, "none": ""}, "builders": [{"type": "amazon-ebs", "region": "us-east-1", "ami_name": "forms", "source_ami": "ami-0123456789abcdef0", "instance_type": "t3.micro",
"ssh_username": "u", "ssh_timeout": "1h5m", "ena_support": "TRUE", "force_deregister": 1, "ami_regions": "us-west-2,eu-west-1", "tags": {"n": 8}}]}`
	if err := os.WriteFile(filepath.Join(dir, "forms.json"), []byte(forms), 0o666); err != nil {
		t.Fatal(err)
	}
	if errs := faultsOf(t, forms); len(errs) > 0 {
		t.Fatal(errs)
	}
	t.Setenv("AWS_REGION", "us-east-1")
	valid := 0
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".pkr.json") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(src, []byte(`"builders"`)) {
			return err
		}
		session := sessionOf(nil, path)
		defer session.Close()
		if session.Load(t.Context(), false) != nil {
			return nil
		}
		valid++
		if err := bySchema(t, s, string(src)); err != nil {
			t.Errorf("%s is valid, and the schema says: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if valid < 30 {
		t.Errorf("only %d templates were found", valid)
	}
}

// What the schema refuses in templates of real builders and provisioners.
func TestSchemaRefuses(t *testing.T) {
	s := templateSchema(t)
	const whole = `{"_why": "a comment", "variables": {"size": "8"}, "builders": [{"type": "amazon-ebs", "ami_name": "a", "source_ami": "ami-1", "instance_type": "t3.micro", "ssh_username": "u", "ssh_timeout": "5m",
"ena_support": "{{user ` + "`yes`" + `}}", "tags": {"Name": 1}, "launch_block_device_mappings": [{"device_name": "/dev/xvda", "volume_size": "{{user ` + "`size`" + `}}"}], "source_ami_filter": {"owners": "self", "most_recent": "true"}, "ssh_bastion_interactive": "false"}],
"provisioners": [{"type": "shell", "inline": "true", "valid_exit_codes": [0, "1"], "max_retries": 2, "override": {"amazon-ebs": {"inline": ["false"]}}}, {"type": "file", "source": "a", "destination": "/tmp/a"}, {"type": "shell-local", "inline": "true", "use_linux_pathing": "false"}],
"post-processors": ["manifest", ["checksum"]]}`
	if err := bySchema(t, s, whole); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"_why"`, `"why"`}, {`"amazon-ebs", "ami_name"`, `"amazon-esb", "ami_name"`}, {`"ami_name"`, `"ami_nam"`}, {`"volume_size"`, `"volume_sise"`}, {`"most_recent"`, `"recent"`}, {`"inline": ["false"]`, `"inlin": ["false"]`},
		{`"type": "shell"`, `"type": "shel"`}, {`"manifest"`, `"manifesto"`}, {`"5m"`, `300`}, {`"5m"`, `"5 minutes"`}, {`"t3.micro"`, `["t3.micro"]`}, {`"max_retries": 2`, `"max_retries": "twice"`},
		{`"tags": {"Name": 1}`, `"tags": "Name"`}, {`"true"}`, `"maybe"}`}, {`"destination": "/tmp/a"`, `"direction": "upload"`}, {`"ssh_bastion_interactive": "false"`, `"ssh_bastion_interactive": "maybe"`}, {`"use_linux_pathing": "false"`, `"use_linux_pathing": "true"`}, {`[0, "1"]`, `[0, "one"]`}, {`"ssh_timeout"`, `"ssh_wait_timeout"`},
	} {
		broken := strings.Replace(whole, change[0], change[1], 1)
		if broken == whole {
			t.Fatalf("there is no %s", change[0])
		}
		if bySchema(t, s, broken) == nil {
			t.Errorf("%s is taken for %s", change[1], change[0])
		}
		if len(faultsOf(t, broken)) == 0 {
			t.Errorf("imgflow takes %s for %s", change[1], change[0])
		}
	}
}

// An editor shows what an option does.
func TestSchemaTells(t *testing.T) {
	doc := schema.Of(catalog(), optiondoc.Embedded())
	for _, path := range []string{"builder.amazon-ebs/instance_type", "builder.amazon-ebs/ssh_timeout", "provisioner.shell/inline", "provisioner.sleep/pause_before"} {
		def, option, _ := strings.Cut(path, "/")
		properties := doc["$defs"].(map[string]any)[def].(map[string]any)["properties"].(map[string]any)
		if what, _ := properties[option].(map[string]any)["description"].(string); len(strings.Fields(what)) < 4 {
			t.Errorf("%s: %q", path, what)
		}
	}
}
