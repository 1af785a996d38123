package aws

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
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
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/logging"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
)

// Access holds the options of a template that say who calls AWS, and where. An
// empty text is the same as an option that was not given, since templates fill
// them from environment variables that may be empty.
type Access struct {
	AccessKey             string     `json:"access_key,omitempty"`
	SecretKey             dag.Secret `json:"secret_key,omitempty"`
	Token                 dag.Secret `json:"token,omitempty"`
	Profile               string     `json:"profile,omitempty"`
	SharedCredentialsFile string     `json:"shared_credentials_file,omitempty"`
	Region                string     `json:"region,omitempty"`
	AssumeRole            AssumeRole `json:"assume_role,omitzero"`
	CustomEndpointEC2     string     `json:"custom_endpoint_ec2,omitempty"`
	InsecureSkipTLSVerify bool       `json:"insecure_skip_tls_verify,omitempty"`
	MaxRetries            int        `json:"max_retries,omitempty"` // attempts of one call; 0 is 10
	SkipMetadataAPICheck  bool       `json:"skip_metadata_api_check,omitempty"`
	// Nobody asks whose the credentials are, so a resume cannot compare.
	SkipCredentialValidation bool `json:"skip_credential_validation,omitempty"`
	// Understood, without effect: waits have their own pace.
	Polling Polling `json:"aws_polling,omitzero"`

	DecodeAuthorizationMessages bool        `json:"decode_authorization_messages,omitempty" option:"unsupported"`
	MFACode                     string      `json:"mfa_code,omitempty" option:"unsupported"`
	VaultAWSEngine              VaultEngine `json:"vault_aws_engine,omitzero" option:"unsupported"`
}

// AssumeRole is a role that is taken on top of the credentials found.
type AssumeRole struct {
	RoleARN           string            `json:"role_arn,omitempty"`
	DurationSeconds   int               `json:"duration_seconds,omitempty"`
	ExternalID        string            `json:"external_id,omitempty"`
	Policy            string            `json:"policy,omitempty"`
	PolicyARNs        []string          `json:"policy_arns,omitempty"`
	SessionName       string            `json:"session_name,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	TransitiveTagKeys []string          `json:"transitive_tag_keys,omitempty"`
}

// Polling is the block aws_polling. Waits here have no limit and adapt by
// themselves, so it changes nothing.
type Polling struct {
	DelaySeconds int `json:"delay_seconds,omitempty"`
	MaxAttempts  int `json:"max_attempts,omitempty"`
}

// VaultEngine is the block vault_aws_engine.
type VaultEngine struct {
	Name       string `json:"name,omitempty"`
	EngineName string `json:"engine_name,omitempty"`
	RoleARN    string `json:"role_arn,omitempty"`
	TTL        string `json:"ttl,omitempty"`
}

// name is short, the same for the same settings, and survives new keys: whoever
// gives other credentials of the same account before a resume means the same
// things. Cloud.Owners tells whether it is the same account.
func (a Access) name() string {
	parts := []string{a.Profile, a.SharedCredentialsFile, a.AssumeRole.RoleARN, a.AssumeRole.ExternalID, a.CustomEndpointEC2}
	if strings.Join(parts, "") == "" {
		return ""
	}
	p, _ := json.Marshal(parts) // strings always marshal
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:4])
}

// faults are what is wrong with the settings by themselves.
func (a Access) faults() (fs []dag.Fault) {
	if (a.AccessKey == "") != (a.SecretKey == "") {
		field, other := "access_key", "secret_key"
		if a.AccessKey == "" {
			field, other = other, field
		}
		fs = append(fs, dag.Fault{Field: field, Text: "needs " + other + " beside it: give both or neither"})
	}
	if a.Token != "" && a.AccessKey == "" {
		fs = append(fs, dag.Fault{Field: "token", Text: "belongs to access_key and secret_key, which are not given"})
	}
	if file := a.SharedCredentialsFile; file != "" && !strings.Contains(file, dag.MarkOpen) {
		// Where a template is only looked at, there may be no credentials.
		if _, err := dag.ReadFile(file, 1<<20); err != nil && !errors.Is(err, os.ErrNotExist) {
			fs = append(fs, dag.Fault{Field: "shared_credentials_file", Text: "cannot be read: " + err.Error()})
		}
	}
	if a.MaxRetries < 0 {
		fs = append(fs, dag.Fault{Field: "max_retries", Text: "cannot be negative"})
	}
	add := func(field, why string) {
		if why != "" {
			fs = append(fs, dag.Fault{Field: field, Text: why})
		}
	}
	if r := a.AssumeRole; r.RoleARN != "" && !unknown(r.RoleARN) {
		add("assume_role.role_arn", wrongARN(r.RoleARN))
	}
	if n := a.AssumeRole.DurationSeconds; n != 0 && (n < 900 || n > 43200) {
		add("assume_role.duration_seconds", "must be from 900 to 43200")
	}
	if a.CustomEndpointEC2 != "" {
		if u, err := url.Parse(a.CustomEndpointEC2); err != nil || u.Scheme == "" || u.Host == "" {
			fs = append(fs, dag.Fault{Field: "custom_endpoint_ec2", Text: "is not a URL such as https://ec2.example.com"})
		}
	}
	return fs
}

// region is where to build: the template's word, else the environment's, else
// the profile's.
func (a Access) region(ctx context.Context) (string, error) {
	if a.Region != "" {
		return a.Region, nil
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if r := os.Getenv(name); r != "" {
			return r, nil
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx, a.sources()...)
	if err != nil {
		return "", fmt.Errorf("cannot read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return "", errors.New("the region is not known: set region in the template, or AWS_REGION, or a region in your AWS profile")
	}
	return cfg.Region, nil
}

// sources are the files in which the SDK looks. What it would log by itself is
// left out: errors say it again.
func (a Access) sources() []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{}), config.WithAPIOptions(everyClient)}
	if a.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(a.Profile))
	}
	if a.SharedCredentialsFile != "" {
		opts = append(opts, config.WithSharedCredentialsFiles([]string{a.SharedCredentialsFile}))
	}
	if a.SkipMetadataAPICheck {
		opts = append(opts, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	return opts
}

// configure finds the credentials. Secret gives the values of secrets that the
// settings mark.
func (a Access) configure(ctx context.Context, region string, secret func(string) (string, error)) (awssdk.Config, error) {
	opts := append(a.sources(), config.WithRegion(region), config.WithHTTPClient(a.httpClient()))
	if a.AccessKey != "" {
		var texts [3]string
		for i, s := range []string{a.AccessKey, string(a.SecretKey), string(a.Token)} {
			t, err := interp.Reveal(s, secret)
			if err != nil {
				return awssdk.Config{}, fmt.Errorf("cannot use the access key of the template: %w", err)
			}
			texts[i] = t
		}
		opts = append(opts, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(texts[0], texts[1], texts[2])))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return cfg, fmt.Errorf("cannot read the AWS configuration: %w", err)
	}
	if r := a.AssumeRole; r.RoleARN != "" {
		cfg.Credentials = awssdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg, a.enduring), r.RoleARN, r.options))
	}
	return cfg, nil
}

// enduring makes a client of STS as persistent as those of EC2: without its
// answer a resume could not begin.
func (a Access) enduring(o *sts.Options) { o.Retryer = newGovernor(a.MaxRetries) }

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
func (a Access) httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(time.Minute).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 10 * time.Second }).
		WithTransportOptions(func(tr *http.Transport) {
			tr.ResponseHeaderTimeout = 45 * time.Second
			tr.MaxResponseHeaderBytes = maxHeaders
			tr.MaxIdleConnsPerHost = 16
			if a.InsecureSkipTLSVerify {
				tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // asked for by the user
			}
		})
}

// client makes the EC2 client of a region. The endpoint of the options is for
// the region of the options only, unless it is on this machine.
func (a Access) client(cfg awssdk.Config, region string, pace *governor) *ec2.Client {
	return ec2.NewFromConfig(cfg, func(o *ec2.Options) {
		o.Retryer = pace
		o.APIOptions = append(o.APIOptions, doubtful)
		if a.CustomEndpointEC2 != "" && (a.Region == "" || a.Region == region || isLoopback(a.CustomEndpointEC2)) {
			o.BaseEndpoint = &a.CustomEndpointEC2
		}
	})
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
