package comm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// login is who to be on one server, the machine's or the bastion's.
type login struct {
	user     string
	password dag.Secret
	keyName  string // in the vault
	keyFile  string
	certFile string
	agent    bool
	asks     string // the host whose questions the person at the terminal answers
	options  string // how the names of its options begin
}

// agentTimeout is what an agent may take for one login; it may ask its user.
var agentTimeout = handshakeTimeout

func (s SSH) login() login {
	return login{s.Username, s.Password, s.KeyName, s.PrivateKeyFile, s.CertificateFile, s.AgentAuth, "", "ssh_"}
}

func (s SSH) bastionLogin() login {
	l := login{s.BastionUsername, s.BastionPassword, "", s.BastionPrivateKeyFile, s.BastionCertificateFile, s.BastionAgentAuth, "", "ssh_bastion_"}
	if s.BastionInteractive {
		l.asks = s.BastionHost
	}
	if l.keyFile == "" {
		l.keyFile = s.PrivateKeyFile
	}
	return l
}

// shownKeys counts the keys of an agent that were shown to a server.
type shownKeys struct {
	skip int // those that other connections have shown
	last int // the number of the last one that this connection has shown
}

// agentKey notes that it is shown.
type agentKey struct {
	ssh.AlgorithmSigner
	shown func()
}

func (k agentKey) PublicKey() ssh.PublicKey { k.shown(); return k.AlgorithmSigner.PublicKey() }

// rest are the agent's keys that have not been shown yet.
func (o *shownKeys) rest(keys []ssh.Signer) (rest []ssh.Signer) {
	o.last = min(o.skip, len(keys))
	for i := o.last; i < len(keys); i++ {
		if k, ok := keys[i].(ssh.AlgorithmSigner); ok { // agents' keys are
			rest = append(rest, agentKey{k, func() { o.last = max(o.last, i+1) }})
		}
	}
	return rest
}

// methods returns the ways to authenticate, keys before passwords, and what to
// close when the handshake is over. Its errors do not pass by waiting.
func (e *Env) methods(ctx context.Context, t *dag.Task, l login, o *shownKeys) (ms []ssh.AuthMethod, done func(), err error) {
	done = func() {}
	var signers []ssh.Signer
	if l.keyName != "" {
		s, err := e.vaultSigner(l.keyName)
		if err != nil {
			return nil, done, err
		}
		signers = append(signers, s)
	}
	if l.keyFile != "" {
		s, err := fileSigner(e.home(l.keyFile), e.home(l.certFile), l.options)
		if err != nil {
			return nil, done, err
		}
		signers = append(signers, s...)
	}
	if l.agent {
		sock := e.Getenv("SSH_AUTH_SOCK")
		if sock == "" {
			return nil, done, errors.New(l.options + "agent_auth is set, but no agent is running: SSH_AUTH_SOCK is empty")
		}
		c, err := net.Dial("unix", sock)
		if err != nil {
			return nil, done, fmt.Errorf("cannot reach the SSH agent: %w", err)
		}
		done = func() { c.Close() }
		c.SetDeadline(time.Now().Add(agentTimeout)) // one that hangs must not hold everything up
		s, err := agent.NewClient(c).Signers()
		if err != nil {
			done()
			return nil, func() {}, fmt.Errorf("cannot read the keys of the SSH agent: %w", err)
		}
		signers = append(signers, o.rest(s)...)
	}
	if len(signers) > 0 {
		ms = append(ms, ssh.PublicKeys(signers...))
	}
	if l.password != "" {
		pw, err := t.Reveal(l.password)
		if err != nil {
			done()
			return nil, func() {}, err
		}
		ms = append(ms, ssh.Password(pw))
		if l.asks == "" {
			ms = append(ms, ssh.KeyboardInteractive(answers(pw)))
		}
	}
	if l.asks != "" {
		if e.Prompt == nil {
			done()
			return nil, func() {}, fmt.Errorf("%sinteractive is set, but nobody is at a terminal to answer %s", l.options, l.asks)
		}
		ms = append(ms, ssh.KeyboardInteractive(e.asking(ctx, l.asks)))
	}
	if len(ms) == 0 {
		done()
		return nil, func() {}, fmt.Errorf("there is nothing to log in with: set %[1]sprivate_key_file, %[1]spassword or %[1]sagent_auth", l.options)
	}
	return ms, done, nil
}

// answers gives the password to every question that is not shown while typed.
func answers(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		as := make([]string, len(questions))
		for i := range questions {
			if !echos[i] {
				as[i] = password
			}
		}
		return as, nil
	}
}

// answerOf is a question of a host.
type answerOf struct{ host, question string }

// maxQuestion bounds what a host may ask, in bytes.
const maxQuestion = 1000

// asking has the person at the terminal answer what a host asks. An answer is kept for the next connection, in
// memory alone, until the host refuses it.
func (e *Env) asking(ctx context.Context, host string) ssh.KeyboardInteractiveChallenge {
	return func(_, instruction string, questions []string, echos []bool) (as []string, err error) {
		for i, q := range questions {
			if len(q)+len(instruction) > maxQuestion {
				return nil, fmt.Errorf("%s asks a question of more than %d bytes", host, maxQuestion)
			}
			of := answerOf{host, q}
			e.mu.Lock()
			a, known := e.answers[of]
			e.mu.Unlock()
			if !known {
				text := strings.TrimSpace(strings.TrimSpace(instruction) + " " + q)
				if a, err = e.Prompt(ctx, host+" asks: "+text, echos[i]); err != nil {
					return nil, permanent{fmt.Errorf("there is no answer to %q, which %s asks: %w", q, host, err)}
				}
			}
			e.mu.Lock()
			e.answers[of] = a
			e.mu.Unlock()
			as = append(as, a)
		}
		return as, nil
	}
}

// forget drops the answers to a host's questions.
func (e *Env) forget(host string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.answers, func(of answerOf, _ string) bool { return of.host == host })
}

func (e *Env) vaultSigner(name string) (ssh.Signer, error) {
	if e.vault == nil {
		return nil, fmt.Errorf("cannot use the key %s: this run keeps no secrets", name)
	}
	pem, err := e.vault.Get(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot use the key %s: it is not among the secrets of this run", name)
		}
		return nil, fmt.Errorf("cannot use the key %s: %w", name, err)
	}
	s, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("cannot use the key %s: %w", name, err)
	}
	return s, nil
}

// maxKeyFile bounds a file of keys or certificates, in bytes.
const maxKeyFile = 1 << 20

// fileSigner reads a private key and its certificate. With a certificate both
// are offered, the certificate first.
func fileSigner(keyFile, certFile, options string) ([]ssh.Signer, error) {
	b, err := localfile.Read(keyFile, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the private key: %w", err)
	}
	s, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, fmt.Errorf("cannot use the private key %s: it has a passphrase; add it to an SSH agent and set %sagent_auth", keyFile, options)
	case err != nil:
		return nil, fmt.Errorf("cannot use the private key %s: %s", keyFile, strings.TrimPrefix(err.Error(), "ssh: "))
	}
	if certFile == "" {
		return []ssh.Signer{s}, nil
	}
	b, err = localfile.Read(certFile, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate: %w", err)
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil, fmt.Errorf("cannot use the certificate %s: %s", certFile, strings.TrimPrefix(err.Error(), "ssh: "))
	}
	cert, ok := pub.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("cannot use the certificate %s: it holds a plain key, not a certificate", certFile)
	}
	cs, err := ssh.NewCertSigner(cert, s)
	if err != nil {
		return nil, fmt.Errorf("cannot use the certificate %s: it does not belong to the key %s", certFile, keyFile)
	}
	return []ssh.Signer{cs, s}, nil
}

// home expands a leading ~ where only the process's home directory is known.
func home(p string) string {
	if p == "~" || strings.HasPrefix(p, "~/") {
		if h, err := os.UserHomeDir(); err == nil {
			return filepath.Join(h, p[1:])
		}
	}
	return p
}
