package ec2local

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"
)

// TestRestart ends the server in the middle of everything; the next one goes on.
func TestRestart(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Latency = "aws/100" })
	up, off, going := b.run(), b.run(), b.run()
	for _, id := range []string{up, off, going} {
		b.until(id, "running")
	}
	must1[*ec2.StopInstancesOutput](t)(b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{off}}))
	b.until(off, "stopped")
	made := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &off, Name: aws.String("image")}))
	must1[*ec2.TerminateInstancesOutput](t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{going}}))
	young := b.run()
	b.stop()
	if b.host.get(up).isRunning() {
		t.Error("a guest outlived its server")
	}
	if _, err := New(Options{Dir: b.opts.Dir, Key: keyOfTests, Guests: b.host, Latency: "never"}); err == nil {
		t.Error("the latency never was taken")
	}
	b.start()
	if _, err := New(Options{Dir: b.opts.Dir, AnyKey: true}); err == nil || !strings.Contains(err.Error(), "another endpoint serves this directory") {
		t.Errorf("a second server: %v", err)
	}
	b.until(young, "running")
	b.until(going, "terminated")
	b.imageUntil(*made.ImageId, "available")
	eventually(t, "the guest booted again", b.host.get(up).isRunning)
	if i := b.instance(off); i.State.Name != "stopped" || b.host.get(off).isRunning() {
		t.Errorf("the stopped instance is %s", i.State.Name)
	}
	if b.instance(up).State.Name != "running" {
		t.Errorf("the running instance is %s", b.instance(up).State.Name)
	}
}

// A victim is a server of its own process, to be killed.
type victim struct {
	cmd *exec.Cmd
	*ec2.Client
}

func startVictim(t *testing.T, dir string) *victim {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveVariable+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		cmd.Stderr = t.Output()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{cmd: cmd}
	t.Cleanup(func() { stdin.Close(); v.kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	v.Client = ec2.New(ec2.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(strings.TrimSpace(line)),
		Credentials: credentialsOf(keyOfTests), APIOptions: []func(*middleware.Stack) error{readOnly},
	})
	return v
}

func (v *victim) kill() {
	v.cmd.Process.Kill()
	v.cmd.Wait()
}

// TestKill kills the server again and again while it is used. Every call whose
// answer came must have had its effect; a client token makes one instance, however
// often it is used.
func TestKill(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: a server that is killed: its guests need Linux")
	}
	dir := t.TempDir()
	sandbox(t, dir).Close()
	type fact struct{ kind, id string }
	var known []fact
	tokens := map[string]string{}
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		v := startVictim(t, dir)
		b := &bench{t: t, Client: v.Client}
		for _, f := range known {
			var err error
			switch f.kind {
			case "group":
				_, err = b.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{f.id}})
			case "instance":
				_, err = b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{f.id}})
			case "image":
				_, err = b.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{f.id}})
			}
			if err != nil {
				t.Fatalf("round %d: the %s is lost: %v", round, f.kind, err)
			}
		}
		image := b.source(xenial).ImageId
		time.AfterFunc(time.Duration(150+70*round)*time.Millisecond, func() { v.cmd.Process.Kill() })
		for n := 0; ; n++ {
			g, err := b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String(fmt.Sprintf("g-%d-%d", round, n)), Description: aws.String("d")}, once)
			if err != nil {
				break
			}
			known = append(known, fact{"group", *g.GroupId})
			if n%20 > 0 {
				continue
			}
			token := fmt.Sprintf("token-%d", round%3)
			run, err := b.RunInstances(ctx, &ec2.RunInstancesInput{
				ImageId: image, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ClientToken: &token,
			}, once)
			if err != nil {
				break
			}
			id := *run.Instances[0].InstanceId
			if had := tokens[token]; had != "" && had != id {
				t.Fatalf("the token %s made %s and %s", token, had, id)
			}
			tokens[token] = id
			known = append(known, fact{"instance", id})
			m, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String(fmt.Sprintf("image-%d-%d", round, n)), NoReboot: aws.Bool(n%40 > 0)}, once)
			if err == nil {
				known = append(known, fact{"image", *m.ImageId})
			}
		}
		v.cmd.Wait()
	}
	// The last server settles everything.
	v := startVictim(t, dir)
	b := &bench{t: t, Client: v.Client}
	for _, f := range known {
		switch f.kind {
		case "instance":
			b.until(f.id, "running")
		case "image":
			b.imageUntil(f.id, types.ImageStateAvailable)
		}
	}
	if len(tokens) == 0 {
		t.Error("no instance was ever made")
	}
	var ids []string
	for _, id := range tokens {
		ids = append(ids, id)
	}
	b.terminate(ids...)
}

// once makes a call without retrying.
func once(o *ec2.Options) { o.RetryMaxAttempts = 1 }
