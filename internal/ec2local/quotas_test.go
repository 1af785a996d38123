package ec2local

import (
	"os"
	"path/filepath"
	"testing"
)

// TestQuotas: AWS's values are there until the account has others.
func TestQuotas(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "seed.json")
	if err := os.WriteFile(seed, []byte(`{"regions": ["us-east-1"], "quotas": {"L-1216C47A": 64}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(o *Options) { o.Seed = seed })
	of := func(code string) object { return object{"ServiceCode": "ec2", "QuotaCode": code} }
	if out := b.done("servicequotas", "GetServiceQuota", of("L-1216C47A")); at(out, "Quota", "Value") != 64.0 || at(out, "Quota", "QuotaArn") != "arn:aws:servicequotas:us-east-1:"+account+":ec2/L-1216C47A" {
		t.Errorf("%v", out)
	}
	if out := b.done("servicequotas", "GetAWSDefaultServiceQuota", of("L-1216C47A")); at(out, "Quota", "Value") != 5.0 {
		t.Errorf("%v", out)
	}
	b.refused("servicequotas", "GetServiceQuota", of("L-DB2E81BA"), "NoSuchResourceException", "AWS's value")
	b.refused("servicequotas", "GetAWSDefaultServiceQuota", of("L-00000000"), "NoSuchResourceException", "no such quota")
	b.refused("servicequotas", "GetAWSDefaultServiceQuota", object{"ServiceCode": "ebs", "QuotaCode": "L-1216C47A"}, "NoSuchResourceException", "no such quota")
	b.refused("servicequotas", "GetServiceQuota", object{"ServiceCode": "ec2", "ContextId": "x"}, "ValidationException", "ContextId")
}
