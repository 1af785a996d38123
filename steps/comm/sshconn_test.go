package comm

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A channel that is never answered is given up with the connection.
func TestChannelWithoutAnswer(t *testing.T) {
	t.Parallel()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	asked := make(chan bool, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		conf := &ssh.ServerConfig{NoClientAuth: true}
		conf.AddHostKey(key)
		_, chans, reqs, err := ssh.NewServerConn(c, conf)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(reqs)
		<-chans
		asked <- true
	}()
	c, err := ssh.Dial("tcp", ln.Addr().String(), &ssh.ClientConfig{User: "u", HostKeyCallback: ssh.FixedHostKey(key.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := &sshConn{client: c, done: make(chan struct{}), slots: make(chan struct{}, maxSessions)}
	ended := make(chan error, 1)
	go func() {
		_, _, err := l.session(t.Context())
		ended <- err
	}()
	<-asked
	close(l.done)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("there is a channel")
		}
	case <-time.After(30 * time.Second):
		t.Error("it is waited for")
	}
}
