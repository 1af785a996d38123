package temporal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/secrettest"
	"github.com/imgflow/imgflow/internal/temporaltest"
	"github.com/imgflow/imgflow/internal/tlstest"
)

// looked is an environment.
func looked(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// Clients say who they are by certificates and keys, and whoever is not let in is told why, and
// what to do, and no secret.
func TestWhoCallsTemporal(t *testing.T) {
	s := temporaltest.New(t)
	ours, others := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	cert, key := ours.Issue("", soon)
	named, namedKey := ours.Issue("temporal.test", soon)
	old, oldKey := ours.Issue("", past)
	alien, alienKey := others.Issue("me", soon)
	open := &temporaltest.Gate{Cert: cert, Key: key}
	mutual := &temporaltest.Gate{Cert: cert, Key: key, Clients: ours}
	keyed := &temporaltest.Gate{Cert: cert, Key: key, APIKey: "hunTer2"}
	ca := map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ours.Path}
	text := func(path string) string {
		p, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(p)
	}
	plain := func() string { return s.URL() }
	at := func(g *temporaltest.Gate) func() string { return func() string { own := *g; return own.URL(t, s) } }
	for name, x := range map[string]struct {
		url  func() string
		with map[string]string
		says string // "": it is let in
	}{
		"its authority":           {at(open), nil, ""},
		"its authority as text":   {at(open), map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "", "TEMPORAL_TLS_SERVER_CA_CERT_DATA": text(ours.Path)}, ""},
		"no authority":            {at(open), map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ""}, "TEMPORAL_TLS_SERVER_CA_CERT_PATH names the file of its authority"},
		"another authority":       {at(open), map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": others.Path}, "TEMPORAL_TLS_SERVER_CA_CERT_PATH names the file of its authority"},
		"no file of an authority": {at(open), map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/nowhere/ca.pem"}, "cannot read TEMPORAL_TLS_SERVER_CA_CERT_PATH: "},
		"an authority's key":      {at(open), map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": key}, "it has no certificate in PEM"},
		"an authority twice":      {at(open), map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_DATA": "x"}, "at once: unset one"},
		"another name":            {at(&temporaltest.Gate{Cert: named, Key: namedKey}), nil, "TEMPORAL_TLS_SERVER_NAME says which name it has"},
		"its name":                {at(&temporaltest.Gate{Cert: named, Key: namedKey}), map[string]string{"TEMPORAL_TLS_SERVER_NAME": "temporal.test"}, ""},
		"expired":                 {at(&temporaltest.Gate{Cert: old, Key: oldKey}), nil, "its certificate is not good now"},
		"a certificate":           {at(mutual), map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": cert, "TEMPORAL_TLS_CLIENT_KEY_PATH": key}, ""},
		"a certificate as text":   {at(mutual), map[string]string{"TEMPORAL_TLS_CLIENT_CERT_DATA": text(cert), "TEMPORAL_TLS_CLIENT_KEY_DATA": text(key)}, ""},
		"no certificate":          {at(mutual), nil, "set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"},
		"no key":                  {at(mutual), map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": cert}, "a certificate and its key are needed"},
		"another's key":           {at(mutual), map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": cert, "TEMPORAL_TLS_CLIENT_KEY_PATH": alienKey}, "private key does not match"},
		"an alien certificate":    {at(mutual), map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": alien, "TEMPORAL_TLS_CLIENT_KEY_PATH": alienKey}, "TEMPORAL_TLS_CLIENT_CERT_PATH has to be of an authority that it trusts"},
		"an old certificate":      {at(mutual), map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": old, "TEMPORAL_TLS_CLIENT_KEY_PATH": oldKey}, "by this computer's clock it is"},
		"a key of the API":        {at(keyed), map[string]string{"TEMPORAL_API_KEY": "hunTer2\n"}, ""},
		"a wrong key of the API":  {at(keyed), map[string]string{"TEMPORAL_API_KEY": "hunTer3"}, "look at TEMPORAL_API_KEY"},
		"no key of the API":       {at(keyed), nil, "look at TEMPORAL_API_KEY"},
		"a key without TLS":       {plain, map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "", "TEMPORAL_API_KEY": "hunTer2"}, "cannot use TEMPORAL_API_KEY without TLS: write temporals://" + s.Address},
		"no TLS there":            {func() string { return strings.Replace(s.URL(), "temporal:", "temporals:", 1) }, nil, "write temporal://"},
		"no TLS here":             {func() string { return strings.Replace(open.URL(t, s), "temporals:", "temporal:", 1) }, map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ""}, "write temporals://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vars := map[string]string{}
			for _, from := range []map[string]string{ca, x.with} {
				for k, v := range from {
					vars[k] = v
				}
			}
			c, err := Dial(t.Context(), x.url(), looked(vars))
			switch {
			case err == nil && x.says != "":
				t.Error("it is let in")
			case err == nil:
				if _, err := c.Open(t.Context(), "nothing"); err != nil {
					t.Error(err)
				}
			case strings.Contains(err.Error(), "it has ended the connection") && strings.Contains(x.says, "CLIENT_CERT_PATH"): // the reason got lost
			case x.says == "" || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), "hunTer") || strings.Contains(err.Error(), "PRIVATE"):
				t.Errorf("it says %v", err)
			default:
				t.Log(err)
			}
			if err == nil {
				c.Close()
			}
		})
	}
}

// A certificate that is renewed in its place counts from the next connection on.
func TestACertificateIsRenewed(t *testing.T) {
	s := temporaltest.New(t)
	ours, others, until := tlstest.NewAuthority(t), tlstest.NewAuthority(t), time.Now().Add(time.Hour)
	gate := &temporaltest.Gate{Clients: ours}
	gate.Cert, gate.Key = ours.Issue("", until)
	dir := t.TempDir()
	vars := map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ours.Path, "TEMPORAL_TLS_CLIENT_CERT_PATH": filepath.Join(dir, "cert.pem"), "TEMPORAL_TLS_CLIENT_KEY_PATH": filepath.Join(dir, "key.pem")}
	put := func(cert, key string) {
		t.Helper()
		err := errors.Join(os.Rename(cert, vars["TEMPORAL_TLS_CLIENT_CERT_PATH"]), os.Rename(key, vars["TEMPORAL_TLS_CLIENT_KEY_PATH"]))
		if err != nil {
			t.Fatal(err)
		}
	}
	put(ours.Issue("me", until))
	c, err := Dial(t.Context(), gate.URL(t, s), looked(vars))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	asks := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := c.Open(ctx, "nothing")
		return err
	}
	put(others.Issue("me", until))
	if err := asks(); err != nil {
		t.Errorf("a connection that is there has ended: %v", err)
	}
	gate.Drop()
	if err := asks(); err == nil {
		t.Error("the certificate of another authority is let in")
	}
	put(ours.Issue("me", until))
	for deadline := time.Now().Add(time.Minute); ; {
		if err := asks(); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the new certificate is not used: %v", err)
		}
	}
}

// Where only administrators may look at a namespace, as at Temporal Cloud, what they have added counts.
func TestOnlyAdministratorsMayLook(t *testing.T) {
	s := temporaltest.New(t)
	ours := tlstest.NewAuthority(t)
	secrettest.Hide(t, "hunTer2")
	gate := &temporaltest.Gate{Deny: "OperatorService"}
	gate.Cert, gate.Key = ours.Issue("", time.Now().Add(time.Hour))
	gate.APIKey = "hunTer2"
	with := looked(map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ours.Path, "TEMPORAL_API_KEY": gate.APIKey})
	url := gate.URL(t, s)
	c, err := Dial(t.Context(), url, with)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Submit(t.Context(), Ref{Run: "early"}, Submission{Template: "t"}); err == nil || !strings.Contains(err.Error(), "search attribute Imgflow") {
		t.Errorf("before they have added anything it says %v", err)
	}
	dial(t, s) // who may look adds them
	if err := c.Submit(t.Context(), Ref{Run: "late"}, Submission{Template: "t"}); err != nil {
		t.Error(err)
	}
	if _, err := Dial(t.Context(), strings.Replace(url, "/"+temporaltest.Namespace, "/nowhere", 1), with); err == nil || !strings.Contains(err.Error(), "namespace nowhere") {
		t.Errorf("of another namespace it says %v", err)
	}
}
