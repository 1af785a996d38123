package aws

import (
	"context"
	"errors"
	"sync/atomic"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// usedCodeError says that a one-time code was used: credentials that were had for it
// have expired.
type usedCodeError struct{}

func (usedCodeError) Error() string { return "the one-time code in mfa_code has been used" }

// oneTime gives a one-time code once.
func oneTime(code string) func() (string, error) {
	var used atomic.Bool
	return func() (string, error) {
		if used.Swap(true) {
			return "", usedCodeError{}
		}
		return code, nil
	}
}

// errNoSerial says what mfa_code lacks.
var errNoSerial = errors.New("cannot use mfa_code: whose code it is has to be known: set mfa_serial in the AWS profile to the ARN of the device")

// mfaSession has the credentials of a session that begins with a one-time code.
type mfaSession struct {
	client *sts.Client
	serial string
	code   func() (string, error)
}

func (m mfaSession) Retrieve(ctx context.Context) (awssdk.Credentials, error) {
	code, err := m.code()
	if err != nil {
		return awssdk.Credentials{}, err
	}
	out, err := m.client.GetSessionToken(ctx, &sts.GetSessionTokenInput{SerialNumber: &m.serial, TokenCode: &code})
	if err != nil {
		return awssdk.Credentials{}, err
	}
	if out.Credentials == nil || out.Credentials.Expiration == nil {
		return awssdk.Credentials{}, errors.New("the answer to GetSessionToken holds no credentials")
	}
	return awssdk.Credentials{AccessKeyID: text(out.Credentials.AccessKeyId), SecretAccessKey: text(out.Credentials.SecretAccessKey),
		SessionToken: text(out.Credentials.SessionToken), CanExpire: true, Expires: *out.Credentials.Expiration, Source: "mfa_code"}, nil
}
