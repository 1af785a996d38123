package provision

import (
	"os"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

func TestPuppetServer(t *testing.T) {
	staging := t.TempDir() + "/puppet"
	s := PuppetServer{
		Puppet:       Puppet{PreventSudo: true, StagingDirectory: dag.Text(staging), PuppetBinDir: dag.Text(standIn(t, "puppet", puppetSays+`; ls `+staging+`/private_keys`))},
		PuppetServer: "master.example.org", PuppetNode: parsed("node-{{ build `ID` }}"),
		ClientCert: directory(t, map[string]string{"node.pem": "cert"}), ClientKey: directory(t, map[string]string{"node.pem": "key"}),
		ExtraArguments: []dag.Text{"--test --pluginsync"},
	}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink, err := doHere(t, s.run)
	want := strings.ReplaceAll(`in STAGING
[agent]
[--onetime]
[--no-daemonize]
[--detailed-exitcodes]
[--server=master.example.org]
[--certname=node-i-0abc]
[--certdir=STAGING/certs]
[--privatekeydir=STAGING/private_keys]
[--test]
[--pluginsync]
FACTER_packer_build_name=
FACTER_packer_builder_type=
`, "STAGING", staging)
	if err != nil || sink.printed() != want {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	if text(t, staging+"/certs/node.pem") != "cert" {
		t.Error("no certificate")
	}
	if _, err := os.Stat(staging + "/private_keys"); err == nil {
		t.Error("the key is left for the image")
	}

	// Without anything to upload, and by the older name of the arguments.
	s = PuppetServer{Puppet: s.Puppet, Options: "--noop"}
	s.StagingDirectory = dag.Text(t.TempDir() + "/none")
	if sink, err = doHere(t, s.run); err != nil || !strings.Contains(sink.printed(), "[--detailed-exitcodes]\n[--noop]\n") {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	s.ExtraArguments = []dag.Text{"--test"}
	if got := fields(s.Check()); got != "options" {
		t.Errorf("option errors of %q", got)
	}
	missing := &PuppetServer{ClientCertPath: staging + "/nowhere", ClientPrivateKeyPath: staging + "/nowhere"}
	if got := located(t, missing); got != "client_cert_path, client_private_key_path" {
		t.Errorf("of files: %q", got)
	}
}
