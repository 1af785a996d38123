package postgres

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/tlstest"
)

// A database that is reached by TLS is verified as the URL says, and one that cannot be is refused, with no word of the password.
func TestTLS(t *testing.T) {
	ours, others := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	cert, key := ours.Issue("", time.Now().Add(time.Hour))
	named, namedKey := ours.Issue("db.test", time.Now().Add(time.Hour))
	at, misnamed := pgtest.Secure(t, cert, key), pgtest.Secure(t, named, namedKey)
	for name, x := range map[string]struct {
		at              *url.URL
		mode, authority string
		says            string // "": it is opened
	}{
		"its name":          {at, "verify-full", ours.Path, ""},
		"its authority":     {misnamed, "verify-ca", ours.Path, ""},
		"another authority": {at, "verify-full", others.Path, "unknown authority"},
		"another name":      {misnamed, "verify-full", ours.Path, "x509: cannot validate certificate for 127.0.0.1"},
		"no authority":      {at, "verify-full", "/nowhere/ca.pem", "/nowhere/ca.pem"},
	} {
		own := *x.at
		own.RawQuery = url.Values{"sslmode": {x.mode}, "sslrootcert": {x.authority}}.Encode()
		password, _ := own.User.Password()
		h, err := Open(t.TempDir(), own.String())
		if x.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if _, err := h.Runs(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
