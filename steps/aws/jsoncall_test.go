package aws

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// A call is repeated when that may help, and no reply is believed that is none.
func TestJSONCalls(t *testing.T) {
	w := seeded(t, `{"parameters": {"/a": "b"}}`)
	step := DataParameter{Place: here, Name: "/a"}
	answer := func(status int, body string) func(http.ResponseWriter) {
		return func(rw http.ResponseWriter) {
			rw.WriteHeader(status)
			rw.Write([]byte(body))
		}
	}
	for _, x := range []struct {
		name   string
		first  func(http.ResponseWriter)
		calls  int // of those that are made: 2 if it is repeated
		refuse string
	}{
		{"throttled", answer(400, `{"__type": "ThrottlingException", "message": "Rate exceeded"}`), 2, ""},
		{"a fault of the service", answer(500, `{"__type": "InternalServerError"}`), 2, ""},
		{"a proxy that is not ready", answer(502, `<html>Bad gateway</html>`), 2, ""},
		{"cut", func(rw http.ResponseWriter) { panic(http.ErrAbortHandler) }, 2, ""},
		{"half of a reply", answer(200, `{"Parameter": {"Value": "swordf`), 2, ""},
		{"half of a refusal", answer(400, `{"__type": "Param`), 2, ""},
		{"a proxy's page", answer(200, `<html>Log in</html>`), 2, ""},
		{"a refusal of a proxy", answer(403, `<html>Not from here</html>`), 1, `HTTP 403 Forbidden, with a body that is not AWS's: "Not from here"`},
		{"validation", answer(400, `{"__type": "ValidationException", "Message": "No."}`), 1, "cannot read the parameter /a in us-east-1: ValidationException: No"},
		{"a reply without end", answer(200, `{"Parameter": {"Value": "`+strings.Repeat("x", 2<<20)), 1, "the reply to GetParameter is longer than 1 MiB"},
		{"a refusal without end", answer(400, `{"__type": "`+strings.Repeat("x", 1<<20)), 1, "HTTP 400"},
	} {
		began := w.front.count("GetParameter")
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, _ url.Values) bool {
			if n == began+1 {
				x.first(rw)
			}
			return n == began+1
		})
		found, err := step.Do(t.Context(), w.cloud, task("t"))
		if x.refuse == "" && (err != nil || found.Value != "b") || x.refuse != "" && (err == nil || !strings.Contains(err.Error(), x.refuse) || strings.Contains(err.Error(), "swordf")) {
			t.Errorf("%s: %+v, %v", x.name, found, err)
		}
		if n := w.front.count("GetParameter") - began; n != x.calls {
			t.Errorf("%s: %d calls, not %d", x.name, n, x.calls)
		}
	}
}

// Calls of each service go where the SDK would send them.
func TestEndpointsOfServices(t *testing.T) {
	dir := files(t, map[string]string{
		".aws/config": "[profile all]\nendpoint_url = http://127.0.0.1:4\n[profile one]\nservices = mine\n[services mine]\nssm =\n  endpoint_url = http://127.0.0.1:5\nsecrets_manager =\n  endpoint_url = http://127.0.0.1:6\n",
	})
	keys := " AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b HOME=" + dir
	for _, x := range []struct{ region, env, ssm, secrets string }{
		{"us-east-1", "", "https://ssm.us-east-1.amazonaws.com", "https://secretsmanager.us-east-1.amazonaws.com"},
		{"cn-north-1", "", "https://ssm.cn-north-1.amazonaws.com.cn", "https://secretsmanager.cn-north-1.amazonaws.com.cn"},
		{"us-east-1", "AWS_USE_FIPS_ENDPOINT=true", "https://ssm-fips.us-east-1.amazonaws.com", "https://secretsmanager-fips.us-east-1.amazonaws.com"},
		{"eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT=true", "https://ssm.eu-west-1.api.aws", "https://secretsmanager.eu-west-1.api.aws"},
		{"eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1"},
		{"eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:1 AWS_ENDPOINT_URL_SSM=http://127.0.0.1:2 AWS_ENDPOINT_URL_SECRETS_MANAGER=http://127.0.0.1:3", "http://127.0.0.1:2", "http://127.0.0.1:3"},
		{"eu-west-1", "AWS_PROFILE=all", "http://127.0.0.1:4", "http://127.0.0.1:4"},
		{"eu-west-1", "AWS_PROFILE=one", "http://127.0.0.1:5", "http://127.0.0.1:6"},
		{"eu-west-1", "AWS_PROFILE=one AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "https://ssm.eu-west-1.amazonaws.com", "https://secretsmanager.eu-west-1.amazonaws.com"},
	} {
		c := NewCloud(CloudOptions{Getenv: func(name string) string {
			for kv := range strings.FieldsSeq(x.env + keys) {
				if n, v, _ := strings.Cut(kv, "="); n == name {
					return v
				}
			}
			return ""
		}})
		at, err := c.at(t.Context(), Place{Region: x.region})
		if err != nil {
			t.Fatal(err)
		}
		for s, want := range map[jsonService]string{parameterStore: x.ssm, secretsManager: x.secrets} {
			if e, err := c.endpointOf(t.Context(), at.Place, s, at.options); e != want || err != nil {
				t.Errorf("%s in %s with %s: %s, %v; want %s", s.id, x.region, x.env, e, err, want)
			}
		}
	}
}

// Where a data source looks there is nothing of ours: nobody looks there for things
// or renews leases, for which its credentials may lack the permission.
func TestNothingIsWhereDataSourcesLook(t *testing.T) {
	w := seeded(t, `{"parameters": {"/a": "b"}, "secrets": {"a": "b"}}`)
	w.site() // where things may be
	there := Place{Region: "eu-west-1"}
	g := dag.NewGraph(nil)
	for _, s := range []steps.Data{
		&AMIOptions{Access: Access{Region: there.Region}, SourceFilter: ubuntu().Filter, cloud: w.cloud},
		&ParameterOptions{Access: Access{Region: there.Region}, Name: "/a", cloud: w.cloud},
		&SecretOptions{Access: Access{Region: there.Region}, SecretChoice: SecretChoice{Name: "a"}, cloud: w.cloud},
	} {
		if err := s.(steps.Preparer).Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Add(g, dag.Build{Name: "b"}, reflect.TypeOf(s).String())
	}
	w.build(&dag.MemStore{}, g)
	w.cloud.Learn(g.Nodes)
	if places := must(w.cloud.places(t.Context())); slices.Contains(places, there) {
		t.Errorf("things are looked for in %v", places)
	}
	w.cloud.Learn([]dag.Node{{Kind: Source{}.Kind(), Spec: []byte(`{"region": "eu-west-1"}`)}})
	if places := must(w.cloud.places(t.Context())); !slices.Contains(places, there) {
		t.Errorf("things are looked for in %v only", places)
	}
}
