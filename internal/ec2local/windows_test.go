//go:build unix

package ec2local

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/winguest"
)

// openWindows is what the program hands in.
func openWindows(dir string, r guest.Release, addr string) (guest.WindowsMachine, error) {
	m, err := winguest.Open(dir, winguest.Spec{Release: winguest.ReleaseOf(r.Version), Addr: addr})
	return winguestMachine{m}, err
}

type winguestMachine struct{ *winguest.Machine }

func (m winguestMachine) Boot(b guest.WindowsBoot) error { return m.Machine.Boot(winguest.Boot(b)) }

// TestWindowsInstance takes a Windows instance from its launch to an image of it.
func TestWindowsInstance(t *testing.T) {
	b := newBench(t, func(o *Options) {
		h, err := guest.NewHost("process", filepath.Join(o.Dir, "guests"), openWindows)
		if err != nil {
			t.Fatal(err)
		}
		o.Guests = h
	})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String("k"), PublicKeyMaterial: ssh.MarshalAuthorizedKey(pub)}); err != nil {
		t.Fatal(err)
	}
	image := *b.source("Windows_Server-2022-English-Full-Base-*").ImageId
	launch := func(image string) string {
		return b.run(func(in *ec2.RunInstancesInput) {
			in.ImageId, in.InstanceType, in.KeyName = &image, types.InstanceTypeT3Medium, aws.String("k")
			in.UserData = aws.String(base64.StdEncoding.EncodeToString([]byte("<script>\r\nnetsh advfirewall firewall set rule name=\"Windows Remote Management (HTTP-In)\" new remoteip=any\r\necho made>C:\\made.txt\r\n</script>")))
		})
	}
	id := launch(image)
	i := b.until(id, "running")
	password := ""
	eventually(t, "the password", func() bool {
		p := must1[*ec2.GetPasswordDataOutput](t)(b.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: &id}))
		password = aws.ToString(p.PasswordData)
		return password != ""
	})
	sealed, err := base64.StdEncoding.DecodeString(password)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 it is what GetPasswordData is defined to answer with
	if plain, err := rsa.DecryptPKCS1v15(nil, key, sealed); err != nil || len(plain) != 32 {
		t.Errorf("a password of %d characters, %v", len(plain), err)
	}
	console := func() string {
		o := must1[*ec2.GetConsoleOutputOutput](t)(b.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: &id, Latest: aws.Bool(true)}))
		text, _ := base64.StdEncoding.DecodeString(aws.ToString(o.Output))
		return string(text)
	}
	eventually(t, "user data", func() bool { return strings.Contains(console(), "user data: done") })
	if text := console(); !strings.Contains(text, "Windows is Ready to use") || !strings.Contains(text, "<Password>"+password+"</Password>") || !strings.Contains(text, "Windows Server 2022") {
		t.Errorf("console:\n%s", text)
	}
	reach := func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort(*i.PublicIpAddress, winrmPort(i)))
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	eventually(t, "WinRM", reach)
	if _, err := b.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reboot", func() bool { return strings.Count(console(), "Ready to use") == 2 })
	eventually(t, "WinRM again", reach)
	if _, err := b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	b.until(id, "stopped")
	if reach() {
		t.Error("WinRM answers on a stopped instance")
	}
	made, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("mine")})
	if err != nil {
		t.Fatal(err)
	}
	b.imageUntil(*made.ImageId, "available")
	if _, err := b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	var tar bytes.Buffer
	if err := b.server.Export(&tar, *made.ImageId); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(tar.Bytes(), []byte("made.txt")) {
		t.Error("the image lacks what user data made")
	}
	id = launch(*made.ImageId)
	i = b.until(id, "running")
	if i.Platform != "windows" {
		t.Errorf("platform %q", i.Platform)
	}
	eventually(t, "the image's machine", func() bool { return strings.Contains(console(), "user data is not run") })
	eventually(t, "WinRM of the image's machine", reach)
	if p := must1[*ec2.GetPasswordDataOutput](t)(b.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: &id})); aws.ToString(p.PasswordData) != "" {
		t.Error("an instance of an image made here has a password of its own")
	}
}

func winrmPort(i types.Instance) string {
	for _, g := range i.Tags {
		if *g.Key == "ec2local:winrm-port" {
			return *g.Value
		}
	}
	return "5985"
}
