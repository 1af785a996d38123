package aws

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
)

// Access holds the options of a template that say who calls AWS, and where. An
// empty text is the same as an option that was not given, since templates fill
// them from environment variables that may be empty.
type Access struct {
	// The id of a static access key; `secret_key` belongs to it. Default: the credentials that every AWS tool finds,
	// in environment, files or the instance's role.
	AccessKey string `json:"access_key,omitempty"`
	// The secret of `access_key`. It is sealed in the run's records. Default: none.
	SecretKey dag.Secret `json:"secret_key,omitempty"`
	// The session token of temporary keys, beside `access_key` and `secret_key`. Default: none.
	Token dag.Secret `json:"token,omitempty"`
	// The profile of the shared AWS configuration to log in with. Default: AWS_PROFILE, else the default profile.
	Profile string `json:"profile,omitempty"`
	// The file that holds the profiles, in place of the usual ones. Default: that of the AWS tools.
	SharedCredentialsFile string `json:"shared_credentials_file,omitempty"`
	// The AWS region to work in, such as us-east-1. Default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's.
	Region string `json:"region,omitempty"`
	// A role that is taken on top of the credentials that were found. Default: none.
	AssumeRole AssumeRole `json:"assume_role,omitzero"`
	// The URL that EC2 is called at, in place of Amazon's, such as that of a private endpoint. Default: Amazon's for
	// the region.
	CustomEndpointEC2 string `json:"custom_endpoint_ec2,omitempty"`
	// Takes whatever certificate the endpoint shows. Default: `false`.
	InsecureSkipTLSVerify bool `json:"insecure_skip_tls_verify,omitempty"`
	// How often one call of AWS is attempted at most. Default: `10`.
	MaxRetries int `json:"max_retries,omitempty"`
	// Does not ask the instance that imgflow runs on for credentials. Default: `false`.
	SkipMetadataAPICheck bool `json:"skip_metadata_api_check,omitempty"`
	// Does not ask first whose the credentials are, so a resume cannot compare the account either. Default: `false`.
	SkipCredentialValidation bool `json:"skip_credential_validation,omitempty"`
	// The role of another account that is taken on top of all these.
	Then AssumeRole `json:"then,omitzero" option:"-"`
	// Accepted and without effect: waits find their own pace and have no limit.
	Polling Polling `json:"aws_polling,omitzero"`

	// Has STS decode what EC2 has sealed when it refuses a call: the action and the resource. That takes the permission
	// `sts:DecodeAuthorizationMessage`. Where EC2 says both in clear, as it mostly does, they are told in any case.
	// Default: `false`.
	DecodeAuthorizationMessages bool `json:"decode_authorization_messages,omitempty"`
	// A one-time code of a device for multi-factor authentication, which `mfa_serial` of the AWS profile names. It serves
	// for one session; when that has expired, the run is suspended and needs a new one. Default: none.
	MFACode dag.Secret `json:"mfa_code,omitempty"`
	// Has HashiCorp Vault make the credentials, at VAULT_ADDR and with VAULT_TOKEN, and make new ones before they expire.
	// Default: none.
	VaultAWSEngine VaultEngine `json:"vault_aws_engine,omitzero"`
}

// AssumeRole is a role that is taken on top of the credentials found.
type AssumeRole struct {
	// The ARN of the role; without it no role is taken. Default: none.
	RoleARN string `json:"role_arn,omitempty"`
	// How many seconds one session of the role lasts, from 900 to 43200. Default: that of the AWS SDK.
	DurationSeconds int `json:"duration_seconds,omitempty"`
	// The external id that the role's owner asks for. Default: none.
	ExternalID string `json:"external_id,omitempty"`
	// A policy in JSON that restricts the session further. Default: none.
	Policy string `json:"policy,omitempty"`
	// ARNs of managed policies that restrict the session further. Default: none.
	PolicyARNs []string `json:"policy_arns,omitempty"`
	// What the session is called in the logs of AWS. Default: a generated name.
	SessionName string `json:"session_name,omitempty"`
	// Tags of the session. Default: none.
	Tags map[string]string `json:"tags,omitempty"`
	// Keys of session tags that go on to the roles which are taken from this one. Default: none.
	TransitiveTagKeys []string `json:"transitive_tag_keys,omitempty"`
}

// Polling is the block aws_polling. Waits here have no limit and adapt by
// themselves, so it changes nothing.
type Polling struct {
	// Seconds between two looks, understood and without effect.
	DelaySeconds int `json:"delay_seconds,omitempty"`
	// How often to look, understood and without effect.
	MaxAttempts int `json:"max_attempts,omitempty"`
}

// VaultEngine is the block vault_aws_engine.
type VaultEngine struct {
	// The role of Vault that makes the credentials.
	Name string `json:"name,omitempty"`
	// The path that the secrets engine is mounted at. Default: `aws`.
	EngineName string `json:"engine_name,omitempty"`
	// The ARN of the role that Vault takes by STS. Default: none.
	RoleARN string `json:"role_arn,omitempty"`
	// How long the credentials of `role_arn` are to live, such as 1h. Default: what Vault says.
	TTL string `json:"ttl,omitempty"`
}

// name is short, the same for the same settings, and survives new keys: whoever
// gives other credentials of the same account before a resume means the same
// things. Cloud.Owners tells whether it is the same account.
func (a Access) name() string {
	parts := []string{a.Profile, a.SharedCredentialsFile, a.AssumeRole.RoleARN, a.AssumeRole.ExternalID, a.CustomEndpointEC2}
	if r := a.Then; r.RoleARN != "" {
		parts = append(parts, r.RoleARN, r.ExternalID)
	}
	if strings.Join(parts, "") == "" {
		return ""
	}
	p, _ := json.Marshal(parts) // strings always marshal
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:4])
}

// optionErrors are what is wrong with the settings by themselves.
func (a Access) optionErrors() (fs []steps.OptionError) {
	if (a.AccessKey == "") != (a.SecretKey == "") {
		field, other := "access_key", "secret_key"
		if a.AccessKey == "" {
			field, other = other, field
		}
		fs = append(fs, steps.OptionError{Field: field, Text: "needs " + other + " beside it: give both or neither"})
	}
	if a.Token != "" && a.AccessKey == "" {
		fs = append(fs, steps.OptionError{Field: "token", Text: "belongs to access_key and secret_key, which are not given"})
	}
	if file := a.SharedCredentialsFile; file != "" && !strings.Contains(file, dag.MarkOpen) {
		// Where a template is only looked at, there may be no credentials.
		if _, err := localfile.Read(file, 1<<20); err != nil && !errors.Is(err, os.ErrNotExist) {
			fs = append(fs, steps.OptionError{Field: "shared_credentials_file", Text: "cannot be read: " + err.Error()})
		}
	}
	if v := a.VaultAWSEngine; v != (VaultEngine{}) {
		if v.Name == "" {
			fs = append(fs, steps.OptionError{Field: "vault_aws_engine.name", Text: "must be set: it is the role of Vault"})
		}
		if a.AccessKey != "" || a.SecretKey != "" {
			fs = append(fs, steps.OptionError{Field: "vault_aws_engine", Text: "cannot be used with access_key and secret_key: choose one"})
		}
		if v.TTL != "" && v.RoleARN == "" {
			fs = append(fs, steps.OptionError{Field: "vault_aws_engine.ttl", Text: "needs role_arn beside it: the engine itself says how long users live"})
		}
	}
	if a.MaxRetries < 0 {
		fs = append(fs, steps.OptionError{Field: "max_retries", Text: "cannot be negative"})
	}
	add := func(field, why string) {
		if why != "" {
			fs = append(fs, steps.OptionError{Field: field, Text: why})
		}
	}
	if r := a.AssumeRole; r.RoleARN != "" && !unknown(r.RoleARN) {
		add("assume_role.role_arn", wrongARN(r.RoleARN))
	}
	if n := a.AssumeRole.DurationSeconds; n != 0 && (n < 900 || n > 43200) {
		add("assume_role.duration_seconds", "must be from 900 to 43200")
	}
	if a.Polling != (Polling{}) {
		fs = append(fs, steps.OptionError{Field: "aws_polling", Text: "waits find their own pace, and have no limit", Harmless: true})
	}
	if a.CustomEndpointEC2 != "" {
		if u, err := url.Parse(a.CustomEndpointEC2); err != nil || u.Scheme == "" || u.Host == "" {
			fs = append(fs, steps.OptionError{Field: "custom_endpoint_ec2", Text: "is not a URL such as https://ec2.example.com"})
		}
	}
	return fs
}

// region is where to build: the template's word, else the environment's, else
// the profile's.
func (a Access) region(ctx context.Context, env environ) (string, error) {
	if r := cmp.Or(a.Region, env.region()); r != "" {
		return r, nil
	}
	if profile := a.profile(ctx, env); profile != "" {
		c, err := a.shared(ctx, env, profile)
		if err != nil {
			return "", fmt.Errorf("cannot read the AWS configuration: %w", err)
		}
		if c.Region != "" {
			return c.Region, nil
		}
	}
	return "", errors.New("the region is not known: set region in the template, or AWS_REGION, or a region in your AWS profile")
}

// configure finds the credentials. Secret gives the values of secrets that the
// settings mark.
func (a Access) configure(ctx context.Context, region string, env environ, secret func(string) (string, error)) (awssdk.Config, error) {
	code, err := interp.Reveal(string(a.MFACode), secret)
	if err != nil {
		return awssdk.Config{}, fmt.Errorf("cannot use mfa_code: %w", err)
	}
	cfg, err := a.load(ctx, env, region, config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
		if a.MFACode != "" {
			o.TokenProvider = oneTime(code)
		}
	}))
	if err != nil {
		return cfg, err
	}
	if a.AccessKey != "" {
		var texts [3]string
		for i, s := range []string{a.AccessKey, string(a.SecretKey), string(a.Token)} {
			t, err := interp.Reveal(s, secret)
			if err != nil {
				return awssdk.Config{}, fmt.Errorf("cannot use the access key of the template: %w", err)
			}
			texts[i] = t
		}
		cfg.Credentials = awssdk.NewCredentialsCache(credentials.NewStaticCredentialsProvider(texts[0], texts[1], texts[2]))
	}
	if v := a.VaultAWSEngine; v.Name != "" {
		cfg.Credentials = awssdk.NewCredentialsCache(newVaultKeys(v, env))
	}
	r := a.AssumeRole
	serial, err := a.serial(ctx, env)
	if err != nil {
		return awssdk.Config{}, err
	}
	if serial != "" && r.RoleARN == "" {
		cfg.Credentials = awssdk.NewCredentialsCache(mfaSession{a.sts(cfg, env), serial, oneTime(code)})
	}
	if r.RoleARN != "" {
		cfg.Credentials = awssdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(a.sts(cfg, env), r.RoleARN, r.options, func(o *stscreds.AssumeRoleOptions) {
			if serial != "" {
				o.SerialNumber, o.TokenProvider = &serial, oneTime(code)
			}
		}))
	}
	return cfg, nil
}

// serial is the device whose one-time codes the template has; "" where it has none, or a profile's
// own role takes the code.
func (a Access) serial(ctx context.Context, env environ) (string, error) {
	if a.MFACode == "" {
		return "", nil
	}
	profile := a.profile(ctx, env)
	if profile == "" {
		return "", errNoSerial
	}
	shared, err := a.shared(ctx, env, profile)
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot read the AWS configuration: %w", err)
	case shared.MFASerial == "":
		return "", errNoSerial
	case shared.RoleARN != "":
		return "", nil
	}
	return shared.MFASerial, nil
}

// sts makes a client of STS as persistent as those of EC2: without its answer a
// resume could not begin.
func (a Access) sts(cfg awssdk.Config, env environ) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.Retryer = newLimiter(a.MaxRetries)
		if e := env.endpoint("STS"); e != nil {
			o.BaseEndpoint = e
		}
	})
}

func (r AssumeRole) options(o *stscreds.AssumeRoleOptions) {
	o.Duration = time.Duration(r.DurationSeconds) * time.Second
	o.RoleSessionName = r.SessionName
	o.TransitiveTagKeys = r.TransitiveTagKeys
	if r.ExternalID != "" {
		o.ExternalID = &r.ExternalID
	}
	if r.Policy != "" {
		o.Policy = &r.Policy
	}
	for _, arn := range r.PolicyARNs {
		o.PolicyARNs = append(o.PolicyARNs, ststypes.PolicyDescriptorType{Arn: &arn})
	}
	for k, v := range r.Tags {
		o.Tags = append(o.Tags, ststypes.Tag{Key: &k, Value: &v})
	}
}

// httpClient bounds every attempt of a call, so that a connection that went
// silent costs one attempt and not the build.
func (a Access) httpClient(env environ, roots *x509.CertPool) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(time.Minute).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 10 * time.Second }).
		WithTransportOptions(func(tr *http.Transport) {
			tr.ResponseHeaderTimeout = 45 * time.Second
			tr.MaxResponseHeaderBytes = maxHeaders
			tr.MaxIdleConnsPerHost = 16
			tr.Proxy = env.proxy()
			// Nothing is verified where the user asks for that.
			tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, InsecureSkipVerify: a.InsecureSkipTLSVerify}
		})
}

// client makes the EC2 client of a region. The endpoint of the options is for
// the region of the options only, unless it is on this machine.
func (a Access) client(cfg awssdk.Config, region string, env environ, pace *limiter) *ec2.Client {
	return ec2.NewFromConfig(cfg, func(o *ec2.Options) {
		o.Retryer = pace
		o.APIOptions = append(o.APIOptions, markAmbiguous)
		if e := env.endpoint("EC2"); e != nil {
			o.BaseEndpoint = e
		}
		if a.CustomEndpointEC2 != "" && (a.Region == "" || a.Region == region || isLoopback(a.CustomEndpointEC2)) {
			o.BaseEndpoint = &a.CustomEndpointEC2
		}
	})
}

// endpointName tells an endpoint from others. On this machine they come and go at
// any port.
func endpointName(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || isLoopback(endpoint) {
		return "this machine"
	}
	return u.Host
}

// isLoopback reports whether an endpoint is on this machine.
func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
