package ec2local

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSecrets(t *testing.T) {
	now := time.Now()
	var log bytes.Buffer
	b := newBench(t, func(o *Options) {
		o.Now = func() time.Time { return now }
		o.Log = &log
	})
	sm := func(action string, say object) object { t.Helper(); return b.done("secretsmanager", action, say) }
	value := func(say object) any { t.Helper(); return sm("GetSecretValue", say)["SecretString"] }

	made := sm("CreateSecret", object{"Name": "app/db", "SecretString": "swordfish-1", "Description": "a word", "Tags": []object{{"Key": "a", "Value": "b"}}})
	arn, first := made["ARN"].(string), made["VersionId"].(string)
	if !strings.HasPrefix(arn, "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-") {
		t.Errorf("%v", made)
	}
	for _, id := range []string{"app/db", arn, arn[:len(arn)-7]} {
		if v := value(object{"SecretId": id}); v != "swordfish-1" {
			t.Errorf("%s is %v", id, v)
		}
	}
	second := sm("PutSecretValue", object{"SecretId": "app/db", "SecretString": "swordfish-2"})["VersionId"].(string)
	for _, x := range []struct {
		say  object
		want string
	}{
		{object{}, "swordfish-2"}, {object{"VersionStage": "AWSPREVIOUS"}, "swordfish-1"}, {object{"VersionId": first}, "swordfish-1"}, {object{"VersionId": second, "VersionStage": "AWSCURRENT"}, "swordfish-2"},
	} {
		x.say["SecretId"] = "app/db"
		if v := value(x.say); v != x.want {
			t.Errorf("%v: %v", x.say, v)
		}
	}
	sm("PutSecretValue", object{"SecretId": arn, "SecretString": "swordfish-3", "VersionStages": []string{"NEXT"}})
	if v := value(object{"SecretId": "app/db"}); v != "swordfish-2" {
		t.Errorf("a version without the label counts: %v", v)
	}
	sm("UpdateSecret", object{"SecretId": "app/db", "SecretString": "swordfish-4", "Description": "another"})
	d := sm("DescribeSecret", object{"SecretId": "app/db"})
	if d["Description"] != "another" || at(d, "Tags", 0, "Key") != "a" || at(d, "VersionIdsToStages", second, 0) != "AWSPREVIOUS" || len(d["VersionIdsToStages"].(object)) != 3 || d["DeletedDate"] != nil {
		t.Errorf("%v", d)
	}
	token := strings.Repeat("t", 32)
	say := object{"Name": "app/key", "SecretBinary": base64.StdEncoding.EncodeToString([]byte{0, 1, 255}), "ClientRequestToken": token}
	if a, z := sm("CreateSecret", say), sm("CreateSecret", say); a["ARN"] != z["ARN"] || a["VersionId"] != token {
		t.Errorf("the same request again: %v, %v", a, z)
	}
	if g := sm("GetSecretValue", object{"SecretId": "app/key"}); g["SecretBinary"] != "AAH/" || g["SecretString"] != nil {
		t.Errorf("%v", g)
	}
	sm("CreateSecret", object{"Name": "empty"})
	l := sm("ListSecrets", object{"Filters": []object{{"Key": "name", "Values": []string{"app/"}}}, "SortOrder": "asc"})
	if got := l["SecretList"].([]any); len(got) != 2 || at(l, "SecretList", 0, "Name") != "app/db" || at(l, "SecretList", 0, "SecretString") != nil {
		t.Errorf("%v", l)
	}

	b.stop()
	b.start()
	if v := value(object{"SecretId": "app/db"}); v != "swordfish-4" {
		t.Errorf("after a restart %v", v)
	}
	long := strings.Repeat("x", 64<<10+1)
	for _, x := range []struct {
		action, code, words string
		say                 object
	}{
		{"GetSecretValue", "ResourceNotFoundException", "can't find the specified secret.", object{"SecretId": "none"}},
		{"GetSecretValue", "ResourceNotFoundException", "can't find the specified secret.", object{"SecretId": arn[:len(arn)-6] + "000000"}},
		{"GetSecretValue", "ResourceNotFoundException", "staging label: AWSCURRENT", object{"SecretId": "empty"}},
		{"GetSecretValue", "ResourceNotFoundException", "VersionId: zzz", object{"SecretId": "app/db", "VersionId": "zzz"}},
		{"GetSecretValue", "InvalidRequestException", "not associated", object{"SecretId": "app/db", "VersionId": second, "VersionStage": "AWSCURRENT"}},
		{"CreateSecret", "ResourceExistsException", "already exists", object{"Name": "app/db", "SecretString": "x"}},
		{"CreateSecret", "ResourceExistsException", "", object{"Name": "app/key", "SecretString": "x", "ClientRequestToken": token}},
		{"CreateSecret", "ValidationException", "Invalid name", object{"Name": "a b"}},
		{"CreateSecret", "InvalidParameterException", "both", object{"Name": "new", "SecretString": "x", "SecretBinary": "AAAA"}},
		{"CreateSecret", "ValidationException", "65536", object{"Name": "new", "SecretString": long}},
		{"CreateSecret", "InvalidParameterException", "ClientRequestToken", object{"Name": "new", "SecretString": "x", "ClientRequestToken": "short"}},
		{"CreateSecret", "ValidationException", "AddReplicaRegions", object{"Name": "new", "AddReplicaRegions": []object{{"Region": "eu-west-1"}}}},
		{"PutSecretValue", "InvalidParameterException", "either", object{"SecretId": "app/db"}},
		{"DeleteSecret", "InvalidParameterException", "between 7 and 30", object{"SecretId": "app/db", "RecoveryWindowInDays": 3}},
		{"DeleteSecret", "InvalidParameterException", "in conjunction", object{"SecretId": "app/db", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true}},
		{"ListSecrets", "InvalidNextTokenException", "", object{"NextToken": "zzz"}},
	} {
		b.refused("secretsmanager", x.action, x.say, x.code, x.words)
	}

	sm("DeleteSecret", object{"SecretId": "app/db", "RecoveryWindowInDays": 7})
	b.refused("secretsmanager", "GetSecretValue", object{"SecretId": "app/db"}, "InvalidRequestException", "marked for deletion")
	b.refused("secretsmanager", "CreateSecret", object{"Name": "app/db"}, "InvalidRequestException", "scheduled for deletion")
	if l := sm("ListSecrets", object{}); len(l["SecretList"].([]any)) != 2 {
		t.Errorf("a deleted one is listed: %v", l)
	}
	sm("RestoreSecret", object{"SecretId": "app/db"})
	if v := value(object{"SecretId": "app/db"}); v != "swordfish-4" {
		t.Errorf("restored: %v", v)
	}
	sm("DeleteSecret", object{"SecretId": "app/db"})
	sm("DeleteSecret", object{"SecretId": "app/key", "ForceDeleteWithoutRecovery": true})
	b.refused("secretsmanager", "DescribeSecret", object{"SecretId": "app/key"}, "ResourceNotFoundException", "")
	b.stop()
	now = now.AddDate(0, 0, 30)
	b.opts.Key, b.opts.AnyKey = Key{}, true // the clients have another clock
	b.start()
	b.refused("secretsmanager", "RestoreSecret", object{"SecretId": "app/db"}, "ResourceNotFoundException", "")
	if left := b.server.Inventory().Of("secret"); len(left) != 1 {
		t.Errorf("what is deleted for good is still kept: %v", left)
	}

	for range mostSecretVersions + 5 {
		sm("PutSecretValue", object{"SecretId": "empty", "SecretString": "x"})
	}
	if s := log.String(); strings.Contains(s, "swordfish") || !strings.Contains(s, "us-east-1 GetSecretValue") {
		t.Errorf("the log is %s", s)
	}
	info, err := os.Stat(filepath.Join(b.opts.Dir, "ec2.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secrets are kept in %v, %v", info.Mode(), err)
	}
}
