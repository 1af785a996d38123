package secrettest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// shortest is how long a secret has to be, in bytes, lest it is found by chance.
const shortest = 6

var (
	mu     sync.Mutex
	hidden = map[string][]string{} // by the names of tests
)

// Hide says what a test may store or print nowhere in clear text.
func Hide(t testing.TB, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if len(s) < shortest {
			t.Fatalf("the secret %q is shorter than %d bytes", s, shortest)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	hidden[t.Name()] = append(hidden[t.Name()], secrets...)
}

// Of are the secrets of a test, of its parts, and of those that it is a part of.
func Of(t testing.TB) (secrets []string) {
	mu.Lock()
	defer mu.Unlock()
	for name, of := range hidden {
		if strings.HasPrefix(name+"/", t.Name()+"/") || strings.HasPrefix(t.Name()+"/", name+"/") {
			secrets = append(secrets, of...)
		}
	}
	return secrets
}

// In is an error if any of the secrets is in a text, as it is or as JSON, an address,
// base64 or hexadecimal digits have it. What is the name of the text.
func In(what string, text []byte, secrets []string) error {
	for _, s := range secrets {
		for _, f := range forms(s) {
			if at := bytes.Index(text, []byte(f)); at >= 0 {
				return fmt.Errorf("%s holds the secret %q: %q", what, s, text[max(0, at-60):min(len(text), at+len(f)+20)])
			}
		}
	}
	return nil
}

// forms are how a secret may be written.
func forms(s string) []string {
	quoted, _ := json.Marshal(s) // texts always marshal
	all := []string{s, string(quoted[1 : len(quoted)-1]), url.QueryEscape(s), hex.EncodeToString([]byte(s))}
	for before := range 3 { // bytes of the same group
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			of := e.EncodeToString(append(make([]byte, before), s...))
			all = append(all, of[(8*before+5)/6:8*(before+len(s))/6])
		}
	}
	return all
}

// Check fails the test if any of its secrets is in a text.
func Check(t testing.TB, what string, text []byte) {
	t.Helper()
	if err := In(what, text, Of(t)); err != nil {
		t.Error(err)
	}
}
