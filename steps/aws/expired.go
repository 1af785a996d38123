package aws

import (
	"cmp"
	"context"
	"errors"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go/middleware"

	"github.com/imgflow/imgflow/internal/quote"
)

// expiredError is the failure of a call since the credentials that sign it have
// expired.
type expiredError struct {
	error
	renew string // how to get new ones
}

func (e *expiredError) Unwrap() error { return e.error }

// isExpired reports whether credentials that live for a time are at the end of it. EC2
// says RequestExpired of a token, and of a clock that is wrong, too.
func isExpired(err error) bool {
	code, _ := apiError(err)
	var vault *vaultError
	return errors.As(err, &vault) && vault.denied || errors.As(err, new(usedCodeError)) || code == "RequestExpired" || strings.HasPrefix(code, "ExpiredToken") ||
		errors.As(err, new(*ssocreds.InvalidTokenError)) || code == "UnauthorizedException" || code == "InvalidGrantException" // of a login
}

// expired marks an error of a call whose credentials have expired. Renew is what the
// settings say of getting new ones; with "" they have no end.
func expired(renew string, err error) error {
	if err == nil || renew == "" || !isExpired(err) {
		return err
	}
	return &expiredError{err, renew}
}

// tellExpired marks the errors of a client's calls.
func tellExpired(renew string) func(*middleware.Stack) error {
	tell := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleInitialize(ctx, in)
		return out, meta, expired(renew, err)
	}
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("imgflow expiry", tell), middleware.Before)
	}
}

// renewal is how to get new credentials when those of the settings have expired, or ""
// where they are keys that do not.
func (a Access) renewal(ctx context.Context, env environ) string {
	lasting := func(token string) bool { return token == "" && a.AssumeRole.RoleARN == "" }
	switch {
	case a.VaultAWSEngine.Name != "":
		return "set VAULT_TOKEN to one that may use the role " + a.VaultAWSEngine.Name + " of Vault"
	case a.MFACode != "":
		return "give a new mfa_code"
	case a.AccessKey != "":
		if lasting(string(a.Token)) {
			return ""
		}
		return "give new ones as access_key, secret_key and token"
	}
	if a.Profile == "" && env.credentials(awssdk.Config{}) != nil {
		switch {
		case env("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && env.first("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY") == "":
			return "AWS_WEB_IDENTITY_TOKEN_FILE needs a new token"
		case lasting(env("AWS_SESSION_TOKEN")):
			return ""
		}
		return "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN to new ones"
	}
	profile := a.profile(ctx, env)
	if profile == "" {
		return "get new ones"
	}
	shared, err := a.shared(ctx, env, profile)
	switch name := quote.Sh(profile); {
	case err != nil:
		return "get new ones"
	case cmp.Or(shared.SSOSessionName, shared.SSOStartURL) != "" || shared.Source != nil && cmp.Or(shared.Source.SSOSessionName, shared.Source.SSOStartURL) != "":
		return "`aws sso login --profile " + name + "`"
	case keysAlone(shared) && lasting(shared.Credentials.SessionToken):
		return ""
	}
	return "the profile " + profile + " needs new ones"
}
