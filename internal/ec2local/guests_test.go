package ec2local

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// lacking ends a test for want of a tool: CI must have all of them.
func lacking(t *testing.T, format string, a ...any) {
	t.Helper()
	msg := "NOT TESTED: " + fmt.Sprintf(format, a...)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

func tool(t *testing.T, names ...string) string {
	t.Helper()
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	lacking(t, "%s is not installed", names[0])
	return ""
}

// realGuests gives a bench sandbox guests instead of fake ones.
func realGuests(t *testing.T) func(*Options) {
	t.Helper()
	return func(o *Options) {
		o.Guests = sandbox(t, o.Dir)
	}
}

func sandbox(t *testing.T, dir string) guest.Host {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: sandbox guests need Linux")
	}
	dir = filepath.Join(dir, "guests")
	if err := guest.Probe(dir); err != nil {
		lacking(t, "%v", err)
	}
	h, err := guest.NewHost("sandbox", dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// clientEnv is the environment of a command-line client: nothing of the user's.
func clientEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8",
		"AWS_ACCESS_KEY_ID=" + keyOfTests.ID, "AWS_SECRET_ACCESS_KEY=" + keyOfTests.Secret, "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=",
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// sshTo runs a command on an instance with OpenSSH.
func sshTo(t *testing.T, b *bench, id, key, user, command string) (string, error) {
	t.Helper()
	i := b.until(id, "running")
	port := "22"
	for _, g := range i.Tags {
		if *g.Key == "ec2local:ssh-port" {
			port = *g.Value
		}
	}
	cmd := exec.Command(tool(t, "ssh"), "-p", port, "-i", key, "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		user+"@"+*i.PublicIpAddress, command)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func sshKey(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command(tool(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// TestGuests makes an image of a machine that was changed over SSH, and finds
// the change on a machine of that image.
func TestGuests(t *testing.T) {
	b := newBench(t, realGuests(t))
	key := sshKey(t)
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String("k"), PublicKeyMaterial: pub}); err != nil {
		t.Fatal(err)
	}
	first := b.run(func(in *ec2.RunInstancesInput) { in.KeyName = aws.String("k") })
	if out, err := sshTo(t, b, first, key, "ubuntu", `. /etc/os-release; echo "$USER $VERSION_ID"; echo kept >state`); err != nil || out != "ubuntu 16.04\n" {
		t.Fatalf("%q, %v", out, err)
	}
	made := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &first, Name: aws.String("kept")}))
	b.imageUntil(*made.ImageId, "available")
	eventually(t, "the instance is back after its image was made", func() bool {
		out, err := sshTo(t, b, first, key, "ubuntu", "cat state")
		return err == nil && out == "kept\n"
	})
	second := b.run(func(in *ec2.RunInstancesInput) { in.KeyName, in.ImageId = aws.String("k"), made.ImageId })
	if out, err := sshTo(t, b, second, key, "ubuntu", "cat state; sudo poweroff"); !strings.HasPrefix(out, "kept\n") {
		t.Errorf("the second instance holds %q, %v", out, err)
	}
	b.until(second, "stopped")
	console, err := b.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: &second})
	if err != nil || aws.ToString(console.Output) == "" {
		t.Errorf("console: %+v, %v", console, err)
	}
}

// serveVariable makes this test program a server of the directory it names.
const serveVariable = "EC2LOCAL_TEST_SERVE"

// serveForTest is that server: it says where it listens and runs until killed,
// or until the test that started it is gone.
func serveForTest(dir string) error {
	host, err := guest.NewHost("sandbox", filepath.Join(dir, "guests"), nil)
	if err != nil {
		return err
	}
	s, err := New(Options{Dir: dir, Key: keyOfTests, Guests: host, Latency: "aws/200", Log: os.Stderr})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, s)
}
