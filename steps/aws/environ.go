package aws

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"golang.org/x/net/http/httpproxy"

	"github.com/imgflow/imgflow/internal/localfile"
)

// environ reads a variable of the environment that a cloud was made with; "" if
// there is none. The SDK would read that of the process, which may be another
// session's, so whatever it looks for there is given to it as an option.
type environ func(name string) string

// first is the value of the first of the variables that has one.
func (env environ) first(names ...string) (value string) {
	for _, name := range names {
		value = cmp.Or(value, env(name))
	}
	return value
}

// region is where the environment says to build.
func (env environ) region() string { return env.first("AWS_REGION", "AWS_DEFAULT_REGION") }

// endpoint is where the environment sends the calls of a service; nil says nothing.
func (env environ) endpoint(service string) *string {
	e := env.first("AWS_ENDPOINT_URL_"+service, "AWS_ENDPOINT_URL")
	if e == "" || env.ignoresEndpoints() {
		return nil
	}
	return &e
}

func (env environ) ignoresEndpoints() bool {
	return strings.EqualFold(env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true")
}

// files are where profiles stand.
func (env environ) files() (configs, credentials []string) {
	dir := filepath.Join(env.first("HOME", "USERPROFILE"), ".aws")
	return []string{cmp.Or(env("AWS_CONFIG_FILE"), filepath.Join(dir, "config"))},
		[]string{cmp.Or(env("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(dir, "credentials"))}
}

// proxy is the proxy that the environment names for a request.
func (env environ) proxy() func(*http.Request) (*url.URL, error) {
	c := httpproxy.Config{HTTPProxy: env.first("HTTP_PROXY", "http_proxy"), HTTPSProxy: env.first("HTTPS_PROXY", "https_proxy"),
		NoProxy: env.first("NO_PROXY", "no_proxy"), CGI: env("REQUEST_METHOD") != ""}
	f := c.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return f(r.URL) }
}

// authorities are those that the environment names besides; nil are the system's.
func (env environ) authorities() (*x509.CertPool, error) {
	path := env("AWS_CA_BUNDLE")
	if path == "" {
		return nil, nil
	}
	p, err := localfile.Read(path, 16<<20)
	if err != nil {
		return nil, fmt.Errorf("cannot read AWS_CA_BUNDLE: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p) {
		return nil, fmt.Errorf("cannot use AWS_CA_BUNDLE: there is no certificate in %s", path)
	}
	return pool, nil
}

// files are those of profiles. The SDK reads them whole, so they are looked at first: what has no end is no file.
func (a Access) files(env environ) (configs, credentials []string, err error) {
	configs, credentials = env.files()
	if a.SharedCredentialsFile != "" {
		credentials = []string{a.SharedCredentialsFile}
	}
	for _, file := range slices.Concat(configs, credentials) {
		if _, err := localfile.Read(file, 1<<20); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("cannot read the profiles of AWS: %w", err)
		}
	}
	return configs, credentials, nil
}

// shared reads a profile.
func (a Access) shared(ctx context.Context, env environ, profile string) (config.SharedConfig, error) {
	configs, credentials, err := a.files(env)
	if err != nil {
		return config.SharedConfig{}, err
	}
	return config.LoadSharedConfigProfile(ctx, profile, func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = configs, credentials
		o.Logger = logging.Nop{}
	})
}

// profile is the name of the one that counts; "" if none is chosen and there is no
// default one.
func (a Access) profile(ctx context.Context, env environ) string {
	if name := cmp.Or(a.Profile, env("AWS_PROFILE")); name != "" {
		return name
	}
	name := cmp.Or(env("AWS_DEFAULT_PROFILE"), config.DefaultSharedConfigProfile)
	if _, err := a.shared(ctx, env, name); errors.As(err, new(config.SharedConfigProfileNotExistError)) {
		return ""
	}
	return name
}

// sources are what the SDK has to know, but for a profile. What it would log by
// itself is left out: errors say it again.
func (a Access) sources(env environ) []func(*config.LoadOptions) error {
	configs, credentials := env.files()
	if a.SharedCredentialsFile != "" {
		credentials = []string{a.SharedCredentialsFile}
	}
	opts := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{}), config.WithAPIOptions(everyClient),
		config.WithSharedConfigFiles(configs), config.WithSharedCredentialsFiles(credentials)}
	if a.withoutMetadata(env) {
		opts = append(opts, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	if e := env("AWS_EC2_METADATA_SERVICE_ENDPOINT"); e != "" {
		opts = append(opts, config.WithEC2IMDSEndpoint(e))
	}
	if strings.EqualFold(env("AWS_USE_FIPS_ENDPOINT"), "true") {
		opts = append(opts, config.WithUseFIPSEndpoint(awssdk.FIPSEndpointStateEnabled))
	}
	if strings.EqualFold(env("AWS_USE_DUALSTACK_ENDPOINT"), "true") {
		opts = append(opts, config.WithUseDualStackEndpoint(awssdk.DualStackEndpointStateEnabled))
	}
	return opts
}

func (a Access) withoutMetadata(env environ) bool {
	return a.SkipMetadataAPICheck || strings.EqualFold(env("AWS_EC2_METADATA_DISABLED"), "true")
}

// load is the configuration of a region, with the credentials that are found
// where the SDK would look for them, in its order: a profile that the template
// names, keys and tokens of the environment, another profile, the container, the
// machine.
func (a Access) load(ctx context.Context, env environ, region string, more ...func(*config.LoadOptions) error) (awssdk.Config, error) {
	roots, err := env.authorities()
	if err != nil {
		return awssdk.Config{}, err
	}
	if _, _, err := a.files(env); err != nil {
		return awssdk.Config{}, err
	}
	var own config.LoadOptions
	opts := append(a.sources(env), config.WithRegion(region), config.WithHTTPClient(a.httpClient(env, roots)))
	for _, set := range opts {
		if err := set(&own); err != nil {
			return awssdk.Config{}, err
		}
	}
	cfg := awssdk.Config{Region: region, HTTPClient: own.HTTPClient, Logger: own.Logger, APIOptions: own.APIOptions, ConfigSources: []any{own}}
	if a.Profile == "" {
		cfg.Credentials = env.credentials(cfg)
	}
	profile := a.profile(ctx, env)
	if profile == "" {
		if cfg.Credentials == nil {
			cfg.Credentials = a.surroundings(env, cfg, own)
		}
		cfg.Credentials = awssdk.NewCredentialsCache(cfg.Credentials)
		return cfg, nil
	}
	opts = append(append(opts, config.WithSharedConfigProfile(profile)), more...)
	if cfg.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(cfg.Credentials))
	}
	if cfg, err = config.LoadDefaultConfig(ctx, opts...); err != nil {
		return cfg, fmt.Errorf("cannot read the AWS configuration: %w", err)
	}
	env.replace(&cfg)
	return cfg, nil
}

// credentials are those that the environment itself has; nil are none.
func (env environ) credentials(cfg awssdk.Config) awssdk.CredentialsProvider {
	if id, secret := env.first("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"), env.first("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"); id != "" && secret != "" {
		return credentials.NewStaticCredentialsProvider(id, secret, env("AWS_SESSION_TOKEN"))
	}
	if token := env("AWS_WEB_IDENTITY_TOKEN_FILE"); token != "" {
		client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = env.endpoint("STS") })
		return stscreds.NewWebIdentityRoleProvider(client, env("AWS_ROLE_ARN"), stscreds.IdentityTokenFile(token), func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName = env("AWS_ROLE_SESSION_NAME")
		})
	}
	return nil
}

// surroundings gives the credentials of the container, or else of the machine.
func (a Access) surroundings(env environ, cfg awssdk.Config, own config.LoadOptions) awssdk.CredentialsProvider {
	at := env("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if path := env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		at = "http://169.254.170.2" + path
	}
	if at != "" {
		return endpointcreds.New(at, func(o *endpointcreds.Options) {
			o.APIOptions, o.AuthorizationToken = cfg.APIOptions, env("AWS_CONTAINER_AUTHORIZATION_TOKEN")
			if file := env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
				o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) {
					p, err := localfile.Read(file, 1<<20)
					return string(p), err
				})
			}
		})
	}
	return ec2rolecreds.New(func(o *ec2rolecreds.Options) {
		o.Client = imds.NewFromConfig(cfg, func(o *imds.Options) {
			o.ClientEnableState, o.Endpoint = own.EC2IMDSClientEnableState, own.EC2IMDSEndpoint
		})
	})
}

// replace takes out of a configuration what the SDK has read in the environment
// of the process.
func (env environ) replace(cfg *awssdk.Config) {
	cfg.BaseEndpoint = nil
	var sources []any
	for _, source := range cfg.ConfigSources {
		if c, ok := source.(config.SharedConfig); ok && c.BaseEndpoint != "" && !env.ignoresEndpoints() {
			cfg.BaseEndpoint = &c.BaseEndpoint
		}
		if _, ok := source.(config.EnvConfig); !ok {
			sources = append(sources, source)
		}
	}
	cfg.ConfigSources = sources
}
