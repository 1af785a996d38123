package local

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
)

// Lease is the use of a server by this process.
type Lease struct {
	Server
	Key
	Started bool // this process started the server
	cancel  context.CancelFunc
}

// NewLease is a lease of a server that needs no giving back: for one that is in
// this process.
func NewLease(s Server, k Key) *Lease { return &Lease{Server: s, Key: k, cancel: func() {}} }

// Close gives the lease back.
func (l *Lease) Close() { l.cancel() }

// leasePath is where a server answers for as long as a lease is held.
const leasePath = "/_ec2local/lease"

// LockedStatus is the exit status of a server that lost the race for its
// directory against another.
const LockedStatus = 75

// startPatience bounds the start of a server, which may have to unpack and boot
// the machines of a suspended run.
const startPatience = 2 * time.Minute

// Join takes a lease of the directory's server, starting one if there is none.
// The command starts it: its output goes to server.log, and it lives on without
// this process. A server with other settings than those wished for is an error.
// Sign signs requests to the server, as AWS does.
func Join(ctx context.Context, dir string, wish Settings, sign Signer, command func() *exec.Cmd) (*Lease, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep the embedded EC2 in %s: %w", dir, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var ended chan error // of the server that this process started
	started := false
	var from int64 // where the log of that server begins
	for {
		s, err := find(dir)
		var key Key
		if err == nil {
			key, err = ReadKey(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			var l *Lease
			if l, err = take(s, key, sign); err == nil {
				if s.differs(wish) {
					l.Close()
					return nil, fmt.Errorf("cannot use %s: the embedded EC2 of %s runs already (process %d) with %s; wait for its runs to end, stop it with `kill %d`, or set IMGFLOW_HOME to another directory", wish, dir, s.PID, s.Settings, s.PID)
				}
				l.Started = started && s.PID != 0
				return l, nil
			}
		}
		if ended == nil && (!started || errors.Is(err, fs.ErrNotExist)) {
			if ended, from, err = start(dir, command()); err != nil {
				return nil, err
			}
			started = true
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("cannot start the embedded EC2: it does not answer after %s (%v); it printed:\n%s", startPatience, err, logTail(dir, from))
			}
			return nil, fmt.Errorf("cannot start the embedded EC2: %w", ctx.Err())
		case err := <-ended:
			var x *exec.ExitError
			if err != nil && !(errors.As(err, &x) && x.ExitCode() == LockedStatus) {
				return nil, fmt.Errorf("cannot start the embedded EC2:\n%s", logTail(dir, from))
			}
			ended = nil // another process was faster: its server will answer
			sleep.For(ctx, 200*time.Millisecond)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// A Signer signs a request without a body.
type Signer func(req *http.Request, k Key) error

// take opens a lease with a server.
func take(s Server, k Key, sign Signer) (*Lease, error) {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint()+leasePath, nil)
	if err == nil {
		err = sign(req, k)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:                 nil, // never through a proxy: the server is on this machine
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		ResponseHeaderTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}}
	res, err := client.Do(req)
	if err == nil {
		switch {
		case res.StatusCode != http.StatusOK:
			err = fmt.Errorf("%s answers %s", s.Endpoint(), res.Status)
		case !hmac.Equal([]byte(res.Header.Get(proofHeader)), []byte(k.proof(req))):
			err = fmt.Errorf("at %s is another server", s.Endpoint())
		}
		if err != nil {
			res.Body.Close()
		}
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &Lease{Server: s, Key: k, cancel: func() { cancel(); res.Body.Close() }}, nil
}

// start starts a server that lives on without this process. Its end arrives on
// the channel; what it prints is in the log from that offset.
func start(dir string, cmd *exec.Cmd) (ended chan error, from int64, err error) {
	path := filepath.Join(dir, logFile)
	if fi, err := os.Stat(path); err == nil && fi.Size() > 4<<20 {
		os.Remove(path)
	}
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot start the embedded EC2: %w", err)
	}
	defer log.Close()
	if fi, err := log.Stat(); err == nil {
		from = fi.Size()
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = nil, log, log, dir
	Detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("cannot start the embedded EC2: %w", err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, from, nil
}
