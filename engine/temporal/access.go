package temporal

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/imgflow/imgflow/internal/localfile"
)

// What says who calls Temporal, and whom it trusts, is called as for Temporal's own tools. The first three
// have _PATH behind them, and are files in PEM, or _DATA, and are that text.
const (
	certVar       = "TEMPORAL_TLS_CLIENT_CERT"
	keyVar        = "TEMPORAL_TLS_CLIENT_KEY"
	authorityVar  = "TEMPORAL_TLS_SERVER_CA_CERT"
	serverNameVar = "TEMPORAL_TLS_SERVER_NAME"
	apiKeyVar     = "TEMPORAL_API_KEY"
)

// authenticate has a client say who it is, and check who answers. Without TLS it does neither.
func authenticate(o *client.Options, getenv func(string) string) error {
	secured := o.ConnectionOptions.TLS
	if secured == nil {
		for _, name := range []string{apiKeyVar, certVar + "_PATH", certVar + "_DATA", authorityVar + "_PATH", authorityVar + "_DATA", serverNameVar} {
			if getenv(name) != "" {
				return fmt.Errorf("cannot use %s without TLS: write temporals://%s, or unset it", name, o.HostPort)
			}
		}
		return nil
	}
	secured.ServerName = getenv(serverNameVar)
	authorities, from, err := pemOf(authorityVar, getenv)
	if err != nil {
		return err
	}
	if authorities != nil {
		secured.RootCAs = x509.NewCertPool()
		if !secured.RootCAs.AppendCertsFromPEM(authorities) {
			return fmt.Errorf("cannot trust the authorities in %s: it has no certificate in PEM", from)
		}
	}
	own, err := ownCertificate(getenv)
	if err != nil {
		return err
	}
	if own != nil {
		// A certificate may be renewed while a worker works, so it is read for each connection.
		secured.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return ownCertificate(getenv) }
	}
	if key := strings.TrimSpace(getenv(apiKeyVar)); key != "" {
		o.Credentials = client.NewAPIKeyStaticCredentials(key)
	}
	return nil
}

// ownCertificate is who this client is, as it is said now; nil: nobody.
func ownCertificate(getenv func(string) string) (*tls.Certificate, error) {
	cert, certFrom, err := pemOf(certVar, getenv)
	if err != nil {
		return nil, err
	}
	key, keyFrom, err := pemOf(keyVar, getenv)
	switch {
	case err != nil:
		return nil, err
	case cert == nil && key == nil:
		return nil, nil
	case cert == nil || key == nil:
		return nil, fmt.Errorf("cannot use a client certificate: a certificate and its key are needed: set %s_PATH and %s_PATH", certVar, keyVar)
	}
	own, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the client certificate in %s with the key in %s: %w", certFrom, keyFrom, err)
	}
	if now := time.Now(); now.After(own.Leaf.NotAfter) || now.Before(own.Leaf.NotBefore) {
		return nil, fmt.Errorf("cannot use the client certificate in %s: it is good from %s to %s, and by this computer's clock it is %s",
			certFrom, own.Leaf.NotBefore.Format(time.RFC3339), own.Leaf.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return &own, nil
}

// mostPEM is how large a file of certificates may be, in bytes.
const mostPEM = 4 << 20

// pemOf is what a variable holds, or the file that it names, and where that is from; nil: there is none.
func pemOf(name string, getenv func(string) string) (text []byte, from string, err error) {
	path, data := getenv(name+"_PATH"), getenv(name+"_DATA")
	switch {
	case path != "" && data != "":
		return nil, "", fmt.Errorf("cannot use %s_PATH and %[1]s_DATA at once: unset one", name)
	case data != "":
		return []byte(data), name + "_DATA", nil
	case path == "":
		return nil, "", nil
	}
	if text, err = localfile.Read(path, mostPEM); err != nil {
		return nil, "", fmt.Errorf("cannot read %s_PATH: %w", name, err)
	}
	return text, path, nil
}

// endedDo is for a server that ends a connection, and whose reason may get lost then.
const endedDo = "it has ended the connection, as one does that wants another client certificate, or TLS: look at " + certVar + "_PATH"

// refusals are what goes wrong when a connection is made: a part of what is said, and what is to be done.
var refusals = []struct{ said, do string }{
	{"certificate signed by unknown authority", "its certificate is of an authority that is not known here: " + authorityVar + "_PATH names the file of its authority"},
	{"certificate has expired or is not yet valid", "its certificate is not good now: renew it there, or set this computer's clock"},
	{"x509: certificate is", "its certificate is of another name: " + serverNameVar + " says which name it has"},
	{"x509: cannot validate certificate for", "its certificate is of another name: " + serverNameVar + " says which name it has"},
	{"tls: certificate required", "it wants to know who is calling: set " + certVar + "_PATH and " + keyVar + "_PATH"},
	{"remote error: tls: expired certificate", "it says that the client certificate has expired"},
	{"remote error: tls:", "it refuses the client certificate: " + certVar + "_PATH has to be of an authority that it trusts"},
	{"broken pipe", endedDo},
	{"connection reset", endedDo},
	{"first record does not look like a TLS handshake", "it speaks without TLS: write temporal://"},
	{"server preface", "it may want TLS: write temporals://"},
	{"authorized", "it refuses who is calling: look at " + apiKeyVar + ", or at the client certificate, and at what they may do in the namespace"},
	{"Unauthenticated", "it refuses who is calling: look at " + apiKeyVar},
}

// unreachable is the error of a connection that was not made.
func unreachable(where string, err error) error {
	for _, r := range refusals {
		if strings.Contains(err.Error(), r.said) {
			return fmt.Errorf("cannot reach Temporal at %s: %s: %w", where, r.do, err)
		}
	}
	return fmt.Errorf("cannot reach Temporal at %s: %w", where, err)
}
