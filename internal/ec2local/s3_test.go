package ec2local

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// TestCLIS3 keeps objects by Amazon's own command line, small and in parts, and makes an
// image of one.
func TestCLIS3(t *testing.T) {
	path := tool(t, "/usr/bin/aws", "aws")
	b := newBench(t)
	dir := t.TempDir()
	aws := b.aws(path, dir)
	disk, big, back := filepath.Join(dir, "disk (1).raw"), filepath.Join(dir, "big"), filepath.Join(dir, "back")
	content := bytes.Repeat([]byte("0123456789abcde\n"), 20<<16)
	for name, what := range map[string][]byte{disk: []byte("a disk"), big: content} {
		if err := os.WriteFile(name, what, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		p, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(p)
	}
	aws("s3api", "create-bucket", "--bucket", "disks")
	aws("s3api", "put-object", "--bucket", "disks", "--key", "a b/disk (1)+é.raw", "--body", disk, "--metadata", "token=t-1", "--content-md5", "nz3MF7NmD/frO+Pl9i9Yxw==")
	var head struct {
		ContentLength int
		ETag          string
		Metadata      map[string]string
	}
	if err := json.Unmarshal(aws("s3api", "head-object", "--bucket", "disks", "--key", "a b/disk (1)+é.raw"), &head); err != nil ||
		head.ContentLength != 6 || head.Metadata["token"] != "t-1" || head.ETag != `"9f3dcc17b3660ff7eb3be3e5f62f58c7"` {
		t.Errorf("%+v, %v", head, err)
	}
	aws("s3api", "get-object", "--bucket", "disks", "--key", "a b/disk (1)+é.raw", back)
	if got := read(back); got != "a disk" {
		t.Errorf("it gave %q", got)
	}
	aws("s3", "cp", "--quiet", big, "s3://disks/big") // in parts of 8 MiB
	aws("s3", "cp", "--quiet", "s3://disks/big", back)
	if read(back) != string(content) {
		t.Error("what came in parts is another")
	}
	if out := string(aws("s3", "ls", "s3://disks/")); !strings.Contains(out, "PRE a b/") || !strings.Contains(out, " 20971520 big") {
		t.Errorf("%s", out)
	}

	var begun struct{ ImportTaskId string }
	if err := json.Unmarshal(aws("ec2", "import-image", "--disk-containers", "Format=raw,UserBucket={S3Bucket=disks,S3Key=big}"), &begun); err != nil {
		t.Fatal(err)
	}
	var tasks struct {
		ImportImageTasks []struct{ Status, ImageId, StatusMessage string }
	}
	if err := json.Unmarshal(aws("ec2", "describe-import-image-tasks", "--import-task-ids", begun.ImportTaskId), &tasks); err != nil ||
		len(tasks.ImportImageTasks) != 1 || tasks.ImportImageTasks[0].Status != "completed" || !strings.HasPrefix(tasks.ImportImageTasks[0].ImageId, "ami-") {
		t.Errorf("%+v, %v", tasks, err)
	}

	aws("s3", "rm", "--quiet", "s3://disks/big")
	for _, x := range []struct{ code, args string }{
		{"(404)", "s3api head-object --bucket disks --key big"},
		{"(NoSuchBucket)", "s3api put-object --bucket none --key a --body " + big},
		{"(NotImplemented)", "s3api put-bucket-versioning --bucket disks --versioning-configuration Status=Enabled"},
		{"(NotImplemented)", "s3api put-object --bucket disks --key a --acl public-read --body " + big},
		{"(InvalidParameter)", "ec2 import-image --disk-containers Format=raw,UserBucket={S3Bucket=disks,S3Key=big}"},
	} {
		cmd := exec.Command(path, append([]string{"--endpoint-url", b.http.URL}, strings.Fields(x.args)...)...)
		cmd.Env = clientEnv(dir)
		if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte(x.code)) {
			t.Errorf("%s: %v: %s", x.args, err, out)
		}
	}
}

// s3 sends a request with the signature of a body, and returns what is answered.
func (b *bench) s3(method, target, signed, body string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequest(method, b.http.URL+target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(signed))
	digest := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", digest)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c, _ := credentialsOf(keyOfTests).Retrieve(ctx)
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(ctx, c, r, r.Header.Get("X-Amz-Content-Sha256"), "s3", "us-east-1", time.Now()); err != nil {
		b.t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer reply.Body.Close()
	text, _ := io.ReadAll(reply.Body)
	return reply, string(text)
}

// files are those that hold objects.
func (b *bench) files() int {
	list, _ := os.ReadDir(b.server.s3Dir())
	return len(list)
}

// TestS3 puts objects in parts, replaces and removes them, over ends of the server, and
// finds every file gone that nothing names.
func TestS3(t *testing.T) {
	b := newBench(t)
	good := func(method, target, body string, headers ...string) string {
		t.Helper()
		r, text := b.s3(method, target, body, body, headers...)
		if r.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s %s", method, target, r.Status, text)
		}
		return text
	}
	bad := func(code, method, target, signed, body string, headers ...string) {
		t.Helper()
		if r, text := b.s3(method, target, signed, body, headers...); r.StatusCode/100 == 2 || !strings.Contains(text, "<Code>"+code+"</Code>") {
			t.Errorf("%s %s: %s %s, want %s", method, target, r.Status, text, code)
		}
	}
	good("PUT", "/disks", "")
	good("PUT", "/disks/a", "old")
	good("PUT", "/disks/a", "new one")
	if b.files() != 1 || good("GET", "/disks/a", "") != "new one" || good("GET", "/disks/a", "", "Range", "bytes=4-") != "one" {
		t.Errorf("%d files, %q", b.files(), good("GET", "/disks/a", ""))
	}
	bad("XAmzContentSHA256Mismatch", "PUT", "/disks/b", "one", "another")
	bad("BadDigest", "PUT", "/disks/b", "one", "one", "x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")
	good("PUT", "/disks/b", "123456789", "x-amz-checksum-crc64nvme", "rosUhgp5mIg=", "x-amz-checksum-crc32c", "4waSgw==")
	good("PUT", "/disks/c", "123456789", "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	bad("NotImplemented", "PUT", "/disks/d", "", "x", "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
	bad("NotImplemented", "PUT", "/disks/d", "x", "x", "X-Amz-Copy-Source", "/disks/a")
	bad("NotImplemented", "GET", "/disks/a?versionId=1", "", "")
	bad("InvalidBucketName", "PUT", "/Disks", "", "")
	bad("MetadataTooLarge", "PUT", "/disks/d", "x", "x", "x-amz-meta-a", strings.Repeat("x", 2049))
	bad("KeyTooLongError", "PUT", "/disks/"+strings.Repeat("x", 1025), "x", "x")
	bad("InvalidArgument", "PUT", "/disks/d", "x", "x", "x-amz-server-side-encryption", "rot13")
	if b.files() != 3 {
		t.Errorf("%d files of 3 objects", b.files())
	}

	id := func(text string) string {
		_, rest, _ := strings.Cut(text, "<UploadId>")
		id, _, _ := strings.Cut(rest, "</UploadId>")
		return id
	}
	one := id(good("POST", "/disks/parts?uploads=", "", "x-amz-meta-imgflow-token", "t"))
	large := strings.Repeat("x", leastPart)
	part := func(n, body string) string {
		t.Helper()
		r, text := b.s3("PUT", "/disks/parts?partNumber="+n+"&uploadId="+one, body, body)
		if r.StatusCode != 200 {
			t.Fatal(text)
		}
		return "<Part><PartNumber>" + n + "</PartNumber><ETag>" + strings.ReplaceAll(r.Header.Get("ETag"), `"`, "&quot;") + "</ETag></Part>"
	}
	part("1", "of an attempt that was interrupted")
	first, third, second := part("1", large), part("3", "left out"), part("2", "end")
	bad("NoSuchUpload", "PUT", "/disks/other?partNumber=1&uploadId="+one, "x", "x")
	bad("InvalidArgument", "PUT", "/disks/parts?partNumber=0&uploadId="+one, "x", "x")
	complete := func(parts string) string { return "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>" }
	for code, parts := range map[string]string{"InvalidPartOrder": first + first, "MalformedXML": "<", "InvalidPart": strings.Replace(first, ">1<", ">4<", 1), "EntityTooSmall": second + third} {
		bad(code, "POST", "/disks/parts?uploadId="+one, complete(parts), complete(parts))
	}
	if text := good("GET", "/disks?uploads=&prefix=par", ""); id(text) != one {
		t.Error(text)
	}
	if text := good("GET", "/disks/parts?uploadId="+one, ""); strings.Count(text, "<Part>") != 3 {
		t.Error(text)
	}
	b.stop()
	b.start()
	good("POST", "/disks/parts?uploadId="+one, complete(first+second))
	r, text := b.s3("GET", "/disks/parts", "", "")
	if text != large+"end" || !strings.HasSuffix(r.Header.Get("ETag"), `-2"`) || r.Header.Get("X-Amz-Meta-Imgflow-Token") != "t" {
		t.Errorf("%d bytes, %v", len(text), r.Header)
	}
	if b.files() != 5 {
		t.Errorf("%d files of 4 objects, one of which has two", b.files())
	}
	two := id(good("POST", "/disks/parts?uploads=", ""))
	good("PUT", "/disks/parts?partNumber=1&uploadId="+two, "x")
	good("DELETE", "/disks/parts?uploadId="+two, "")
	bad("NoSuchUpload", "DELETE", "/disks/parts?uploadId="+two, "", "")
	for _, key := range []string{"a", "b", "c", "parts", "none"} {
		good("DELETE", "/disks/"+key, "")
	}
	if b.files() != 0 {
		t.Errorf("%d files of no objects", b.files())
	}
	os.WriteFile(filepath.Join(b.server.s3Dir(), "left-by-a-crash"), nil, 0o600)
	b.stop()
	b.start()
	if b.files() != 0 {
		t.Error("what a crash has left stays")
	}
	good("PUT", "/disks/a", "x")
	bad("BucketNotEmpty", "DELETE", "/disks", "", "")
	good("DELETE", "/disks/a", "")
	bad("NoSuchKey", "GET", "/disks/a", "", "")
	good("DELETE", "/disks", "")
	bad("NoSuchBucket", "GET", "/disks?list-type=2", "", "")
}
