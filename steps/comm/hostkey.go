package comm

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/errcode"
)

// HostKeyError says that a machine did not show the key that it must have. It
// never passes by waiting.
type HostKeyError struct {
	Host string // the address that was dialed
	Got  string // the fingerprint that was shown
	Want []string
}

func (e *HostKeyError) Error() string {
	return fmt.Sprintf("the machine at %s shows the host key %s, but its key is %s: something else answers at this address, "+
		"or the machine has made itself new keys; nothing was sent to it", e.Host, e.Got, strings.Join(e.Want, " or "))
}

// ErrCode is the code of the failure.
func (e *HostKeyError) ErrCode() errcode.Code { return errcode.HostKeyChanged }

// parseHostKeys reads host keys in the form of authorized_keys lines.
func parseHostKeys(lines []string) ([]ssh.PublicKey, error) {
	var keys []ssh.PublicKey
	for _, s := range lines {
		k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
		if err != nil {
			return nil, fmt.Errorf("cannot read the host key %q: want a line such as ssh-ed25519 AAAA", s)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// verifier makes the callback that accepts only the known keys, or, when none
// is known, any key, which it notes in got for the caller to pin.
func verifier(host string, known []string, got *string) (ssh.HostKeyCallback, []string, error) {
	keys, err := parseHostKeys(known)
	if err != nil {
		return nil, nil, err
	}
	check := func(_ string, _ net.Addr, k ssh.PublicKey) error {
		*got = authorizedLine(k, "")
		if len(keys) == 0 {
			return nil
		}
		var want []string
		for _, w := range keys {
			if bytes.Equal(w.Marshal(), k.Marshal()) {
				return nil
			}
			want = append(want, ssh.FingerprintSHA256(w))
		}
		return &HostKeyError{Host: host, Got: ssh.FingerprintSHA256(k), Want: want}
	}
	return check, hostKeyAlgorithms(keys), nil
}

// hostKeyAlgorithms asks the server for the keys that are known: a server shows
// only one of its keys, and would else choose by its own order.
func hostKeyAlgorithms(keys []ssh.PublicKey) []string {
	var algos []string
	for _, k := range keys {
		add := []string{k.Type()}
		if k.Type() == ssh.KeyAlgoRSA {
			add = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, a := range add {
			if !slices.Contains(algos, a) {
				algos = append(algos, a)
			}
		}
	}
	return algos
}

func authorizedLine(k ssh.PublicKey, comment string) string {
	s := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
	if comment != "" {
		s += " " + comment
	}
	return s
}

// hasKey reports whether one of the lines holds the same key, whatever its comment.
func hasKey(lines []string, key string) bool {
	want, err := parseHostKeys([]string{key})
	if err != nil {
		return false
	}
	keys, _ := parseHostKeys(lines)
	return slices.ContainsFunc(keys, func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), want[0].Marshal()) })
}

func fingerprint(line string) string {
	k, err := parseHostKeys([]string{line})
	if err != nil {
		return line
	}
	return k[0].Type() + " " + ssh.FingerprintSHA256(k[0])
}
