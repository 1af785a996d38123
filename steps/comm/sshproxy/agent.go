package sshproxy

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Agent is an SSH agent with one key.
type Agent struct {
	Public ssh.PublicKey
	l      net.Listener
}

// ServeAgent starts an agent with a private key, in PEM, at a socket for this user.
func ServeAgent(socket string, key []byte) (*Agent, error) {
	priv, err := ssh.ParseRawPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be used: %w", err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: priv}); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				agent.ServeAgent(ring, c)
			}()
		}
	}()
	return &Agent{signer.PublicKey(), l}, nil
}

// Close takes the socket away.
func (a *Agent) Close() { a.l.Close() }
