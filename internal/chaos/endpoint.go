package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"

	"github.com/imgflow/imgflow/steps/aws"
)

// region is where the builds of chaos take place.
const region = "us-east-1"

// key signs the calls of chaos; its endpoints live for minutes.
var key = awssdk.Credentials{AccessKeyID: "chaos", SecretAccessKey: "chaos-secret"}

// logName is where an endpoint writes a line for each call and change of state.
const logName = "endpoint.log"

// endpoint is an embedded EC2 as a process of its own.
type endpoint struct {
	url, dir string
	cmd      *exec.Cmd
	ended    chan struct{}
	lease    io.Closer
}

// serve starts an embedded EC2 with its state in dir. It ends when it is closed,
// or some time after this process has.
func serve(imgflow, dir string, args ...string) (*endpoint, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, logName))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args = append([]string{"ec2local", "--listen", "127.0.0.1:0", "--while-leased", "--linger", "1m", "--dir", dir,
		"--access-key", key.AccessKeyID, "--secret-key", key.SecretAccessKey}, args...)
	e := &endpoint{dir: dir, cmd: exec.Command(imgflow, args...), ended: make(chan struct{})}
	e.cmd.Stdout, e.cmd.Stderr, e.cmd.Dir = log, log, dir
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the embedded EC2: %w", err)
	}
	go func() { e.cmd.Wait(); close(e.ended) }()
	if err := e.reach(); err != nil {
		e.close()
		printed, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("cannot start the embedded EC2: %w\n%s", err, printed)
	}
	return e, nil
}

// reach waits until the server says where it answers, and takes a lease of it.
func (e *endpoint) reach() error {
	for start := time.Now(); ; {
		var at struct{ Addr string }
		p, err := os.ReadFile(filepath.Join(e.dir, "server.json"))
		if err == nil {
			err = json.Unmarshal(p, &at)
		}
		if err == nil {
			e.url = "http://" + at.Addr
			res, err := e.ask("lease")
			if err == nil && res.StatusCode == http.StatusOK {
				e.lease = res.Body
				return nil
			}
			if err == nil {
				res.Body.Close()
			}
		}
		select {
		case <-e.ended:
			return errors.New("it ended at once")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(start) > time.Minute {
			return errors.New("it does not say where it answers")
		}
	}
}

// ask asks the server of itself.
func (e *endpoint) ask(what string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, e.url+"/_ec2local/"+what, nil)
	if err != nil {
		return nil, err
	}
	empty := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(req.Context(), key, req, hex.EncodeToString(empty[:]), "ec2", region, time.Now()); err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// close stops the server, and its guests with it.
func (e *endpoint) close() {
	if e.lease != nil {
		e.lease.Close()
	}
	e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.ended:
	case <-time.After(10 * time.Second):
		e.cmd.Process.Kill()
		<-e.ended
	}
}

// client is a real client of the endpoint in a region, more patient than most: it also waits
// for what cannot be seen yet.
func (e *endpoint) client(region string) *ec2.Client {
	return ec2.New(ec2.Options{
		Region: region, BaseEndpoint: &e.url, APIOptions: []func(*middleware.Stack) error{aws.SafeBodies},
		Credentials: awssdk.CredentialsProvider(credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 60, time.Second, unlimited{}
			o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"InvalidInstanceID.NotFound": {}}})
		}),
	})
}

// unlimited lets every retry pass.
type unlimited struct{}

func (unlimited) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (unlimited) AddTokens(uint) error { return nil }

// terminate ends an instance as a person at the console would.
func (e *endpoint) terminate(ctx context.Context, id string) error {
	_, err := e.client(region).TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	return err
}

// reboot reboots an instance behind the build's back.
func (e *endpoint) reboot(ctx context.Context, id string) error {
	_, err := e.client(region).RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: []string{id}})
	return err
}
