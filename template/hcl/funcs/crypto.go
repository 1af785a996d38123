package funcs

import (
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/ssh"
)

func digest(sum func([]byte) []byte) function.Function {
	return text(func(a []string) (string, error) { return hex.EncodeToString(sum([]byte(a[0]))), nil }, "text")
}

var (
	md5Sum    = digest(func(b []byte) []byte { s := md5.Sum(b); return s[:] })
	sha1Sum   = digest(func(b []byte) []byte { s := sha1.Sum(b); return s[:] })
	sha256Sum = digest(func(b []byte) []byte { s := sha256.Sum256(b); return s[:] })
	sha512Sum = digest(func(b []byte) []byte { s := sha512.Sum512(b); return s[:] })
)

// mostBcrypt keeps a template from asking for minutes: each step doubles the time, and 15 takes some seconds.
const mostBcrypt = 15

// bcryptHash has a random salt, so it gives another text each time that a template is evaluated.
var bcryptHash = function.New(&function.Spec{
	Params:   params(cty.String, "text"),
	VarParam: &function.Parameter{Name: "cost", Type: cty.Number},
	Type:     function.StaticReturnType(cty.String),
	Impl: func(a []cty.Value, _ cty.Type) (cty.Value, error) {
		cost := 10
		if len(a) > 2 {
			return cty.NilVal, errors.New("it takes a text and one cost")
		}
		if len(a) == 2 {
			if gocty.FromCtyValue(a[1], &cost) != nil || cost < bcrypt.MinCost || cost > mostBcrypt {
				return cty.NilVal, function.NewArgErrorf(1, "the cost must be a whole number from %d to %d", bcrypt.MinCost, mostBcrypt)
			}
		}
		b, err := bcrypt.GenerateFromPassword([]byte(a[0].AsString()), cost)
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "the text is longer than 72 bytes, which bcrypt does not read")
		}
		return cty.StringVal(string(b)), nil
	},
})

// rsaDecrypt takes what rsautl or EC2 encrypts by PKCS #1 v1.5, in base64, and a private key in PEM.
var rsaDecrypt = text(func(a []string) (string, error) {
	b, err := decode64(a[0])
	if err != nil {
		return "", function.NewArgError(0, err)
	}
	raw, err := ssh.ParseRawPrivateKey([]byte(a[1]))
	if err != nil {
		return "", function.NewArgErrorf(1, "it is no private key in PEM form without a passphrase")
	}
	key, is := raw.(*rsa.PrivateKey)
	if !is {
		return "", function.NewArgErrorf(1, "it is no RSA key")
	}
	out, err := rsa.DecryptPKCS1v15(nil, key, b) //lint:ignore SA1019 it is what the function is defined to open
	if err != nil {
		return "", errors.New("the key does not open the text")
	}
	return string(out), nil
}, "text", "key")

func (w World) uuidv4() function.Function {
	return of(cty.String, func([]cty.Value) (cty.Value, error) {
		id, err := uuid.NewRandomFromReader(w.Random)
		if err != nil {
			return cty.NilVal, fmt.Errorf("cannot make an id: %w", err)
		}
		return cty.StringVal(id.String()), nil
	})
}

// namespaces are those of RFC 9562, appendix C, by their short names.
var namespaces = map[string]uuid.UUID{"dns": uuid.NameSpaceDNS, "url": uuid.NameSpaceURL, "oid": uuid.NameSpaceOID, "x500": uuid.NameSpaceX500}

var uuidv5 = text(func(a []string) (string, error) {
	space, short := namespaces[a[0]]
	if !short {
		var err error
		if space, err = uuid.Parse(a[0]); err != nil {
			return "", function.NewArgErrorf(0, "the namespace is dns, url, oid, x500 or a UUID, not %q", a[0])
		}
	}
	return uuid.NewSHA1(space, []byte(a[1])).String(), nil
}, "namespace", "name")
